// SPDX-License-Identifier: GPL-2.0

//! Classes -> words.
//!
//! Each dimension is cut where its answer changes: prefixes by nesting, ports by the ends of ranges, fields by their values.
//! What is between two cuts gets the set of the classes that take it.

use super::bytes::ByteMatch;
use super::class::{Class, Ports, Prefix};
use super::intervals::{Both, Intervals};
use super::layout::{
    ALL, CLASS, FIELD, HEADER, KIND, KIND_ENCAP, MARK, MAX_CLASSES, MAX_ENCAPS, MAX_FIELDS,
    MAX_MATCHES, MAX_PREFIXES, MAX_PREFIXES_EACH, MAX_WORDS, NONE, ONE, PAGE,
};
use crate::director::classify::bind::Proto;
use crate::siphash::SipKey;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

/// Why classes cannot be compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompileError {
    /// There are more than [`MAX_CLASSES`].
    Classes(usize),
    /// This class has more than [`MAX_PREFIXES_EACH`] prefixes in a direction, or a prefix longer than an address.
    Prefixes(usize),
    /// This class has a range of ports that ends before it begins.
    Ports(usize),
    /// This class has more than [`MAX_MATCHES`] matches, or one that is none.
    Matches(usize),
    /// All classes together have more than [`MAX_PREFIXES`] different prefixes in a direction.
    AllPrefixes,
    /// The matches of a protocol look at more than [`MAX_FIELDS`] different fields: offset, bytes and mask.
    Fields(Proto),
    /// There are more than [`MAX_ENCAPS`] different ports of SCTP over UDP.
    Encaps,
    /// More than [`MAX_WORDS`] words: too many prefixes or ports where many classes overlap in different ways.
    Words,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes(count) => write!(f, "{count} classes: at most {MAX_CLASSES}"),
            Self::Prefixes(_) => write!(f, "has more than {MAX_PREFIXES_EACH} prefixes"),
            Self::Ports(_) => f.write_str("has a range of ports that ends before it begins"),
            Self::Matches(_) => write!(f, "has more than {MAX_MATCHES} matches"),
            Self::AllPrefixes => write!(
                f,
                "all classes together have more than {MAX_PREFIXES} different prefixes in one direction: join neighbours"
            ),
            Self::Fields(transport) => write!(
                f,
                "the matches look at more than {MAX_FIELDS} different fields (offset, bytes, mask) of {}: use fewer",
                transport.name()
            ),
            Self::Encaps => write!(
                f,
                "there are more than {MAX_ENCAPS} different ports of SCTP over UDP: use fewer"
            ),
            Self::Words => write!(
                f,
                "the classes overlap in so many ways that they do not fit {} MiB: use fewer prefixes and ranges of ports",
                MAX_WORDS >> 18
            ),
        }
    }
}

/// Compiles classes, which stand in the file's order. No classes are no words.
pub fn compile(classes: &[Class]) -> Result<Vec<u32>, CompileError> {
    if classes.is_empty() {
        return Ok(Vec::new());
    }
    let ranked = rank(classes)?;
    let pieces = ranked.len().div_ceil(64 * 64);
    let mut words = Words {
        all: vec![0; HEADER],
        known: BTreeMap::new(),
    };
    let dst = words.prefixes(&ranked, |class| &class.dst)?;
    let src = words.prefixes(&ranked, |class| &class.src)?;
    let kinds = kinds(&ranked)?;
    let mut records = Vec::new();
    for kind in &kinds {
        records.push(words.kind(&ranked, kind)?);
    }
    // The casts are exact: there are at most MAX_WORDS, checked at each step.
    let kinds_at = words.all.len() as u32;
    words.all.extend(records.iter().flatten());
    let classes_at = words.all.len() as u32;
    for (place, class) in &ranked {
        let record: [u32; CLASS] = [*place as u32, u32::from(class.service)];
        words.all.extend(record);
    }
    words.check()?;
    let header: [u32; HEADER] = [
        MARK,
        ranked.len() as u32,
        pieces as u32,
        dst.v4,
        dst.v6,
        dst.others,
        src.v4,
        src.v6,
        src.others,
        kinds_at,
        kinds.len() as u32,
        classes_at,
    ];
    words.all[..HEADER].copy_from_slice(&header);
    Ok(words.all)
}

