// SPDX-License-Identifier: GPL-2.0

//! A packet's way, and what its forward does to it on it.

#![forbid(unsafe_code)]

use super::tally::Tally;
use crate::config::Config;
use glb_core::director::{Candidate, Verdict};
use glb_kernel::front::hook::Hook;
use glb_kernel::out::path::Path;
use glb_kernel::packet::skb::Skb;

/// A packet's way, and what it is known by on it.
#[derive(Clone, Copy)]
pub(super) struct Way<'p, M> {
    pub(super) stats: Tally<'p>,
    pub(super) hook: &'p Hook<'p>,
    pub(super) config: &'p Config,
    pub(super) path: &'p Path,
    pub(super) manner: M,
}

/// What a forward does to a packet on its way.
pub(super) trait Manner: Copy {
    /// The packet, as it came.
    fn packet(&self) -> &Candidate;

    /// The verdict if it is sent.
    fn verdict(self) -> Verdict;

    /// Bytes that it puts in front of the packet.
    fn added(self) -> usize;

    /// The same for a part of the packet, which is cut or taken out of it.
    fn of_part(self) -> Self;

    /// The same for a piece of a packet that had so many bytes behind its IP header.
    fn of_piece(self, _whole: usize) -> Self {
        self.of_part()
    }

    /// Makes a packet of `len` bytes ready and sends it. It is gone then, and the answer says whether it went; or it is given
    /// back with a verdict.
    fn send<'a>(way: Way<'_, Self>, skb: Skb<'a>, len: usize) -> Result<bool, (Skb<'a>, Verdict)>;
}

impl<M: Manner> Way<'_, M> {
    /// The link address that all packets go to, if the operator wants one.
    #[inline(always)]
    pub(super) fn mac(&self) -> Option<&[u8; 6]> {
        self.config.gateway_mac.as_ref()
    }
}
