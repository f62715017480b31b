// SPDX-License-Identifier: GPL-2.0

//! From one capture to another: what `encap` and `decap` have in common.

use crate::output::Failure;
use crate::pcap::{Frame, Link, Reader, Writer};
use crate::progress::Progress;
use crate::{load, save};
use glb_config::atomic;
use glb_core::packet::ip::Family;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::Path;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
const ETHERTYPE_QINQ: [u8; 2] = [0x88, 0xa8];
/// Bytes of two Ethernet addresses.
const ADDRESSES: usize = 12;

/// The output, of the same link type and unit of time as the input.
pub(super) type Output<'o> = Writer<&'o mut dyn Write>;

/// Reads the frames of one file in order, and lets `each` write to the other file what becomes of them. A file that cannot be read
/// to its end leaves the other one as it was.
pub(super) fn convert(
    input: &Path,
    output: &Path,
    mut each: impl FnMut(Link, &Frame, &mut Output<'_>) -> io::Result<()>,
) -> Result<(), Failure> {
    let in_file = |error: io::Error| load::failure(input, &error);
    let mut progress = Progress::new("bytes read");
    let input: Box<dyn io::Read> = if load::is_standard(input) {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(input).map_err(in_file)?;
        // A pipe has no size.
        let size = file.metadata().ok().filter(Metadata::is_file);
        if let Some(size) = size.and_then(|file| usize::try_from(file.len()).ok()) {
            progress = progress.of(size);
        }
        Box::new(file)
    };
    let mut reader = Reader::new(input).map_err(in_file)?;
    // A damaged input and an output that cannot be written are told apart by where they are noticed.
    let mut bad_input = None;
    let write = |out: &mut dyn Write| {
        let mut writer = Writer::like(out, &reader)?;
        loop {
            let frame = match reader.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return writer.finish(),
                Err(error) => {
                    bad_input = Some(error);
                    return Err(io::Error::other("bad input"));
                }
            };
            each(reader.link, &frame, &mut writer)?;
            progress.done(reader.bytes_read());
        }
    };
    let written = if load::is_standard(output) {
        save::standard_output(write)
    } else {
        atomic::write_public(output, write)
    };
    drop(progress);
    if let Some(error) = bad_input {
        return Err(in_file(error));
    }
    written.map_err(|error| save::failure(output, &error))
}

/// A frame's link header (up to and with the ethertype, or nothing), its IP packet, and the packet's family.
pub(super) fn split(link: Link, frame: &[u8]) -> Option<(&[u8], &[u8], Family)> {
    if link == Link::Raw {
        let family = match frame.first()? >> 4 {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        };
        return Some((&[], frame, family));
    }
    // One tag is the kernel's to take off; what has two is the outer VLAN device's.
    let at = match *frame.get(ADDRESSES..)?.first_chunk()? {
        ETHERTYPE_VLAN | ETHERTYPE_QINQ => ADDRESSES + 4,
        _ => ADDRESSES,
    };
    let family = match *frame.get(at..)?.first_chunk()? {
        ETHERTYPE_IPV4 => Family::V4,
        ETHERTYPE_IPV6 => Family::V6,
        _ => return None,
    };
    let (link, packet) = frame.split_at_checked(at + 2)?;
    Some((link, packet, family))
}

/// The ethertype of a family.
pub(super) fn ethertype(family: Family) -> [u8; 2] {
    match family {
        Family::V4 => ETHERTYPE_IPV4,
        Family::V6 => ETHERTYPE_IPV6,
    }
}
