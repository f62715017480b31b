// SPDX-License-Identifier: GPL-2.0

//! Generic netlink families.
//!
//! C header: `include/net/genetlink.h`
//!
//! Handlers run in process context and may sleep, several at once. Everything is about the namespace of
//! the sender's socket.

mod attr;
mod message;
mod policy;
mod request;
mod socket;

pub use attr::{Attr, Attrs};
pub use glb_core::netlink::family::Operation as Spec;
pub use message::Message;
pub use policy::{nest, nest_room, Rule, Rules};
pub use request::{not_supported, Request};
pub use socket::{SocketGone, SocketWatch};

use crate::base::rcu;
use crate::base::vec::Append;
use crate::bindings;
use crate::net::{Net, NetState, Registered};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::types::Opaque;

/// A family. A module can have one.
pub trait Family: Sized + 'static {
    /// What the module keeps in a namespace.
    type State: NetState;
    /// Name, at most 15 bytes.
    const NAME: &'static str;
    /// Version.
    const VERSION: u32;
    /// Name of the multicast group, at most 15 bytes.
    const GROUP: &'static str;
    /// The commands, ascending; of one command the requests before the dump.
    const OPERATIONS: &'static [Operation<Self>];
}

/// What the module of a family keeps in a namespace.
pub type StateOf<F> = <F as Family>::State;

/// A command with one answer, or none but success.
pub trait Command {
    /// The family.
    type Family: Family;
    /// Its number, and whether it needs CAP_NET_ADMIN in the user namespace that the network namespace belongs to.
    const SPEC: Spec;
    /// The rules of its attributes that hold attributes.
    const NESTS: &'static [(u16, Rule)] = &[];
    /// What it takes, which follows from these two.
    const POLICY: &'static Rules = &policy::policy(Self::SPEC.set, Self::SPEC.takes, Self::NESTS);
    /// Carries it out.
    fn run(state: &StateOf<Self::Family>, request: &Request<'_, StateOf<Self::Family>>) -> Result;
}

/// Where a dump is; zeroes at the start.
pub type Cursor = [usize; 2];

/// A command that is answered by a list.
pub trait Dump {
    /// The family.
    type Family: Family;
    /// Its number, and whether an administrator alone may send it.
    const SPEC: Spec;
    /// What it takes, which follows from that.
    const POLICY: &'static Rules = &policy::policy(Self::SPEC.set, Self::SPEC.takes_for_list, &[]);
    /// A number that changes whenever what is listed does, so that a reader can tell that the list it
    /// has got was changed in between.
    fn generation(state: &StateOf<Self::Family>) -> u32;
    /// Writes the item at the cursor and moves the cursor behind it; false if there are no more.
    fn next(
        state: &StateOf<Self::Family>,
        request: &Request<'_, StateOf<Self::Family>>,
        cursor: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool>;
}

/// An entry in a family's list of commands.
pub struct Operation<F> {
    ops: bindings::genl_split_ops,
    _family: PhantomData<F>,
}

// SAFETY: Operations are constants.
unsafe impl<F> Sync for Operation<F> {}

impl<F: Family> Operation<F> {
    /// A command with one answer.
    pub const fn command<C: Command<Family = F>>() -> Self {
        let access = match C::SPEC.admin {
            true => bindings::GENL_UNS_ADMIN_PERM,
            false => 0,
        };
        Self::new(
            C::SPEC.number,
            access | bindings::GENL_CMD_CAP_DO,
            C::POLICY,
            policy::room(C::SPEC.takes),
            bindings::genl_split_ops__bindgen_ty_1 {
                __bindgen_anon_1: bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
                    pre_doit: None,
                    doit: Some(doit::<C>),
                    post_doit: None,
                },
            },
        )
    }

    /// A command that is answered by a list.
    pub const fn dump<D: Dump<Family = F>>() -> Self {
        let access = match D::SPEC.admin {
            true => bindings::GENL_UNS_ADMIN_PERM,
            false => 0,
        };
        Self::new(
            D::SPEC.number,
            access | bindings::GENL_CMD_CAP_DUMP,
            D::POLICY,
            policy::room(D::SPEC.takes_for_list),
            bindings::genl_split_ops__bindgen_ty_1 {
                __bindgen_anon_2: bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
                    start: None,
                    dumpit: Some(dumpit::<D>),
                    done: None,
                },
            },
        )
    }

