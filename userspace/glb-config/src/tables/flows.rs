// SPDX-License-Identifier: GPL-2.0

//! `flows` of a table in the operator's file: which backend a flow has is remembered.

use super::must_be;
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
