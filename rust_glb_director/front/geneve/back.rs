// SPDX-License-Identifier: GPL-2.0

//! A packet that leaves: into the header of its flow, and to the load balancer.
//!
//! The stack has chosen the device for the packet as it is, and its neighbour. In the header it goes elsewhere, so it is routed anew
//! and sent as the director sends: by the route's device to its neighbour. If that is a device with this role, the packet comes here
//! again, and is known by its header.

#![forbid(unsafe_code)]

use super::flow::{find, Flow as Found, NoMemory, MAX_PULLS};
use crate::gateway::memory::{Direction, Memory};
use crate::gateway::Device;
use crate::state::State;
use glb_core::counter::Fate;
use glb_core::director::{Cut, Gso, Layout};
use glb_core::geneve::back::Verdict;
use glb_core::geneve::flows::{self, Held};
use glb_core::geneve::{inspect, Letter, Packet, Senders, Settings, Stop};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::{proto, tos, Addrs, Family};
use glb_core::packet::view::View;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::netdev;
use glb_kernel::out::cut::{piece, Segments, Whole};
use glb_kernel::out::encap::{prepare, Header};
use glb_kernel::out::path::{Fit, Flow, Path};
use glb_kernel::packet::own::Own;
use glb_kernel::packet::skb::Skb;
use glb_kernel::sockets::here;

/// What every path has room for, of IPv6 (RFC 8200, section 5).
const IPV6_MIN_MTU: usize = 1280;

/// The handler of packets that leave.
pub(in crate::front) struct Back;

impl netdev::Egress for Back {
    type State = State;
    type Device = Option<Device>;

    fn own(state: &State) {
        state.gateway_stats().left(Verdict::PassedGeneve);
    }

    fn other(state: &State) {
        state.gateway_stats().left(Verdict::PassedOther);
    }

    #[inline]
    fn handle<'a>(
        state: &State,
        device: &Option<Device>,
        hook: &Hook<'_>,
        mut skb: Skb<'a>,
    ) -> Outcome<'a> {
        let (outcome, verdict) = match device {
            Some(device) => match seek(state, hook, device, &mut skb) {
                Ok(held) => send(hook, skb, &held, &device.memory),
                Err(verdict) => end(skb, verdict),
            },
            None => end(skb, Verdict::PassedNoFlow),
        };
        state.gateway_stats().left(verdict);
        outcome
    }
}

/// The end of a packet that is not sent in a header.
fn end(skb: Skb<'_>, verdict: Verdict) -> (Outcome<'_>, Verdict) {
    match verdict.fate() {
        Fate::Pass | Fate::Mark => (Outcome::Accept(skb), verdict),
        Fate::Send | Fate::Drop => (Outcome::Drop(skb), verdict),
    }
}

/// The header for the packet.
#[inline]
fn seek(
    state: &State,
    hook: &Hook<'_>,
    device: &Device,
    skb: &mut Skb<'_>,
) -> Result<Held, Verdict> {
    let len = skb.len();
    let flow = find(skb, (0, len), hook.family, state.stats())
        .map_err(|NoMemory| Verdict::DroppedNoMemory)?;
    let Some(flow) = flow else {
        return Err(without(hook, device, skb));
    };
    if is_geneve(hook, device, skb, &flow)? {
        return Err(Verdict::PassedGeneve);
    }
    match device.memory.find(&flow.tuple, flow.turn) {
        flows::Found::Header(held) => Ok(held),
        flows::Found::Nothing => Err(without(hook, device, skb)),
        flows::Found::Several => Err(Verdict::DroppedSeveral),
        flows::Found::Busy => Err(Verdict::DroppedBusy),
    }
}

