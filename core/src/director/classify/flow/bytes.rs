// SPDX-License-Identifier: GPL-2.0

//! A match on bytes of the transport header: `tcp[12:1] & 0x02 = 0x02`.

use crate::director::classify::bind::Proto;
#[cfg(feature = "tables")]
use core::fmt;

/// A match on 1, 2 or 4 bytes, read as one big-endian number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteMatch {
    /// The protocol whose packets are compared.
    pub transport: Proto,
    /// First byte, from the start of the header.
    pub offset: u8,
    /// How many: 1, 2 or 4.
    pub len: u8,
    /// Which bits count.
    pub mask: u32,
    /// What they must be.
    pub value: u32,
}

/// The number in these bytes of a header, if it has them.
#[inline]
pub(super) fn number(header: &[u8], offset: u8, len: u8) -> Option<u32> {
    let bytes = header.get(usize::from(offset)..)?;
    match len {
        1 => bytes.first().copied().map(u32::from),
        2 => bytes
            .first_chunk()
            .map(|bytes| u32::from(u16::from_be_bytes(*bytes))),
        _ => bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)),
    }
}

impl ByteMatch {
    /// Whether its bytes are in the header of its protocol, and can be what it wants.
    #[must_use]
    pub const fn is_fit(&self) -> bool {
        let all = match self.len {
            1 => 0xff,
            2 => 0xffff,
            4 => u32::MAX,
            _ => return false,
        };
        let end = self.offset.saturating_add(self.len);
        end <= self.transport.least_header()
            && self.mask != 0
            && self.mask & !all == 0
            && self.value & !self.mask == 0
    }

    /// Whether a header of its protocol has what it wants.
    #[must_use]
    pub fn takes(&self, header: &[u8]) -> bool {
        number(header, self.offset, self.len).is_some_and(|number| number & self.mask == self.value)
    }
}

/// Why a text is no match.
#[cfg(feature = "tables")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMatch {
    /// It is not of the form.
    Form,
    /// It does not begin with a protocol.
    Protocol,
    /// It is not of 1, 2 or 4 bytes.
    Length,
    /// The bytes are behind the header, which has so many.
    Behind(u8),
    /// A number is larger than that of so many bytes.
    Large(u8),
    /// The mask is 0.
    NoBits,
    /// The value has a bit that the mask does not: nothing is ever so.
    Never,
}

#[cfg(feature = "tables")]
impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str(
                "is no match: it looks like \"tcp[12:1] & 0x02 = 0x02\", that is protocol[offset:bytes] & mask = value; \
                 the mask may be left out",
            ),
            Self::Protocol => f.write_str("must begin with \"tcp\", \"udp\" or \"sctp\""),
            Self::Length => f.write_str("must be of 1, 2 or 4 bytes"),
            Self::Behind(len) => write!(f, "is behind the header, which has {len} bytes"),
            Self::Large(len) => write!(f, "has a number that does not fit {len} bytes"),
            Self::NoBits => f.write_str("has a mask of 0, which says nothing: leave the match out"),
            Self::Never => f.write_str(
                "never takes a packet: the value has a bit that is not in the mask",
            ),
        }
    }
}

#[cfg(feature = "tables")]
impl ByteMatch {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, NoMatch> {
        let (name, rest) = text.split_once('[').ok_or(NoMatch::Form)?;
        let (place, rest) = rest.split_once(']').ok_or(NoMatch::Form)?;
        let (offset, len) = place.split_once(':').ok_or(NoMatch::Form)?;
        let (mask, value) = rest.split_once('=').ok_or(NoMatch::Form)?;
        let transport = Proto::from_name(name.trim()).ok_or(NoMatch::Protocol)?;
        let (offset, len) = (number_of(offset)?, number_of(len)?);
        let mask = match mask.trim() {
            "" => None,
            mask => Some(number_of(mask.strip_prefix('&').ok_or(NoMatch::Form)?)?),
        };
        let value = number_of(value)?;
        let len = match len {
            1 | 2 | 4 => len as u8,
            _ => return Err(NoMatch::Length),
        };
        let header = transport.least_header();
        let offset = u8::try_from(offset)
            .ok()
            .filter(|offset| *offset <= header - len)
            .ok_or(NoMatch::Behind(header))?;
        let all = u64::MAX >> (64 - 8 * u32::from(len));
        let mask = mask.unwrap_or(all);
        if mask > all || value > all {
            return Err(NoMatch::Large(len));
        }
        if mask == 0 {
            return Err(NoMatch::NoBits);
        }
        if value & !mask != 0 {
            return Err(NoMatch::Never);
        }
        // The casts are exact: neither is larger than four bytes say.
        Ok(Self {
            transport,
            offset,
            len,
            mask: mask as u32,
            value: value as u32,
        })
    }
}