/// The classes by rank, each with its place in the file.
fn rank(classes: &[Class]) -> Result<Vec<(usize, &Class)>, CompileError> {
    if classes.len() > MAX_CLASSES {
        return Err(CompileError::Classes(classes.len()));
    }
    for (place, class) in classes.iter().enumerate() {
        for prefixes in [&class.dst, &class.src] {
            let long = prefixes.iter().any(|one| one.len > one.addr.bits());
            if long || prefixes.len() > MAX_PREFIXES_EACH {
                return Err(CompileError::Prefixes(place));
            }
        }
        let mut ports = class.dport.iter().chain(&class.sport);
        if ports.any(|range| range.first > range.last) {
            return Err(CompileError::Ports(place));
        }
        let fit = class.matches.iter().all(ByteMatch::is_fit);
        if class.matches.len() > MAX_MATCHES || !fit {
            return Err(CompileError::Matches(place));
        }
    }
    let mut ranked: Vec<(usize, &Class)> = classes.iter().enumerate().collect();
    ranked.sort_by_key(|(place, class)| (Reverse(class.priority), *place));
    Ok(ranked)
}

type Ranked<'c> = [(usize, &'c Class)];

/// A kind of packets, which classes take or not, whatever their headers say.
struct Kind {
    /// Whose headers are looked at, if they are.
    transport: Option<Proto>,
    /// SCTP in UDP to this port.
    encap: Option<u16>,
}

impl Kind {
    fn takes(&self, class: &Class) -> bool {
        match (self.transport, self.encap) {
            (_, Some(port)) => class.udp_encap == Some(port) && class.protocols.take(Proto::Sctp),
            (Some(transport), None) => class.protocols.take(transport),
            (None, None) => class.takes_portless(),
        }
    }
}

fn kinds(ranked: &Ranked<'_>) -> Result<Vec<Kind>, CompileError> {
    let ports: BTreeSet<u16> = ranked
        .iter()
        .filter_map(|(_, class)| class.udp_encap)
        .collect();
    if ports.len() > MAX_ENCAPS {
        return Err(CompileError::Encaps);
    }
    let plain = Proto::ALL.map(Some).into_iter().chain([None]);
    let mut kinds: Vec<Kind> = plain
        .map(|transport| Kind {
            transport,
            encap: None,
        })
        .collect();
    assert_eq!(kinds.len(), KIND_ENCAP as usize);
    kinds.extend(ports.into_iter().map(|port| Kind {
        transport: Some(Proto::Sctp),
        encap: Some(port),
    }));
    Ok(kinds)
}

/// A set of ranks while it is put together.
#[derive(Clone, PartialEq, Eq)]
struct Ranks(Vec<u64>);

impl Ranks {
    fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn of(ranked: &Ranked<'_>, is_in: impl Fn(&Class) -> bool) -> Self {
        let mut ranks = Self::none(ranked.len());
        for (rank, (_, class)) in ranked.iter().enumerate() {
            if is_in(class) {
                ranks.add(rank);
            }
        }
        ranks
    }

    fn add(&mut self, rank: usize) {
        self.0[rank / 64] |= 1 << (rank % 64);
    }

    fn remove(&mut self, rank: usize) {
        self.0[rank / 64] &= !(1 << (rank % 64));
    }