/// Whether the packet is one that was sent from here, in its header. A client, too, can send Geneve, which is passed on like all else:
/// what is from here has an address of this machine as its source, and no packet that is passed on does (`come`).
#[inline]
fn is_geneve(
    hook: &Hook<'_>,
    device: &Device,
    skb: &mut Skb<'_>,
    flow: &Found,
) -> Result<bool, Verdict> {
    let settings = &device.wanted.settings;
    if flow.tuple.proto != proto::UDP || flow.tuple.dst_port != settings.port || flow.is_error {
        return Ok(false);
    }
    let settings = Settings {
        senders: Senders::ANY,
        ..*settings
    };
    for _ in 0..MAX_PULLS {
        let packet = Packet {
            view: View::new(skb.linear(), skb.len()),
            outer: hook.family,
        };
        match inspect(&packet, &settings) {
            Ok(opened) => return Ok(is_from_here(hook, skb, &opened.outer)),
            Err(Stop::Decided(_)) => return Ok(false),
            Err(Stop::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Ok(false)
}

#[cold]
fn is_from_here(hook: &Hook<'_>, skb: &Skb<'_>, addrs: &Addrs) -> bool {
    match *addrs {
        Addrs::V4 { src, .. } => here::is_local(hook, skb, &Addr::V4(src)),
        Addrs::V6 { src, .. } => here::is_local(hook, skb, &Addr::V6(src)),
    }
}

/// What becomes of a packet without a header. What this machine sends from the device's own address, as it answers health checks,
/// and what is for its link alone never has one.
#[cold]
fn without(hook: &Hook<'_>, device: &Device, skb: &Skb<'_>) -> Verdict {
    if !device.wanted.strict {
        return Verdict::PassedNoFlow;
    }
    let addrs = Addrs::read(View::new(skb.linear(), skb.len()), 0, hook.family);
    let is_own = match addrs {
        Ok(Addrs::V4 { src, dst: [d0, ..] }) => {
            d0 >= 224 || here::is_of_device(hook, skb, &Addr::V4(src))
        }
        Ok(Addrs::V6 {
            src,
            dst: [d0, d1, ..],
        }) => {
            let is_of_link = |a: u8, b: u8| a == 0xfe && b & 0xc0 == 0x80;
            let [s0, s1, ..] = src;
            d0 == 0xff
                || is_of_link(d0, d1)
                || is_of_link(s0, s1)
                || here::is_of_device(hook, skb, &Addr::V6(src))
        }
        Err(_) => false,
    };
    match is_own {
        true => Verdict::PassedNoFlow,
        false => Verdict::DroppedNoFlow,
    }
}

/// What the hook answers of a packet that is gone: its sender hears of it if it was lost.
fn gone<'a>(verdict: Verdict) -> (Outcome<'a>, Verdict) {
    match verdict.fate() {
        Fate::Send | Fate::Mark | Fate::Pass => (Outcome::Stolen, verdict),
        Fate::Drop => (Outcome::Lost, verdict),
    }
}

/// Sends the packet in this header.
#[inline]
fn send<'a>(hook: &Hook<'_>, skb: Skb<'a>, held: &Held, memory: &Memory) -> (Outcome<'a>, Verdict) {
    let (to, from, outer) = match held.outer() {
        Some(Addrs::V4 { src, dst }) => (Addr::V4(src), Addr::V4(dst), Family::V4),
        Some(Addrs::V6 { src, dst }) => (Addr::V6(src), Addr::V6(dst), Family::V6),
        // No entry has such words.
        None => return end(skb, Verdict::DroppedNoRoute),
    };
    // The first bytes have been read, so they are there.
    let tos = tos(View::new(skb.linear(), skb.len()), hook.family).unwrap_or_default();
    let [p0, p1, p2, p3] = held.ports();
    let ports = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([p2, p3]));
    // No route depends on ECN.
    let flow = Flow::tunnel(proto::UDP, ports, tos & !3);
    let Some(path) = Path::of_pair(hook, &memory.routes, &skb, flow, (to, from)) else {
        return end(skb, Verdict::DroppedNoRoute);
    };
    let way = Way {
        hook,
        path: &path,
        held,
        header: Header {
            layout: Layout {
                len: held.header_len(),
                proto: proto::UDP,
                gso: Gso::Udp {
                    checksum: held.has_checksum(),
                },
                inherits: true,
            },
            outer,
            inner: hook.family,
        },
        tos,
    };
    let bytes = skb.len();
    let (outcome, verdict) = match path.fits(&skb, held.header_len()) {
        Fit::Whole => way.whole(skb, false),
        Fit::TooLong => way.too_long(skb),
        Fit::Apart | Fit::Never => way.apart(skb),
    };
    if verdict == Verdict::Returned {
        memory.count(held.endpoint(), Direction::Left, bytes);
    }
    (outcome, verdict)
}

/// A header, and where it leads.
struct Way<'w, 'h> {
    hook: &'w Hook<'h>,
    path: &'w Path,
    held: &'w Held,
    header: Header,
    tos: u8,
}

