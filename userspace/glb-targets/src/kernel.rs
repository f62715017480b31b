// SPDX-License-Identifier: GPL-2.0

//! Making the kernel as the plan says: rules and routes, then the table, then what is left over.
//!
//! A target is active in the table only while its rules and routes stand, so no packet gets a mark that leads nowhere. This
//! waits for the kernel, so it runs beside the main loop, once at a time.

use crate::ids::{self, Ids};
use crate::plan::{Lead, Plan, Refused};
use crate::table::Base;
use crate::target::{text, Target};
use crate::Owners;
use glb_config::classes::compiled;
use glb_config::file::read_bytes_with_classes;
use glb_netlink::steering::{Place, Present, Rule, Steering};
use glb_netlink::{Built, Error, Glb};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) base: Arc<Base>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) priority: u32,
    /// What was loaded last.
    pub(crate) loaded: Option<Loaded>,
    /// Identifiers that are to be kept, and where.
    pub(crate) keep: Option<(PathBuf, Ids)>,
}

/// A table in the running director.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loaded {
    pub(crate) tree: Value,
    /// The number of the load.
    pub(crate) generation: u32,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The targets that have packets now, by the places of their services and their identifiers.
    pub(crate) active: BTreeSet<(usize, u16)>,
    /// All targets of the running table; nothing where it could not be loaded.
    pub(crate) owners: Option<Owners>,
    /// Targets whose rules or routes do not stand.
    pub(crate) failed: Vec<Refused>,
    /// What else went wrong.
    pub(crate) errors: Vec<(Part, String)>,
    pub(crate) loaded: Option<Loaded>,
    /// Whether there was a load.
    pub(crate) made_load: bool,
    /// Rules and routes that stand now, and how many were made and deleted.
    pub(crate) rules: usize,
    pub(crate) routes: usize,
    pub(crate) made: usize,
    pub(crate) deleted: usize,
}

impl Done {
    /// Nothing is known of what was done.
    pub(crate) fn failed(reason: String) -> Self {
        Self {
            errors: vec![(Part::Steering, reason)],
            ..Self::default()
        }
    }
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Rules and routes of a target.
    Target,
    /// Those that are left over, or the list of all.
    Steering,
    /// The table.
    Load,
    /// The file of identifiers.
    State,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Target, Self::Steering, Self::Load, Self::State];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Steering => "steering",
            Self::Load => "load",
            Self::State => "state",
        }
    }
}

/// What differs between what there is and what is to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Rules that are missing.
    pub(crate) rules: Vec<Rule>,
    /// Routes that are missing, or lead elsewhere; whether there is one.
    pub(crate) routes: Vec<(Lead, bool)>,
    pub(crate) old_rules: Vec<Rule>,
    pub(crate) old_routes: Vec<Place>,
}

impl Difference {
    pub(crate) fn between<'l>(
        leads: impl Iterator<Item = &'l Lead> + Clone,
        drops: &[Rule],
        present: &Present,
    ) -> Self {
        let rules = leads.clone().map(|lead| lead.rule);
        let rules: BTreeSet<Rule> = rules.chain(drops.iter().copied()).collect();
        let places: BTreeSet<Place> = leads.clone().map(|lead| lead.place).collect();
        let mut difference = Self {
            old_rules: present.rules.clone(),
            ..Self::default()
        };
        difference.old_rules.retain(|rule| !rules.contains(rule));
        let routes = present.routes.iter().map(|route| route.place);
        difference.old_routes = routes.filter(|place| !places.contains(place)).collect();
        let missing = |rule: &Rule| !present.rules.contains(rule);
        difference.rules = rules.into_iter().filter(missing).collect();
        for lead in leads {
            let mut there = present
                .routes
                .iter()
                .filter(|route| route.place == lead.place);
            match there.next() {
                Some(route) if route.gateways == lead.gateways => {}
                found => difference.routes.push((lead.clone(), found.is_some())),
            }
        }
        difference
    }
}

/// Whether packets that a lead is for arrive: the rule stands, and the route leads to gateways of the target alone, one of
/// which has a device that is up.
pub(crate) fn stands(lead: &Lead, present: &Present) -> bool {
    let mut routes = present.routes.iter();
    present.rules.contains(&lead.rule)
        && routes.any(|route| {
            let own = |gateway| lead.gateways.contains(gateway);
            route.place == lead.place && route.usable > 0 && route.gateways.iter().all(own)
        })
}

/// Does all of it, as far as it can be done.
pub(crate) fn apply(job: Job) -> Done {
    let mut done = Done {
        loaded: job.loaded.clone(),
        ..Done::default()
    };
    if let Some((path, ids)) = &job.keep {
        if let Err(reason) = ids::write(path, ids) {
            let reason = format!("identifiers cannot be kept for the next start: {reason}");
            done.errors.push((Part::State, reason));
        }
    }
    if let Err(error) = steer(&job, &mut done) {
        done.errors.push((Part::Steering, error.to_string()));
    }
    done
}

