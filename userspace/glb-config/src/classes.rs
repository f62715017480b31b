// SPDX-License-Identifier: GPL-2.0

//! What the classes of a file have in common: those of one priority that take the same packets.

use crate::issue::{Checked, Issue, Severity};
use glb_core::director::classify::bind::Proto;
use glb_core::director::classify::flow::{compile, ByteMatch, Class, NamedClass, Ports, Prefix};
use glb_core::packet::addr::{mask_128, Addr};

/// Refuses a file with classes where only tables are heeded.
pub(crate) fn refuse<T>(
    file: &str,
    checked: Checked<T>,
    classes: impl Fn(&T) -> &[NamedClass],
) -> Checked<T> {
    let refusal = |value: &T| refusal(file, classes(value));
    let Some(issue) = checked.value.as_ref().and_then(refusal) else {
        return checked;
    };
    let mut issues = checked.issues;
    issues.push(issue);
    Checked {
        value: None,
        issues,
    }
}

/// What is said of a file with classes where only tables are heeded.
#[must_use]
pub fn refusal(file: &str, classes: &[NamedClass]) -> Option<Issue> {
    classes.first().map(|_| Issue {
        severity: Severity::Error,
        file: file.to_owned(),
        table: None,
        field: "classes".to_owned(),
        value: None,
        reason: "cannot be here: a file with classes can be checked, shown, compared, built, looked up and loaded (glbctl table load), \
                 and not be edited, nor be the source of glb-healthcheck; take the classes out"
            .to_owned(),
    })
}

/// The words of classes, as directors take them.
pub fn compiled(classes: &[NamedClass]) -> Result<Vec<u32>, String> {
    let plain: Vec<Class> = classes.iter().map(|one| one.class.clone()).collect();
    compile(&plain).map_err(|error| format!("classes: {error}"))
}

/// Warnings of classes that take more than a service's packets, or none.
#[must_use]
pub fn warnings(file: &str, classes: &[NamedClass]) -> Vec<Issue> {
    let is_for_many = |prefix: &Prefix| match prefix.addr {
        Addr::V4([first, ..]) => prefix.len >= 4 && first & 0xf0 == 224,
        Addr::V6([first, ..]) => prefix.len >= 8 && first == 0xff,
    };
    let reason = |class: &Class| {
        match &class.dst[..] {
        [] => Some(
            "is not there: the class takes packets to any address, the director's own too (ssh, for one); name the addresses of \
             the service",
        ),
        all if all.iter().all(is_for_many) => Some(
            "is multicast, which classes leave to binds: the class takes nothing",
        ),
        _ => None,
    }
    };
    let issue = |(index, one): (usize, &NamedClass)| {
        Some(Issue {
            severity: Severity::Warning,
            file: file.to_owned(),
            table: None,
            field: format!("classes[{index}].dst"),
            value: None,
            reason: reason(&one.class)?.to_owned(),
        })
    };
    classes.iter().enumerate().filter_map(issue).collect()
}

/// Two classes of one priority that some packet could belong to: the first has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    /// The one that stands first.
    pub first: usize,
    /// The other.
    pub second: usize,
}

/// The ties of a file, by their places: at most so many. Those that differ only in bytes are one if the bytes allow it.
#[must_use]
pub fn ties(classes: &[NamedClass], most: usize) -> Vec<Tie> {
    let sides: Vec<Side<'_>> = classes.iter().map(|one| Side::of(&one.class)).collect();
    let mut found = Vec::new();
    for (first, one) in sides.iter().enumerate() {
        for (second, other) in sides.iter().enumerate().skip(first + 1) {
            if one.class.priority == other.class.priority && one.meets(other) {
                if found.len() == most {
                    return found;
                }
                found.push(Tie { first, second });
            }
        }
    }
    found
}

/// A class with its prefixes as intervals.
struct Side<'c> {
    class: &'c Class,
    dst: Vec<Interval>,
    src: Vec<Interval>,
}

/// Whether they are of IPv6, first address, last address.
type Interval = (bool, u128, u128);

