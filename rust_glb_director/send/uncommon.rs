// SPDX-License-Identifier: GPL-2.0

//! A packet that cannot go as it came: it does not fit its path with what the forward adds, or it is an aggregate whose packets
//! have to go one by one.
//!
//! TCP packets are cut into shorter ones where the operator wants it. An IPv4 packet that may be fragmented is: the pieces are
//! sent one by one, the whole packet's way. For another one the client is told what fits. All of this is rare, and is kept
//! out of the way of the packets that fit.

#![forbid(unsafe_code)]

use super::refuse::refuse;
use super::way::{Manner, Way};
use glb_core::director::classify::bind::Proto;
use glb_core::director::{tcp_offset, too_big, Cut, Kind, Verdict, MAX_TOO_BIG_LEN};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::{Addrs, Family};
use glb_core::packet::view::View;
use glb_kernel::front::hook::Outcome;
use glb_kernel::out::cut::{piece, Segments, Whole};
use glb_kernel::out::encap::send_own;
use glb_kernel::out::path::{Fit, Flow, Path};
use glb_kernel::packet::own::Own;
use glb_kernel::packet::skb::Skb;

/// Decides what becomes of the packet, whose fit is not [`Fit::Whole`].
#[cold]
#[inline(never)]
pub(super) fn handle<'a, M: Manner>(way: Way<'_, M>, skb: Skb<'a>, fit: Fit) -> Outcome<'a> {
    match fit {
        Fit::Never => refuse(way.stats, skb, Verdict::DroppedLro),
        Fit::Apart => apart(way, skb),
        Fit::Whole | Fit::TooLong => too_long(way, skb),
    }
}

/// Sends a packet of `len` bytes. It is gone, and the answer says whether it went; or it is given back with a verdict.
#[inline(never)]
fn transmit<'a, M: Manner>(
    way: Way<'_, M>,
    skb: Skb<'a>,
    len: usize,
) -> Result<Result<(), Verdict>, (Skb<'a>, Verdict)> {
    match M::send(way, skb, len)? {
        true => Ok(Ok(())),
        false => Ok(Err(Verdict::DroppedNoRoute)),
    }
}

/// Sends a packet that was made here.
fn transmit_own<M: Manner>(way: Way<'_, M>, own: Own, len: usize) -> Result<(), Verdict> {
    own.hand_over(|skb| transmit(way, skb, len))?
}

/// Sends what fits now.
fn whole<'a, M: Manner>(way: Way<'_, M>, skb: Skb<'a>) -> Outcome<'a> {
    match transmit(way, skb, way.manner.packet().len) {
        Ok(sent) => {
            way.stats.count(sent.err().unwrap_or(way.manner.verdict()));
            Outcome::Stolen
        }
        Err((skb, verdict)) => refuse(way.stats, skb, verdict),
    }
}

fn too_long<'a, M: Manner>(way: Way<'_, M>, mut skb: Skb<'a>) -> Outcome<'a> {
    let len = way.manner.packet().len;
    if let Some(ip_len) = way.tcp_to_segment(&skb, len) {
        if skb.is_gso() && skb.has_frag_list() {
            return apart(way, skb);
        }
        if skb.segment_tcp(ip_len, len, way.room(), way.hook.family) {
            way.stats.count_segmented();
            return whole(way, skb);
        }
    }
    if way.cut(&skb, len).is_none() {
        way.tell(&skb);
        return refuse(way.stats, skb, Verdict::DroppedTooBig);
    }
    if skb.is_gso() {
        // The client's own packets come first: only those are its to be cut.
        return apart(way, skb);
    }
    let sent = match skb.finish_checksum() {
        Ok(()) => way.pieces(&skb, len),
        Err(_) => Err(Verdict::DroppedNoMemory),
    };
    match sent {
        Ok(()) => {
            way.stats.count(way.manner.verdict());
            skb.consume();
            Outcome::Stolen
        }
        Err(verdict) => refuse(way.stats, skb, verdict),
    }
}

/// Sends the packets of an aggregate one by one. The aggregate counts as one packet: the first that does not go ends it.
fn apart<'a, M: Manner>(way: Way<'_, M>, skb: Skb<'a>) -> Outcome<'a> {
    let packets = match Segments::of(skb) {
        Ok(packets) => packets,
        Err((skb, Whole::NoMemory)) => return refuse(way.stats, skb, Verdict::DroppedNoMemory),
        Err((skb, Whole::Wrong)) => return refuse(way.stats, skb, Verdict::DroppedLro),
    };
    let way = way.of_part();
    let sent = packets.into_iter().try_for_each(|packet| way.one(packet));
    way.stats.count(sent.err().unwrap_or(way.manner.verdict()));
    Outcome::Stolen
}

