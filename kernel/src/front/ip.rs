// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks of the IP layer, for both families, without a rule in a table.
//!
//! Contexts: registered and removed in process context. The functions run under RCU, on all CPUs at once.
//!
//! C header: `include/linux/netfilter.h`

use crate::bindings;
use crate::net::Net;
use core::cell::UnsafeCell;
use kernel::prelude::*;

/// Where hooks are, and what they call.
pub(super) struct Place {
    /// One of `nf_inet_hooks`.
    pub(super) number: u32,
    /// The order among others there.
    pub(super) priority: i32,
    /// It is called with the object that the hooks were registered with.
    pub(super) function: bindings::nf_hookfn,
}

/// A hook of each family.
pub(super) struct Hooks {
    ops: Pin<KBox<Ops>>,
    /// INVARIANT: the namespace outlives the object.
    net: *mut bindings::net,
}

const HOOKS: usize = 2;

struct Ops(UnsafeCell<[bindings::nf_hook_ops; HOOKS]>);

// SAFETY: The operations are only touched by netfilter, under its own lock.
unsafe impl Send for Hooks {}
// SAFETY: As above.
unsafe impl Sync for Hooks {}

impl Hooks {
    /// Registers them. Packets may come before this returns.
    ///
    /// # Safety
    ///
    /// The function must expect the object `own`, which, like the namespace, must stay until the hooks are dropped.
    pub(super) unsafe fn register(
        net: &Net,
        own: *mut kernel::ffi::c_void,
        place: &Place,
    ) -> Result<Self> {
        let ops = |family| bindings::nf_hook_ops {
            hook: place.function,
            // Saves each packet the way from the namespace to its state.
            priv_: own,
            pf: family as u8,
            hooknum: place.number,
            priority: place.priority,
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let ops = KBox::pin(
            Ops(UnsafeCell::new([
                ops(bindings::NFPROTO_IPV4),
                ops(bindings::NFPROTO_IPV6),
            ])),
            GFP_KERNEL,
        )?;
        // SAFETY: The operations are pinned and live until `drop` has removed them and waited.
        let error = unsafe {
            bindings::nf_register_net_hooks(net.as_ptr(), ops.0.get().cast(), HOOKS as u32)
        };
        if error != 0 {
            // The first one may have been registered, and removed again because of the second: packets may be in it.
            // SAFETY: No requirements in process context.
            unsafe { bindings::synchronize_net() };
        }
        kernel::error::to_result(error)?;
        Ok(Self {
            ops,
            net: net.as_ptr(),
        })
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        // SAFETY: Registered by `register`. After the grace period no packet is in the function and nobody reads the
        // operations.
        unsafe {
            bindings::nf_unregister_net_hooks(self.net, self.ops.0.get().cast(), HOOKS as u32);
            bindings::synchronize_net();
        }
    }
}
