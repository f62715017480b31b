// SPDX-License-Identifier: GPL-2.0

//! Plans and tables, from files to what the kernel is to have.

use crate::ids::Ids;
use crate::kernel::{stands, Difference};
use crate::plan::{Lead, Plan};
use crate::table::Base;
use crate::target::Target;
use crate::Owners;
use glb_config::targets::{read, read_targets, TargetSpec, TargetsConf};
use glb_config::{tables, Issue};
use glb_netlink::steering::{DefaultRoute, Place, Present};
use serde_json::{json, Value};
use std::collections::BTreeMap;

fn conf(services: Value) -> TargetsConf {
    let text = json!({ "services": services }).to_string();
    read("targets.conf", &text).into_result().expect("good").0
}

fn web() -> TargetsConf {
    conf(json!([{"name": "web", "max_targets": 3}]))
}

/// A table of a name, whose key, seed and bind are its own.
fn table(name: &str, offset: u32) -> Value {
    json!({
        "name": name, "select": {"kind": "maglev"}, "forward": {"kind": "mark", "offset": offset},
        "hash_key": format!("{offset:032x}"), "seed": format!("{:032x}", !offset),
        "binds": [{"ip": "10.10.10.10", "proto": "tcp", "port": offset}],
    })
}

/// A table with a backend of its own, of whose targets nobody looks.
fn beside(name: &str, offset: u32) -> Value {
    let mut table = table(name, offset);
    table["backends"] = json!([{"ip": "192.168.50.12", "state": "active", "healthy": true}]);
    table
}

fn base_of(tables: &[Value], config: &TargetsConf) -> Result<Base, Vec<Issue>> {
    let text = json!({ "tables": tables }).to_string();
    let read = Base::read("tables.json", &text, config);
    read.into_result().map(|(base, _)| base)
}

fn base() -> Base {
    base_of(&[table("web", 5000)], &web()).expect("good")
}

fn specs(targets: &Value) -> Vec<TargetSpec> {
    let text = json!({ "targets": targets }).to_string();
    let read = read_targets("targets.json", &text);
    read.into_result().expect("good").0
}

/// Targets of `web`: their names, last bytes of their addresses, and identifiers that they want.
fn of_web(all: &[(&str, u8, Option<u16>)]) -> Vec<TargetSpec> {
    let one = |(name, last, id): &(&str, u8, Option<u16>)| {
        let addresses = [format!("192.168.50.{last}")];
        json!({"service": "web", "name": name, "addresses": addresses, "id": id})
    };
    specs(&all.iter().map(one).collect())
}

/// A daemon's memory.
#[derive(Default)]
struct World {
    ids: Ids,
    owners: Owners,
}

impl World {
    fn plan(&mut self, specs: &[TargetSpec]) -> Plan {
        let (config, base) = (web(), base());
        Plan::new(&config, &base, specs, (&mut self.ids, &self.owners))
    }

    /// Plans, and has it all in the kernel: names by identifiers, waiting and refused ones as text.
    fn goes(&mut self, specs: &[TargetSpec]) -> (BTreeMap<u16, String>, Vec<String>) {
        let plan = self.plan(specs);
        let targets = plan.targets.iter();
        let names: BTreeMap<u16, String> = targets.map(|one| (one.id, one.name.clone())).collect();
        let owner = |(id, name): (&u16, &String)| (("web".to_owned(), *id), name.clone());
        self.owners = names.iter().map(owner).collect();
        let others = plan.waiting.iter().chain(&plan.refused);
        (names, others.map(ToString::to_string).collect())
    }
}

