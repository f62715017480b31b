// SPDX-License-Identifier: GPL-2.0

//! The way back of what was translated: a backend's packet gets the VIP's address and port as its source.
//!
//! No state is needed: backend, protocol and port name the service, as tables in which they would name two are not loaded
//! ([`services`]). What names none is not a service's, and passes.
//!
//! ```text
//! services  backend, protocol, port -> bind: a look-up over all tables that translate
//! mod       a backend's packet -> its VIP and port, or the verdict that it passes with
//! ```

pub mod services;

use super::classify::bind::{Bind, Proto};
use super::forward::rewrite::{Change, Edit, End};
use super::forward::Forward;
use super::inspect::{Candidate, Kind};
use super::Verdict;
use crate::packet::addr::Addr;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{Addrs, Fragment};
use crate::settings::Settings;
use core::num::NonZeroU16;

/// Where an answer comes from, as its client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The VIP.
    pub vip: Addr,
    /// Its port, if it is another than the backend's.
    pub port: Option<NonZeroU16>,
}

impl Origin {
    /// Of answers to packets of this bind, which left by a forward that translates.
    #[inline]
    #[must_use]
    pub const fn of(forward: Forward, bind: &Bind) -> Self {
        Self {
            vip: bind.addr,
            port: match forward.target_port() {
                Some(target) if target.get() != bind.port_start => NonZeroU16::new(bind.port_start),
                _ => None,
            },
        }
    }

    /// What a packet from there becomes.
    #[inline(always)]
    #[must_use]
    pub const fn change(self) -> Change {
        Change {
            end: End::Source,
            addr: self.vip,
            edit: Edit::Translate(self.port),
        }
    }
}

/// What answers are decided on: the services, and the fragments that are remembered.
pub trait Answers {
    /// Where answers of this backend come from: its port is the one that packets were sent to.
    fn origin(&self, backend: Addr, proto: Proto, port: u16) -> Option<Origin>;
    /// Whether this is a backend of any service.
    fn has_backend(&self, backend: Addr) -> bool;
    /// The VIP of this backend, if it has one only.
    fn only_vip(&self, backend: Addr) -> Option<Addr>;
    /// Remembers the ports of a first fragment.
    fn remember(&self, key: &FlowKey, fragment: Fragment);
    /// The ports of the first fragment of this datagram, backend's first, if they are remembered.
    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)>;
}

/// A backend's packet on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The packet, seen from the backend; a later fragment has the ports of its first one.
    pub packet: Candidate,
    /// Where it comes from, as its client knows it.
    pub origin: Origin,
    /// The verdict if it is sent.
    pub verdict: Verdict,
}

/// The same of a common packet ([`common`](super::common)), in few steps.
#[inline(always)]
pub fn reverse_common<A: Answers>(
    answers: &A,
    settings: &Settings,
    packet: Candidate,
) -> Result<Answer, Verdict> {
    let (backend, client) = ends(&packet);
    let (Kind::Flow(proto @ (Proto::Tcp | Proto::Udp)), None) = (packet.kind, packet.fragment)
    else {
        return reverse(answers, settings, packet);
    };
    if !settings.return_except.is_empty() && settings.return_except.has(client) {
        return Err(Verdict::PassedNoService);
    }
    let origin = answers.origin(backend, proto, packet.key.src_port);
    Ok(Answer {
        packet,
        origin: origin.ok_or(Verdict::PassedNoService)?,
        verdict: Verdict::Returned,
    })
}

/// A backend and its client.
#[inline(always)]
fn ends(packet: &Candidate) -> (Addr, Addr) {
    match packet.key.addrs {
        Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
        Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
    }
}

/// Decides where a backend's packet comes from ([`inspect_answer`](super::inspect_answer)); or the verdict that it passes with.
///
/// All first fragments of a backend are remembered, also those that are no answers: so a later one of which nothing is known has
/// overtaken its first one, or was forgotten. It cannot be told what it is, and nobody could put it together if it kept the
/// backend's address.
pub fn reverse<A: Answers>(
    answers: &A,
    settings: &Settings,
    mut packet: Candidate,
) -> Result<Answer, Verdict> {
    let (backend, client) = ends(&packet);
    // One of those who ask a backend by its own address; of an ICMP error the receiver is the same.
    if settings.return_except.has(client) {
        return Err(Verdict::PassedNoService);
    }
    let by_port = |proto: Proto, key: &FlowKey| {
        let origin = answers.origin(backend, proto, key.src_port);
        // Of SCTP as of any protocol without ports, as long as no bind names it.
        let none = match proto {
            Proto::Sctp => Verdict::PassedUnknownFormat,
            _ => Verdict::PassedNoService,
        };
        origin.ok_or(none)
    };
    let (origin, verdict) = match packet.kind {
        Kind::Flow(proto) => {
            if let Some(fragment) = packet.fragment {
                if answers.has_backend(backend) {
                    answers.remember(&packet.key, fragment);
                }
            }
            (by_port(proto, &packet.key)?, Verdict::Returned)
        }
        Kind::IcmpError(proto) | Kind::IcmpFailure(proto) => {
            (by_port(proto, &packet.key)?, Verdict::ReturnedIcmpError)
        }
        // Without it no client's request has come to a backend, and what it answers is somebody's who asked it itself.
        Kind::Echo | Kind::EchoIcmpError => {
            let (verdict, none) = match packet.kind {
                Kind::Echo => (Verdict::ReturnedEcho, Verdict::PassedNoService),
                _ => (Verdict::ReturnedIcmpError, Verdict::PassedUnknownFormat),
            };
            let vip = match settings.forward_icmp_ping_responses {
                true => answers.only_vip(backend),
                false => None,
            };
            let vip = vip.ok_or(none)?;
            (Origin { vip, port: None }, verdict)
        }
        Kind::LaterFragment(proto) => {
            let ports = packet
                .fragment
                .and_then(|fragment| answers.remembered(&packet.key.addrs, fragment));
            let Some((src_port, dst_port)) = ports else {
                return Err(match (answers.has_backend(backend), proto) {
                    (true, _) => Verdict::DroppedFragment,
                    (false, Proto::Sctp) => Verdict::PassedUnknownFormat,
                    (false, _) => Verdict::PassedNoService,
                });
            };
            (packet.key.src_port, packet.key.dst_port) = (src_port, dst_port);
            let origin = by_port(proto, &packet.key)?;
            (origin, Verdict::ReturnedFragment)
        }
        // No service is of such a protocol.
        Kind::Portless(_) | Kind::PortlessIcmpError(_) => return Err(packet.unmatched()),
    };
    Ok(Answer {
        packet,
        origin,
        verdict,
    })
}

#[cfg(test)]
mod tests;
