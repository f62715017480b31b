// SPDX-License-Identifier: GPL-2.0

//! What is to be: the targets with their identifiers, and the rules and routes that follow from them.

use crate::ids::{give, Ids, OfService};
use crate::table::{Base, Service};
use crate::target::{text, Target};
use crate::Owners;
use glb_config::targets::{TargetSpec, TargetsConf};
use glb_core::packet::addr::Addr;
use glb_netlink::steering::{Place, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A target that gets no packets, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "target {} of service {}: {}",
            self.name, self.service, self.reason
        )
    }
}

/// A rule and a route, which lead one family's packets to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) rule: Rule,
    pub(crate) place: Place,
    pub(crate) gateways: Vec<Addr>,
}

/// What is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Target>,
    /// What cannot be.
    pub(crate) refused: Vec<Refused>,
    /// Targets whose identifier is still another one's: they get it once that one is out.
    pub(crate) waiting: Vec<Refused>,
}

/// A service while its identifiers are given.
struct Giving<'p> {
    index: usize,
    service: &'p Service,
    ids: &'p mut OfService,
    owners: &'p Owners,
    plan: &'p mut Plan,
    taken: BTreeMap<u16, String>,
    addresses: BTreeMap<Addr, String>,
}

impl Plan {
    /// Gives identifiers: each target keeps its own. `owners` are the targets that the running table has.
    pub(crate) fn new(
        config: &TargetsConf,
        base: &Base,
        specs: &[TargetSpec],
        (ids, owners): (&mut Ids, &Owners),
    ) -> Self {
        let mut plan = Self::default();
        for spec in specs {
            if !config.services.iter().any(|one| one.name == spec.service) {
                let reason = "targets.conf has no such service".to_owned();
                plan.refused.push(refused(spec, reason));
            }
        }
        for (index, service) in base.services.iter().enumerate() {
            let own = specs.iter().filter(|spec| spec.service == service.name);
            let mut own: Vec<&TargetSpec> = own.collect();
            let ids = ids.0.entry(service.name.clone()).or_default();
            // Who has an identifier comes before who wants one, and who wants a certain one before who takes any.
            let rank = |spec: &TargetSpec| {
                let has = ids.get(&spec.name).copied();
                let keeps = has.is_some() && (spec.id.is_none() || spec.id == has);
                (!keeps, spec.id.is_none(), spec.name.clone())
            };
            own.sort_by_cached_key(|spec| rank(spec));
            let mut giving = Giving {
                index,
                service,
                ids,
                owners,
                plan: &mut plan,
                taken: BTreeMap::new(),
                addresses: BTreeMap::new(),
            };
            own.into_iter().for_each(|spec| giving.give(spec));
        }
        plan.refused.sort();
        plan.targets.sort_by_key(|one| (one.service, one.id));
        plan
    }

    /// The rules that drop: what no target gets, of all services, and behind the rule of each target what finds no route there, as
    /// in the moment in which its device goes down. Otherwise such a packet would take the way of packets without a mark.
    pub(crate) fn drops(base: &Base, targets: &[Target], priority: u32) -> Vec<Rule> {
        let nobody = |service: &Service| (service.mark(service.max_targets), priority);
        let behind = |target: &Target| {
            let mark = base.services[target.service].mark(target.id);
            (mark, priority.saturating_add(1))
        };
        let marks = base.services.iter().map(nobody);
        let both = |(mark, priority): (u32, u32)| {
            [false, true].map(|v6| Rule {
                v6,
                mark,
                table: None,
                priority,
            })
        };
        marks
            .chain(targets.iter().map(behind))
            .flat_map(both)
            .collect()
    }

    /// Rules and routes of a target.
    pub(crate) fn leads(base: &Base, priority: u32, target: &Target) -> Vec<Lead> {
        let service = &base.services[target.service];
        let table = service.routing_table(target.id);
        let lead = |v6| {
            let gateways = target.of_family(v6);
            let rule = Rule {
                v6,
                mark: service.mark(target.id),
                table: Some(table),
                priority,
            };
            let place = Place { v6, table };
            (!gateways.is_empty()).then_some(Lead {
                rule,
                place,
                gateways,
            })
        };
        [false, true].into_iter().filter_map(lead).collect()
    }
}