fn names(all: &[(u16, &str)]) -> BTreeMap<u16, String> {
    let one = |(id, name): &(u16, &str)| (*id, (*name).to_owned());
    all.iter().map(one).collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_target_keeps_its_identifier() {
    let mut world = World::default();
    let (a, b, c) = (("a", 1, None), ("b", 2, None), ("c", 3, None));
    let all = names(&[(0, "a"), (1, "b")]);
    assert_eq!(world.goes(&of_web(&[b, a])), (all, nothing()));
    let without = names(&[(1, "b")]);
    assert_eq!(world.goes(&of_web(&[b])), (without, nothing()));
    // A new one takes what nobody had, as the other may return.
    let new = names(&[(1, "b"), (2, "c")]);
    assert_eq!(world.goes(&of_web(&[b, c])), (new, nothing()));
    let again = names(&[(0, "a"), (1, "b"), (2, "c")]);
    assert_eq!(world.goes(&of_web(&[a, b, c])), (again, nothing()));
    // No more than there are, and who is there stays.
    let full = names(&[(0, "a"), (1, "b"), (2, "c")]);
    let (now, said) = world.goes(&of_web(&[("0", 9, None), a, b, c]));
    assert_eq!(now, full);
    assert_eq!(
        said,
        ["target 0 of service web: no identifier is free: the service has 3 (max_targets)"]
    );
}

#[test]
fn an_identifier_goes_over_when_the_old_target_is_out() {
    let mut world = World::default();
    world.goes(&of_web(&[("a", 1, None)]));
    let specs = of_web(&[("b", 2, Some(0))]);
    let waits = vec!["target b of service web: waits until a has left identifier 0".to_owned()];
    assert_eq!(world.goes(&specs), (names(&[]), waits));
    assert_eq!(world.goes(&specs), (names(&[(0, "b")]), nothing()));
    // Likewise where all identifiers were somebody's.
    let (one, two) = (
        of_web(&[("b", 2, None), ("c", 3, None), ("d", 4, None)]),
        of_web(&[("e", 5, None)]),
    );
    world.goes(&one);
    assert_eq!(world.goes(&two).0, names(&[]));
    assert_eq!(world.goes(&two), (names(&[(0, "e")]), nothing()));
}

#[test]
fn who_has_an_identifier_keeps_it_from_others() {
    let mut world = World::default();
    world.goes(&of_web(&[("b", 2, None)]));
    let (now, said) = world.goes(&of_web(&[("a", 1, Some(0)), ("b", 2, None)]));
    assert_eq!(now, names(&[(0, "b")]));
    let reason = "wants identifier 0, which target b has: give it another \"id\"";
    assert_eq!(said, [format!("target a of service web: {reason}")]);
    // Whoever wants a certain one gets it before those that take any.
    let mut world = World::default();
    let (now, _) = world.goes(&of_web(&[("a", 1, None), ("b", 2, Some(0))]));
    assert_eq!(now, names(&[(0, "b"), (1, "a")]));
}

#[test]
fn what_cannot_be_is_refused_alone() {
    let mut world = World::default();
    let specs = specs(&json!([
        {"service": "web", "name": "a", "addresses": ["192.168.50.10", "fd00:50::10"]},
        {"service": "web", "name": "b", "addresses": ["fd00:50::11", "192.168.50.11"]},
        {"service": "web", "name": "c", "addresses": ["fd00:50::12"]},
        {"service": "web", "name": "d", "addresses": ["192.168.50.10"]},
        {"service": "web", "name": "e", "addresses": ["192.168.50.14"], "id": 3},
        {"service": "wep", "name": "f", "addresses": ["192.168.50.15"]},
    ]));
    let (now, said) = world.goes(&specs);
    assert_eq!(now, names(&[(0, "a")]));
    let wanted = [
        ("b", "web", "its first address, by which the table knows it, must be of IPv4 as those of the service's other targets"),
        ("c", "web", "has no IPv4 address, and the service has IPv4 packets: give it one"),
        ("d", "web", "has the first address of target a, 192.168.50.10: each needs one of its own"),
        ("e", "web", "wants identifier 3, and the last one of the service is 2 (max_targets)"),
        ("f", "wep", "targets.conf has no such service"),
    ];
    let wanted = wanted
        .map(|(name, service, reason)| format!("target {name} of service {service}: {reason}"));
    assert_eq!(said, wanted);
}

fn one(id: u16) -> Target {
    let specs = of_web(&[("a", 10 + id as u8, None)]);
    Target {
        service: 0,
        name: "a".to_owned(),
        addresses: specs[0].addresses.clone(),
        id,
    }
}

#[test]
fn the_table_has_targets_at_their_identifiers() {
    let base = base();
    let (first, last) = (one(0), one(2));
    let tree = base.with(&[(&first, false), (&last, true)]);
    let backends = &tree["tables"][0]["backends"];
    let states = [
        ("192.168.50.10", "inactive"),
        ("240.0.0.1", "inactive"),
        ("192.168.50.12", "active"),
    ];
    let found: Vec<(&str, &str)> = backends
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["ip"].as_str().unwrap(), one["state"].as_str().unwrap()))
        .collect();
    assert_eq!(found, states);
    // A table of no target, and one of none that is active, can be loaded, and lead to the mark that is dropped.
    for targets in [&[][..], &[(&first, false)]] {
        let text = base.with(targets).to_string();
        let read = tables::read("tables.json", &text);
        let table = &read.into_result().expect("good").0.tables[0];
        let backends = table.backends.iter().map(|one| one.backend.state);
        let usable = backends.map(|state| state == glb_core::backend::State::Active);
        let usable: Vec<bool> = usable.collect();
        assert_eq!(usable, [false, false, false, true], "{text}");
    }
    let drops = Plan::drops(&base, std::slice::from_ref(&first), 900);
    let marks: Vec<_> = drops
        .iter()
        .map(|rule| (rule.v6, rule.mark, rule.table, rule.priority))
        .collect();
    let behind = base.services[0].mark(first.id);
    assert_eq!(
        marks,
        [
            (false, 5003, None, 900),
            (true, 5003, None, 900),
            (false, behind, None, 901),
            (true, behind, None, 901)
        ]
    );
}

