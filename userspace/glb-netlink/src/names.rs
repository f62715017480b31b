// SPDX-License-Identifier: GPL-2.0

//! The families, and the names of their commands and attributes, for people: those of `spec/glb.yaml` and
//! `spec/glb_redirect.yaml`.

use crate::wire::{Attrs, ATTR_HEADER, GENL_HEADER, NLMSG_HEADER};
use glb_core::netlink::{self, command};
use glb_core::redirect::netlink as redirect;
use glb_core::settings::Setting;

/// A family, and what people should know of it.
#[derive(Debug)]
pub struct Family {
    /// Its name in the kernel.
    pub name: &'static str,
    /// What it is for, as in "the director's module".
    pub whose: &'static str,
    /// The module that brings it.
    pub module: &'static str,
    /// Commands by their numbers from 1: name and attributes.
    commands: &'static [Command],
}

type Command = (u8, &'static str, &'static Set);

/// The director, `spec/glb.yaml`.
pub static DIRECTOR: Family = Family {
    name: netlink::FAMILY,
    whose: "the director's",
    module: "rust_glb_director",
    commands: COMMANDS,
};

/// The redirect, `spec/glb_redirect.yaml`.
pub static REDIRECT: Family = Family {
    name: redirect::FAMILY,
    whose: "the redirect's",
    module: "rust_glb_redirect",
    commands: REDIRECT_COMMANDS,
};

/// An attribute set: the names by type from 1, and the sets of those that are nests.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) names: &'static [&'static str],
    pub(crate) nests: &'static [(&'static str, &'static Set)],
}

impl Set {
    fn name(&self, kind: u16) -> Option<&'static str> {
        let at = usize::from(kind).checked_sub(1)?;
        self.names.get(at).copied()
    }

    fn nest(&self, name: &str) -> Option<&'static Set> {
        self.nests
            .iter()
            .find(|(nest, _)| *nest == name)
            .map(|(_, set)| *set)
    }
}

const fn flat(names: &'static [&'static str]) -> Set {
    Set { names, nests: &[] }
}

pub(crate) static BACKEND: Set = flat(&["address", "state", "healthy"]);
pub(crate) static BIND: Set = flat(&["address", "prefix-len", "proto", "port-start", "port-end"]);
pub(crate) static HOP: Set = flat(&["backend", "address", "state", "healthy"]);
pub(crate) static COUNTER: Set = flat(&["name", "value"]);
pub(crate) static DEVICE: Set = flat(&["ifindex", "ifname"]);
pub(crate) static LOAD: Set = Set {
    names: &[
        "transaction",
        "tables",
        "binds",
        "row-bytes",
        "table",
        "name",
        "hash-key",
        "hops",
        "backend",
        "bind",
        "first-row",
        "rows",
        "generation",
    ],
    nests: &[("backend", &BACKEND), ("bind", &BIND)],
};
pub(crate) static TABLE: Set = Set {
    names: &[
        "index",
        "name",
        "generation",
        "hops",
        "num-backends",
        "num-binds",
        "backend",
        "tables",
    ],
    nests: &[("backend", &BACKEND)],
};
pub(crate) static LOOKUP: Set = Set {
    names: &[
        "dst",
        "proto",
        "dst-port",
        "src",
        "src-port",
        "table",
        "name",
        "generation",
        "hash",
        "row",
        "alt-hash",
        "alt-row",
        "hop",
    ],
    nests: &[("hop", &HOP)],
};
/// The options of the settings, in the order of their numbers.
const SETTINGS: [&str; Setting::ALL.len()] = {
    let mut names = [""; Setting::ALL.len()];
    let mut rest = Setting::ALL;
    while let [setting, behind @ ..] = rest {
        names[setting.number as usize - 1] = setting.option;
        rest = behind;
    }
    names
};
pub(crate) static CONFIG: Set = flat(&SETTINGS);
pub(crate) static STATS: Set = Set {
    names: &["counter"],
    nests: &[("counter", &COUNTER)],
};
pub(crate) static STATUS: Set = flat(&[
    "generation",
    "tables",
    "binds",
    "next-hops",
    "devices",
    "memory",
    "loads",
    "staged",
]);

