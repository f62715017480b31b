// SPDX-License-Identifier: GPL-2.0

//! Layer 3 direct server return: the packet goes to the backend's own address, and its DSCP says which VIP it was sent to.
//!
//! A backend maps the DSCP back to the VIP, which it has on a device of its own (`lo`), and answers the client directly. No
//! byte is added, so a packet that fits the path to the backend goes whole. The packet names no further hops: only the first
//! of a row counts.

use super::rewrite::Edit;
use crate::packet::dscp::Dscp;

/// What the operator says of the forward: the DSCP that its packets get.
pub(super) type Params = Dscp;

#[inline(always)]
pub(super) const fn edit(dscp: Params) -> Edit {
    Edit::Mark(dscp)
}

#[cfg(test)]
mod tests {
    use crate::director::forward::rewrite::tests::changed;
    use crate::packet::dscp::Dscp;
    use std::string::String;

    fn l3dsr(dscp: u8, packet: &str, to: &str) -> String {
        let edit = super::edit(Dscp::new(dscp).expect("a DSCP"));
        changed(packet, edit, to)
    }

    /// Field by field: version and IHL, TOS, total length, identification, DF, TTL, protocol, checksum, addresses; then the
    /// transport header, whose checksum is the last field but one of TCP, the last of UDP, the second of ICMP. The
    /// checksums were summed anew by a program of a few lines, which is not this one.
    #[test]
    fn golden_packets() {
        for (dscp, packet, to, want) in GOLDEN {
            assert_eq!(l3dsr(*dscp, packet, to), *want, "{packet}");
        }
    }

    /// The DSCP, the packet, the backend, and the packet that goes there.
    const GOLDEN: &[(u8, &str, &str, &str)] = &[
    // TCP, ECT(0) stays.
    (
        7,
        "45ba002b123440004006b7c60a0b0c0d5a00000104d20050000000070000000850180200741d0000616263",
        "10.0.0.7",
        "451e002b123440003f06095d0a0b0c0d0a00000704d20050000000070000000850180200c4170000616263",
    ),
    // VPP's dscp 7.
    (
        7,
        "4500001f123440004011b8810a0b0c0d5a00000104d20035000bc655616263",
        "10.0.0.7",
        "451c001f123440003f1109600a0b0c0d0a00000704d20035000b1650616263",
    ),
    // UDP without a checksum.
    (
        63,
        "4500001f123440000211f6810a0b0c0d5a00000104d20035000b0000616263",
        "10.0.0.7",
        "45fc001f12344000011146800a0b0c0d0a00000704d20035000b0000616263",
    ),
    // ICMP has no pseudo header.
    (
        0,
        "45ff002012344000ff01f8900a0b0c0d5a000001080033360001000261626364",
        "10.0.0.7",
        "4503002012344000fe014a870a0b0c0d0a000007080033360001000261626364",
    ),
    // A later fragment.
    (
        2,
        "4503001c123400b94011f7c80a0b0c0d5a0000013132333435363738",
        "10.0.0.7",
        "450b001c123400b93f1148bb0a0b0c0d0a0000073132333435363738",
    ),
    // TCP over IPv6.
    (
        7,
        "6baabcde00170640fd00000000000000000000000000000920010db800000000000000000000000104d20050000000070000000850180200b9720000616263",
        "fd01::7",
        "61eabcde0017063ffd000000000000000000000000000009fd01000000000000000000000000000704d20050000000070000000850180200ea230000616263",
    ),
    // UDP over IPv6.
    (
        1,
        "601abcde000b1140fd00000000000000000000000000000920010db800000000000000000000000104d20035000b0bab616263",
        "fd01::7",
        "605abcde000b113ffd000000000000000000000000000009fd01000000000000000000000000000704d20035000b3c5c616263",
    ),
    // ICMPv6 has one.
    (
        2,
        "600abcde000c3a40fd00000000000000000000000000000920010db80000000000000000000000018000902b0001000261626364",
        "fd01::7",
        "608abcde000c3a3ffd000000000000000000000000000009fd0100000000000000000000000000078000c0dc0001000261626364",
    ),
    ];
}
