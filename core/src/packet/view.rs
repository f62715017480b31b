// SPDX-License-Identifier: GPL-2.0

//! Reading a packet of which only the first part may be in one piece of memory.
//!
//! The kernel keeps a packet as a linear head and pages behind it. [`View`] knows the linear bytes and
//! the packet's whole length, so a read past the linear part is told apart from a read past the packet:
//! the first asks the caller to pull more bytes and to try again, the second is final. A decision is a
//! pure function of the bytes, so trying again is harmless, and each retry asks for strictly more than
//! before, which bounds their number.

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// The packet has them, but not in its linear part: make the first `usize` bytes linear.
    NeedLinear(usize),
    /// The packet ends before them.
    Truncated,
}

/// A packet, or the part of one that a length field of a header leaves.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// INVARIANT: not longer than `len`, so that a read need look at one length only.
    linear: &'a [u8],
    len: usize,
}

impl<'a> View<'a> {
    /// The packet of `len` bytes whose first bytes are `linear`.
    #[inline]
    pub fn new(linear: &'a [u8], len: usize) -> Self {
        Self {
            linear: linear.get(..len).unwrap_or(linear),
            len,
        }
    }

    /// A packet that is wholly at hand.
    #[inline]
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self::new(bytes, bytes.len())
    }

    /// The bytes at hand, as far as they belong to the packet.
    #[inline]
    pub fn linear(&self) -> &'a [u8] {
        self.linear
    }

    /// Bytes of the packet, linear or not.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the packet has no byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same packet, ending at `end` at the latest.
    #[inline]
    #[must_use]
    pub fn limit(self, end: usize) -> Self {
        Self {
            linear: self.linear.get(..end).unwrap_or(self.linear),
            len: if end < self.len { end } else { self.len },
        }
    }

    /// The `N` bytes at `offset`.
    #[inline]
    pub fn array<const N: usize>(&self, offset: usize) -> Result<&'a [u8; N], Short> {
        let end = offset.checked_add(N);
        match end
            .and_then(|end| self.linear.get(offset..end))
            .and_then(<[u8]>::first_chunk)
        {
            Some(bytes) => Ok(bytes),
            None => Err(self.short(end)),
        }
    }

    /// Why the bytes up to `end` cannot be read.
    #[cold]
    fn short(&self, end: Option<usize>) -> Short {
        match end {
            Some(end) if end <= self.len => Short::NeedLinear(end),
            _ => Short::Truncated,
        }
    }

    /// The byte at `offset`.
    #[inline]
    pub fn byte(&self, offset: usize) -> Result<u8, Short> {
        let &[byte] = self.array(offset)?;
        Ok(byte)
    }

    /// The big-endian 16-bit field at `offset`.
    #[inline]
    pub fn be16(&self, offset: usize) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(*self.array(offset)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_linear_from_packet_end() {
        let view = View::new(&[1, 2, 3, 4], 6);
        assert_eq!(view.array::<4>(0), Ok(&[1, 2, 3, 4]));
        assert_eq!(view.be16(2), Ok(0x0304));
        assert_eq!(view.be16(3), Err(Short::NeedLinear(5)));
        assert_eq!(view.be16(4), Err(Short::NeedLinear(6)));
        assert_eq!(view.be16(5), Err(Short::Truncated));
        assert_eq!(view.byte(usize::MAX), Err(Short::Truncated));
        assert_eq!(view.array::<2>(usize::MAX), Err(Short::Truncated));
    }

    #[test]
    fn a_limit_never_lengthens() {
        let view = View::whole(&[0; 8]);
        assert_eq!(view.limit(3).len(), 3);
        assert_eq!(view.limit(30).len(), 8);
        assert_eq!(view.limit(3).be16(2), Err(Short::Truncated));
    }
}