pub(crate) static PREFIX: Set = flat(&["address", "prefix-len"]);
pub(crate) static DOOR: Set = Set {
    names: &["enabled", "port", "allow-hop"],
    nests: &[("allow-hop", &PREFIX)],
};

const REDIRECT_COMMANDS: &[Command] = &[
    (redirect::command::ON, "on", &DOOR),
    (redirect::command::OFF, "off", &DOOR),
    (redirect::command::GET, "get", &DOOR),
    (redirect::command::STATS_GET, "stats-get", &STATS),
    (redirect::command::NTF, "ntf", &DOOR),
];

const COMMANDS: &[Command] = &[
    (command::TABLE_BEGIN, "table-begin", &LOAD),
    (command::TABLE_ADD, "table-add", &LOAD),
    (command::BIND_ADD, "bind-add", &LOAD),
    (command::ROW_SET, "row-set", &LOAD),
    (command::TABLE_COMMIT, "table-commit", &LOAD),
    (command::TABLE_ABORT, "table-abort", &LOAD),
    (command::TABLE_GET, "table-get", &TABLE),
    (command::BIND_GET, "bind-get", &LOAD),
    (command::ROW_GET, "row-get", &LOOKUP),
    (command::LOOKUP, "lookup", &LOOKUP),
    (command::CONFIG_SET, "config-set", &CONFIG),
    (command::CONFIG_GET, "config-get", &CONFIG),
    (command::ATTACH, "attach", &DEVICE),
    (command::DETACH, "detach", &DEVICE),
    (command::DEVICE_GET, "device-get", &DEVICE),
    (command::STATS_GET, "stats-get", &STATS),
    (command::STATUS_GET, "status-get", &STATUS),
    (command::TABLE_NTF, "table-ntf", &TABLE),
    (command::CONFIG_NTF, "config-ntf", &CONFIG),
    (command::ATTACH_NTF, "attach-ntf", &DEVICE),
    (command::DETACH_NTF, "detach-ntf", &DEVICE),
];

