// SPDX-License-Identifier: GPL-2.0

//! A proxy, judged: docs/proxy.md as a program.

use super::common;
use super::cookie;
use super::facts::{Facts, Redirect};
use super::finding::Findings;
use super::rules::{self, Rules, Ruleset};
use crate::text::addr as addr_text;
use glb_core::director::Forward;
use glb_core::packet::addr::Addr;
use glb_netlink::machine::Link;

/// Bytes that a tunnel with two hops adds to a client's packet.
const ROOM_V4: u32 = 40;
const ROOM_V6: u32 = 72;
/// What clients send.
const CLIENTS_MTU: u32 = 1500;

pub(super) fn judge(facts: &Facts, redirect: &Redirect, out: &mut Findings) {
    common::module(facts, "rust_glb_redirect", out);
    if by_gue(facts, out) {
        port(facts, redirect, out);
        devices(facts, redirect, out);
        rp_filter(facts, redirect, out);
        second_chance(facts, redirect, out);
        mtu(facts, redirect, out);
    }
    vips(facts, ends_elsewhere(facts, redirect), out);
    common::conntrack(facts, out);
    cookie::judge(facts, out);
    common::unknown(facts, out);
}

/// The entries of the tables for this machine, or all where it is in none.
fn entries(facts: &Facts) -> Vec<(Addr, Forward)> {
    let own = |addr: Addr| facts.addresses.iter().any(|one| one.addr == addr);
    let all = || facts.backends.iter().copied();
    let here: Vec<_> = all().filter(|(addr, _)| own(*addr)).collect();
    if here.is_empty() {
        all().collect()
    } else {
        here
    }
}

/// Whether tables send here by GUE, or no table is known. What receives another forward is named, and not looked at.
fn by_gue(facts: &Facts, out: &mut Findings) -> bool {
    let entries = entries(facts);
    let names = |rewrites: bool| {
        let others = entries.iter().map(|(_, forward)| *forward);
        let others = others.filter(|one| *one != Forward::Gue && one.kind().rewrites() == rewrites);
        let mut names: Vec<&str> = others.map(Forward::name).collect();
        names.sort_unstable();
        names.dedup();
        names.join(" and ")
    };
    let said = [
        (names(false), "the device that receives it is not looked at"),
        (
            names(true),
            "packets come to this machine's own address with no tunnel, and what takes them to the VIP is not looked at",
        ),
    ];
    for (names, what) in said.iter().filter(|(names, _)| !names.is_empty()) {
        out.note(
            "forward",
            format!("tables send here by {names}: {what}"),
            "docs/director.md, \"How packets leave\", has what receives each",
        );
    }
    entries.is_empty() || entries.iter().any(|(_, forward)| *forward == Forward::Gue)
}

/// Whether tunnel packets are taken, for IPv6 outside or IPv4.
fn takes(facts: &Facts, port: u16, v6: bool) -> bool {
    let ports = facts.tunnels.iter().flatten();
    let mut ports = ports.filter(|one| one.gue && one.port == port);
    ports.any(|one| one.v6 == v6)
}

fn family(v6: bool) -> &'static str {
    if v6 {
        "IPv6"
    } else {
        "IPv4"
    }
}

/// Over which families directors send here, IPv6 being true: as this machine stands in the tables, or any proxy where it
/// does not; IPv4 where nothing is known.
fn underlays(facts: &Facts) -> Vec<bool> {
    let mut families: Vec<bool> = entries(facts)
        .iter()
        .filter(|(_, forward)| *forward == Forward::Gue)
        .map(|(addr, _)| matches!(addr, Addr::V6(_)))
        .collect();
    families.sort_unstable();
    families.dedup();
    if families.is_empty() {
        families.push(false);
    }
    families
}

/// How the tunnel's port is made. Where nothing restricts what is passed on, that comes first: there shall be no moment in
/// which anybody can use the tunnel.
fn add(facts: &Facts, redirect: &Redirect, wanted: &[bool]) -> String {
    let port = redirect.port;
    let mut add = "modprobe fou".to_owned();
    for v6 in wanted {
        let option = if *v6 { "-6 " } else { "" };
        add += &format!(" && ip {option}fou add port {port} gue");
    }
    let has_rules = |v6: bool| {
        let mut of_family = facts.rules.iter().filter(|one| one.v6 == v6);
        of_family.any(|one| {
            one.text
                .as_ref()
                .is_ok_and(|text| Ruleset::parse(text).redirects())
        })
    };
    if redirect.door.is_some() || wanted.iter().all(|v6| has_rules(*v6)) {
        add
    } else {
        format!("the rules of docs/proxy.md first, or glbctl redirect on --port {port} --allow-hops PREFIX; then: {add}")
    }
}

