// SPDX-License-Identifier: GPL-2.0

//! Capture files in the classic pcap format: either byte order, micro- or nanoseconds.

use std::io::{self, BufReader, BufWriter, Read, Write};

/// What the frames of a capture begin with (link types of tcpdump.org).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Ethernet,
    /// The IP header.
    Raw,
}

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const PCAPNG: u32 = 0x0a0d_0d0a;
const LINK_ETHERNET: u32 = 1;
const LINK_RAW: u32 = 101;
/// Larger than any frame that a capture can hold; a length above it is a damaged file.
const MAX_FRAME: u32 = 262_144;

pub(crate) struct Reader<R> {
    input: BufReader<R>,
    big_endian: bool,
    nanoseconds: bool,
    pub(crate) link: Link,
    /// How much of the file has been taken.
    bytes_read: usize,
}

/// A frame and its time.
pub(crate) struct Frame {
    seconds: u32,
    /// Micro- or nanoseconds, as the file has them.
    fraction: u32,
    /// How many of them are a millisecond.
    per_millisecond: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// When it was captured.
    pub(crate) fn milliseconds(&self) -> u64 {
        u64::from(self.seconds) * 1000 + u64::from(self.fraction / self.per_millisecond)
    }
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R) -> io::Result<Self> {
        let mut input = BufReader::new(input);
        let mut header = [0; 24];
        input
            .read_exact(&mut header)
            .map_err(|_| invalid("not a capture file: too short"))?;
        let word = |at: usize, big: bool| {
            number(
                [header[at], header[at + 1], header[at + 2], header[at + 3]],
                big,
            )
        };
        let (big_endian, nanoseconds) = match (word(0, false), word(0, true)) {
            (MICROSECONDS, _) => (false, false),
            (NANOSECONDS, _) => (false, true),
            (_, MICROSECONDS) => (true, false),
            (_, NANOSECONDS) => (true, true),
            (PCAPNG, _) => {
                return Err(invalid(
                    "a pcapng file; convert it with: editcap -F pcap IN OUT",
                ))
            }
            (other, _) => {
                return Err(invalid(format!(
                    "not a capture file: begins with {other:#010x}"
                )))
            }
        };
        // The high bits may hold the length of a frame check sequence.
        let link = match word(20, big_endian) & 0xffff {
            LINK_ETHERNET => Link::Ethernet,
            LINK_RAW => Link::Raw,
            other => {
                return Err(invalid(format!(
                    "link type {other}; only Ethernet (1) and raw IP (101) are read"
                )))
            }
        };
        Ok(Self {
            input,
            big_endian,
            nanoseconds,
            link,
            bytes_read: 24,
        })
    }

    /// How much of the file is behind.
    pub(crate) fn bytes_read(&self) -> usize {
        self.bytes_read
    }

    /// The next frame, or nothing at the end.
    pub(crate) fn frame(&mut self) -> io::Result<Option<Frame>> {
        if io::BufRead::fill_buf(&mut self.input)?.is_empty() {
            return Ok(None);
        }
        let mut header = [0; 16];
        let cut = |_| invalid("the file ends within a frame");
        self.input.read_exact(&mut header).map_err(cut)?;
        let word = |at: usize| {
            number(
                [header[at], header[at + 1], header[at + 2], header[at + 3]],
                self.big_endian,
            )
        };
        let len = word(8);
        if len > MAX_FRAME {
            return Err(invalid(format!("a frame of {len} bytes")));
        }
        let mut bytes = vec![0; len as usize];
        self.input.read_exact(&mut bytes).map_err(cut)?;
        self.bytes_read = self.bytes_read.saturating_add(header.len() + bytes.len());
        Ok(Some(Frame {
            seconds: word(0),
            fraction: word(4),
            per_millisecond: if self.nanoseconds { 1_000_000 } else { 1000 },
            bytes,
        }))
    }
}

fn number(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}

pub(crate) struct Writer<W: Write> {
    output: BufWriter<W>,
}

impl<W: Write> Writer<W> {
    /// A file of the reader's link type and unit of time.
    pub(crate) fn like<R>(output: W, reader: &Reader<R>) -> io::Result<Self> {
        let mut output = BufWriter::new(output);
        let magic = if reader.nanoseconds {
            NANOSECONDS
        } else {
            MICROSECONDS
        };
        let link = match reader.link {
            Link::Ethernet => LINK_ETHERNET,
            Link::Raw => LINK_RAW,
        };
        // Version 2.4, time zone 0, accuracy 0.
        for number in [magic, 4 << 16 | 2, 0, 0, MAX_FRAME, link] {
            output.write_all(&number.to_le_bytes())?;
        }
        Ok(Self { output })
    }

    /// Writes a frame with the time of another.
    pub(crate) fn frame(&mut self, time: &Frame, parts: &[&[u8]]) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let len = u32::try_from(len).map_err(io::Error::other)?;
        for number in [time.seconds, time.fraction, len, len] {
            self.output.write_all(&number.to_le_bytes())?;
        }
        parts
            .iter()
            .try_for_each(|part| self.output.write_all(part))
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(big: bool, magic: u32, link: u32, frames: &[&[u8]]) -> Vec<u8> {
        let word = |n: u32| {
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let mut bytes: Vec<u8> = [magic, 0x0002_0004, 0, 0, 65535, link].map(word).concat();
        for frame in frames {
            bytes.extend([7, 8, frame.len() as u32, 1500].map(word).concat());
            bytes.extend(*frame);
        }
        bytes
    }

    #[test]
    fn either_order_and_unit() {
        for big in [false, true] {
            for magic in [MICROSECONDS, NANOSECONDS] {
                let bytes = file(big, magic, 1, &[b"one", b"", b"three"]);
                let mut reader = Reader::new(&bytes[..]).unwrap();
                assert_eq!(reader.link, Link::Ethernet);
                let mut out = Vec::new();
                let mut writer = Writer::like(&mut out, &reader).unwrap();
                while let Some(frame) = reader.frame().unwrap() {
                    assert_eq!((frame.seconds, frame.fraction), (7, 8));
                    writer.frame(&frame, &[&frame.bytes, b"!"]).unwrap();
                }
                writer.finish().unwrap();
                assert_eq!(reader.bytes_read(), bytes.len());
                let mut reader = Reader::new(&out[..]).unwrap();
                assert_eq!(reader.nanoseconds, magic == NANOSECONDS);
                for expected in [&b"one!"[..], b"!", b"three!"] {
                    assert_eq!(reader.frame().unwrap().unwrap().bytes, expected);
                }
                assert!(reader.frame().unwrap().is_none());
            }
        }
    }

    #[test]
    fn faults_are_named() {
        let said = |bytes: &[u8]| match Reader::new(bytes) {
            Ok(mut reader) => reader.frame().err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        assert!(said(b"x").unwrap().contains("too short"));
        assert!(said(&file(false, 5, 1, &[]))
            .unwrap()
            .contains("0x00000005"));
        assert!(said(&file(false, PCAPNG, 1, &[]))
            .unwrap()
            .contains("editcap"));
        assert!(said(&file(false, MICROSECONDS, 113, &[]))
            .unwrap()
            .contains("113"));
        let good = file(false, MICROSECONDS, 1, &[b"frame"]);
        assert_eq!(said(&good), None);
        assert!(said(&good[..good.len() - 1])
            .unwrap()
            .contains("within a frame"));
        assert!(said(&good[..30]).unwrap().contains("within a frame"));
    }
}
