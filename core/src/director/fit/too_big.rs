// SPDX-License-Identifier: GPL-2.0

//! The answer to a packet that does not fit its path: "fragmentation needed" (RFC 792, RFC 1191) or "packet
//! too big" (RFC 4443, section 3.2), from the bound address to the client.

use crate::packet::checksum::Sum;
use crate::packet::ip::{proto, Addrs, IPV4_LEN, IPV6_LEN};
use crate::packet::view::View;

const ICMP_LEN: usize = 8;
const TTL: u8 = 64;

/// Bytes of the packet that are sent back, at most: enough for options or extension headers and the ports, and
/// less than RFC 1812 allows, so that the answer is smaller than what it answers.
const QUOTED_LEN: usize = 128;

/// The longest answer.
pub const MAX_TOO_BIG_LEN: usize = IPV6_LEN + ICMP_LEN + QUOTED_LEN;

/// The smallest MTU that an IPv6 link may have (RFC 8200, section 5).
const IPV6_MIN_MTU: usize = 1280;

/// Writes the answer to the packet in `view`, between these addresses (client, bound address), telling `mtu`.
/// Returns its length. `None` for a packet that is not answered: an IPv4 packet that may be fragmented.
pub fn too_big(
    view: View<'_>,
    addrs: &Addrs,
    mtu: usize,
    out: &mut [u8; MAX_TOO_BIG_LEN],
) -> Option<usize> {
    let quoted = quoted(view)?;
    match *addrs {
        Addrs::V4 { src, dst } => {
            let dont_fragment = view.byte(6).ok()? & 0x40 != 0;
            if !dont_fragment {
                return None;
            }
            let [mtu_hi, mtu_lo] = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
            let len = IPV4_LEN.wrapping_add(ICMP_LEN).wrapping_add(quoted.len());
            let [len_hi, len_lo] = (len as u16).to_be_bytes();
            let ([d0, d1, d2, d3], [s0, s1, s2, s3]) = (src, dst);
            let mut ip = [
                0x45,
                0xc0,
                len_hi,
                len_lo,
                0,
                0,
                0,
                0,
                TTL,
                proto::ICMP,
                0,
                0,
                s0,
                s1,
                s2,
                s3,
                d0,
                d1,
                d2,
                d3,
            ];
            let check = Sum::default().with(&ip).checksum();
            let [_, _, _, _, _, _, _, _, _, _, hi, lo, ..] = &mut ip;
            [*hi, *lo] = check.to_be_bytes();
            let icmp = [3, 4, 0, 0, 0, 0, mtu_hi, mtu_lo];
            let check = Sum::default().with(&icmp).with(quoted).checksum();
            write(out, &ip, icmp, check, quoted)
        }
        Addrs::V6 { src, dst } => {
            let [m0, m1, m2, m3] = u32::try_from(mtu.max(IPV6_MIN_MTU)).ok()?.to_be_bytes();
            let payload = ICMP_LEN.wrapping_add(quoted.len()) as u16;
            let [len_hi, len_lo] = payload.to_be_bytes();
            let mut ip = [0; IPV6_LEN];
            *ip.first_chunk_mut()? = [0x60, 0, 0, 0, len_hi, len_lo, proto::ICMPV6, TTL];
            *ip.get_mut(8..)?.first_chunk_mut()? = dst;
            *ip.get_mut(24..)?.first_chunk_mut()? = src;
            let icmp = [2, 0, 0, 0, m0, m1, m2, m3];
            let check = Sum::default()
                .with(&dst)
                .with(&src)
                .with(&[len_hi, len_lo, 0, proto::ICMPV6])
                .with(&icmp)
                .with(quoted)
                .checksum();
            write(out, &ip, icmp, check, quoted)
        }
    }
}

/// The first bytes of the packet, as many as are linear and sent back.
fn quoted(view: View<'_>) -> Option<&[u8]> {
    let linear = view.linear();
    let len = linear.len().min(QUOTED_LEN);
    // Whole 16-bit words, to keep the sum simple.
    linear.get(..len & !1)
}

fn write(
    out: &mut [u8; MAX_TOO_BIG_LEN],
    ip: &[u8],
    mut icmp: [u8; ICMP_LEN],
    check: u16,
    quoted: &[u8],
) -> Option<usize> {
    let [_, _, hi, lo, ..] = &mut icmp;
    [*hi, *lo] = check.to_be_bytes();
    let mut len = 0_usize;
    let bytes = ip.iter().chain(&icmp).chain(quoted);
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
        len = len.wrapping_add(1);
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::ip::{self, Family};
    use std::vec;
    use std::vec::Vec;

    fn verifies(bytes: &[u8]) -> bool {
        Sum::default().with(bytes).checksum() == 0
    }

    fn v4(flags: u8) -> Vec<u8> {
        let mut p = vec![
            0x45, 0, 0x05, 0xdc, 0, 1, flags, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1,
        ];
        p.resize(1500, 0x5a);
        p
    }

    #[test]
    fn ipv4_with_dont_fragment_is_answered_from_the_bound_address() {
        let packet = v4(0x40);
        let addrs = Addrs::V4 {
            src: [10, 0, 0, 1],
            dst: [192, 0, 2, 1],
        };
        let mut out = [0; MAX_TOO_BIG_LEN];
        let len = too_big(View::whole(&packet), &addrs, 1460, &mut out).unwrap();
        let answer = &out[..len];
        assert_eq!(len, 20 + 8 + 128);
        let seen = ip::parse(View::whole(answer), 0, Family::V4).unwrap();
        assert_eq!(
            (seen.addrs, seen.protocol, seen.end),
            (addrs.reversed(), 1, len)
        );
        assert!(verifies(&answer[..20]) && verifies(&answer[20..]));
        assert_eq!(&answer[20..22], [3, 4]);
        assert_eq!(&answer[26..28], 1460_u16.to_be_bytes());
        assert_eq!(&answer[28..], &packet[..128]);
    }

    #[test]
    fn ipv4_that_may_be_fragmented_is_not_answered() {
        let addrs = Addrs::V4 {
            src: [10, 0, 0, 1],
            dst: [192, 0, 2, 1],
        };
        let mut out = [0; MAX_TOO_BIG_LEN];
        assert_eq!(too_big(View::whole(&v4(0)), &addrs, 1460, &mut out), None);
    }

    #[test]
    fn ipv6_never_tells_less_than_every_link_can_carry() {
        let mut packet = vec![0x60, 0, 0, 0, 5, 0xb4, 6, 64];
        packet.extend([1; 16]);
        packet.extend([2; 16]);
        packet.resize(1500, 7);
        let addrs = Addrs::V6 {
            src: [1; 16],
            dst: [2; 16],
        };
        let mut out = [0; MAX_TOO_BIG_LEN];
        for (mtu, told) in [(1400, 1400_u32), (900, 1280)] {
            let len = too_big(View::whole(&packet), &addrs, mtu, &mut out).unwrap();
            let answer = &out[..len];
            let seen = ip::parse(View::whole(answer), 0, Family::V6).unwrap();
            assert_eq!(
                (seen.addrs, seen.protocol, seen.end),
                (addrs.reversed(), 58, len)
            );
            assert_eq!(&answer[44..48], told.to_be_bytes());
            let mut pseudo = answer[8..40].to_vec();
            pseudo.extend((len as u32 - 40).to_be_bytes());
            pseudo.extend(58_u32.to_be_bytes());
            pseudo.extend(&answer[40..]);
            assert!(verifies(&pseudo));
        }
    }
}