impl Family {
    fn command(&self, number: u8) -> Option<&'static Command> {
        self.commands.iter().find(|(own, _, _)| *own == number)
    }

    /// A command's name.
    pub(crate) fn command_name(&self, number: u8) -> String {
        self.command(number).map_or_else(
            || format!("command {number}"),
            |(_, name, _)| (*name).to_owned(),
        )
    }

    /// The name of an attribute that is missing in a request.
    pub(crate) fn missing(&self, request: &[u8], nest: Option<usize>, kind: u16) -> Option<String> {
        let (_, _, set) = self.command(*request.get(NLMSG_HEADER)?)?;
        match nest {
            None => set.name(kind).map(ToOwned::to_owned),
            Some(offset) => {
                let (path, inner) = path(request, set, offset)?;
                Some(format!("{path}.{}", inner?.name(kind)?))
            }
        }
    }

    /// The name of the attribute at an offset of a request.
    pub(crate) fn at(&self, request: &[u8], offset: usize) -> Option<String> {
        let (_, _, set) = self.command(*request.get(NLMSG_HEADER)?)?;
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
                let name = set.name(attr.kind)?;
                if !path.is_empty() {
                    path.push('.');
                }
                path += name;
                let inner = set.nest(name);
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
    use glb_core::netlink::{backend, load};

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

    /// The specification's lists, in its order: of attribute sets and of operations.
    fn specification(text: &str) -> (Vec<(String, Vec<String>)>, Vec<String>) {
        let (mut sets, mut operations) = (Vec::<(String, Vec<String>)>::new(), Vec::new());
        let mut part = "";
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            if indent == 0 && !line.starts_with('#') {
                part = line.trim_end_matches(':');
            }
            let Some(name) = line.trim().strip_prefix("name: ") else {
                continue;
            };
            match (part, indent) {
                ("attribute-sets", 4) => sets.push((name.to_owned(), Vec::new())),
                ("attribute-sets", 8) => {
                    if let Some((_, names)) = sets.last_mut() {
                        names.push(name.to_owned());
                    }
                }
                ("operations", 6) => operations.push(name.to_owned()),
                _ => {}
            }
        }
        (sets, operations)
    }

    /// Holds sets and commands against a specification.
    fn compare(text: &str, known: &[(&str, &Set)], family: &Family) {
        let (sets, operations) = specification(text);
        let ours: Vec<(String, Vec<String>)> = known
            .iter()
            .map(|(name, set)| {
                let names = set.names.iter().map(ToString::to_string).collect();
                ((*name).to_owned(), names)
            })
            .collect();
        assert_eq!(ours, sets);
        let commands = family.commands.iter();
        let commands: Vec<(u8, &str)> = commands.map(|(n, name, _)| (*n, *name)).collect();
        let specified: Vec<(u8, &str)> = (1..)
            .zip(operations.iter().map(|name| name.trim_matches('"')))
            .collect();
        assert_eq!(commands, specified);
    }

    #[test]
    fn names_are_the_specifications() {
        compare(
            include_str!("../../../spec/glb.yaml"),
            &[
                ("load", &LOAD),
                ("backend", &BACKEND),
                ("bind", &BIND),
                ("table", &TABLE),
                ("lookup", &LOOKUP),
                ("hop", &HOP),
                ("config", &CONFIG),
                ("device", &DEVICE),
                ("stats", &STATS),
                ("counter", &COUNTER),
                ("status", &STATUS),
            ],
            &DIRECTOR,
        );
        compare(
            include_str!("../../../spec/glb_redirect.yaml"),
            &[
                ("redirect", &DOOR),
                ("prefix", &PREFIX),
                ("stats", &STATS),
                ("counter", &COUNTER),
            ],
            &REDIRECT,
        );
    }

    #[test]
    fn numbers_are_the_specifications() {
        use glb_core::netlink::{bind, config, counter, device, hop, lookup, stats, status, table};
        let last = |set: &Set| set.names.len();
        let named = |set: &Set, kind| set.name(kind).unwrap_or_default().to_owned();
        assert_eq!(named(&LOAD, load::GENERATION), "generation");
        assert_eq!(named(&LOAD, load::FIRST_ROW), "first-row");
        assert_eq!(named(&LOAD, load::ROW_BYTES), "row-bytes");
        assert_eq!(usize::from(backend::HEALTHY), last(&BACKEND));
        assert_eq!(usize::from(bind::PORT_END), last(&BIND));
        assert_eq!(usize::from(table::TABLES), last(&TABLE));
        assert_eq!(named(&TABLE, table::NUM_BINDS), "num-binds");
        assert_eq!(usize::from(lookup::HOP), last(&LOOKUP));
        assert_eq!(named(&LOOKUP, lookup::ROW), "row");
        assert_eq!(usize::from(hop::HEALTHY), last(&HOP));
        assert_eq!(usize::from(config::SEGMENT_TCP), last(&CONFIG));
        assert_eq!(named(&CONFIG, config::HASH_FIELDS), "hash-fields");
        for setting in Setting::ALL {
            assert_eq!(named(&CONFIG, setting.number), setting.option);
        }
        assert_eq!(usize::from(device::IFNAME), last(&DEVICE));
        assert_eq!(usize::from(stats::COUNTER), last(&STATS));
        assert_eq!(usize::from(counter::VALUE), last(&COUNTER));
        assert_eq!(usize::from(status::STAGED), last(&STATUS));
        assert_eq!(named(&STATUS, status::NEXT_HOPS), "next-hops");
    }
}
