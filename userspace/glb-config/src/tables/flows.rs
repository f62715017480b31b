// SPDX-License-Identifier: GPL-2.0

//! `flows` of a table in the operator's file: which backend a flow has is remembered.

use super::{must_be, Table};
use crate::read::{Node, Object, Reader};
use glb_core::director::flows::{By, Rules, Spec};
use glb_core::director::Forward;

/// The words of `flows`.
pub(super) const FLOWS_FIELDS: [&str; 3] = ["buckets", "timeout_s", "by"];

/// How a table remembers flows. Where it does not say so, it does if its packets name no further hops, since nothing else keeps
/// their connections when rows move. An error gives nothing.
pub(super) fn read_flows(
    reader: &mut Reader,
    object: &Object<'_>,
    forward: Option<Forward>,
) -> Option<Option<Spec>> {
    match object.get("flows") {
        None => Some((!forward?.lists_hops()).then(Spec::default)),
        // `null` says nothing, in all fields.
        Some(node) if node.value == false => Some(None),
        Some(node) => read_spec(reader, &node).map(Some),
    }
}

/// How a table that was shown remembers flows: not, where that was not shown.
pub(crate) fn read_shown_flows(reader: &mut Reader, object: &Object<'_>) -> Option<Option<Spec>> {
    match object.get("flows") {
        None => Some(None),
        Some(node) => read_spec(reader, &node).map(Some),
    }
}

fn read_spec(reader: &mut Reader, node: &Node<'_>) -> Option<Spec> {
    if node.value.is_boolean() {
        reader.error(node, "must be an object, or false for none");
        return None;
    }
    let fields = reader.object(node, &FLOWS_FIELDS)?;
    let default = Spec::default();
    let buckets = match fields.get("buckets") {
        Some(node) => reader.integer(&node, 1u32..=Rules::MAX_BUCKETS),
        None => Some(default.buckets),
    };
    let timeout = match fields.get("timeout_s") {
        Some(node) => reader.integer(&node, 1u16..=Rules::MAX_TIMEOUT),
        None => Some(default.rules.timeout),
    };
    let by = match fields.get("by") {
        Some(node) => {
            let by = By::from_name(reader.string(&node)?);
            if by.is_none() {
                reader.error(&node, must_be(By::ALL.iter().map(|one| one.name())));
            }
            by
        }
        None => Some(default.rules.by),
    };
    Spec::new(buckets?, timeout?, by?).ok()
}

/// Shares the memory that flow tables may have among the tables that do not say how many buckets they want. An error where
/// those that do say it want more.
pub(super) fn share(reader: &mut Reader, said: &[Node<'_>], tables: &mut [Table]) {
    let most = Spec::MAX_BYTES >> 20;
    let says = |node: &Node<'_>| {
        let buckets = node
            .value
            .get("flows")
            .and_then(|flows| flows.get("buckets"));
        buckets.is_some_and(|buckets| !buckets.is_null())
    };
    let (mut others, mut by_default) = (0u64, Vec::new());
    for (index, (node, table)) in said.iter().zip(tables).enumerate() {
        let label = table.label(index);
        match &mut table.words.flows {
            Some(spec) if says(node) => {
                others += spec.bytes();
                if others > Spec::MAX_BYTES {
                    let needed = others.div_ceil(1 << 20);
                    let reason = format!(
                        "{}: flows of all tables up to this one need {needed} MiB: at most {most}; fewer buckets, or \"flows\": false",
                        spec.buckets
                    );
                    reader.in_table(Some(label));
                    reader.error_at("flows.buckets", reason);
                    reader.in_table(None);
                    return;
                }
            }
            Some(spec) => by_default.push(spec),
            None => {}
        }
    }
    let (count, default) = (by_default.len(), Rules::DEFAULT_BUCKETS);
    let Some(buckets) = Spec::share(count, others) else {
        let reason = format!(
            "{count} do not say how many flows they remember, and nothing of the {most} MiB for all is left: \
             set flows.buckets, or \"flows\": false"
        );
        reader.error_at("tables", reason);
        return;
    };
    if buckets == default {
        return;
    }
    let reason = format!(
        "{count} do not say how many flows they remember: {buckets} buckets each instead of {default}, as all together may \
         take {most} MiB; set flows.buckets where more are needed, \"flows\": false where none are"
    );
    reader.warn_at("tables", reason);
    for spec in by_default {
        spec.buckets = buckets;
    }
}
