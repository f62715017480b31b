// SPDX-License-Identifier: GPL-2.0

//! Where things stand in the words of compiled classes.
//!
//! The classes are ranked: highest priority first, equal ones in the file's order. Each dimension of a packet (destination,
//! source, either port, a field of bytes) is looked up by itself, and gives the set of the classes that take it there. The
//! first rank that is in all of the sets is the answer.
//!
//! A set is a bit map of ranks without its empty words of 64 bits: a map of the words that are not empty, and these. So a set costs what
//! is in it, and 64 words of ranks are passed over at once where one set has none of them. (Lakshman and Stiliadis, 1998;
//! aggregates: Baboescu and Varghese, 2001.) Sets that are alike stand once.
//!
//! ```text
//! header   mark, number of classes, pieces of a map, destinations of IPv4 at, of IPv6 at, set of others,
//!          sources of IPv4 at, of IPv6 at, set of others, kinds at, number of kinds, classes at
//! IPv4     256 offsets of pages, by the first byte; a page is 256 sets, by the second; or deeper: a list by the last two bytes
//! IPv6     a list by the first eight bytes; or deeper: a list by the last eight
//! list     number of entries, then these, ascending from 0: the number (of one word, of two in IPv6) from which on there is a
//!          set, and the set
//! kinds    of packets: TCP, UDP, SCTP, those without ports, then SCTP over UDP, one for each port
//!            UDP port (else 0), set of the members, destination ports at, source ports at, fields at, number of fields
//!          ports at 0: no member names any
//! ports    256 offsets of pages, by the high byte; a page is 256 sets, by the low byte
//! fields   (offset << 8 | bytes), mask, values at, number of values, set of those that do not ask
//! values   ascending: value, set
//! classes  by rank: place in the file, service
//! set      map: for each 4,096 ranks a piece: which 64 of them have a word, as 64 bits, and how many words are before;
//!          then the words, of 64 bits; low half first
//! ```
//!
//! Where a set is named by its offset, there may also be 0 for all classes, [`NONE`] for none, and [`ONE`] with a rank for that
//! class alone: most packets are of one class by their destination already, and need no memory for it. Among addresses [`DEEP`]
//! with an offset says that more of the address decides.
//!
//! Each look-up reads so many words at most, whatever they are: lists are searched by halves, and all else has a fixed number.

/// Most classes.
pub const MAX_CLASSES: usize = 10_000;
/// Most prefixes of one class, in either direction.
pub const MAX_PREFIXES_EACH: usize = 1_000;
/// Most different prefixes of all classes together, in either direction.
pub const MAX_PREFIXES: usize = 1 << 18;
/// Most matches of one class.
pub const MAX_MATCHES: usize = 8;
/// Most different fields (offset, bytes, mask) of a protocol, over all classes.
pub const MAX_FIELDS: usize = 8;
/// Most different ports of SCTP over UDP.
pub const MAX_ENCAPS: usize = 8;
/// Most words of compiled classes: 128 MiB.
pub const MAX_WORDS: usize = 1 << 25;

/// The first word: what it is, and the version of this layout.
pub(super) const MARK: u32 = u32::from_be_bytes(*b"GLC2");
/// Words of the header.
pub(super) const HEADER: usize = 12;
/// Words of a kind.
pub(super) const KIND: usize = 6;
/// Which kind has what is not TCP, UDP or SCTP.
pub(super) const KIND_OTHER: u32 = 3;
/// The first kind of SCTP over UDP.
pub(super) const KIND_ENCAP: u32 = 4;
/// Most kinds.
pub(super) const MAX_KINDS: u32 = KIND_ENCAP + MAX_ENCAPS as u32;
/// Pages of ports, and ports of a page.
pub(super) const PAGE: usize = 256;
/// Words of a field.
pub(super) const FIELD: usize = 5;
/// Words of a value.
pub(super) const VALUE: usize = 2;
/// Words of a class.
pub(super) const CLASS: usize = 2;
/// Instead of a set: all classes.
pub(super) const ALL: u32 = 0;
/// Instead of a set: no class.
pub(super) const NONE: u32 = u32::MAX;
/// Instead of a set: the class of the rank in the bits below.
pub(super) const ONE: u32 = 1 << 31;
/// Instead of a set of addresses: a list at the offset in the bits below.
pub(super) const DEEP: u32 = 3 << 30;
const _: () = assert!(MAX_WORDS < ONE as usize && MAX_CLASSES < 1 << 24);
/// Sets of a packet: two of addresses, two of ports, the fields.
pub(super) const MAX_SETS: usize = 4 + MAX_FIELDS;
/// Words of a piece of a map.
pub(super) const PIECE: usize = 3;
/// Most pieces of a map.
pub(super) const MAX_MAP: u32 = (MAX_CLASSES.div_ceil(64 * 64)) as u32;
