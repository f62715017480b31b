// SPDX-License-Identifier: GPL-2.0

//! Why a roll-out breaks connections: each reason with the backend, or the VIP, and what to do.

use super::changes;
use super::flows::Flows;
use super::rows::{Compared, OfBackend};
use super::side::Side;
use super::{Comparison, VipDiff};
use crate::commands::table_show::{flows_text, select_text, ForwardView};
use crate::text::addr;
use glb_config::quoted;
use glb_core::backend::{Backend, State};
use glb_core::director::select::hash::HashFields;
use glb_core::director::{FlowHash, Forward};
use glb_core::packet::addr::Addr;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Danger {
    pub(super) kind: Kind,
    /// Only connections from before the old side was loaded break, if there still are any.
    pub(super) older: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vip: Option<String>,
    /// How many of the table's or of the VIP's connections break; nothing where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<f64>,
    /// All of it in a sentence.
    pub(super) reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A backend is no longer reached by its connections.
    Backend,
    /// Nothing takes the packets of a VIP any more.
    Vip,
    /// Packets are hashed with another key.
    HashKey,
    /// Other fields of packets are hashed.
    HashFields,
    /// Packets are sent to another UDP port.
    UdpPort,
    /// Packets leave in another way.
    Forward,
    /// Packets find other rows.
    Select,
    /// Packets find other tables by their classes.
    Classes,
    /// What the flow table knows is forgotten.
    Flows,
}

