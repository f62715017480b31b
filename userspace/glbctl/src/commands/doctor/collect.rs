// SPDX-License-Identifier: GPL-2.0

//! Finds out about the machine: netlink, /proc and /sys; of programs only iptables-save, and timedatectl where cookies are set.

use super::facts::{
    Checker, Cookie, Director, Facts, Module, Redirect, Rules, Table, UdpSocket, Vip,
};
use crate::cli::doctor::Doctor;
use crate::cli::values::OrNone;
use crate::load::{self, Tables};
use crate::output::Failure;
use crate::places::SOURCE;
use crate::text::addr as addr_text;
use glb_core::director::classify::bind::Bind;
use glb_core::director::Role;
use glb_core::packet::addr::Addr;
use glb_netlink::machine::{self, Machine};
use glb_netlink::{Error, Glb};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a page may take to come.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn facts(args: &Doctor, json: bool) -> Result<Facts, Failure> {
    let mut machine = Machine::open()?;
    let mut facts = Facts {
        links: machine.links()?,
        addresses: machine.addresses()?,
        rp_filter: sysctls("rp_filter"),
        accept_local: sysctls("accept_local"),
        conntrack: conntrack(),
        modules: ["rust_glb_director", "rust_glb_redirect"]
            .map(module)
            .into(),
        ..Facts::default()
    };
    match machine::tunnel_ports() {
        Ok(ports) => facts.tunnels = ports,
        Err(error) => {
            let reason = format!("the kernel does not tell the tunnel's ports: {error}");
            facts.unknown.push(("tunnel-port", reason));
        }
    }
    facts.udp = udp(args.port);
    facts.rules = [false, true].map(rules).into();
    let mut door = None;
    match glb_netlink::Redirect::open_loaded().and_then(|mut redirect| redirect.get()) {
        Ok(found) => door = found,
        Err(Error::NoFamily(_)) => {}
        Err(error) => facts.unknown.push(("rules", error.to_string())),
    }
    facts.redirect = Some(Redirect {
        door,
        port: args.port,
    });
    facts.cookie = cookie(&mut facts.unknown);
    facts.director = match Glb::open_loaded() {
        Ok(mut glb) => Some(director(&mut glb, &mut machine, args, &mut facts.unknown)?),
        Err(Error::NoFamily(_)) => None,
        Err(error) => return Err(error.into()),
    };
    vips(&mut facts, &mut machine, args, json)?;
    Ok(facts)
}

/// What cookies are made of, if they are set. An older module knows none.
fn cookie(unknown: &mut Vec<(&'static str, String)>) -> Option<Cookie> {
    let asked = glb_netlink::Redirect::open_loaded().and_then(|mut redirect| redirect.cookie());
    match asked {
        Ok(settings) => settings.map(|settings| Cookie {
            settings,
            synchronized: synchronized(),
            timestamps: fs::read_to_string("/proc/sys/net/ipv4/tcp_timestamps")
                .ok()
                .and_then(|text| text.trim().parse().ok()),
        }),
        Err(Error::NoFamily(_)) => None,
        Err(error) if error.is_unknown() => None,
        Err(error) => {
            unknown.push(("cookie", error.to_string()));
            None
        }
    }
}

/// Whether the kernel's clock follows other clocks, as an NTP client has told the kernel.
fn synchronized() -> Result<bool, String> {
    let output = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = output.map_err(|error| glb_config::io_reason(&error))?;
    match output.stdout.trim_ascii() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err("it says neither yes nor no".to_owned()),
    }
}

