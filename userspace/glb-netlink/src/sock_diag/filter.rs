// SPDX-License-Identifier: GPL-2.0

//! Which sockets the kernel leaves out of a list: the byte code of `include/uapi/linux/inet_diag.h`.
//!
//! An operation is four bytes: code, where to go on if it holds, where if not, both in bytes from here. Of a comparison with a
//! port, the port is in the operation behind it. A socket is listed if the end is reached exactly.

/// `INET_DIAG_BC_JMP`, which never holds; the local port is at least, at most.
const JUMP: u8 = 1;
const AT_LEAST: u8 = 2;
const AT_MOST: u8 = 3;
const OPERATION: usize = 4;
/// Two comparisons, and the jump to the end.
const RANGE: usize = 5 * OPERATION;
/// Ranges in a filter. Every socket is compared with them one by one.
const MOST: usize = 64;

/// The same ports in as few ranges as there can be, ascending; more ports where there would be too many ranges.
pub(super) fn merged(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.retain(|(start, end)| start <= end);
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::new();
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    if merged.len() > MOST {
        // The widest gaps stay.
        let mut gaps: Vec<(u16, usize)> = merged
            .windows(2)
            .enumerate()
            .map(|(at, pair)| (pair[1].0 - pair[0].1, at))
            .collect();
        gaps.sort_unstable_by(|one, other| other.cmp(one));
        gaps.truncate(MOST - 1);
        let mut ends: Vec<usize> = gaps.into_iter().map(|(_, at)| at).collect();
        ends.sort_unstable();
        ends.push(merged.len() - 1);
        let mut start = 0;
        merged = ends
            .into_iter()
            .map(|end| {
                let range = (merged[start].0, merged[end].1);
                start = end + 1;
                range
            })
            .collect();
    }
    merged
}

/// The filter that keeps sockets whose local port is in one of these ranges; nothing keeps none of them.
pub(super) fn local_ports(ranges: &[(u16, u16)]) -> Vec<u8> {
    let mut code = Vec::new();
    let mut put = |operation: u8, yes: usize, no: usize| {
        // The casts are exact: a filter has at most MOST ranges, each of RANGE bytes.
        let no = (no as u16).to_ne_bytes();
        code.extend([operation, yes as u8, no[0], no[1]]);
    };
    for (index, (start, end)) in ranges.iter().enumerate() {
        let left = (ranges.len() - index - 1) * RANGE;
        // Where all ranges have been tried, it goes on behind the end: such a socket is left out.
        let next = |from: usize| if left == 0 { from + OPERATION } else { from };
        put(AT_LEAST, 2 * OPERATION, next(RANGE));
        put(0, 0, usize::from(*start));
        put(AT_MOST, 2 * OPERATION, next(RANGE - 2 * OPERATION));
        put(0, 0, usize::from(*end));
        put(JUMP, OPERATION, left + OPERATION);
    }
    if ranges.is_empty() {
        // Behind the end.
        put(JUMP, OPERATION, 2 * OPERATION);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel does with it for a socket with this local port; an error for what it refuses (`inet_diag_bc_audit` and
    /// `inet_diag_bc_run` of net/ipv4/inet_diag.c, written anew).
    fn listed(code: &[u8], port: u16) -> Result<bool, &'static str> {
        let field = |at: usize| u16::from_ne_bytes([code[at + 2], code[at + 3]]);
        // Places that operations begin at, in a row.
        let mut places = Vec::new();
        let mut at = 0;
        while at < code.len() {
            places.push(at);
            at += usize::from(code[at + 1]);
            if code[places[places.len() - 1] + 1] == 0 {
                return Err("no step");
            }
        }
        if at != code.len() {
            return Err("the end is missed");
        }
        for &at in &places {
            let to = at + usize::from(field(at));
            if to > code.len() + 4 || to % 4 != 0 || to <= at {
                return Err("a jump out of it");
            }
            if to < code.len() && !places.contains(&to) {
                return Err("a jump into an operation");
            }
        }
        let mut at = 0;
        while at < code.len() {
            let holds = match code[at] {
                JUMP => false,
                AT_LEAST => port >= field(at + 4),
                AT_MOST => port <= field(at + 4),
                _ => return Err("unknown"),
            };
            at += if holds {
                usize::from(code[at + 1])
            } else {
                usize::from(field(at))
            };
        }
        Ok(at == code.len())
    }

    proptest! {
        #[test]
        fn what_is_wanted_is_listed(ranges in prop::collection::vec((any::<u16>(), 0u16..300), 0..200), port: u16) {
            let ranges: Vec<(u16, u16)> = ranges.into_iter().map(|(start, more)| (start, start.saturating_add(more))).collect();
            let merged = merged(ranges.clone());
            prop_assert!(merged.len() <= MOST);
            prop_assert!(merged.windows(2).all(|pair| pair[0].1 < pair[1].0));
            let filter = local_ports(&merged);
            let ports = ranges.iter().flat_map(|(start, end)| [*start, *end]).chain([port]);
            for port in ports {
                let inside = |ranges: &[(u16, u16)]| ranges.iter().any(|(start, end)| (*start..=*end).contains(&port));
                let got = listed(&filter, port);
                prop_assert_eq!(got, Ok(inside(&merged)), "{}", port);
                prop_assert!(inside(&merged) || !inside(&ranges));
                // Nothing is listed for nothing where there are few ranges.
                if ranges.len() <= MOST {
                    prop_assert_eq!(got, Ok(inside(&ranges)));
                }
            }
        }
    }

    #[test]
    fn ranges_that_touch_are_one() {
        assert_eq!(
            merged(vec![(443, 443), (80, 80), (81, 90), (85, 88)]),
            [(80, 90), (443, 443)]
        );
        assert_eq!(merged(vec![(0, 65535), (65535, 65535)]), [(0, 65535)]);
        assert_eq!(merged(vec![(2, 1)]), []);
    }
}
