// SPDX-License-Identifier: GPL-2.0

//! A director, judged: docs/director.md as a program.

use super::common;
use super::facts::{Director, Facts, Table};
use super::finding::Findings;
use crate::text::addr as addr_text;
use glb_core::director::Leave;
use glb_core::director::Shape;
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Family;
use std::collections::BTreeSet;

pub(super) fn judge(facts: &Facts, director: &Director, out: &mut Findings) {
    common::module(facts, "rust_glb_director", out);
    tables(director, out);
    devices(facts, director, out);
    vips(facts, director, out);
    source(facts, director, out);
    routes(facts, director, out);
    mtu(facts, director, out);
    rp_filter(facts, director, out);
    checker(director, out);
    common::conntrack(facts, out);
    common::unknown(facts, out);
}

fn tables(director: &Director, out: &mut Findings) {
    const CHECK: &str = "tables";
    if director.tables.is_empty() {
        out.error(
            CHECK,
            "no table is loaded: no packet is sent to a proxy",
            "glbctl table load FILE, or systemctl start glb-director glb-healthcheck",
        );
        return;
    }
    for table in director
        .tables
        .iter()
        .filter(|table| table.binds.is_empty())
    {
        out.warning(
            CHECK,
            format!("nothing leads to table {}", table.label),
            "glbctl bind add, in the operator's table",
        );
    }
    let count = director.tables.len();
    let plural = if count == 1 { "" } else { "s" };
    out.ok(
        CHECK,
        format!("{count} table{plural}, load {}", director.generation),
    );
}

fn devices(facts: &Facts, director: &Director, out: &mut Findings) {
    const CHECK: &str = "devices";
    if director.devices.is_empty() {
        out.error(
            CHECK,
            "no device is attached: no packet is taken",
            "glbctl attach DEVICE",
        );
    }
    for name in &director.devices {
        match facts.link_named(name) {
            None => out.error(
                CHECK,
                format!(
                    "an attached device is gone{}",
                    if name.is_empty() {
                        String::new()
                    } else {
                        format!(": {name}")
                    }
                ),
                "glbctl attach DEVICE: one that was made anew is another device",
            ),
            Some(link) if !link.up => out.error(
                CHECK,
                format!("{name} is attached and down"),
                format!("ip link set up dev {name}"),
            ),
            Some(link) if link.no_carrier => out.error(
                CHECK,
                format!("{name} is attached and has no carrier"),
                "look at the cable, the switch, or the other end",
            ),
            Some(_) => out.ok(CHECK, format!("{name} is attached and up")),
        }
        if facts.link_named(name).is_some_and(|link| link.xdp) {
            out.warning(
                "xdp",
                format!("an XDP program on {name} sees packets before the director does"),
                format!("see that it passes packets to the VIPs on: ip link show dev {name}"),
            );
        }
    }
    for name in &director.lro {
        out.error(
            "lro",
            format!("{name} merges packets for this machine alone (LRO): the director drops them"),
            format!("ethtool -K {name} lro off"),
        );
    }
    let Some(wanted) = &director.wanted_devices else {
        return;
    };
    for name in wanted {
        if !director.devices.contains(name) {
            out.error(
                CHECK,
                format!(
                    "{name} stands in GLB_DEVICES (/etc/default/glb-director) and is not attached"
                ),
                "systemctl reload glb-director",
            );
        }
    }
}

/// Whether a device is one that a proxy's VIPs stand on.
fn is_proxys(facts: &Facts, device: &str) -> bool {
    let tunnels = facts.tunnels.iter().flatten();
    let kind = facts.link_named(device).map(|link| &*link.kind);
    tunnels.count() > 0 && matches!(kind, Some("ipip" | "sit" | "ip6tnl"))
}

/// The settings without which a device takes no packet from the machine's own addresses; nothing where it does.
fn own_source(facts: &Facts, device: &str) -> Option<String> {
    let mut settings = Vec::new();
    if facts.accepts_local(device) == Some(false) {
        settings.push(common::sysctl(device, "accept_local", 1));
    }
    if facts.rp_filter(device) == 1 {
        let strict = facts.strict(device);
        settings.extend(strict.map(|name| common::sysctl(name, "rp_filter", 0)));
    }
    (!settings.is_empty()).then(|| settings.join(" "))
}

