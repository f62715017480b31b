// SPDX-License-Identifier: GPL-2.0

//! Which table packets belong to before and after, for each piece of what binds name.
//!
//! Addresses are cut where a prefix of either side begins or ends, ports where a range of a bind does that
//! covers the piece; within a piece each side has one answer, which is its own classifier's.

use glb_core::director::classify::bind::{Bind, BindId, Classifier, Proto};
use glb_core::packet::addr::Addr;
use std::collections::{BTreeMap, BTreeSet};

/// Addresses and ports that one bind of each side takes, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// As a bind; narrower prefixes are pieces of their own.
    pub(super) bind: Bind,
    pub(super) old: Option<BindId>,
    pub(super) new: Option<BindId>,
}

/// A prefix, ordered so that it comes before those within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix {
    v6: bool,
    first: u128,
    /// The longer the prefix, the later.
    len: u8,
}

impl Prefix {
    fn of(bind: &Bind) -> Self {
        let masked = bind.addr.masked(bind.prefix_len);
        let (v6, first) = match masked {
            Addr::V4(bytes) => (false, u128::from(u32::from_be_bytes(bytes))),
            Addr::V6(bytes) => (true, u128::from_be_bytes(bytes)),
        };
        Self {
            v6,
            first,
            len: bind.prefix_len,
        }
    }

    fn last(self) -> u128 {
        let bits = if self.v6 { 128 } else { 32 } - u32::from(self.len);
        let free = 1u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1);
        self.first | free
    }

    fn holds(self, other: Self) -> bool {
        self.v6 == other.v6 && self.first <= other.first && other.last() <= self.last()
    }

    fn addr(self, number: u128) -> Addr {
        if self.v6 {
            Addr::V6(number.to_be_bytes())
        } else {
            // The cast keeps all there is: the number is within a prefix of 32 bits.
            Addr::V4((number as u32).to_be_bytes())
        }
    }
}

/// All pieces that either side takes.
pub(super) fn pieces(binds: &[&Bind], old: Classifier<'_>, new: Classifier<'_>) -> Vec<Piece> {
    let mut by_prefix: BTreeMap<Prefix, Vec<&Bind>> = BTreeMap::new();
    for bind in binds {
        by_prefix.entry(Prefix::of(bind)).or_default().push(bind);
    }
    let prefixes: Vec<Prefix> = by_prefix.keys().copied().collect();
    let mut pieces = Vec::new();
    // The prefixes that hold the one that is looked at, widest first.
    let mut around: Vec<Prefix> = Vec::new();
    for (index, &prefix) in prefixes.iter().enumerate() {
        while around.last().is_some_and(|last| !last.holds(prefix)) {
            around.pop();
        }
        around.push(prefix);
        let Some(own) = own_address(prefix, &prefixes[index + 1..]) else {
            continue;
        };
        let covering = around.iter().filter_map(|at| by_prefix.get(at)).flatten();
        for proto in Proto::ALL {
            // What no bind names of SCTP has no ports.
            let is_named = |bind: &&Bind| bind.proto == Some(proto) || proto != Proto::Sctp;
            if !covering.clone().any(|bind| is_named(bind)) {
                continue;
            }
            let of_proto = covering
                .clone()
                .filter(|bind| bind.proto.is_none_or(|one| one == proto));
            let mut cuts = BTreeSet::new();
            for bind in of_proto {
                cuts.insert(u32::from(bind.port_start));
                cuts.insert(u32::from(bind.port_end) + 1);
            }
            let cuts: Vec<u32> = cuts.into_iter().collect();
            let mut last: Option<Piece> = None;
            for ports in cuts.windows(2) {
                // The casts are exact: the last cut is 65,536 and only an end.
                let (start, end) = (ports[0] as u16, (ports[1] - 1) as u16);
                let piece = Piece {
                    bind: Bind {
                        addr: prefix.addr(prefix.first),
                        prefix_len: prefix.len,
                        proto: Some(proto),
                        port_start: start,
                        port_end: end,
                    },
                    old: by_port(old, own, proto, start),
                    new: by_port(new, own, proto, start),
                };
                match &mut last {
                    Some(before) if (before.old, before.new) == (piece.old, piece.new) => {
                        before.bind.port_end = end;
                    }
                    _ => pieces.extend(last.replace(piece)),
                }
            }
            pieces.extend(last);
        }
        // What has no ports.
        if covering.clone().any(|bind| bind.proto.is_none()) {
            pieces.push(Piece {
                bind: Bind {
                    addr: prefix.addr(prefix.first),
                    prefix_len: prefix.len,
                    proto: None,
                    port_start: 0,
                    port_end: u16::MAX,
                },
                old: old.lookup_all(own),
                new: new.lookup_all(own),
            });
        }
    }
    pieces.retain(|piece| piece.old.is_some() || piece.new.is_some());
    pieces
}

