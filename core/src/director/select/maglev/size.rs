// SPDX-License-Identifier: GPL-2.0

//! How many rows a table has.

/// Rows for each unit of weight, unless the file says how many there are: a backend's share is then exact to 1 %.
pub const ROWS_PER_WEIGHT: u32 = 100;
/// Fewest rows of a table whose file does not say how many: less than 1 % of them move without need, for up to 256 backends
/// (docs/maglev.md).
pub const LEAST_DEFAULT: u32 = 65_537;
/// Most rows of a table.
pub const MAX_SIZE: u32 = 655_373;

/// Why a table cannot have as many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeError {
    /// It is no prime: not every skip would visit every row. The next larger size that is possible.
    NotPrime(u32),
    /// It is no power of two, as VPP's tables need one. The next larger size that is possible, or the largest.
    NotPowerOfTwo(u32),
    /// There are more backends than rows. The least size that is possible.
    TooSmall(u32),
    /// It is above [`MAX_SIZE`].
    TooLarge,
}

/// The size of a table whose file does not say any, by the sum of the reduced weights.
#[must_use]
pub fn default_size(sum_of_weights: u32) -> u32 {
    let wanted = sum_of_weights.saturating_mul(ROWS_PER_WEIGHT);
    prime_from(wanted.max(LEAST_DEFAULT))
}

/// Whether a table of so many backends may have this size.
pub fn check(size: u32, backends: usize) -> Result<(), SizeError> {
    let least = u32::try_from(backends).unwrap_or(u32::MAX).max(2);
    if size > MAX_SIZE {
        return Err(SizeError::TooLarge);
    }
    if size < least {
        return Err(SizeError::TooSmall(prime_from(least)));
    }
    if !is_prime(size) {
        return Err(SizeError::NotPrime(prime_from(size)));
    }
    Ok(())
}

/// The first prime from here on, or [`MAX_SIZE`], which is one, if that is not above it.
pub(super) fn prime_from(least: u32) -> u32 {
    let mut size = least;
    while size < MAX_SIZE {
        if is_prime(size) {
            return size;
        }
        size = size.wrapping_add(1);
    }
    MAX_SIZE
}

/// The last prime up to here; nothing below 2.
#[must_use]
pub(super) fn prime_up_to(most: u32) -> Option<u32> {
    let mut size = most;
    while size >= 2 {
        if is_prime(size) {
            return Some(size);
        }
        size = size.wrapping_sub(1);
    }
    None
}

/// Whether it is a prime, by trial: at most 405 divisions for sizes up to [`MAX_SIZE`].
#[must_use]
pub fn is_prime(number: u32) -> bool {
    if number < 4 {
        return number >= 2;
    }
    if number & 1 == 0 {
        return false;
    }
    let mut divisor = 3u32;
    while divisor.saturating_mul(divisor) <= number {
        if number.checked_rem(divisor) == Some(0) {
            return false;
        }
        divisor = divisor.wrapping_add(2);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The primes by the sieve of Eratosthenes.
    fn primes(most: usize) -> Vec<u32> {
        let mut is = std::vec![true; most + 1];
        is[0] = false;
        is[1] = false;
        for number in 2..=most {
            if is[number] {
                (number * number..=most)
                    .step_by(number)
                    .for_each(|multiple| is[multiple] = false);
            }
        }
        (0..=most as u32).filter(|n| is[*n as usize]).collect()
    }

    #[test]
    fn primes_are_those_of_the_sieve() {
        let sieve = primes(MAX_SIZE as usize);
        let ours: Vec<u32> = (0..=MAX_SIZE).filter(|number| is_prime(*number)).collect();
        assert_eq!(ours, sieve);
        assert!(is_prime(4_294_967_291), "the largest of 32 bits");
        assert!(!is_prime(u32::MAX));
    }

    #[test]
    fn the_default_is_the_first_prime() {
        assert_eq!(default_size(0), 65_537);
        assert_eq!(default_size(655), 65_537);
        assert_eq!(default_size(656), 65_609);
        assert_eq!(default_size(6_553), 655_301);
        assert_eq!(default_size(6_554), MAX_SIZE);
        assert_eq!(default_size(256_000), MAX_SIZE);
        assert_eq!(default_size(u32::MAX), MAX_SIZE);
        let sieve = primes(MAX_SIZE as usize);
        for sum in 656..=6_553 {
            let wanted = sum * 100;
            let first = sieve[sieve.partition_point(|prime| *prime < wanted)];
            assert_eq!(default_size(sum), first, "{sum}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_size_is_said_with_one_that_is_right() {
        assert_eq!(check(65_537, 256), Ok(()));
        assert_eq!(check(MAX_SIZE, 256), Ok(()));
        assert_eq!(check(3, 3), Ok(()));
        assert_eq!(check(65_536, 256), Err(SizeError::NotPrime(65_537)));
        assert_eq!(check(655_372, 1), Err(SizeError::NotPrime(MAX_SIZE)));
        assert_eq!(check(251, 256), Err(SizeError::TooSmall(257)));
        assert_eq!(check(0, 0), Err(SizeError::TooSmall(2)));
        assert_eq!(check(1, 1), Err(SizeError::TooSmall(2)));
        assert_eq!(check(655_374, 1), Err(SizeError::TooLarge));
        assert_eq!(check(u32::MAX, 256), Err(SizeError::TooLarge));
    }

    #[test]
    fn the_last_prime_up_to_a_number() {
        assert_eq!(prime_up_to(1_000), Some(997));
        assert_eq!(prime_up_to(997), Some(997));
        assert_eq!(prime_up_to(2), Some(2));
        assert_eq!(prime_up_to(1), None);
    }
}