impl Giving<'_> {
    fn give(&mut self, spec: &TargetSpec) {
        if let Err(reason) = self.fits(spec) {
            self.plan.refused.push(refused(spec, reason));
            return;
        }
        let id = match self.find(spec) {
            Ok(id) => id,
            Err(reason) => {
                self.plan.refused.push(refused(spec, reason));
                return;
            }
        };
        give(self.ids, &spec.name, id);
        self.taken.insert(id, spec.name.clone());
        if let Some(first) = spec.addresses.first() {
            self.addresses.insert(*first, spec.name.clone());
        }
        // Its mark still leads to another target: that one has to be out of the table first.
        let key = (self.service.name.clone(), id);
        if let Some(owner) = self.owners.get(&key).filter(|owner| **owner != spec.name) {
            let reason = format!("waits until {owner} has left identifier {id}");
            self.plan.waiting.push(refused(spec, reason));
            return;
        }
        self.plan.targets.push(Target {
            service: self.index,
            name: spec.name.clone(),
            addresses: spec.addresses.clone(),
            id,
        });
    }

    /// Whether its addresses do for the service.
    fn fits(&self, spec: &TargetSpec) -> Result<(), String> {
        let has = |v6: bool| spec.addresses.iter().any(|one| (one.bits() == 128) == v6);
        for (v6, wanted) in [false, true].into_iter().zip(self.service.families) {
            let name = if v6 { "IPv6" } else { "IPv4" };
            if wanted && !has(v6) {
                return Err(format!(
                    "has no {name} address, and the service has {name} packets: give it one"
                ));
            }
        }
        let first = spec.addresses.first().copied();
        let bits = first.map(Addr::bits);
        let other = self.addresses.keys().next();
        if other.is_some_and(|other| Some(other.bits()) != bits) {
            let family = if bits == Some(128) { "IPv4" } else { "IPv6" };
            return Err(format!(
                "its first address, by which the table knows it, must be of {family} as those of the service's other targets"
            ));
        }
        match first.and_then(|first| self.addresses.get(&first)) {
            Some(other) => Err(format!(
                "has the first address of target {other}, {}: each needs one of its own",
                text(first)
            )),
            None => Ok(()),
        }
    }

    /// The identifier that it gets.
    fn find(&self, spec: &TargetSpec) -> Result<u16, String> {
        let most = self.service.max_targets;
        let has = self.ids.get(&spec.name).copied();
        if let Some(wanted) = spec.id {
            if wanted >= most {
                return Err(format!(
                    "wants identifier {wanted}, and the last one of the service is {} (max_targets)",
                    most - 1
                ));
            }
            return match self.taken.get(&wanted) {
                Some(other) => Err(format!(
                    "wants identifier {wanted}, which target {other} has: give it another \"id\""
                )),
                None => Ok(wanted),
            };
        }
        let is_free = |id: &u16| !self.taken.contains_key(id);
        if let Some(id) = has.filter(|id| *id < most && is_free(id)) {
            return Ok(id);
        }
        // One that nobody is remembered to have had, and that is out of the running table.
        let remembered: BTreeSet<u16> = self.ids.values().copied().collect();
        let key = |id: u16| (self.service.name.clone(), id);
        let is_new = |id: &u16| !remembered.contains(id) && !self.owners.contains_key(&key(*id));
        let free = || (0..most).filter(is_free);
        let found = free().find(is_new);
        let found = found.or_else(|| free().find(|id| !self.owners.contains_key(&key(*id))));
        found
            .or_else(|| free().next())
            .ok_or_else(|| format!("no identifier is free: the service has {most} (max_targets)"))
    }
}

fn refused(spec: &TargetSpec, reason: String) -> Refused {
    Refused {
        service: spec.service.clone(),
        name: spec.name.clone(),
        reason,
    }
}
