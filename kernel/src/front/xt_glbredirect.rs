// SPDX-License-Identifier: GPL-2.0

//! What a rule with the target GLBREDIRECT carries (`kernel/uapi/xt_GLBREDIRECT.h`).

use super::xtables;
use crate::bindings;
use glb_core::redirect::Prefix;
use kernel::prelude::*;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The options of a rule of revision 1.
#[repr(transparent)]
pub struct Options(bindings::xt_glbredirect_info);

// SAFETY: It has integers and arrays of them, and nothing in between.
unsafe impl xtables::Options for Options {
    /// Refuses what no plugin of ours sends: unknown flags, too many prefixes, bytes that should be zero.
    fn check(&self) -> Result {
        let used = self.0.num_prefixes as usize;
        if self.0.flags != 0 || used > self.0.prefixes.len() {
            return Err(EINVAL);
        }
        for (index, prefix) in self.0.prefixes.iter().enumerate() {
            let (width, zero_tail) = match prefix.family {
                0 if index >= used => (0, 0),
                AF_INET if index < used => (32, 4),
                AF_INET6 if index < used => (128, 16),
                _ => return Err(EINVAL),
            };
            let address = u128::from_be_bytes(prefix.addr);
            let beyond = u128::MAX
                .checked_shr(u32::from(prefix.prefix_len))
                .unwrap_or(0);
            let tail_is_zero = prefix.addr.iter().skip(zero_tail).all(|&byte| byte == 0);
            if prefix.prefix_len > width
                || prefix.pad != [0; 2]
                || address & beyond != 0
                || !tail_is_zero
            {
                return Err(EINVAL);
            }
        }
        Ok(())
    }
}

impl Options {
    /// The prefixes that hops are allowed from; `None` allows all.
    #[inline]
    pub fn allowed_hops(&self) -> Option<impl Iterator<Item = Prefix<'_>>> {
        let used = self.0.num_prefixes as usize;
        (used != 0).then(|| {
            // `check` saw to it that `used` is within the array.
            let prefixes = self.0.prefixes.get(..used).unwrap_or_default();
            prefixes.iter().map(|prefix| Prefix {
                address: &prefix.addr,
                bits: prefix.prefix_len,
                ipv6: prefix.family == AF_INET6,
            })
        })
    }
}