#[cfg(feature = "tables")]
impl fmt::Display for ByteMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, digits) = (self.transport.name(), usize::from(self.len) * 2 + 2);
        write!(f, "{name}[{}:{}]", self.offset, self.len)?;
        if u64::from(self.mask) != u64::MAX >> (64 - 8 * u32::from(self.len)) {
            write!(f, " & {:#0digits$x}", self.mask)?;
        }
        write!(f, " = {:#0digits$x}", self.value)
    }
}

/// A number, decimal or with 0x.
#[cfg(feature = "tables")]
fn number_of(text: &str) -> Result<u64, NoMatch> {
    let text = text.trim();
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // The standard library also takes a sign.
    if digits.len() > 15 || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NoMatch::Form);
    }
    u64::from_str_radix(digits, radix).map_err(|_| NoMatch::Form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn reads_what_it_writes() {
        for (text, written) in [
            ("tcp[12:1] & 0x02 = 0x02", "tcp[12:1] & 0x02 = 0x02"),
            ("sctp[4:4]=0xDEADBEEF", "sctp[4:4] = 0xdeadbeef"),
            (" udp [ 0 : 2 ] &0xff00= 256 ", "udp[0:2] & 0xff00 = 0x0100"),
            ("tcp[16:4] & 0xffffffff = 7", "tcp[16:4] = 0x00000007"),
        ] {
            let one = ByteMatch::parse(text).expect(text);
            assert_eq!(one.to_string(), written);
            assert_eq!(ByteMatch::parse(written), Ok(one));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, wrong) in [
            ("", NoMatch::Form),
            ("tcp[12:1]", NoMatch::Form),
            ("tcp[12] = 1", NoMatch::Form),
            ("tcp[12:1] | 1 = 1", NoMatch::Form),
            ("tcp[-1:1] = 1", NoMatch::Form),
            ("tcp[1:1] = 1 = 1", NoMatch::Form),
            ("tcp[1:1] = 0x", NoMatch::Form),
            ("tcp[1:1] = 1111111111111111", NoMatch::Form),
            ("icmp[0:1] = 8", NoMatch::Protocol),
            ("tcp[0:3] = 8", NoMatch::Length),
            ("tcp[20:1] = 8", NoMatch::Behind(20)),
            ("udp[7:2] = 8", NoMatch::Behind(8)),
            ("sctp[300:1] = 8", NoMatch::Behind(12)),
            ("tcp[0:1] = 256", NoMatch::Large(1)),
            ("tcp[0:2] & 0x10000 = 0", NoMatch::Large(2)),
            ("tcp[0:1] & 0 = 0", NoMatch::NoBits),
            ("tcp[0:1] & 1 = 2", NoMatch::Never),
        ] {
            assert_eq!(ByteMatch::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn compares_bytes() {
        let one = |text| ByteMatch::parse(text).expect("a match");
        let header = [0x12, 0x34, 0x56, 0x78, 0x9a, 0, 0, 0];
        assert!(one("udp[1:2] = 0x3456").takes(&header));
        assert!(one("udp[1:4] & 0xf0000000 = 0x30000000").takes(&header));
        assert!(!one("udp[0:1] = 0x13").takes(&header));
        assert!(!one("udp[4:4] & 1 = 0").takes(&header[..7]));
    }
}
