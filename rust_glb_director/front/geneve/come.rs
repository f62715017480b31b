// SPDX-License-Identifier: GPL-2.0

//! A packet that comes in: out of its header, and up the stack as if it had come so.
//!
//! Nothing of the packet is changed before it is known to be wanted. Its header is remembered then, for the way back.

#![forbid(unsafe_code)]

use super::flow::{find, Flow, NoMemory, MAX_PULLS};
use crate::gateway::memory::Direction;
use crate::gateway::Device;
use crate::state::State;
use glb_core::counter::Fate;
use glb_core::geneve::flows::{Found, Part, Tuple, Turn};
use glb_core::geneve::{inspect, Envelope, Mark, Narrow, Opened, Packet, Settings, Stop, Verdict};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::{Ends, Flow as Connection};
use glb_core::packet::ip::{proto, Addrs, Family};
use glb_core::packet::valid::is_host;
use glb_core::packet::view::{Short, View};
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::netdev;
use glb_kernel::packet::skb::Skb;
use glb_kernel::packet::strip::Invalid;
use glb_kernel::sockets::decap::Device as Domain;
use glb_kernel::sockets::{here, tcp, udp};

/// The handler of packets that come in.
pub(in crate::front) struct Come;

impl netdev::Ingress for Come {
    type State = State;
    type Device = Option<Device>;

    fn other_host(state: &State) {
        state.gateway_stats().came(Verdict::PassedOtherHost);
    }

    #[inline]
    fn handle<'a>(
        state: &State,
        device: &Option<Device>,
        hook: &Hook<'_>,
        mut skb: Skb<'a>,
    ) -> Outcome<'a> {
        let stats = state.gateway_stats();
        let admitted = device
            .as_ref()
            .ok_or(Verdict::PassedNotGeneve)
            .and_then(|device| admit(state, hook, device, &mut skb));
        let verdict = match admitted {
            Ok((opened, mark)) => match skb.strip(opened.inner_at, opened.inner, mark) {
                Ok(inner) => {
                    stats.came(Verdict::Accepted);
                    return Outcome::Accept(inner);
                }
                Err(whole) => {
                    skb = whole;
                    Verdict::DroppedNoMemory
                }
            },
            Err(verdict) => verdict,
        };
        stats.came(verdict);
        if let (Verdict::PassedNotGeneve, Some(device)) = (verdict, device) {
            believe(hook, device, &mut skb);
        }
        match verdict.fate() {
            Fate::Pass | Fate::Mark => Outcome::Accept(skb),
            Fate::Send | Fate::Drop => Outcome::Drop(skb),
        }
    }
}

/// Whether the packet inside is to go up, and with which congestion mark: checks all of it, and remembers its header.
#[inline]
fn admit(
    state: &State,
    hook: &Hook<'_>,
    device: &Device,
    skb: &mut Skb<'_>,
) -> Result<(Opened, Option<Mark>), Verdict> {
    let wanted = &device.wanted;
    // A tag leads to a device of its own.
    if skb.is_tagged() {
        return Err(Verdict::PassedNotGeneve);
    }
    let opened = open(hook, skb, &wanted.settings)
        .map_err(|verdict| unless_elsewhere(hook, skb, verdict))?;
    // What goes to another machine is not to be opened here; and the answer's source will be this address.
    if !to_here(hook, device, skb, &opened) {
        return Err(Verdict::PassedNotGeneve);
    }
    if skb.is_udp_gso() {
        return Err(Verdict::DroppedAggregate);
    }
    skb.validate_udp(opened.udp, opened.end, hook.family)
        .map_err(|invalid| match invalid {
            Invalid::Checksum => Verdict::DroppedChecksum,
            Invalid::Length => Verdict::DroppedAggregate,
            Invalid::NoMemory => Verdict::DroppedNoMemory,
        })?;
    let mark = opened.mark(&packet(hook, skb))?;
    let spot = (opened.inner_at, opened.end);
    let flow = find(skb, spot, opened.inner, state.stats())
        .map_err(|NoMemory| Verdict::DroppedNoMemory)?;
    let is_wanted = || match &flow {
        Some(flow) => is_here(hook, device, skb, &flow.tuple),
        None => is_early(hook, skb, spot, opened.inner),
    };
    if !wanted.pass && !is_wanted() {
        return Err(Verdict::DroppedNoSocket);
    }
    if flow.is_some_and(|flow| is_disguised(hook, device, skb, &flow.tuple)) {
        return Err(Verdict::DroppedInner);
    }
    let memory = &device.memory;
    // An error comes in a header of its own, which is not that of the flow that it is about.
    if let Some(Flow {
        tuple,
        turn,
        is_error: false,
    }) = flow
    {
        if let Some(envelope) = Envelope::of(&packet(hook, skb), &opened) {
            if !memory.record(opened.ids.endpoint, (&tuple, turn), &envelope) {
                return Err(Verdict::DroppedNoRoom);
            }
        }
    }
    memory.count(opened.ids.endpoint, Direction::Came, opened.inner_len);
    Ok((opened, mark))
}

