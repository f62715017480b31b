// SPDX-License-Identifier: GPL-2.0

//! Targets of iptables rules.
//!
//! C header: `include/linux/netfilter/x_tables.h`

use crate::base::rcu::Reader;
use crate::bindings;
use crate::front::hook::{Hook, Outcome};
use crate::net::{Net, NetState, Registered};
use crate::packet::skb::Skb;
use core::marker::PhantomData;
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// A target. Its rules are those of packets that come to this machine or go through it.
pub trait Target: Sized + 'static {
    /// Its name in rules.
    const NAME: &'static [u8];
    /// The IP protocol that a rule with it must name.
    const PROTO: u8;

    /// What the module keeps in a namespace.
    type State: NetState;
    /// What a rule of revision 1 carries.
    type Revision1: Options;
    /// What a rule of revision 2 carries.
    type Revision2: Options;

    /// A rule comes whose options are good; an error refuses it. Process context, may sleep.
    fn prepare(state: &Self::State, rule: Rule<'_, Self>) -> Result;

    /// Handles a packet of a rule.
    fn handle<'a>(
        state: &Self::State,
        hook: &Hook<'_>,
        skb: Skb<'a>,
        rule: Rule<'_, Self>,
    ) -> Outcome<'a>;
}

/// What a rule carries, by its revision.
pub enum Rule<'r, T: Target> {
    /// Nothing.
    Revision0,
    /// The options of revision 1.
    Revision1(&'r T::Revision1),
    /// The options of revision 2.
    Revision2(&'r T::Revision2),
}

/// The options that a rule of one revision carries.
///
/// # Safety
///
/// Any bytes must be a valid value.
pub unsafe trait Options: 'static {
    /// How many of the bytes userspace knows. Those behind them are the kernel's own, and are not shown.
    const USER_SIZE: usize;

    /// A rule comes: refuses one that carries what it must not, and makes the kernel's own bytes, in which userspace may have
    /// left anything. What an error leaves in them is not looked at again. Process context, may sleep.
    ///
    /// A rule of iptables-nft comes under a lock of nf_tables, which handlers of device events take with RTNL held. A module that
    /// is loaded then may wait for a namespace to end, which waits for RTNL. So modules are loaded only if it `may_load`.
    fn begin(&mut self, net: &Net, may_load: bool) -> Result;

    /// A rule goes that has begun, and no packet is in it. Process context, may sleep.
    fn end(&mut self) {}
}

/// Bytes of a name, with the zero at its end (`XT_EXTENSION_MAXNAMELEN`).
const NAME_LEN: usize = 29;

/// IPv4 and IPv6, revisions 0 to 2.
const TARGETS: usize = 6;

/// The registration of a target.
pub struct Registration<T: Target> {
    targets: Pin<KBox<Targets>>,
    _target: PhantomData<T>,
}

struct Targets(core::cell::UnsafeCell<[bindings::xt_target; TARGETS]>);

// SAFETY: The array is only touched by x_tables, under its own locks, between registration and removal.
unsafe impl<T: Target> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: Target> Sync for Registration<T> {}

impl<T: Target> Registration<T> {
    /// Registers the target. Rules that use it hold the module, so it cannot go while one is left.
    pub fn new(module: &'static ThisModule, _registered: Registered<T::State>) -> Result<Self> {
        let targets = KBox::pin(
            Targets(core::cell::UnsafeCell::new([
                target::<T, 0>(module, bindings::NFPROTO_IPV4),
                target::<T, 1>(module, bindings::NFPROTO_IPV4),
                target::<T, 2>(module, bindings::NFPROTO_IPV4),
                target::<T, 0>(module, bindings::NFPROTO_IPV6),
                target::<T, 1>(module, bindings::NFPROTO_IPV6),
                target::<T, 2>(module, bindings::NFPROTO_IPV6),
            ])),
            GFP_KERNEL,
        )?;
        // SAFETY: The array is pinned, has `TARGETS` entries, and lives until it is removed in `drop`.
        kernel::error::to_result(unsafe {
            bindings::xt_register_targets(targets.0.get().cast(), TARGETS as u32)
        })?;
        Ok(Self {
            targets,
            _target: PhantomData,
        })
    }
}

impl<T: Target> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: The array was registered by `new` and is removed once.
        unsafe { bindings::xt_unregister_targets(self.targets.0.get().cast(), TARGETS as u32) };
    }
}

fn target<T: Target, const REVISION: u8>(
    module: &'static ThisModule,
    family: u32,
) -> bindings::xt_target {
    const { assert!(T::NAME.len() < NAME_LEN) };
    let mut name = [0; NAME_LEN];
    for (to, &from) in name.iter_mut().zip(T::NAME) {
        *to = from;
    }
    let (size, user_size) = match REVISION {
        0 => (0, 0),
        1 => sizes::<T::Revision1>(),
        _ => sizes::<T::Revision2>(),
    };
    bindings::xt_target {
        name,
        revision: REVISION,
        target: Some(handle::<T, REVISION>),
        checkentry: Some(check::<T, REVISION>),
        destroy: Some(destroy::<T, REVISION>),
        me: module.as_ptr(),
        targetsize: size,
        usersize: user_size,
        hooks: 1 << bindings::nf_inet_hooks_NF_INET_LOCAL_IN
            | 1 << bindings::nf_inet_hooks_NF_INET_FORWARD,
        proto: u16::from(T::PROTO),
        family: family as u16,
        // SAFETY: All zero is a valid value of the other fields: no callback, no table.
        ..unsafe { core::mem::zeroed() }
    }
}

