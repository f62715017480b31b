// SPDX-License-Identifier: GPL-2.0

//! Attributes of a request.
//!
//! The kernel has checked them against the command's policy before a handler sees them; reading checks
//! lengths again, so that nothing here depends on the policy being right.

use kernel::prelude::*;

/// Bytes of an attribute's header.
const HEADER: usize = 4;
/// The bits of the type that are the type; the others say how the payload is coded.
const TYPE_MASK: u16 = 0x3fff;

/// Attributes one behind the other.
#[derive(Clone, Copy)]
pub struct Attrs<'a>(&'a [u8]);

/// An attribute.
#[derive(Clone, Copy)]
pub struct Attr<'a> {
    kind: u16,
    /// With the header.
    whole: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Attrs<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The attribute of a type; the last one, if there are several.
    pub fn get(self, kind: u16) -> Option<Attr<'a>> {
        self.all(kind).last()
    }

    /// All attributes of a type.
    pub fn all(self, kind: u16) -> impl Iterator<Item = Attr<'a>> {
        self.filter(move |attr| attr.kind == kind)
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let &[l0, l1, t0, t1] = self.0.first_chunk::<HEADER>()?;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let whole = self.0.get(..len)?;
        let payload = whole.get(HEADER..)?;
        let aligned = len.wrapping_add(3) & !3;
        self.0 = self.0.get(aligned..).unwrap_or_default();
        Some(Attr {
            kind: u16::from_ne_bytes([t0, t1]) & TYPE_MASK,
            whole,
            payload,
        })
    }
}

impl<'a> Attr<'a> {
    /// Its type.
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// The payload.
    pub fn bytes(&self) -> &'a [u8] {
        self.payload
    }

    /// A payload of exactly `N` bytes.
    pub fn array<const N: usize>(&self) -> Result<[u8; N]> {
        self.payload.try_into().map_err(|_| EINVAL)
    }

    /// A number of 8 bits.
    pub fn u8(&self) -> Result<u8> {
        self.array().map(u8::from_ne_bytes)
    }

    /// A number of 16 bits.
    pub fn u16(&self) -> Result<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(&self) -> Result<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    /// A number of 32 or 64 bits (`uint` of the specification).
    pub fn uint(&self) -> Result<u64> {
        match self.array() {
            Ok(short) => Ok(u64::from(u32::from_ne_bytes(short))),
            Err(_) => self.array().map(u64::from_ne_bytes),
        }
    }

    /// A text, without the zero at its end.
    pub fn text(&self) -> &'a [u8] {
        self.payload
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
    }

    /// The attributes in it.
    pub fn nested(&self) -> Attrs<'a> {
        Attrs(self.payload)
    }

    /// Where the kernel finds the attribute.
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.whole.as_ptr()
    }
}
