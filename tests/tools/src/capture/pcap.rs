// SPDX-License-Identifier: GPL-2.0

//! Classic capture files (libpcap's), Ethernet only: written in this machine's byte order, read in either.

use anyhow::{bail, Context, Result};
use std::io::{ErrorKind, Read, Write};

const MAGIC: u32 = 0xa1b2_c3d4;
/// The same with times in nanoseconds.
const MAGIC_NANO: u32 = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET: u32 = 1;
const SNAPLEN: u32 = 262_144;

/// Writes frames, a microsecond apart.
pub(crate) struct Writer<W: Write> {
    out: W,
    frames: u32,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(mut out: W) -> Result<Self> {
        for word in [MAGIC, 2 | 4 << 16, 0, 0, SNAPLEN, LINKTYPE_ETHERNET] {
            out.write_all(&word.to_ne_bytes())?;
        }
        Ok(Self { out, frames: 0 })
    }

    pub(crate) fn frame(&mut self, frame: &[u8]) -> Result<()> {
        let len = u32::try_from(frame.len())?;
        let (seconds, micros) = (self.frames / 1_000_000, self.frames % 1_000_000);
        for word in [seconds, micros, len, len] {
            self.out.write_all(&word.to_ne_bytes())?;
        }
        self.out.write_all(frame)?;
        self.frames += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

/// Every frame of a capture.
pub(crate) fn read_all(mut input: impl Read) -> Result<Vec<Vec<u8>>> {
    let mut header = [0; 24];
    input
        .read_exact(&mut header)
        .context("shorter than the header of a capture")?;
    let native = match word(&header, 0, true) {
        MAGIC | MAGIC_NANO => true,
        magic if [MAGIC, MAGIC_NANO].contains(&magic.swap_bytes()) => false,
        _ => bail!("not a capture (pcap) file"),
    };
    if word(&header, 20, native) != LINKTYPE_ETHERNET {
        bail!("not a capture of Ethernet");
    }
    let mut frames = Vec::new();
    loop {
        let mut record = [0; 16];
        match input.read_exact(&mut record) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(frames),
            Err(error) => return Err(error.into()),
        }
        let len = word(&record, 8, native);
        if len > SNAPLEN || len != word(&record, 12, native) {
            bail!("frame {} was cut short", frames.len() + 1);
        }
        let mut frame = vec![0; len as usize];
        input.read_exact(&mut frame)?;
        frames.push(frame);
    }
}

fn word(bytes: &[u8], at: usize, native: bool) -> u32 {
    let word = u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if native {
        word
    } else {
        word.swap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file).unwrap();
        writer.frame(&[1, 2, 3]).unwrap();
        writer.frame(&[]).unwrap();
        writer.finish().unwrap();
        assert_eq!(
            read_all(&file[..]).unwrap(),
            [vec![1, 2, 3], Vec::<u8>::new()]
        );

        // The other byte order: every word of the headers reversed.
        for range in [0..24, 24..40, 43..59] {
            file[range].chunks_mut(4).for_each(<[u8]>::reverse);
        }
        assert_eq!(read_all(&file[..]).unwrap().len(), 2);
        assert!(read_all(&file[..20]).is_err());
    }
}
