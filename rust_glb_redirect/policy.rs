// SPDX-License-Identifier: GPL-2.0

//! What a rule or the door says about its packets, in one form for both.

#![forbid(unsafe_code)]

use crate::state::DoorSettings;
use glb_core::redirect::{next_hop, Inspected, Next, Options, Packet};
use glb_kernel::front::xt_glbredirect::{Revision1, Revision2};
use glb_kernel::sockets::elsewhere::Elsewhere;

/// What a packet came by. Options and prefixes are read from there when they are needed, which most packets never do.
#[derive(Clone, Copy)]
pub(crate) enum Policy<'p> {
    /// A rule without any options.
    Revision0,
    /// A rule that may say to which hops packets are passed on.
    Revision1(&'p Revision1),
    /// A rule that may have options too.
    Revision2(&'p Revision2),
    /// The door.
    Door(&'p DoorSettings),
}

impl<'p> Policy<'p> {
    /// The options.
    #[inline]
    pub(crate) fn options(self) -> Options {
        match self {
            Self::Revision0 | Self::Revision1(_) => Options::NONE,
            Self::Revision2(rule) => rule.options(),
            Self::Door(settings) => settings.options,
        }
    }

    /// What is asked beyond the sockets of the own namespace, if anything.
    #[inline]
    pub(crate) fn elsewhere(self) -> Option<&'p Elsewhere> {
        match self {
            Self::Revision0 | Self::Revision1(_) => None,
            Self::Revision2(rule) => rule.elsewhere(),
            Self::Door(settings) => settings.elsewhere.as_deref(),
        }
    }

    /// The next hop of a packet, if it may be passed on there.
    #[inline]
    pub(crate) fn next_hop(self, packet: &Packet<'_>, inspected: &Inspected) -> Next {
        match self {
            Self::Revision0 => next_hop(packet, inspected, None::<core::iter::Empty<_>>),
            Self::Revision1(rule) => next_hop(packet, inspected, rule.allowed_hops()),
            Self::Revision2(rule) => next_hop(packet, inspected, rule.allowed_hops()),
            Self::Door(settings) => next_hop(packet, inspected, settings.allowed.prefixes()),
        }
    }
}