    const fn new(
        command: u8,
        flags: u32,
        rules: &'static Rules,
        room: usize,
        calls: bindings::genl_split_ops__bindgen_ty_1,
    ) -> Self {
        Self {
            ops: bindings::genl_split_ops {
                __bindgen_anon_1: calls,
                policy: Rule::as_ptr(rules),
                maxattr: (room - 1) as u32,
                cmd: command,
                internal_flags: 0,
                flags: flags as u8,
                validate: 0,
            },
            _family: PhantomData,
        }
    }
}

/// The registered family of this module, for notifications; null before and after.
static FAMILY: AtomicPtr<bindings::genl_family> = AtomicPtr::new(core::ptr::null_mut());

/// The registration of a family.
pub struct Registration<F: Family> {
    family: Pin<KBox<Opaque<bindings::genl_family>>>,
    /// INVARIANT: `family` leads to these two.
    _operations: KVec<bindings::genl_split_ops>,
    _group: KBox<bindings::genl_multicast_group>,
    _family: PhantomData<F>,
}

// SAFETY: The family is only touched by the kernel, which does its own locking.
unsafe impl<F: Family> Send for Registration<F> {}
// SAFETY: As above.
unsafe impl<F: Family> Sync for Registration<F> {}

impl<F: Family> Registration<F> {
    /// Registers the family.
    pub fn new(module: &'static ThisModule, _registered: Registered<F::State>) -> Result<Self> {
        let mut operations = KVec::with_capacity(F::OPERATIONS.len(), GFP_KERNEL)?;
        for operation in F::OPERATIONS {
            operations.append(operation.ops, GFP_KERNEL)?;
        }
        let group = KBox::new(
            bindings::genl_multicast_group {
                name: name(F::GROUP),
                flags: 0,
            },
            GFP_KERNEL,
        )?;
        let family = bindings::genl_family {
            name: name(F::NAME),
            version: F::VERSION,
            module: module.as_ptr(),
            split_ops: operations.as_ptr(),
            n_split_ops: u8::try_from(operations.len()).map_err(|_| EINVAL)?,
            mcgrps: &raw const *group,
            n_mcgrps: 1,
            _bitfield_1: bindings::genl_family::new_bitfield_1(1, 1),
            // SAFETY: All zero is a valid value of the other fields.
            ..unsafe { core::mem::zeroed() }
        };
        let family = KBox::pin(Opaque::new(family), GFP_KERNEL)?;
        // SAFETY: The family is pinned and, with what it leads to, lives until `drop` has removed it.
        to_result(unsafe { bindings::genl_register_family(family.get()) })?;
        FAMILY.store(family.get(), Ordering::Release);
        Ok(Self {
            family,
            _operations: operations,
            _group: group,
            _family: PhantomData,
        })
    }
}

impl<F: Family> Drop for Registration<F> {
    fn drop(&mut self) {
        FAMILY.store(core::ptr::null_mut(), Ordering::Release);
        // SAFETY: The family was registered by `new`. Who found it in `FAMILY` is done after the grace
        // period; removal waits for handlers.
        unsafe {
            bindings::synchronize_rcu();
            bindings::genl_unregister_family(self.family.get());
        }
    }
}

fn name(text: &str) -> [kernel::ffi::c_char; 16] {
    let mut name = [0; 16];
    for (place, byte) in name.iter_mut().take(15).zip(text.bytes()) {
        *place = byte as kernel::ffi::c_char;
    }
    name
}

