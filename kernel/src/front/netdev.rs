// SPDX-License-Identifier: GPL-2.0

//! Hooks of network devices: of packets that come in, and of those that leave.
//!
//! C headers: `include/linux/netdevice.h`, `include/linux/netfilter.h`
//!
//! All changes are made under the RTNL lock, which [`Rtnl`] stands for: attaching, detaching, and the
//! notification that a device goes ([`crate::net::News`]), which the kernel delivers with the lock held.

use crate::base::rcu::Reader;
use crate::bindings;
use crate::front::hook::{Hook, Outcome};
use crate::net::{sealed, Door, Net, NetState, Registered, Rtnl};
use crate::packet::skb::Skb;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use glb_core::packet::ip::Family;
use kernel::prelude::*;

/// `pkt_type` of a frame for this machine (`include/uapi/linux/if_packet.h`).
const PACKET_HOST: u32 = 0;

/// That a packet is gone, and was not sent: its sender's `dev_queue_xmit` answers `NET_XMIT_DROP`, as it does where a device's
/// queue is full. The error number behind the verdict says so (`NF_DROP_GETERR`).
const LOST: u32 = bindings::NF_STOLEN | bindings::ENOBUFS << bindings::NF_VERDICT_QBITS;

/// A handler of the IP packets that come in from a device. Others go on untouched.
pub trait Ingress: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;
    /// What it keeps of an attached device.
    type Device: Send + Sync + 'static;

    /// Counts an IP packet in a frame that is not for this machine alone; it goes on untouched.
    fn other_host(state: &Self::State);

    /// Handles a packet, whose data starts at the IP header.
    fn handle<'a>(
        state: &Self::State,
        device: &Self::Device,
        hook: &Hook<'_>,
        skb: Skb<'a>,
    ) -> Outcome<'a>;
}

/// A handler of the IP packets that leave by a device, with whatever link header. Others go on untouched.
pub trait Egress: 'static {
    /// What the module keeps in a namespace.
    type State: NetState;
    /// What it keeps of an attached device.
    type Device: Send + Sync + 'static;

    /// Counts a packet that such a handler has sent itself (`Prepared::send_known`): it comes here again where it leaves, by this or
    /// another device, and goes on. What else leaves meanwhile, as an ICMP error about a packet, is handled like any other.
    fn own(state: &Self::State);

    /// Counts what goes on without being looked at: what is not IP, what belongs to a VLAN device, and frames whose IP header
    /// nobody has found.
    fn other(state: &Self::State);

    /// Handles a packet, whose data starts at the IP header. Bottom halves are off.
    fn handle<'a>(
        state: &Self::State,
        device: &Self::Device,
        hook: &Hook<'_>,
        skb: Skb<'a>,
    ) -> Outcome<'a>;
}

/// The handlers of a role, for modules that keep `S` of a namespace and `D` of a device.
pub struct Handler<S, D> {
    ingress: bindings::nf_hookfn,
    egress: bindings::nf_hookfn,
    _kept: PhantomData<(S, D)>,
}

impl<S: NetState, D: Send + Sync + 'static> Handler<S, D> {
    /// Of packets that come in.
    pub const fn of<I: Ingress<State = S, Device = D>>() -> Self {
        Self {
            ingress: Some(hook::<I>),
            egress: None,
            _kept: PhantomData,
        }
    }

    /// Of packets that come in, and of those that leave.
    pub const fn of_both<I: Ingress<State = S, Device = D>, E: Egress<State = S, Device = D>>(
    ) -> Self {
        Self {
            ingress: Some(hook::<I>),
            egress: Some(egress_hook::<E>),
            _kept: PhantomData,
        }
    }
}

/// The closed family of a module's handlers: what its devices may be for.
pub trait Role: Copy + Send + Sync + 'static {
    /// What the module keeps in a namespace.
    type State: NetState;
    /// What it keeps of an attached device, in whatever role.
    type Device: Send + Sync + 'static;

    /// What handles the packets of such a device.
    fn handler(self) -> Handler<Self::State, Self::Device>;
}

/// What the hooks of a device are given: it saves each packet the way from the namespace to its state, and the search for its
/// device.
struct Kept<S, D> {
    /// INVARIANT: the state of the namespace that the device is attached in, which outlives the attachment.
    state: *const S,
    device: D,
}

