// SPDX-License-Identifier: GPL-2.0

//! IP in IP: an outer IP header and nothing else (RFC 2003, RFC 4213, RFC 2473): 4in4, 6in4, 4in6, 6in6.
//!
//! A backend ends the tunnel with the kernel's `ipip`, `sit` or `ip6tnl` device, and answers the client directly. The header
//! names no further hops: only the first of a row counts.

use super::{outer, Gso, Layout, Others, Params, Shape};

pub(super) const LISTS_HOPS: bool = false;

#[inline(always)]
pub(super) fn layout(shape: &Shape) -> Layout {
    Layout {
        len: outer::len(shape.outer),
        proto: shape.inner.number(),
        gso: Gso::Ip,
        inherits: true,
    }
}

#[inline(always)]
pub(super) fn write<O: Others + ?Sized>(params: &Params, _: &O, out: &mut [u8]) -> Option<()> {
    let rest = outer::write(params, params.inner.number(), out)?;
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use crate::director::forward::golden::{packet, V4, V6};
    use crate::director::Tunnel::Ipip;
    use crate::packet::ip::Family;

    /// Field by field: version and IHL, TOS, total length, DF, TTL, protocol 4 or 41, checksum, addresses.
    #[test]
    fn golden_headers() {
        let four = "452e003c000040004004b0044141414103040506";
        assert_eq!(packet(Ipip, V4, Family::V4), four);
        let six = "452e003c000040004029afdf4141414103040506";
        assert_eq!(packet(Ipip, V4, Family::V6), six);
        let four =
            "62eabcde00280440fd000000000000000000000000000001fd000000000000000000000000000002";
        assert_eq!(packet(Ipip, V6, Family::V4), four);
        let six =
            "62eabcde00282940fd000000000000000000000000000001fd000000000000000000000000000002";
        assert_eq!(packet(Ipip, V6, Family::V6), six);
        assert_eq!(packet(Ipip, (V6.0, V4.1), Family::V4), "");
    }
}
