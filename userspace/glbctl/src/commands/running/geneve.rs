// SPDX-License-Identifier: GPL-2.0

//! `glbctl geneve`: what devices with the role geneve count and remember.

use super::director;
use super::flows::end;
use crate::cli::geneve::GeneveCommand;
use crate::commands::gateway::{complete, GatewayView};
use crate::output::{print, Failure};
use glb_netlink::{Endpoint, GatewayFlow};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;

pub(crate) fn run(command: &GeneveCommand, json: bool) -> Result<(), Failure> {
    match command {
        GeneveCommand::Stats => stats(json),
        GeneveCommand::Devices => devices(json),
        GeneveCommand::Flows => flows(json),
        GeneveCommand::Endpoints => endpoints(json),
    }
}

#[derive(Serialize)]
struct StatsView {
    came: Map<String, Value>,
    left: Map<String, Value>,
    flows: Map<String, Value>,
}

fn stats(json: bool) -> Result<(), Failure> {
    let stats = director()?.gateway_stats()?;
    let object = |counters: &[(String, u64)]| {
        let values = counters.iter();
        values
            .map(|(name, value)| (name.clone(), Value::from(*value)))
            .collect()
    };
    let view = StatsView {
        came: object(&stats.came),
        left: object(&stats.left),
        flows: object(&stats.flows),
    };
    print(json, &view, |out| {
        for (what, counters) in [
            ("came", &stats.came),
            ("left", &stats.left),
            ("flows", &stats.flows),
        ] {
            for (name, value) in counters {
                writeln!(out, "{what:<5}  {name:<36}  {value:>12}")?;
            }
        }
        Ok(())
    })
}

fn devices(json: bool) -> Result<(), Failure> {
    let gateways = director()?.gateways()?;
    let told = gateways.iter().map(|(name, sent)| complete(name, sent));
    let devices: Vec<GatewayView> = told.map(|told| GatewayView::from(&told)).collect();
    print(json, &devices, |out| {
        for device in &devices {
            device.write(out)?;
        }
        Ok(())
    })
}

/// A flow, in the direction in which its packets came.
#[derive(Serialize)]
struct FlowView {
    endpoint: String,
    proto: u8,
    client: String,
    server: String,
    load_balancer: String,
    appliance: String,
    options: String,
    idle_s: u32,
    closing: bool,
}

impl FlowView {
    fn new(flow: &GatewayFlow) -> Self {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        Self {
            endpoint: format!("0x{:016x}", flow.endpoint),
            proto: flow.proto,
            client: end(flow.src),
            server: end(flow.dst),
            load_balancer: end(flow.outer_src),
            appliance: end(flow.outer_dst),
            options: hex(&flow.options),
            idle_s: flow.idle,
            closing: flow.closing,
        }
    }
}

fn flows(json: bool) -> Result<(), Failure> {
    let flows = director()?.gateway_flows()?;
    let flows: Vec<FlowView> = flows.iter().map(FlowView::new).collect();
    print(json, &flows, |out| {
        for flow in &flows {
            let closing = if flow.closing { "  closing" } else { "" };
            writeln!(
                out,
                "{}  protocol {} {} -> {}  by {}  idle {} s{closing}",
                flow.endpoint,
                flow.proto,
                flow.client,
                flow.server,
                flow.load_balancer,
                flow.idle_s
            )?;
        }
        Ok(())
    })
}

#[derive(Serialize)]
struct EndpointView {
    /// None: all that have no counters of their own.
    endpoint: Option<String>,
    came_packets: u64,
    came_bytes: u64,
    left_packets: u64,
    left_bytes: u64,
}

impl EndpointView {
    fn new(one: &Endpoint) -> Self {
        Self {
            endpoint: one.id.map(|id| format!("0x{id:016x}")),
            came_packets: one.came_packets,
            came_bytes: one.came_bytes,
            left_packets: one.left_packets,
            left_bytes: one.left_bytes,
        }
    }
}

fn endpoints(json: bool) -> Result<(), Failure> {
    let endpoints = director()?.gateway_endpoints()?;
    let endpoints: Vec<EndpointView> = endpoints.iter().map(EndpointView::new).collect();
    print(json, &endpoints, |out| {
        for one in &endpoints {
            writeln!(
                out,
                "{:<18}  came {} packets, {} bytes  left {} packets, {} bytes",
                one.endpoint.as_deref().unwrap_or("all others"),
                one.came_packets,
                one.came_bytes,
                one.left_packets,
                one.left_bytes
            )?;
        }
        Ok(())
    })
}
