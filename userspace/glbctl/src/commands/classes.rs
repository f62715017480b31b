// SPDX-License-Identifier: GPL-2.0

//! Classes as the commands about table files show them.

use crate::text::addr;
use glb_config::classes::{compiled, ties, Tie};
use glb_config::quoted;
use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::{NamedClass, Ports, Prefix, Protocols};
use serde::Serialize;
use std::fmt;

/// A class, as its file says it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClassView {
    name: String,
    priority: i32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proto: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dst: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    src: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dport: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sport: Vec<String>,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    matches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_encap: Option<u16>,
}

impl ClassView {
    pub(crate) fn new(NamedClass { name, class }: &NamedClass) -> Self {
        Self {
            name: name.clone(),
            priority: class.priority,
            proto: protocols(class.protocols),
            dst: class.dst.iter().map(prefix).collect(),
            src: class.src.iter().map(prefix).collect(),
            dport: class.dport.iter().map(ports).collect(),
            sport: class.sport.iter().map(ports).collect(),
            matches: class.matches.iter().map(ToString::to_string).collect(),
            udp_encap: class.udp_encap,
        }
    }

    /// Those that lead to a table, in the file's order.
    pub(crate) fn of_table(classes: &[NamedClass], table: usize) -> Vec<Self> {
        let leads = |one: &&NamedClass| usize::from(one.class.service) == table;
        classes.iter().filter(leads).map(Self::new).collect()
    }

    /// What it takes, and when, without its name.
    pub(crate) fn what(&self) -> String {
        let mut text = format!("priority {}", self.priority);
        let mut say = |words: &str, list: &[String]| match list {
            [] => {}
            list => text += &format!(", {words} {}", short(list)),
        };
        let proto: Vec<String> = self.proto.iter().map(ToString::to_string).collect();
        say("protocol", &proto);
        say("to", &self.dst);
        say("port", &self.dport);
        say("from", &self.src);
        say("source port", &self.sport);
        say("where", &self.matches);
        if let Some(port) = self.udp_encap {
            text += &format!(", also in UDP to port {port}");
        }
        text
    }
}

/// For people.
impl fmt::Display for ClassView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class {}: {}", quoted(&self.name), self.what())
    }
}

/// A list, cut where it is long.
fn short(list: &[String]) -> String {
    const MOST: usize = 8;
    match list.get(..MOST) {
        Some(first) if list.len() > MOST => {
            format!("{} and {} more", first.join(" "), list.len() - MOST)
        }
        _ => list.join(" "),
    }
}

fn protocols(set: Protocols) -> Vec<&'static str> {
    let named = |one: &Proto| set.has(*one).then(|| one.name());
    Proto::ALL.iter().filter_map(named).collect()
}

fn prefix(prefix: &Prefix) -> String {
    match prefix.len == prefix.addr.bits() {
        true => addr(prefix.addr),
        false => format!("{}/{}", addr(prefix.addr), prefix.len),
    }
}

fn ports(range: &Ports) -> String {
    match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    }
}

/// What `table check` says of all classes.
#[derive(Debug, Serialize)]
pub(crate) struct ClassesReport {
    count: usize,
    /// Bytes that they take once they are compiled.
    bytes: usize,
    /// Pairs of one priority that take the same packets: the first of each stands first and has them.
    ties: Vec<TieView>,
    /// Whether there are more pairs than these.
    more_ties: bool,
}

#[derive(Debug, Serialize)]
struct TieView {
    priority: i32,
    first: String,
    second: String,
}

/// So many pairs are said.
const MOST_TIES: usize = 20;

impl ClassesReport {
    /// Nothing where there are no classes.
    pub(crate) fn new(classes: &[NamedClass]) -> Option<Self> {
        classes.first()?;
        let mut found = ties(classes, MOST_TIES + 1);
        let more_ties = found.len() > MOST_TIES;
        found.truncate(MOST_TIES);
        let view = |tie: Tie| TieView {
            priority: classes[tie.first].class.priority,
            first: classes[tie.first].name.clone(),
            second: classes[tie.second].name.clone(),
        };
        Some(Self {
            count: classes.len(),
            // A file whose classes cannot be compiled was refused.
            bytes: compiled(classes).map_or(0, |words| words.len() * 4),
            ties: found.into_iter().map(view).collect(),
            more_ties,
        })
    }

    /// For people, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let kib = self.bytes.div_ceil(1024);
        let mut lines = vec![match self.count {
            1 => format!("1 class, {kib} KiB"),
            count => format!("{count} classes, {kib} KiB"),
        }];
        for tie in &self.ties {
            lines.push(format!(
                "classes {} and {} of priority {} overlap: the first stands first, and has what both take",
                quoted(&tie.first),
                quoted(&tie.second),
                tie.priority
            ));
        }
        if self.more_ties {
            lines.push(format!(
                "more than {MOST_TIES} pairs of classes of one priority overlap: give them priorities"
            ));
        }
        lines
    }
}
