// SPDX-License-Identifier: GPL-2.0

//! Who may have sent a packet. Rules draw borders between addresses; all on one side of each border fare alike, so
//! one of them is followed for all.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// A condition on the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    of: Of,
    not: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    /// First and last.
    Range(u128, u128),
    /// A set by this name; what is in it is not looked up.
    Set(String),
}

/// A sender: an address, and the sets that it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    addr: u128,
    sets: &'a [&'a str],
    /// No rule picks it: it may be anybody.
    pub(super) stranger: bool,
}

/// Ranges that are wider than a part in so many of all addresses name nobody.
const WIDE: u128 = 16;
/// More sets than these are not told apart.
const MOST_SETS: usize = 4;

impl Source {
    /// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1`, `10.0.0.1-10.0.0.9`, and the same with IPv6.
    pub(super) fn prefix(text: &str, not: bool) -> Option<Self> {
        let number = |text: &str| -> Option<(u128, u32)> {
            Some(match text.parse().ok()? {
                IpAddr::V4(addr) => (u128::from(addr.to_bits()), 32),
                IpAddr::V6(addr) => (addr.to_bits(), 128),
            })
        };
        let (first, last) = if let Some((first, last)) = text.split_once('-') {
            (number(first)?.0, number(last)?.0)
        } else {
            let (addr, len) = text.split_once('/').unwrap_or((text, ""));
            let (addr, bits) = number(addr)?;
            let len = match len.parse::<Ipv4Addr>() {
                // Nobody's mask has holes.
                Ok(mask) if mask.to_bits().leading_ones() == mask.to_bits().count_ones() => {
                    mask.to_bits().leading_ones()
                }
                Ok(_) => return None,
                Err(_) if len.is_empty() => bits,
                Err(_) => len.parse().ok()?,
            };
            let host = bits.checked_sub(len)?;
            let mask = 1_u128.checked_shl(host).map_or(u128::MAX, |one| one - 1);
            (addr & !mask, addr | mask)
        };
        Some(Self {
            of: Of::Range(first, last),
            not,
        })
    }

    pub(super) fn set(name: &str, not: bool) -> Self {
        Self {
            of: Of::Set(name.to_owned()),
            not,
        }
    }

    pub(super) fn is_of(&self, who: Who<'_>) -> bool {
        let is = match &self.of {
            Of::Range(first, last) => (*first..=*last).contains(&who.addr),
            Of::Set(name) => who.sets.contains(&&**name),
        };
        is != self.not
    }
}

/// What the rules tell apart.
pub(super) struct Borders<'a> {
    /// Ranges that name somebody.
    ranges: Vec<(u128, u128)>,
    /// The first address behind each border.
    starts: BTreeSet<u128>,
    /// Each choice of the sets.
    sets: Vec<Vec<&'a str>>,
}

impl<'a> Borders<'a> {
    pub(super) fn of(sources: impl Iterator<Item = &'a Source>, v6: bool) -> Self {
        let most = if v6 { u128::MAX } else { u32::MAX.into() };
        let mut ranges = Vec::new();
        let mut starts = BTreeSet::from([0]);
        let mut names = BTreeSet::new();
        for source in sources {
            match &source.of {
                Of::Range(first, last) => {
                    starts.insert(*first);
                    starts.extend(last.checked_add(1).filter(|next| *next <= most));
                    if last.saturating_sub(*first) < most / WIDE {
                        ranges.push((*first, *last));
                    }
                }
                Of::Set(name) => {
                    names.insert(&**name);
                }
            }
        }
        let mut sets: Vec<Vec<&str>> = vec![Vec::new()];
        for name in names.into_iter().take(MOST_SETS) {
            let mut with = sets.clone();
            with.iter_mut().for_each(|set| set.push(name));
            sets.extend(with);
        }
        ranges.sort_unstable();
        ranges.dedup();
        Self {
            ranges,
            starts,
            sets,
        }
    }

    /// Somebody of each side of each border.
    pub(super) fn everybody(&'a self) -> impl Iterator<Item = Who<'a>> {
        self.starts.iter().flat_map(move |addr| {
            let named = self
                .ranges
                .iter()
                .any(|(first, last)| (first..=last).contains(&addr));
            self.sets.iter().map(move |sets| Who {
                addr: *addr,
                sets,
                stranger: !named && sets.is_empty(),
            })
        })
    }
}
