// SPDX-License-Identifier: GPL-2.0

//! The look-up: the sets of a packet, and the first class that is in all of them.

use super::bytes::number;
use super::class::{Asked, Header};
use super::layout::{
    CLASS, DEEP, FIELD, HEADER, KIND, KIND_ENCAP, KIND_OTHER, MARK, MAX_CLASSES, MAX_FIELDS,
    MAX_KINDS, MAX_MAP, MAX_SETS, MAX_WORDS, NONE, PAGE, PIECE, VALUE,
};
use super::sets::Sets;
use crate::director::classify::bind::Proto;
use crate::packet::addr::Addr;
use crate::packet::ip::Addrs;

/// The classes of a file, ready to be asked.
///
/// Words that the tools did not make give wrong answers, but neither a panic nor an endless loop.
#[derive(Debug, Clone, Copy)]
pub struct Classes<'a> {
    words: &'a [u32],
}

/// The class of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its rank: 0 is the first that is asked.
    pub rank: u32,
    /// Its place in the file.
    pub class: u32,
    /// What it leads to: the index of a table.
    pub service: u16,
}

impl<'a> Classes<'a> {
    /// The classes in these words; `None` if they are not of this form. No words are no classes.
    #[must_use]
    pub fn new(words: &'a [u32]) -> Option<Self> {
        let classes = Self { words };
        if words.is_empty() {
            return Some(classes);
        }
        let &[mark, count, pieces, ..]: &[u32; HEADER] = words.first_chunk()?;
        // What a look-up multiplies and adds is small then.
        let fits = words.len() <= MAX_WORDS && pieces <= MAX_MAP;
        let is_count = count > 0 && count as usize <= MAX_CLASSES;
        (mark == MARK && fits && is_count).then_some(classes)
    }

    /// No classes.
    pub const NONE: Self = Self { words: &[] };

    /// The first rank whose class is none of the file's, or leads to none of so many tables.
    #[must_use]
    pub fn astray(self, tables: usize) -> Option<u32> {
        let mut rank = 0;
        while rank < self.len() {
            let leads =
                |found: Found| usize::from(found.service) < tables && found.class < self.len();
            if !self.by_rank(rank).is_some_and(leads) {
                return Some(rank);
            }
            rank = rank.wrapping_add(1);
        }
        None
    }

    /// Which bytes of a packet's headers matter, beside its ports: so many of the transport header, and whether one of SCTP behind
    /// it does.
    #[inline]
    #[must_use]
    pub fn reads(self, proto: Proto, dport: u16) -> (u8, bool) {
        let fields = |kind| match self.kind(kind) {
            Some(&[_, _, _, _, _, num_fields]) => num_fields,
            None => 0,
        };
        let header = match fields(proto.place()) {
            0 => 0,
            _ => proto.least_header(),
        };
        (header, proto == Proto::Udp && self.encapsulates(dport))
    }

    /// Whether a packet of these addresses and this protocol may have a class, of which no ports are known.
    #[must_use]
    pub fn may_take(self, addrs: &Addrs, proto: Proto) -> bool {
        let takes = |kind| self.takes_some(addrs, kind).is_some();
        let mut kind = KIND_ENCAP;
        let mut found = takes(proto.place());
        while proto == Proto::Udp && !found && self.kind(kind).is_some() {
            found = takes(kind);
            kind = kind.wrapping_add(1);
        }
        found
    }

