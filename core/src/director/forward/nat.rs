// SPDX-License-Identifier: GPL-2.0

//! Network address translation: the packet goes to the backend's own address, and to its port.
//!
//! The backend needs no VIP and no tunnel. It answers from its own address, so its answers must come back through a director,
//! which gives them the VIP's address and port ([`reverse`](crate::director::reverse)). The packet inside an ICMP error is
//! translated too. The packet names no further hops: only the first of a row counts.

use super::rewrite::Edit;
use core::num::NonZeroU16;

/// What the operator says of the forward: the port of the backends, if it is another than the VIP's.
pub(super) type Params = Option<NonZeroU16>;

#[inline(always)]
pub(super) const fn edit(port: Params) -> Edit {
    Edit::Translate(port)
}

#[cfg(test)]
mod tests {
    use crate::director::forward::rewrite::tests::changed;
    use core::num::NonZeroU16;

    /// As for `l3dsr`; the ports are the first two fields of the transport header. The checksums were summed anew, and the
    /// CRC32c computed bit by bit, by a program of a few lines, which is not this one.
    #[test]
    fn golden_packets() {
        for (port, packet, to, want) in GOLDEN {
            let edit = super::edit(NonZeroU16::new(*port));
            assert_eq!(changed(packet, edit, to), *want, "{packet}");
        }
    }

    /// What leaves has this port, and so the route that is asked for.
    #[test]
    fn the_port_of_what_leaves() {
        assert_eq!(super::edit(NonZeroU16::new(3307)).port(3306), 3307);
        assert_eq!(super::edit(None).port(3306), 3306);
    }

    /// The port, the packet, the backend, and the packet that goes there.
    const GOLDEN: &[(u16, &str, &str, &str)] = &[
    // TCP; ECN and DSCP stay.
    (
        3307,
        "45ba002b123440004006b7c60a0b0c0d5a00000104d20cea00000007000000085018020067830000616263",
        "10.0.0.7",
        "45ba002b123440003f0608c10a0b0c0d0a00000704d20ceb000000070000000850180200b77c0000616263",
    ),
    // UDP.
    (
        3307,
        "4500001f123440004011b8810a0b0c0d5a00000104d20cea000bb9a0616263",
        "10.0.0.7",
        "4500001f123440003f11097c0a0b0c0d0a00000704d20ceb000b099a616263",
    ),
    // UDP without a checksum.
    (
        3307,
        "4500001f123440004011b8810a0b0c0d5a00000104d20cea000b0000616263",
        "10.0.0.7",
        "4500001f123440003f11097c0a0b0c0d0a00000704d20ceb000b0000616263",
    ),
    // SCTP has no pseudo header.
    (
        3307,
        "45000024123440004084b8090a0b0c0d5a00000104d20cea0000000951a8cd250e000004",
        "10.0.0.7",
        "45000024123440003f8409040a0b0c0d0a00000704d20ceb0000000934901f150e000004",
    ),
    // UDP whose port stays.
    (
        0,
        "4500001f123440004011b8810a0b0c0d5a00000104d20035000bc655616263",
        "10.0.0.7",
        "4500001f123440003f11097c0a0b0c0d0a00000704d20035000b1650616263",
    ),
    // An error about an answer.
    (
        3307,
        "45000047123440003c011080c00002015a00000103046832000005004500002b123440003206c6805a0000010a0b0c0d0cea04d200000007000000085018020067830000616263",
        "10.0.0.7",
        "45000047123440003b01617ac00002010a00000703041838000005004500002b123440003206167b0a0000070a0b0c0d0ceb04d2000000070000000850180200b77c0000616263",
    ),
    // An echo request.
    (
        3307,
        "45000020123440004001b8900a0b0c0d5a000001080033360001000261626364",
        "10.0.0.7",
        "45000020123440003f01098b0a0b0c0d0a000007080033360001000261626364",
    ),
    // TCP over IPv6; ECN and DSCP stay.
    (
        3307,
        "6baabcde00170640fd00000000000000000000000000000920010db800000000000000000000000104d20cea000000070000000850180200acd80000616263",
        "fd01::7",
        "6baabcde0017063ffd000000000000000000000000000009fd01000000000000000000000000000704d20ceb000000070000000850180200dd880000616263",
    ),
    // UDP over IPv6.
    (
        3307,
        "600abcde000b1140fd00000000000000000000000000000920010db800000000000000000000000104d20cea000bfef5616263",
        "fd01::7",
        "600abcde000b113ffd000000000000000000000000000009fd01000000000000000000000000000704d20ceb000b2fa6616263",
    ),
    // SCTP over IPv6 has no pseudo header.
    (
        3307,
        "600abcde00108440fd00000000000000000000000000000920010db800000000000000000000000104d20cea0000000951a8cd250e000004",
        "fd01::7",
        "600abcde0010843ffd000000000000000000000000000009fd01000000000000000000000000000704d20ceb0000000934901f150e000004",
    ),
    // UDP over IPv6 whose port stays.
    (
        0,
        "600abcde000b1140fd00000000000000000000000000000920010db800000000000000000000000104d20035000b0bab616263",
        "fd01::7",
        "600abcde000b113ffd000000000000000000000000000009fd01000000000000000000000000000704d20035000b3c5c616263",
    ),
    // An error over IPv6 about an answer.
    (
        3307,
        "600abcde00473a3cfd77000000000000000000000000000120010db80000000000000000000000010200aa3600000500600abcde0017063220010db8000000000000000000000001fd0000000000000000000000000000090cea04d2000000070000000850180200acd80000616263",
        "fd01::7",
        "600abcde00473a3bfd770000000000000000000000000001fd0100000000000000000000000000070200dae700000500600abcde00170632fd010000000000000000000000000007fd0000000000000000000000000000090ceb04d2000000070000000850180200dd880000616263",
    ),
    // An echo request over IPv6.
    (
        3307,
        "600abcde000c3a40fd00000000000000000000000000000920010db80000000000000000000000018000902b0001000261626364",
        "fd01::7",
        "600abcde000c3a3ffd000000000000000000000000000009fd0100000000000000000000000000078000c0dc0001000261626364",
    ),
    ];
}
