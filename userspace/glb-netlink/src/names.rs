// SPDX-License-Identifier: GPL-2.0

//! The families, and the names of commands and attributes, for people.

use crate::wire::{Attrs, ATTR_HEADER, GENL_HEADER, NLMSG_HEADER};
use glb_core::netlink::family::{Form, Operation, Set};
use glb_core::netlink::glb as netlink;
use glb_core::netlink::glb_redirect as redirect;

/// A family, and what people should know of it.
#[derive(Debug)]
pub struct Family {
    /// Its name in the kernel.
    pub name: &'static str,
    /// What it is for, as in "the director's module".
    pub whose: &'static str,
    /// The module that brings it.
    pub module: &'static str,
    operations: &'static [Operation],
}

/// The director, `spec/glb.yaml`.
pub static DIRECTOR: Family = Family {
    name: netlink::FAMILY,
    whose: "the director's",
    module: "rust_glb_director",
    operations: netlink::OPERATIONS,
};

/// The redirect, `spec/glb_redirect.yaml`.
pub static REDIRECT: Family = Family {
    name: redirect::FAMILY,
    whose: "the redirect's",
    module: "rust_glb_redirect",
    operations: redirect::OPERATIONS,
};

/// The kernel's receiver of tunnels in UDP.
pub(crate) static FOU: Family = Family {
    name: "fou",
    whose: "the tunnel's",
    module: "fou",
    operations: &[],
};

/// What the kernel knows of network cards.
pub(crate) static ETHTOOL: Family = Family {
    name: "ethtool",
    whose: "the kernel's ethtool",
    module: "ethtool",
    operations: &[],
};

impl Family {
    fn operation(&self, number: u8) -> Option<&'static Operation> {
        self.operations.iter().find(|one| one.number == number)
    }

    /// A command's name.
    pub(crate) fn command_name(&self, number: u8) -> String {
        self.operation(number).map_or_else(
            || format!("command {number}"),
            |operation| operation.name.to_owned(),
        )
    }

    /// The name of an attribute that is missing in a request.
    pub(crate) fn missing(&self, request: &[u8], nest: Option<usize>, kind: u16) -> Option<String> {
        let set = self.operation(*request.get(NLMSG_HEADER)?)?.set;
        match nest {
            None => set.get(kind).map(|attribute| attribute.name.to_owned()),
            Some(offset) => {
                let (path, inner) = path(request, set, offset)?;
                Some(format!("{path}.{}", inner?.get(kind)?.name))
            }
        }
    }

    /// The name of the attribute at an offset of a request.
    pub(crate) fn at(&self, request: &[u8], offset: usize) -> Option<String> {
        let set = self.operation(*request.get(NLMSG_HEADER)?)?.set;
        path(request, set, offset).map(|(path, _)| path)
    }
}

/// The name of the attribute at an offset, and the set of what is in it.
fn path(
    request: &[u8],
    set: &'static Set,
    offset: usize,
) -> Option<(String, Option<&'static Set>)> {
    let mut path = String::new();
    let mut set = set;
    let mut start = NLMSG_HEADER + GENL_HEADER;
    let mut bytes = request.get(start..)?;
    'deeper: loop {
        let mut counts = std::collections::HashMap::new();
        let mut at = start;
        for attr in Attrs(bytes) {
            let end = at + (attr.payload.len() + ATTR_HEADER).next_multiple_of(4);
            let index = counts.entry(attr.kind).or_insert(0usize);
            if (at..end).contains(&offset) {
                let attribute = set.get(attr.kind)?;
                if !path.is_empty() {
                    path.push('.');
                }
                path += attribute.name;
                let inner = match attribute.form {
                    Form::Nest(inner) => Some(inner),
                    _ => None,
                };
                if inner.is_some() {
                    path += &format!("[{index}]");
                }
                match inner {
                    Some(inner) if offset >= at + ATTR_HEADER => {
                        set = inner;
                        start = at + ATTR_HEADER;
                        bytes = attr.payload;
                        continue 'deeper;
                    }
                    _ => return Some((path, inner)),
                }
            }
            *index += 1;
            at = end;
        }
        return None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Request;
    use glb_core::netlink::glb::{backend, command, load};

    #[test]
    fn attributes_are_named_by_their_place() {
        let mut request = Request::new(command::TABLE_ADD, 1, 0);
        request.u32(load::TRANSACTION, 1);
        let first = request.len();
        request.nest(load::BACKEND, |nest| {
            nest.bytes(backend::ADDRESS, &[1, 2, 3, 4]);
        });
        let second = request.len();
        let mut state = 0;
        request.nest(load::BACKEND, |nest| {
            nest.bytes(backend::ADDRESS, &[1, 2, 3, 4]);
            state = nest.len();
            nest.u8(backend::STATE, 9);
        });
        let bytes = request.finish(1, 1);
        assert_eq!(DIRECTOR.at(&bytes, first).as_deref(), Some("backend[0]"));
        assert_eq!(
            DIRECTOR.at(&bytes, state).as_deref(),
            Some("backend[1].state")
        );
        assert_eq!(DIRECTOR.at(&bytes, 20).as_deref(), Some("transaction"));
        assert_eq!(DIRECTOR.at(&bytes, bytes.len() + 4), None);
        let missing_in = DIRECTOR.missing(&bytes, Some(second), backend::HEALTHY);
        assert_eq!(missing_in.as_deref(), Some("backend[1].healthy"));
        assert_eq!(
            DIRECTOR.missing(&bytes, None, load::HOPS).as_deref(),
            Some("hops")
        );
    }
}