    /// The first rank of a kind that has these addresses.
    fn takes_some(self, addrs: &Addrs, kind: u32) -> Option<u32> {
        let &[_, _, pieces, ..] = self.header()?;
        let mut sets = Sets::<3>::NONE;
        self.add_addrs(&mut sets, addrs)?;
        let &[_, members, ..] = self.kind(kind)?;
        sets.add(members)?;
        self.first(&sets, pieces)
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> u32 {
        self.header().map_or(0, |&[_, count, ..]| count)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// What the class of a rank leads to.
    #[must_use]
    pub fn by_rank(self, rank: u32) -> Option<Found> {
        let &[_, count, _, _, _, _, _, _, _, _, _, classes] = self.header()?;
        if rank >= count {
            return None;
        }
        let &[class, service] = self.record::<CLASS>(classes, rank)?;
        // The cast keeps the low half, of which there is more in words of others only.
        Some(Found {
            rank,
            class,
            service: service as u16,
        })
    }

    /// Whether SCTP is expected in UDP packets to this port, so that the header behind that of UDP is to be asked of too.
    #[inline]
    #[must_use]
    pub fn encapsulates(self, port: u16) -> bool {
        self.encap(port).is_some()
    }

    /// The class of a packet.
    #[inline]
    #[must_use]
    pub fn lookup(self, asked: &Asked<'_>) -> Option<Found> {
        let &[_, _, pieces, ..] = self.header()?;
        let mut of_addrs = Sets::<MAX_SETS>::NONE;
        self.add_addrs(&mut of_addrs, &asked.addrs)?;
        let first = |kind, header| {
            let mut sets = of_addrs;
            self.add_kind(&mut sets, kind, header)?;
            self.first(&sets, pieces)
        };
        let rank = match asked.transport {
            None => first(KIND_OTHER, None),
            Some((Proto::Udp, outer)) => {
                let encap = || asked.inner.zip(self.encap(outer.dport));
                let of_udp = first(Proto::Udp.place(), Some(outer));
                // Two kinds may have it: the first class of either.
                match encap().and_then(|(inner, kind)| first(kind, Some(inner))) {
                    Some(sctp) => Some(of_udp.map_or(sctp, |udp| udp.min(sctp))),
                    None => of_udp,
                }
            }
            Some((transport, header)) => first(transport.place(), Some(header)),
        };
        self.by_rank(rank?)
    }

    /// The class of a packet of this protocol with these ports, source and destination, as [`Self::lookup`] says it, in fewer steps.
    /// Of a packet of which some bytes matter nothing is said.
    #[inline(always)]
    #[must_use]
    pub fn of_ports(
        self,
        addrs: &Addrs,
        proto: Proto,
        (sport, dport): (u16, u16),
    ) -> Option<Found> {
        let kind = self.kind(proto.place())?;
        let &[_, _, _, _, _, num_fields] = kind;
        if num_fields != 0 || (proto == Proto::Udp && self.encapsulates(dport)) {
            return None;
        }
        let &[_, _, pieces, ..] = self.header()?;
        let mut sets = Sets::<4>::NONE;
        self.add_addrs(&mut sets, addrs)?;
        self.add_ports(&mut sets, kind, (sport, dport))?;
        self.by_rank(self.first(&sets, pieces)?)
    }

    /// Adds the sets of the addresses.
    #[inline(always)]
    fn add_addrs<const N: usize>(self, sets: &mut Sets<N>, addrs: &Addrs) -> Option<()> {
        let &[_, _, _, dst_v4, dst_v6, no_dst, src_v4, src_v6, no_src, ..] = self.header()?;
        let (from, to) = match *addrs {
            Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
            Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
        };
        sets.add(self.by_addr((dst_v4, dst_v6, no_dst), to)?)?;
        sets.add(self.by_addr((src_v4, src_v6, no_src), from)?)
    }

    /// A kind of packets.
    #[inline(always)]
    fn kind(self, kind: u32) -> Option<&'a [u32; KIND]> {
        let &[_, _, _, _, _, _, _, _, _, kinds, num_kinds, _] = self.header()?;
        if kind >= num_kinds.min(MAX_KINDS) {
            return None;
        }
        self.record(kinds, kind)
    }

    /// Adds those of a kind of packets and of the header.
    #[inline(always)]
    fn add_kind<const N: usize>(
        self,
        sets: &mut Sets<N>,
        kind: u32,
        header: Option<Header<'_>>,
    ) -> Option<()> {
        let kind = self.kind(kind)?;
        let &[_, members, _, _, fields, num_fields] = kind;
        let Some(header) = header else {
            return sets.add(members);
        };
        self.add_ports(sets, kind, (header.sport, header.dport))?;
        let mut number = 0;
        while number < num_fields.min(MAX_FIELDS as u32) {
            sets.add(self.by_field(self.record(fields, number)?, header.bytes)?)?;
            number = number.wrapping_add(1);
        }
        Some(())
    }

    /// Adds those of a kind of packets, and of the ports.
    #[inline(always)]
    fn add_ports<const N: usize>(
        self,
        sets: &mut Sets<N>,
        &[_, members, dports, sports, ..]: &[u32; KIND],
        (sport, dport): (u16, u16),
    ) -> Option<()> {
        match dports {
            0 => sets.add(members)?,
            pages => sets.add(self.by_port(pages, dport)?)?,
        }
        match sports {
            0 => Some(()),
            pages => sets.add(self.by_port(pages, sport)?),
        }
    }

    /// The first rank that is in all of the sets.
    #[inline(always)]
    fn first<const N: usize>(self, sets: &Sets<N>, pieces: u32) -> Option<u32> {
        let all = sets.several()?;
        match sets.one() {
            Some(rank) => {
                for set in all {
                    if !self.has(*set, rank, pieces)? {
                        return None;
                    }
                }
                Some(rank)
            }
            None if all.is_empty() => Some(0),
            None => self.first_common(all, pieces),
        }
    }

    /// Whether a rank is in a set.
    #[inline]
    fn has(self, set: u32, rank: u32, pieces: u32) -> Option<bool> {
        let (number, bit) = (rank >> 12, rank >> 6 & 63);
        if number >= pieces || self.piece(set, number)?.wrapping_shr(bit) & 1 == 0 {
            return Some(false);
        }
        let word = self.word_of(set, (number, bit), pieces)?;
        Some(word.wrapping_shr(rank & 63) & 1 == 1)
    }

    /// The first rank that is in all of some sets.
    #[inline]
    fn first_common(self, sets: &[u32], pieces: u32) -> Option<u32> {
        let mut number = 0u32;
        while number < pieces {
            let mut left = u64::MAX;
            for set in sets {
                left &= self.piece(*set, number)?;
            }
            while left != 0 {
                let bit = left.trailing_zeros();
                let mut ranks = u64::MAX;
                for set in sets {
                    ranks &= self.word_of(*set, (number, bit), pieces)?;
                }
                if ranks != 0 {
                    let word = number.wrapping_mul(64).wrapping_add(bit);
                    return Some(word.wrapping_mul(64).wrapping_add(ranks.trailing_zeros()));
                }
                left &= left.wrapping_sub(1);
            }
            number = number.wrapping_add(1);
        }
        None
    }

    /// Which words a piece of a set's map has.
    #[inline(always)]
    fn piece(self, set: u32, number: u32) -> Option<u64> {
        self.word(set.wrapping_add(number.wrapping_mul(PIECE as u32)))
    }

    /// The word of a set that stands for this bit of a piece of its map, which must be set.
    #[inline(always)]
    fn word_of(self, set: u32, (number, bit): (u32, u32), pieces: u32) -> Option<u64> {
        let &[low, high, before]: &[u32; PIECE] = self.record(set, number)?;
        let map = u64::from(low) | u64::from(high) << 32;
        let below = map & 1u64.wrapping_shl(bit).wrapping_sub(1);
        let place = before.wrapping_add(below.count_ones()).wrapping_mul(2);
        self.word(
            set.wrapping_add(pieces.wrapping_mul(PIECE as u32))
                .wrapping_add(place),
        )
    }

    /// The set of an address: that of its longest prefix.
    #[inline(always)]
    fn by_addr(self, (v4, v6, others): (u32, u32, u32), addr: Addr) -> Option<u32> {
        match addr {
            Addr::V4(_) if v4 == 0 => Some(others),
            Addr::V6(_) if v6 == 0 => Some(others),
            Addr::V4([a, b, c, d]) => {
                let set = self.by_page(v4, [a, b])?;
                self.deeper::<2>(set, u16::from_be_bytes([c, d]).into())
            }
            Addr::V6(bytes) => {
                let number = u128::from_be_bytes(bytes);
                // The casts take the two halves.
                let set = self.by_list::<3>(v6, (number >> 64) as u64)?;
                self.deeper::<3>(set, number as u64)
            }
        }
    }

    /// A set, or the one that a list has for more bits of an address.
    #[inline(always)]
    fn deeper<const N: usize>(self, set: u32, rest: u64) -> Option<u32> {
        match set {
            NONE => Some(NONE),
            DEEP.. => self.by_list::<N>(set & !DEEP, rest),
            set => Some(set),
        }
    }

    /// The set of a list's last number that is not above `number`, by halves.
    #[inline]
    fn by_list<const N: usize>(self, at: u32, number: u64) -> Option<u32> {
        let (count, list) = self.words.get(at as usize..)?.split_first()?;
        let (mut first, mut left) = (0usize, *count as usize);
        while left > 1 {
            let half = left / 2;
            let middle = first.wrapping_add(half);
            let entry: &[u32; N] = list.get(middle.wrapping_mul(N)..)?.first_chunk()?;
            if begins_at(entry) <= number {
                first = middle;
            }
            left = left.wrapping_sub(half);
        }
        let entry: &[u32; N] = list.get(first.wrapping_mul(N)..)?.first_chunk()?;
        entry.last().copied()
    }

    /// The set of a port.
    #[inline(always)]
    fn by_port(self, pages: u32, port: u16) -> Option<u32> {
        self.by_page(pages, port.to_be_bytes())
    }

    /// The set of two bytes.
    #[inline(always)]
    fn by_page(self, pages: u32, [high, low]: [u8; 2]) -> Option<u32> {
        let pages: &[u32; PAGE] = self.array(pages)?;
        let page: &[u32; PAGE] = self.array(*pages.get(usize::from(high))?)?;
        page.get(usize::from(low)).copied()
    }

    /// The set of a field, by binary search over its values.
    #[inline]
    fn by_field(self, field: &[u32; FIELD], header: &[u8]) -> Option<u32> {
        let &[place, mask, values, count, others] = field;
        // The casts take the two bytes.
        let Some(value) = number(header, (place >> 8) as u8, place as u8) else {
            return Some(others);
        };
        let value = value & mask;
        let len = (count as usize).wrapping_mul(VALUE);
        let mut left = self.words.get(values as usize..)?.get(..len)?;
        while !left.is_empty() {
            let middle = (left.len() / VALUE / 2).wrapping_mul(VALUE);
            let (lower, upper) = left.split_at_checked(middle)?;
            let (&[at_middle, set], higher) = upper.split_first_chunk::<VALUE>()?;
            if at_middle == value {
                return Some(set);
            }
            left = if value < at_middle { lower } else { higher };
        }
        Some(others)
    }

    /// The kind of SCTP over UDP to this port.
    #[inline]
    fn encap(self, port: u16) -> Option<u32> {
        let mut kind = KIND_ENCAP;
        loop {
            let &[of_kind, ..] = self.kind(kind)?;
            if of_kind == u32::from(port) {
                return Some(kind);
            }
            kind = kind.wrapping_add(1);
        }
    }

    #[inline(always)]
    fn header(self) -> Option<&'a [u32; HEADER]> {
        self.words.first_chunk()
    }

    #[inline(always)]
    fn record<const N: usize>(self, at: u32, number: u32) -> Option<&'a [u32; N]> {
        self.array(at.wrapping_add(number.wrapping_mul(N as u32)))
    }

    #[inline(always)]
    fn array<const N: usize>(self, at: u32) -> Option<&'a [u32; N]> {
        self.words.get(at as usize..)?.first_chunk()
    }

    /// A word of 64 bits.
    #[inline(always)]
    fn word(self, at: u32) -> Option<u64> {
        let &[low, high] = self.array(at)?;
        Some(u64::from(low) | u64::from(high) << 32)
    }
}

/// From which number on an entry of a list has its set.
#[inline(always)]
fn begins_at<const N: usize>(entry: &[u32; N]) -> u64 {
    match *entry.as_slice() {
        [number, _] => number.into(),
        [high, low, _] => u64::from(high) << 32 | u64::from(low),
        _ => 0,
    }
}