fn vips(facts: &Facts, director: &Director, out: &mut Findings) {
    const CHECK: &str = "vips";
    let mut bad = false;
    for vip in &facts.vips {
        let exact = vip.len == vip.addr.bits();
        let text = addr_text(vip.addr);
        let own: Vec<(Addr, &str)> = facts.own_in(vip.addr, vip.len).collect();
        for (addr, device) in &own {
            let own_text = addr_text(*addr);
            if is_proxys(facts, device) {
                if let (Some(settings), Addr::V4(_)) = (own_source(facts, device), addr) {
                    bad = true;
                    out.warning(
                        CHECK,
                        format!(
                            "{own_text} is on {device}, so this director is a proxy too; \
                             {device} takes no packet from one of the machine's own addresses"
                        ),
                        format!("sysctl -w {settings}, and in /etc/sysctl.d"),
                    );
                }
            } else if exact {
                bad = true;
                out.error(
                    CHECK,
                    format!("the VIP {text} is an address of this director, on {device}: it answers for it itself, and drops the proxies' answers"),
                    format!("ip addr del {text}/{} dev {device}; announce it from a static route (docs/director.md)", vip.len),
                );
            } else {
                bad = true;
                out.warning(
                    CHECK,
                    format!("the bind {text}/{} covers {own_text}, an address of this director on {device}: what comes for it on these ports goes to the proxies", vip.len),
                    "make the bind narrower, if this machine serves these ports itself",
                );
            }
        }
        if own.is_empty() && exact && vip.route.is_some_and(|route| route.local) {
            bad = true;
            out.error(
                CHECK,
                format!(
                    "the VIP {text} is local to this director by a route: it answers for it itself"
                ),
                format!("ip route del local {text}/{}", vip.len),
            );
        }
    }
    if !bad && !director.tables.is_empty() {
        out.ok(CHECK, "no VIP is an address of this director");
    }
}

fn source(facts: &Facts, director: &Director, out: &mut Findings) {
    const CHECK: &str = "source";
    // What is not tunnelled goes on with the client's address.
    if !director.tables.is_empty() && !director.tables.iter().any(is_tunnelled) {
        return;
    }
    let settings = &director.settings;
    let sources = [
        settings.source_v4.map(Addr::V4),
        settings.source_v6.map(Addr::V6),
    ];
    for addr in sources.into_iter().flatten() {
        let text = addr_text(addr);
        if facts.addresses.iter().any(|one| one.addr == addr) {
            out.ok(CHECK, format!("tunnel packets come from {text}"));
        } else {
            out.warning(
                CHECK,
                format!("tunnel packets come from {text}, which is no address of this machine: what routers say of them does not come back"),
                "glbctl config set --source-v4 ADDRESS, and in director.conf; right only for a director that is a proxy over IPv6",
            );
        }
    }
}

fn routes(facts: &Facts, director: &Director, out: &mut Findings) {
    const CHECK: &str = "routes";
    let mut without = Vec::new();
    for (addr, route) in &director.proxies {
        match route {
            None => without.push(addr_text(*addr)),
            Some(route) => {
                if facts.link(route.link).is_some_and(|link| !link.up) {
                    out.error(
                        CHECK,
                        format!(
                            "the way to {} is by {}, which is down",
                            addr_text(*addr),
                            facts.link_name(route.link)
                        ),
                        format!("ip link set up dev {}", facts.link_name(route.link)),
                    );
                }
            }
        }
    }
    if !without.is_empty() {
        let what = format!(
            "there is no route to {}: packets of their rows are dropped",
            some(&without)
        );
        out.error(CHECK, what, format!("ip route get {}", without[0]));
    } else if !director.proxies.is_empty() && !out.is_bad(CHECK) {
        // A packet takes its route's device even where its frame is addressed by hand.
        let by = director
            .settings
            .gateway_mac
            .map_or("", |_| ", by outbound_gateway_mac on its device");
        out.ok(
            CHECK,
            format!(
                "there is a route to each of {} proxies{by}",
                director.proxies.len()
            ),
        );
    }
}

/// Bytes that the forward of a table adds on the way to this proxy, with the hops of so many rows.
fn room(table: &Table, to: Addr, rows: u8) -> u32 {
    let shape = Shape {
        outer: match to {
            Addr::V4(_) => Family::V4,
            Addr::V6(_) => Family::V6,
        },
        // No forward's length depends on it.
        inner: Family::V4,
        others: table.hops.saturating_mul(rows).saturating_sub(1),
        udp_checksum: false,
    };
    match table.forward.leave() {
        // The cast is exact: headers are short.
        Leave::Tunnel(tunnel) => tunnel.layout(&shape).len as u32,
        Leave::Rewrite(_) | Leave::Mark(_) => 0,
    }
}

fn is_tunnelled(table: &Table) -> bool {
    matches!(table.forward.leave(), Leave::Tunnel(_))
}