#[test]
fn what_no_service_can_be_is_an_error() {
    let errors = |tables: &[Value], config: &TargetsConf| -> Vec<String> {
        let issues = base_of(tables, config).expect_err("errors");
        issues.iter().map(ToString::to_string).collect()
    };
    let said = errors(&[table("api", 5000)], &web());
    assert_eq!(said[0], "tables.json: table \"web\": there is no table of this name, which targets.conf has as a service");
    let mut gre = table("web", 1);
    gre["forward"] = json!({"kind": "gre"});
    let said = errors(&[gre], &web());
    assert_eq!(said, ["tables.json: table \"web\": forward: must be of kind \"mark\": targets are reached by marks"]);
    let said = errors(&[table("web", 254)], &web());
    assert!(said[0].contains("253 to 255 are the kernel's"), "{said:?}");
    let two = conf(json!([{"name": "web", "max_targets": 3}, {"name": "api", "max_targets": 3}]));
    let said = errors(&[table("web", 5000), table("api", 5003)], &two);
    assert!(
        said.last()
            .unwrap()
            .contains("marks of services web and api are the same"),
        "{said:?}"
    );
    assert!(base_of(&[table("web", 5000), table("api", 5004)], &two).is_ok());
    // A table of which no targets are looked after: its marks are its backends', and the last one of the service is 5003.
    let said = errors(&[table("web", 5000), beside("old", 5003)], &web());
    assert!(
        said.last()
            .unwrap()
            .contains("have those of this table among them"),
        "{said:?}"
    );
    assert!(base_of(&[table("web", 5000), beside("old", 5004)], &web()).is_ok());
    let same = conf(
        json!([{"name": "web", "max_targets": 3}, {"name": "api", "max_targets": 3, "first_routing_table": 4998}]),
    );
    let said = errors(&[table("web", 5000), table("api", 6000)], &same);
    assert!(
        said.last().unwrap().contains("routing tables of services"),
        "{said:?}"
    );
}

/// What the kernel has when all stands.
fn present(leads: &[Lead]) -> Present {
    let route = |lead: &Lead| DefaultRoute {
        place: lead.place,
        gateways: lead.gateways.clone(),
        usable: lead.gateways.len(),
    };
    Present {
        rules: leads.iter().map(|lead| lead.rule).collect(),
        routes: leads.iter().map(route).collect(),
    }
}

fn leads() -> Vec<Lead> {
    let specs = specs(&json!([
        {"service": "web", "name": "a", "addresses": ["192.168.50.11", "fd00:50::10", "192.168.50.10"]},
    ]));
    let target = Target {
        addresses: specs[0].addresses.clone(),
        ..one(1)
    };
    Plan::leads(&base(), 900, &target)
}

#[test]
fn a_lead_is_made_once_and_taken_away_when_nobody_owns_it() {
    let leads = leads();
    let marks: Vec<_> = leads
        .iter()
        .map(|lead| (lead.rule.v6, lead.rule.mark, lead.place.table))
        .collect();
    assert_eq!(marks, [(false, 5001, 5001), (true, 5001, 5001)]);
    let empty = Difference::between(leads.iter(), &[], &Present::default());
    assert_eq!((empty.rules.len(), empty.routes.len()), (2, 2));
    assert!(empty.routes.iter().all(|(_, is_there)| !is_there));
    let stand = present(&leads);
    assert_eq!(
        Difference::between(leads.iter(), &[], &stand),
        Difference::default()
    );
    let old = Difference::between([].iter(), &[], &stand);
    assert_eq!((old.old_rules.len(), old.old_routes.len()), (2, 2));
    // Other gateways are put in the place of the old ones.
    let mut other = stand.clone();
    other.routes[0].gateways.pop();
    let changed = Difference::between(leads.iter(), &[], &other);
    assert_eq!(changed.routes, [(leads[0].clone(), true)]);
}

#[test]
fn a_lead_stands_while_one_of_its_devices_is_up() {
    let leads = leads();
    let stand = present(&leads);
    let with = |change: &dyn Fn(&mut Present)| {
        let mut changed = stand.clone();
        change(&mut changed);
        stands(&leads[0], &changed)
    };
    assert!(with(&|_| {}));
    assert!(with(&|now| now.routes[0].usable = 1));
    assert!(!with(&|now| now.routes[0].usable = 0));
    // The kernel takes away a gateway whose device went.
    assert!(with(&|now| now.routes[0].gateways.truncate(1)));
    assert!(!with(&|now| now.rules.clear()));
    assert!(!with(&|now| now.routes.clear()));
    assert!(!with(&|now| now.routes[0].place = Place {
        v6: false,
        table: 7
    }));
    // What somebody who had the identifier before left there is not the target's.
    assert!(!with(
        &|now| now.routes[0].gateways = vec![glb_core::packet::addr::Addr::V4([192, 168, 50, 99])]
    ));
}
