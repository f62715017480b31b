// SPDX-License-Identifier: GPL-2.0

//! The ports of one prefix and protocol: from ranges that may overlap to intervals that do not.

use super::arena::{Arena, BuildError, Entry};
use super::layout::{FEW, INTERVAL, MANY, MAP, NONE, PAGE, TOP};
use crate::sort::{sort, Queue};

/// Words that the ports of one bind can cost. `r` ranges make at most 2r + 1 stretches of ports with one
/// answer each, and in the worst case each of them begins a page of its own. Pages are made for more than
/// [`FEW`] intervals only, which takes five ranges, so that the fixed part is shared by five.
pub(super) const WORDS_PER_BIND: usize = 2 * (PAGE + 1) + (PAGE + 1 + TOP + 2).div_ceil(5);
const _: () = assert!(2 * 5 > FEW && 2 * 4 <= FEW && WORDS_PER_BIND >= 2 * INTERVAL);

/// Room to work in, for all binds at once in the worst case.
pub(super) struct Scratch<'a> {
    /// Binds that are open at the port looked at.
    open: &'a mut [u32],
    /// Binds by their first port.
    by_start: &'a mut [u32],
    /// Ports where a range begins, or ended just before.
    edges: &'a mut [u32],
    /// Intervals found.
    intervals: &'a mut [Interval],
}

/// Ports with one answer, as two words: (first << 16 | last), bind.
type Interval = u32;

impl<'a> Scratch<'a> {
    /// Words needed for this many binds.
    pub(super) fn words(binds: usize) -> usize {
        // 1 + 1 + 2 for the first three; 2n + 1 intervals of 2 words for the last.
        binds.saturating_mul(8).saturating_add(INTERVAL)
    }

    pub(super) fn new(words: &'a mut [u32], binds: usize) -> Option<Self> {
        let (open, rest) = words.split_at_mut_checked(binds)?;
        let (by_start, rest) = rest.split_at_mut_checked(binds)?;
        let (edges, intervals) = rest.split_at_mut_checked(binds.checked_mul(2)?)?;
        Some(Self {
            open,
            by_start,
            edges,
            intervals,
        })
    }
}

/// Adds the ports of these binds, which stand in the order of preference; returns offset and count for
/// the node.
pub(super) fn add(
    arena: &mut Arena<'_>,
    scratch: &mut Scratch<'_>,
    binds: &[Entry],
) -> Result<(u32, u32), BuildError> {
    let count = flatten(scratch, binds).ok_or(BuildError::Space)?;
    let words = count.wrapping_mul(INTERVAL);
    let intervals = scratch.intervals.get(..words).ok_or(BuildError::Space)?;
    if count > FEW {
        return Ok((add_pages(arena, intervals)?, MANY));
    }
    let at = arena.take(words)?;
    let mut place = at;
    for &word in intervals {
        arena.set(place, [word])?;
        place = place.wrapping_add(1);
    }
    // The cast is exact: there are few.
    Ok((at, count as u32))
}

/// Goes over the ports from low to high; at each edge the most preferred open bind is the answer up to the
/// next edge. Returns the number of intervals left in the scratch.
fn flatten(scratch: &mut Scratch<'_>, binds: &[Entry]) -> Option<usize> {
    let start = |index: u32| Some(u32::from(binds.get(index as usize)?.bind.port_start));
    let end = |index: u32| Some(u32::from(binds.get(index as usize)?.bind.port_end));
    let by_start = scratch.by_start.get_mut(..binds.len())?;
    let edges = scratch.edges.get_mut(..binds.len().wrapping_mul(2))?;
    let mut index = 0u32;
    let mut pairs: &mut [u32] = &mut *edges;
    for place in by_start.iter_mut() {
        let (pair, behind) = pairs.split_first_chunk_mut::<2>()?;
        *pair = [start(index)?, end(index)?.wrapping_add(1)];
        *place = index;
        pairs = behind;
        index = index.wrapping_add(1);
    }
    sort(by_start, |a, b| start(*a) < start(*b));
    sort(edges, |a, b| a < b);

    let mut open = Queue::new(scratch.open);
    let mut to_open = by_start.iter().copied().peekable();
    let mut edges = edges.iter().copied().peekable();
    let mut out = scratch.intervals.iter_mut();
    let mut count = 0usize;
    let mut last: Option<(&mut u32, u32)> = None;
    while let Some(edge) = edges.next() {
        let Some(next) = edges.peek().copied() else {
            break;
        };
        if next == edge {
            continue;
        }
        while let Some(index) = to_open.next_if(|index| start(*index).is_some_and(|s| s <= edge)) {
            open.push(index);
        }
        while open
            .first()
            .is_some_and(|index| end(index).is_none_or(|e| e < edge))
        {
            open.pop();
        }
        let Some(bind) = open.first() else {
            last = None;
            continue;
        };
        let end = next.wrapping_sub(1);
        match &mut last {
            Some((ends, of)) if *of == bind => **ends = (**ends & 0xffff_0000) | end,
            _ => {
                let (ends, id) = (out.next()?, out.next()?);
                *ends = edge << 16 | end;
                *id = binds.get(bind as usize)?.id.to_word();
                last = Some((ends, bind));
                count = count.wrapping_add(1);
            }
        }
    }
    Some(count)
}