fn intervals(prefixes: &[Prefix]) -> Vec<Interval> {
    let interval = |prefix: &Prefix| {
        let (v6, addr, len) = match prefix.addr {
            Addr::V4(bytes) => (
                false,
                u128::from(u32::from_be_bytes(bytes)) << 96,
                prefix.len,
            ),
            Addr::V6(bytes) => (true, u128::from_be_bytes(bytes), prefix.len),
        };
        let first = addr & mask_128(len);
        (v6, first, first | !mask_128(len))
    };
    let mut all: Vec<Interval> = prefixes.iter().map(interval).collect();
    all.sort_unstable();
    all
}

/// Whether two lists of addresses have one in common; no list is all.
fn meet(one: &[Interval], other: &[Interval]) -> bool {
    if one.is_empty() || other.is_empty() {
        return true;
    }
    let (mut one, mut other) = (one, other);
    // What ends first cannot meet what comes later: intervals of prefixes nest, or are apart.
    while let ([a, rest_a @ ..], [b, rest_b @ ..]) = (one, other) {
        if a.0 == b.0 && a.1 <= b.2 && b.1 <= a.2 {
            return true;
        }
        if (a.0, a.2) < (b.0, b.2) {
            one = rest_a;
        } else {
            other = rest_b;
        }
    }
    false
}

fn ports_meet(one: &[Ports], other: &[Ports]) -> bool {
    let meets = |a: &Ports| other.iter().any(|b| a.first <= b.last && b.first <= a.last);
    one.is_empty() || other.is_empty() || one.iter().any(meets)
}

