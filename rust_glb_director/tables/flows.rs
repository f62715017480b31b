// SPDX-License-Identifier: GPL-2.0

//! The flow table of a service: memory that all loads of one table name share.
//!
//! Tables are immutable, flow tables are not: packets of all CPUs write them (`core/src/director/flows/`). A load takes the flow
//! table over from the old table of the same name, unless another number of buckets or another key is wanted. The last set of
//! tables that has it frees it.

#![forbid(unsafe_code)]

use super::memory::gfp;
use glb_core::director::flows::{Bucket, By, Event, FlowTable, Rules, Spec};
use glb_core::siphash::SipKey;
use glb_kernel::base::counters::Counters;
use glb_kernel::base::vec::Append;
use glb_kernel::base::{random, time};
use kernel::prelude::*;
use kernel::sync::Arc;

/// Buckets between two pauses of process context.
pub(crate) const PIECE: usize = 4096;

/// Flows of a service, and how its packets were counted.
pub(crate) struct Flows {
    buckets: KVVec<Bucket>,
    by: By,
    /// Nobody outside knows it, so nobody can aim at buckets or make fingerprints that are equal.
    secret: SipKey,
    counters: Counters<{ Event::ALL.len() }>,
}

impl Flows {
    /// An empty one.
    pub(crate) fn new(spec: &Spec) -> Result<Arc<Self>> {
        let len = spec.buckets as usize;
        let mut buckets = KVVec::with_capacity(len, gfp())?;
        let mut left = PIECE;
        while buckets.len() < len {
            buckets.append(Bucket::new(), gfp())?;
            left = left.wrapping_sub(1);
            if left == 0 {
                time::pause();
                left = PIECE;
            }
        }
        let flows = Self {
            buckets,
            by: spec.rules.by,
            secret: SipKey::new(&random::bytes()),
            counters: Counters::new()?,
        };
        Ok(Arc::new(flows, gfp())?)
    }

    /// Whether a table that wants this can have it. The timeout is the table's own.
    pub(crate) fn suits(&self, spec: &Spec) -> bool {
        self.buckets.len() == spec.buckets as usize && self.by == spec.rules.by
    }

    /// Buckets.
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Ends the flows whose time is over by these rules. In process context.
    pub(super) fn expire(&self, rules: Rules) {
        let mut first = 0usize;
        loop {
            let piece = self.piece(first);
            if piece.is_empty() {
                return;
            }
            for bucket in piece {
                bucket.expire(rules, now());
            }
            first = first.wrapping_add(piece.len());
            time::pause();
        }
    }

    /// Some of the buckets, from this one on.
    pub(crate) fn piece(&self, first: usize) -> &[Bucket] {
        let rest = self.buckets.get(first..).unwrap_or_default();
        rest.get(..PIECE).unwrap_or(rest)
    }

    /// The counters, each with its name.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Event::ALL
            .iter()
            .map(|event| (event.counter(), self.counters.sum(event.index())))
    }

    /// The table, at this second.
    #[inline(always)]
    pub(super) fn table(&self, rules: Rules) -> FlowTable<'_> {
        FlowTable {
            buckets: &self.buckets,
            secret: &self.secret,
            rules,
            now: now(),
        }
    }

    /// What nobody outside knows.
    #[inline(always)]
    pub(super) fn secret(&self) -> &SipKey {
        &self.secret
    }

    /// Counts a packet.
    #[inline(always)]
    pub(super) fn count(&self, event: Event) {
        match event {
            Event::Known => self.counters.add::<{ Event::Known as usize }>(1),
            Event::First => self.counters.add::<{ Event::First as usize }>(1),
            Event::Untracked => self.counters.add::<{ Event::Untracked as usize }>(1),
            Event::NoBackend => self.counters.add::<{ Event::NoBackend as usize }>(1),
        }
    }
}

/// The clock of the entries.
#[inline(always)]
pub(crate) fn now() -> u16 {
    // The cast keeps the low bits: the clock comes round.
    time::seconds() as u16
}
