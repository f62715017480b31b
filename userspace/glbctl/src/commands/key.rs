// SPDX-License-Identifier: GPL-2.0

//! A table's key of the packet hash, as far as it is known.

use glb_core::director::select::hash::{packet_hash, HashFields};
use glb_core::packet::flow::FlowKey;
use glb_core::siphash::SipKey;

/// What is known of a key.
pub(crate) enum Key {
    Known([u8; 16]),
    /// The kernel tells no keys, but what it makes of a packet.
    Probe {
        flow: FlowKey,
        fields: HashFields,
        hash: u64,
    },
    /// Nothing leads to the table, so that nothing can be asked.
    Unused,
}

impl Key {
    /// Whether both are one key.
    pub(crate) fn is(&self, other: &[u8; 16]) -> bool {
        match self {
            Self::Known(key) => key == other,
            Self::Probe { flow, fields, hash } => {
                packet_hash(&SipKey::new(other), *fields, flow).0 == *hash
            }
            Self::Unused => true,
        }
    }
}
