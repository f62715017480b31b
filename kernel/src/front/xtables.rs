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
pub trait Target: 'static {
    /// Its name in rules.
    const NAME: &'static [u8];
    /// The IP protocol that a rule with it must name.
    const PROTO: u8;

    /// What the module keeps in a namespace.
    type State: NetState;
    /// What a rule of revision 1 carries; one of revision 0 carries nothing.
    type Options: Options;

    /// A rule comes; an error refuses it. Process context, may sleep.
    fn prepare(state: &Self::State) -> Result;

    /// Handles a packet of a rule that has `options`, or none (revision 0).
    fn handle<'a>(
        state: &Self::State,
        hook: &Hook<'_>,
        skb: Skb<'a>,
        options: Option<&Self::Options>,
    ) -> Outcome<'a>;
}

/// What a rule carries.
///
/// # Safety
///
/// Any bytes must be a valid value.
pub unsafe trait Options: 'static {
    /// Refuses a rule that carries what it must not.
    fn check(&self) -> Result;
}

/// Bytes of a name, with the zero at its end (`XT_EXTENSION_MAXNAMELEN`).
const NAME_LEN: usize = 29;

/// IPv4 and IPv6, revisions 0 and 1.
const TARGETS: usize = 4;

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
        let target = |family, revision| target::<T>(module, family, revision);
        let targets = KBox::pin(
            Targets(core::cell::UnsafeCell::new([
                target(bindings::NFPROTO_IPV4, 0),
                target(bindings::NFPROTO_IPV4, 1),
                target(bindings::NFPROTO_IPV6, 0),
                target(bindings::NFPROTO_IPV6, 1),
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

fn target<T: Target>(
    module: &'static ThisModule,
    family: u32,
    revision: u8,
) -> bindings::xt_target {
    const { assert!(T::NAME.len() < NAME_LEN) };
    // x_tables aligns what a rule carries for 64-bit words (`XT_ALIGN`).
    const { assert!(core::mem::align_of::<T::Options>() <= core::mem::align_of::<u64>()) };
    let mut name = [0; NAME_LEN];
    for (to, &from) in name.iter_mut().zip(T::NAME) {
        *to = from;
    }
    let size = if revision == 0 {
        0
    } else {
        core::mem::size_of::<T::Options>() as u32
    };
    bindings::xt_target {
        name,
        revision,
        target: Some(if revision == 0 {
            handle::<T, false>
        } else {
            handle::<T, true>
        }),
        checkentry: Some(if revision == 0 {
            check::<T, false>
        } else {
            check::<T, true>
        }),
        me: module.as_ptr(),
        targetsize: size,
        usersize: size,
        hooks: 1 << bindings::nf_inet_hooks_NF_INET_LOCAL_IN
            | 1 << bindings::nf_inet_hooks_NF_INET_FORWARD,
        proto: u16::from(T::PROTO),
        family: family as u16,
        // SAFETY: All zero is a valid value of the other fields: no callback, no table.
        ..unsafe { core::mem::zeroed() }
    }
}

unsafe extern "C" fn check<T: Target, const HAS_OPTIONS: bool>(
    par: *const bindings::xt_tgchk_param,
) -> kernel::ffi::c_int {
    let checked = if HAS_OPTIONS {
        // SAFETY: x_tables passes the rule's data: `targetsize` bytes, aligned as `target` asserts. Any bytes are a value.
        unsafe { &*(*par).targinfo.cast::<T::Options>() }.check()
    } else {
        Ok(())
    };
    // SAFETY: x_tables passes a live namespace. It holds the module, which unregisters its targets before its state.
    let (net, registered) = unsafe { (Net::from_ptr((*par).net), Registered::<T::State>::new()) };
    match checked.and_then(|()| T::prepare(net.state(registered))) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

unsafe extern "C" fn handle<T: Target, const HAS_OPTIONS: bool>(
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
    let options = if HAS_OPTIONS {
        // SAFETY: A revision with options has `targetsize` bytes of checked options.
        Some(unsafe { &*(*par).__bindgen_anon_2.targinfo.cast::<T::Options>() })
    } else {
        None
    };
    // SAFETY: A rule holds the module, and the module unregisters its targets before its state.
    let registered = unsafe { Registered::<T::State>::new() };
    let hook = Hook { net, family, rcu };
    match T::handle(net.state_in_hook(registered, rcu), &hook, skb, options) {
        Outcome::Accept(_) => bindings::XT_CONTINUE,
        Outcome::Drop(_) => bindings::NF_DROP,
        Outcome::Stolen => bindings::NF_STOLEN,
    }
}
