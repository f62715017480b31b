// SPDX-License-Identifier: GPL-2.0

//! Registering, listing and watching targets in etcd.

use crate::cli::target::{Etcd, Register, TargetCommand};
use crate::load;
use crate::output::{print, Failure};
use crate::text::addr;
use glb_config::targets::{self, is_name, EtcdConf, TargetSpec};
use glb_core::packet::addr::Addr;
use glb_etcd::client::Client;
use glb_etcd::keys::Keys;
use glb_etcd::register::{register, unregister, Failed, Held};
use glb_etcd::watch::{follow, News};
use nix::sys::signal::{SigSet, Signal};
use serde::Serialize;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// After this time etcd is asked again when it was away.
const AGAIN: Duration = Duration::from_secs(1);

/// A target, as it is printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct View {
    service: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    addresses: Vec<String>,
}

impl View {
    fn new(spec: &TargetSpec, id: Option<u16>) -> Self {
        Self {
            service: spec.service.clone(),
            name: spec.name.clone(),
            id,
            addresses: spec.addresses.iter().map(|one| addr(*one)).collect(),
        }
    }

    fn line(&self) -> String {
        let id = self
            .id
            .map_or_else(|| "none".to_owned(), |id| id.to_string());
        let (service, name) = (&self.service, &self.name);
        format!(
            "{service} {name}: identifier {id}, {}",
            self.addresses.join(", ")
        )
    }
}

/// All targets, and what should be one.
#[derive(Debug, Serialize)]
struct List {
    targets: Vec<View>,
    bad: Vec<String>,
}

pub(crate) fn run(command: &TargetCommand, json: bool) -> Result<(), Failure> {
    match command {
        TargetCommand::Register(args) => put(args, json),
        TargetCommand::Unregister {
            etcd,
            service,
            name,
        } => remove(etcd, (service, name), json),
        TargetCommand::List { etcd, service } => list(etcd, service.as_deref(), json),
        TargetCommand::Watch {
            etcd,
            service,
            count,
        } => watch(etcd, (service.as_deref(), *count), json),
    }
}

/// A client, as the file says.
fn open(etcd: &Etcd) -> Result<(EtcdConf, Client, Keys), Failure> {
    let text = load::text(&etcd.config)?;
    let checked = targets::read_etcd(&load::name(&etcd.config), &text);
    let (conf, _) = checked.into_result().map_err(Failure::Issues)?;
    let client = Client::new(&conf).map_err(Failure::Message)?;
    let keys = Keys::new(&conf.prefix);
    Ok((conf, client, keys))
}

fn message(error: impl std::fmt::Display) -> Failure {
    Failure::Message(error.to_string())
}

fn put(args: &Register, json: bool) -> Result<(), Failure> {
    for name in [&args.service, &args.name] {
        if !is_name(name) {
            let what = "must be 1 to 63 letters, digits, dots, dashes and underscores";
            return Err(Failure::Message(format!("{name:?}: {what}")));
        }
    }
    let (_, mut client, keys) = open(&args.etcd)?;
    let addresses: Vec<Addr> = args.addresses.iter().map(|one| core(*one)).collect();
    // What a director would not take is not registered: the reader of its keys says so.
    let key = keys.target(&args.service, &args.name);
    let spec = keys.spec(
        &key,
        &glb_etcd::keys::value(&addresses, args.id.unwrap_or(0)),
    );
    let spec = TargetSpec {
        id: args.id,
        ..spec.map_err(Failure::Message)?
    };
    let ended = ending().map_err(message)?;
    let mut held = register(&mut client, &keys, (&spec, None), args.lease).map_err(message)?;
    let view = View::new(&spec, Some(held.id));
    print(json, &view, |out| {
        writeln!(out, "registered: {}", view.line())
    })?;
    if !args.keep {
        return Ok(());
    }
    let mut away = false;
    loop {
        let third = Duration::from_secs(args.lease.into()) / 3;
        if ended.recv_timeout(if away { AGAIN } else { third }).is_ok() {
            // It would end by itself, after its lease.
            let _ = client.revoke(held.lease);
            return Ok(());
        }
        match keep(&mut client, &keys, (&spec, held), args.lease) {
            Ok(now) => {
                if away || now != held {
                    eprintln!("glbctl: registered with identifier {}", now.id);
                }
                (held, away) = (now, false);
            }
            Err(Failed::Etcd(error)) => {
                if !away {
                    eprintln!("glbctl: {error}; tried again every second");
                }
                away = true;
            }
            Err(taken) => return Err(message(taken)),
        }
    }
}