impl<M: Manner> Way<'_, M> {
    /// The way of a part of the packet.
    fn of_part(self) -> Self {
        Self {
            manner: self.manner.of_part(),
            ..self
        }
    }

    /// Bytes that are left for the client's packet.
    fn room(self) -> usize {
        (self.path.mtu() as usize).saturating_sub(self.manner.added())
    }

    /// Sends one packet of an aggregate.
    fn one(self, mut packet: Own) -> Result<(), Verdict> {
        let len = packet.len();
        match self.path.fits(&packet, self.manner.added()) {
            Fit::Whole => {}
            Fit::TooLong => {
                let ip_len = self.tcp_to_segment(&packet, len);
                let (room, inner) = (self.room(), self.hook.family);
                if !ip_len.is_some_and(|ip_len| packet.segment_tcp(ip_len, len, room, inner)) {
                    return self.pieces_or_tell(&packet, len);
                }
                self.stats.count_segmented();
            }
            // An aggregate that was taken apart is no aggregate.
            Fit::Apart | Fit::Never => return Err(Verdict::DroppedLro),
        }
        transmit_own(self, packet, len)
    }

    /// Length of the IP header of a packet of `len` bytes that may be cut into shorter TCP packets.
    fn tcp_to_segment(self, skb: &Skb<'_>, len: usize) -> Option<usize> {
        let packet = self.manner.packet();
        match (self.config.segment_tcp, packet.kind, packet.fragment) {
            (true, Kind::Flow(Proto::Tcp), None) => tcp_offset(View::new(skb.linear(), len)),
            _ => None,
        }
    }

    fn cut(self, packet: &Skb<'_>, len: usize) -> Option<Cut> {
        Cut::new(View::new(packet.linear(), len), len, self.room())
    }

    fn pieces_or_tell(self, packet: &Skb<'_>, len: usize) -> Result<(), Verdict> {
        let sent = self.pieces(packet, len);
        if sent == Err(Verdict::DroppedTooBig) {
            self.tell(packet);
        }
        sent
    }

    /// Sends a packet of `len` bytes in pieces; the verdict of the first that did not go ends it.
    fn pieces(self, packet: &Skb<'_>, len: usize) -> Result<(), Verdict> {
        let cut = self.cut(packet, len).ok_or(Verdict::DroppedTooBig)?;
        let head = cut.header_len();
        let way = Self {
            manner: self.manner.of_piece(len.wrapping_sub(head)),
            ..self
        };
        let mut start = 0;
        while let Some(part) = cut.piece(start) {
            let room = self.manner.added();
            let mut own =
                piece(packet, self.path, room, head, &part).ok_or(Verdict::DroppedNoMemory)?;
            own.head(head)
                .and_then(|header| cut.write(header, &part))
                .ok_or(Verdict::DroppedTooBig)?;
            let len = head.wrapping_add(part.len);
            transmit_own(way, own, len)?;
            self.stats.count_fragment();
            start = start.wrapping_add(part.len);
        }
        Ok(())
    }

    /// Tells the sender what fits: the client, by the address that it has asked; a backend whose answer it is, by this machine's
    /// own. For an ICMP error or an echo nobody is told: the first would be an error about an error, and the second has no flow
    /// that could adapt.
    fn tell(self, skb: &Skb<'_>) {
        let is_answer = match self.manner.verdict() {
            Verdict::Encapsulated => false,
            Verdict::Returned => true,
            _ => return,
        };
        if !self.stats.may_tell() {
            return;
        }
        let addrs = self.manner.packet().key.addrs;
        let (sender, receiver) = match addrs {
            Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
            Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
        };
        let family = self.hook.family;
        let flow = match family {
            Family::V4 => Flow::icmp_error(family, 3, 4),
            Family::V6 => Flow::icmp_error(family, 2, 0),
        };
        let teller = (!is_answer).then_some(receiver);
        let Some(path) = Path::between(self.hook, skb, flow, sender, teller) else {
            return;
        };
        let addrs = match (addrs, path.source()) {
            (Addrs::V4 { src, .. }, Addr::V4(dst)) => Addrs::V4 { src, dst },
            (Addrs::V6 { src, .. }, Addr::V6(dst)) => Addrs::V6 { src, dst },
            _ => return,
        };
        let mut answer = [0; MAX_TOO_BIG_LEN];
        let view = View::new(skb.linear(), skb.len());
        let told = too_big(view, &addrs, self.room(), &mut answer)
            .and_then(|len| answer.get(..len))
            .is_some_and(|answer| send_own(self.hook.net, skb, &path, family, answer));
        if told {
            self.stats.count_told();
        }
    }
}
