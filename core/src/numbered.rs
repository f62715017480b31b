// SPDX-License-Identifier: GPL-2.0

//! Closed enums whose variants have numbers and names, each said in one line.

/// Declares a closed enum, each variant with its number and its name. The first one is the default.
macro_rules! numbered {
    ($(#[$doc:meta])* $kind:ident {
        $(#[$first_doc:meta])* $first:ident = $first_number:literal, $first_word:literal;
        $($(#[$own:meta])* $name:ident = $number:literal, $word:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[repr(u8)]
        pub enum $kind {
            $(#[$first_doc])*
            #[default]
            $first = $first_number,
            $($(#[$own])* $name = $number,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$name),*];

            /// Its number: in the netlink family, and where there is one, in binary tables.
            #[inline]
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The one of this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $first_number => Some(Self::$first),
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name: in files and on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$name => $word,)*
                }
            }

            /// The one of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

pub(crate) use numbered;
