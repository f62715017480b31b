// SPDX-License-Identifier: GPL-2.0

//! What is judged alike on directors and proxies.

use super::facts::Facts;
use super::finding::Findings;

/// The module: whether it is there, and the one that is installed.
pub(super) fn module(facts: &Facts, name: &str, out: &mut Findings) {
    const CHECK: &str = "module";
    let Some(module) = facts.modules.iter().find(|one| one.name == name) else {
        return;
    };
    let own = env!("CARGO_PKG_VERSION");
    if !module.loaded {
        out.error(
            CHECK,
            format!("{name} is not loaded"),
            format!("modprobe {name}; if it is not found: dkms status, and docs/install.md"),
        );
        return;
    }
    match &module.version {
        Some(version) if version != own => out.warning(
            CHECK,
            format!("{name} is version {version}, and glbctl is {own}"),
            "install both from one release, and load the module again",
        ),
        Some(_) => {}
        None => out.warning(
            CHECK,
            format!("{name} does not say its version: it is older than glbctl, which is {own}"),
            "install both from one release, and load the module again",
        ),
    }
    match module.is_installed {
        Some(false) => out.warning(
            CHECK,
            format!("{name} is loaded in another build than the one that is installed for this kernel"),
            format!("load the installed one when the machine has no traffic: rmmod {name} && modprobe {name}"),
        ),
        Some(true) => out.ok(CHECK, format!("{name} is loaded, and is the installed one")),
        None => out.ok(CHECK, format!("{name} is loaded")),
    }
}

/// The table of connections.
pub(super) fn conntrack(facts: &Facts, out: &mut Findings) {
    const CHECK: &str = "conntrack";
    let Some((count, max)) = facts.conntrack else {
        return;
    };
    let what = format!("the table of connections has {count} of {max} entries");
    let what_to_do = "sysctl -w net.netfilter.nf_conntrack_max=MORE, and leave tunnel packets out of it (docs/proxy.md)";
    if max > 0 && count >= max {
        out.error(
            CHECK,
            format!("{what}: it is full, new connections are dropped"),
            what_to_do,
        );
    } else if count.saturating_mul(10) >= max.saturating_mul(9) {
        out.warning(CHECK, what, what_to_do);
    } else {
        out.ok(CHECK, what);
    }
}

/// A setting of a device over IPv4, as sysctl takes it: with slashes, since the name may have dots.
pub(super) fn sysctl(device: &str, setting: &str, value: u8) -> String {
    format!("net/ipv4/conf/{device}/{setting}={value}")
}

/// What could not be found out.
pub(super) fn unknown(facts: &Facts, out: &mut Findings) {
    for (check, reason) in &facts.unknown {
        out.note(check, reason.clone(), "look yourself, or run as root");
    }
}