fn mtu(facts: &Facts, director: &Director, out: &mut Findings) {
    const CHECK: &str = "mtu";
    // What comes in is as long as the narrowest attached device lets it be, which is what clients are held to.
    let attached = director
        .devices
        .iter()
        .filter_map(|name| facts.link_named(name));
    let Some(coming) = attached.map(|link| link.mtu.min(1500)).min() else {
        return;
    };
    let rows = if director.settings.alt_hash_fields.is_some() {
        2
    } else {
        1
    };
    let mut told = BTreeSet::new();
    for table in &director.tables {
        for addr in &table.backends {
            let found = director.proxies.iter().find(|one| one.0 == *addr);
            let Some((_, Some(route))) = found else {
                continue;
            };
            let Some(link) = facts.link(route.link) else {
                continue;
            };
            let path = route.mtu.unwrap_or(link.mtu).min(link.mtu);
            let room = room(table, *addr, rows);
            if path < coming + room && told.insert((path, room)) {
                let cut = if director.settings.segment_tcp {
                    "TCP packets are cut"
                } else {
                    "their senders are told by ICMP what fits, if they listen"
                };
                let need = match room {
                    0 => format!(
                        "packets of {coming} bytes go there as long as they come, by {} of table {}",
                        table.forward.name(),
                        table.label
                    ),
                    _ => format!(
                        "packets of {coming} bytes need {} with the tunnel of table {}",
                        coming + room,
                        table.label
                    ),
                };
                out.warning(
                    CHECK,
                    format!(
                        "the way to {} ({}) takes {path} bytes; {need}: {cut}",
                        addr_text(*addr),
                        link.name,
                    ),
                    format!(
                        "ip link set {} mtu {}, and on the network between",
                        link.name,
                        (coming + room).max(1600)
                    ),
                );
            }
        }
    }
    if told.is_empty() && !director.proxies.is_empty() {
        out.ok(
            CHECK,
            format!(
                "packets of {coming} bytes fit{}",
                if director.tables.iter().any(is_tunnelled) {
                    " with their tunnel"
                } else {
                    ""
                }
            ),
        );
    }
}

fn rp_filter(facts: &Facts, director: &Director, out: &mut Findings) {
    const CHECK: &str = "rp-filter";
    // A proxy's answer to a check through the tunnel comes from the VIP, by the device to that proxy.
    let devices: BTreeSet<u32> = director
        .proxies
        .iter()
        .filter_map(|(_, route)| route.map(|route| route.link))
        .collect();
    for link in devices.into_iter().filter_map(|index| facts.link(index)) {
        if facts.rp_filter(&link.name) != 1 {
            out.ok(
                CHECK,
                format!("reverse path filtering is not strict on {}", link.name),
            );
            continue;
        }
        let elsewhere = facts.vips.iter().find(|vip| {
            let here = vip
                .route
                .is_some_and(|route| !route.local && route.link == link.index);
            matches!(vip.addr, Addr::V4(_)) && !here
        });
        match elsewhere {
            Some(vip) => out.warning(
                CHECK,
                format!(
                    "reverse path filtering is strict on {}, and the route to {} does not lead there: answers to gue_vip checks are dropped",
                    link.name,
                    addr_text(vip.addr)
                ),
                // The greater of everybody's and its own holds.
                format!("sysctl -w {}", common::sysctl(&link.name, "rp_filter", 2)),
            ),
            None => out.ok(CHECK, format!("reverse path filtering on {} suits the routes", link.name)),
        }
    }
}

fn checker(director: &Director, out: &mut Findings) {
    const CHECK: &str = "checker";
    match &director.checker {
        None => {}
        Some(Err(reason)) => out.warning(
            CHECK,
            format!("glb-healthcheck does not answer: {reason}"),
            "systemctl status glb-healthcheck; where none is wanted: --checker none",
        ),
        Some(Ok(checker)) if checker.problems.is_empty() && checker.status == "ok" => {
            out.ok(CHECK, "glb-healthcheck has nothing to say");
        }
        Some(Ok(checker)) => {
            let problems = if checker.problems.is_empty() {
                String::new()
            } else {
                format!(": {}", checker.problems.join("; "))
            };
            out.warning(
                CHECK,
                format!("glb-healthcheck is {}{problems}", checker.status),
                "glbctl backend status says more; see to the proxies, or to the files",
            );
        }
    }
}

/// The first of a list, and how many more there are.
fn some(list: &[String]) -> String {
    match list {
        [first, second, third, more @ ..] if !more.is_empty() => {
            format!("{first}, {second}, {third} and {} more", more.len())
        }
        _ => list.join(", "),
    }
}
