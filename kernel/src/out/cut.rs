// SPDX-License-Identifier: GPL-2.0

//! Packets made of parts of another one: those that an aggregate stands for, and pieces of one packet.
//!
//! C headers: `include/net/gso.h`, `include/linux/skbuff.h`

use crate::bindings;
use crate::out::path::Path;
use crate::packet::own::Own;
use crate::packet::skb::Skb;
use glb_core::director::Piece;
use kernel::prelude::*;

/// A piece of `packet`: its first `header_len` bytes, and the part of what is behind them, with room in front for `room` bytes
/// and for the headers of the path's device. `None`: no memory.
pub fn piece(
    packet: &Skb<'_>,
    path: &Path,
    room: usize,
    header_len: usize,
    part: &Piece,
) -> Option<Own> {
    // SAFETY: Both are valid; the function checks the lengths, which are far below 32 bits, against the packet.
    let skb = unsafe {
        bindings::glb_piece(
            packet.as_ptr(),
            path.dst(),
            room as u32,
            header_len as u32,
            part.start as u32,
            part.len as u32,
        )
    };
    // SAFETY: A new buffer, which is handed over.
    (!skb.is_null()).then(|| unsafe { Own::from_ptr(skb) })
}

/// The packets that an aggregate stands for, one after the other.
pub struct Segments {
    /// INVARIANT: null, or a list of buffers that is this object's.
    head: *mut bindings::sk_buff,
}

/// Why an aggregate was not taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// There was no memory.
    NoMemory,
    /// Its headers are not those of an aggregate of its kind.
    Wrong,
}

impl Segments {
    /// Takes an aggregate apart into the packets that it was made of; their checksums are final. On failure it is given back,
    /// to be dropped.
    pub fn of(aggregate: Skb<'_>) -> Result<Self, (Skb<'_>, Whole)> {
        let mut error = 0;
        // SAFETY: The buffer is valid and handed over; where the list is null it is still ours, and the error is written.
        let head = unsafe { bindings::glb_segments(aggregate.as_ptr(), &mut error) };
        if !head.is_null() {
            return Ok(Self { head });
        }
        let why = if error == ENOMEM.to_errno() {
            Whole::NoMemory
        } else {
            Whole::Wrong
        };
        Err((aggregate, why))
    }
}

impl Iterator for Segments {
    type Item = Own;

    fn next(&mut self) -> Option<Own> {
        // SAFETY: The list is ours; its first element is taken out of it.
        let first = unsafe { bindings::glb_segments_pop(&mut self.head) };
        // SAFETY: It was part of the list, and is handed over.
        (!first.is_null()).then(|| unsafe { Own::from_ptr(first) })
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        // SAFETY: The list is ours; an empty one is null, which the function takes.
        unsafe { bindings::glb_segments_free(self.head) };
    }
}