/// The bind of a packet to this address and port: of SCTP, if no bind names it, the one for all protocols.
fn by_port(binds: Classifier<'_>, addr: Addr, proto: Proto, port: u16) -> Option<BindId> {
    match (binds.lookup(addr, proto, port), proto) {
        (None, Proto::Sctp) => binds.lookup_all(addr),
        (found, _) => found,
    }
}

/// An address of the prefix that is in none of the narrower ones, which follow it in order.
fn own_address(prefix: Prefix, behind: &[Prefix]) -> Option<Addr> {
    let mut at = prefix.first;
    for narrower in behind.iter().take_while(|other| prefix.holds(**other)) {
        if narrower.first > at {
            break;
        }
        if narrower.last() >= prefix.last() {
            return None;
        }
        at = at.max(narrower.last() + 1);
    }
    Some(prefix.addr(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::bind as text;
    use glb_core::director::classify::bind::{build, words_needed, Entry};

    fn bind(text: &str) -> Bind {
        let (prefix, ports) = text.split_once(' ').unwrap();
        let (addr, len) = prefix.split_once('/').unwrap();
        let addr = match addr.parse().unwrap() {
            std::net::IpAddr::V4(addr) => Addr::V4(addr.octets()),
            std::net::IpAddr::V6(addr) => Addr::V6(addr.octets()),
        };
        let (start, end) = ports.split_once('-').unwrap_or((ports, ports));
        Bind {
            addr,
            prefix_len: len.parse().unwrap(),
            proto: Some(Proto::Tcp),
            port_start: start.parse().unwrap(),
            port_end: end.parse().unwrap(),
        }
    }

    fn words(binds: &[Bind]) -> Vec<u32> {
        let id = |table: usize| BindId {
            table: table as u16,
            bind: 0,
        };
        let mut entries: Vec<Entry> = (0..)
            .zip(binds)
            .map(|(table, bind)| Entry {
                bind: *bind,
                id: id(table),
            })
            .collect();
        let mut words = vec![0; words_needed(&entries)];
        let used = build(&mut entries, &mut words).unwrap();
        words.truncate(used);
        words
    }

    /// Each side has a table for each of its binds. What comes out: the piece, and the tables' places.
    fn all(old: &[&str], new: &[&str]) -> Vec<(String, Option<u16>, Option<u16>)> {
        let old: Vec<Bind> = old.iter().map(|text| bind(text)).collect();
        let new: Vec<Bind> = new.iter().map(|text| bind(text)).collect();
        let (old_words, new_words) = (words(&old), words(&new));
        let binds: Vec<&Bind> = old.iter().chain(&new).collect();
        pieces(
            &binds,
            Classifier::new(&old_words),
            Classifier::new(&new_words),
        )
        .into_iter()
        .map(|piece| {
            let table = |id: Option<BindId>| id.map(|id| id.table);
            (text(&piece.bind), table(piece.old), table(piece.new))
        })
        .collect()
    }

    #[test]
    fn what_moves_from_bind_to_bind() {
        let said = |text: &str, old, new| (text.to_owned(), old, new);
        assert_eq!(
            all(&["9.9.9.9/32 80"], &["9.9.9.8/32 80"]),
            [
                said("tcp 9.9.9.8 port 80", None, Some(0)),
                said("tcp 9.9.9.9 port 80", Some(0), None),
            ]
        );
        // A range that shrinks, and one that is cut in two by a narrower one.
        assert_eq!(
            all(
                &["9.9.9.9/32 80-90"],
                &["9.9.9.9/32 85-90", "9.9.9.9/32 87"]
            ),
            [
                said("tcp 9.9.9.9 port 80-84", Some(0), None),
                said("tcp 9.9.9.9 port 85-86", Some(0), Some(0)),
                said("tcp 9.9.9.9 port 87", Some(0), Some(1)),
                said("tcp 9.9.9.9 port 88-90", Some(0), Some(0)),
            ]
        );
        // A narrower prefix takes a part; what is left of the wider one stays.
        assert_eq!(
            all(
                &["9.9.0.0/16 0-65535"],
                &["9.9.0.0/16 0-65535", "9.9.9.0/24 80"]
            ),
            [
                said("tcp 9.9.0.0/16 port 0-65535", Some(0), Some(0)),
                said("tcp 9.9.9.0/24 port 0-79", Some(0), Some(0)),
                said("tcp 9.9.9.0/24 port 80", Some(0), Some(1)),
                said("tcp 9.9.9.0/24 port 81-65535", Some(0), Some(0)),
            ]
        );
        // Two halves leave nothing of the whole; all of IPv6 is a prefix too.
        assert_eq!(
            all(&["::/0 1"], &["::/1 1", "8000::/1 1"]),
            [
                said("tcp ::/1 port 1", Some(0), Some(0)),
                said("tcp 8000::/1 port 1", Some(0), Some(1)),
            ]
        );
        assert_eq!(all(&[], &[]), []);
    }
}
