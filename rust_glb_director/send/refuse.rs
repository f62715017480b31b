// SPDX-License-Identifier: GPL-2.0

//! The end of a packet that is not sent.

#![forbid(unsafe_code)]

use super::tally::Tally;
use glb_core::counter::Fate;
use glb_core::director::Verdict;
use glb_kernel::front::hook::Outcome;
use glb_kernel::packet::skb::Skb;

/// Ends a packet's way here with `verdict`.
#[inline]
pub(crate) fn refuse<'a, 's>(
    stats: impl Into<Tally<'s>>,
    skb: Skb<'a>,
    verdict: Verdict,
) -> Outcome<'a> {
    stats.into().count(verdict);
    match verdict.fate() {
        Fate::Pass | Fate::Mark => Outcome::Accept(skb),
        Fate::Send | Fate::Drop => Outcome::Drop(skb),
    }
}
