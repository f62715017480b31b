// SPDX-License-Identifier: GPL-2.0

//! What the module keeps in a namespace.

#![forbid(unsafe_code)]

use crate::config::Config;
use crate::gateway;
use crate::stats::Stats;
use crate::tables::flows::now;
use crate::tables::follow::{self, NoMemory};
use crate::tables::set::{Table, TableSet, TooManyHops};
use crate::tables::staging::Staging;
use glb_core::director::ids::Tag;
use glb_kernel::base::rcu::{Guard, Rcu, Reader};
use glb_kernel::base::sync::Mutex;
use glb_kernel::base::time;
use kernel::prelude::*;

/// What the module keeps in a namespace, beside the attached devices, which are its doors (`namespace.rs`).
pub(crate) struct State {
    tables: Rcu<TableSet>,
    config: Rcu<Config>,
    /// Loads under way.
    staging: Mutex<Staging>,
    /// Serialises changes; holds the generation of the last load.
    changes: Mutex<u32>,
    stats: Stats,
    gateway_stats: gateway::stats::Stats,
}

/// Why tables are not published.
pub(crate) enum Unpublished {
    /// No memory.
    Memory,
    /// No memory for the flows of a table, or for its counters.
    Lasting(NoMemory),
    /// A table that does not go with the settings: there is a second set of hash fields.
    Hops(TooManyHops),
}

impl State {
    /// Of a namespace that has no tables yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            tables: Rcu::empty(),
            config: Rcu::empty(),
            staging: Mutex::new(Staging::new())?,
            changes: Mutex::new(0)?,
            stats: Stats::new()?,
            gateway_stats: gateway::stats::Stats::new()?,
        })
    }

    /// The loaded tables, if any were.
    #[inline]
    pub(crate) fn tables<'a>(&'a self, rcu: impl Into<Reader<'a>>) -> Option<&'a TableSet> {
        self.tables.get(rcu)
    }

    /// The settings.
    #[inline]
    pub(crate) fn config<'a>(&'a self, rcu: impl Into<Reader<'a>>) -> &'a Config {
        self.config.get(rcu).unwrap_or(&Config::DEFAULT)
    }

    /// The counters of packets.
    #[inline]
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The counters of devices with the role geneve.
    #[inline]
    pub(crate) fn gateway_stats(&self) -> &gateway::stats::Stats {
        &self.gateway_stats
    }

    /// The loads under way.
    pub(crate) fn staging(&self) -> &Mutex<Staging> {
        &self.staging
    }

    /// The number of the last load, 0 before the first.
    pub(crate) fn generation(&self) -> u32 {
        self.tables(&Guard::new()).map_or(0, |set| set.generation)
    }

    /// Publishes tables; returns the number of the load. The old tables are freed once no packet looks at
    /// them, and flows of backends that are no more are ended, before this returns. Both are done before the next load, so
    /// that what points to backends need tell a few of them apart only (`core/src/director/ids.rs`).
    pub(crate) fn publish(&self, set: TableSet) -> Result<u32, Unpublished> {
        let mut set = KBox::new(set, GFP_KERNEL_ACCOUNT).map_err(|_| Unpublished::Memory)?;
        let mut last = self.changes.lock();
        // Settings do not change while the lock is held.
        if self.config(&Guard::new()).alt_hash_fields.is_some() {
            if let Some(table) = set.too_long_for_two() {
                return Err(Unpublished::Hops(table));
            }
        }
        let old_len = self.tables(&Guard::new()).map_or(0, |old| old.tables.len());
        let mut taken = follow::places(old_len).map_err(|_| Unpublished::Memory)?;
        for index in 0..set.tables.len() {
            // The lock keeps the old tables. A guard for each, because all grace periods of the machine wait for its end.
            if let Some(old) = self.tables(&Guard::new()) {
                set.succeed(index, old, &mut taken);
            }
            time::pause();
        }
        set.complete().map_err(Unpublished::Lasting)?;
        // 0 says that nothing was loaded.
        let generation = last.checked_add(1).unwrap_or(1);
        *last = generation;
        set.generation = generation;
        for table in set.tables.iter_mut() {
            table.generation = generation;
        }
        let num_tables = set.tables.len();
        let old = self.tables.replace(Some(set));
        // No packet looks at the old tables after this. So nobody remembers a flow with a backend that has left any more.
        drop(old);
        for index in 0..num_tables {
            let gone = |table: &Table, tag| table.roster.backend(tag).is_none();
            self.forget_of(index, |table| table.sweep, gone);
        }
        drop(last);
        Ok(generation)
    }

    /// Ends the flows that are wanted, of all tables; says how many.
    pub(crate) fn forget(&self, wanted: impl Fn(&Table, Tag) -> bool) -> u64 {
        // So that no table takes the place of another meanwhile.
        let lock = self.changes.lock();
        let num_tables = self.tables(&Guard::new()).map_or(0, |set| set.tables.len());
        let mut ended = 0u64;
        for index in 0..num_tables {
            ended = ended.wrapping_add(self.forget_of(index, |_| true, &wanted));
        }
        drop(lock);
        ended
    }

    /// Ends the flows of one table that are wanted, if the table is; says how many. The lock of changes is held.
    fn forget_of(
        &self,
        index: usize,
        of: impl Fn(&Table) -> bool,
        wanted: impl Fn(&Table, Tag) -> bool,
    ) -> u64 {
        let (mut first, mut ended) = (0usize, 0u64);
        loop {
            let rcu = Guard::new();
            let table = self.tables(&rcu).and_then(|set| set.tables.get(index));
            let found = table
                .filter(|table| of(table))
                .and_then(|table| Some((table, table.flows.as_ref()?, table.flow_spec.as_ref()?)));
            let Some((table, flows, spec)) = found else {
                return ended;
            };
            let piece = flows.piece(first);
            if piece.is_empty() {
                return ended;
            }
            for bucket in piece {
                let released = bucket.flush(|tag| wanted(table, tag), spec.rules, now());
                ended = ended.wrapping_add(released as u64);
            }
            first = first.wrapping_add(piece.len());
            drop(rcu);
            time::pause();
        }
    }

    /// Changes the settings; an error leaves them as they are. Returns the new ones. `change` is told of a loaded table
    /// that would not go with a second set of hash fields.
    pub(crate) fn change_config(
        &self,
        change: impl FnOnce(&mut Config, Option<TooManyHops>) -> Result,
    ) -> Result<Config> {
        let lock = self.changes.lock();
        let mut config = *self.config(&Guard::new());
        let too_long = self
            .tables(&Guard::new())
            .and_then(TableSet::too_long_for_two);
        change(&mut config, too_long)?;
        let old = self
            .config
            .replace(Some(KBox::new(config, GFP_KERNEL_ACCOUNT)?));
        drop(lock);
        // Afterwards no packet has the old settings.
        drop(old);
        if let Some(set) = self.tables(&Guard::new()) {
            // Routes depend on the source address.
            set.next_hops.iter().for_each(|hop| hop.route.reset());
        }
        Ok(config)
    }
}