fn steer(job: &Job, done: &mut Done) -> Result<(), Error> {
    let mut steering = Steering::open()?;
    let present = steering.present()?;
    let targets = job.plan.targets.iter();
    let leads: Vec<(&Target, Vec<Lead>)> = targets
        .map(|target| (target, Plan::leads(&job.base, job.priority, target)))
        .collect();
    let drops = Plan::drops(&job.base, &job.plan.targets, job.priority);
    let of_targets = leads.iter().flat_map(|(_, leads)| leads);
    let difference = Difference::between(of_targets, &drops, &present);
    let refused = make(&mut steering, &difference, done);
    let present = if done.made > 0 {
        steering.present()?
    } else {
        present
    };
    let mut judged: Vec<(&Target, bool)> = Vec::new();
    for (target, leads) in &leads {
        let broken = leads.iter().find(|lead| !stands(lead, &present));
        let of = |lead: &Lead| refused.iter().find(|(place, _)| *place == lead.place);
        let reason = match (leads.iter().find_map(of), broken) {
            (Some((_, reason)), _) => Some(reason.clone()),
            (None, Some(lead)) => Some(format!("the device to {} is down", gateways(lead))),
            (None, None) => None,
        };
        if let Some(reason) = reason {
            done.failed.push(Refused {
                service: job.base.services[target.service].name.clone(),
                name: target.name.clone(),
                reason,
            });
        }
        judged.push((target, broken.is_none()));
    }
    if let Err(reason) = load(job, &judged, done) {
        // Marks of the old table may still lead along what is left over.
        done.errors.push((Part::Load, reason));
        (done.rules, done.routes) = (present.rules.len(), present.routes.len());
        return Ok(());
    }
    let is_active =
        |(target, active): &(&Target, bool)| active.then_some((target.service, target.id));
    done.active = judged.iter().filter_map(is_active).collect();
    let owner = |target: &Target| {
        let service = job.base.services[target.service].name.clone();
        ((service, target.id), target.name.clone())
    };
    done.owners = Some(job.plan.targets.iter().map(owner).collect());
    clear(&mut steering, &difference, done);
    let present = if done.deleted > 0 {
        steering.present()?
    } else {
        present
    };
    (done.rules, done.routes) = (present.rules.len(), present.routes.len());
    Ok(())
}

fn gateways(lead: &Lead) -> String {
    let all = lead.gateways.iter().map(|one| text(Some(*one)));
    all.collect::<Vec<_>>().join(", ")
}

/// Makes what is missing; returns what the kernel refused, each once.
fn make(steering: &mut Steering, difference: &Difference, done: &mut Done) -> Vec<(Place, String)> {
    let mut refused: Vec<(Place, String)> = Vec::new();
    // A route first: a mark whose rule stands should find one.
    for (lead, is_there) in &difference.routes {
        match steering.put_route(lead.place, &lead.gateways, *is_there) {
            Ok(()) => done.made += 1,
            Err(error) => {
                let reason = format!("{error} (to {})", gateways(lead));
                refused.push((lead.place, reason));
            }
        }
    }
    for rule in &difference.rules {
        match steering.add_rule(rule) {
            Ok(()) => done.made += 1,
            Err(error) => match rule.table {
                Some(table) => refused.push((Place { v6: rule.v6, table }, error.to_string())),
                None => done.errors.push((Part::Steering, error.to_string())),
            },
        }
    }
    refused
}

/// Takes away what is left over.
fn clear(steering: &mut Steering, difference: &Difference, done: &mut Done) {
    let mut note = |deleted: Result<(), Error>| match deleted {
        Ok(()) => done.deleted += 1,
        Err(error) => done.errors.push((Part::Steering, error.to_string())),
    };
    for rule in &difference.old_rules {
        note(steering.delete_rule(rule));
    }
    for place in &difference.old_routes {
        note(steering.delete_route(*place));
    }
}

/// Loads the table, unless the running director has it.
fn load(job: &Job, judged: &[(&Target, bool)], done: &mut Done) -> Result<(), String> {
    let tree = job.base.with(judged);
    let mut glb = Glb::open_loaded().map_err(|error| error.to_string())?;
    if let Some(loaded) = job.loaded.as_ref().filter(|loaded| loaded.tree == tree) {
        let status = glb.status().map_err(|error| error.to_string())?;
        if status.generation == loaded.generation {
            return Ok(());
        }
    }
    let text = tree.to_string();
    let name = "the table with the targets";
    let checked = read_bytes_with_classes(name, text.as_bytes(), &mut |_, _| {});
    let (file, _) = checked.into_result().map_err(|issues| {
        let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
        issues.join("; ")
    })?;
    let classes = compiled(&file.classes)?;
    let built = Built {
        tables: &file.tables,
        classes: &classes,
    };
    let generation = glb
        .load_built(built, &mut |_| {})
        .map_err(|error| format!("loading the tables: {error}"))?;
    done.made_load = true;
    done.loaded = Some(Loaded { tree, generation });
    Ok(())
}

/// The number of the load that the running director has, 0 for none; or why it cannot be asked.
pub(crate) fn generation() -> Result<u32, String> {
    let status = Glb::open_loaded().and_then(|mut glb| glb.status());
    status
        .map(|status| status.generation)
        .map_err(|error| error.to_string())
}
