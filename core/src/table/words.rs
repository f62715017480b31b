// SPDX-License-Identifier: GPL-2.0

//! The words of a table: what a table may have beside what all tables have, each with its tag and its length.
//!
//! A word is a line in `words!` below. It is written where a table has another value than the default, so that tables
//! without words are what they were before there was any. A reader refuses a tag that it does not know: a table is what
//! all of its words say.

use super::error::Field;
use crate::director::flows::{By, Spec};
use crate::director::{FlowHash, Forward, Given, MarkOffset, Select, Selector};
use crate::packet::dscp::Dscp;
use core::num::NonZeroU16;

/// The value of a word.
pub trait Word: Copy + PartialEq {
    /// Its length in bytes.
    const LEN: usize;
    /// The value of these bytes, if it is one.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Hands over its bytes.
    fn write(self, out: &mut dyn FnMut(&[u8]));
}

/// Words that are numbers, little-endian.
macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Word for $number {
            const LEN: usize = core::mem::size_of::<Self>();

            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }

            fn write(self, out: &mut dyn FnMut(&[u8])) {
                out(&self.to_le_bytes());
            }
        })*
    };
}

numbers! { u8 u16 u32 }

/// Words that are closed enums, by their numbers.
macro_rules! enums {
    ($($kind:ty)*) => {
        $(impl Word for $kind {
            const LEN: usize = 1;

            fn read(bytes: &[u8]) -> Option<Self> {
                u8::read(bytes).and_then(Self::from_number)
            }

            fn write(self, out: &mut dyn FnMut(&[u8])) {
                self.number().write(out);
            }
        })*
    };
}

enums! { Select FlowHash }

/// Buckets, timeout, what is remembered.
impl Word for Spec {
    const LEN: usize = 7;

    fn read(bytes: &[u8]) -> Option<Self> {
        let &[b0, b1, b2, b3, t0, t1, by]: &[u8; 7] = bytes.try_into().ok()?;
        let (buckets, timeout) = (
            u32::from_le_bytes([b0, b1, b2, b3]),
            u16::from_le_bytes([t0, t1]),
        );
        Self::new(buckets, timeout, By::from_number(by)?).ok()
    }

    fn write(self, out: &mut dyn FnMut(&[u8])) {
        self.buckets.write(out);
        self.rules.timeout.write(out);
        self.rules.by.number().write(out);
    }
}

impl Word for Dscp {
    const LEN: usize = 1;

    fn read(bytes: &[u8]) -> Option<Self> {
        u8::read(bytes).and_then(Self::new)
    }

    fn write(self, out: &mut dyn FnMut(&[u8])) {
        self.value().write(out);
    }
}

impl Word for NonZeroU16 {
    const LEN: usize = 2;

    fn read(bytes: &[u8]) -> Option<Self> {
        u16::read(bytes).and_then(Self::new)
    }

    fn write(self, out: &mut dyn FnMut(&[u8])) {
        self.get().write(out);
    }
}

impl Word for MarkOffset {
    const LEN: usize = 4;

    fn read(bytes: &[u8]) -> Option<Self> {
        u32::read(bytes).and_then(Self::new)
    }

    fn write(self, out: &mut dyn FnMut(&[u8])) {
        self.value().write(out);
    }
}

/// A word that a table may lack; its default is `None`.
impl<T: Word> Word for Option<T> {
    const LEN: usize = T::LEN;

    fn read(bytes: &[u8]) -> Option<Self> {
        T::read(bytes).map(Some)
    }

    fn write(self, out: &mut dyn FnMut(&[u8])) {
        if let Some(value) = self {
            value.write(out);
        }
    }
}

/// Declares the words, each with its type, its default and its tag. Tags ascend, and never change.
macro_rules! words {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $default:expr, $tag:literal;)*) => {
        /// The words of a table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Words {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl Words {
            /// Of a table that needs none.
            pub const DEFAULT: Self = Self { $($field: $default,)* };

            /// Takes in a word.
            fn put(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Bad> {
                match tag {
                    $($tag => self.$field = value(tag, bytes)?,)*
                    _ => return Err((Field::Word, None, u64::from(tag))),
                }
                Ok(())
            }

            /// Hands over each word that is not its default: tag, length, value.
            pub fn write(&self, out: &mut dyn FnMut(&[u8])) {
                $(if self.$field != Self::DEFAULT.$field {
                    // The cast is exact: the types above are short.
                    out(&[$tag, <$kind>::LEN as u8]);
                    self.$field.write(out);
                })*
            }
        }

        #[cfg(test)]
        const TAGS: &[u8] = &[$($tag),*];
    };
}

words! {
    /// How packets find their rows.
    select: Select = Select::Rows, 1;
    /// How many rows there are.
    rows: u32 = Selector::GLB.rows, 2;
    /// What of a packet selects the row of a Maglev table.
    flow_hash: FlowHash = FlowHash::Own, 3;
    /// How flows are remembered, if they are.
    flows: Option<Spec> = None, 4;
    /// The DSCP that the forward `l3dsr` gives its packets.
    dscp: Option<Dscp> = None, 5;
    /// The port that the forward `nat` gives its packets, if it gives them another one.
    target_port: Option<NonZeroU16> = None, 6;
    /// The mark of the first backend, with the forward `mark`.
    mark_offset: Option<MarkOffset> = None, 7;
}

impl Default for Words {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Words {
    /// How packets find their rows.
    #[must_use]
    pub fn selector(&self) -> Selector {
        Selector {
            select: self.select,
            rows: self.rows,
            flow_hash: self.flow_hash,
        }
    }

    /// The same with this selector.
    #[must_use]
    pub const fn with_selector(mut self, selector: Selector) -> Self {
        self.select = selector.select;
        self.rows = selector.rows;
        self.flow_hash = selector.flow_hash;
        self
    }