/// Bytes of what a rule carries, and how many of them userspace knows.
const fn sizes<O: Options>() -> (u32, u32) {
    // x_tables aligns what a rule carries for 64-bit words (`XT_ALIGN`).
    const { assert!(core::mem::align_of::<O>() <= core::mem::align_of::<u64>()) };
    const { assert!(O::USER_SIZE <= core::mem::size_of::<O>()) };
    // The casts are exact: a rule has less than 64 KiB.
    (core::mem::size_of::<O>() as u32, O::USER_SIZE as u32)
}

/// What a rule of this revision carries.
///
/// # Safety
///
/// `carried` must be the `targetsize` bytes of a rule of this revision, which nobody writes to during `'r`.
#[inline]
unsafe fn rule<'r, T: Target, const REVISION: u8>(
    carried: *const kernel::ffi::c_void,
) -> Rule<'r, T> {
    match REVISION {
        0 => Rule::Revision0,
        // SAFETY: The caller vouches for the bytes. They are aligned as `sizes` asserts, and any bytes are a value.
        1 => Rule::Revision1(unsafe { &*carried.cast() }),
        // SAFETY: As above.
        _ => Rule::Revision2(unsafe { &*carried.cast() }),
    }
}

unsafe extern "C" fn check<T: Target, const REVISION: u8>(
    par: *const bindings::xt_tgchk_param,
) -> kernel::ffi::c_int {
    // SAFETY: x_tables passes a live namespace. It holds the module, which unregisters its targets before its state. The
    // rule's data are `targetsize` bytes.
    let (net, registered, carried, may_load) = unsafe {
        (
            Net::from_ptr((*par).net),
            Registered::<T::State>::new(),
            (*par).targinfo,
            !(*par).nft_compat,
        )
    };
    // SAFETY: The data are aligned as `sizes` asserts, any bytes are a value, and a rule that is being checked is nobody else's.
    let begun = unsafe {
        match REVISION {
            0 => Ok(()),
            1 => (*carried.cast::<T::Revision1>()).begin(net, may_load),
            _ => (*carried.cast::<T::Revision2>()).begin(net, may_load),
        }
    };
    if let Err(error) = begun {
        return error.to_errno();
    }
    // SAFETY: As above; nobody writes to the data while the rule is prepared.
    let prepared = T::prepare(net.state(registered), unsafe {
        rule::<T, REVISION>(carried)
    });
    match prepared {
        Ok(()) => 0,
        Err(error) => {
            // SAFETY: The rule has begun, and x_tables does not destroy a rule that was refused.
            unsafe { end::<T, REVISION>(carried) };
            error.to_errno()
        }
    }
}

unsafe extern "C" fn destroy<T: Target, const REVISION: u8>(par: *const bindings::xt_tgdtor_param) {
    // SAFETY: x_tables destroys a rule once, after `check` took it, when no packet can be in it any more.
    unsafe { end::<T, REVISION>((*par).targinfo) };
}

/// Ends what a rule carries.
///
/// # Safety
///
/// `carried` must be the data of a rule of this revision that has begun and not ended, and that nobody else uses.
unsafe fn end<T: Target, const REVISION: u8>(carried: *mut kernel::ffi::c_void) {
    // SAFETY: The caller vouches for the rule. The data are aligned as `sizes` asserts, and any bytes are a value.
    unsafe {
        match REVISION {
            0 => {}
            1 => (*carried.cast::<T::Revision1>()).end(),
            _ => (*carried.cast::<T::Revision2>()).end(),
        }
    }
}

unsafe extern "C" fn handle<T: Target, const REVISION: u8>(
    skb: *mut bindings::sk_buff,
    par: *const bindings::xt_action_param,
) -> kernel::ffi::c_uint {
    // SAFETY: x_tables passes a valid state and namespace, and the buffer is ours until we return.
    // The chain is walked under RCU.
    let (state, net, rcu, skb) = unsafe {
        let state = (*par).state;
        (
            &*state,
            Net::from_ptr((*state).net),
            Reader::held(),
            Skb::from_ptr(skb),
        )
    };
    let family = if u32::from(state.pf) == bindings::NFPROTO_IPV6 {
        Family::V6
    } else {
        Family::V4
    };
    // SAFETY: A rule that packets come to has begun, and has `targetsize` bytes that do not change until it ends.
    let rule = unsafe { rule::<T, REVISION>((*par).__bindgen_anon_2.targinfo) };
    // SAFETY: A rule holds the module, and the module unregisters its targets before its state.
    let registered = unsafe { Registered::<T::State>::new() };
    let hook = Hook { net, family, rcu };
    match T::handle(net.state_in_hook(registered, rcu), &hook, skb, rule) {
        Outcome::Accept(_) => bindings::XT_CONTINUE,
        Outcome::Drop(_) => bindings::NF_DROP,
        Outcome::Stolen | Outcome::Lost => bindings::NF_STOLEN,
    }
}
