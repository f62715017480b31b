// SPDX-License-Identifier: GPL-2.0

//! `glbctl assign`: the devices of `GLB_DEVICES` and no others. Everything is checked before the first change; a change that
//! fails nevertheless takes back those before it.

use super::attached::{attached, Attached};
use super::devices::{entry, needs_replace, Links};
use super::director_or_load;
use crate::cli::assign::Assign;
use crate::commands::gateway::sent;
use crate::load;
use crate::output::{print, Failure};
use glb_core::director::Role;
use glb_netlink::{Error, Gateway, Glb};
use serde::Serialize;
use std::collections::BTreeSet;

/// A step to what is wanted: what was before, and what is then.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Attach(Attached),
    Replace(Attached, Attached),
    Detach(Attached),
}

impl Change {
    fn name(&self) -> &str {
        match self {
            Self::Attach(one) | Self::Replace(_, one) | Self::Detach(one) => &one.name,
        }
    }

    fn inverse(&self) -> Self {
        match self.clone() {
            Self::Attach(one) => Self::Detach(one),
            Self::Replace(old, new) => Self::Replace(new, old),
            Self::Detach(one) => Self::Attach(one),
        }
    }

    fn make(&self, glb: &mut Glb) -> Result<(), Error> {
        match self {
            Self::Attach(one) => glb.attach(&one.name, one.role, &one.told),
            Self::Replace(_, one) => glb.replace(&one.name, one.role, &one.told),
            Self::Detach(one) => glb.detach(&one.name),
        }
    }
}

#[derive(Serialize)]
struct View<'a> {
    checked_only: bool,
    attached: Vec<&'a str>,
    changed: Vec<&'a str>,
    detached: Vec<&'a str>,
}

pub(crate) fn run(args: &Assign, json: bool) -> Result<(), Failure> {
    let mut glb = director_or_load()?;
    let now = attached(&mut glb)?;
    let wanted = wanted(args, &now, json)?;
    let known = glb.features()?.roles;
    for one in &wanted {
        if !known.contains(&one.role.number()) {
            let (name, role) = (&one.name, one.role.name());
            return Err(Failure::Message(format!(
                "{name}: the loaded module does not know the role {role}: load the one of this version"
            )));
        }
    }
    let changes = plan(&now, &wanted).map_err(Failure::Message)?;
    if let Some(one) = changes
        .iter()
        .find(|one| matches!(one, Change::Replace(..)))
    {
        needs_replace(&mut glb, one.name())?;
    }
    if !args.check {
        apply(&changes, |change| change.make(&mut glb)).map_err(Failure::Message)?;
    }
    let names = |is_it: fn(&Change) -> bool| {
        let some = changes.iter().filter(|change| is_it(change));
        some.map(Change::name).collect()
    };
    let view = View {
        checked_only: args.check,
        attached: names(|change| matches!(change, Change::Attach(_))),
        changed: names(|change| matches!(change, Change::Replace(..))),
        detached: names(|change| matches!(change, Change::Detach(_))),
    };
    print(json, &view, |out| {
        for name in view.detached.iter().filter(|_| !args.check) {
            writeln!(out, "detached {name}: GLB_DEVICES does not name it")?;
        }
        Ok(())
    })
}

