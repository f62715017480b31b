// SPDX-License-Identifier: GPL-2.0

//! `glbctl table diff`: what moves, and which connections a roll-out breaks.
//!
//! Backends are the same if their addresses are; tables if their names are, or, where a side has no names,
//! their places. Packets are followed by the binds: from the table that has them now to the one that will.

mod changes;
mod dangers;
mod flows;
mod rows;
mod side;
mod text;
mod vips;

use self::changes::{Change, Place};
use self::dangers::Danger;
use self::rows::{Compared, Hashing, OfBackend};
use self::side::Side;
use super::lookup::classifier;
use crate::cli::table::TableDiff as Args;
use crate::output::{print, Failure};
use crate::text::{addr, bind, not_kept};
use glb_config::compiled::Compiled;
use glb_core::backend::Backend;
use glb_core::director::classify::bind::{BindId, Classifier};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Serialize)]
struct Diff {
    /// No connection breaks.
    safe: bool,
    /// Why not.
    dangers: Vec<Danger>,
    /// Tables that only the old side has.
    removed: Vec<String>,
    /// Tables that only the new side has.
    added: Vec<String>,
    tables: Vec<TableDiff>,
    /// Each piece of what binds name.
    vips: Vec<VipDiff>,
    /// Values that are other ones.
    changes: Vec<Change>,
    /// What was assumed, and what else there is to know.
    notes: Vec<String>,
}

#[derive(Serialize)]
struct TableDiff {
    table: String,
    /// The packet hash has another key: every connection changes its row, whatever the rows say.
    hash_key_changed: bool,
    rows: usize,
    /// Rows whose first hop is another one.
    moved: u32,
    /// Of those, rows whose old first hop could have stayed: it still takes new connections.
    needless: u32,
    /// Rows whose connections break, rounded up: those that begin now, and those from before.
    lost: u32,
    older_lost: u32,
    /// Rows whose connections only the flow table keeps.
    kept: u32,
    backends: Vec<BackendDiff>,
}

#[derive(Serialize)]
struct BackendDiff {
    ip: String,
    /// Nothing where the side does not have it.
    old: Option<BackendSide>,
    new: Option<BackendSide>,
    /// Rows that it is the first hop of, before and after.
    old_rows: u32,
    new_rows: u32,
    /// Rows that it lost to others, and won from others.
    moved_away: u32,
    moved_here: u32,
    /// Rows where connections to it break.
    lost: u32,
    older_lost: u32,
    /// Rows where only the flow table leads them to it.
    kept: u32,
}

#[derive(Serialize)]
struct BackendSide {
    state: &'static str,
    healthy: bool,
}

#[derive(Serialize)]
struct VipDiff {
    vip: String,
    /// The tables that have it; nothing where none has.
    old_table: Option<String>,
    new_table: Option<String>,
    /// How many of its connections break.
    lost_percent: f64,
    older_lost_percent: f64,
    /// How many only the flow table keeps.
    kept_percent: f64,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let (old, new, notes) = side::read(args, json)?;
    let mut comparison = Comparison::new(&old, &new);
    let mut diff = comparison.diff(notes)?;
    let mut dangers = comparison.dangers(&diff.vips);
    if args.settled {
        dangers.retain(|danger| !danger.older);
    }
    diff.safe = dangers.is_empty();
    diff.dangers = dangers;
    print(json, &diff, |out| text::write(out, &diff))?;
    if args.exit_code && !diff.safe {
        return Err(Failure::NotSafe);
    }
    Ok(())
}

/// Both sides, and what came of comparing pairs of their tables.
struct Comparison<'s> {
    old: &'s Side,
    new: &'s Side,
    old_hashing: Hashing,
    new_hashing: Hashing,
    pairs: BTreeMap<(usize, usize), Compared>,
    /// Pairs that a VIP leads from and to: only there do connections go over.
    linked: BTreeSet<(usize, usize)>,
}

impl<'s> Comparison<'s> {
    fn new(old: &'s Side, new: &'s Side) -> Self {
        let hashing = |side: &Side| side.settings.as_ref().map(|settings| settings.hashing);
        let old_hashing = hashing(old).unwrap_or_default();
        Self {
            old,
            new,
            old_hashing,
            // What is not said does not change.
            new_hashing: hashing(new).unwrap_or(old_hashing),
            pairs: BTreeMap::new(),
            linked: BTreeSet::new(),
        }
    }

    fn pair(&mut self, old: usize, new: usize) -> &Compared {
        let (sides, hashing) = ((self.old, self.new), (self.old_hashing, self.new_hashing));
        self.pairs.entry((old, new)).or_insert_with(|| {
            rows::compare(
                (&sides.0.tables[old], &hashing.0),
                (&sides.1.tables[new], &hashing.1),
                sides.0.keys[old].is(&sides.1.tables[new].hash_key),
            )
        })
    }

    fn same_key(&self, old: usize, new: usize) -> bool {
        self.old.keys[old].is(&self.new.tables[new].hash_key)
    }

