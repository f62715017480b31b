// SPDX-License-Identifier: GPL-2.0

//! From a uniform score to a cost by which weighted backends compete.
//!
//! If scores are uniform in [0, 1), then -ln(1 - score) / weight are waiting times, and the backend with
//! the shortest one is each backend with a probability proportional to its weight. The cost grows with the
//! score, so that backends of equal weight stand in the order of version 2.

/// ln 2 in units of 2^-32.
const LN_2: u64 = 2_977_044_472;

/// Natural units of 2^-56: a score of all ones costs 64 ln 2, less than 2^62.
const UNIT_BITS: u32 = 56;

/// -ln(1 - score / 2^64) in units of 2^-56.
///
/// 1 - score is halved as often as the score has leading ones; what is left, x, is below 1/2, and
/// -ln(1 - x) = x (1 + x/2 + x^2/3 + ...). Thirteen terms are right to two parts in 100,000 at the worst
/// place, and too low there, so that the cost never falls where the score grows.
#[inline(always)]
pub(super) fn waiting_time(score: u64) -> u64 {
    let ones = score.leading_ones();
    let rest = score.checked_shl(ones).unwrap_or(0);
    let x = rest >> 32;
    let mut series = 0u64;
    for term in TERMS {
        // Both factors are below 2^32: x below 1/2, the series below 1.4 in units of 2^-31. The mask says so
        // to the compiler, whose vectors multiply 32 bits by 32.
        series = ((series & LOW).wrapping_mul(x) >> 32).wrapping_add(term);
    }
    let tail = (rest >> 33).wrapping_mul(series & LOW) >> (31 + 31 - UNIT_BITS);
    (u64::from(ones).wrapping_mul(LN_2) << (UNIT_BITS - 32)).wrapping_add(tail)
}

const LOW: u64 = u32::MAX as u64;

/// 1/13, 1/12, ... 1/1 in units of 2^-31.
const TERMS: [u64; 13] = {
    let mut terms = [0; 13];
    let mut i = 0;
    while i < 13 {
        terms[i] = (1 << 31) / (13 - i as u64);
        i += 1;
    }
    terms
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_logarithm() {
        for i in 0..4000u64 {
            let score = i.wrapping_mul(0x0010_6789_abcd_ef01);
            let exact = -(1.0 - score as f64 / 2f64.powi(64)).ln();
            let ours = waiting_time(score) as f64 / 2f64.powi(UNIT_BITS as i32);
            assert!(
                (ours - exact).abs() <= exact * 3e-5 + 1e-9,
                "{score:x}: {ours} {exact}"
            );
        }
    }

    #[test]
    fn never_falls() {
        let mut last = 0;
        for i in 0..=u64::from(u16::MAX) {
            for score in [i << 48, i << 48 | 0xffff_ffff_ffff] {
                let time = waiting_time(score);
                assert!(time >= last, "{score:x}");
                last = time;
            }
        }
        assert!(last < 1 << 62);
        assert_eq!(waiting_time(0), 0);
    }
}