/// Tells the listeners of the namespace: a message of up to `size` bytes. Does not sleep. Nothing happens
/// if nobody listens, the family is not registered or there is no memory.
pub fn notify(net: &Net, command: u8, size: usize, write: impl FnOnce(&mut Message<'_>) -> Result) {
    let _rcu = rcu::Guard::new();
    let family = FAMILY.load(Ordering::Acquire);
    if family.is_null() {
        return;
    }
    // SAFETY: The family stays registered until a grace period after it was taken out of `FAMILY`.
    unsafe {
        if !bindings::glb_genl_has_listeners(family, net.as_ptr(), 0) {
            return;
        }
        let header = request::Header {
            socket: 0,
            sequence: 0,
            command,
        };
        if let Ok(skb) = request::compose(family, &header, size, false, write) {
            bindings::glb_genl_multicast(family, net.as_ptr(), skb.as_ptr(), 0);
        }
    }
}

unsafe extern "C" fn doit<C: Command>(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> kernel::ffi::c_int {
    let (Some(info), Some(skb)) = (NonNull::new(info), NonNull::new(skb)) else {
        return EINVAL.to_errno();
    };
    // SAFETY: The kernel passes the request, for the length of the call. The family is registered only
    // while the registration of its state stands, and removal waits for handlers.
    let request = unsafe { Request::new(info, skb) };
    match C::run(request.state(), &request) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

unsafe extern "C" fn dumpit<D: Dump>(
    skb: *mut bindings::sk_buff,
    callback: *mut bindings::netlink_callback,
) -> kernel::ffi::c_int {
    // SAFETY: The kernel passes a buffer of ours to fill, and its notes about the dump.
    unsafe { dump_some::<D>(skb, &mut *callback) }.unwrap_or_else(|error| error.to_errno())
}

/// # Safety
///
/// `skb` and `callback` must be what the kernel passes.
unsafe fn dump_some<D: Dump>(
    skb: *mut bindings::sk_buff,
    callback: &mut bindings::netlink_callback,
) -> Result<kernel::ffi::c_int> {
    let mut skb = NonNull::new(skb).ok_or(EINVAL)?;
    // SAFETY: The kernel keeps the request while the dump runs, and runs one call at a time.
    let info = unsafe { bindings::glb_genl_info_dump(callback) }.cast_mut();
    let info = NonNull::new(info).ok_or(EINVAL)?;
    let message = NonNull::new(callback.skb).ok_or(EINVAL)?;
    // SAFETY: As above. A dump holds the module, and with it the registration of the state.
    let request = unsafe { Request::new(info, message) };
    let info = info.as_ptr();
    let state = request.state();
    // SAFETY: The notes are ours to keep, all zero at the start.
    let mut cursor: Cursor = unsafe { callback.ctx() };
    let before = skb_len(&skb);
    loop {
        callback.seq = D::generation(state);
        // SAFETY: The buffer is ours; the family is registered, as a request is being answered.
        let header = unsafe {
            bindings::genlmsg_put(
                skb.as_ptr(),
                (*info).snd_portid,
                (*info).snd_seq,
                (*info).family,
                bindings::NLM_F_MULTI as i32,
                D::SPEC.number,
            )
        };
        let mut next = cursor;
        let written = if header.is_null() {
            Err(EMSGSIZE)
        } else {
            // SAFETY: The buffer is ours and has a message begun.
            let mut message = unsafe { Message::new(&mut skb) };
            D::next(state, &request, &mut next, &mut message)
        };
        if let Ok(true) = written {
            cursor = next;
            // SAFETY: `header` is the message begun above.
            unsafe {
                bindings::glb_genl_check_consistent(callback, header);
                bindings::glb_genl_end(skb.as_ptr(), header);
            }
            continue;
        }
        if !header.is_null() {
            // SAFETY: As above; takes the message back.
            unsafe { bindings::glb_genl_cancel(skb.as_ptr(), header) };
        }
        // SAFETY: As above.
        unsafe { callback.set_ctx(cursor) };
        let len = skb_len(&skb);
        return match written {
            Ok(_) => Ok(len),
            // The buffer is full; the next call goes on. An item that fits no buffer is an error.
            Err(error) if error == EMSGSIZE && len > before => Ok(len),
            Err(error) => Err(error),
        };
    }
}

fn skb_len(skb: &NonNull<bindings::sk_buff>) -> i32 {
    // SAFETY: The buffer is valid. The cast is exact: buffers of netlink are small.
    unsafe { bindings::glb_skb_len(skb.as_ptr()) as i32 }
}

/// The notes that the kernel keeps between the calls of a dump.
trait Notes {
    /// # Safety
    ///
    /// The notes must be a cursor or zeroes.
    unsafe fn ctx(&self) -> Cursor;
    /// # Safety
    ///
    /// The notes must be the caller's.
    unsafe fn set_ctx(&mut self, cursor: Cursor);
}

impl Notes for bindings::netlink_callback {
    unsafe fn ctx(&self) -> Cursor {
        // SAFETY: The union is of 48 bytes, all initialised, aligned as integers are.
        unsafe { (&raw const self.__bindgen_anon_1).cast::<Cursor>().read() }
    }

    unsafe fn set_ctx(&mut self, cursor: Cursor) {
        // SAFETY: As above.
        unsafe {
            (&raw mut self.__bindgen_anon_1)
                .cast::<Cursor>()
                .write(cursor)
        };
    }
}
