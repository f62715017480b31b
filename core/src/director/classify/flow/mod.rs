// SPDX-License-Identifier: GPL-2.0

//! Flow classes: which service a packet belongs to, by priority.
//!
//! A class names protocols, prefixes of both addresses, ranges of both ports and bytes of the transport header. Of the classes
//! that take a packet, the one of the highest priority has it; of equal ones, the first of the file.
//!
//! ```text
//! class       a class, as the operator writes it
//! bytes       a match on bytes of the transport header, and its text
//! intervals   nested prefixes, side by side
//! layout      where things stand in the words
//! compile     classes -> words: in the tools only, with memory as it needs
//! lookup      packet -> class, on the words: in the packet path
//! sets        those of a packet, which it collects
//! ```
//!
//! The tools compile the classes of a file, as they compute the rows of its tables. A module takes the words as they come:
//! whatever they say, a look-up ends, and does not panic.

mod bytes;
mod class;
#[cfg(feature = "tables")]
mod compile;
#[cfg(feature = "tables")]
mod intervals;
mod layout;
mod lookup;
mod sets;

pub use bytes::ByteMatch;
#[cfg(feature = "tables")]
pub use bytes::NoMatch;
pub use class::{Asked, Header, Ports, Prefix};
#[cfg(feature = "tables")]
pub use class::{Class, NamedClass, Protocols};
#[cfg(feature = "tables")]
pub use compile::{compile, CompileError};
pub use layout::{
    MAX_CLASSES, MAX_ENCAPS, MAX_FIELDS, MAX_MATCHES, MAX_PREFIXES, MAX_PREFIXES_EACH, MAX_WORDS,
};
pub use lookup::{Classes, Found};
