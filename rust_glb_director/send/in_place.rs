// SPDX-License-Identifier: GPL-2.0

//! Packets that leave with nothing in front: to another destination, or from another source.

#![forbid(unsafe_code)]

use super::refuse::refuse;
use super::uncommon::{self, Case};
use super::way::{Journey, Manner, Way};
use super::Own;
use glb_core::director::rewrite::{Change, Edit, End, Spot, Unchanged};
use glb_core::director::{Candidate, Kind, Verdict};
use glb_core::packet::ip::{proto, Addrs, Family};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::out::path::{Fit, Flow, Path};
use glb_kernel::out::rewrite::writable;
use glb_kernel::packet::skb::Skb;

/// How often headers are made linear at most: those that stand in front of the transport header's checksum, or of that of the
/// packet inside an ICMP error. Each round gets further than the one before.
const MAX_PULLS: usize = 32;

/// What changes in a packet.
#[derive(Clone, Copy)]
pub(super) struct InPlace {
    pub(super) packet: Candidate,
    /// The verdict if it is sent.
    pub(super) verdict: Verdict,
    pub(super) change: Change,
    /// Where it stands; `None` for a part of a packet, in which it has not been looked for.
    pub(super) spot: Option<Spot>,
    /// Of a piece of a packet that was cut here, the bytes that the packet had behind its IP header.
    pub(super) whole: Option<usize>,
}

/// Where in a packet of `len` bytes that stands which changes. Headers are made linear as the core asks for them.
#[inline(always)]
pub(super) fn find(
    skb: &mut Skb<'_>,
    family: Family,
    len: usize,
    (edit, whole): (Edit, Option<usize>),
) -> Result<Spot, Verdict> {
    for _ in 0..MAX_PULLS {
        let view = View::new(skb.linear(), skb.len()).limit(len);
        match Spot::find_in(view, family, edit, whole) {
            Ok(spot) => return Ok(spot),
            Err(Unchanged::Ends(verdict)) => return Err(verdict),
            Err(Unchanged::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Err(Verdict::PassedUnknownFormat)
}

/// What changes in a common packet.
#[derive(Clone, Copy)]
pub(super) struct InCommon {
    pub(super) packet: Candidate,
    /// The verdict if it is sent.
    pub(super) verdict: Verdict,
    pub(super) change: Change,
    pub(super) spot: Spot,
}

impl InCommon {
    /// Where in the packet stands what `edit` changes, if that is said in few steps.
    #[inline(always)]
    pub(super) fn spot(
        skb: &Skb<'_>,
        family: Family,
        packet: &Candidate,
        edit: Edit,
    ) -> Option<Spot> {
        let Kind::Flow(proto) = packet.kind else {
            return None;
        };
        let view = View::new(skb.linear(), skb.len()).limit(packet.len);
        Spot::of_common(view, family, edit, proto)
    }

    /// The same as what changes in any packet.
    #[inline(always)]
    pub(super) fn any(self) -> InPlace {
        InPlace {
            packet: self.packet,
            verdict: self.verdict,
            change: self.change,
            spot: Some(self.spot),
            whole: None,
        }
    }
}

/// As [`super::dispatch`], and all of it is in registers here, too: what of a packet's parts is to be looked for again is put
/// together where it has any.
#[inline(always)]
pub(super) fn dispatch<'a>(
    own: Own<'_>,
    hook: Hook<'_>,
    path: Path,
    manner: InCommon,
    skb: Skb<'a>,
) -> Outcome<'a> {
    match path.fits(&skb, 0) {
        Fit::Whole => {}
        fit => {
            let journey = Journey {
                stats: own.stats,
                hook,
                config: own.config,
                path,
                manner: manner.any(),
            };
            return uncommon::handle(Case { journey, fit }, skb);
        }
    }
    let (len, family) = (manner.packet.len, hook.family);
    let mut writable = match writable(skb, &path, len, (&manner.spot, family)) {
        Ok(writable) => writable,
        Err(skb) => return refuse(own.stats, skb, Verdict::DroppedNoMemory),
    };
    let (head, sum) = writable.head();
    let is_written = manner.spot.write(head, &manner.change, sum).is_some();
    let mac = own.config.gateway_mac.as_ref();
    match (
        writable.send(hook.net, &path, mac, is_written),
        manner.change.end,
    ) {
        (true, End::Destination) => own.stats.count_sent(manner.verdict, len),
        (true, End::Source) => {
            own.stats.count(manner.verdict);
            own.stats.count_returned(len);
        }
        (false, _) => own.stats.count(Verdict::DroppedNoRoute),
    }
    Outcome::Stolen
}

/// What the route of a packet depends on, beside its addresses. A cache has the routes of packets with `kept_tos`.
#[inline(always)]
pub(super) fn flow(packet: &Candidate, tos: u8, kept_tos: u8) -> Flow {
    let is_v6 = matches!(packet.key.addrs, Addrs::V6 { .. });
    let icmp = |v4: [u8; 2], v6: [u8; 2]| match is_v6 {
        false => (proto::ICMP, (0, u16::from_be_bytes(v4))),
        true => (proto::ICMPV6, (0, u16::from_be_bytes(v6))),
    };
    let (proto, ports) = match packet.kind {
        Kind::Flow(proto) | Kind::LaterFragment(proto) => {
            (proto.number(), (packet.key.src_port, packet.key.dst_port))
        }
        Kind::Portless(number) => (number, (0, 0)),
        // "Fragmentation needed" and "packet too big".
        Kind::IcmpError(_) | Kind::PortlessIcmpError(_) => icmp([3, 4], [2, 0]),
        // For all of them, which no rule tells apart in practice: "destination unreachable".
        Kind::IcmpFailure(_) | Kind::EchoIcmpError => icmp([3, 0], [1, 0]),
        Kind::Echo => icmp([8, 0], [128, 0]),
    };
    Flow::passed_on(proto, ports, tos, kept_tos)
}

impl Manner for InPlace {
    #[inline(always)]
    fn packet(&self) -> &Candidate {
        &self.packet
    }

    #[inline(always)]
    fn verdict(self) -> Verdict {
        self.verdict
    }

    #[inline(always)]
    fn added(self) -> usize {
        0
    }

    #[inline(always)]
    fn is_answer(self) -> bool {
        matches!(self.change.end, End::Source)
    }

    #[inline(always)]
    fn of_part(self) -> Self {
        Self {
            spot: None,
            whole: None,
            ..self
        }
    }

    fn of_piece(self, whole: usize) -> Self {
        Self {
            spot: None,
            whole: Some(whole),
            ..self
        }
    }

    #[inline(always)]
    fn send<'a>(
        way: Way<'_, Self>,
        mut skb: Skb<'a>,
        len: usize,
    ) -> Result<bool, (Skb<'a>, Verdict)> {
        let family = way.hook.family;
        let change = &way.manner.change;
        let found = match way.manner.spot {
            Some(spot) => Ok(spot),
            None => find(&mut skb, family, len, (change.edit, way.manner.whole)),
        };
        let spot = match found {
            Ok(spot) => spot,
            Err(verdict) => return Err((skb, verdict)),
        };
        let mut writable = match writable(skb, way.path, len, (&spot, family)) {
            Ok(writable) => writable,
            Err(skb) => return Err((skb, Verdict::DroppedNoMemory)),
        };
        let (head, sum) = writable.head();
        let is_written = spot.write(head, change, sum).is_some();
        Ok(writable.send(way.hook.net, way.path, way.mac(), is_written))
    }
}
