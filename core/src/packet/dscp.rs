// SPDX-License-Identifier: GPL-2.0

//! The DSCP of a packet.

/// A differentiated services code point (RFC 2474): the upper six bits of TOS or traffic class.
///
/// INVARIANT: at most 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dscp(u8);

impl Dscp {
    /// The largest one.
    pub const MAX: u8 = 63;

    /// The one of this value, 0 to 63.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= Self::MAX {
            Some(Self(value))
        } else {
            None
        }
    }

    /// Its value.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }

    /// A TOS or traffic class with this DSCP, and the ECN of `old` (RFC 3168).
    #[inline(always)]
    #[must_use]
    pub const fn over(self, old: u8) -> u8 {
        self.0 << 2 | old & 3
    }
}

#[test]
fn six_bits() {
    assert_eq!(Dscp::new(64), None);
    assert_eq!(Dscp::new(63).map(|dscp| dscp.over(0)), Some(0xfc));
    // VPP's own test: dscp 7 makes TOS 0x1c.
    assert_eq!(Dscp::new(7).map(|dscp| dscp.over(0)), Some(0x1c));
    assert_eq!(Dscp::new(7).map(|dscp| dscp.over(0xff)), Some(0x1f));
}
