// SPDX-License-Identifier: GPL-2.0

//! Verdicts that are counters: one enum says both, so received packets are the sum of the counters.

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on, to the rest of the stack.
    Pass,
    /// It goes on, to the rest of the stack, with a mark that leads it to its target.
    Mark,
    /// It is sent elsewhere, or it was.
    Send,
    /// It ends.
    Drop,
}

/// Declares an enum of verdicts, each with its fate and the name of its counter.
macro_rules! verdicts {
    ($($(#[$doc:meta])* $name:ident: $fate:ident = $counter:literal,)*) => {
        /// What became of a packet. Each packet gets exactly one, so packets received are the sum of
        /// the counters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Verdict {
            $($(#[$doc])* $name,)*
        }

        impl Verdict {
            /// Every verdict, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Number of verdicts.
            pub const COUNT: usize = Self::ALL.len();

            /// Name of the counter of all packets.
            pub const TOTAL: &'static str = "total_packets";

            /// Name of the verdict's counter.
            pub const fn counter(self) -> &'static str {
                match self {
                    $(Self::$name => $counter,)*
                }
            }

            /// What happens to the packet.
            #[inline]
            pub const fn fate(self) -> $crate::counter::Fate {
                match self {
                    $(Self::$name => $crate::counter::Fate::$fate,)*
                }
            }

            /// Position of the verdict's counter.
            #[inline]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(crate) use verdicts;
