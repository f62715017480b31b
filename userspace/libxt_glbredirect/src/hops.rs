// SPDX-License-Identifier: GPL-2.0

//! The value of `--allow-hops`: a list of prefixes.

use crate::Prefix;
use crate::PrefixError;
use std::fmt;
use std::str::FromStr;

/// The prefixes that hops may be taken from, in the order in which they were given.
///
/// The empty list is that of a rule without the option: any hop is allowed, as in the deployed target.
///
/// # Invariants
///
/// There are at most [`AllowedHops::MAX`] prefixes, and no two are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHops {
    prefixes: Vec<Prefix>,
}

impl AllowedHops {
    /// The most prefixes that the kernel's structure has room for.
    pub const MAX: usize = 16;

    /// The prefixes, in order.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// Whether any hop is allowed.
    pub fn allow_any(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Adds one more prefix, unless that would break an invariant.
    pub(crate) fn push(&mut self, prefix: Prefix) -> Result<(), HopsError> {
        if self.prefixes.contains(&prefix) {
            return Err(HopsError::Duplicate { prefix });
        }
        if self.prefixes.len() == Self::MAX {
            return Err(HopsError::TooMany);
        }
        self.prefixes.push(prefix);
        Ok(())
    }
}

/// Reads `PREFIX[,PREFIX...]`.
///
/// A prefix that stands there twice is refused, not merged: whoever wrote it meant another one. Two texts
/// can be one prefix once their host bits are gone, and the error says which.
impl FromStr for AllowedHops {
    type Err = HopsError;

    fn from_str(text: &str) -> Result<Self, HopsError> {
        let mut hops = Self::default();
        for item in text.split(',') {
            if item.is_empty() {
                return Err(HopsError::EmptyItem);
            }
            let prefix = item.parse().map_err(|cause| HopsError::Item {
                item: item.to_owned(),
                cause,
            })?;
            hops.push(prefix)?;
        }
        Ok(hops)
    }
}

/// Writes the prefixes with commas between them, which [`FromStr`] reads unless there are none.
impl fmt::Display for AllowedHops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, prefix) in self.prefixes.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            prefix.fmt(f)?;
        }
        Ok(())
    }
}

/// Why a text is no value for `--allow-hops`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HopsError {
    /// There is nothing at all, or nothing before, behind or between commas.
    EmptyItem,
    /// One item is not a prefix.
    Item {
        /// The item as it was given.
        item: String,
        /// What is wrong with it.
        cause: PrefixError,
    },
    /// Two items are the same prefix.
    Duplicate {
        /// That prefix, without the host bits.
        prefix: Prefix,
    },
    /// There are more than [`AllowedHops::MAX`] items.
    TooMany,
}

impl fmt::Display for HopsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyItem => write!(f, "a prefix of the list is empty"),
            Self::Item { item, cause } => write!(f, "\"{item}\": {cause}"),
            Self::Duplicate { prefix } => write!(f, "{prefix} stands there twice"),
            Self::TooMany => write!(f, "more than {} prefixes", AllowedHops::MAX),
        }
    }
}

impl std::error::Error for HopsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, HopsError> {
        text.parse::<AllowedHops>().map(|hops| hops.to_string())
    }

    #[test]
    fn both_families_mix_and_keep_their_order() {
        let text = "fd00::/8,10.0.0.0/8,192.0.2.1/32,2001:db8::/32";
        assert_eq!(written(text), Ok(text.into()));
    }

    #[test]
    fn every_place_that_can_be_empty() {
        for text in [
            "",
            ",",
            "10.0.0.0/8,",
            ",10.0.0.0/8",
            "10.0.0.0/8,,fd00::/8",
        ] {
            assert_eq!(written(text), Err(HopsError::EmptyItem), "{text:?}");
        }
    }

    #[test]
    fn sixteen_are_taken_and_seventeen_are_not() {
        let list = |n: u8| {
            (1..=n)
                .map(|i| format!("10.{i}.0.0/16"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert_eq!(written(&list(16)), Ok(list(16)));
        assert_eq!(written(&list(17)), Err(HopsError::TooMany));
    }

    #[test]
    fn equal_after_masking_is_a_duplicate() {
        let message = written("10.1.0.0/8,10.2.0.0/8")
            .expect_err("one prefix twice")
            .to_string();
        assert_eq!(message, "10.0.0.0/8 stands there twice");
    }

    #[test]
    fn one_inside_another_is_no_duplicate() {
        assert!(written("10.0.0.0/8,10.0.0.0/16").is_ok());
        assert!(written("0.0.0.0/0,::/0").is_ok());
    }

    #[test]
    fn the_message_quotes_the_item() {
        let message = written("10.0.0.0/8,10.0.0.0/33")
            .expect_err("33 bits")
            .to_string();
        assert_eq!(
            message,
            "\"10.0.0.0/33\": the prefix length is a number from 0 to 32"
        );
    }
}
