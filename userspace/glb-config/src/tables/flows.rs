// SPDX-License-Identifier: GPL-2.0

//! `flows` of a table in the operator's file: which backend a flow has is remembered.

use super::must_be;
use crate::read::{Object, Reader};
use glb_core::director::flows::{By, Rules, Spec};

/// The words of `flows`.
pub(super) const FLOWS_FIELDS: [&str; 3] = ["buckets", "timeout_s", "by"];

/// How a table remembers flows: not, where it does not say so. An error gives nothing.
pub(crate) fn read_flows(reader: &mut Reader, object: &Object<'_>) -> Option<Option<Spec>> {
    let Some(node) = object.get("flows") else {
        return Some(None);
    };
    let fields = reader.object(&node, &FLOWS_FIELDS)?;
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
    Some(Spec::new(buckets?, timeout?, by?).ok())
}
