// SPDX-License-Identifier: GPL-2.0

//! Machines that are as they should be, and what is found when one thing is another.

use super::facts::{Checker, Director, Facts, Module, Redirect, Rules, Table, UdpSocket, Vip};
use super::finding::Findings;
use super::{all_pages, director, proxy, roles};
use crate::cli::doctor::Role;
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::Forward;
use glb_core::packet::addr::Addr;
use glb_core::settings::Settings;
use glb_netlink::machine::{Address, Link, Route, TunnelPort};
use glb_netlink::{Door, Prefix};

const VIP: Addr = Addr::V4([10, 10, 10, 10]);
const VIP6: Addr = Addr::V6([0xfd, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]);
const PROXY: Addr = Addr::V4([192, 168, 50, 10]);

fn link(index: u32, name: &str, kind: &str, mtu: u32) -> Link {
    Link {
        index,
        name: name.to_owned(),
        alt_names: Vec::new(),
        mtu,
        up: true,
        no_carrier: false,
        kind: kind.to_owned(),
        any_remote: true,
        proto: 0,
        xdp: false,
        ethernet: true,
    }
}

fn module(name: &'static str) -> Module {
    Module {
        name,
        loaded: true,
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        is_installed: Some(true),
    }
}

fn by(link: u32, local: bool) -> Option<Route> {
    Some(Route {
        local,
        link,
        mtu: None,
    })
}

