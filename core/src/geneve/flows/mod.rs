// SPDX-License-Identifier: GPL-2.0

//! The flow cache: which header the packets of a flow came with, so that what goes back leaves in the same one.
//!
//! All CPUs read and write it without a lock. Its size is fixed. A flow that finds no room goes without a header and is counted.
//! Whatever happens, no packet leaves in a header that is not its flow's (docs/decisions/0016).
//!
//! ```text
//! tuple    the flow that an inner packet belongs to
//! entry    flow and header in 15 words
//! meta     the word of an entry that is written last and read first
//! refusal  what a bucket remembers of flows that it has not, or no more
//! slot     publishing and reading an entry
//! bucket   eight entries; a flow has two buckets
//! cache    all buckets, time, the operator's limits
//! ```

mod bucket;
mod cache;
mod entry;
mod meta;
mod refusal;
mod slot;
mod tuple;

pub use bucket::{Bucket, SLOTS};
pub use cache::{Cache, Event, Found, Listed, Spec, TooMany, MAX_FLOWS};
pub use entry::{Held, Unpacked, MAX_HELD_OPTIONS};
pub use meta::{Limits, Unfit};
pub(super) use tuple::quoted;
pub use tuple::{Part, Tuple, Turn};

#[cfg(test)]
mod loom_tests;
#[cfg(test)]
mod model_tests;
