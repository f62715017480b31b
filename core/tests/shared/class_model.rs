// SPDX-License-Identifier: GPL-2.0

//! What classes take, by a list that is searched from top to bottom. Nothing of it is the core's: `core/tests/flow_classes.rs` and
//! `fuzz/fuzz_targets/classes.rs` hold the compiled form against it.

use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::{Asked, ByteMatch, Class, Header, Ports, Prefix};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Addrs;

/// Bit for bit, as nothing of the core does it.
fn in_prefix(one: &Prefix, addr: Addr) -> bool {
    let bit = |bytes: &[u8], at: u8| bytes[usize::from(at / 8)] >> (7 - at % 8) & 1;
    let same = |a: &[u8], b: &[u8]| (0..one.len).all(|at| bit(a, at) == bit(b, at));
    match (one.addr, addr) {
        (Addr::V4(a), Addr::V4(b)) => same(&a, &b),
        (Addr::V6(a), Addr::V6(b)) => same(&a, &b),
        _ => false,
    }
}

fn in_bytes(one: &ByteMatch, header: &[u8]) -> bool {
    let (start, len) = (usize::from(one.offset), usize::from(one.len));
    let Some(bytes) = header.get(start..start + len) else {
        return false;
    };
    let number = bytes
        .iter()
        .fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
    number & one.mask == one.value
}

fn takes_proto(class: &Class, proto: Proto) -> bool {
    class.protocols.is_any() || class.protocols.has(proto)
}

fn takes_header(class: &Class, proto: Proto, header: &Header<'_>) -> bool {
    let in_ports = |ports: &[Ports], port| {
        ports.is_empty()
            || ports
                .iter()
                .any(|range| (range.first..=range.last).contains(&port))
    };
    takes_proto(class, proto)
        && in_ports(&class.dport, header.dport)
        && in_ports(&class.sport, header.sport)
        && class
            .matches
            .iter()
            .all(|one| one.transport != proto || in_bytes(one, header.bytes))
}

fn takes_addrs(class: &Class, addrs: &Addrs) -> bool {
    let (src, dst) = match *addrs {
        Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
        Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
    };
    let of = |list: &[Prefix], addr| list.is_empty() || list.iter().any(|one| in_prefix(one, addr));
    of(&class.dst, dst) && of(&class.src, src)
}

fn takes(class: &Class, asked: &Asked<'_>) -> bool {
    takes_addrs(class, &asked.addrs)
        && match &asked.transport {
            None => class.protocols.is_any() && class.dport.is_empty() && class.sport.is_empty(),
            Some((proto, header)) => {
                let in_udp = *proto == Proto::Udp && class.udp_encap == Some(header.dport);
                let inner = asked.inner.filter(|_| in_udp);
                takes_header(class, *proto, header)
                    || inner.is_some_and(|inner| takes_header(class, Proto::Sctp, &inner))
            }
        }
}

/// The place in the file of the class that has the packet: the highest priority, and of those the first.
pub(crate) fn lookup(classes: &[Class], asked: &Asked<'_>) -> Option<usize> {
    let mut list: Vec<(usize, &Class)> = classes.iter().enumerate().collect();
    list.sort_by_key(|(place, class)| (-i64::from(class.priority), *place));
    let found = list.iter().find(|(_, class)| takes(class, asked))?;
    Some(found.0)
}

/// Whether some packet of these addresses and this protocol has a class, whatever its ports and bytes are.
pub(crate) fn may_take(classes: &[Class], addrs: &Addrs, proto: Proto) -> bool {
    classes.iter().any(|class| {
        let in_udp =
            proto == Proto::Udp && class.udp_encap.is_some() && takes_proto(class, Proto::Sctp);
        takes_addrs(class, addrs) && (takes_proto(class, proto) || in_udp)
    })
}