/// A proxy of docs/production.md.
fn a_proxy() -> Facts {
    let save = "*filter\n:INPUT ACCEPT [0:0]\n\
        -A INPUT ! -s 192.168.50.0/24 -p udp -m udp --dport 19523 -j DROP\n\
        -A INPUT -p udp -m udp --dport 19523 -j GLBREDIRECT --allow-hops 192.168.50.0/24\nCOMMIT\n";
    let vip = |addr: Addr| Vip {
        addr,
        len: addr.bits(),
        route: by(3, true),
    };
    let address = |link, addr| Address { link, addr };
    Facts {
        links: vec![
            link(1, "lo", "", 65536),
            link(2, "eth0", "", 1600),
            link(3, "tunl0", "ipip", 1480),
            link(4, "sit0", "sit", 1480),
        ],
        addresses: vec![
            address(2, Addr::V4([192, 168, 50, 10])),
            address(3, VIP),
            address(4, VIP6),
        ],
        rp_filter: [("all", 0), ("eth0", 1), ("tunl0", 0)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        tunnels: Some(vec![TunnelPort {
            port: 19523,
            v6: false,
            gue: true,
        }]),
        udp: vec![UdpSocket {
            port: 19523,
            owner: None,
        }],
        redirect: Some(Redirect {
            door: None,
            port: 19523,
        }),
        vips: vec![vip(VIP), vip(VIP6)],
        vips_from: Some("t.json".to_owned()),
        rules: vec![
            Rules {
                v6: false,
                text: Ok(save.to_owned()),
            },
            Rules {
                v6: true,
                text: Err("ip6tables-save: No such file or directory".to_owned()),
            },
        ],
        modules: vec![module("rust_glb_redirect")],
        ..Facts::default()
    }
}

fn a_director() -> Facts {
    let bind = |addr: Addr| Bind {
        addr,
        prefix_len: addr.bits(),
        proto: Some(Proto::Tcp),
        port_start: 80,
        port_end: 80,
    };
    let vip = |addr: Addr| Vip {
        addr,
        len: addr.bits(),
        route: by(2, false),
    };
    Facts {
        links: vec![link(1, "lo", "", 65536), link(2, "eth0", "", 1600)],
        addresses: vec![Address {
            link: 2,
            addr: Addr::V4([192, 168, 50, 6]),
        }],
        director: Some(Director {
            generation: 3,
            settings: Settings {
                source_v4: Some([192, 168, 50, 6]),
                ..Settings::DEFAULT
            },
            tables: vec![Table {
                label: "web".to_owned(),
                hops: 2,
                forward: Forward::Gue,
                backends: vec![PROXY],
                binds: vec![bind(VIP), bind(VIP6)],
            }],
            devices: vec!["eth0".to_owned()],
            wanted_devices: Some(vec!["eth0".to_owned()]),
            lro: Vec::new(),
            proxies: vec![(PROXY, by(2, false))],
            checker: Some(Ok(Checker {
                status: "ok".to_owned(),
                problems: Vec::new(),
            })),
        }),
        vips: vec![vip(VIP), vip(VIP6)],
        vips_from: Some("the loaded tables".to_owned()),
        modules: vec![module("rust_glb_director")],
        ..Facts::default()
    }
}

fn of_proxy(facts: &Facts) -> Vec<String> {
    let mut out = Findings::default();
    let redirect = facts.redirect.as_ref().expect("a proxy");
    proxy::judge(facts, redirect, &mut out);
    out.bad()
}

fn of_director(facts: &Facts) -> Vec<String> {
    let mut out = Findings::default();
    let director = facts.director.as_ref().expect("a director");
    director::judge(facts, director, &mut out);
    out.bad()
}

type Change = fn(&mut Facts);

/// Each change of a good machine is found, by this check, as this severity and in these words; and nothing else.
fn each(good: fn() -> Facts, judge: fn(&Facts) -> Vec<String>, cases: &[(Change, &str, &str)]) {
    assert_eq!(judge(&good()), [] as [&str; 0]);
    for (change, start, words) in cases {
        let mut facts = good();
        change(&mut facts);
        let found = judge(&facts);
        let is = |one: &String| one.starts_with(start) && one.contains(words);
        assert!(found.iter().any(is), "{start} {words}: {found:#?}");
        assert_eq!(found.len(), 1, "{start} {words}: {found:#?}");
    }
}

fn rules_of(facts: &mut Facts) -> &mut String {
    facts.rules[0].text.as_mut().expect("rules")
}

#[test]
fn proxies() {
    each(
        a_proxy,
        of_proxy,
        &[
            (
                |f| f.modules[0].loaded = false,
                "module: error",
                "not loaded",
            ),
            (
                |f| f.modules[0].is_installed = Some(false),
                "module: warning",
                "another build",
            ),
            (
                |f| f.modules[0].version = Some("9.9".to_owned()),
                "module: warning",
                "version 9.9",
            ),
            (
                |f| f.modules[0].version = None,
                "module: warning",
                "does not say its version",
            ),
            (
                |f| f.links[2].up = false,
                "tunnel-devices: error",
                "tunl0 is down",
            ),
            (
                |f| f.links[3].any_remote = false,
                "tunnel-devices: error",
                "no tunnel device sit0",
            ),
            (
                |f| {
                    f.addresses.truncate(2);
                    f.vips[1].route = by(2, false);
                },
                "vips: error",
                "resets",
            ),
            (
                |f| {
                    f.addresses.truncate(2);
                    f.vips[1].route = by(2, false);
                    let text = rules_of(f);
                    *text = text.replace(" --allow-hops", " --netns web,b --allow-hops");
                },
                "vips: note",
                "another network namespace",
            ),
            (
                |f| {
                    f.addresses.truncate(2);
                    f.vips[1].route = by(1, true);
                    f.addresses[1].link = 2;
                },
                "vips: warning",
                "10.10.10.10 is on eth0",
            ),
            (
                |f| {
                    f.rp_filter.insert("all".to_owned(), 1);
                },
                "rp-filter: error",
                "strict on tunl0",
            ),
            (|f| f.links[1].mtu = 1500, "mtu: warning", "need 1540"),
            (
                |f| {
                    let text = rules_of(f);
                    *text = text.replace(" --allow-hops 192.168.50.0/24", "");
                },
                "rules: warning",
                "to any address",
            ),
            (
                |f| rules_of(f).clear(),
                "rules: error",
                "no GLBREDIRECT rule",
            ),
            (
                |f| f.rules[0].text = Err("iptables-save: No such file or directory".to_owned()),
                "rules: note",
                "were not looked at: iptables-save",
            ),
            (
                |f| {
                    f.conntrack = Some((100, 100));
                    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 19523 -j CT --notrack\nCOMMIT\n";
                    rules_of(f).insert_str(0, raw);
                },
                "conntrack: error",
                "full",
            ),
        ],
    );
}

#[test]
fn the_port_of_the_tunnel() {
    let found = |change: Change| {
        let mut facts = a_proxy();
        change(&mut facts);
        of_proxy(&facts)
    };
    let first = |change: Change| found(change).into_iter().next().unwrap_or_default();
    let other: Change = |f| f.tunnels.as_mut().expect("ports")[0].port = 6080;
    let none: Change = |f| f.tunnels = Some(Vec::new());
    assert!(
        first(other).contains("is somebody else's"),
        "{}",
        first(other)
    );
    let mismatch: Change = |f| {
        f.tunnels.as_mut().expect("ports")[0].port = 6080;
        f.udp.clear();
    };
    assert!(
        first(mismatch).contains("listens on port 6080, not on 19523"),
        "{}",
        first(mismatch)
    );
    let stolen: Change = |f| {
        f.tunnels = Some(Vec::new());
        f.udp[0].owner = Some("socat (process 7)".to_owned());
    };
    assert!(
        first(stolen).contains("somebody else's: socat (process 7)"),
        "{}",
        first(stolen)
    );
    assert!(first(none).contains("somebody else's"));
    assert!(first(|f| f.tunnels = None).contains("fou is not loaded"));
    assert!(first(|f| f.tunnels.as_mut().expect("ports")[0].gue = false).contains("takes FOU"));
}

#[test]
fn a_proxy_by_its_hook_and_without_a_table() {
    let mut facts = a_proxy();
    let own = Prefix {
        addr: Addr::V4([192, 168, 50, 0]),
        len: 24,
    };
    *rules_of(&mut facts) = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n".to_owned();
    let mut door = Door {
        port: 19523,
        allow_hops: vec![own],
        ..Door::default()
    };
    let mut with = |door: &Door| {
        facts.redirect.as_mut().expect("one").door = Some(door.clone());
        of_proxy(&facts)
    };
    let found = with(&door);
    assert!(
        found.len() == 1 && found[0].contains("up to nftables"),
        "{found:#?}"
    );
    let elsewhere = Door {
        conntrack: true,
        ..door.clone()
    };
    let mut away = facts.clone();
    away.addresses.truncate(2);
    away.vips[1].route = by(2, false);
    away.redirect.as_mut().expect("one").door = Some(elsewhere);
    assert!(of_proxy(&away)
        .iter()
        .any(|one| one.starts_with("vips: note") && one.contains("behind NAT")));
    let mut with = |door: &Door| {
        facts.redirect.as_mut().expect("one").door = Some(door.clone());
        of_proxy(&facts)
    };
    door.allow_hops.clear();
    assert!(with(&door)
        .iter()
        .any(|one| one.contains("error: glbctl redirect passes packets on to any")));
    door.port = 6080;
    assert!(with(&door)
        .iter()
        .any(|one| one.contains("is on for port 6080")));

    let mut facts = a_proxy();
    facts.vips.clear();
    facts.vips_from = None;
    assert_eq!(of_proxy(&facts), [] as [&str; 0]);
    facts.addresses.truncate(1);
    let found = of_proxy(&facts);
    assert!(
        found[0].starts_with("vips: warning: no address stands on a tunnel"),
        "{found:#?}"
    );
}

#[test]
fn a_proxy_over_ipv6() {
    let mut facts = a_proxy();
    facts.tunnels.as_mut().expect("ports")[0].v6 = true;
    facts.rules.swap(0, 1);
    facts.rules[0].v6 = false;
    facts.rules[1].v6 = true;
    let found = of_proxy(&facts);
    assert!(found[0].contains("no tunnel device ip6tnl0"), "{found:#?}");
    facts.links.push(link(5, "ip6tnl0", "ip6tnl", 1480));
    assert_eq!(of_proxy(&facts), [] as [&str; 0]);
    facts.links[4].proto = 41;
    assert!(of_proxy(&facts)[0].contains("its mode is not any"));
}

fn the(facts: &mut Facts) -> &mut Director {
    facts.director.as_mut().expect("a director")
}

#[test]
fn directors() {
    each(
        a_director,
        of_director,
        &[
            (|f| the(f).tables.clear(), "tables: error", "no table"),
            (
                |f| the(f).tables[0].binds.clear(),
                "tables: warning",
                "nothing leads to table web",
            ),
            (
                |f| the(f).wanted_devices = Some(vec!["eth0".to_owned(), "eth1".to_owned()]),
                "devices: error",
                "eth1 stands in GLB_DEVICES",
            ),
            (
                |f| f.links[1].no_carrier = true,
                "devices: error",
                "no carrier",
            ),
            (
                |f| f.links[1].xdp = true,
                "xdp: warning",
                "XDP program on eth0",
            ),
            (
                |f| the(f).lro = vec!["eth0".to_owned()],
                "lro: error",
                "(LRO)",
            ),
            (
                |f| f.addresses.push(Address { link: 1, addr: VIP }),
                "vips: error",
                "10.10.10.10 is an address of this director, on lo",
            ),
            (
                |f| f.vips[0].route = by(1, true),
                "vips: error",
                "local to this director by a route",
            ),
            (
                |f| {
                    f.vips.push(Vip {
                        addr: Addr::V4([192, 168, 50, 0]),
                        len: 24,
                        route: by(2, false),
                    })
                },
                "vips: warning",
                "covers 192.168.50.6",
            ),
            (
                |f| the(f).settings.source_v4 = Some([1, 2, 3, 4]),
                "source: warning",
                "1.2.3.4",
            ),
            (
                |f| the(f).proxies[0].1 = None,
                "routes: error",
                "no route to 192.168.50.10",
            ),
            (|f| f.links[1].mtu = 1500, "mtu: warning", "need 1540"),
            (
                |f| {
                    the(f).proxies[0].1 = Some(Route {
                        local: false,
                        link: 2,
                        mtu: Some(1539),
                    })
                },
                "mtu: warning",
                "takes 1539 bytes",
            ),
            (|f| the(f).tables[0].hops = 31, "mtu: warning", "need 1656"),
            (
                |f| the(f).checker = Some(Err("refused".to_owned())),
                "checker: warning",
                "refused",
            ),
            (
                |f| {
                    let problems = vec!["web: 1 of 2 down".to_owned()];
                    the(f).checker = Some(Ok(Checker {
                        status: "degraded".to_owned(),
                        problems,
                    }));
                },
                "checker: warning",
                "degraded: web: 1 of 2 down",
            ),
            (
                |f| f.conntrack = Some((95, 100)),
                "conntrack: warning",
                "95 of 100",
            ),
            (
                |f| {
                    f.rp_filter.insert("eth0".to_owned(), 1);
                    f.vips[0].route = by(1, false);
                },
                "rp-filter: warning",
                "gue_vip",
            ),
        ],
    );
}

#[test]
fn a_director_whose_device_is_down() {
    let mut facts = a_director();
    facts.links[1].up = false;
    let found = of_director(&facts);
    assert!(found[0].contains("eth0 is attached and down"), "{found:#?}");
    assert!(
        found[1].contains("the way to 192.168.50.10 is by eth0, which is down"),
        "{found:#?}"
    );
    the(&mut facts).devices = vec![String::new()];
    the(&mut facts).wanted_devices = None;
    assert!(of_director(&facts)[0].contains("an attached device is gone"));
    the(&mut facts).devices.clear();
    assert!(of_director(&facts)[0].contains("no device is attached"));
}

#[test]
fn a_director_that_is_a_proxy_may_have_the_vips() {
    let mut facts = a_director();
    facts.links.push(link(3, "tunl0", "ipip", 1480));
    facts.addresses.push(Address { link: 3, addr: VIP });
    assert!(of_director(&facts)[0].contains("an address of this director, on tunl0"));
    facts.tunnels = a_proxy().tunnels;
    facts.accept_local.insert("tunl0".to_owned(), 1);
    assert_eq!(of_director(&facts), [] as [&str; 0]);
    facts.accept_local.insert("tunl0".to_owned(), 0);
    assert!(
        of_director(&facts)[0].contains("accept_local")
            || of_director(&facts)[0].contains("own addresses")
    );
}

#[test]
fn what_a_machine_is() {
    assert!(matches!(roles(None, &a_director())[..], [Role::Director]));
    assert!(matches!(roles(None, &a_proxy())[..], [Role::Proxy]));
    let mut both = a_proxy();
    both.director = a_director().director;
    assert!(matches!(
        roles(None, &both)[..],
        [Role::Director, Role::Proxy]
    ));
    assert!(matches!(roles(Some(Role::Proxy), &both)[..], [Role::Proxy]));
    let mut idle = a_proxy();
    idle.tunnels = None;
    idle.rules.clear();
    // The one module that is loaded tells.
    assert!(matches!(roles(None, &idle)[..], [Role::Proxy]));
    idle.modules.push(module("rust_glb_director"));
    assert!(roles(None, &idle).is_empty());
}

/// What is advised, for all that is not well.
fn advice(facts: &Facts) -> Vec<String> {
    let mut out = Findings::default();
    if let Some(redirect) = &facts.redirect {
        proxy::judge(facts, redirect, &mut out);
    }
    if let Some(director) = &facts.director {
        director::judge(facts, director, &mut out);
    }
    out.0.into_iter().filter_map(|one| one.what_to_do).collect()
}

#[test]
fn a_gateways_address_needs_a_route_all_the_same() {
    let mut facts = a_director();
    the(&mut facts).settings.gateway_mac = Some([2, 0, 0, 0, 0, 1]);
    assert_eq!(of_director(&facts), [] as [&str; 0]);
    the(&mut facts).proxies[0].1 = None;
    assert!(of_director(&facts)[0].starts_with("routes: error: there is no route"));
    the(&mut facts).proxies[0].1 = by(2, false);
    facts.links[1].mtu = 1500;
    assert!(of_director(&facts)[0].starts_with("mtu: warning"));
}

/// A packet that is rewritten has no tunnel: no room is needed, no source, and no device receives it.
#[test]
fn what_is_not_tunnelled_is_not_called_so() {
    let dscp = glb_core::packet::dscp::Dscp::new(2).expect("a DSCP");
    let mut facts = a_director();
    the(&mut facts).tables[0].forward = Forward::L3dsr(dscp);
    // A path as long as what comes is enough, whatever the director's own addresses are.
    facts.links[1].mtu = 1500;
    facts.addresses.clear();
    assert_eq!(of_director(&facts), [] as [&str; 0]);
    let mut shorter = a_director();
    the(&mut shorter).tables[0].forward = Forward::L3dsr(dscp);
    the(&mut shorter).proxies[0].1 = by(2, false).map(|route| Route {
        mtu: Some(1400),
        ..route
    });
    let found = of_director(&shorter);
    assert!(found[0].starts_with("mtu: warning"), "{found:?}");
    assert!(found[0].contains("by l3dsr of table web"), "{found:?}");
    assert!(!found[0].contains("tunnel"), "{found:?}");
    let mut proxy = a_proxy();
    proxy.backends = vec![(PROXY, Forward::L3dsr(dscp)), (PROXY, Forward::Gre)];
    let found = of_proxy(&proxy);
    let said = |part: &str| found.iter().any(|one| one.contains(part));
    assert!(said("by gre: the device that receives it"), "{found:?}");
    assert!(
        said("by l3dsr: packets come to this machine's own address"),
        "{found:?}"
    );
}

#[test]
fn settings_of_all_devices_hold_too() {
    let mut facts = a_director();
    facts.links.push(link(3, "tunl0.1", "ipip", 1480));
    facts.addresses.push(Address { link: 3, addr: VIP });
    facts.tunnels = a_proxy().tunnels;
    facts.accept_local.insert("tunl0.1".to_owned(), 0);
    assert_eq!(
        advice(&facts),
        ["sysctl -w net/ipv4/conf/tunl0.1/accept_local=1, and in /etc/sysctl.d"]
    );
    facts.accept_local.insert("all".to_owned(), 1);
    assert_eq!(advice(&facts), [] as [&str; 0]);
    // Its own 0 does not help where everybody's is strict.
    facts.rp_filter.insert("all".to_owned(), 1);
    facts.rp_filter.insert("tunl0.1".to_owned(), 0);
    assert_eq!(
        advice(&facts)[0],
        "sysctl -w net/ipv4/conf/all/rp_filter=0, and in /etc/sysctl.d"
    );
}

#[test]
fn the_port_is_made_for_the_tables_families_and_behind_the_rules() {
    let mut facts = a_proxy();
    facts.tunnels = None;
    assert_eq!(
        advice(&facts)[0],
        "modprobe fou && ip fou add port 19523 gue"
    );
    let v6 = Addr::V6([0xfd; 16]);
    facts.backends = vec![(PROXY, Forward::Gue), (v6, Forward::Gue)];
    assert_eq!(
        advice(&facts)[0],
        "modprobe fou && ip fou add port 19523 gue"
    );
    facts.backends = vec![(v6, Forward::Gue)];
    let told = advice(&facts).swap_remove(0);
    assert!(
        told.starts_with("the rules of docs/proxy.md first"),
        "{told}"
    );
    assert!(
        told.ends_with("then: modprobe fou && ip -6 fou add port 19523 gue"),
        "{told}"
    );
    facts.tunnels = a_proxy().tunnels;
    let found = of_proxy(&facts);
    assert!(found[0].contains("takes no GUE over IPv6"), "{found:#?}");
    facts.backends.clear();
    facts.tunnels = None;
    rules_of(&mut facts).clear();
    assert!(advice(&facts)[0].starts_with("the rules of docs/proxy.md first"));
}

#[test]
fn what_is_not_known_is_told() {
    let mut facts = a_director();
    facts.unknown.push((
        "routes",
        "the way to fd00::1 is not known: Operation not supported".to_owned(),
    ));
    assert_eq!(
        of_director(&facts),
        ["routes: note: the way to fd00::1 is not known: Operation not supported"]
    );
}

#[test]
fn a_fleet_is_asked_at_the_same_time() {
    use std::io::{Read, Write};
    use std::sync::{Arc, Barrier};
    // Each answers when both were asked.
    let both = Arc::new(Barrier::new(2));
    let urls: Vec<_> = (0..2)
        .map(|number| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
            let addr = listener.local_addr().expect("an address");
            let both = Arc::clone(&both);
            std::thread::spawn(move || {
                let mut stream = listener.accept().expect("a connection").0;
                let mut request = [0; 1024];
                let _len = stream.read(&mut request).expect("a request");
                both.wait();
                let page = format!("HTTP/1.0 200 OK\r\n\r\nx {number}\n");
                stream.write_all(page.as_bytes()).expect("sent");
            });
            crate::http::Url::new(&format!("http://{addr}/metrics")).expect("a URL")
        })
        .collect();
    for (number, page) in all_pages(&urls).into_iter().enumerate() {
        assert_eq!(page.series.expect("a page")["x"], number as f64);
    }
}
