// SPDX-License-Identifier: GPL-2.0

//! News about netlink sockets that are closed.
//!
//! C header: `include/linux/netlink.h`

use crate::bindings;
use crate::net::{Net, NetState, Registered};
use core::marker::PhantomData;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::types::Opaque;

/// Whoever keeps something for a socket.
pub trait SocketGone: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;
    /// A generic netlink socket of the namespace was closed. Process context, may sleep.
    fn socket_gone(state: &Self::State, socket: u32);
}

/// The registration for news about sockets.
pub struct SocketWatch<W: SocketGone> {
    block: Pin<KBox<Opaque<bindings::notifier_block>>>,
    _watch: PhantomData<W>,
}

// SAFETY: The block is only touched by the notifier chain, under its lock.
unsafe impl<W: SocketGone> Send for SocketWatch<W> {}
// SAFETY: As above.
unsafe impl<W: SocketGone> Sync for SocketWatch<W> {}

impl<W: SocketGone> SocketWatch<W> {
    /// Starts watching. The caller drops the watch before the state's registration.
    pub fn new(_registered: Registered<W::State>) -> Result<Self> {
        let block = bindings::notifier_block {
            notifier_call: Some(notify::<W>),
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let block = KBox::pin(Opaque::new(block), GFP_KERNEL)?;
        // SAFETY: The block is pinned and lives until `drop`.
        to_result(unsafe { bindings::netlink_register_notifier(block.get()) })?;
        Ok(Self {
            block,
            _watch: PhantomData,
        })
    }
}

impl<W: SocketGone> Drop for SocketWatch<W> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`; removal waits for callbacks.
        unsafe { bindings::netlink_unregister_notifier(self.block.get()) };
    }
}

unsafe extern "C" fn notify<W: SocketGone>(
    _: *mut bindings::notifier_block,
    event: kernel::ffi::c_ulong,
    data: *mut kernel::ffi::c_void,
) -> kernel::ffi::c_int {
    if event == bindings::NETLINK_URELEASE as kernel::ffi::c_ulong {
        // SAFETY: The kernel passes this structure with this event; the socket still holds its namespace.
        let (net, protocol, socket) = unsafe {
            let news = &*data.cast::<bindings::netlink_notify>();
            (Net::from_ptr(news.net), news.protocol, news.portid)
        };
        if protocol == bindings::NETLINK_GENERIC as i32 {
            // SAFETY: The watch stands, and the state's registration outlives it.
            W::socket_gone(net.state(unsafe { Registered::new() }), socket);
        }
    }
    0
}