fn port(facts: &Facts, redirect: &Redirect, out: &mut Findings) {
    const CHECK: &str = "tunnel-port";
    let port = redirect.port;
    let wanted = underlays(facts);
    let add = add(facts, redirect, &wanted);
    let Some(tunnels) = &facts.tunnels else {
        out.error(
            CHECK,
            "the module fou is not loaded: nobody takes the tunnel apart",
            add,
        );
        return;
    };
    let here: Vec<_> = tunnels.iter().filter(|one| one.port == port).collect();
    for one in here.iter().filter(|one| !one.gue) {
        let family = if one.v6 { "-6 " } else { "" };
        out.error(
            CHECK,
            format!("port {port} takes FOU, and directors send GUE"),
            format!("ip {family}fou del port {port} && ip {family}fou add port {port} gue"),
        );
    }
    if here.iter().any(|one| one.gue) {
        let families: Vec<&str> = [(false, "IPv4"), (true, "IPv6")]
            .into_iter()
            .filter(|(v6, _)| takes(facts, port, *v6))
            .map(|(_, name)| name)
            .collect();
        out.ok(
            CHECK,
            format!("port {port} takes GUE over {}", families.join(" and ")),
        );
        let known = !facts.backends.is_empty();
        let missing = wanted
            .iter()
            .filter(|v6| known && !takes(facts, port, **v6));
        for v6 in missing {
            out.error(
                CHECK,
                format!(
                    "port {port} takes no GUE over {}, and the table has such a proxy",
                    family(*v6)
                ),
                self::add(facts, redirect, &[*v6]),
            );
        }
    } else if here.is_empty() {
        let others: Vec<String> = tunnels
            .iter()
            .filter(|one| one.gue)
            .map(|one| one.port.to_string())
            .collect();
        let owner = facts.udp.iter().find(|one| one.port == port);
        match owner {
            Some(owner) => out.error(
                CHECK,
                format!(
                    "UDP port {port} is somebody else's{}",
                    owner
                        .owner
                        .as_ref()
                        .map_or_else(String::new, |owner| format!(": {owner}"))
                ),
                format!("stop that program, then: {add}"),
            ),
            None if others.is_empty() => {
                out.error(CHECK, format!("nothing listens on UDP port {port}"), add);
            }
            None => out.error(
                CHECK,
                format!(
                    "the tunnel listens on port {}, not on {port}",
                    others.join(", ")
                ),
                format!("{add}; or tell doctor the fleet's port: --port"),
            ),
        }
    }
    if let Some(door) = &redirect.door {
        if door.port != port {
            out.error(
                CHECK,
                format!(
                    "glbctl redirect is on for port {}, not for {port}",
                    door.port
                ),
                format!("glbctl redirect on --port {port} --allow-hops PREFIX"),
            );
        }
    }
}

/// The tunnel devices that are needed: kind, a name, and why.
fn needed(facts: &Facts, port: u16) -> Vec<(&'static str, &'static str, &'static str)> {
    let known = facts.vips_from.is_some();
    let has = |v6: bool| {
        let vips = &facts.vips;
        vips.iter().any(|vip| matches!(vip.addr, Addr::V6(_)) == v6)
    };
    let mut needed = Vec::new();
    if takes(facts, port, false) {
        if !known || has(false) {
            needed.push(("ipip", "tunl0", "modprobe ipip && ip link set up dev tunl0"));
        }
        if known && has(true) {
            needed.push(("sit", "sit0", "modprobe sit && ip link set up dev sit0"));
        }
    }
    if takes(facts, port, true) {
        needed.push((
            "ip6tnl",
            "ip6tnl0",
            "modprobe ip6_tunnel && ip link change ip6tnl0 type ip6tnl mode any && ip link set up dev ip6tnl0",
        ));
    }
    needed
}

