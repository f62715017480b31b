// SPDX-License-Identifier: GPL-2.0

//! Packets of our own: those that were made here, and that nobody else frees.

use super::skb::Skb;
use crate::bindings;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use glb_core::packet::ip::Family;

/// A packet that was made here; it is freed where it is not sent.
pub struct Own {
    /// INVARIANT: the buffer is this object's, until `into_skb` gives it away.
    skb: ManuallyDrop<Skb<'static>>,
}

impl Own {
    /// # Safety
    ///
    /// `skb` must be a valid buffer, not null, which the caller hands over.
    pub(crate) unsafe fn from_ptr(skb: *mut bindings::sk_buff) -> Self {
        Self {
            // SAFETY: By the contract.
            skb: ManuallyDrop::new(unsafe { Skb::from_ptr(skb) }),
        }
    }

    /// Hands the packet over to `take`; it is freed here if it is given back.
    pub fn hand_over<T, E>(
        self,
        take: impl FnOnce(Skb<'static>) -> Result<T, (Skb<'static>, E)>,
    ) -> Result<T, E> {
        take(self.into_skb()).map_err(|(skb, why)| {
            skb.free();
            why
        })
    }

    /// The packet, whose end is now the caller's affair.
    pub(crate) fn into_skb(self) -> Skb<'static> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither dropped nor looked at again.
        unsafe { ManuallyDrop::take(&mut this.skb) }
    }

    /// Its first `len` bytes, which nobody else has.
    pub fn head(&mut self, len: usize) -> Option<&mut [u8]> {
        // SAFETY: The buffer was made here and its head is shared with nobody; `data` points to `len - data_len`
        // linear bytes.
        let bytes = unsafe {
            let skb = self.skb.as_ptr();
            core::slice::from_raw_parts_mut(
                (*skb).data,
                (*skb).len.wrapping_sub((*skb).data_len) as usize,
            )
        };
        bytes.get_mut(..len)
    }
}

impl Own {
    /// Makes a TCP packet an aggregate of shorter ones: [`Skb::segment_tcp`].
    pub fn segment_tcp(&mut self, ip_len: usize, len: usize, mtu: usize, family: Family) -> bool {
        self.skb.segment_tcp(ip_len, len, mtu, family)
    }
}

impl Deref for Own {
    type Target = Skb<'static>;

    fn deref(&self) -> &Skb<'static> {
        &self.skb
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: The buffer is ours, and is not used afterwards.
        unsafe { bindings::glb_skb_free(self.skb.as_ptr()) };
    }
}
