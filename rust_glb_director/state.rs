// SPDX-License-Identifier: GPL-2.0

//! What the module keeps in a namespace.

#![forbid(unsafe_code)]

use crate::config::Config;
use crate::stats::Stats;
use crate::tables::set::{TableSet, TooManyHops};
use crate::tables::staging::Staging;
use glb_kernel::base::rcu::{Guard, Rcu, Reader};
use glb_kernel::base::sync::Mutex;
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
}

/// Why tables are not published.
pub(crate) enum Unpublished {
    /// No memory.
    Memory,
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

    /// The loads under way.
    pub(crate) fn staging(&self) -> &Mutex<Staging> {
        &self.staging
    }

    /// The number of the last load, 0 before the first.
    pub(crate) fn generation(&self) -> u32 {
        self.tables(&Guard::new()).map_or(0, |set| set.generation)
    }

    /// Publishes tables; returns the number of the load. The old tables are freed once no packet looks at
    /// them, before this returns.
    pub(crate) fn publish(&self, set: TableSet) -> Result<u32, Unpublished> {
        let mut set = KBox::new(set, GFP_KERNEL_ACCOUNT).map_err(|_| Unpublished::Memory)?;
        let mut last = self.changes.lock();
        // Settings do not change while the lock is held.
        if self.config(&Guard::new()).alt_hash_fields.is_some() {
            if let Some(table) = set.too_long_for_two() {
                return Err(Unpublished::Hops(table));
            }
        }
        // 0 says that nothing was loaded.
        let generation = last.checked_add(1).unwrap_or(1);
        *last = generation;
        set.generation = generation;
        for table in set.tables.iter_mut() {
            table.generation = generation;
        }
        let old = self.tables.replace(Some(set));
        drop(last);
        drop(old);
        Ok(generation)
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