impl<'c> Side<'c> {
    fn of(class: &'c Class) -> Self {
        Self {
            class,
            dst: intervals(&class.dst),
            src: intervals(&class.src),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        let (one, two) = (self.class, other.class);
        let headers = Proto::ALL
            .iter()
            .any(|transport| headers_meet(one, two, *transport));
        let bare = one.takes_portless() && two.takes_portless();
        (headers || bare || in_udp(one, two) || in_udp(two, one))
            && meet(&self.dst, &other.dst)
            && meet(&self.src, &other.src)
    }
}

/// Whether a header of this protocol could be of both.
fn headers_meet(one: &Class, two: &Class, transport: Proto) -> bool {
    let of = |class: &Class| {
        let mut matches = class.matches.clone();
        matches.retain(|one| one.transport == transport);
        matches
    };
    let differ = |a: &ByteMatch, b: &ByteMatch| {
        let both = a.mask & b.mask;
        (a.offset, a.len) == (b.offset, b.len) && a.value & both != b.value & both
    };
    let apart = || {
        let others = of(two);
        of(one).iter().any(|a| others.iter().any(|b| differ(a, b)))
    };
    one.protocols.take(transport)
        && two.protocols.take(transport)
        && ports_meet(&one.dport, &two.dport)
        && ports_meet(&one.sport, &two.sport)
        && !apart()
}

/// Whether SCTP over UDP of the second could be UDP of the first.
fn in_udp(udp: &Class, sctp: &Class) -> bool {
    sctp.udp_encap.is_some_and(|port| {
        let port = [Ports {
            first: port,
            last: port,
        }];
        udp.protocols.take(Proto::Udp) && ports_meet(&udp.dport, &port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;
    use serde_json::{json, Value};

    fn ties_of(classes: &Value) -> Vec<(usize, usize)> {
        let tree = json!({
            "tables": [{"name": "t", "hash_key": "00".repeat(16), "seed": "11".repeat(16), "binds": [],
                "backends": [{"ip": "10.0.0.1", "state": "active", "healthy": true}]}],
            "classes": classes});
        let checked = tables::read_with_classes("t", &tree.to_string());
        let classes = checked.into_result().expect("sound").0.classes;
        let found = ties(&classes, 100);
        found.iter().map(|tie| (tie.first, tie.second)).collect()
    }

    fn class(name: &str, more: Value) -> Value {
        let mut class = json!({"name": name, "service": "t"});
        let map = class.as_object_mut().expect("an object");
        map.extend(more.as_object().expect("an object").clone());
        class
    }

    #[test]
    fn equal_ones_that_meet() {
        let of = |one: Value, two: Value| ties_of(&json!([class("a", one), class("b", two)]));
        let tie = vec![(0, 1)];
        let none: Vec<(usize, usize)> = Vec::new();
        for (one, two, expected) in [
            (json!({}), json!({}), &tie),
            (json!({"priority": 1}), json!({}), &none),
            (
                json!({"dst": ["10.0.0.0/8"]}),
                json!({"dst": ["11.0.0.0/8", "10.1.0.0/16"]}),
                &tie,
            ),
            (
                json!({"dst": ["10.0.0.0/8"]}),
                json!({"dst": ["11.0.0.0/8", "::/0"]}),
                &none,
            ),
            (
                json!({"dst": ["10.0.0.1", "10.0.0.3"]}),
                json!({"dst": ["10.0.0.2", "10.0.0.4"]}),
                &none,
            ),
            (
                json!({"src": ["fd00::/8"]}),
                json!({"src": ["fd01::1"]}),
                &tie,
            ),
            (
                json!({"proto": ["tcp"]}),
                json!({"proto": ["udp", "sctp"]}),
                &none,
            ),
            (
                json!({"proto": ["tcp"], "dport": ["1-10"]}),
                json!({"proto": ["tcp"], "dport": ["80", "10"]}),
                &tie,
            ),
            (
                json!({"proto": ["tcp"], "dport": ["1-10"]}),
                json!({"proto": ["tcp"], "dport": ["11"]}),
                &none,
            ),
            (
                json!({"match": ["tcp[13:1] & 0x02 = 0x02"], "proto": ["tcp"]}),
                json!({"match": ["tcp[13:1] & 0x03 = 0x00"], "proto": ["tcp"]}),
                &none,
            ),
            // Those of other protocols say nothing of UDP.
            (
                json!({"match": ["tcp[13:1] = 2"]}),
                json!({"match": ["tcp[13:1] = 3"]}),
                &tie,
            ),
            (
                json!({"proto": ["sctp"], "udp_encap": 9899}),
                json!({"proto": ["udp"], "dport": ["9899"]}),
                &tie,
            ),
            (
                json!({"proto": ["sctp"], "udp_encap": 9899}),
                json!({"proto": ["udp"], "dport": ["9898"]}),
                &none,
            ),
        ] {
            assert_eq!(of(one.clone(), two.clone()), *expected, "{one} {two}");
            assert_eq!(of(two.clone(), one.clone()), *expected, "{two} {one}");
        }
    }

    #[test]
    fn warns_of_what_takes_all_or_nothing() {
        let named = |addrs: &[(Addr, u8)]| NamedClass {
            name: "c".to_owned(),
            class: Class {
                dst: addrs
                    .iter()
                    .map(|&(addr, len)| Prefix { addr, len })
                    .collect(),
                ..Class::default()
            },
        };
        let (v4, v6) = (Addr::V4([224, 0, 0, 0]), Addr::V6([0xff; 16]));
        let all = [
            named(&[]),
            named(&[(v4, 4), (v6, 8)]),
            named(&[(v4, 3)]),
            named(&[(v4, 32), (Addr::V4([10, 0, 0, 1]), 32)]),
            named(&[]),
        ];
        let said = warnings("f", &all);
        let fields: Vec<&str> = said.iter().map(|one| &one.field[..]).collect();
        assert_eq!(
            fields,
            ["classes[0].dst", "classes[1].dst", "classes[4].dst"]
        );
        assert!(said[1].reason.contains("takes nothing"), "{}", said[1]);
    }

    #[test]
    fn no_more_than_asked_for() {
        let all: Vec<Value> = (0..9).map(|i| class(&format!("c{i}"), json!({}))).collect();
        let tree = json!(all);
        assert_eq!(ties_of(&tree).len(), 36);
    }
}