/// What becomes of a packet that cannot be opened: on its way to another machine it is that one's to judge.
#[cold]
fn unless_elsewhere(hook: &Hook<'_>, skb: &Skb<'_>, verdict: Verdict) -> Verdict {
    // Most of what comes is not Geneve at all.
    if matches!(verdict, Verdict::PassedNotGeneve) {
        return verdict;
    }
    let addrs = Addrs::read(View::new(skb.linear(), skb.len()), 0, hook.family);
    match addrs.map(|addrs| destination(&addrs)) {
        Ok(to) if !(is_host(&to) && here::is_local(hook, skb, &to)) => Verdict::PassedNotGeneve,
        _ => verdict,
    }
}

/// Whether the inner packet is Geneve again and says that it is from this machine: passed on, it would look as if it had been sent
/// from here in a header ([`super::back`]).
#[inline]
fn is_disguised(hook: &Hook<'_>, device: &Device, skb: &Skb<'_>, tuple: &Tuple) -> bool {
    tuple.proto == proto::UDP
        && tuple.dst_port == device.wanted.settings.port
        && here::is_local(hook, skb, &source(&tuple.addrs))
}

/// Whether the inner packet is a fragment for an address of this machine that comes before the first one, which has the ports. The
/// stack puts the datagram together, and it is nobody's without the first one, which is asked for its socket.
#[cold]
fn is_early(hook: &Hook<'_>, skb: &Skb<'_>, (at, end): (usize, usize), family: Family) -> bool {
    let view = View::new(skb.linear(), skb.len()).limit(end);
    match Part::read(view, at, family) {
        Ok(Some(Part::Later(addrs, ..))) => here::is_local(hook, skb, &destination(&addrs)),
        _ => false,
    }
}

/// The packet as the core sees it.
#[inline]
fn packet<'s>(hook: &Hook<'_>, skb: &'s Skb<'_>) -> Packet<'s> {
    Packet {
        view: View::new(skb.linear(), skb.len()),
        outer: hook.family,
    }
}

