// SPDX-License-Identifier: GPL-2.0

//! What the specification of a netlink family says of it, in a form that the modules make their policies of, and the tools
//! the names in their errors. The families are in [`super::glb`] and [`super::glb_redirect`].

/// What an attribute may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A number of 8 bits, from the first to the second.
    U8(u8, u8),
    /// A number of 16 bits, likewise.
    U16(u16, u16),
    /// A number of 32 bits, likewise.
    U32(u32, u32),
    /// A number of 32 bits, or of 64 where it needs them.
    Uint,
    /// Bytes, from so many to so many.
    Bytes(u16, u16),
    /// A text with a zero at its end, which the most bytes do not count.
    Text(u16),
    /// Attributes.
    Nest(&'static Set),
}

/// An attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub number: u16,
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub form: Form,
}

impl Attribute {
    /// An attribute.
    #[must_use]
    pub const fn new(number: u16, name: &'static str, form: Form) -> Self {
        Self { number, name, form }
    }
}

/// An attribute set.
#[derive(Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: &'static str,
    /// Its attributes, in the order of their types from 1.
    pub attributes: &'static [Attribute],
}

impl Set {
    /// The attribute of a type.
    #[inline]
    #[must_use]
    pub fn get(&self, number: u16) -> Option<&'static Attribute> {
        let mut attributes = self.attributes.iter();
        attributes.find(|attribute| attribute.number == number)
    }
}

/// A command, or a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// The set of all of its attributes.
    pub set: &'static Set,
    /// Whether it needs CAP_NET_ADMIN.
    pub admin: bool,
    /// The attributes that a request may have.
    pub takes: &'static [u16],
    /// Those that a request for a list may have.
    pub takes_for_list: &'static [u16],
}
