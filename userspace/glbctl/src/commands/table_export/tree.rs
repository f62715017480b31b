// SPDX-License-Identifier: GPL-2.0

//! A table as it stands in the operator's file.

use super::source::Source;
use crate::commands::bind;
use crate::commands::key::Key;
use crate::commands::table_show::ForwardView;
use crate::output::hex;
use crate::text::addr;
use glb_config::compiled::{Compiled, CompiledBackend};
use glb_config::tables::Rule;
use glb_core::backend::State;
use glb_core::director::{FlowHash, Forward, Selector};
use serde_json::{json, Map, Value};

/// The table that is there, with what it lacks, and what no director knows (health checks), from the source.
pub(super) fn table(there: &Compiled, key: &Key, source: Option<Source<'_>>) -> Value {
    let mut tree = match source.and_then(|source| source.tree.as_object()) {
        Some(tree) => tree.clone(),
        None => Map::new(),
    };
    if let Some(name) = &there.name {
        tree.insert("name".to_owned(), name.as_str().into());
    }
    // Version 2 tables leave by gue only, whatever another source says.
    let gue = there.forward == Forward::default();
    let hops = u8::try_from(there.hops).unwrap_or(u8::MAX);
    let rule = match (there.seed, source) {
        _ if there.is_maglev() => Rule::Maglev { hops },
        (None, Some(source)) if gue => source.table.rule,
        _ if there.version == 3 || !gue => Rule::V3 { hops },
        _ => Rule::V2,
    };
    tree.shift_remove("select");
    match rule {
        Rule::V2 => {
            tree.shift_remove("version");
            tree.shift_remove("hops");
        }
        Rule::V3 { hops } => {
            tree.insert("version".to_owned(), 3.into());
            tree.insert("hops".to_owned(), hops.into());
        }
        Rule::Maglev { hops } => {
            tree.shift_remove("version");
            tree.shift_remove("hops");
            tree.insert("select".to_owned(), select(there.selector(), hops));
        }
    }
    tree.shift_remove("flows");
    if let Some(spec) = there.words.flows {
        let flows = json!({
            "buckets": spec.buckets, "timeout_s": spec.rules.timeout, "by": spec.rules.by.name()
        });
        tree.insert("flows".to_owned(), flows);
    }
    if gue {
        tree.shift_remove("forward");
    } else {
        tree.insert("forward".to_owned(), json!(ForwardView::new(there.forward)));
    }
    let own = match key {
        Key::Known(key) => Some(*key),
        Key::Probe { .. } | Key::Unused => None,
    };
    let of_source = |key: fn(Source<'_>) -> [u8; 16]| source.map(key);
    let hash_key = own.or_else(|| of_source(|source| source.table.hash_key));
    let seed = there.seed.or_else(|| of_source(|source| source.table.seed));
    for (name, key) in [("hash_key", hash_key), ("seed", seed)] {
        if let Some(key) = key {
            tree.insert(name.to_owned(), hex(&key).into());
        }
    }
    let binds = there.binds.iter().map(bind::value).collect();
    tree.insert("binds".to_owned(), binds);
    let complete = there.seed.is_some();
    let backends = there.backends.iter().enumerate().map(|(place, one)| {
        let mut tree = backend(one, complete, rule, source);
        tree.shift_remove("id");
        if usize::from(one.identifier) != place {
            tree.insert("id".to_owned(), one.identifier.into());
        }
        Value::Object(tree)
    });
    let backends = backends.collect();
    tree.insert("backends".to_owned(), backends);
    Value::Object(tree)
}

/// The select of a Maglev table, with nothing left to a default.
fn select(selector: Selector, hops: u8) -> Value {
    let mut select = json!({"kind": selector.select.name(), "size": selector.rows, "hops": hops});
    if selector.flow_hash != FlowHash::Own {
        select["compat"] = selector.flow_hash.name().into();
    }
    select
}

/// With weight and domain where the table is `complete`.
fn backend(
    there: &CompiledBackend,
    complete: bool,
    rule: Rule,
    source: Option<Source<'_>>,
) -> Map<String, Value> {
    let own = source.and_then(|source| {
        let addr = there.backend.addr;
        let mut all = source.table.backends.iter();
        let place = all.position(|one| one.backend.addr == addr)?;
        source.tree.get("backends")?.get(place)?.as_object()
    });
    let mut tree = own.cloned().unwrap_or_default();
    let one = there.backend;
    tree.insert("ip".to_owned(), addr(one.addr).into());
    tree.insert("state".to_owned(), one.state.name().into());
    tree.insert("healthy".to_owned(), one.healthy.into());
    if complete || rule == Rule::V2 {
        tree.shift_remove("weight");
        tree.shift_remove("domain");
        if there.weight != 1 {
            tree.insert("weight".to_owned(), there.weight.into());
        }
        if let Some(domain) = &there.domain {
            tree.insert("domain".to_owned(), domain.as_str().into());
        }
    }
    tree
}

/// The binary form of version 2 has one code for draining and inactive. A draining backend has rows of its own
/// by rule 2, an inactive one has none: so the rows tell. Returns which backends were found to be inactive.
pub(super) fn tell_inactive(there: &mut Compiled) -> Vec<usize> {
    let mut in_rows = [false; 256];
    for hop in &there.rows {
        in_rows[usize::from(*hop)] = true;
    }
    let mut found = Vec::new();
    for (index, (one, used)) in there.backends.iter_mut().zip(in_rows).enumerate() {
        if one.backend.state == State::Draining && !used {
            one.backend.state = State::Inactive;
            found.push(index);
        }
    }
    found
}
