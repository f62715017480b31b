// SPDX-License-Identifier: GPL-2.0

//! GRE: outer IP and a GRE header of 4 bytes, without checksum, key or sequence number (RFC 2784, RFC 7676).
//!
//! ```text
//!  0                   1                   2                   3
//! |C|   reserved          | Version 0   |   protocol: an EtherType      |
//! ```
//!
//! A backend ends the tunnel with the kernel's `gre`/`ip6gre` device, and answers the client directly. The header names no
//! further hops: only the first of a row counts.

use super::{outer, Gso, Layout, Others, Params, Shape};
use crate::packet::ip::{proto, Family};

const GRE_LEN: usize = 4;

pub(super) const LISTS_HOPS: bool = false;

#[inline(always)]
pub(super) fn layout(shape: &Shape) -> Layout {
    Layout {
        len: outer::len(shape.outer).wrapping_add(GRE_LEN),
        proto: proto::GRE,
        gso: Gso::Gre,
        inherits: true,
    }
}

#[inline(always)]
pub(super) fn write<O: Others + ?Sized>(params: &Params, _: &O, out: &mut [u8]) -> Option<()> {
    let gre = outer::write(params, proto::GRE, out)?;
    let [hi, lo] = match params.inner {
        Family::V4 => [0x08, 0x00],
        Family::V6 => [0x86, 0xdd],
    };
    let (header, rest) = gre.split_first_chunk_mut::<GRE_LEN>()?;
    *header = [0, 0, hi, lo];
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use crate::director::forward::golden::{packet, V4, V6};
    use crate::director::Tunnel::Gre;
    use crate::packet::addr::Addr;
    use crate::packet::ip::Family;
    use std::borrow::ToOwned;

    /// Field by field: version and IHL, TOS, total length, DF, TTL, protocol 47, checksum, addresses; then GRE.
    #[test]
    fn golden_headers() {
        let ip = "452e004000004000402fafd54141414103040506";
        assert_eq!(packet(Gre, V4, Family::V4), ip.to_owned() + "00000800");
        assert_eq!(packet(Gre, V4, Family::V6), ip.to_owned() + "000086dd");
        let ip = "62eabcde002c2f40fd000000000000000000000000000001fd000000000000000000000000000002";
        assert_eq!(packet(Gre, V6, Family::V4), ip.to_owned() + "00000800");
        assert_eq!(packet(Gre, V6, Family::V6), ip.to_owned() + "000086dd");
        let mixed: (Addr, Addr) = (V4.0, V6.1);
        assert_eq!(packet(Gre, mixed, Family::V4), "");
    }
}
