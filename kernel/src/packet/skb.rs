// SPDX-License-Identifier: GPL-2.0

//! Socket buffers, as a netfilter hook sees them.
//!
//! C header: `include/linux/skbuff.h`

use crate::bindings;
use core::marker::PhantomData;
use core::ptr::NonNull;
use glb_core::packet::checksum::UdpChecksum;
use glb_core::packet::ip::Family;

/// A packet that the hook owns while it runs. Its data starts with the IP header.
///
/// The bytes are borrowed from it, so none can be kept over a call that may move them, and passing the
/// packet on takes it by value, so nothing can be done with it afterwards.
pub struct Skb<'a> {
    /// INVARIANT: a valid buffer that nobody else changes.
    ptr: NonNull<bindings::sk_buff>,
    _hook: PhantomData<&'a mut bindings::sk_buff>,
}

/// There was no memory.
#[derive(Debug)]
pub struct NoMemory;

impl Skb<'_> {
    /// # Safety
    ///
    /// `skb` must be a valid buffer, not null, which the caller hands over for `'a`.
    #[inline]
    pub(crate) unsafe fn from_ptr(skb: *mut bindings::sk_buff) -> Self {
        Self {
            // SAFETY: Not null by the contract.
            ptr: unsafe { NonNull::new_unchecked(skb) },
            _hook: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.ptr.as_ptr()
    }

    /// Bytes of the packet from the IP header on.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: The buffer is valid.
        unsafe { (*self.as_ptr()).len as usize }
    }

    /// Whether the packet has no byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The linear part.
    #[inline]
    pub fn linear(&self) -> &[u8] {
        // SAFETY: `data` points to `len - data_len` readable bytes (`skb_headlen`), which stay as long
        // as `self` is not changed.
        unsafe {
            let skb = self.as_ptr();
            core::slice::from_raw_parts(
                (*skb).data,
                (*skb).len.wrapping_sub((*skb).data_len) as usize,
            )
        }
    }

    /// Makes the first `len` bytes linear.
    #[inline]
    pub fn pull(&mut self, len: usize) -> Result<(), NoMemory> {
        let len = u32::try_from(len).map_err(|_| NoMemory)?;
        // SAFETY: The buffer is valid; the function checks `len`.
        if unsafe { bindings::glb_skb_pull(self.as_ptr(), len) } {
            Ok(())
        } else {
            Err(NoMemory)
        }
    }

    /// The first `len` bytes for writing, private to this packet: a clone that a capture holds keeps
    /// the old bytes.
    #[inline]
    pub fn writable(&mut self, len: usize) -> Result<&mut [u8], NoMemory> {
        let want = u32::try_from(len).map_err(|_| NoMemory)?;
        // SAFETY: The buffer is valid; the function checks `want`.
        if unsafe { bindings::skb_ensure_writable(self.as_ptr(), want) } != 0 {
            return Err(NoMemory);
        }
        // SAFETY: The call made the first `want` bytes linear and unshared.
        Ok(unsafe { core::slice::from_raw_parts_mut((*self.as_ptr()).data, len) })
    }

    /// Gives it a firewall mark, which rules of routing and of filters look at.
    pub fn set_mark(&mut self, mark: u32) {
        // SAFETY: The buffer is valid, and its fields are this hook's alone.
        unsafe { bindings::glb_skb_set_mark(self.as_ptr(), mark) }
    }

    /// Whether it is an aggregate of several packets.
    pub fn is_gso(&self) -> bool {
        // SAFETY: The buffer is valid.
        unsafe { bindings::glb_skb_is_gso(self.as_ptr()) }
    }

    /// Whether parts of it are buffers of their own.
    pub fn has_frag_list(&self) -> bool {
        // SAFETY: The buffer is valid.
        unsafe { bindings::glb_skb_has_frag_list(self.as_ptr()) }
    }

    /// Whether it came to this machine alone: by a frame for this machine, and to a unicast address of its family.
    #[inline]
    pub fn is_unicast(&self, family: Family) -> bool {
        // SAFETY: The buffer is valid, has a route, as packets to this machine do, and its IP header is linear.
        unsafe { bindings::glb_skb_is_unicast(self.as_ptr(), family == Family::V6) }
    }

    /// Completes a checksum that was left to a device. `NoMemory` covers every reason why it cannot be.
    pub fn finish_checksum(&mut self) -> Result<(), NoMemory> {
        // SAFETY: The buffer is valid.
        if unsafe { bindings::glb_skb_finish_checksum(self.as_ptr()) } {
            Ok(())
        } else {
            Err(NoMemory)
        }
    }

    /// Makes a TCP packet of `len` bytes, whose IP header has `ip_len`, an aggregate of packets of at most `mtu` bytes, or the
    /// packets of an aggregate as short as that. False if it cannot be, or must not: its checksum is wrong, it begins a
    /// connection, it has urgent data, or it is an aggregate with a list of buffers.
    pub fn segment_tcp(&mut self, ip_len: usize, len: usize, mtu: usize, family: Family) -> bool {
        // SAFETY: The buffer is valid and nobody borrows its bytes; the function checks the lengths, which are far below
        // 32 bits, against the packet.
        unsafe {
            bindings::glb_segment_tcp(
                self.as_ptr(),
                ip_len as u32,
                len as u32,
                mtu as u32,
                family == Family::V6,
            )
        }
    }

    /// Ends a packet that could not be sent; the hook must answer "stolen".
    #[inline]
    pub(crate) fn free(self) {
        // SAFETY: The buffer is ours, and is not used afterwards.
        unsafe { bindings::glb_skb_free(self.as_ptr()) };
    }

    /// Ends a packet that others were sent for; the hook must answer "stolen".
    pub fn consume(self) {
        // SAFETY: The buffer is ours, and is not used afterwards.
        unsafe { bindings::glb_skb_consume(self.as_ptr()) };
    }

    /// What the checksum field of the UDP header at `udp_offset` holds.
    #[inline]
    pub fn udp_checksum(&self, udp_offset: usize) -> UdpChecksum {
        // SAFETY: The buffer is valid. An offset beyond 32 bits does not occur and would only compare
        // unequal.
        if unsafe { bindings::glb_skb_udp_check_is_pseudo(self.as_ptr(), udp_offset as u32) } {
            UdpChecksum::PseudoHeader
        } else {
            UdpChecksum::Complete
        }
    }

    /// Whether several datagrams of the *outer* UDP were merged into this buffer (`UDP_SEGMENT`), each
    /// with a tunnel header of its own. A buffer in which `fou` merged segments of one inner connection
    /// has one tunnel header, and is not meant.
    #[inline]
    pub fn is_udp_gso(&self) -> bool {
        // SAFETY: The buffer is valid.
        unsafe { bindings::glb_skb_is_udp_gso(self.as_ptr()) }
    }
}
