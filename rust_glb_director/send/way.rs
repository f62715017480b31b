// SPDX-License-Identifier: GPL-2.0

//! A packet's way, and what its forward does to it on it.

#![forbid(unsafe_code)]

use super::tally::Tally;
use crate::config::Config;
use glb_core::director::{Candidate, Verdict};
use glb_kernel::front::hook::Hook;
use glb_kernel::out::path::Path;
use glb_kernel::packet::skb::Skb;

/// A packet's way, and what it is known by on it, with the route that it takes.
///
/// It is handed on by value, and copied into something else where it goes to code apart: so it stays in registers where all goes
/// well (docs/decisions/0008).
pub(super) struct Journey<'p, M> {
    pub(super) stats: Tally<'p>,
    pub(super) hook: Hook<'p>,
    pub(super) config: &'p Config,
    pub(super) path: Path,
    pub(super) manner: M,
}

impl<M: Manner> Journey<'_, M> {
    /// The way, as long as the route is kept.
    #[inline(always)]
    pub(super) fn way(&self) -> Way<'_, M> {
        Way {
            stats: self.stats,
            hook: self.hook,
            config: self.config,
            path: &self.path,
            manner: self.manner,
        }
    }
}

/// The same with a route that is lent.
#[derive(Clone, Copy)]
pub(super) struct Way<'p, M> {
    pub(super) stats: Tally<'p>,
    pub(super) hook: Hook<'p>,
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

    /// Whether it is an answer to a client.
    #[inline(always)]
    fn is_answer(self) -> bool {
        false
    }

    /// The same for a piece of a packet that had so many bytes behind its IP header.
    fn of_piece(self, _whole: usize) -> Self {
        self.of_part()
    }

    /// Makes a packet of `len` bytes ready and sends it. It is gone then, and the answer says whether it went; or it is given
    /// back with a verdict. Whoever calls it counts.
    fn send<'a>(way: Way<'_, Self>, skb: Skb<'a>, len: usize) -> Result<bool, (Skb<'a>, Verdict)>;
}

impl<M: Manner> Way<'_, M> {
    /// Counts a client's packet of `len` bytes that was sent whole.
    #[inline(always)]
    pub(super) fn count_sent(&self, len: usize) {
        let bytes = self.manner.added().wrapping_add(len);
        let verdict = self.manner.verdict();
        match self.manner.is_answer() {
            false => self.stats.count_sent(verdict, bytes),
            true => {
                self.stats.count(verdict);
                self.stats.count_returned(bytes);
            }
        }
    }

    /// Counts the bytes of a part of a packet, of `len` bytes, that was sent.
    pub(super) fn count_bytes(&self, len: usize) {
        let bytes = self.manner.added().wrapping_add(len);
        match self.manner.is_answer() {
            false => self.stats.count_bytes(bytes),
            true => self.stats.count_returned(bytes),
        }
    }

    /// The link address that all packets go to, if the operator wants one.
    #[inline(always)]
    pub(super) fn mac(&self) -> Option<&[u8; 6]> {
        self.config.gateway_mac.as_ref()
    }
}
