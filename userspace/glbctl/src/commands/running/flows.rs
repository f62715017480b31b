// SPDX-License-Identifier: GPL-2.0

//! `glbctl flows`: the flows that the running director remembers.

use super::director;
use crate::cli::flows::Flows;
use crate::output::{print, Failure};
use crate::progress::Progress;
use crate::text::addr;
use glb_config::quoted;
use glb_core::director::flows::{Who, ENTRIES};
use glb_core::packet::addr::Addr;
use glb_netlink::{FlowInfo, FlowPart};
use serde::Serialize;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

#[derive(Serialize)]
struct Flushed {
    flushed: u64,
}

#[derive(Serialize)]
struct ServiceView {
    index: u32,
    service: String,
    buckets: u32,
    flows: Vec<FlowView>,
}

/// A flow; of a client the port and the VIP are missing, of an IPv6 flow all but the fingerprint.
#[derive(Serialize)]
struct FlowView {
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// None if it has just left.
    backend: Option<String>,
    id: Option<u32>,
    idle_s: u32,
    closing: bool,
}

pub(crate) fn run(args: &Flows, json: bool) -> Result<(), Failure> {
    let mut glb = director()?;
    let (table, backend) = (args.service.as_deref(), args.backend.map(of_ip));
    if args.flush {
        let flushed = glb.flush_flows(table, backend.as_ref())?;
        return print(json, &Flushed { flushed }, |out| {
            let plural = if flushed == 1 { "flow" } else { "flows" };
            writeln!(out, "{flushed} {plural} forgotten")
        });
    }
    let mut services: Vec<ServiceView> = Vec::new();
    let mut progress = Progress::new("buckets read");
    glb.flows(table, backend.as_ref(), |first, part| {
        if first {
            services.clear();
        }
        let (all, done) = part.buckets;
        progress.done_of(done as usize, all as usize);
        put(&mut services, part);
    })?;
    drop(progress);
    print(json, &services, |out| {
        for (at, service) in services.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            service.write(out)?;
        }
        Ok(())
    })
}

fn put(services: &mut Vec<ServiceView>, part: FlowPart) {
    let is_new = services.last().is_none_or(|last| last.index != part.table);
    if is_new {
        services.push(ServiceView {
            index: part.table,
            service: part.name,
            buckets: part.buckets.0,
            flows: Vec::new(),
        });
    }
    if let Some(last) = services.last_mut() {
        last.flows.extend(part.flows.iter().map(FlowView::new));
    }
}

impl ServiceView {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let plural = if self.flows.len() == 1 {
            "flow"
        } else {
            "flows"
        };
        writeln!(
            out,
            "service {}: {} {plural}, room for {}",
            quoted(&self.service),
            self.flows.len(),
            u64::from(self.buckets) * ENTRIES as u64
        )?;
        self.flows.iter().try_for_each(|flow| flow.write(out))
    }
}

impl FlowView {
    fn new(info: &FlowInfo) -> Self {
        let (proto, client, vip, fingerprint) = match info.who {
            Who::Flow {
                proto,
                client,
                bound,
            } => {
                (Some(proto.name()), Some(end(client)), Some(end(bound)), None)
            }
            Who::Client(client) => (None, Some(addr(client)), None, None),
            Who::Fingerprint(high, low) => {
                (None, None, None, Some(format!("{high:016x}{low:08x}")))
            }
        };
        Self {
            proto,
            client,
            vip,
            fingerprint,
            backend: info.backend.map(|(backend, _)| addr(backend)),
            id: info.backend.map(|(_, id)| id),
            idle_s: info.idle,
            closing: info.closing,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let who = match (&self.client, &self.vip, &self.fingerprint) {
            (Some(client), Some(vip), _) => {
                format!("{} {client} -> {vip}", self.proto.unwrap_or_default())
            }
            (Some(client), None, _) => client.clone(),
            (None, _, Some(fingerprint)) => format!("fingerprint {fingerprint}"),
            (None, ..) => String::new(),
        };
        let backend = match (&self.backend, self.id) {
            (Some(backend), Some(id)) => format!("{backend}  id {id}"),
            _ => "backend left".to_owned(),
        };
        let closing = if self.closing { "  closing" } else { "" };
        writeln!(out, "  {who}  {backend}  idle {} s{closing}", self.idle_s)
    }
}

pub(super) fn end((address, port): (Addr, u16)) -> String {
    let address = match address {
        Addr::V4(bytes) => IpAddr::from(bytes),
        Addr::V6(bytes) => IpAddr::from(bytes),
    };
    SocketAddr::new(address, port).to_string()
}

fn of_ip(address: IpAddr) -> Addr {
    match address {
        IpAddr::V4(address) => Addr::V4(address.octets()),
        IpAddr::V6(address) => Addr::V6(address.octets()),
    }
}
