// SPDX-License-Identifier: GPL-2.0

//! A mark: the packet goes on up the stack as it came, with a firewall mark that says which backend it is for.
//!
//! Rules of the kernel's own routing (`ip rule add fwmark 5001 lookup 5001`) lead it there. The director neither routes nor changes
//! it, so it may be of any length and family, and backends of any kind, as long as routes lead to them.

/// What the operator says of the forward: what is added to a backend's identifier, which is its place unless it has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkOffset(u32);

pub(super) type Params = MarkOffset;

impl MarkOffset {
    /// The least offset: 0 is what packets without a mark have.
    pub const MIN: u32 = 1;
    /// The largest offset, with room for the marks of 256 backends.
    pub const MAX: u32 = u32::MAX - 255;

    /// Marks from this one on.
    #[must_use]
    pub const fn new(offset: u32) -> Option<Self> {
        match offset {
            Self::MIN..=Self::MAX => Some(Self(offset)),
            _ => None,
        }
    }

    /// The mark of a backend with the identifier 0.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The mark of a backend, by its identifier.
    #[inline]
    #[must_use]
    pub const fn mark(self, identifier: u8) -> u32 {
        // No offset is so large that it wraps.
        self.0.wrapping_add(identifier as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_follow_the_offset_and_are_never_none() {
        assert_eq!(MarkOffset::new(0), None);
        assert_eq!(MarkOffset::new(MarkOffset::MAX + 1), None);
        let of = |offset| MarkOffset::new(offset).expect("an offset");
        assert_eq!((of(5_000).mark(0), of(5_000).mark(7)), (5_000, 5_007));
        assert_eq!(of(MarkOffset::MAX).mark(u8::MAX), u32::MAX);
    }
}
