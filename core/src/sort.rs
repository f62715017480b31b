// SPDX-License-Identifier: GPL-2.0

//! Sorting in place, and a queue of the smallest.
//!
//! The standard library's sorts panic when a comparison contradicts itself, which may not be in a kernel
//! module even if it cannot happen.

/// Sorts by heap sort, ascending; not stable.
pub(crate) fn sort<T: Copy>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let len = items.len();
    for root in (0..len / 2).rev() {
        sift(items, root, len, &less);
    }
    for end in (1..len).rev() {
        swap(items, 0, end);
        sift(items, 0, end, &less);
    }
}

fn swap<T: Copy>(items: &mut [T], a: usize, b: usize) {
    if let (Some(&of_a), Some(&of_b)) = (items.get(a), items.get(b)) {
        set(items, a, of_b);
        set(items, b, of_a);
    }
}

fn set<T>(items: &mut [T], at: usize, item: T) {
    if let Some(place) = items.get_mut(at) {
        *place = item;
    }
}

/// Moves the item at `root` down until no child of it, before `end`, is greater.
fn sift<T: Copy>(items: &mut [T], root: usize, end: usize, less: &impl Fn(&T, &T) -> bool) {
    let Some(&item) = items.get(root) else { return };
    let mut root = root;
    loop {
        let left = root.wrapping_mul(2).wrapping_add(1);
        let right = left.wrapping_add(1);
        let Some(&of_left) = items.get(left).filter(|_| left < end) else {
            break;
        };
        let (child, of_child) = match items.get(right) {
            Some(&of_right) if right < end && less(&of_left, &of_right) => (right, of_right),
            _ => (left, of_left),
        };
        if !less(&item, &of_child) {
            break;
        }
        set(items, root, of_child);
        root = child;
    }
    set(items, root, item);
}

/// A queue from which the smallest number comes first, in memory of the caller's.
pub(crate) struct Queue<'a> {
    items: &'a mut [u32],
    len: usize,
}

impl<'a> Queue<'a> {
    /// An empty queue with room for as many numbers as `items` has.
    pub(crate) fn new(items: &'a mut [u32]) -> Self {
        Self { items, len: 0 }
    }

    /// The smallest number.
    pub(crate) fn first(&self) -> Option<u32> {
        self.items.first().copied().filter(|_| self.len > 0)
    }

    /// Adds a number; without room for it, nothing happens.
    pub(crate) fn push(&mut self, item: u32) {
        let mut at = self.len;
        if at >= self.items.len() {
            return;
        }
        set(self.items, at, item);
        self.len = at.wrapping_add(1);
        while let Some(up) = at.checked_sub(1).map(|below| below / 2) {
            match (self.items.get(up), self.items.get(at)) {
                (Some(parent), Some(child)) if child < parent => swap(self.items, up, at),
                _ => break,
            }
            at = up;
        }
    }

    /// Removes the smallest number.
    pub(crate) fn pop(&mut self) {
        let Some(last) = self.len.checked_sub(1) else {
            return;
        };
        swap(self.items, 0, last);
        self.len = last;
        // The queue's smallest is the "greatest" of the heap that `sift` keeps.
        sift(self.items, 0, last, &|a: &u32, b: &u32| b < a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn numbers(len: u32) -> Vec<u32> {
        (0..len)
            .map(|i| i.wrapping_mul(2_654_435_761) % 97)
            .collect()
    }

    #[test]
    fn sorts_every_small_length() {
        for len in 0..70 {
            let mut items = numbers(len);
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items, |a, b| a < b);
            assert_eq!(items, expected);
        }
    }

    #[test]
    fn queue_gives_the_smallest_first() {
        let items = numbers(60);
        let mut room = [0; 60];
        let mut queue = Queue::new(&mut room);
        for &item in &items {
            queue.push(item);
        }
        let mut expected = items;
        expected.sort_unstable();
        for item in expected {
            assert_eq!(queue.first(), Some(item));
            queue.pop();
        }
        assert_eq!(queue.first(), None);
        queue.pop();
    }
}
