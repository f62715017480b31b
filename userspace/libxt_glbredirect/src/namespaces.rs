// SPDX-License-Identifier: GPL-2.0

//! The value of `--netns`: a list of names of network namespaces.

use std::fmt;
use std::str::FromStr;

/// The network namespaces whose sockets are asked after those of the own one, in the order in which they were given.
///
/// The empty list is that of a rule without the option.
///
/// # Invariants
///
/// - There are at most [`Namespaces::MAX`] names, and no two are equal.
/// - Each name is one that `ip netns` takes, of at most [`Namespaces::LONGEST`] bytes, all of which can stand in a saved rule
///   as they are: printing ASCII without slash, comma, quotes, backslash and exclamation mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    names: Vec<String>,
}

impl Namespaces {
    /// The most names that the kernel's structure has room for.
    pub const MAX: usize = 16;
    /// The most bytes of a name.
    pub const LONGEST: usize = 63;

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds one more name, unless that would break an invariant.
    pub(crate) fn push(&mut self, name: &str) -> Result<(), NamespacesError> {
        if name.is_empty() {
            return Err(NamespacesError::EmptyItem);
        }
        if !is_name(name) {
            return Err(NamespacesError::Name {
                name: name.to_owned(),
            });
        }
        if self.names.iter().any(|other| other == name) {
            return Err(NamespacesError::Duplicate {
                name: name.to_owned(),
            });
        }
        if self.names.len() == Self::MAX {
            return Err(NamespacesError::TooMany);
        }
        self.names.push(name.to_owned());
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let can_stand = |byte| matches!(byte, b'!'..=b'~') && !b"/,\"'\\!".contains(&byte);
    !matches!(name, "." | "..") && name.len() <= Namespaces::LONGEST && name.bytes().all(can_stand)
}

/// Reads `NAME[,NAME...]`.
impl FromStr for Namespaces {
    type Err = NamespacesError;

    fn from_str(text: &str) -> Result<Self, NamespacesError> {
        let mut namespaces = Self::default();
        for name in text.split(',') {
            namespaces.push(name)?;
        }
        Ok(namespaces)
    }
}

/// Writes the names with commas between them, which [`FromStr`] reads unless there are none.
impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(","))
    }
}

/// Why a text is no value for `--netns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespacesError {
    /// There is nothing at all, or nothing before, behind or between commas.
    EmptyItem,
    /// One item is not a name.
    Name {
        /// The item as it was given.
        name: String,
    },
    /// Two items are the same name.
    Duplicate {
        /// That name.
        name: String,
    },
    /// There are more than [`Namespaces::MAX`] items.
    TooMany,
}

impl fmt::Display for NamespacesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyItem => write!(f, "a name of the list is empty"),
            Self::Name { .. } => write!(
                f,
                "not the name of a network namespace (at most {} bytes, without a slash)",
                Namespaces::LONGEST
            ),
            Self::Duplicate { name } => write!(f, "{name} stands there twice"),
            Self::TooMany => write!(f, "more than {} network namespaces", Namespaces::MAX),
        }
    }
}

impl std::error::Error for NamespacesError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, NamespacesError> {
        text.parse::<Namespaces>().map(|names| names.to_string())
    }

    #[test]
    fn names_keep_their_order() {
        assert_eq!(written("web,pod-1,a.b_c"), Ok("web,pod-1,a.b_c".into()));
    }

    #[test]
    fn every_place_that_can_be_empty() {
        for text in ["", ",", "a,", ",a", "a,,b"] {
            assert_eq!(written(text), Err(NamespacesError::EmptyItem), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_name() {
        let long = "n".repeat(64);
        for text in [
            ".", "..", "a/b", "a b", "h\u{f6}p", "a\"", "!a", "a\\b", &long,
        ] {
            let name = text.to_owned();
            assert_eq!(written(text), Err(NamespacesError::Name { name }));
        }
        assert!(written(&long[1..]).is_ok());
    }

    #[test]
    fn sixteen_are_taken_and_seventeen_are_not() {
        let list = |n: u8| {
            let names: Vec<_> = (1..=n).map(|i| format!("pod{i}")).collect();
            names.join(",")
        };
        assert_eq!(written(&list(16)), Ok(list(16)));
        assert_eq!(written(&list(17)), Err(NamespacesError::TooMany));
    }

    #[test]
    fn a_name_stands_there_once() {
        let message = written("a,b,a").expect_err("twice").to_string();
        assert_eq!(message, "a stands there twice");
    }
}
