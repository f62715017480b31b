// SPDX-License-Identifier: GPL-2.0

//! What becomes of the connections of a table when another one takes its place, row by row.
//!
//! A connection is held by its row's first hop at the time when it began. Its packets reach that backend
//! afterwards if it is among the hops of the new row, and no hop before it is down: a proxy that is down
//! passes nothing on. A row's later hops may hold connections too, from before: a backend that drains or
//! fails was first once, and behind one that fills stands the one whose place it takes.
//!
//! With a flow table a connection keeps its backend whatever its row says, as long as that one keeps its flows.

use super::flows::{keeps, Flows};
use glb_config::compiled::{usable, Compiled};
use glb_core::backend::{Backend, State};
use glb_core::director::select::hash::HashFields;
use glb_core::director::FlowHash;
use glb_core::packet::addr::Addr;
use std::collections::BTreeMap;

/// How directors hash: the fields, and the second set, whose hops are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashing {
    pub(super) fields: HashFields,
    pub(super) alt: Option<HashFields>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            fields: HashFields::DEFAULT,
            alt: None,
        }
    }
}

impl Hashing {
    fn sets(&self) -> impl Iterator<Item = HashFields> {
        [Some(self.fields), self.alt].into_iter().flatten()
    }
}

/// Where a connection's row is afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// It is in the same row, and its hops come first.
    First,
    /// It is in the same row, whose hops come behind those of another one.
    Second,
    /// It is in other rows, as many as there are sets of fields.
    Elsewhere(i32),
}

/// Packets that name no further hops (`lists` is false) go to the first set's row alone.
fn follow(old: &Hashing, new: &Hashing, same_key: bool, lists: bool) -> Follow {
    let sets = || new.sets().take(if lists { 2 } else { 1 });
    match sets().position(|set| set == old.fields) {
        Some(0) if same_key => Follow::First,
        Some(_) if same_key => Follow::Second,
        _ => Follow::Elsewhere(if sets().count() == 2 { 2 } else { 1 }),
    }
}

/// A backend in both tables.
#[derive(Debug, Default, Clone)]
pub(super) struct OfBackend {
    pub(super) old: Option<Backend>,
    pub(super) new: Option<Backend>,
    /// Its weight afterwards: with none it takes no new connections.
    pub(super) new_weight: u16,
    /// Rows that it is the first hop of, before and after.
    pub(super) old_rows: u32,
    pub(super) new_rows: u32,
    /// Rows that it lost to others, and won from others.
    pub(super) moved_away: u32,
    pub(super) moved_here: u32,
    /// Rows whose connections to it break: those of now, and those from before.
    pub(super) lost: f64,
    pub(super) older: f64,
    /// Rows whose connections would break, if the flow table did not lead them to it.
    pub(super) kept: f64,
    /// Some of those that break do since it stands behind a hop that is down.
    pub(super) behind_down: bool,
}

/// What came of comparing two tables.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Rows of the old table, which all others are counted in.
    pub(super) rows: usize,
    /// Rows whose first hop is another one.
    pub(super) moved: u32,
    /// Of those, rows whose old first hop could have stayed: it still takes new connections.
    pub(super) needless: u32,
    /// Rows, not whole ones where it is a matter of chance.
    pub(super) lost: f64,
    pub(super) older: f64,
    /// Rows whose connections only the flow table keeps.
    pub(super) kept: f64,
    /// What becomes of the flow table.
    pub(super) flows: Flows,
    /// New connections of these rows reach a backend that is down.
    pub(super) down_before: u32,
    pub(super) down_after: u32,
    pub(super) backends: BTreeMap<Addr, OfBackend>,
}

/// Whether a packet that was in a row of a table is in the same row of another one, but for keys and fields.
enum Rows {
    /// Its number says nothing: there are as many others, or packets find them otherwise.
    Other,
    /// By another system's flow hash, which has neither keys nor fields.
    OfOthers,
    /// By the director's own hash.
    Ours,
}

fn same_rows(old: &Compiled, new: &Compiled) -> Rows {
    match (old.selector(), new.selector()) {
        (old, new) if old != new => Rows::Other,
        (_, new) if new.flow_hash != FlowHash::Own => Rows::OfOthers,
        _ => Rows::Ours,
    }
}

/// Compares the rows of two tables.
pub(super) fn compare(
    old: (&Compiled, &Hashing),
    new: (&Compiled, &Hashing),
    same_key: bool,
) -> Compared {
    let follow = match same_rows(old.0, new.0) {
        Rows::Other => Follow::Elsewhere(1),
        Rows::OfOthers => Follow::First,
        Rows::Ours => follow(old.1, new.1, same_key, new.0.forward.lists_hops()),
    };
    let (old, new) = (old.0, new.0);
    let reach = Reach::new(new, follow);
    let mut result = Compared {
        rows: old.num_rows(),
        flows: Flows::of(old, new),
        ..Compared::default()
    };
    for (file, new_one) in [(old, false), (new, true)] {
        for one in &file.backends {
            let entry = result.backends.entry(one.backend.addr).or_default();
            if new_one {
                entry.new_weight = one.weight;
            }
            let place = if new_one {
                &mut entry.new
            } else {
                &mut entry.old
            };
            place.get_or_insert(one.backend);
        }
    }
    // Rows of different numbers have nothing to do with each other: any pairs do.
    for (old_row, new_row) in old.rows().zip(new.rows().cycle()) {
        let old_row = old.reached(old_row);
        let old_hops = || old_row.iter().filter_map(|at| backend(old, *at));
        let (Some(before), Some(after)) = (
            old_hops().next(),
            new_row.first().and_then(|at| backend(new, *at)),
        ) else {
            continue;
        };
        result.count_first(before, after);
        // From here on hops that are down pass nothing on: what is behind them is out of reach already.
        let mut reachable = true;
        let mut settled = false;
        let (mut older, mut kept) = (0.0f64, 0.0f64);
        for (place, hop) in old_hops().enumerate() {
            let fresh = place == 0 && hop.healthy;
            let leaving = hop.state == State::Draining || !hop.healthy;
            let may_hold = reachable && (fresh || leaving || !settled);
            let broken = if may_hold {
                1.0 - reach.of(new_row, hop.addr)
            } else {
                0.0
            };
            if broken > 0.0 {
                let entry = result.backends.entry(hop.addr).or_default();
                if result.flows == Flows::Kept && entry.new.as_ref().is_some_and(keeps) {
                    entry.kept += broken;
                    kept = kept.max(broken);
                } else {
                    entry.behind_down |= reach.is_behind_down(new_row, hop.addr);
                    if fresh {
                        entry.lost += broken;
                        result.lost += broken;
                    } else {
                        entry.older += broken;
                        older = older.max(broken);
                    }
                }
            }
            reachable &= hop.healthy;
            settled |= hop.state == State::Active && hop.healthy;
        }
        result.older += older;
        result.kept += kept;
    }
    result
}

