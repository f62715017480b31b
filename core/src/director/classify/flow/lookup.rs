// SPDX-License-Identifier: GPL-2.0

//! The look-up: the sets of a packet, and the first class that is in all of them.

use super::bytes::number;
use super::class::{Asked, Header};
use super::layout::{
    ALL, CLASS, FIELD, HEADER, KIND, KIND_ENCAP, KIND_OTHER, MARK, MAX_ENCAPS, MAX_FIELDS, MAX_MAP,
    MAX_SETS, MAX_WORDS, NONE, ONE, PAGE, PIECE, VALUE,
};
use super::transport::Transport;
use crate::director::classify::bind::{Classifier, Proto};
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

/// The sets of a packet that are neither all classes nor one.
#[derive(Clone, Copy)]
struct Sets {
    all: [u32; MAX_SETS],
    len: usize,
    /// The rank that must be in all of them, if there is one that alone can be.
    one: Option<u32>,
}

impl Sets {
    const NONE: Self = Self {
        all: [0; MAX_SETS],
        len: 0,
        one: None,
    };

    /// Adds a set; `None` if no class is in it, or none that can be in the others.
    #[inline(always)]
    fn add(&mut self, set: u32) -> Option<()> {
        match set {
            ALL => {}
            NONE => return None,
            ONE.. => {
                let rank = set & !ONE;
                if self.one.is_some_and(|one| one != rank) {
                    return None;
                }
                self.one = Some(rank);
            }
            at => {
                *self.all.get_mut(self.len)? = at;
                self.len = self.len.wrapping_add(1);
            }
        }
        Some(())
    }
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
        (mark == MARK && fits && count > 0).then_some(classes)
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
        let header = self.header()?;
        let &[_, _, pieces, dst, dst_len, no_dst, src, src_len, no_src, ..] = header;
        let (from, to) = match asked.addrs {
            Addrs::V4 { src, dst } => (Addr::V4(src), Addr::V4(dst)),
            Addrs::V6 { src, dst } => (Addr::V6(src), Addr::V6(dst)),
        };
        let mut sets = Sets::NONE;
        sets.add(self.by_addr((dst, dst_len, no_dst), to)?)?;
        sets.add(self.by_addr((src, src_len, no_src), from)?)?;
        let first = |kind, header| self.first(self.of_kind(kind, header, sets)?, pieces);
        let rank = match asked.transport {
            None => first(KIND_OTHER, None),
            Some((Transport::Udp, outer)) => {
                let encap = || asked.inner.zip(self.encap(outer.dport));
                let of_udp = first(Transport::Udp.index(), Some(outer));
                // Two kinds may have it: the first class of either.
                match encap().and_then(|(inner, kind)| first(kind, Some(inner))) {
                    Some(sctp) => Some(of_udp.map_or(sctp, |udp| udp.min(sctp))),
                    None => of_udp,
                }
            }
            Some((transport, header)) => first(transport.index(), Some(header)),
        };
        self.by_rank(rank?)
    }

    /// The sets of the addresses, and those of a kind of packets and of the header.
    #[inline(always)]
    fn of_kind(self, kind: u32, header: Option<Header<'_>>, mut sets: Sets) -> Option<Sets> {
        let &[_, _, _, _, _, _, _, _, _, kinds, num_kinds, _] = self.header()?;
        if kind >= num_kinds {
            return None;
        }
        let &[_, members, dports, sports, fields, num_fields] = self.record::<KIND>(kinds, kind)?;
        let Some(header) = header else {
            sets.add(members)?;
            return Some(sets);
        };
        match dports {
            0 => sets.add(members)?,
            pages => sets.add(self.by_port(pages, header.dport)?)?,
        }
        if sports != 0 {
            sets.add(self.by_port(sports, header.sport)?)?;
        }
        let mut number = 0;
        while number < num_fields.min(MAX_FIELDS as u32) {
            sets.add(self.by_field(self.record(fields, number)?, header.bytes)?)?;
            number = number.wrapping_add(1);
        }
        Some(sets)
    }

    /// The first rank that is in all of the sets.
    #[inline(always)]
    fn first(self, sets: Sets, pieces: u32) -> Option<u32> {
        let all = sets.all.get(..sets.len)?;
        match sets.one {
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
    fn by_addr(self, (at, len, others): (u32, u32, u32), addr: Addr) -> Option<u32> {
        if len == 0 {
            return Some(others);
        }
        let words = self.words.get(at as usize..)?.get(..len as usize)?;
        let found = Classifier::new(words).lookup(addr, Proto::Tcp, 0);
        Some(found.map_or(others, |id| id.to_word()))
    }

    /// The set of a port.
    #[inline(always)]
    fn by_port(self, pages: u32, port: u16) -> Option<u32> {
        let pages: &[u32; PAGE] = self.array(pages)?;
        let [high, low] = port.to_be_bytes();
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
        let &[_, _, _, _, _, _, _, _, _, kinds, num_kinds, _] = self.header()?;
        let mut kind = KIND_ENCAP;
        while kind < num_kinds.min(KIND_ENCAP.wrapping_add(MAX_ENCAPS as u32)) {
            let &[of_kind, ..] = self.record::<KIND>(kinds, kind)?;
            if of_kind == u32::from(port) {
                return Some(kind);
            }
            kind = kind.wrapping_add(1);
        }
        None
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