impl<S, D> Kept<S, D> {
    /// What a hook was given.
    ///
    /// # Safety
    ///
    /// `raw` must be what `open` gave to the hooks of a device whose handlers have these types, and the packet that the hook
    /// has must keep it: an attachment's end waits for all packets.
    #[inline]
    unsafe fn of<'h>(raw: *mut kernel::ffi::c_void) -> (&'h S, &'h D) {
        // SAFETY: By the requirements. The state does not move, and the attachment is among the namespace's doors, which are shut
        // before the state goes.
        unsafe {
            let kept = &*raw.cast::<Self>();
            (&*kept.state, &kept.device)
        }
    }
}

/// A handler attached to a device. Dropping it detaches, which happens with the RTNL lock held: [`Door`]s of devices are
/// changed under it.
pub struct Attachment<R: Role> {
    ops: Pin<KBox<Ops>>,
    /// The hooks have a pointer to it.
    kept: KBox<Kept<R::State, R::Device>>,
    /// How many of the operations are registered: the first ones.
    registered: u32,
    /// INVARIANT: the namespace of the device, among whose doors this object is, so it outlives the object.
    net: *mut bindings::net,
    ifindex: i32,
    role: R,
}

/// That of packets that come in, and that of those that leave.
const HOOKS: usize = 2;

struct Ops(UnsafeCell<[bindings::nf_hook_ops; HOOKS]>);

// SAFETY: The pointers are only used under the RTNL lock, but for that to the state, which any thread may use; what is kept of the
// device may go to any thread too.
unsafe impl<R: Role> Send for Attachment<R> {}
// SAFETY: As above.
unsafe impl<R: Role> Sync for Attachment<R> {}

impl<R: Role> Door for Attachment<R> {}