/// What is to be attached. A device with the role geneve that the file does not have stays as it is if it has the role already,
/// whoever told it what: whoever has no file for it need not be opened to every sender, and need not stop.
fn wanted(args: &Assign, now: &[Attached], json: bool) -> Result<Vec<Attached>, Failure> {
    let links = Links::open()?;
    let file = args.config.as_deref();
    let gateways = match file {
        Some(file) => load::director(file, json)?.gateways,
        None => None,
    };
    let mut wanted: Vec<Attached> = Vec::new();
    let mut entries = BTreeSet::new();
    for place in &args.devices {
        let (device, role) = (&*place.device, place.role);
        let name = links.name(device, role)?;
        if wanted.iter().any(|other| other.name == name) {
            return Err(Failure::Message(format!(
                "GLB_DEVICES has {name} twice: name it once"
            )));
        }
        let before = now.iter().find(|one| one.name == name);
        let told = match (role, &gateways, file) {
            (Role::Director | Role::Return, ..) => Gateway::default(),
            (Role::Geneve, Some(gateways), Some(file)) => {
                let told = entry(gateways, file, (device, &name))?;
                entries.insert(told.device.clone());
                sent(told)
            }
            (Role::Geneve, ..) => match before.filter(|one| one.is_gateway()) {
                Some(before) => {
                    if !args.check {
                        eprintln!("glbctl: {name} stays as it was attached: {}", without(file));
                    }
                    before.told.clone()
                }
                None => {
                    return Err(Failure::Message(format!(
                        "{name}: {}: add {{\"geneve\": [{{\"device\": \"{device}\", \"allow_from\": [SUBNETS]}}]}}, with the subnets \
                         of the load balancer",
                        without(file)
                    )))
                }
            },
        };
        wanted.push(Attached { name, role, told });
    }
    let more = gateways.iter().flatten().map(|one| &*one.device);
    let more: Vec<&str> = more.filter(|one| !entries.contains(*one)).collect();
    if let (Some(one), Some(file)) = (more.first(), file) {
        return Err(Failure::Message(format!(
            "{}: geneve: has {}, which GLB_DEVICES does not name: add {one}:geneve there, or take the entry out",
            load::name(file),
            more.join(", ")
        )));
    }
    Ok(wanted)
}

/// What has nothing about the role geneve.
fn without(file: Option<&std::path::Path>) -> String {
    match file {
        Some(file) => format!("{} has no \"geneve\"", load::name(file)),
        None => "no file says what it is told (--config)".to_owned(),
    }
}

/// The steps from what is to what is wanted.
///
/// New devices come before others go, so that packets go by either where one takes the place of another. But of the role geneve all
/// share one flow cache: where another one is wanted, those that leave the role go first, and the one that stays is changed before
/// others come. Several that stay would each have to wait for the others.
fn plan(now: &[Attached], wanted: &[Attached]) -> Result<Vec<Change>, String> {
    let before = |one: &Attached| now.iter().find(|old| old.name == one.name);
    let after = |old: &Attached| wanted.iter().find(|one| one.name == old.name);
    let leaves = |old: &Attached| old.is_gateway() && !after(old).is_some_and(Attached::is_gateway);
    let other_cache = |old: &Attached| wanted.iter().any(|one| old.needs_other_cache(one));
    let is_other = now.iter().any(other_cache);
    let stay: Vec<&str> = now
        .iter()
        .filter(|old| old.is_gateway() && !leaves(old))
        .map(|old| &*old.name)
        .collect();
    if is_other && stay.len() > 1 {
        return Err(format!(
            "max_flows, idle, tcp_idle: {} share one flow cache, which cannot change while several have it: \
             systemctl restart glb-director",
            stay.join(", ")
        ));
    }
    let mut steps: Vec<(u8, Change)> = Vec::new();
    for one in wanted {
        match before(one) {
            None => steps.push((3, Change::Attach(one.clone()))),
            Some(old) if old.is_same(one) => {}
            Some(old) => {
                let order = match (leaves(old), old.is_gateway()) {
                    (true, _) => 0,
                    (false, true) => 1,
                    (false, false) => 2,
                };
                steps.push((order, Change::Replace(old.clone(), one.clone())));
            }
        }
    }
    for old in now.iter().filter(|old| after(old).is_none()) {
        let order = if is_other && old.is_gateway() { 0 } else { 4 };
        steps.push((order, Change::Detach(old.clone())));
    }
    steps.sort_by_key(|(order, _)| *order);
    Ok(steps.into_iter().map(|(_, change)| change).collect())
}