fn devices(facts: &Facts, redirect: &Redirect, out: &mut Findings) {
    const CHECK: &str = "tunnel-devices";
    for (kind, name, make) in needed(facts, redirect.port) {
        match facts.fallback(kind) {
            None => out.error(
                CHECK,
                format!("there is no tunnel device {name} ({kind}): what comes out of the tunnel is dropped"),
                make,
            ),
            Some(link) if !link.up => out.error(
                CHECK,
                format!("{} is down: what comes out of the tunnel is dropped", link.name),
                format!("ip link set up dev {}", link.name),
            ),
            Some(link) if kind == "ip6tnl" && link.proto != 0 => out.error(
                CHECK,
                format!("{} does not take both families: its mode is not any", link.name),
                format!("ip link change {} type ip6tnl mode any", link.name),
            ),
            Some(link) => out.ok(CHECK, format!("{} is up", link.name)),
        }
    }
}

fn is_tunnel(link: &Link) -> bool {
    ["ipip", "sit", "ip6tnl"].contains(&&*link.kind)
}

/// Whether the redirect is told that connections end behind NAT or in another network namespace.
fn ends_elsewhere(facts: &Facts, redirect: &Redirect) -> bool {
    let door = redirect.door.as_ref();
    let texts = facts.rules.iter().filter_map(|one| one.text.as_ref().ok());
    door.is_some_and(|door| door.conntrack || !door.netns.is_empty())
        || texts
            .map(|text| Ruleset::parse(text))
            .any(|set| set.ends_elsewhere())
}

fn vips(facts: &Facts, elsewhere: bool, out: &mut Findings) {
    const CHECK: &str = "vips";
    let Some(from) = &facts.vips_from else {
        let on_tunnels = facts.addresses.iter().filter(|one| {
            let link_local = matches!(one.addr, Addr::V6([0xfe, 0x80, ..]));
            facts.link(one.link).is_some_and(is_tunnel) && !link_local
        });
        let on_tunnels: Vec<String> = on_tunnels
            .map(|one| format!("{} on {}", addr_text(one.addr), facts.link_name(one.link)))
            .collect();
        if on_tunnels.is_empty() {
            out.warning(
                CHECK,
                "no address stands on a tunnel device, and it is not known which VIPs there are",
                "ip addr add VIP/32 dev tunl0; tell doctor: --vip ADDRESS, or --table FILE",
            );
        } else {
            out.ok(
                CHECK,
                format!(
                    "{} (which VIPs there are was not told: --table, --vip)",
                    on_tunnels.join(", ")
                ),
            );
        }
        return;
    };
    for vip in &facts.vips {
        let text = addr_text(vip.addr);
        let device = match vip.addr {
            Addr::V4(_) => "tunl0",
            Addr::V6(_) => "sit0",
        };
        let own: Vec<(Addr, &str)> = facts.own_in(vip.addr, vip.len).collect();
        let local = vip.route.is_some_and(|route| route.local);
        match own.first() {
            None if local => out.ok(CHECK, format!("{text}/{} is local by a route", vip.len)),
            None if elsewhere => out.note(
                CHECK,
                format!("{text}/{} is no address of this machine: the redirect is told that connections end behind NAT or in another network namespace", vip.len),
                "see that NAT or a route leads there: iptables -t nat -S, nft list ruleset, ip route get VIP (docs/proxy.md)",
            ),
            None if vip.len == vip.addr.bits() => out.error(
                CHECK,
                format!("{text}, of {from}, is no address of this machine: its connections end here in resets, or nowhere"),
                format!("ip addr add {text}/{} dev {device}", vip.len),
            ),
            None => out.error(
                CHECK,
                format!("no address of {text}/{}, of {from}, is this machine's", vip.len),
                format!("ip route add local {text}/{} dev lo", vip.len),
            ),
            Some((_, on)) => {
                let link = facts.link_named(on);
                if link.is_some_and(is_tunnel) || *on == "lo" || link.is_some_and(|l| l.kind == "dummy") {
                    out.ok(CHECK, format!("{text} is on {on}"));
                } else {
                    out.warning(
                        CHECK,
                        format!("{text} is on {on}, where this machine answers the neighbours' questions for it"),
                        format!("ip addr del {text}/{} dev {on}; ip addr add {text}/{} dev {device}", vip.len, vip.len),
                    );
                }
            }
        }
    }
}