impl OfBackend {
    /// Whether it has connections by the flow table alone, which leads there no longer. How many, no row says.
    pub(super) fn is_forgotten(&self) -> bool {
        let keeps = |one: &Option<Backend>| one.as_ref().is_some_and(keeps);
        self.old_rows == 0 && keeps(&self.old) && !keeps(&self.new)
    }
}

impl Compared {
    fn count_first(&mut self, before: &Backend, after: &Backend) {
        let mut of = |addr: Addr, change: fn(&mut OfBackend)| {
            self.backends.entry(addr).and_modify(change);
        };
        of(before.addr, |one| one.old_rows += 1);
        of(after.addr, |one| one.new_rows += 1);
        self.down_before += u32::from(!before.healthy);
        self.down_after += u32::from(!after.healthy);
        if before.addr == after.addr {
            return;
        }
        of(before.addr, |one| one.moved_away += 1);
        of(after.addr, |one| one.moved_here += 1);
        self.moved += 1;
        let still = self.backends.get(&before.addr);
        let still = still
            .filter(|one| one.new_weight > 0)
            .and_then(|one| one.new);
        let stays = |one: &Backend| usable(one) && one.healthy && one.state != State::Draining;
        self.needless += u32::from(still.as_ref().is_some_and(stays));
    }

    /// Rows as a share of all.
    pub(super) fn share(&self, rows: f64) -> f64 {
        rows / self.rows as f64
    }
}

fn backend(table: &Compiled, at: u8) -> Option<&Backend> {
    table.backends.get(usize::from(at)).map(|one| &one.backend)
}

/// How likely packets reach a backend by a table's rows.
struct Reach<'t> {
    table: &'t Compiled,
    follow: Follow,
    /// Of a row that nothing is known of: how likely it leads to a backend.
    anywhere: BTreeMap<Addr, f64>,
    /// How likely all hops of a row are up.
    all_up: f64,
}

impl<'t> Reach<'t> {
    fn new(table: &'t Compiled, follow: Follow) -> Self {
        let mut reach = Self {
            table,
            follow,
            anywhere: BTreeMap::new(),
            all_up: 1.0,
        };
        if follow == Follow::First {
            return reach;
        }
        let mut all_up = 0u32;
        let mut counts: BTreeMap<Addr, u32> = BTreeMap::new();
        for row in table.rows() {
            let mut seen: Vec<Addr> = Vec::with_capacity(row.len());
            let mut up = true;
            let row = table.reached(row);
            for hop in row.iter().filter_map(|at| backend(table, *at)) {
                if up && !seen.contains(&hop.addr) {
                    seen.push(hop.addr);
                    *counts.entry(hop.addr).or_default() += 1;
                }
                up &= hop.healthy;
            }
            all_up += u32::from(up);
        }
        let share = |count: u32| f64::from(count) / table.num_rows() as f64;
        reach.anywhere = counts
            .into_iter()
            .map(|(addr, count)| (addr, share(count)))
            .collect();
        reach.all_up = share(all_up);
        reach
    }

    fn by_row(&self, row: &[u8], addr: Addr) -> bool {
        let row = self.table.reached(row);
        let mut hops = row.iter().filter_map(|at| backend(self.table, *at));
        hops.find(|hop| hop.addr == addr || !hop.healthy)
            .is_some_and(|hop| hop.addr == addr)
    }

    /// How likely packets of connections in this row, as it was, reach the backend.
    fn of(&self, row: &[u8], addr: Addr) -> f64 {
        let anywhere = self.anywhere.get(&addr).copied().unwrap_or(0.0);
        match self.follow {
            Follow::First => f64::from(u8::from(self.by_row(row, addr))),
            Follow::Second => {
                let behind = f64::from(u8::from(self.by_row(row, addr))) * self.all_up;
                1.0 - (1.0 - anywhere) * (1.0 - behind)
            }
            Follow::Elsewhere(sets) => 1.0 - (1.0 - anywhere).powi(sets),
        }
    }

    fn is_behind_down(&self, row: &[u8], addr: Addr) -> bool {
        let row = self.table.reached(row);
        let hops = || row.iter().filter_map(|at| backend(self.table, *at));
        self.follow == Follow::First && hops().any(|hop| hop.addr == addr)
    }
}