/// A setting of each device.
fn sysctls(name: &str) -> BTreeMap<String, u8> {
    let devices = fs::read_dir("/proc/sys/net/ipv4/conf");
    let devices = devices.into_iter().flatten().flatten();
    let value = |path: &Path| {
        fs::read_to_string(path.join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    devices
        .filter_map(|device| {
            let value = value(&device.path())?;
            Some((device.file_name().into_string().ok()?, value))
        })
        .collect()
}

fn conntrack() -> Option<(u64, u64)> {
    let read = |name: &str| {
        let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some((read("count")?, read("max")?))
}

fn module(name: &'static str) -> Module {
    let dir = PathBuf::from("/sys/module").join(name);
    let version = fs::read_to_string(dir.join("version")).ok();
    Module {
        name,
        loaded: dir.exists(),
        version: version.map(|text| text.trim().to_owned()),
        is_installed: is_installed(&dir, name),
    }
}

/// Whether the module that is loaded is the file that modprobe would take: each build has its own mark. A file
/// that is compressed is not looked into.
fn is_installed(dir: &Path, name: &str) -> Option<bool> {
    let note = fs::read(dir.join("notes/.note.gnu.build-id")).ok()?;
    let id = note.get(note.len().checked_sub(20)?..)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let modules = PathBuf::from("/lib/modules").join(release.trim());
    let list = fs::read_to_string(modules.join("modules.dep")).ok()?;
    let file = list.lines().find_map(|line| {
        let path = line.split_once(':')?.0;
        path.ends_with(&format!("/{name}.ko")).then_some(path)
    })?;
    let installed = fs::read(modules.join(file)).ok()?;
    Some(installed.windows(id.len()).any(|window| window == id))
}

/// The sockets on a UDP port.
fn udp(wanted: u16) -> Vec<UdpSocket> {
    let mut sockets = Vec::new();
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(inode)) = (words.get(1), words.get(9)) else {
                continue;
            };
            let port = local.rsplit(':').next();
            let port = port.and_then(|port| u16::from_str_radix(port, 16).ok());
            if let Some(port) = port.filter(|port| *port == wanted) {
                sockets.push((port, (*inode).to_owned()));
            }
        }
    }
    let owner = |inode: &str| if inode == "0" { None } else { owner(inode) };
    sockets
        .into_iter()
        .map(|(port, inode)| UdpSocket {
            port,
            owner: owner(&inode),
        })
        .collect()
}

/// The process that has a socket.
fn owner(inode: &str) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let number = process.file_name().into_string().ok()?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let files = fs::read_dir(process.path().join("fd"));
        let mut files = files.into_iter().flatten().flatten();
        let is = |file: fs::DirEntry| {
            fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == &*wanted)
        };
        if files.any(is) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {number})", name.trim()));
        }
    }
    None
}

fn rules(v6: bool) -> Rules {
    let program = if v6 {
        "ip6tables-save"
    } else {
        "iptables-save"
    };
    let output = Command::new(program).stdin(Stdio::null()).output();
    let text = match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or("it failed");
            Err(format!("{program}: {first}"))
        }
        Err(error) => {
            let reason = glb_config::io_reason(&error);
            Err(format!("{program}: {reason}"))
        }
    };
    Rules { v6, text }
}