fn rp_filter(facts: &Facts, redirect: &Redirect, out: &mut Findings) {
    const CHECK: &str = "rp-filter";
    // IPv4 comes out of these. IPv6 has no such filter.
    for kind in ["ipip", "ip6tnl"] {
        let wanted = needed(facts, redirect.port).iter().any(|one| one.0 == kind);
        let Some(link) = facts.fallback(kind).filter(|_| wanted) else {
            continue;
        };
        let name = &link.name;
        match facts.rp_filter(name) {
            1 => out.error(
                CHECK,
                format!("reverse path filtering is strict on {name}: clients' packets are dropped, as answers leave by another device"),
                format!(
                    "sysctl -w {} {}, and in /etc/sysctl.d",
                    common::sysctl("all", "rp_filter", 0),
                    common::sysctl(name, "rp_filter", 0)
                ),
            ),
            2 => out.ok(CHECK, format!("reverse path filtering is loose on {name}")),
            _ => out.ok(CHECK, format!("reverse path filtering is off on {name}")),
        }
    }
}

fn second_chance(facts: &Facts, redirect: &Redirect, out: &mut Findings) {
    const CHECK: &str = "rules";
    let port = redirect.port;
    let mut any = false;
    for one in &facts.rules {
        let (program, family) = if one.v6 {
            ("ip6tables", "IPv6")
        } else {
            ("iptables", "IPv4")
        };
        if !takes(facts, port, one.v6) {
            continue;
        }
        let text = match &one.text {
            Ok(text) => text,
            Err(reason) => {
                out.note(
                    CHECK,
                    format!("the rules for {family} were not looked at: {reason}"),
                    "install iptables, or look yourself: nft list ruleset",
                );
                continue;
            }
        };
        let set = Ruleset::parse(text);
        any |= set.redirects();
        let used = facts.conntrack.is_some_and(|(count, _)| count > 0);
        if redirect.door.is_none() && !set.redirects() {
            out.error(
                CHECK,
                format!("{program} has no GLBREDIRECT rule and glbctl redirect is off: packets of other proxies' connections are not passed on"),
                format!("{program} -A INPUT -p udp --dport {port} -j GLBREDIRECT --allow-hops PREFIX (docs/proxy.md), or glbctl redirect on --port {port} --allow-hops PREFIX"),
            );
        }
        let rules = Rules {
            program,
            set: &set,
            port,
            hook: redirect.door.is_some(),
            conntrack_used: used,
        };
        rules::judge(&rules, out);
    }
    if let Some(door) = &redirect.door {
        if door.allow_hops.is_empty() {
            out.error(
                CHECK,
                "glbctl redirect passes packets on to any address",
                format!(
                    "glbctl redirect on --port {} --allow-hops PREFIX",
                    door.port
                ),
            );
        } else if !any {
            out.ok(CHECK, "glbctl redirect is on, and restricted");
            out.note(
                CHECK,
                "who may send tunnel packets is up to nftables, which is not looked at",
                "nft list ruleset: a rule drops them from outside the fleet (docs/proxy.md)",
            );
        }
    }
}

fn mtu(facts: &Facts, redirect: &Redirect, out: &mut Findings) {
    const CHECK: &str = "mtu";
    let (v4, v6) = (
        takes(facts, redirect.port, false),
        takes(facts, redirect.port, true),
    );
    if !v4 && !v6 {
        return;
    }
    let room = if v6 { ROOM_V6 } else { ROOM_V4 };
    let least = CLIENTS_MTU + room;
    let carries = |link: &&Link| {
        let stacked = is_tunnel(link) || ["dummy", "bridge"].contains(&&*link.kind);
        link.up && link.name != "lo" && !stacked
    };
    let mut small = false;
    for link in facts.links.iter().filter(carries) {
        let on_underlay = facts.addresses.iter().any(|one| {
            let right =
                matches!(one.addr, Addr::V4(_)) && v4 || matches!(one.addr, Addr::V6(_)) && v6;
            one.link == link.index && right
        });
        if on_underlay && link.mtu < least {
            small = true;
            out.warning(
                CHECK,
                format!(
                    "{} has an MTU of {}: clients' packets of {CLIENTS_MTU} bytes need {least} to be passed on to another proxy",
                    link.name, link.mtu
                ),
                format!("ip link set {} mtu 1600, on the network too; or lower the clients' MSS", link.name),
            );
        }
    }
    if !small {
        out.ok(
            CHECK,
            format!("devices have room for the tunnel ({room} bytes)"),
        );
    }
}