impl Comparison<'_> {
    pub(super) fn dangers(&self, vips: &[VipDiff]) -> Vec<Danger> {
        let mut dangers = self.of_settings();
        let same_order = || {
            let names = |side: &Side| -> Vec<String> {
                side.classes.iter().map(|one| one.name.clone()).collect()
            };
            names(self.old) == names(self.new)
        };
        let are_lost = self.old.has_untold_classes && self.new.classes.is_empty();
        if are_lost || !changes::classes(self.old, self.new).is_empty() || !same_order() {
            dangers.push(Danger {
                kind: Kind::Classes,
                older: false,
                table: None,
                backend: None,
                vip: None,
                percent: None,
                reason: "classes: they are others, or in another order: connections whose class leads to another table                          break; how many is not computed"
                    .to_owned(),
            });
        }
        for vip in vips.iter().filter(|vip| vip.new_table.is_none()) {
            let table = vip.old_table.clone();
            let had = quoted(table.as_deref().unwrap_or_default());
            dangers.push(Danger {
                kind: Kind::Vip,
                older: false,
                backend: None,
                percent: Some(100.0),
                reason: format!(
                    "{}: no table has it any more (table {had} had): all its connections break",
                    vip.vip
                ),
                vip: Some(vip.vip.clone()),
                table,
            });
        }
        for (before, after) in &self.linked {
            // Another system's flow hash has neither keys nor fields.
            let own = self.new.tables[*after].selector().flow_hash == FlowHash::Own;
            let refielded = own && !self.keeps(*after, self.old_hashing.fields);
            let Some(compared) = self.pairs.get(&(*before, *after)) else {
                continue;
            };
            let from = self.old.tables[*before].label(*before);
            let table = self.new.tables[*after].label(*after);
            let old_forward = self.old.tables[*before].forward;
            let forward = self.new.tables[*after].forward;
            if old_forward != forward {
                let (old, new) = (ForwardView::new(old_forward), ForwardView::new(forward));
                dangers.push(Danger {
                    kind: Kind::Forward,
                    older: false,
                    backend: None,
                    vip: None,
                    percent: Some(100.0),
                    reason: format!(
                        "table {}: forward: {old} -> {new}: all connections break unless each backend already takes both",
                        quoted(&table)
                    ),
                    table: Some(table.clone()),
                });
            }
            dangers.extend(self.of_marks(*before, *after));
            dangers.extend(self.of_flows(*before, *after, compared));
            let lost = compared.share(compared.lost + compared.older) > 0.0;
            let (old, new) = (&self.old.tables[*before], &self.new.tables[*after]);
            if lost && old.selector() != new.selector() {
                let percent = compared.share(compared.lost) * 100.0;
                let (old, new) = (select_text(old.selector()), select_text(new.selector()));
                dangers.push(Danger {
                    kind: Kind::Select,
                    older: false,
                    backend: None,
                    vip: None,
                    percent: Some(percent),
                    reason: format!(
                        "table {}: select: {old} -> {new}: connections change their rows, and {percent:.1} % of them break",
                        quoted(&table)
                    ),
                    table: Some(table),
                });
            } else if lost && own && !self.same_key(*before, *after) {
                let percent = compared.share(compared.lost) * 100.0;
                dangers.push(Danger {
                    kind: Kind::HashKey,
                    older: false,
                    backend: None,
                    vip: None,
                    percent: Some(percent),
                    reason: format!(
                        "table {}: hash_key is another one: connections change their rows, and {percent:.1} % \
                         of them break; a key can only be changed where none are to be kept",
                        quoted(&table)
                    ),
                    table: Some(table),
                });
            } else if !refielded {
                for (ip, of) in &compared.backends {
                    dangers.extend(of_backend((&from, &table), (forward, compared), *ip, of));
                }
            }
        }
        dangers
    }

    /// Backends whose packets get another mark, for whatever reason but another offset, which is a forward of its own.
    fn of_marks(&self, before: usize, after: usize) -> Vec<Danger> {
        let (old, new) = (&self.old.tables[before], &self.new.tables[after]);
        if old.forward != new.forward {
            return Vec::new();
        }
        let table = new.label(after);
        let moved = new.backends.iter().enumerate().filter_map(|(place, one)| {
            let ip = one.backend.addr;
            let was = old.backends.iter().position(|old| old.backend.addr == ip)?;
            let (old, new) = (old.mark(was)?, new.mark(place)?);
            (old != new).then_some((ip, old, new))
        });
        let danger = |(ip, old, new): (Addr, u32, u32)| {
            Danger {
            kind: Kind::Backend,
            older: false,
            table: Some(table.clone()),
            backend: Some(addr(ip)),
            vip: None,
            percent: None,
            reason: format!(
                "table {}: {}: its mark changes, {old} -> {new}: its connections go where the rules of mark {new} lead; keep its \"id\"",
                quoted(&table),
                addr(ip)
            ),
        }
        };
        moved.map(danger).collect()
    }

    /// What the flow table alone led to its backend, and leads there no longer.
    fn of_flows(&self, before: usize, after: usize, compared: &Compared) -> Vec<Danger> {
        let (old, new) = (&self.old.tables[before], &self.new.tables[after]);
        let (from, table) = (old.label(before), new.label(after));
        let danger = |kind, backend, reason| Danger {
            kind,
            older: true,
            table: Some(table.clone()),
            backend,
            vip: None,
            percent: None,
            reason,
        };
        match compared.flows {
            Flows::None | Flows::New => Vec::new(),
            Flows::Forgotten | Flows::Renamed => {
                let cause = if compared.flows == Flows::Renamed {
                    format!("table {} has another name", quoted(&from))
                } else {
                    let (old, new) = (old.words.flows, new.words.flows);
                    format!("{} -> {}", flows_text(old), flows_text(new))
                };
                let reason = format!(
                    "table {}: flows: {cause}: all that are remembered are forgotten, and connections from before that are not \
                     where their rows lead break; wait until those have ended",
                    quoted(&table)
                );
                vec![danger(Kind::Flows, None, reason)]
            }
            // Where headers list hops, the rows say what becomes of older connections.
            Flows::Kept if new.forward.lists_hops() => Vec::new(),
            Flows::Kept => {
                let forgotten = compared.backends.iter().filter(|(_, of)| of.is_forgotten());
                let of_backend = |(ip, of): (&Addr, &OfBackend)| {
                    let now = match &of.new {
                        None => "it is removed",
                        Some(new) if new.state == State::Inactive => "it becomes inactive",
                        Some(_) => "it is down, and keeps no flows",
                    };
                    let reason = format!(
                        "table {}: {}: connections from before that the flow table leads there break: {now}; wait until it has none \
                         (glbctl flows --backend)",
                        quoted(&table),
                        addr(*ip)
                    );
                    danger(Kind::Backend, Some(addr(*ip)), reason)
                };
                forgotten.map(of_backend).collect()
            }
        }
    }

    /// Whether the flow table keeps all connections that the rows do not.
    fn is_kept(&self, pair: &(usize, usize)) -> bool {
        let compared = self.pairs.get(pair);
        compared.is_some_and(|one| one.kept > 0.0 && one.share(one.lost + one.older) <= 0.0)
    }

    /// Whether packets of a new table still reach the hops of the row that these fields lead to: those of the second set
    /// only where headers list them.
    fn keeps(&self, table: usize, fields: HashFields) -> bool {
        fields == self.new_hashing.fields
            || Some(fields) == self.new_hashing.alt && self.new.tables[table].forward.lists_hops()
    }

    fn of_settings(&self) -> Vec<Danger> {
        let mut dangers = Vec::new();
        let mut danger = |kind, older, percent, reason: &str| {
            dangers.push(Danger {
                kind,
                older,
                table: None,
                backend: None,
                vip: None,
                percent,
                reason: reason.to_owned(),
            });
        };
        let fields = self.old_hashing.fields;
        let moved = |pair: &&(usize, usize)| !self.keeps(pair.1, fields) && !self.is_kept(pair);
        if self.linked.iter().any(|pair| moved(&pair)) {
            let pairs = || self.linked.iter().filter(moved);
            let lost = pairs().filter_map(|pair| self.pairs.get(pair));
            let worst = lost.map(|pair| pair.share(pair.lost));
            let percent = worst.fold(0.0, f64::max) * 100.0;
            let cure = if pairs().any(|pair| self.new.tables[pair.1].forward.lists_hops()) {
                "name the former fields as alt_hash_fields until these have ended"
            } else {
                "alt_hash_fields does not help, as the tables' forward names no further hops"
            };
            let reason = format!(
                "hash_fields are others: connections change their rows, and up to {percent:.1} % of them break; {cure}"
            );
            danger(Kind::HashFields, false, Some(percent), &reason);
        }
        let listed = |pair: &(usize, usize)| self.old.tables[pair.0].forward.lists_hops();
        let dropped = |alt| {
            let mut pairs = self.linked.iter();
            pairs.any(|pair| listed(pair) && !self.keeps(pair.1, alt))
        };
        if self.old_hashing.alt.is_some_and(dropped) {
            let reason = "alt_hash_fields are dropped: connections that began by them and still live break; \
                          wait until those have ended";
            danger(Kind::HashFields, true, None, reason);
        }
        if let (Some(old), Some(new)) = (&self.old.settings, &self.new.settings) {
            if old.udp_port != new.udp_port {
                let reason = format!(
                    "udp_port: {} -> {}: all connections break unless each proxy already takes both ports",
                    old.udp_port, new.udp_port
                );
                danger(Kind::UdpPort, false, Some(100.0), &reason);
            }
        }
        dangers
    }
}

