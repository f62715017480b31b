// SPDX-License-Identifier: GPL-2.0

//! A request and the answer to it.

use super::attr::{Attr, Attrs};
use super::message::Message;
use crate::bindings;
use crate::net::named::Caller;
use crate::net::{Net, NetState, Registered};
use core::fmt::{self, Write};
use core::ptr::NonNull;
use glb_core::packet::addr::Addr;
use kernel::error::to_result;
use kernel::prelude::*;

/// The error, once the sender was told why: `refuse!(request, error, attribute, format, arguments...)`.
#[macro_export]
macro_rules! refuse {
    ($request:expr, $error:expr, $attr:expr, $($why:tt)+) => {
        $request.refuse($error, $attr, format_args!($($why)+))
    };
}

/// EOPNOTSUPP, for what another version of the module may know. The kernel crate has no name for it.
pub fn not_supported() -> Error {
    // The cast is exact: the number is 95, or another small one on some architectures.
    match to_result(-(kernel::bindings::EOPNOTSUPP as i32)) {
        Err(error) => error,
        // The number is negative.
        Ok(()) => EINVAL,
    }
}

/// A request that a handler is called for, of a family whose state is `S`.
pub struct Request<'a, S> {
    /// INVARIANT: valid for `'a`, and used by nobody else.
    info: NonNull<bindings::genl_info>,
    /// INVARIANT: the message of the request, valid for `'a`.
    skb: NonNull<bindings::sk_buff>,
    net: &'a Net,
    attrs: Attrs<'a>,
    registered: Registered<S>,
}

impl<'a, S: NetState> Request<'a, S> {
    /// # Safety
    ///
    /// `info` and `skb` must be what the kernel passes to a handler, nobody else may use `info` during `'a`, and the
    /// registration of `S` must stand while the handler runs.
    pub(super) unsafe fn new(
        info: NonNull<bindings::genl_info>,
        skb: NonNull<bindings::sk_buff>,
    ) -> Self {
        let mut len = 0;
        // SAFETY: The message has a header of this family, and so many bytes behind it, which stay
        // unchanged during the call; the sender's socket holds its namespace.
        unsafe {
            let attrs = bindings::glb_genl_attrs(info.as_ptr(), &mut len);
            Self {
                net: Net::from_ptr(bindings::glb_genl_net(info.as_ptr())),
                attrs: Attrs::new(core::slice::from_raw_parts(attrs.cast(), len)),
                info,
                skb,
                registered: Registered::new(),
            }
        }
    }

