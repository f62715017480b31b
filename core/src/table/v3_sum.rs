// SPDX-License-Identifier: GPL-2.0

//! The checksum of a version 3 file: SipHash-2-4 with a key of zeroes.

use crate::siphash::{SipKey, State};

/// The checksum of a file's bytes.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    SipKey::new(&[0; 16]).hash(bytes)
}

/// The checksum of a file that comes piece by piece, so that nobody needs to have all of it.
#[derive(Debug, Clone)]
pub struct Checksum {
    state: State,
    /// The bytes of the next word that are there, lowest first.
    word: u64,
    /// Of all pieces, modulo 256, which is all that the hash takes of it.
    len: u8,
}

impl Default for Checksum {
    fn default() -> Self {
        Self {
            state: SipKey::new(&[0; 16]).start(),
            word: 0,
            len: 0,
        }
    }
}

impl Checksum {
    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while self.len % 8 != 0 {
            let Some((byte, behind)) = rest.split_first() else {
                return;
            };
            self.byte(*byte);
            rest = behind;
        }
        while let Some((word, behind)) = rest.split_first_chunk::<8>() {
            self.state.absorb(u64::from_le_bytes(*word));
            self.len = self.len.wrapping_add(8);
            rest = behind;
        }
        for byte in rest {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.word |= u64::from(byte).wrapping_shl(u32::from(self.len % 8).wrapping_mul(8));
        self.len = self.len.wrapping_add(1);
        if self.len % 8 == 0 {
            self.state.absorb(self.word);
            self.word = 0;
        }
    }

    /// The checksum of all pieces.
    #[must_use]
    pub fn finish(mut self) -> u64 {
        self.state.absorb(self.word | u64::from(self.len) << 56);
        self.state.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole() {
        let message: std::vec::Vec<u8> = (0..600u32).map(|i| (i * 7 + 3) as u8).collect();
        for len in [0, 1, 7, 8, 9, 255, 256, 257, 600] {
            let message = &message[..len];
            for size in 1..20 {
                let mut sum = Checksum::default();
                message.chunks(size).for_each(|piece| sum.update(piece));
                assert_eq!(sum.finish(), checksum(message), "{len} bytes by {size}");
            }
        }
    }
}
