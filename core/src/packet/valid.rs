// SPDX-License-Identifier: GPL-2.0

//! What the stack checks of a packet before anybody else sees it: an ingress hook looks at packets earlier, at the device.
//!
//! `ip_rcv_core`, `ip_route_input` and `ip6_rcv_core` of the kernel drop a packet with a wrong header checksum or a source
//! that nobody can have, and `ip_rcv_options` and `ipv6_rthdr_rcv` one that names a way to take, unless the operator allows
//! it. Such packets are left to them.

use super::addr::Addr;
use super::checksum::{self, Sum};
use super::ip::{self, Addrs, Family, Ip, IPV4_LEN, IPV6_LEN};
use super::view::{Short, View};

/// Loose and strict source routing (RFC 791): the options' types.
const IPOPT_LSRR: u8 = 131;
const IPOPT_SSRR: u8 = 137;
const IPOPT_END: u8 = 0;
const IPOPT_NOOP: u8 = 1;

/// Why a packet is left to the stack.
pub enum Invalid {
    /// Its source is no address that a packet from outside can have.
    Martian,
    /// Its header has a wrong checksum, or names a way to take.
    Header,
    /// Or bytes are missing to say so.
    Short(Short),
}

impl From<Short> for Invalid {
    #[inline]
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// Whether the stack would take the packet at the view's start, whose header `ip` is.
#[inline(always)]
pub fn check(view: View<'_>, family: Family, ip: &Ip) -> Result<(), Invalid> {
    match ip.addrs {
        Addrs::V4 { src, .. } => {
            if is_martian_v4(src) {
                return Err(Invalid::Martian);
            }
            // Options are rare; they are looked at elsewhere.
            if ip.transport != IPV4_LEN {
                return check_options(view, ip.transport);
            }
            if checksum::is_header_right(view.array(0)?) {
                Ok(())
            } else {
                Err(Invalid::Header)
            }
        }
        Addrs::V6 { src, .. } => {
            if is_martian_v6(&src) {
                return Err(Invalid::Martian);
            }
            if ip.transport != IPV6_LEN {
                return check_routing(view, family);
            }
            Ok(())
        }
    }
}

/// Whether an IPv4 header without options, from this source, is one that [`check`] takes. It may say no of those that nobody
/// sends.
#[inline(always)]
pub fn is_common_v4(src: [u8; 4], header: [[u8; 4]; IPV4_LEN / 4]) -> bool {
    let [s0, ..] = src;
    // All of class E is looked at elsewhere, not only its last address.
    s0 != 0 && s0 < 0xe0 && s0 != 127 && checksum::is_sum_right(header)
}

/// The same of an IPv6 header, by its source.
#[inline(always)]
pub fn is_common_v6(src: &[u8; 16]) -> bool {
    let high = src.first_chunk::<8>().copied().map(u64::from_le_bytes);
    high.is_some_and(|high| high & 0xff != 0xff && high != 0)
}

/// Whether a machine can have this address, seen from another one: neither loopback, multicast, broadcast nor unspecified.
#[must_use]
pub fn is_host(addr: &Addr) -> bool {
    match *addr {
        Addr::V4(addr) => !is_martian_v4(addr),
        Addr::V6(addr) => !is_martian_v6(&addr),
    }
}

/// Multicast, or of those that [`is_martian_low_v6`] knows.
#[inline(always)]
fn is_martian_v6(addr: &[u8; 16]) -> bool {
    let &[s0, s1, s2, s3, s4, s5, s6, s7, ..] = addr;
    // All others are left at their first byte or at their first 64 bits.
    let high = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    s0 == 0xff || (high == 0 && is_martian_low_v6(addr))
}

/// Of 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4, or 255.255.255.255.
#[inline(always)]
fn is_martian_v4([s0, s1, s2, s3]: [u8; 4]) -> bool {
    s0 == 0 || s0 == 127 || s0 & 0xf0 == 0xe0 || [s0, s1, s2, s3] == [0xff; 4]
}

/// Of `::/64`: unspecified, loopback, or an IPv4 address that has no business on the wire (`::ffff:0:0/96`).
#[cold]
fn is_martian_low_v6(src: &[u8; 16]) -> bool {
    let low = u128::from_be_bytes(*src);
    low <= 1 || low >> 32 == 0xffff
}

/// Of an IPv4 header of `len` bytes.
#[cold]
fn check_options(view: View<'_>, len: usize) -> Result<(), Invalid> {
    if len > view.linear().len() && len <= view.len() {
        return Err(Short::NeedLinear(len).into());
    }
    let header = view.linear().get(..len).ok_or(Invalid::Header)?;
    // Over a right checksum the sum is 0xffff, whose complement is 0.
    if Sum::default().with(header).checksum() != 0 || is_source_routed(header) {
        return Err(Invalid::Header);
    }
    Ok(())
}

fn is_source_routed(header: &[u8]) -> bool {
    let mut options = header.get(IPV4_LEN..).unwrap_or_default();
    // Each round takes a byte at least, of 40 at most.
    while let [kind, rest @ ..] = options {
        match (*kind, rest) {
            (IPOPT_END, _) => return false,
            (IPOPT_NOOP, rest) => options = rest,
            (IPOPT_LSRR | IPOPT_SSRR, _) => return true,
            (_, [len, ..]) => {
                // A length below 2 is none; the stack has the word about it.
                let len = usize::from(*len).max(2);
                options = options.get(len..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

/// Of a packet with IPv6 extension headers: a routing header that is not at its end says that the packet's destination is yet
/// to come (RFC 8200, section 4.4).
#[cold]
fn check_routing(view: View<'_>, family: Family) -> Result<(), Invalid> {
    if family == Family::V6 && ip::has_segments_left(view)? {
        return Err(Invalid::Header);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn martians() {
        for (src, martian) in [
            ([0, 0, 0, 0], true),
            ([0, 1, 2, 3], true),
            ([1, 0, 0, 0], false),
            ([126, 255, 255, 255], false),
            ([127, 0, 0, 1], true),
            ([128, 0, 0, 0], false),
            ([223, 255, 255, 255], false),
            ([224, 0, 0, 1], true),
            ([239, 255, 255, 255], true),
            ([240, 0, 0, 1], false),
            ([255, 255, 255, 254], false),
            ([255, 255, 255, 255], true),
        ] {
            assert_eq!(is_martian_v4(src), martian, "{src:?}");
        }
        for (src, martian) in [
            ("::", true),
            ("::1", true),
            ("::2", false),
            ("::ffff:10.0.0.1", true),
            ("::10.0.0.1", false),
        ] {
            let address: core::net::Ipv6Addr = src.parse().unwrap();
            assert_eq!(is_martian_low_v6(&address.octets()), martian, "{src}");
        }
    }

    #[test]
    fn source_routes() {
        let with = |options: &[u8]| {
            let mut header = std::vec![0; IPV4_LEN];
            header.extend(options);
            is_source_routed(&header)
        };
        assert!(with(&[IPOPT_LSRR, 7, 4, 10, 0, 0, 1, 0]));
        assert!(with(&[
            IPOPT_NOOP, IPOPT_NOOP, 7, 3, 4, IPOPT_SSRR, 7, 4, 10, 0, 0, 1
        ]));
        assert!(!with(&[7, 7, 4, IPOPT_LSRR, IPOPT_LSRR, 0, 0, 0]));
        assert!(!with(&[IPOPT_END, IPOPT_LSRR, 7, 4]));
        // Lengths that lead nowhere end the search.
        assert!(!with(&[7, 0, 0, 0]));
        assert!(!with(&[7, 200, 0, 0]));
        assert!(!with(&[7]));
    }
}