/// Keeps a registration, or makes it again with the same identifier if that is still free.
fn keep(
    client: &mut Client,
    keys: &Keys,
    (spec, held): (&TargetSpec, Held),
    seconds: u32,
) -> Result<Held, Failed> {
    if client.keep_alive(held.lease)? {
        return Ok(held);
    }
    register(client, keys, (spec, Some(held.id)), seconds)
}

/// Hears of SIGTERM and SIGINT, which end this program no longer.
fn ending() -> nix::Result<mpsc::Receiver<()>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    let (heard, ended) = mpsc::channel();
    thread::spawn(move || {
        let _ = signals.wait();
        // Nobody hears it when the command has failed.
        let _ = heard.send(());
    });
    Ok(ended)
}

fn core(addr: IpAddr) -> Addr {
    match addr {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    }
}

fn remove(etcd: &Etcd, (service, name): (&str, &str), json: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Removed<'a> {
        service: &'a str,
        name: &'a str,
    }
    let (_, mut client, keys) = open(etcd)?;
    if !unregister(&mut client, &keys, service, name).map_err(message)? {
        let reason =
            format!("no target {name} of service {service} is registered (glbctl target list)");
        return Err(Failure::Message(reason));
    }
    print(json, &Removed { service, name }, |out| {
        writeln!(out, "unregistered: {service} {name}")
    })
}

fn list(etcd: &Etcd, service: Option<&str>, json: bool) -> Result<(), Failure> {
    let (_, mut client, keys) = open(etcd)?;
    let prefix = service.map_or_else(|| keys.targets(), |service| keys.targets_of(service));
    let (items, _) = client.list(&prefix).map_err(message)?;
    let mut found = List {
        targets: Vec::new(),
        bad: Vec::new(),
    };
    for item in items {
        match keys.spec(&item.key, &item.value) {
            Ok(spec) => found.targets.push(View::new(&spec, spec.id)),
            Err(reason) => found.bad.push(reason),
        }
    }
    print(json, &found, |out| {
        for one in &found.targets {
            writeln!(out, "{}", one.line())?;
        }
        for one in &found.bad {
            writeln!(out, "{one}")?;
        }
        Ok(())
    })
}

/// A change, as it is printed.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Registered(View),
    Gone(View),
}

impl Event {
    fn write(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, self)?;
            writeln!(out)?;
        } else {
            let (what, view) = match self {
                Self::Registered(view) => ("registered", view),
                Self::Gone(view) => ("gone", view),
            };
            writeln!(out, "{what}: {}", view.line())?;
        }
        out.flush()
    }
}

fn watch(
    etcd: &Etcd,
    (service, count): (Option<&str>, Option<u64>),
    json: bool,
) -> Result<(), Failure> {
    let (conf, client, _) = open(etcd)?;
    let mut known: Vec<View> = Vec::new();
    let mut left = count.unwrap_or(u64::MAX);
    follow(&conf, client, |news| {
        let specs = match news {
            News::Targets(specs, _) => specs,
            News::Away(reason) => {
                eprintln!("glbctl: {reason}");
                return true;
            }
        };
        let wanted = specs
            .iter()
            .filter(|spec| service.is_none_or(|one| one == spec.service));
        let now: Vec<View> = wanted.map(|spec| View::new(spec, spec.id)).collect();
        let gone = known
            .iter()
            .filter(|one| !now.contains(one))
            .cloned()
            .map(Event::Gone);
        let new = now
            .iter()
            .filter(|one| !known.contains(one))
            .cloned()
            .map(Event::Registered);
        for event in gone.chain(new) {
            // The reader had enough.
            if left == 0 || event.write(json).is_err() {
                return false;
            }
            left -= 1;
        }
        known = now;
        left > 0
    });
    Ok(())
}
