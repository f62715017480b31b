// SPDX-License-Identifier: GPL-2.0

//! SipHash-2-4 with a 128-bit key and a 64-bit result (Aumasson and Bernstein, 2012).
//!
//! GLB hashes packets and table rows with it (github/glb-director, docs/development/glb-hashing.md). A
//! "digest" is the result's 8 bytes in little-endian order: `hash.to_le_bytes()`.
//!
//! The state is public to the crate step by step (`absorb`, `finish`), since building a table hashes the
//! same first word with 256 different second ones, and should pay for the first word once.

/// A key, expanded to the hash's initial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SipKey {
    start: State,
}

/// The four words of the running hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) v0: u64,
    pub(crate) v1: u64,
    pub(crate) v2: u64,
    pub(crate) v3: u64,
}

impl State {
    #[inline(always)]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }

    /// Takes in one word of the message: the "2" of SipHash-2-4.
    #[inline(always)]
    pub(crate) fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    /// Ends the hash: the "4" of SipHash-2-4.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> u64 {
        self.v2 ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    /// Takes in one word of the message, and ends the hash, with half of the rounds and one more: SipHash-1-3.
    #[inline(always)]
    fn absorb_short(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    #[inline(always)]
    fn finish_short(mut self) -> u64 {
        self.v2 ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    /// Ends the hash of 128 bits, as [`Self::finish_short`].
    #[inline(always)]
    fn finish_short_128(mut self) -> [u64; 2] {
        self.v2 ^= 0xee;
        let first = self.half();
        self.v1 ^= 0xdd;
        [first, self.half()]
    }

    /// Half of it.
    #[inline(always)]
    fn half(&mut self) -> u64 {
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }
}

impl SipKey {
    /// Expands a key of 16 bytes.
    #[inline]
    #[must_use]
    pub const fn new(key: &[u8; 16]) -> Self {
        let &[a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = key;
        let k0 = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
        let k1 = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        // The ASCII text "somepseudorandomlygeneratedbytes", as the hash's definition has it.
        Self {
            start: State {
                v0: k0 ^ 0x736f_6d65_7073_6575,
                v1: k1 ^ 0x646f_7261_6e64_6f6d,
                v2: k0 ^ 0x6c79_6765_6e65_7261,
                v3: k1 ^ 0x7465_6462_7974_6573,
            },
        }
    }

    /// The state before the first word.
    #[inline(always)]
    #[cfg(feature = "tables")]
    pub(crate) fn start(&self) -> State {
        self.start
    }

    /// The hash of a message of any length.
    #[inline]
    #[must_use]
    pub fn hash(&self, message: &[u8]) -> u64 {
        let mut state = self.start;
        let mut rest = message;
        while let Some((word, behind)) = rest.split_first_chunk::<8>() {
            state.absorb(u64::from_le_bytes(*word));
            rest = behind;
        }
        state.absorb(last_word(message.len(), rest));
        state.finish()
    }

    /// The hash of a message of 4 bytes: an IPv4 address, a row.
    #[inline(always)]
    #[must_use]
    pub fn hash_4(&self, message: [u8; 4]) -> u64 {
        let mut state = self.start;
        state.absorb(tail_4(4, message));
        state.finish()
    }

    /// The hash of a message of 8 bytes: two IPv4 addresses.
    #[inline(always)]
    #[must_use]
    pub fn hash_8(&self, message: [u8; 8]) -> u64 {
        let mut state = self.start;
        state.absorb(u64::from_le_bytes(message));
        state.absorb(8 << 56);
        state.finish()
    }

    /// The hash of a message of 16 bytes: an IPv6 address.
    #[inline(always)]
    #[must_use]
    pub fn hash_16(&self, message: &[u8; 16]) -> u64 {
        let [low, high] = words_16(message);
        let mut state = self.start;
        state.absorb(low);
        state.absorb(high);
        state.absorb(16 << 56);
        state.finish()
    }

    /// SipHash-1-3 of a message of 13 bytes: of 8, of 4 and of one, each in little-endian order.
    #[inline(always)]
    #[must_use]
    pub fn place_13(&self, long: u64, middle: u32, short: u8) -> u64 {
        self.place(
            [long],
            u64::from(middle) | u64::from(short) << 32 | 13 << 56,
        )
    }

    /// The same of whole words in little-endian order, and of the last word, which has the message's length in its top byte.
    #[inline(always)]
    #[must_use]
    pub fn place<const N: usize>(&self, words: [u64; N], last: u64) -> u64 {
        let mut state = self.start;
        for word in words {
            state.absorb_short(word);
        }
        state.absorb_short(last);
        state.finish_short()
    }

    /// SipHash-1-3 with a result of 128 bits, low word first, of whole words in little-endian order and of the last word, which
    /// has the message's length in its top byte.
    #[inline(always)]
    #[must_use]
    pub fn short_128<const N: usize>(&self, words: [u64; N], last: u64) -> [u64; 2] {
        let mut state = self.start;
        state.v1 ^= 0xee;
        for word in words {
            state.absorb_short(word);
        }
        state.absorb_short(last);
        state.finish_short_128()
    }
}

/// The two words of a message of 16 bytes.
#[inline(always)]
pub(crate) fn words_16(bytes: &[u8; 16]) -> [u64; 2] {
    // In one piece: bytes that are taken apart one by one are put together one by one where they are no memory any more.
    let whole = u128::from_le_bytes(*bytes);
    // The casts take the two halves.
    [whole as u64, (whole >> 64) as u64]
}

/// The last word of a message of `length` bytes (a small one) that ends in four bytes of a word.
#[inline(always)]
pub(crate) fn tail_4(length: u8, bytes: [u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(bytes)) | u64::from(length) << 56
}

/// The last word: what is left of the message, and its length modulo 256 in the top byte.
#[inline(always)]
fn last_word(length: usize, rest: &[u8]) -> u64 {
    // The cast keeps the low byte of the length, which is what the definition asks for.
    let mut word = (length as u64) << 56;
    let mut shift = 0u32;
    for &byte in rest.iter().take(7) {
        word |= u64::from(byte).wrapping_shl(shift);
        shift = shift.wrapping_add(8);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and message of the reference implementation's vectors: bytes 0, 1, 2, ...
    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    #[test]
    fn example_of_the_definition() {
        let message: std::vec::Vec<u8> = (0..15).collect();
        assert_eq!(SipKey::new(&KEY).hash(&message), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn empty_message() {
        assert_eq!(SipKey::new(&KEY).hash(&[]), 0x726f_db47_dd0e_0e31);
    }

    #[test]
    #[allow(deprecated)]
    fn every_length_agrees_with_the_standard_librarys() {
        // std's deprecated SipHasher is SipHash-2-4, an implementation that is not ours.
        use std::hash::Hasher;
        let message: std::vec::Vec<u8> = (0..300u32).map(|i| (i * 7 + 3) as u8).collect();
        let (k0, k1) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        for length in 0..message.len() {
            let mut theirs = core::hash::SipHasher::new_with_keys(k0, k1);
            theirs.write(&message[..length]);
            assert_eq!(
                SipKey::new(&KEY).hash(&message[..length]),
                theirs.finish(),
                "length {length}"
            );
        }
    }

    /// SipHash-C-D with a result of 128 bits, as its definition has it, of whole words and the last one.
    fn model((c, d): (u32, u32), key: &[u8; 16], words: &[u64]) -> u128 {
        let [k0, k1] = words_16(key);
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let rounds = |v: &mut [u64; 4], count| {
            for _ in 0..count {
                for (a, b, c, d, left, right) in [(0, 1, 2, 3, 13, 16), (2, 1, 0, 3, 17, 21)] {
                    v[a] = v[a].wrapping_add(v[b]);
                    v[c] = v[c].wrapping_add(v[d]);
                    v[b] = v[b].rotate_left(left) ^ v[a];
                    v[d] = v[d].rotate_left(right) ^ v[c];
                    v[a] = v[a].rotate_left(32);
                }
            }
            v.iter().fold(0, |sum, word| sum ^ word)
        };
        for word in words {
            v[3] ^= word;
            rounds(&mut v, c);
            v[0] ^= word;
        }
        v[2] ^= 0xee;
        let low = rounds(&mut v, d);
        v[1] ^= 0xdd;
        u128::from(rounds(&mut v, d)) << 64 | u128::from(low)
    }

    #[test]
    fn a_result_of_128_bits_is_the_definitions() {
        // The first entries of `vectors_sip128` (github/veorq/SipHash, vectors.h): no byte, and the byte 0. They are of SipHash-2-4,
        // and tell that the model is right.
        let wanted = [
            0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128,
            0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45,
        ];
        for (length, wanted) in (0..).zip(wanted) {
            let bytes = model((2, 4), &KEY, &[length << 56]);
            assert_eq!(bytes.swap_bytes(), wanted, "length {length}");
        }
        let mut word = 1_u64;
        for _ in 0..100 {
            let words = [(); 5].map(|()| {
                word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
                word
            });
            let [a, b, c, d, last] = words;
            let [low, high] = SipKey::new(&KEY).short_128([a, b, c, d], last);
            let ours = u128::from(high) << 64 | u128::from(low);
            assert_eq!(ours, model((1, 3), &KEY, &words));
            let [low, high] = SipKey::new(&KEY).short_128([a, b], last);
            let ours = u128::from(high) << 64 | u128::from(low);
            assert_eq!(ours, model((1, 3), &KEY, &[a, b, last]));
        }
    }

    #[test]
    fn places_are_those_of_the_standard_library() {
        use std::hash::Hasher;
        let key = SipKey::new(&[0; 16]);
        for n in 0..100_u64 {
            let (long, middle, short) =
                (n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n as u32 * 7, n as u8);
            // SipHash-1-3 with a key of zeroes.
            let mut theirs = std::collections::hash_map::DefaultHasher::new();
            theirs.write(&long.to_le_bytes());
            theirs.write(&middle.to_le_bytes());
            theirs.write(&[short]);
            assert_eq!(key.place_13(long, middle, short), theirs.finish());
        }
    }

    #[test]
    fn fixed_lengths_agree_with_the_general_form() {
        let key = SipKey::new(b"a key of 16 byte");
        let m: [u8; 16] = *b"0123456789abcdef";
        assert_eq!(key.hash_4([1, 2, 3, 4]), key.hash(&[1, 2, 3, 4]));
        assert_eq!(key.hash_8(*b"abcdefgh"), key.hash(b"abcdefgh"));
        assert_eq!(key.hash_16(&m), key.hash(&m));
    }
}