fn of_backend(
    (from, table): (&str, &str),
    (forward, compared): (Forward, &Compared),
    ip: Addr,
    of: &OfBackend,
) -> Vec<Danger> {
    let mut dangers = Vec::new();
    for (older, rows) in [(false, of.lost), (true, of.older)] {
        let percent = compared.share(rows) * 100.0;
        if percent <= 0.0 {
            continue;
        }
        let which = if older {
            "connections from before that it still has"
        } else {
            "its connections"
        };
        let reason = format!(
            "table {}: {}: {which} break in {percent:.2} % of the rows: {}",
            quoted(table),
            addr(ip),
            why((from, table), (forward, compared.flows), of, older)
        );
        dangers.push(Danger {
            kind: Kind::Backend,
            older,
            table: Some(table.to_owned()),
            backend: Some(addr(ip)),
            vip: None,
            percent: Some(percent),
            reason,
        });
    }
    dangers
}

/// What became of the backend, and what is to be done.
fn why(
    (from, table): (&str, &str),
    (forward, flows): (Forward, Flows),
    of: &OfBackend,
    older: bool,
) -> String {
    if from != table && of.new.is_none() {
        return format!(
            "their packets leave table {} for {}, which does not have it",
            quoted(from),
            quoted(table)
        );
    }
    let wait = if older && flows == Flows::Kept {
        "wait until it has none (glbctl flows --backend)"
    } else if older {
        "wait until it has none (glbctl backend status)"
    } else {
        "drain it first, and wait until it has none (glbctl backend drain, status)"
    };
    let state = |backend: &Backend| backend.state.name();
    match (&of.old, &of.new) {
        (Some(old), None) => format!("it is removed, and was {}; {wait}", state(old)),
        (Some(old), Some(new)) if new.state == State::Inactive => {
            format!("{} -> inactive; {wait}", state(old))
        }
        _ if !forward.lists_hops() => format!(
            "their rows have another first hop, and {} packets name no further ones; {}",
            forward.name(),
            match flows {
                Flows::None => "without a second chance (forward gue) and without a flow table (flows) nothing keeps connections",
                Flows::New => "its flow table is new and knows none of them: load the flow table first, and change backends later",
                Flows::Forgotten => "its flow table forgets them: change its buckets or its key (by) in a step of their own",
                Flows::Renamed => "its flow table forgets them with the table's name: rename it in a step of its own",
                Flows::Kept => "it is down, and a flow table leads nothing to a backend that is down",
            }
        ),
        _ if of.behind_down => {
            "it comes behind a hop that is down, which passes nothing on; go on when all are healthy".to_owned()
        }
        _ if older => "it is none of their rows' hops any more; wait until the last step's connections have \
                       ended, one backend at a time"
            .to_owned(),
        _ => "it is none of their rows' hops any more: too much changes at once, or the seed; \
              change one backend at a time, inactive -> filling -> active"
            .to_owned(),
    }
}