    /// The first of them; 0 if there is none.
    fn first(&self) -> u32 {
        let words = self.0.iter().enumerate();
        let mut firsts = words
            .filter(|(_, word)| **word != 0)
            .map(|(number, word)| number as u32 * 64 + word.trailing_zeros());
        firsts.next().unwrap_or(0)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// Where a direction's prefixes stand; 0 for a family that has none.
struct Direction {
    v4: u32,
    v6: u32,
    others: u32,
}

/// The words while they grow.
struct Words {
    all: Vec<u32>,
    /// Sets that stand already, by their hashes.
    known: BTreeMap<u64, u32>,
}

impl Words {
    fn check(&self) -> Result<u32, CompileError> {
        match self.all.len() {
            // The cast is exact.
            len @ 0..=MAX_WORDS => Ok(len as u32),
            _ => Err(CompileError::Words),
        }
    }

    /// The offset of a set of `count` classes' ranks.
    fn set(&mut self, ranks: &Ranks, count: usize) -> Result<u32, CompileError> {
        match ranks.len() {
            0 => return Ok(NONE),
            len if len == count => return Ok(ALL),
            1 => return Ok(ONE | ranks.first()),
            _ => {}
        }
        // The casts take the two halves.
        let halves = |word: u64| [word as u32, (word >> 32) as u32];
        let (mut words, mut full) = (Vec::new(), Vec::new());
        for piece in ranks.0.chunks(64) {
            let before = full.len() / 2;
            let mut map = 0u64;
            for (number, word) in piece.iter().enumerate().filter(|(_, word)| **word != 0) {
                map |= 1 << number;
                full.extend(halves(*word));
            }
            words.extend(halves(map));
            // The cast is exact: there are fewer words than classes.
            words.push(before as u32);
        }
        words.append(&mut full);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let hash = SipKey::new(&[0; 16]).hash(&bytes);
        if let Some(at) = self.known.get(&hash) {
            if self.all[*at as usize..].starts_with(&words) {
                return Ok(*at);
            }
        }
        let at = self.check()?;
        self.all.extend(words);
        self.known.insert(hash, at);
        self.check()?;
        Ok(at)
    }

    /// The prefixes of a direction.
    fn prefixes(
        &mut self,
        ranked: &Ranked<'_>,
        of: impl Fn(&Class) -> &Vec<Prefix>,
    ) -> Result<Direction, CompileError> {
        let count = ranked.len();
        let base = Ranks::of(ranked, |class| of(class).is_empty());
        let others = self.set(&base, count)?;
        let mut all: Vec<(Prefix, usize)> = Vec::new();
        for (rank, (_, class)) in ranked.iter().enumerate() {
            all.extend(of(class).iter().map(|one| {
                let addr = one.addr.masked(one.len);
                (Prefix { addr, ..*one }, rank)
            }));
        }
        // By address, then shorter ones first: what contains a prefix stands before it.
        all.sort_unstable();
        let groups = || all.chunk_by(|(a, _), (b, _)| a == b);
        if groups().count() > MAX_PREFIXES {
            return Err(CompileError::AllPrefixes);
        }
        // The prefixes that contain the one looked at, each with its set.
        let mut open: Vec<(Prefix, Ranks, u32)> = Vec::new();
        let mut both = Both::new(others);
        let set_of = |open: &[(Prefix, Ranks, u32)]| open.last().map_or(others, |(.., set)| *set);
        for group in groups() {
            let (prefix, _) = group[0];
            while let Some((outer, ..)) = open.last() {
                let outer = *outer;
                if outer.contains(prefix.addr) {
                    break;
                }
                open.pop();
                both.end(outer, set_of(&open));
            }
            let outer = open.last().map_or(&base, |(_, ranks, _)| ranks);
            let mut ranks = outer.clone();
            for (_, rank) in group {
                ranks.add(*rank);
            }
            let set = self.set(&ranks, count)?;
            both.begin(prefix, set);
            open.push((prefix, ranks, set));
        }
        while let Some((prefix, ..)) = open.pop() {
            both.end(prefix, set_of(&open));
        }
        Ok(Direction {
            v4: self.prefixes_v4(&both.v4, others)?,
            v6: self.prefixes_v6(&both.v6, others)?,
            others,
        })
    }

    /// Pages of sets by the first two bytes; 0 if all addresses have the set of those that no prefix has.
    fn prefixes_v4(&mut self, intervals: &Intervals, others: u32) -> Result<u32, CompileError> {
        if intervals.all_have(others) {
            return Ok(0);
        }
        let blocks = intervals.by_high(16, |within| {
            // The casts are exact: the numbers have 16 bits.
            self.list(within.iter().map(|(first, set)| [*first as u32, *set]))
        })?;
        let mut sets = Vec::with_capacity(PAGE * PAGE);
        let mut set = others;
        for (block, of_block) in blocks {
            // The cast is exact: likewise.
            sets.resize(block as usize, set);
            set = of_block;
        }
        sets.resize(PAGE * PAGE, set);
        self.pages(&sets)
    }

    /// A list by the first eight bytes; 0 likewise.
    fn prefixes_v6(&mut self, intervals: &Intervals, others: u32) -> Result<u32, CompileError> {
        if intervals.all_have(others) {
            return Ok(0);
        }
        // The casts take the two halves.
        let entry = |(first, set): &(u64, u32)| [(*first >> 32) as u32, *first as u32, *set];
        let blocks = intervals.by_high(64, |within| self.list(within.iter().map(entry)))?;
        self.list(blocks.iter().map(entry))
    }

    /// A list of numbers, each with its set.
    fn list<const N: usize>(
        &mut self,
        entries: impl ExactSizeIterator<Item = [u32; N]>,
    ) -> Result<u32, CompileError> {
        let at = self.check()?;
        // The cast is exact: there are at most two for a prefix, and one.
        self.all.push(entries.len() as u32);
        self.all.extend(entries.flatten());
        self.check()?;
        Ok(at)
    }

    fn kind(&mut self, ranked: &Ranked<'_>, kind: &Kind) -> Result<[u32; KIND], CompileError> {
        let count = ranked.len();
        let members = Ranks::of(ranked, |class| kind.takes(class));
        let set = self.set(&members, count)?;
        let (mut dports, mut sports) = (0, 0);
        let (mut fields, mut num_fields) = (0, 0);
        if let Some(transport) = kind.transport.filter(|_| set != NONE) {
            let members: Vec<Option<&Class>> = ranked
                .iter()
                .map(|(_, class)| Some(*class).filter(|class| kind.takes(class)))
                .collect();
            dports = self.ports(&members, |class| &class.dport)?;
            sports = self.ports(&members, |class| &class.sport)?;
            (fields, num_fields) = self.fields(&members, transport)?;
        }
        Ok([
            u32::from(kind.encap.unwrap_or(0)),
            set,
            dports,
            sports,
            fields,
            num_fields,
        ])
    }

    /// The ports of a direction; 0 if no member names any.
    fn ports(
        &mut self,
        members: &[Option<&Class>],
        of: impl Fn(&Class) -> &Vec<Ports>,
    ) -> Result<u32, CompileError> {
        let mut ranks = Ranks::none(members.len());
        let mut changes: BTreeMap<u32, Vec<(usize, bool)>> = BTreeMap::new();
        for (rank, class) in members.iter().enumerate() {
            let Some(class) = class else { continue };
            if of(class).is_empty() {
                ranks.add(rank);
                continue;
            }
            for (first, last) in merged(of(class)) {
                changes.entry(first).or_default().push((rank, true));
                changes.entry(last + 1).or_default().push((rank, false));
            }
        }
        if changes.is_empty() {
            return Ok(0);
        }
        let mut sets = Vec::with_capacity(PAGE * PAGE);
        let mut set = self.set(&ranks, members.len())?;
        for (port, of_port) in changes {
            sets.resize((port as usize).min(PAGE * PAGE), set);
            for (rank, begins) in of_port {
                match begins {
                    true => ranks.add(rank),
                    false => ranks.remove(rank),
                }
            }
            set = self.set(&ranks, members.len())?;
        }
        sets.resize(PAGE * PAGE, set);
        self.pages(&sets)
    }

    /// Sets by two bytes: where their pages' offsets stand.
    fn pages(&mut self, sets: &[u32]) -> Result<u32, CompileError> {
        let mut known: BTreeMap<&[u32], u32> = BTreeMap::new();
        let mut pages = Vec::with_capacity(PAGE);
        for page in sets.chunks(PAGE) {
            let at = match known.get(page) {
                Some(at) => *at,
                None => {
                    let at = self.check()?;
                    self.all.extend(page);
                    known.insert(page, at);
                    at
                }
            };
            pages.push(at);
        }
        let at = self.check()?;
        self.all.extend(pages);
        Ok(at)
    }

    /// The fields that the members' matches look at: where they stand, and how many there are.
    fn fields(
        &mut self,
        members: &[Option<&Class>],
        transport: Proto,
    ) -> Result<(u32, u32), CompileError> {
        type Values = BTreeMap<u32, Ranks>;
        let mut fields: BTreeMap<(u8, u8, u32), (Ranks, Values)> = BTreeMap::new();
        let none = Ranks::none(members.len());
        let of = |class: &Class| {
            let of_transport = |one: &&ByteMatch| one.transport == transport;
            let matches: Vec<ByteMatch> =
                class.matches.iter().filter(of_transport).copied().collect();
            matches
        };
        let ranked = || members.iter().enumerate();
        for (rank, class) in ranked().filter_map(|(rank, class)| Some((rank, (*class)?))) {
            for one in of(class) {
                let key = (one.offset, one.len, one.mask);
                let (asking, values) = fields
                    .entry(key)
                    .or_insert_with(|| (none.clone(), Values::new()));
                asking.add(rank);
                let ranks = values.entry(one.value).or_insert_with(|| none.clone());
                ranks.add(rank);
            }
        }
        if fields.len() > MAX_FIELDS {
            return Err(CompileError::Fields(transport));
        }
        let mut records: Vec<[u32; FIELD]> = Vec::new();
        for ((offset, len, mask), (asking, values)) in fields {
            let mut others = none.clone();
            for (rank, class) in ranked() {
                let asks = asking.0[rank / 64] >> (rank % 64) & 1 == 1;
                if class.is_some() && !asks {
                    others.add(rank);
                }
            }
            let mut found = Vec::new();
            for (value, ranks) in values {
                let mut set = others.clone();
                for (rank, class) in ranked() {
                    // A class may ask for two values, which no packet has.
                    let wants = |one: &ByteMatch| {
                        (one.offset, one.len, one.mask) != (offset, len, mask) || one.value == value
                    };
                    let is_in = ranks.0[rank / 64] >> (rank % 64) & 1 == 1;
                    if is_in && class.is_some_and(|class| of(class).iter().all(wants)) {
                        set.add(rank);
                    }
                }
                found.push([value, self.set(&set, members.len())?]);
            }
            let others = self.set(&others, members.len())?;
            let at = self.check()?;
            // The cast is exact: each value is of a class.
            let count = found.len() as u32;
            self.all.extend(found.iter().flatten());
            let place = u32::from(offset) << 8 | u32::from(len);
            records.push([place, mask, at, count, others]);
        }
        let at = self.check()?;
        self.all.extend(records.iter().flatten());
        // The cast is exact: there are at most MAX_FIELDS.
        Ok((at, records.len() as u32))
    }
}

/// Ranges that neither overlap nor touch, ascending.
fn merged(ports: &[Ports]) -> Vec<(u32, u32)> {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for range in sorted {
        let (first, last) = (u32::from(range.first), u32::from(range.last));
        match merged.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}