    fn diff(&mut self, notes: Vec<String>) -> Result<Diff, Failure> {
        let partners = partners(&self.old.tables, &self.new.tables);
        let mut diff = Diff {
            safe: true,
            dangers: Vec::new(),
            removed: Vec::new(),
            added: Vec::new(),
            tables: Vec::new(),
            vips: self.vips()?,
            changes: changes::of_all(self.old, self.new),
            notes,
        };
        for (index, table) in self.new.tables.iter().enumerate() {
            let label = table.label(index);
            let Some(&before) = partners.get(&index) else {
                diff.added.push(label);
                continue;
            };
            let same_key = self.same_key(before, index);
            let (old, new) = (self.old, self.new);
            diff.changes.extend(changes::of_table(
                &label,
                &Place {
                    side: old,
                    index: before,
                },
                &Place { side: new, index },
                same_key,
            ));
            let compared = self.pair(before, index);
            if compared.down_after > compared.down_before {
                diff.notes.push(format!(
                    "table {}: new connections of {:.2} % of the rows reach a backend that is down, and not of {:.2} %",
                    glb_config::quoted(&label),
                    compared.share(f64::from(compared.down_after)) * 100.0,
                    compared.share(f64::from(compared.down_before)) * 100.0,
                ));
            }
            if let (true, Some(spec)) = (compared.kept > 0.0, new.tables[index].words.flows) {
                diff.notes.push(format!(
                    "table {}: in {:.2} % of the rows only its flow table keeps connections. {}",
                    glb_config::quoted(&label),
                    compared.share(compared.kept) * 100.0,
                    not_kept(spec),
                ));
            }
            diff.tables.push(table_diff(label, compared, same_key));
        }
        let gone = self.old.tables.iter().enumerate();
        let gone = gone.filter(|(index, _)| !partners.values().any(|at| at == index));
        diff.removed = gone.map(|(index, table)| table.label(index)).collect();
        Ok(diff)
    }

    fn vips(&mut self) -> Result<Vec<VipDiff>, Failure> {
        let (old, new) = (&self.old.tables, &self.new.tables);
        let words = |tables: &[Compiled]| classifier(tables.iter().map(|table| &*table.binds));
        let (old_words, new_words) = (words(old)?, words(new)?);
        let binds: Vec<_> = old
            .iter()
            .chain(new)
            .flat_map(|table| &table.binds)
            .collect();
        let pieces = vips::pieces(
            &binds,
            Classifier::new(&old_words),
            Classifier::new(&new_words),
        );
        let label = |tables: &[Compiled], id: Option<BindId>| {
            let index = usize::from(id?.table);
            Some(tables.get(index)?.label(index))
        };
        let mut vips = Vec::new();
        for piece in pieces {
            let (lost, older, kept) = match (piece.old, piece.new) {
                (Some(before), Some(after)) => {
                    let places = (before.table.into(), after.table.into());
                    self.linked.insert(places);
                    let pair = self.pair(places.0, places.1);
                    let share = |rows| pair.share(rows);
                    (share(pair.lost), share(pair.older), share(pair.kept))
                }
                (Some(_), None) => (1.0, 0.0, 0.0),
                (None, _) => (0.0, 0.0, 0.0),
            };
            vips.push(VipDiff {
                vip: bind(&piece.bind),
                old_table: label(&self.old.tables, piece.old),
                new_table: label(&self.new.tables, piece.new),
                lost_percent: lost * 100.0,
                older_lost_percent: older * 100.0,
                kept_percent: kept * 100.0,
            });
        }
        Ok(vips)
    }
}

/// For each new table its old one.
fn partners(old: &[Compiled], new: &[Compiled]) -> BTreeMap<usize, usize> {
    let named = |tables: &[Compiled]| tables.iter().all(|table| table.name.is_some());
    // With names on one side only, places are all that both have.
    let by_name = named(old) && named(new);
    let old_places: HashMap<String, usize> = old
        .iter()
        .enumerate()
        .map(|(index, table)| (table.label(index), index))
        .collect();
    let partner = |(index, table): (usize, &Compiled)| {
        let before = if by_name {
            old_places.get(&table.label(index)).copied()
        } else {
            (index < old.len()).then_some(index)
        };
        before.map(|before| (index, before))
    };
    new.iter().enumerate().filter_map(partner).collect()
}

fn table_diff(table: String, compared: &Compared, same_key: bool) -> TableDiff {
    let side = |backend: Option<Backend>| {
        backend.map(|backend| BackendSide {
            state: backend.state.name(),
            healthy: backend.healthy,
        })
    };
    let backend = |(ip, of): (&glb_core::packet::addr::Addr, &OfBackend)| BackendDiff {
        ip: addr(*ip),
        old: side(of.old),
        new: side(of.new),
        old_rows: of.old_rows,
        new_rows: of.new_rows,
        moved_away: of.moved_away,
        moved_here: of.moved_here,
        lost: whole(of.lost),
        older_lost: whole(of.older),
        kept: whole(of.kept),
    };
    TableDiff {
        table,
        hash_key_changed: !same_key,
        rows: compared.rows,
        moved: compared.moved,
        needless: compared.needless,
        lost: whole(compared.lost),
        older_lost: whole(compared.older),
        kept: whole(compared.kept),
        backends: compared.backends.iter().map(backend).collect(),
    }
}

/// Rounded up, so that nothing that is lost becomes nothing. Sums of chances are not exact.
fn whole(rows: f64) -> u32 {
    // The cast is exact: there are at most 655,373 rows.
    (rows - 1e-6).ceil().max(0.0) as u32
}