impl Way<'_, '_> {
    /// Sends the packet; one that is too long for the path only if it `cuts` it, header and all.
    fn whole<'a>(&self, skb: Skb<'a>, cuts: bool) -> (Outcome<'a>, Verdict) {
        match self.transmit(skb, cuts) {
            Ok(verdict) => gone(verdict),
            Err((skb, verdict)) => end(skb, verdict),
        }
    }

    /// The packet is gone, and the verdict says whether it went; or it is given back.
    #[inline]
    fn transmit<'a>(&self, skb: Skb<'a>, cuts: bool) -> Result<Verdict, (Skb<'a>, Verdict)> {
        let letter = Letter {
            len: skb.len(),
            tos: self.tos,
        };
        let mut prepared = prepare(skb, self.path, letter.len, self.header)
            .map_err(|skb| (skb, Verdict::DroppedNoMemory))?;
        let is_written = self.held.write_back(&letter, prepared.header()).is_some();
        let sent = prepared.send_known(self.hook.net, self.path, cuts, is_written);
        Ok(match sent {
            true => Verdict::Returned,
            false => Verdict::DroppedNoRoute,
        })
    }

    /// Bytes that are left for the packet.
    fn room(&self) -> usize {
        (self.path.mtu() as usize).saturating_sub(self.held.header_len())
    }

    /// What the sender of a packet that does not fit is told: no IPv6 sender takes less than [`IPV6_MIN_MTU`].
    fn told(&self) -> usize {
        match self.hook.family {
            Family::V4 => self.room(),
            Family::V6 => self.room().max(IPV6_MIN_MTU),
        }
    }

    /// Whether the packet, or each packet of an aggregate, is as short as its sender could be told: then it leaves nevertheless, and it
    /// is the packet around it that is fragmented.
    fn is_short(&self, skb: &Skb<'_>) -> bool {
        // The cast is exact: an MTU has 32 bits.
        self.told() > self.room() && Fit::of(skb, self.told() as u32) == Fit::Whole
    }

    /// Sends an IPv4 packet that may be fragmented in pieces, each in the header, and a short IPv6 packet in fragments; of another
    /// one the sender is told what fits.
    #[cold]
    fn too_long<'a>(&self, mut skb: Skb<'a>) -> (Outcome<'a>, Verdict) {
        let is_short = self.is_short(&skb);
        if !is_short && self.cut(&skb).is_none() {
            self.tell(&skb);
            return end(skb, Verdict::DroppedTooBig);
        }
        if skb.is_gso() {
            // The sender's own packets come first: only those are its to be cut.
            return self.apart(skb);
        }
        if skb.finish_checksum().is_err() {
            return end(skb, Verdict::DroppedNoMemory);
        }
        if is_short {
            return self.whole(skb, true);
        }
        match self.pieces(&skb) {
            Ok(()) => {
                skb.consume();
                gone(Verdict::Returned)
            }
            Err(verdict) => end(skb, verdict),
        }
    }

    fn tell(&self, skb: &Skb<'_>) {
        // The cast is exact: an MTU has 32 bits.
        skb.tell_too_big(self.told() as u32, self.hook.family);
    }

    /// How the packet is cut, if it may be.
    fn cut(&self, packet: &Skb<'_>) -> Option<Cut> {
        let len = packet.len();
        Cut::new(View::new(packet.linear(), len), len, self.room())
    }

    /// Sends a packet in pieces; the verdict of the first that did not go ends it.
    fn pieces(&self, packet: &Skb<'_>) -> Result<(), Verdict> {
        let cut = self.cut(packet).ok_or(Verdict::DroppedTooBig)?;
        let head = cut.header_len();
        let mut start = 0;
        while let Some(part) = cut.piece(start) {
            let room = self.held.header_len();
            let mut own =
                piece(packet, self.path, room, head, &part).ok_or(Verdict::DroppedNoMemory)?;
            own.head(head)
                .and_then(|header| cut.write(header, &part))
                .ok_or(Verdict::DroppedTooBig)?;
            self.transmit_own(own, false)?;
            start = start.wrapping_add(part.len);
        }
        Ok(())
    }

    /// Sends a packet that was made here.
    fn transmit_own(&self, own: Own, cuts: bool) -> Result<(), Verdict> {
        match own.hand_over(|skb| self.transmit(skb, cuts))? {
            Verdict::Returned => Ok(()),
            verdict => Err(verdict),
        }
    }

    /// Sends the packets of an aggregate one by one. It counts as one packet: the first that does not go ends it. Its sender hears of a
    /// loss only where none went: it would take those that went for lost too, and not understand the answers to them.
    #[cold]
    fn apart<'a>(&self, skb: Skb<'a>) -> (Outcome<'a>, Verdict) {
        let packets = match Segments::of(skb) {
            Ok(packets) => packets,
            Err((skb, Whole::NoMemory)) => return end(skb, Verdict::DroppedNoMemory),
            Err((skb, Whole::Wrong)) => return end(skb, Verdict::DroppedMalformed),
        };
        let mut went = false;
        for packet in packets {
            match self.one(packet) {
                Ok(()) => went = true,
                Err(verdict) if went => return (Outcome::Stolen, verdict),
                Err(verdict) => return gone(verdict),
            }
        }
        gone(Verdict::Returned)
    }

    /// Sends one packet of an aggregate.
    fn one(&self, packet: Own) -> Result<(), Verdict> {
        if self.path.fits(&packet, self.held.header_len()) == Fit::Whole {
            return self.transmit_own(packet, false);
        }
        if self.is_short(&packet) {
            return self.transmit_own(packet, true);
        }
        if self.cut(&packet).is_none() {
            self.tell(&packet);
        }
        self.pieces(&packet)
    }
}
