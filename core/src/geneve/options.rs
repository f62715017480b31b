// SPDX-License-Identifier: GPL-2.0

//! The options of a Geneve header (RFC 8926, section 3.5), and the three that a gateway load balancer sends.
//!
//! ```text
//!  0                   1                   2                   3
//! |          class                |      type     | 0 0 0 | length|
//! |  `length` words of 4 bytes of data                            |
//! ```
//!
//! The highest bit of the type says that the option is critical: who does not know it drops the packet. The type includes that
//! bit, so a critical option of type 0x81 is not the option of type 1.

/// Most bytes of options: their length has 6 bits and counts words of 4 bytes.
pub const MAX_OPTIONS_LEN: usize = 252;

const ENDPOINT: u8 = 1;
const ATTACHMENT: u8 = 2;
const COOKIE: u8 = 3;
const CRITICAL: u8 = 0x80;

/// What the three options say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ids {
    /// The endpoint (of a VPC) that the packet came in at.
    pub endpoint: u64,
    /// The attachment of a transit gateway, or 0.
    pub attachment: u64,
    /// The load balancer's own name of the flow.
    pub cookie: u32,
}

/// Why options are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionsError {
    /// One reaches past their end; one of the three has another length than it must have, or occurs twice.
    Malformed,
    /// One is critical, and not known here.
    Critical,
    /// One of the three is missing.
    Missing,
}

/// Reads the options of a header; the three are those of `class`. Others are stepped over.
#[inline]
pub(super) fn read(options: &[u8], class: u16) -> Result<Ids, OptionsError> {
    let (mut endpoint, mut attachment, mut cookie) = (None, None, None);
    let mut rest = options;
    // Each round takes 4 bytes at least, of 252 at most.
    while let Some((&[class_hi, class_lo, kind, len], behind)) = rest.split_first_chunk() {
        // The other three bits are reserved, and ignored by a receiver.
        let len = usize::from(len & 0x1f) << 2;
        let split = behind.split_at_checked(len);
        let (data, behind) = split.ok_or(OptionsError::Malformed)?;
        rest = behind;
        let is_ours = u16::from_be_bytes([class_hi, class_lo]) == class;
        match kind {
            ENDPOINT if is_ours => once(&mut endpoint, data)?,
            ATTACHMENT if is_ours => once(&mut attachment, data)?,
            COOKIE if is_ours => once(&mut cookie, data)?,
            CRITICAL.. => return Err(OptionsError::Critical),
            _ => {}
        }
    }
    if !rest.is_empty() {
        return Err(OptionsError::Malformed);
    }
    match (endpoint, attachment, cookie) {
        (Some(endpoint), Some(attachment), Some(cookie)) => Ok(Ids {
            endpoint: u64::from_be_bytes(endpoint),
            attachment: u64::from_be_bytes(attachment),
            cookie: u32::from_be_bytes(cookie),
        }),
        _ => Err(OptionsError::Missing),
    }
}

/// Takes the data of an option that must have this length and occur once: of two, nobody could say which one is meant.
#[inline]
fn once<const N: usize>(place: &mut Option<[u8; N]>, data: &[u8]) -> Result<(), OptionsError> {
    let data = <[u8; N]>::try_from(data).map_err(|_| OptionsError::Malformed)?;
    match place.replace(data) {
        None => Ok(()),
        Some(_) => Err(OptionsError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn option(class: u16, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut option = class.to_be_bytes().to_vec();
        option.extend([kind, (data.len() / 4) as u8]);
        option.extend(data);
        option
    }

    fn three() -> [Vec<u8>; 3] {
        [
            option(0x108, 1, &[1; 8]),
            option(0x108, 2, &[2; 8]),
            option(0x108, 3, &[3; 4]),
        ]
    }

    const IDS: Ids = Ids {
        endpoint: 0x0101_0101_0101_0101,
        attachment: 0x0202_0202_0202_0202,
        cookie: 0x0303_0303,
    };

    #[test]
    fn in_any_order_with_others_between() {
        let [a, b, c] = three();
        let other = option(0x108, 4, &[9; 12]);
        let empty = option(0xffff, 0x7f, &[]);
        for order in [
            [&a, &b, &c, &other, &empty],
            [&other, &c, &empty, &b, &a],
            [&b, &other, &a, &empty, &c],
        ] {
            let options: Vec<u8> = order.into_iter().flatten().copied().collect();
            assert_eq!(read(&options, 0x108), Ok(IDS));
            // The class is the operator's.
            assert_eq!(read(&options, 0x167), Err(OptionsError::Missing));
        }
    }

    #[test]
    fn reserved_bits_of_the_length_are_ignored() {
        let mut options = three().concat();
        options[3] |= 0xe0;
        assert_eq!(read(&options, 0x108), Ok(IDS));
    }

    #[test]
    fn critical_options_of_any_class() {
        for (class, kind) in [(0x108, 0x81), (0x108, 0x84), (0, 0x80), (0xffff, 0xff)] {
            let options = [three().concat(), option(class, kind, &[])].concat();
            assert_eq!(read(&options, 0x108), Err(OptionsError::Critical));
        }
    }

    #[test]
    fn each_of_the_three_is_there_once_with_its_length() {
        for missing in 0..3 {
            let mut some = three();
            some[missing].clear();
            assert_eq!(read(&some.concat(), 0x108), Err(OptionsError::Missing));
            let twice = [three().concat(), three()[missing].clone()].concat();
            assert_eq!(read(&twice, 0x108), Err(OptionsError::Malformed));
            let kind = missing as u8 + 1;
            for len in (0..=124).step_by(4) {
                some[missing] = option(0x108, kind, &[7; 124][..len]);
                let right = [8, 8, 4][missing] == len;
                assert_eq!(read(&some.concat(), 0x108).is_ok(), right, "{kind} {len}");
            }
        }
    }

    #[test]
    fn an_option_ends_where_the_options_end() {
        let options = three().concat();
        for len in 0..options.len() {
            let expected = match len {
                0 | 12 | 24 => OptionsError::Missing,
                _ => OptionsError::Malformed,
            };
            assert_eq!(read(&options[..len], 0x108), Err(expected), "{len}");
        }
    }
}