/// The ports where the answer changes, from port 0 on, with the answer from there on.
fn changes(intervals: &[Interval]) -> impl Iterator<Item = (u16, u32)> + '_ {
    let mut rest = intervals;
    let mut next = Some(0u16);
    core::iter::from_fn(move || {
        let from = next?;
        let Some((&[ends, bind], behind)) = rest.split_first_chunk::<INTERVAL>() else {
            next = None;
            return Some((from, NONE));
        };
        // The casts take the two halves.
        let (first, last) = ((ends >> 16) as u16, ends as u16);
        if from < first {
            next = Some(first);
            return Some((from, NONE));
        }
        rest = behind;
        next = last.checked_add(1);
        Some((from, bind))
    })
}

/// Adds many intervals in the form that the head of `layout` describes.
fn add_pages(arena: &mut Arena<'_>, intervals: &[Interval]) -> Result<u32, BuildError> {
    let at = arena.take(TOP.wrapping_add(2))?;
    let mut num_changes = 0usize;
    let mut num_pages = 0usize;
    let mut of = None;
    for (port, _) in changes(intervals) {
        num_changes = num_changes.wrapping_add(1);
        if of != Some(port >> 8) {
            of = Some(port >> 8);
            num_pages = num_pages.wrapping_add(1);
        }
    }
    let pages = arena.take(num_pages.wrapping_mul(PAGE))?;
    let binds = arena.take(num_changes)?;

    let mut top = Map::default();
    let mut page = Map::default();
    let mut page_at = pages;
    let mut first_bind = 0u32;
    let mut index = 0u32;
    let mut changes = changes(intervals).peekable();
    while let Some((port, bind)) = changes.next() {
        let [high, low] = port.to_be_bytes();
        page.set(low);
        arena.set(binds.wrapping_add(index), [bind])?;
        index = index.wrapping_add(1);
        if changes
            .peek()
            .is_none_or(|(next, _)| next >> 8 != port >> 8)
        {
            // The page is complete.
            top.set(high);
            arena.set(page_at, page.words())?;
            let tail = page_at.wrapping_add(TOP as u32);
            arena.set(tail, [first_bind, u32::from(high)])?;
            page = Map::default();
            page_at = page_at.wrapping_add(PAGE as u32);
            first_bind = index;
        }
    }
    arena.set(at, top.words())?;
    arena.set(at.wrapping_add(TOP as u32), [pages, binds])?;
    Ok(at)
}

/// A bit map of 256 bits.
#[derive(Default)]
struct Map([u32; MAP]);

impl Map {
    fn set(&mut self, bit: u8) {
        if let Some(word) = self.0.get_mut(usize::from(bit >> 5)) {
            *word |= 1u32.wrapping_shl(u32::from(bit & 31));
        }
    }

    /// The bits, and for each word of them how many are set before it, a byte each: at most 224.
    fn words(&self) -> [u32; TOP] {
        let [a, b, c, d, e, f, g, h] = self.0;
        let mut before = 0u32;
        let mut counts = [0u32; 2];
        for (half, words) in counts.iter_mut().zip([[a, b, c, d], [e, f, g, h]]) {
            for (shift, word) in [0u32, 8, 16, 24].into_iter().zip(words) {
                *half |= before.wrapping_shl(shift);
                before = before.wrapping_add(word.count_ones());
            }
        }
        let [low, high] = counts;
        [a, b, c, d, e, f, g, h, low, high]
    }
}