/// Makes the changes. If one fails, those before it are taken back; what cannot be is said.
fn apply(
    changes: &[Change],
    mut make: impl FnMut(&Change) -> Result<(), Error>,
) -> Result<(), String> {
    for (at, change) in changes.iter().enumerate() {
        let Err(error) = make(change) else {
            continue;
        };
        let mut said = format!("{}: {error}", change.name());
        for done in changes[..at].iter().rev() {
            if let Err(error) = make(&done.inverse()) {
                let name = done.name();
                said.push_str(&format!("; and {name} is not as it was before: {error}"));
            }
        }
        return Err(said);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use glb_netlink::Refusal;
    use std::slice::from_ref;

    fn one(name: &str, role: Role) -> Attached {
        Attached {
            name: name.to_owned(),
            role,
            told: Gateway::default(),
        }
    }

    fn gateway(name: &str, max_flows: u32) -> Attached {
        Attached {
            told: Gateway {
                max_flows: Some(max_flows),
                ..Gateway::default()
            },
            ..one(name, Role::Geneve)
        }
    }

    /// The steps, in short.
    fn steps(now: &[Attached], wanted: &[Attached]) -> Vec<String> {
        let short = |change: &Change| match change {
            Change::Attach(one) => format!("+{}", one.name),
            Change::Replace(_, one) => format!("={}", one.name),
            Change::Detach(one) => format!("-{}", one.name),
        };
        plan(now, wanted).unwrap().iter().map(short).collect()
    }

    #[test]
    fn new_ones_come_before_others_go() {
        let [a, b] = ["a", "b"].map(|name| one(name, Role::Director));
        assert_eq!(steps(&[], &[a.clone(), b.clone()]), ["+a", "+b"]);
        assert_eq!(steps(from_ref(&a), from_ref(&b)), ["+b", "-a"]);
        assert_eq!(steps(from_ref(&a), from_ref(&a)), [] as [&str; 0]);
        assert_eq!(steps(from_ref(&a), &[one("a", Role::Return)]), ["=a"]);
        assert_eq!(steps(&[a, b], &[]), ["-a", "-b"]);
        // One flow cache: it stays with the device that comes.
        assert_eq!(
            steps(&[gateway("a", 10)], &[gateway("b", 10)]),
            ["+b", "-a"]
        );
        // What the module has if nothing is said is the same as if it is said.
        assert_eq!(
            steps(&[gateway("a", 131_072)], &[one("a", Role::Geneve)]),
            [] as [&str; 0]
        );
    }

    #[test]
    fn where_the_cache_changes_those_that_leave_go_first() {
        assert_eq!(
            steps(&[gateway("a", 10)], &[gateway("b", 20)]),
            ["-a", "+b"]
        );
        assert_eq!(
            steps(
                &[gateway("a", 10), gateway("c", 10), one("d", Role::Director)],
                &[gateway("b", 20), gateway("a", 20)]
            ),
            ["-c", "=a", "+b", "-d"]
        );
        // One that gets another role leaves, too; one that gets this role comes when the cache is the new one.
        assert_eq!(
            steps(
                &[one("d", Role::Director), gateway("a", 10), gateway("c", 10)],
                &[gateway("d", 20), gateway("a", 20), one("c", Role::Director)]
            ),
            ["=c", "=a", "=d"]
        );
        let both = |flows| [gateway("a", flows), gateway("b", flows)];
        let refused = plan(&both(10), &both(20)).unwrap_err();
        assert!(
            refused.contains("a, b share one flow cache") && refused.contains("restart"),
            "{refused}"
        );
        assert_eq!(steps(&both(10), &both(10)), [] as [&str; 0]);
    }

    #[test]
    fn what_fails_takes_back_what_was_done() {
        let full = || {
            Error::Refused(Refusal {
                command: "attach".to_owned(),
                errno: 12,
                message: Some("no memory".to_owned()),
                attribute: None,
            })
        };
        let now = [gateway("a", 10), one("x", Role::Director)];
        let wanted = [gateway("b", 20), one("x", Role::Return)];
        let changes = plan(&now, &wanted).unwrap();
        assert_eq!(steps(&now, &wanted), ["-a", "=x", "+b"]);
        let mut made = Vec::new();
        let said = apply(&changes, |change| {
            if change.name() == "b" {
                return Err(full());
            }
            made.push(change.clone());
            Ok(())
        });
        assert_eq!(said.unwrap_err(), "b: attach: no memory");
        assert_eq!(
            made,
            [
                changes[0].clone(),
                changes[1].clone(),
                changes[1].inverse(),
                changes[0].inverse(),
            ]
        );
        assert_eq!(changes[0].inverse(), Change::Attach(gateway("a", 10)));
        // What cannot be taken back is said.
        let said = apply(&changes, |change| match change {
            Change::Attach(_) => Err(full()),
            _ => Ok(()),
        });
        assert_eq!(
            said.unwrap_err(),
            "b: attach: no memory; and a is not as it was before: attach: no memory"
        );
    }
}
