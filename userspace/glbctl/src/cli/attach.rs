// SPDX-License-Identifier: GPL-2.0

//! The options of `glbctl attach`.

use super::complete;
use super::values::{class, prefix, role};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use glb_core::director::Role;
use glb_core::geneve::flows::{Limits, MAX_FLOWS};
use glb_netlink::Prefix;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The device
    #[arg(add = ArgValueCompleter::new(complete::device))]
    pub(crate) device: String,
    /// What the device is for: clients' packets come in by it (director), or answers of backends (return), or packets of a
    /// gateway load balancer (geneve)
    #[arg(long, value_name = "ROLE", default_value = "director", value_parser = role())]
    pub(crate) role: Role,
    /// A device that is attached in another role, or with other options, is detached first; one that is attached in this way
    /// stays as it is
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
}

/// What only the role geneve is told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Role geneve")]
pub(crate) struct Gateway {
    /// UDP port of Geneve [default: 6081]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Class of the three options, 0 to 0xffff [default: 0x0108, that of AWS]
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub(crate) class: Option<u16>,
    /// Take packets only from these prefixes, at most 16, separated by commas; without it from any sender
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
    pub(crate) allow_from: Vec<Prefix>,
    /// Drop packets that have no socket on this machine, as by default
    #[arg(long, conflicts_with = "pass")]
    pub(crate) local_only: bool,
    /// Let packets go on that have no socket on this machine: it routes them
    #[arg(long)]
    pub(crate) pass: bool,
    /// Drop packets that would leave without a header; those with the device's own source address leave
    #[arg(long)]
    pub(crate) strict: bool,
    /// Flows whose headers are remembered, for all devices with this role [default: 131072]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_FLOWS)))]
    pub(crate) max_flows: Option<u32>,
    /// Seconds without a packet after which a flow is forgotten [default: 350]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=i64::from(Limits::MAX_IDLE)))]
    pub(crate) idle: Option<u16>,
    /// The same of TCP connections [default: 350]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=i64::from(Limits::MAX_IDLE)))]
    pub(crate) tcp_idle: Option<u16>,
    /// Take the options of this device from "geneve" of this director.conf instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["port", "class", "allow_from", "local_only", "pass", "strict",
        "max_flows", "idle", "tcp_idle"])]
    pub(crate) config: Option<PathBuf>,
}

impl Gateway {
    /// As the module is told it.
    pub(crate) fn of(&self) -> glb_netlink::Gateway {
        glb_netlink::Gateway {
            port: self.port,
            class: self.class,
            allow_from: self.allow_from.clone(),
            pass: self.pass,
            strict: self.strict,
            max_flows: self.max_flows,
            idle: self.idle,
            tcp_idle: self.tcp_idle,
        }
    }

    /// The first option that was given, if any was.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            ("--port", self.port.is_some()),
            ("--class", self.class.is_some()),
            ("--allow-from", !self.allow_from.is_empty()),
            ("--local-only", self.local_only),
            ("--pass", self.pass),
            ("--strict", self.strict),
            ("--max-flows", self.max_flows.is_some()),
            ("--idle", self.idle.is_some()),
            ("--tcp-idle", self.tcp_idle.is_some()),
            ("--config", self.config.is_some()),
        ]
        .into_iter()
        .find_map(|(name, is_given)| is_given.then_some(name))
    }
}