    /// The namespace of the sender.
    pub fn net(&self) -> &'a Net {
        self.net
    }

    /// What the module keeps in the namespace of the sender.
    pub fn state(&self) -> &'a S {
        self.net.state(self.registered)
    }

    /// Proof that the state is registered.
    pub fn registered(&self) -> Registered<S> {
        self.registered
    }

    /// Who has names of namespaces resolved: the sender, if the opener of its socket may, too.
    pub fn caller(&self) -> Caller {
        // SAFETY: By the invariant it is a message of netlink, whose socket is there during the call.
        let may = unsafe { bindings::glb_genl_initial_admin(self.skb.as_ptr()) };
        Caller::current(self.net).and(may)
    }

    /// Whether the sender administers the network of its namespace, as commands ask that change it.
    pub fn is_admin(&self) -> bool {
        // SAFETY: By the invariant it is a message of netlink, whose socket is there during the call.
        unsafe { bindings::glb_genl_admin(self.skb.as_ptr()) }
    }

    /// The number of the sender's socket.
    pub fn socket(&self) -> u32 {
        // SAFETY: By the invariant.
        unsafe { (*self.info.as_ptr()).snd_portid }
    }

    /// All attributes.
    pub fn attrs(&self) -> Attrs<'a> {
        self.attrs
    }

    /// An attribute, if it was sent.
    pub fn get(&self, kind: u16) -> Option<Attr<'a>> {
        self.attrs.get(kind)
    }

    /// An attribute that must be there.
    pub fn require(&self, kind: u16) -> Result<Attr<'a>> {
        self.get(kind).ok_or_else(|| self.missing(None, kind))
    }

    /// An attribute that must be in another.
    pub fn require_in(&self, nest: &Attr<'a>, kind: u16) -> Result<Attr<'a>> {
        nest.nested()
            .get(kind)
            .ok_or_else(|| self.missing(Some(nest), kind))
    }

    fn missing(&self, nest: Option<&Attr<'a>>, kind: u16) -> Error {
        if let Some(extack) = self.extack() {
            // SAFETY: The kernel passes a structure of its own to the handler.
            unsafe {
                (*extack.as_ptr()).miss_type = kind;
                (*extack.as_ptr()).miss_nest =
                    nest.map_or(core::ptr::null(), |nest| nest.as_ptr().cast());
            }
        }
        self.refuse(
            EINVAL,
            None,
            format_args!("a required attribute is missing"),
        )
    }

    /// The error, once the sender was told why and about which attribute. At most 79 characters arrive.
    pub fn refuse(&self, error: Error, attr: Option<&Attr<'a>>, why: fmt::Arguments<'_>) -> Error {
        if let Some(extack) = self.extack() {
            let mut text = Text {
                bytes: [0; 80],
                len: 0,
            };
            // What does not fit is left out.
            let _ = text.write_fmt(why);
            // SAFETY: The kernel passes a structure of its own to the handler, which outlives the
            // handler and has the buffer for a text that its pointer may lead to; the attribute is part
            // of the request.
            unsafe {
                let extack = extack.as_ptr();
                (*extack)._msg_buf = text.bytes;
                (*extack)._msg = (&raw const (*extack)._msg_buf).cast();
                if let Some(attr) = attr {
                    (*extack).bad_attr = attr.as_ptr().cast();
                }
            }
        }
        error
    }

    fn extack(&self) -> Option<NonNull<bindings::netlink_ext_ack>> {
        // SAFETY: By the invariant.
        NonNull::new(unsafe { (*self.info.as_ptr()).extack })
    }

    /// The address in an attribute: 4 or 16 bytes.
    pub fn addr(&self, attr: &Attr<'a>) -> Result<Addr> {
        match (attr.array(), attr.array()) {
            (Ok(v4), _) => Ok(Addr::V4(v4)),
            (_, Ok(v6)) => Ok(Addr::V6(v6)),
            _ => Err(refuse!(
                self,
                EINVAL,
                Some(attr),
                "an address has 4 or 16 bytes, not {}",
                attr.bytes().len()
            )),
        }
    }

    /// Answers with a message of up to `size` bytes. `write` may run under RCU.
    pub fn reply(&self, size: usize, write: impl FnOnce(&mut Message<'_>) -> Result) -> Result {
        // SAFETY: By the invariant; the header is part of the request, and the family is registered while
        // its handler runs.
        let skb = unsafe {
            let info = self.info.as_ref();
            let header = Header {
                socket: info.snd_portid,
                sequence: info.snd_seq,
                command: (*info.genlhdr).cmd,
            };
            compose(info.family, &header, size, true, write)
        }?;
        // SAFETY: The buffer is a whole message, and is given away.
        to_result(unsafe { bindings::glb_genl_reply(skb.as_ptr(), self.info.as_ptr()) })
    }
}

/// What stands in front of a message.
pub(super) struct Header {
    pub(super) socket: u32,
    pub(super) sequence: u32,
    pub(super) command: u8,
}

/// Writes a message into a buffer of its own, which is the caller's.
///
/// # Safety
///
/// `family` must be registered, and the context one to sleep in if `may_sleep`.
pub(super) unsafe fn compose(
    family: *const bindings::genl_family,
    header: &Header,
    size: usize,
    may_sleep: bool,
    write: impl FnOnce(&mut Message<'_>) -> Result,
) -> Result<NonNull<bindings::sk_buff>> {
    // SAFETY: No requirements but the context, which the caller vouches for.
    let skb = unsafe { bindings::glb_genl_new(size, may_sleep) };
    let mut skb = NonNull::new(skb).ok_or(ENOMEM)?;
    // SAFETY: The buffer is ours; the family is registered.
    let begun = unsafe {
        bindings::genlmsg_put(
            skb.as_ptr(),
            header.socket,
            header.sequence,
            family,
            0,
            header.command,
        )
    };
    let written = if begun.is_null() {
        Err(EMSGSIZE)
    } else {
        // SAFETY: The buffer is ours and has a message begun.
        write(&mut unsafe { Message::new(&mut skb) })
    };
    match written {
        Ok(()) => {
            // SAFETY: `begun` is the header in the buffer.
            unsafe { bindings::glb_genl_end(skb.as_ptr(), begun) };
            Ok(skb)
        }
        Err(error) => {
            // SAFETY: The buffer is ours.
            unsafe { bindings::glb_genl_free(skb.as_ptr()) };
            Err(error)
        }
    }
}

/// A text that ends with a zero; what does not fit is left out.
struct Text {
    bytes: [kernel::ffi::c_char; 80],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..79).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(text.bytes()) {
            *place = byte as kernel::ffi::c_char;
            self.len = self.len.wrapping_add(1);
        }
        Ok(())
    }
}