/// The way to an address, if there is one. That the kernel does not say is no reason to tell nothing else.
fn known<T>(
    route: Result<T, Error>,
    addr: Addr,
    unknown: &mut Vec<(&'static str, String)>,
) -> Option<T> {
    route
        .map_err(|error| {
            let reason = format!("the way to {} is not known: {error}", addr_text(addr));
            unknown.push(("routes", reason));
        })
        .ok()
}

fn director(
    glb: &mut Glb,
    machine: &mut Machine,
    args: &Doctor,
    unknown: &mut Vec<(&'static str, String)>,
) -> Result<Director, Failure> {
    let generation = glb.status()?.generation;
    let mut tables = Vec::new();
    for listed in glb.tables()? {
        let table = glb.table(listed.index)?;
        let binds = glb.binds(Some(table.index))?;
        tables.push(Table {
            label: if table.name.is_empty() {
                format!("#{}", table.index)
            } else {
                table.name.clone()
            },
            hops: table.hops,
            forward: table.forward,
            backends: table.backends.iter().map(|one| one.addr).collect(),
            binds: binds.into_iter().map(|one| one.bind).collect(),
        });
    }
    let mut addrs: Vec<Addr> = tables
        .iter()
        .flat_map(|table| table.backends.clone())
        .collect();
    addrs.sort_unstable();
    addrs.dedup();
    let mut proxies = Vec::new();
    for addr in addrs {
        // Of one that is not known nothing is judged.
        if let Some(route) = known(machine.route(addr), addr, unknown) {
            proxies.push((addr, route));
        }
    }
    let devices: Vec<String> = glb
        .devices()?
        .into_iter()
        .filter(|device| device.role == Role::default().number())
        .map(|device| device.name)
        .collect();
    let has_lro = |device: &&String| {
        machine::features(device).is_ok_and(|on| on.iter().any(|name| name == "rx-lro"))
    };
    let lro = devices.iter().filter(has_lro).cloned().collect();
    Ok(Director {
        generation,
        settings: glb.config()?,
        tables,
        lro,
        devices,
        wanted_devices: wanted_devices(),
        proxies,
        checker: match &args.checker {
            OrNone(None) => None,
            OrNone(Some(url)) => Some(
                // It says 503 until it has published, and why on the page.
                url.get_of(LIMIT, &["200", "503"])
                    .map_err(|error| glb_config::io_reason(&error))
                    .and_then(|page| checker(&page)),
            ),
        },
    })
}

/// `GLB_DEVICES="eth0 eth1:return"`: the devices that clients' packets come in by. The others are no director's.
fn wanted_devices() -> Option<Vec<String>> {
    let text = fs::read_to_string("/etc/default/glb-director").ok()?;
    let value = text
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("GLB_DEVICES="))?;
    let value = value.trim_matches(['"', '\'']);
    let director = Role::default().name();
    Some(
        value
            .split_whitespace()
            .filter_map(|device| match device.split_once(':') {
                None => Some(device),
                Some((name, role)) => (role == director).then_some(name),
            })
            .map(ToOwned::to_owned)
            .collect(),
    )
}

fn checker(page: &str) -> Result<Checker, String> {
    let page: Value = serde_json::from_str(page).map_err(|error| error.to_string())?;
    let status = page["status"]
        .as_str()
        .ok_or("it is no /health of glb-healthcheck")?;
    let problems = page["problems"].as_array().into_iter().flatten();
    Ok(Checker {
        status: status.to_owned(),
        problems: problems
            .filter_map(|one| one.as_str().map(ToOwned::to_owned))
            .collect(),
    })
}

fn vips(
    facts: &mut Facts,
    machine: &mut Machine,
    args: &Doctor,
    json: bool,
) -> Result<(), Failure> {
    let mut all: Vec<(Addr, u8)> = Vec::new();
    let of_binds = |binds: &[Bind]| -> Vec<(Addr, u8)> {
        let vip = |bind: &Bind| (bind.addr.masked(bind.prefix_len), bind.prefix_len);
        binds.iter().map(vip).collect()
    };
    let named = args.table.as_deref();
    let source = named.or_else(|| Some(Path::new(SOURCE)).filter(|path| path.exists()));
    let loaded = facts.director.as_ref().filter(|one| !one.tables.is_empty());
    if !args.vips.is_empty() {
        all.extend(args.vips.iter().map(|vip| match vip {
            IpAddr::V4(addr) => (Addr::V4(addr.octets()), 32),
            IpAddr::V6(addr) => (Addr::V6(addr.octets()), 128),
        }));
        facts.vips_from = Some("--vip".to_owned());
    } else if let (None, Some(director)) = (named, loaded) {
        all.extend(
            director
                .tables
                .iter()
                .flat_map(|table| of_binds(&table.binds)),
        );
        let backends = director.tables.iter().flat_map(|table| {
            let forward = table.forward;
            table.backends.iter().map(move |addr| (*addr, forward))
        });
        facts.backends = backends.collect();
        facts.vips_from = Some("the loaded tables".to_owned());
    } else if let Some(path) = source {
        match load::either(path, json)? {
            Tables::Config(config) => {
                for table in &config.tables {
                    all.extend(of_binds(&table.binds));
                    facts.backends.extend(
                        table
                            .backends
                            .iter()
                            .map(|one| (one.backend.addr, table.forward)),
                    );
                }
            }
            Tables::Built(file) => {
                for table in &file.tables {
                    all.extend(of_binds(&table.binds));
                    facts.backends.extend(
                        table
                            .backends
                            .iter()
                            .map(|one| (one.backend.addr, table.forward)),
                    );
                }
            }
        }
        facts.vips_from = Some(load::name(path));
    }
    all.sort_unstable();
    all.dedup();
    for (addr, len) in all {
        let route = machine.route(first(addr, len));
        let route = known(route, addr, &mut facts.unknown).flatten();
        facts.vips.push(Vip { addr, len, route });
    }
    Ok(())
}

/// An address of a prefix that is not the prefix itself, which has a meaning of its own.
fn first(addr: Addr, len: u8) -> Addr {
    if len == addr.bits() {
        return addr;
    }
    match addr {
        Addr::V4([a, b, c, d]) => Addr::V4([a, b, c, d | 1]),
        Addr::V6(mut bytes) => {
            bytes[15] |= 1;
            Addr::V6(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_is_not_known_stops_nothing() {
        let mut unknown = Vec::new();
        let addr = Addr::V4([192, 0, 2, 1]);
        assert_eq!(known(Ok(Some(1)), addr, &mut unknown), Some(Some(1)));
        assert!(unknown.is_empty());
        let failed: Result<Option<i32>, _> = Err(Error::Io(std::io::Error::other("no memory")));
        assert_eq!(known(failed, addr, &mut unknown), None);
        assert!(
            unknown[0]
                .1
                .starts_with("the way to 192.0.2.1 is not known: "),
            "{unknown:?}"
        );
    }
}
