// SPDX-License-Identifier: GPL-2.0

//! The packets of the specification, byte for byte.

use super::{bytes_of, create, ethernet, ethernet::Mac, pcap};
use anyhow::Result;
use std::path::PathBuf;

/// What each is, and its bytes from the IP header on.
pub(super) const VECTORS: [(&str, &str); 4] = [
    (
        "a client's SYN",
        "4500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000",
    ),
    (
        "the SYN as a director sends it",
        "45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000",
    ),
    (
        "an unknown ACK as it arrives at a proxy",
        "45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000",
    ),
    (
        "the ACK as the proxy passes it on",
        "450000500000400040112c8c0304050602030405eed34c43003c00000204000000000101020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000",
    ),
];

/// Write the packets of the specification to a capture, and say what each is.
#[derive(clap::Args)]
pub(crate) struct Vectors {
    /// The capture to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Destination of the Ethernet header.
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:02")]
    dst_mac: Mac,
    /// Source of the Ethernet header.
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:01")]
    src_mac: Mac,
}

pub(crate) fn vectors(arguments: &Vectors) -> Result<()> {
    let mut out = pcap::Writer::new(create(&arguments.out)?)?;
    for (index, (what, packet)) in VECTORS.iter().enumerate() {
        out.frame(&ethernet::frame(
            arguments.dst_mac,
            arguments.src_mac,
            &bytes_of(packet)?,
        )?)?;
        println!("{}: {what}", index + 1);
    }
    out.finish()
}
