// SPDX-License-Identifier: GPL-2.0

//! Reading the headers of a packet that has come in.

#![forbid(unsafe_code)]

use glb_core::director::{Stop, Verdict};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;
use glb_kernel::front::hook::Hook;
use glb_kernel::packet::skb::Skb;

/// How often headers are made linear at most: IP and its extension headers, transport, embedded packet and
/// its extension headers. Each round gets further than the one before.
const MAX_PULLS: usize = 32;

/// Reads the headers as `inspect` does, making them linear where it asks for it.
#[inline]
pub(super) fn understand<T>(
    hook: &Hook<'_>,
    skb: &mut Skb<'_>,
    inspect: impl Fn(View<'_>, Family) -> Result<T, Stop>,
) -> Result<T, Verdict> {
    for _ in 0..MAX_PULLS {
        match inspect(View::new(skb.linear(), skb.len()), hook.family) {
            Ok(read) => return Ok(read),
            Err(Stop::Pass(verdict)) => return Err(verdict),
            Err(Stop::NeedLinear(len)) => {
                skb.pull(len).map_err(|_| Verdict::DroppedNoMemory)?;
            }
        }
    }
    Err(Verdict::PassedUnknownFormat)
}
