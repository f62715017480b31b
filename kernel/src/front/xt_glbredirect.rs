// SPDX-License-Identifier: GPL-2.0

//! What a rule with the target GLBREDIRECT carries (`kernel/uapi/xt_GLBREDIRECT.h`).

use super::xtables;
use crate::bindings;
use crate::net::Net;
use core::mem::{offset_of, size_of};
use glb_core::redirect::{is_netns_name, Options, Prefix};
use kernel::prelude::*;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// What a rule of revision 1 carries.
#[repr(transparent)]
pub struct Revision1(bindings::xt_glbredirect_info);

/// What a rule of revision 2 carries.
#[repr(transparent)]
pub struct Revision2(bindings::xt_glbredirect_info_2);

// SAFETY: It has integers and arrays of them, and nothing in between.
unsafe impl xtables::Options for Revision1 {
    const USER_SIZE: usize = size_of::<Self>();

    /// Refuses what no plugin of ours sends: unknown flags, too many prefixes, bytes that should be zero.
    fn begin(&mut self, _net: &Net) -> Result {
        if self.0.flags != 0 {
            return Err(EINVAL);
        }
        check_prefixes(self.0.num_prefixes, &self.0.prefixes)
    }
}

// SAFETY: It has integers and arrays of them, and nothing in between.
unsafe impl xtables::Options for Revision2 {
    const USER_SIZE: usize = offset_of!(bindings::xt_glbredirect_info_2, own);

    /// Refuses what no plugin of ours sends: unknown flags, too many prefixes or names, a name twice, bytes that should be
    /// zero.
    fn begin(&mut self, _net: &Net) -> Result {
        self.0.own = 0;
        if Options::from_bits(self.0.flags).is_none() || self.0.pad != 0 {
            return Err(EINVAL);
        }
        check_prefixes(self.0.num_prefixes, &self.0.prefixes)?;
        check_names(self.0.num_namespaces, &self.0.namespaces)
    }
}

impl Revision1 {
    /// The prefixes that hops are allowed from; `None` allows all.
    #[inline]
    pub fn allowed_hops(&self) -> Option<impl Iterator<Item = Prefix<'_>>> {
        allowed(self.0.num_prefixes, &self.0.prefixes)
    }
}

impl Revision2 {
    /// The prefixes that hops are allowed from; `None` allows all.
    #[inline]
    pub fn allowed_hops(&self) -> Option<impl Iterator<Item = Prefix<'_>>> {
        allowed(self.0.num_prefixes, &self.0.prefixes)
    }

    /// The options that are flags.
    #[inline]
    pub fn options(&self) -> Options {
        // `begin` saw to it that there are no others.
        Options::from_known_bits(self.0.flags)
    }

    /// How many network namespaces the rule names.
    #[inline]
    pub fn num_namespaces(&self) -> usize {
        self.0.num_namespaces as usize
    }
}

fn check_prefixes(used: u32, prefixes: &[bindings::xt_glbredirect_prefix]) -> Result {
    let used = used as usize;
    if used > prefixes.len() {
        return Err(EINVAL);
    }
    for (index, prefix) in prefixes.iter().enumerate() {
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

/// The room for the name of a namespace. The kernel's `char` has no sign.
type Name = [u8; bindings::XT_GLBREDIRECT_NAMESPACE_SIZE as usize];

fn check_names(used: u32, names: &[Name]) -> Result {
    let (used, unused) = names.split_at_checked(used as usize).ok_or(EINVAL)?;
    if unused.iter().flatten().any(|&byte| byte != 0) {
        return Err(EINVAL);
    }
    for (index, room) in used.iter().enumerate() {
        let is_twice = used.get(..index).unwrap_or_default().contains(room);
        let (name, tail) = split_name(room);
        if is_twice || !is_netns_name(name) || tail.iter().any(|&byte| byte != 0) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

/// A name, and what stands behind it, the zero at its end included.
fn split_name(room: &Name) -> (&[u8], &[u8]) {
    let end = room.iter().position(|&byte| byte == 0);
    room.split_at_checked(end.unwrap_or(room.len()))
        .unwrap_or((room, &[]))
}

#[inline]
fn allowed(
    used: u32,
    prefixes: &[bindings::xt_glbredirect_prefix],
) -> Option<impl Iterator<Item = Prefix<'_>>> {
    let used = used as usize;
    (used != 0).then(|| {
        // `begin` saw to it that `used` is within the array.
        let prefixes = prefixes.get(..used).unwrap_or_default();
        prefixes.iter().map(|prefix| Prefix {
            address: &prefix.addr,
            bits: prefix.prefix_len,
            ipv6: prefix.family == AF_INET6,
        })
    })
}