/// Reads the headers, making them linear where the core asks for it.
#[inline]
fn open(hook: &Hook<'_>, skb: &mut Skb<'_>, settings: &Settings) -> Result<Opened, Verdict> {
    for _ in 0..MAX_PULLS {
        match inspect(&packet(hook, skb), settings) {
            Ok(opened) => return Ok(opened),
            Err(Stop::Decided(verdict)) => return Err(verdict),
            Err(Stop::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Err(Verdict::PassedNotGeneve)
}

/// Of a packet that is not Geneve: if a router tells here that a packet in its header was too big for it, the route to the load
/// balancer has its MTU from now on. The kernel itself does this but for IPv4 in a routing domain, where it looks for the route
/// outside the domain; and the packet goes on to it.
#[inline]
fn believe(hook: &Hook<'_>, device: &Device, skb: &mut Skb<'_>) {
    let is_icmp = hook.family == Family::V4 && matches!(skb.linear().get(9), Some(&proto::ICMP));
    if is_icmp && Domain::of(skb).is_slave() && !skb.is_tagged() {
        narrow(hook, device, skb);
    }
}

#[cold]
fn narrow(hook: &Hook<'_>, device: &Device, skb: &mut Skb<'_>) {
    let settings = &device.wanted.settings;
    for _ in 0..MAX_PULLS {
        let view = View::new(skb.linear(), skb.len());
        let error = match Narrow::read(view, settings.port) {
            Ok(Some(error)) => error,
            Ok(None) => return,
            Err(Short::NeedLinear(len)) if skb.pull(len).is_ok() => continue,
            Err(_) => return,
        };
        // It is about a packet from here to a load balancer, in the header that its flow has: who has not seen one cannot say so.
        let Addrs::V4 { src, .. } = error.about else {
            return;
        };
        let is_ours = here::is_local(hook, skb, &Addr::V4(error.to))
            && here::is_local(hook, skb, &Addr::V4(src))
            && settings.senders.allows(&error.about.reversed())
            && match device.memory.find(&error.flow, Turn::Reports) {
                Found::Header(held) => {
                    let all = held.unpack();
                    all.is_some_and(|all| error.is_about(&all.envelope()))
                }
                Found::Nothing | Found::Several | Found::Busy => false,
            };
        if is_ours && skb.is_right(&error) {
            skb.narrow_path(hook.net, &error);
        }
        return;
    }
}

/// Whether the outer packet ends here.
#[inline]
fn to_here(hook: &Hook<'_>, device: &Device, skb: &Skb<'_>, opened: &Opened) -> bool {
    let to = destination(&opened.outer);
    is_host(&to) && device.memory.locals.has(hook, skb, &to)
}

#[cold]
fn source(addrs: &Addrs) -> Addr {
    match *addrs {
        Addrs::V4 { src, .. } => Addr::V4(src),
        Addrs::V6 { src, .. } => Addr::V6(src),
    }
}

#[inline]
fn destination(addrs: &Addrs) -> Addr {
    match *addrs {
        Addrs::V4 { dst, .. } => Addr::V4(dst),
        Addrs::V6 { dst, .. } => Addr::V6(dst),
    }
}

/// Whether this machine is the end of the flow: by a socket of TCP or UDP, by its address for anything else.
#[inline]
fn is_here(hook: &Hook<'_>, device: &Device, skb: &Skb<'_>, tuple: &Tuple) -> bool {
    let domain = Domain::of(skb);
    let flow = connection(tuple);
    // A socket that listens on all addresses listens on those of this machine.
    let locals = &device.memory.locals;
    let is_local = || locals.has(hook, skb, &destination(&tuple.addrs));
    match tuple.proto {
        proto::TCP => {
            tcp::is_established(hook.net, &flow, domain)
                || is_local()
                    && (tcp::listens(hook.net, &flow, domain)
                        || tcp::has_listener(hook.net, &flow, domain))
        }
        proto::UDP => is_local() && udp::has_socket(hook.net, &flow, domain),
        _ => is_local(),
    }
}

/// A flow as look-ups of sockets want it.
#[inline]
fn connection(tuple: &Tuple) -> Connection<'_> {
    let (client_port, vip_port) = (tuple.src_port, tuple.dst_port);
    match &tuple.addrs {
        Addrs::V4 { src, dst } => Connection::V4(Ends {
            client: src,
            vip: dst,
            client_port,
            vip_port,
        }),
        Addrs::V6 { src, dst } => Connection::V6(Ends {
            client: src,
            vip: dst,
            client_port,
            vip_port,
        }),
    }
}