    /// The same with the parameters of this forward.
    #[must_use]
    pub fn with_forward(self, forward: Forward) -> Self {
        let Given {
            dscp,
            target_port,
            mark_offset,
        } = forward.given();
        Self {
            dscp,
            target_port,
            mark_offset,
            ..self
        }
    }

    /// What is said of the forward.
    #[must_use]
    pub const fn given(&self) -> Given {
        Given {
            dscp: self.dscp,
            target_port: self.target_port,
            mark_offset: self.mark_offset,
        }
    }

    /// Reads the words of a table.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Bad> {
        let mut words = Self::DEFAULT;
        let (mut rest, mut last) = (bytes, 0);
        while let Some((&tag, behind)) = rest.split_first() {
            let index = Some(u32::from(tag));
            let short = (Field::WordLength, index, behind.len() as u64);
            let (&len, behind) = behind.split_first().ok_or(short)?;
            let (bytes, behind) = behind.split_at_checked(usize::from(len)).ok_or(short)?;
            // Each once, so that a table has one form.
            if tag <= last {
                return Err((Field::Word, None, u64::from(tag)));
            }
            words.put(tag, bytes)?;
            (rest, last) = (behind, tag);
        }
        Ok(words)
    }
}

/// A field, the tag that it is of, and the value that it may not have.
type Bad = (Field, Option<u32>, u64);

fn value<T: Word>(tag: u8, bytes: &[u8]) -> Result<T, Bad> {
    let index = Some(u32::from(tag));
    if bytes.len() != T::LEN {
        return Err((Field::WordLength, index, bytes.len() as u64));
    }
    let number = bytes
        .iter()
        .rev()
        .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    T::read(bytes).ok_or((Field::WordValue, index, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn written(words: &Words) -> Vec<u8> {
        let mut bytes = Vec::new();
        words.write(&mut |part| bytes.extend(part));
        bytes
    }

    const MAGLEV: Words = Words::DEFAULT.with_selector(Selector {
        select: Select::Maglev,
        rows: 1_024,
        flow_hash: FlowHash::Vpp,
    });

    #[test]
    fn what_is_the_default_is_not_written() {
        assert_eq!(written(&Words::DEFAULT), [0u8; 0]);
        assert_eq!(Words::read(&[]), Ok(Words::DEFAULT));
        assert_eq!(written(&MAGLEV), [1, 1, 1, 2, 4, 0, 4, 0, 0, 3, 1, 1]);
        assert_eq!(Words::read(&written(&MAGLEV)), Ok(MAGLEV));
        let flows = Words {
            flows: Spec::new(1_000, 300, By::Source).ok(),
            ..Words::DEFAULT
        };
        assert_eq!(written(&flows), [4, 7, 0xe8, 3, 0, 0, 0x2c, 1, 1]);
        assert_eq!(Words::read(&written(&flows)), Ok(flows));
        assert!(TAGS.windows(2).all(|pair| pair[0] < pair[1]) && TAGS[0] > 0);
    }

    #[test]
    fn a_forward_has_its_parameters_as_words() {
        let dscp = Dscp::new(0).expect("a DSCP");
        let words = Words::DEFAULT.with_forward(Forward::L3dsr(dscp));
        assert_eq!(written(&words), [5, 1, 0]);
        assert_eq!(Words::read(&[5, 1, 0]), Ok(words));
        assert_eq!(words.with_forward(Forward::Gre), Words::DEFAULT);
        let words = Words::DEFAULT.with_forward(Forward::Nat(NonZeroU16::new(3307)));
        assert_eq!(written(&words), [6, 2, 0xeb, 0x0c]);
        assert_eq!(Words::read(&[6, 2, 0xeb, 0x0c]), Ok(words));
        let port_stays = words.with_forward(Forward::Nat(None));
        assert_eq!(port_stays, Words::DEFAULT);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (bytes, expected) in [
            (&[0, 0][..], (Field::Word, None, 0)),
            (&[255, 0], (Field::Word, None, 255)),
            (&[1, 1, 1, 1, 1, 1], (Field::Word, None, 1)),
            (&[3, 1, 1, 1, 1, 1], (Field::Word, None, 1)),
            (&[1], (Field::WordLength, Some(1), 0)),
            (&[1, 2, 1], (Field::WordLength, Some(1), 2)),
            (&[1, 2, 1, 1], (Field::WordLength, Some(1), 2)),
            (&[2, 1, 1], (Field::WordLength, Some(2), 1)),
            (&[1, 1, 9], (Field::WordValue, Some(1), 9)),
            (&[3, 1, 9], (Field::WordValue, Some(3), 9)),
            (&[4, 6, 0, 0, 0, 0, 0, 0], (Field::WordLength, Some(4), 6)),
            // No bucket, no time, no such key.
            (
                &[4, 7, 0, 0, 0, 0, 40, 0, 0],
                (Field::WordValue, Some(4), 40 << 32),
            ),
            (&[4, 7, 1, 0, 0, 0, 0, 0, 0], (Field::WordValue, Some(4), 1)),
            (
                &[4, 7, 1, 0, 0, 0, 1, 0, 2],
                (Field::WordValue, Some(4), 2 << 48 | 1 << 32 | 1),
            ),
            (&[5, 1, 64], (Field::WordValue, Some(5), 64)),
            (&[7, 4, 0, 0, 0, 0], (Field::WordValue, Some(7), 0)),
            (&[6, 2, 0, 0], (Field::WordValue, Some(6), 0)),
        ] {
            assert_eq!(Words::read(bytes), Err(expected), "{bytes:?}");
        }
    }
}
