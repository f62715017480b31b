// SPDX-License-Identifier: GPL-2.0

//! A packet that does not fit its path with the tunnel's headers.
//!
//! TCP packets are cut into shorter ones where the operator wants it. An IPv4 packet that may be fragmented is: the pieces are tunnelled one by one, the whole packet's way. For another one
//! the client is told what fits. All of this is rare, and is kept out of the way of the packets that fit.

use super::{refuse, send_whole, transmit, Config, Hook, Outcome, Path, Plan, Skb, Stats};
use glb_core::addr::Addr;
use glb_core::bind::Proto;
use glb_core::director::{tcp_offset, too_big, Cut, Kind, Verdict, MAX_TOO_BIG_LEN};
use glb_core::ip::{Addrs, Family};
use glb_core::view::View;
use glb_kernel::cut::{piece, Segments};
use glb_kernel::encap::{prepare_own, send_own};

/// Decides what becomes of the packet; `header` are the bytes that would come in front.
#[cold]
pub(super) fn handle<'a>(
    stats: &Stats,
    hook: &Hook<'_>,
    config: &Config,
    mut skb: Skb<'a>,
    plan: &Plan<'_>,
    path: &Path,
    header: usize,
) -> Outcome<'a> {
    let cutter = Cutter {
        stats,
        hook,
        config,
        plan,
        path,
        header,
        room: (path.mtu() as usize).saturating_sub(header),
    };
    if config.segment_tcp && cutter.segment(&mut skb) {
        stats.count_segmented();
        return send_whole(stats, hook, config, skb, plan, path, cutter.outer(), header);
    }
    if cutter.cut(&skb, plan.packet.len).is_none() {
        cutter.tell(&skb);
        return refuse(stats, skb, Verdict::DroppedTooBig);
    }
    match cutter.send_all(&mut skb) {
        Ok(()) => {
            stats.count(plan.verdict);
            skb.consume();
            Outcome::Stolen
        }
        Err(verdict) => refuse(stats, skb, verdict),
    }
}

struct Cutter<'p> {
    stats: &'p Stats,
    hook: &'p Hook<'p>,
    config: &'p Config,
    plan: &'p Plan<'p>,
    path: &'p Path,
    /// Bytes of the tunnel's headers.
    header: usize,
    /// Bytes that are left for the client's packet.
    room: usize,
}

impl Cutter<'_> {
    fn outer(&self) -> Family {
        match self.path.source() {
            Addr::V4(_) => Family::V4,
            Addr::V6(_) => Family::V6,
        }
    }

    /// Has a TCP packet, or an aggregate of them, sent as packets that fit.
    fn segment(&self, skb: &mut Skb<'_>) -> bool {
        let packet = &self.plan.packet;
        let ip_len = tcp_offset(View::new(skb.linear(), packet.len));
        match (packet.kind, packet.fragment, ip_len) {
            (Kind::Flow(Proto::Tcp), None, Some(ip_len)) => {
                skb.segment_tcp(ip_len, packet.len, self.room, self.hook.family)
            }
            _ => false,
        }
    }

    fn cut(&self, packet: &Skb<'_>, len: usize) -> Option<Cut> {
        Cut::new(View::new(packet.linear(), len), len, self.room)
    }

    /// Sends the packet in pieces; the verdict of the first that did not go ends it.
    fn send_all(&self, skb: &mut Skb<'_>) -> Result<(), Verdict> {
        if !skb.is_gso() {
            skb.finish_checksum()
                .map_err(|_| Verdict::DroppedNoMemory)?;
            return self.send_pieces(skb, self.plan.packet.len);
        }
        // The client's own packets come first: only those are its to be cut.
        for packet in Segments::of(skb).map_err(|_| Verdict::DroppedNoMemory)? {
            self.send_pieces(&packet, packet.len())?;
        }
        Ok(())
    }

    fn send_pieces(&self, packet: &Skb<'_>, len: usize) -> Result<(), Verdict> {
        let cut = self.cut(packet, len).ok_or(Verdict::DroppedTooBig)?;
        let head = cut.header_len();
        let mut start = 0;
        while let Some(part) = cut.piece(start) {
            let mut own = piece(packet, self.path, self.header, head, start, part.len)
                .ok_or(Verdict::DroppedNoMemory)?;
            own.head(head)
                .and_then(|header| cut.write(header, &part))
                .ok_or(Verdict::DroppedTooBig)?;
            let len = head.wrapping_add(part.len);
            let prepared = prepare_own(
                own,
                self.path,
                self.hook.family,
                len,
                self.outer(),
                self.header,
                self.config.udp_checksum,
            )
            .ok_or(Verdict::DroppedNoMemory)?;
            if !transmit(self.hook, self.config, self.plan, self.path, prepared, len) {
                return Err(Verdict::DroppedNoRoute);
            }
            self.stats.count_fragment();
            self.stats.count_bytes(self.header.wrapping_add(len));
            start = start.wrapping_add(part.len);
        }
        Ok(())
    }

    /// Tells the client what fits. For an ICMP error or an echo request nobody is told: the first would be an error about an
    /// error, and the second has no flow that could adapt.
    fn tell(&self, skb: &Skb<'_>) {
        if self.plan.verdict != Verdict::Encapsulated || !self.stats.may_tell() {
            return;
        }
        let addrs = self.plan.packet.key.addrs;
        let (client, bound) = match addrs {
            Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
            Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
        };
        let mut answer = [0; MAX_TOO_BIG_LEN];
        let view = View::new(skb.linear(), self.plan.packet.len);
        let told = too_big(view, &addrs, self.room, &mut answer)
            .and_then(|len| answer.get(..len))
            .zip(Path::find(self.hook, client, Some(bound)))
            .is_some_and(|(answer, path)| send_own(self.hook.net, &path, self.hook.family, answer));
        if told {
            self.stats.count_told();
        }
    }
}
