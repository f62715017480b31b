// SPDX-License-Identifier: GPL-2.0

//! How many steps a backend is from a row, without walking there.
//!
//! A backend that stands at row a and goes on by skip s modulo the prime M is (r - a) / s modulo M steps from row r. The
//! division is a multiplication by the inverse of s. Montgomery's reduction (1985) makes the remainder of two
//! multiplications, so that a loop over many rows needs no division and can be a loop over vectors.

/// What is the same for all backends of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    /// M, an odd prime below 2^31.
    size: u32,
    /// -1 / M modulo 2^32.
    minus_inverse: u32,
}

impl Near {
    /// Nothing unless the size is odd and below 2^31.
    pub(super) fn new(size: u32) -> Option<Self> {
        if size & 1 == 0 || size > u32::MAX >> 1 {
            return None;
        }
        // Newton's iteration: each step doubles the number of low bits that are right, 3 at the start.
        let mut inverse = size;
        for _ in 0..4 {
            let error = 2u32.wrapping_sub(size.wrapping_mul(inverse));
            inverse = inverse.wrapping_mul(error);
        }
        Some(Self {
            size,
            minus_inverse: inverse.wrapping_neg(),
        })
    }

    /// Steps from row `at` to row `row`, both below the size, with the backend's factor (see [`factors`]).
    #[inline(always)]
    pub(super) fn steps(&self, row: u32, at: u32, factor: u32) -> u32 {
        let ahead = row.wrapping_sub(at);
        let distance = if row < at {
            ahead.wrapping_add(self.size)
        } else {
            ahead
        };
        let product = u64::from(distance).wrapping_mul(u64::from(factor));
        // The casts keep the low half, and drop it, which is 0.
        let multiple = (product as u32).wrapping_mul(self.minus_inverse);
        let sum = product.wrapping_add(u64::from(multiple).wrapping_mul(u64::from(self.size)));
        let steps = (sum >> 32) as u32;
        if steps >= self.size {
            steps.wrapping_sub(self.size)
        } else {
            steps
        }
    }
}

/// The factors of skips, for [`Near::steps`]: 2^32 / skip modulo the prime `size`. `skips` gives each place's skip and its
/// factor, which is written. One inverse is computed for all (Montgomery's trick): the inverse of a product times all of
/// its factors but one is the inverse of that one.
pub(super) fn factors<T>(
    size: u32,
    places: &mut [T],
    skip: impl Fn(&T) -> u32,
    factor: impl Fn(&mut T) -> &mut u32,
) {
    let mut product = 1;
    for place in places.iter_mut() {
        *factor(place) = product;
        product = times(product, skip(place), size);
    }
    // 2^32 modulo the size goes into all of them with the one inverse.
    let radix = remainder(1 << 32, size);
    // Fermat: the power M - 2 is the inverse.
    let mut inverse = times(power(product, size.wrapping_sub(2), size), radix, size);
    for place in places.iter_mut().rev() {
        let before = *factor(place);
        *factor(place) = times(inverse, before, size);
        inverse = times(inverse, skip(place), size);
    }
}

/// `base` to the `exponent` modulo `size`.
fn power(base: u32, exponent: u32, size: u32) -> u32 {
    let (mut result, mut square, mut left) = (1, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            result = times(result, square, size);
        }
        square = times(square, square, size);
        left >>= 1;
    }
    result
}

fn times(a: u32, b: u32, size: u32) -> u32 {
    remainder(u64::from(a).wrapping_mul(u64::from(b)), size)
}

fn remainder(number: u64, size: u32) -> u32 {
    // The cast is exact: a remainder is below the size.
    number.checked_rem(u64::from(size)).unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Walks.
    fn walked(size: u32, row: u32, at: u32, skip: u32) -> u32 {
        let mut place = u64::from(at);
        (0..size)
            .find(|_| {
                let there = place == u64::from(row);
                place = (place + u64::from(skip)) % u64::from(size);
                there
            })
            .expect("every skip visits every row")
    }

    fn near(size: u32, skips: &[u32]) -> (Near, Vec<(u32, u32)>) {
        let mut places: Vec<(u32, u32)> = skips.iter().map(|skip| (*skip, 0)).collect();
        factors(size, &mut places, |place| place.0, |place| &mut place.1);
        (Near::new(size).unwrap(), places)
    }

    #[test]
    fn steps_are_those_of_a_walk_everywhere() {
        for size in [3, 5, 7, 11, 31] {
            let skips: Vec<u32> = (1..size).collect();
            let (near, places) = near(size, &skips);
            for (skip, factor) in places {
                for (row, at) in (0..size).flat_map(|row| (0..size).map(move |at| (row, at))) {
                    let steps = near.steps(row, at, factor);
                    assert_eq!(
                        steps,
                        walked(size, row, at, skip),
                        "{size} {row} {at} {skip}"
                    );
                }
            }
        }
    }

    #[test]
    fn steps_are_those_of_a_walk_in_the_largest_table() {
        for size in [65_537, super::super::size::MAX_SIZE] {
            let skips = [1, 2, size - 1, size / 2, 12_345];
            let (near, places) = near(size, &skips);
            for (skip, factor) in places {
                for (row, at) in [(0, 0), (0, size - 1), (size - 1, 0), (777, 1), (1, 777)] {
                    let steps = near.steps(row, at, factor);
                    assert_eq!(
                        steps,
                        walked(size, row, at, skip),
                        "{size} {row} {at} {skip}"
                    );
                }
            }
        }
    }

    #[test]
    fn even_sizes_have_no_inverse() {
        assert!(Near::new(0).is_none());
        assert!(Near::new(1024).is_none());
        assert!(Near::new(u32::MAX).is_none());
    }
}
