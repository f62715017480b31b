// SPDX-License-Identifier: GPL-2.0

//! The flow table of a service: which backend a flow has, whatever its row says now.
//!
//! ```text
//! key     packet -> what is compared, and the bucket
//! meta    the word of an entry that says whose it is, with which backend, and since when
//! bucket  four entries in a cache line, shared by all CPUs without a lock
//! table   buckets, their rules; what becomes of a packet
//! ```
//!
//! Contexts: packet paths on all CPUs at once, and beside them process context, which lists and sweeps. Nothing here waits:
//! who finds an entry that another CPU is writing at this moment goes by the row, and its packet is counted as untracked.
//!
//! Life times: an entry names a backend by a [`Tag`](crate::director::ids::Tag). After a load that removed backends, and
//! after the grace period of the old tables, the loader sweeps the entries of the removed ones, so that a tag can be given
//! again.

mod bucket;
mod key;
mod meta;
mod table;

pub use key::{By, Key};
pub use table::{
    follow, key, known, learn, Bucket, Event, FlowTable, Listed, Memory, Rules, Spec, Unfit, Who,
    ENTRIES,
};

#[cfg(test)]
mod loom_tests;
#[cfg(test)]
mod model_tests;
