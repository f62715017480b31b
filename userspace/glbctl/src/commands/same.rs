// SPDX-License-Identifier: GPL-2.0

//! Whether two tables do the same to every packet.

use super::key::Key;
use crate::commands::table_show::ForwardView;
use crate::text::{addr, bind as bind_text};
use glb_config::compiled::{Compiled, CompiledBackend};
use glb_core::director::classify::bind::Bind;

/// In what a table differs from one that is there, of whose key `key` is known; nothing if in nothing.
pub(crate) fn difference(there: &Compiled, key: &Key, other: &Compiled) -> Option<String> {
    if there.hops != other.hops {
        return Some(format!(
            "its rows have {} hops, not {}",
            there.hops, other.hops
        ));
    }
    if !key.is(&other.hash_key) {
        return Some("its hash_key is another".to_owned());
    }
    if there.forward != other.forward {
        let (left, right) = (
            ForwardView::new(there.forward),
            ForwardView::new(other.forward),
        );
        return Some(format!("its packets leave by {left}, not by {right}"));
    }
    if there.selector() != other.selector() {
        let text = |table: &Compiled| {
            let selector = table.selector();
            let (kind, hash) = (selector.select.name(), selector.flow_hash.name());
            format!("{kind} ({} rows, hash {hash})", selector.rows)
        };
        let (left, right) = (text(there), text(other));
        return Some(format!("its select is {left}, not {right}"));
    }
    if there.words.flows != other.words.flows {
        let text = |table: &Compiled| match table.words.flows {
            Some(spec) => format!(
                "by {} for {} s in {} buckets",
                spec.rules.by.name(),
                spec.rules.timeout,
                spec.buckets
            ),
            None => "not at all".to_owned(),
        };
        let (left, right) = (text(there), text(other));
        return Some(format!("it remembers flows {left}, not {right}"));
    }
    let binds = |table: &Compiled| -> Vec<Bind> { table.binds.iter().map(masked).collect() };
    let (left, right) = (binds(there), binds(other));
    if let Some(what) = first_other(&left, &right, bind_text) {
        return Some(format!("bind {what}"));
    }
    let both = there.backends.iter().zip(&other.backends).enumerate();
    let mut both = both.filter(|(_, (left, right))| left.backend.addr == right.backend.addr);
    if let Some((place, (left, right))) =
        both.find(|(_, (left, right))| left.identifier != right.identifier)
    {
        return Some(format!(
            "backend {place} has the id {}, not {}",
            left.identifier, right.identifier
        ));
    }
    if let Some(what) = first_other(&there.backends, &other.backends, backend_text) {
        return Some(format!("backend {what}"));
    }
    let rows = || there.rows().zip(other.rows()).enumerate();
    let count = rows().filter(|(_, (left, right))| left != right).count();
    let (row, (left, right)) = rows().find(|(_, (left, right))| left != right)?;
    Some(format!(
        "{count} of its {} rows are others: row {row:#06x} is {left:?}, not {right:?}",
        there.num_rows()
    ))
}

/// A bind without what means nothing.
fn masked(bind: &Bind) -> Bind {
    Bind {
        addr: bind.addr.masked(bind.prefix_len),
        ..*bind
    }
}

/// The first place where two lists differ.
fn first_other<T: PartialEq>(left: &[T], right: &[T], text: fn(&T) -> String) -> Option<String> {
    let place = (0..left.len().max(right.len())).find(|&at| left.get(at) != right.get(at))?;
    let text = |item: Option<&T>| item.map_or_else(|| "none".to_owned(), text);
    let (left, right) = (text(left.get(place)), text(right.get(place)));
    Some(format!("{place} is {left}, not {right}"))
}

fn backend_text(one: &CompiledBackend) -> String {
    let health = if one.backend.healthy {
        "healthy"
    } else {
        "unhealthy"
    };
    let (addr, state) = (addr(one.backend.addr), one.backend.state.name());
    let mut text = format!("{addr} ({state}, {health}");
    if one.weight != 1 {
        text += &format!(", weight {}", one.weight);
    }
    if let Some(domain) = &one.domain {
        text += &format!(", domain {domain}");
    }
    text + ")"
}

#[cfg(test)]
mod tests {
    use super::*;
    use glb_config::rows::compile;
    use glb_config::tables;
    use serde_json::{json, Value};

    fn table(change: impl FnOnce(&mut Value)) -> Compiled {
        let backend = |n| json!({"ip": format!("1.1.1.{n}"), "state": "active", "healthy": true});
        let mut tree = json!({"tables": [{"name": "t", "version": 3, "hops": 3,
            "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
            "binds": [{"ip": "9.9.9.0/24", "proto": "tcp", "port": 80}],
            "backends": [backend(1), backend(2), backend(3)]}]});
        change(&mut tree["tables"][0]);
        let config = tables::read("t", &tree.to_string()).value.expect("sound");
        compile(&config.tables[0]).expect("rows")
    }

    #[test]
    fn each_difference_is_found_and_named() {
        let there = table(|_| {});
        let key = Key::Known(there.hash_key);
        assert_eq!(difference(&there, &key, &there), None);
        let bits = table(|tree| tree["binds"][0]["ip"] = json!("9.9.9.7/24"));
        assert_eq!(difference(&there, &key, &bits), None);
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 6] = [
            (
                |tree| tree["hops"] = json!(2),
                "its rows have 3 hops, not 2",
            ),
            (
                |tree| tree["hash_key"] = json!("22345678901234561234567890123456"),
                "its hash_key is another",
            ),
            (
                |tree| tree["binds"][0]["port"] = json!(81),
                "bind 0 is tcp 9.9.9.0/24 port 80, not tcp 9.9.9.0/24 port 81",
            ),
            (
                |tree| tree["backends"][1]["state"] = json!("draining"),
                "backend 1 is 1.1.1.2 (active, healthy), not 1.1.1.2 (draining, healthy)",
            ),
            (
                |tree| tree["backends"][1]["weight"] = json!(5),
                "backend 1 is 1.1.1.2 (active, healthy), not 1.1.1.2 (active, healthy, weight 5)",
            ),
            (
                |tree| tree["seed"] = json!("00a3d861d661ae5ab06ed9326871a2f5"),
                "of its 65536 rows are others: row 0x",
            ),
        ];
        for (change, told) in cases {
            let said = difference(&there, &key, &table(change)).expect("a difference");
            assert!(said.contains(told), "{said}");
        }
    }
}
