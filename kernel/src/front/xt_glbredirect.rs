// SPDX-License-Identifier: GPL-2.0

//! What a rule with the target GLBREDIRECT carries (`kernel/uapi/xt_GLBREDIRECT.h`).

use super::xtables;
use crate::bindings;
use crate::net::named::Caller;
use crate::net::Net;
use crate::sockets::elsewhere::{Elsewhere, Refused};
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
    fn begin(&mut self, _net: &Net, _may_load: bool) -> Result {
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
    fn begin(&mut self, net: &Net, may_load: bool) -> Result {
        self.0.own = 0;
        let options = Options::from_bits(self.0.flags).ok_or(EINVAL)?;
        if self.0.pad != 0 {
            return Err(EINVAL);
        }
        check_prefixes(self.0.num_prefixes, &self.0.prefixes)?;
        check_names(self.0.num_namespaces, &self.0.namespaces)?;
        if !options.go_together() {
            log(Options::CONTRADICTION);
            return Err(EINVAL);
        }
        let caller = || Caller::current(net);
        let elsewhere = Elsewhere::new(net, caller, options, self.names(), may_load);
        let elsewhere = elsewhere.map_err(|refused| log_refused(&refused))?;
        // INVARIANT: it is the rule's until `end`.
        self.0.own = elsewhere.map_or(0, |elsewhere| KBox::into_raw(elsewhere) as usize as u64);
        Ok(())
    }

    fn end(&mut self) {
        let own = core::mem::take(&mut self.0.own) as usize as *mut Elsewhere;
        if !own.is_null() {
            // SAFETY: `begin` put a box there, which is the rule's; and no packet is in the rule any more.
            drop(unsafe { KBox::from_raw(own) });
        }
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

    /// What is asked beyond the sockets of the own namespace, if anything.
    #[inline]
    pub fn elsewhere(&self) -> Option<&Elsewhere> {
        let own = self.0.own as usize as *const Elsewhere;
        // SAFETY: `begin`, which comes first, left null there or a box that is there until `end`.
        unsafe { own.as_ref() }
    }

    /// The names of the network namespaces.
    fn names(&self) -> impl Iterator<Item = &[u8]> {
        // `check_names` saw to it that they are within the array.
        let used = self.0.namespaces.get(..self.0.num_namespaces as usize);
        let used = used.unwrap_or_default().iter();
        used.map(|room| split_name(room).0)
    }
}

/// The number of the error, once the kernel's log has the reason.
fn log_refused(refused: &Refused) -> Error {
    log(refused.text());
    match refused.error() {
        // iptables takes this number for a target that there is none of.
        error if error == ENOENT => EINVAL,
        error => error,
    }
}

/// iptables shows the number of an error only, and tells to look at the log.
fn log(why: &CStr) {
    // SAFETY: The text ends with a zero.
    unsafe { bindings::glb_rule_refused(why.as_ptr().cast()) };
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
