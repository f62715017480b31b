// SPDX-License-Identifier: GPL-2.0

//! A message of the family's while it is written.

use crate::bindings;
use core::ptr::NonNull;
use glb_core::packet::addr::Addr;
use kernel::error::to_result;
use kernel::prelude::*;

/// A message of the family's while it is written. `EMSGSIZE` means that it is full.
pub struct Message<'a> {
    /// INVARIANT: a buffer that is written through this value only.
    skb: &'a mut NonNull<bindings::sk_buff>,
}

impl<'a> Message<'a> {
    /// # Safety
    ///
    /// `skb` must be valid and unshared for `'a`, with a message begun in it.
    pub(super) unsafe fn new(skb: &'a mut NonNull<bindings::sk_buff>) -> Self {
        Self { skb }
    }

    /// Appends bytes.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) -> Result {
        let len = i32::try_from(payload.len()).map_err(|_| EMSGSIZE)?;
        // SAFETY: The buffer is ours; the payload has `len` bytes; the function checks for room.
        to_result(unsafe {
            bindings::nla_put(
                self.skb.as_ptr(),
                i32::from(kind),
                len,
                payload.as_ptr().cast(),
            )
        })
    }

    /// Appends a number of 8 bits.
    pub fn u8(&mut self, kind: u16, value: u8) -> Result {
        self.bytes(kind, &[value])
    }

    /// Appends a number of 16 bits.
    pub fn u16(&mut self, kind: u16, value: u16) -> Result {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number of 32 bits.
    pub fn u32(&mut self, kind: u16, value: u32) -> Result {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number of 32 bits, or 64 where it needs them (`uint` of the specification).
    pub fn uint(&mut self, kind: u16, value: u64) -> Result {
        match u32::try_from(value) {
            Ok(short) => self.u32(kind, short),
            Err(_) => self.bytes(kind, &value.to_ne_bytes()),
        }
    }

    /// Appends a text of at most 255 bytes, and the zero behind it.
    pub fn text(&mut self, kind: u16, text: &[u8]) -> Result {
        let mut terminated = [0; 256];
        let (place, _) = terminated
            .split_at_mut_checked(text.len())
            .ok_or(EMSGSIZE)?;
        if text.len() >= 256 {
            return Err(EMSGSIZE);
        }
        place.copy_from_slice(text);
        let len = text.len().wrapping_add(1);
        self.bytes(kind, terminated.get(..len).unwrap_or_default())
    }

    /// Appends an address: 4 or 16 bytes.
    pub fn addr(&mut self, kind: u16, addr: &Addr) -> Result {
        match addr {
            Addr::V4(bytes) => self.bytes(kind, bytes),
            Addr::V6(bytes) => self.bytes(kind, bytes),
        }
    }

    /// Appends a counter: an attribute of its name and its value, whose types are `of`.
    pub fn counter(&mut self, kind: u16, of: [u16; 2], name: &str, value: u64) -> Result {
        let [of_name, of_value] = of;
        self.nest(kind, |message| {
            message.text(of_name, name.as_bytes())?;
            message.uint(of_value, value)
        })
    }

    /// Appends an attribute of attributes. After an error the message must be given up.
    pub fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self) -> Result) -> Result {
        // SAFETY: The buffer is ours; the function checks for room.
        let nest = unsafe { bindings::glb_nla_nest_start(self.skb.as_ptr(), i32::from(kind)) };
        let nest = NonNull::new(nest).ok_or(EMSGSIZE)?;
        write(self)?;
        // SAFETY: `nest` is in the buffer, whose data does not move while attributes are appended.
        unsafe { bindings::glb_nla_nest_end(self.skb.as_ptr(), nest.as_ptr()) };
        Ok(())
    }
}