impl<R: Role> sealed::Open for Attachment<R> {
    type State = R::State;
    type Site<'s> = (&'s Rtnl, i32, R, R::Device);

    /// Attaches to the device with this index. `ENODEV` if there is none.
    fn open(
        net: &Net,
        registered: Registered<R::State>,
        (_rtnl, ifindex, role, device): Self::Site<'_>,
    ) -> Result<Self> {
        // SAFETY: The RTNL lock is held, so the device stays while this function runs.
        let dev = unsafe { bindings::__dev_get_by_index(net.as_ptr(), ifindex) };
        if dev.is_null() {
            return Err(ENODEV);
        }
        // What a device merged for this machine alone (LRO) cannot be cut again for others.
        // SAFETY: The RTNL lock is held, and the device is there.
        unsafe { bindings::dev_disable_lro(dev) };
        let kept = KBox::new(
            Kept {
                state: core::ptr::from_ref(net.state(registered)),
                device,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        let own = core::ptr::from_ref(&*kept).cast_mut();
        let ops = |hook, hooknum| bindings::nf_hook_ops {
            hook,
            dev,
            priv_: own.cast(),
            pf: bindings::NFPROTO_NETDEV as u8,
            hooknum,
            priority: 0,
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let Handler {
            ingress, egress, ..
        } = role.handler();
        let count = if egress.is_some() { HOOKS as u32 } else { 1 };
        let ops = KBox::pin(
            Ops(UnsafeCell::new([
                ops(ingress, bindings::nf_dev_hooks_NF_NETDEV_INGRESS),
                ops(egress, bindings::nf_dev_hooks_NF_NETDEV_EGRESS),
            ])),
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: The operations are pinned, and what they point to is in a box. The first `count` of them have a function. Both live
        // until they are removed and the last packet has left: `drop` waits, and so does what follows.
        let error =
            unsafe { bindings::nf_register_net_hooks(net.as_ptr(), ops.0.get().cast(), count) };
        if error != 0 {
            // The first one may have been registered, and removed again because of the second: packets may be in it.
            // SAFETY: No requirements in process context.
            unsafe { bindings::synchronize_net() };
        }
        kernel::error::to_result(error)?;
        Ok(Self {
            ops,
            kept,
            registered: count,
            net: net.as_ptr(),
            ifindex,
            role,
        })
    }
}

/// Has the device and its ports merge no UDP datagrams for whoever forwards, each with a tunnel header of its own. As with LRO, nobody
/// switches it on again at the end.
pub fn keep_datagrams(_rtnl: &Rtnl, net: &Net, ifindex: i32) {
    // SAFETY: The namespace is live, and the RTNL lock is held.
    unsafe { bindings::glb_dev_keep_datagrams(net.as_ptr(), ifindex) };
}

impl<R: Role> Attachment<R> {
    /// Index of the device.
    pub fn ifindex(&self) -> i32 {
        self.ifindex
    }

    /// What the device is for.
    pub fn role(&self) -> R {
        self.role
    }

    /// What is kept of the device.
    pub fn device(&self) -> &R::Device {
        &self.kept.device
    }
}

impl<R: Role> Drop for Attachment<R> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`, with the device still there: `Change::Gone` is told before it
        // goes. After the grace period no packet is in the handler and nobody reads the operations.
        unsafe {
            bindings::nf_unregister_net_hooks(self.net, self.ops.0.get().cast(), self.registered);
            bindings::synchronize_net();
        }
    }
}

unsafe extern "C" fn hook<I: Ingress>(
    own: *mut kernel::ffi::c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> kernel::ffi::c_uint {
    // SAFETY: The kernel passes a valid buffer and state, with RCU held; the buffer is ours until we
    // return.
    let (net, link, rcu, skb) = unsafe {
        (
            Net::from_ptr((*state).net),
            bindings::glb_skb_link(skb),
            Reader::held(),
            Skb::from_ptr(skb),
        )
    };
    let family = match link & 0xffff {
        0x0800 => Family::V4,
        0x86dd => Family::V6,
        _ => return bindings::NF_ACCEPT,
    };
    // SAFETY: `open` gave it to this hook.
    let (state, device) = unsafe { Kept::<I::State, I::Device>::of(own) };
    // Of the frames that a promiscuous device takes in, only those for this machine are a director's.
    if link >> 16 != PACKET_HOST {
        I::other_host(state);
        return bindings::NF_ACCEPT;
    }
    match I::handle(state, device, &Hook { net, family, rcu }, skb) {
        Outcome::Accept(_) => bindings::NF_ACCEPT,
        Outcome::Drop(_) => bindings::NF_DROP,
        // Nobody asks what became of a packet that came in.
        Outcome::Stolen | Outcome::Lost => bindings::NF_STOLEN,
    }
}

unsafe extern "C" fn egress_hook<E: Egress>(
    own: *mut kernel::ffi::c_void,
    raw: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> kernel::ffi::c_uint {
    // SAFETY: The buffer is valid, and bottom halves are off.
    if unsafe { bindings::glb_egress_is_own(raw) } {
        // SAFETY: `open` gave it to this hook.
        let (state, _) = unsafe { Kept::<E::State, E::Device>::of(own) };
        E::own(state);
        return bindings::NF_ACCEPT;
    }
    // SAFETY: The kernel passes a valid buffer and state, with RCU held and bottom halves off; the buffer is ours until we
    // return. `open` gave `own` to this hook.
    let (net, link, rcu, (state, device)) = unsafe {
        (
            Net::from_ptr((*state).net),
            bindings::glb_skb_link(raw),
            Reader::held(),
            Kept::<E::State, E::Device>::of(own),
        )
    };
    let family = match link & 0xffff {
        0x0800 => Family::V4,
        0x86dd => Family::V6,
        _ => {
            E::other(state);
            return bindings::NF_ACCEPT;
        }
    };
    // SAFETY: As above. The link header, if there is one to be stepped over, is put in front again below.
    let link_len = unsafe { bindings::glb_egress_enter(raw) };
    if link_len < 0 {
        E::other(state);
        return bindings::NF_ACCEPT;
    }
    // SAFETY: As in `hook`.
    let skb = unsafe { Skb::from_ptr(raw) };
    match E::handle(state, device, &Hook { net, family, rcu }, skb) {
        Outcome::Accept(_) => {
            // SAFETY: The buffer is still ours, and the bytes in front of the IP header are those that were stepped over: a pull
            // may have moved them, together with all that is in front.
            unsafe { bindings::glb_egress_leave(raw, link_len as u32) };
            bindings::NF_ACCEPT
        }
        Outcome::Drop(_) => bindings::NF_DROP,
        Outcome::Stolen => bindings::NF_STOLEN,
        Outcome::Lost => LOST,
    }
}
