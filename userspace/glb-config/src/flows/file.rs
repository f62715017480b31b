// SPDX-License-Identifier: GPL-2.0

//! Where the packets of a connection go, by a file of tables and the core's decision.

use super::way::{ends, Way, Ways};
use crate::compiled::Compiled;
use crate::issue::quoted;
use crate::opened::Opened;
use crate::world::{classifier, Tables};
use glb_core::director::classify::bind::Proto;
use glb_core::director::{decide, Candidate, Kind, World};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::settings::Settings;
use std::borrow::Cow;

/// A file of tables, whose rows are computed when the first connection belongs to them.
pub struct FileTables {
    opened: Opened,
    world: Tables<'static>,
    settings: Settings,
}

impl FileTables {
    /// These tables, for directors with these settings.
    pub fn new(opened: Opened, settings: Settings) -> Result<Self, String> {
        let binds = opened.binds();
        let words = classifier(binds.iter().copied())?;
        let none = binds.iter().map(|_| None);
        Ok(Self {
            world: Tables::new(none, words),
            opened,
            settings,
        })
    }

    /// The file.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Ways for FileTables {
    fn way(&mut self, flow: &FlowKey, hops: &mut Vec<Addr>) -> Result<Option<Way>, String> {
        hops.clear();
        let (_, vip) = ends(flow);
        let Some(id) = self.world.bind(vip, Proto::Tcp, flow.dst_port) else {
            return Ok(None);
        };
        let table = usize::from(id.table);
        if !self.world.has(table) {
            let compiled = self.opened.table(table)?;
            let compiled: Option<Compiled> = compiled.map(Cow::into_owned);
            let missing = || "a bind of no table".to_owned();
            self.world
                .put(table, Cow::Owned(compiled.ok_or_else(missing)?));
        }
        let candidate = Candidate {
            kind: Kind::Flow(Proto::Tcp),
            key: *flow,
            hint: flow.src_port,
            len: 0,
            fragment: None,
            flags: 0,
        };
        let refused = |_| format!("{} goes nowhere", quoted(&self.opened.labels()[table]));
        let plan = decide(&self.world, &self.settings, candidate).map_err(refused)?;
        let (row, alt_row) = (plan.row(&self.world), plan.alt_row(&self.world));
        let mut add = |row: u32| {
            let named = Tables::forward(plan.table).named(self.world.any_row(plan.table, row));
            let backends = named
                .iter()
                .filter_map(|index| self.world.hop(plan.table, *index));
            hops.extend(backends.map(|one| one.backend.addr));
        };
        add(row);
        alt_row.into_iter().for_each(&mut add);
        Ok(Some(Way {
            table,
            row,
            alt_row,
        }))
    }
}
