// SPDX-License-Identifier: GPL-2.0

//! The order of a row's hops behind the first.

use super::{all_alone, Costed, Member, Set};

/// Puts each row's hops in order: the first hop that was chosen; then one outside its domain, where there
/// is one; then who held the row before filling backends came; then the good before the bad.
///
/// With only two hops the holder from before comes at once: the connections are worth more than the
/// domain. It may be no member of the row any more, and takes the last one's place then.
pub(super) fn arrange(
    members: &[Member],
    filling: bool,
    costed: &mut Costed<'_>,
    first: &[u8],
    before: &[u8],
) {
    let rows = costed.rows.chunks_exact_mut(costed.hops);
    let used = || members.iter().filter(|member| member.is_in(Set::All));
    let tier = used().next().map(Member::tier);
    let alike = used().all(|member| Some(member.tier()) == tier);
    if alike && !filling && all_alone(members, Set::All) {
        // All behind the first are alike and keep their order.
        for (row, &first) in rows.zip(first) {
            bring_to_front(row, |index| index != first);
        }
        return;
    }
    for ((row, &first), &before) in rows.zip(first).zip(before) {
        if !row.contains(&before) {
            // The last member, or the one before if the last is the first hop.
            let place = row.iter_mut().rev().find(|index| **index != first);
            if let Some(place) = place {
                *place = before;
            }
        }
        bring_to_front(row, |index| index != first);
        let Some(rest) = row.get_mut(1..) else {
            continue;
        };
        let domain = |index: u8| members.get(usize::from(index)).map(|member| member.domain);
        let tier = |index: u8| members.get(usize::from(index)).map(Member::tier);
        let is_not_before = |index: u8| first == before || index != before;
        if rest.len() == 1 {
            continue;
        }
        bring_to_front(rest, |index| {
            (
                domain(index) == domain(first),
                tier(index),
                is_not_before(index),
            )
        });
        if let Some(rest) = rest.get_mut(1..) {
            sort_by_key(rest, |index| (is_not_before(index), tier(index)));
        }
    }
}

/// Moves the first of the smallest to the front; the others keep their order.
fn bring_to_front<K: Ord>(row: &mut [u8], key: impl Fn(u8) -> K) {
    let mut smallest: Option<(usize, u8)> = None;
    let mut place = 0usize;
    for &index in row.iter() {
        if smallest.is_none_or(|(_, best)| key(index) < key(best)) {
            smallest = Some((place, index));
        }
        place = place.wrapping_add(1);
    }
    let Some((place, smallest)) = smallest else {
        return;
    };
    let mut moved = smallest;
    for index in row.iter_mut().take(place.wrapping_add(1)) {
        core::mem::swap(index, &mut moved);
    }
}

/// Sorts a few, stably.
fn sort_by_key<K: Ord>(row: &mut [u8], key: impl Fn(u8) -> K) {
    let mut rest = row;
    while !rest.is_empty() {
        bring_to_front(rest, &key);
        rest = rest.get_mut(1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brings_the_first_of_the_smallest() {
        let mut row = [5, 3, 9, 3, 1];
        bring_to_front(&mut row, |index| index / 2 == 4);
        assert_eq!(row, [5, 3, 9, 3, 1]);
        bring_to_front(&mut row, |index| index);
        assert_eq!(row, [1, 5, 3, 9, 3]);
        sort_by_key(&mut row, |index| index & 1);
        assert_eq!(row, [1, 5, 3, 9, 3]);
        sort_by_key(&mut row, |index| 10 - index);
        assert_eq!(row, [9, 5, 3, 3, 1]);
    }
}
