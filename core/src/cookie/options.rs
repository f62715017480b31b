// SPDX-License-Identifier: GPL-2.0

//! The options of a TCP header, as far as the cookie needs them.

/// Ends the options.
const END: u8 = 0;
/// Fills one byte.
const NOP: u8 = 1;
/// Timestamps: TSval and TSecr of 4 bytes each.
const TIMESTAMPS: u8 = 8;
/// Bytes of that option.
const TIMESTAMPS_LEN: usize = 10;
/// A signature (RFC 2385).
const MD5: u8 = 19;
/// Another one (RFC 5925).
const AO: u8 = 29;
/// Bytes of a TCP header without options.
pub const HEADER: usize = 20;
/// Options are not longer. So many steps lead through them, as each is of a byte at least.
const MAX_LEN: usize = 40;

/// What the options of a packet are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Where TSval stands, from the first option on. TSecr is right behind it.
    pub timestamps: Option<usize>,
    /// Whether the header is signed, so that no byte of it can be changed.
    pub signed: bool,
}

/// Reads all options. What cannot be read ends them, as it does for a receiver.
#[must_use]
pub fn read(options: &[u8]) -> Found {
    let mut found = Found::default();
    let mut at = 0usize;
    for _ in 0..MAX_LEN {
        let Some(rest) = options.get(at..) else {
            break;
        };
        let len = match *rest {
            [NOP, ..] => 1,
            [] | [END, ..] | [_] => break,
            [kind, len, ..] => {
                let len = usize::from(len);
                if len < 2 || len > rest.len() {
                    break;
                }
                match kind {
                    TIMESTAMPS if len == TIMESTAMPS_LEN => {
                        found.timestamps = Some(at.wrapping_add(2));
                    }
                    MD5 | AO => found.signed = true,
                    _ => {}
                }
                len
            }
        };
        at = at.wrapping_add(len);
    }
    found
}

/// The options of a TCP header that stands at the begin of `bytes`; `None` if it is longer than that, or no header.
#[inline]
#[must_use]
pub fn of_header(bytes: &[u8]) -> Option<&[u8]> {
    let words = bytes.get(12)?.wrapping_shr(4);
    let len = usize::from(words).wrapping_mul(4);
    bytes.get(HEADER..len)
}

/// What is echoed (TSecr), by the options of a packet. Nearly every packet of a connection with timestamps has them first, behind
/// two fillers.
#[inline]
#[must_use]
pub fn echo(options: &[u8]) -> Option<u32> {
    if let Some(&[NOP, NOP, TIMESTAMPS, 10, _, _, _, _, e0, e1, e2, e3]) = options.first_chunk() {
        return Some(u32::from_be_bytes([e0, e1, e2, e3]));
    }
    echo_elsewhere(options)
}

#[inline(never)]
fn echo_elsewhere(options: &[u8]) -> Option<u32> {
    let at = read(options).timestamps?.wrapping_add(4);
    let echo = options.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*echo))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMPS: [u8; 10] = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];

    fn with(parts: &[&[u8]]) -> std::vec::Vec<u8> {
        parts.concat()
    }

    #[test]
    fn timestamps_in_the_usual_place() {
        let options = with(&[&[NOP, NOP], &STAMPS]);
        assert_eq!(echo(&options), Some(0x0506_0708));
        assert_eq!(read(&options).timestamps, Some(4));
    }

    #[test]
    fn timestamps_elsewhere() {
        // A SYN/ACK of Linux: MSS, SACK permitted, timestamps, filler, window scale.
        let options = with(&[&[2, 4, 5, 180, 4, 2], &STAMPS, &[NOP, 3, 3, 7]]);
        assert_eq!(read(&options).timestamps, Some(8));
        assert_eq!(echo(&options), Some(0x0506_0708));
        assert!(!read(&options).signed);
        let at_the_end = with(&[&[NOP; 30], &STAMPS]);
        assert_eq!(echo(&at_the_end), Some(0x0506_0708));
    }

    #[test]
    fn no_timestamps() {
        let behind_the_end = with(&[&[END], &STAMPS]);
        let cut = STAMPS.get(..9).unwrap();
        let another_length = with(&[&[8, 9, 1, 2, 3, 4, 5, 6, 7]]);
        let too_short = [3, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
        for options in [
            &[][..],
            &[8],
            &[NOP; 40],
            &behind_the_end,
            cut,
            &another_length,
            &too_short,
            &[3, 0, 8, 10],
        ] {
            assert_eq!(echo(options), None, "{options:?}");
            assert_eq!(read(options), Found::default(), "{options:?}");
        }
    }

    #[test]
    fn signatures() {
        let md5 = with(&[&[NOP, NOP, MD5, 18], &[7; 16], &[NOP, NOP], &STAMPS]);
        assert_eq!(
            read(&md5),
            Found {
                timestamps: Some(24),
                signed: true
            }
        );
        assert!(read(&with(&[&STAMPS, &[AO, 4, 1, 1]])).signed);
    }

    #[test]
    fn options_of_a_header() {
        let mut header = [0u8; 32];
        header[12] = 0x80;
        assert_eq!(of_header(&header).map(<[u8]>::len), Some(12));
        header[12] = 0x50;
        assert_eq!(of_header(&header).map(<[u8]>::len), Some(0));
        // Shorter than a header, longer than what there is.
        for bad in [0x40, 0x00, 0x90, 0xf0] {
            header[12] = bad;
            assert_eq!(of_header(&header), None, "{bad:x}");
        }
        assert_eq!(of_header(&[]), None);
    }
}
