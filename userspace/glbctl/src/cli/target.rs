// SPDX-License-Identifier: GPL-2.0

//! The commands about targets in etcd.

use clap::{Args, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

/// Where `etcd` is configured.
const CONF: &str = "/etc/glb/targets.conf";

#[derive(Debug, Subcommand)]
pub(crate) enum TargetCommand {
    /// Register a target, as this machine or for another one
    ///
    /// The target gets the identifier that is asked for, or the first free one of its service. It is registered for as long as its
    /// lease lives. A target that is registered with the same addresses is registered again, and keeps its identifier.
    #[command(after_help = "Examples:
  glbctl target register web web-1 --address 192.168.50.10,fd00:50::10 --keep
  glbctl target register web web-1 --address 192.168.50.10 --id 7 --lease 60")]
    Register(Register),
    /// End the registration of a target, whoever made it
    Unregister {
        #[command(flatten)]
        etcd: Etcd,
        /// The service
        service: String,
        /// The target
        name: String,
    },
    /// List the targets that are registered
    List {
        #[command(flatten)]
        etcd: Etcd,
        /// Those of this service only
        service: Option<String>,
    },
    /// Print each change of the targets until it is stopped
    Watch {
        #[command(flatten)]
        etcd: Etcd,
        /// Those of this service only
        service: Option<String>,
        /// End after this number of changes
        #[arg(long, value_name = "CHANGES")]
        count: Option<u64>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Etcd {
    /// The file whose "etcd" says where etcd is; nothing else of it is used
    #[arg(long, value_name = "FILE", default_value = CONF)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Register {
    #[command(flatten)]
    pub(crate) etcd: Etcd,
    /// The service
    pub(crate) service: String,
    /// The name of the target
    pub(crate) name: String,
    /// Where its packets go; tables know it by the first one
    #[arg(
        long = "address",
        value_name = "ADDRESS",
        required = true,
        value_delimiter = ','
    )]
    pub(crate) addresses: Vec<IpAddr>,
    /// The identifier that it must have
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(0..256))]
    pub(crate) id: Option<u16>,
    /// After this time without being kept alive, the target is gone
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = clap::value_parser!(u32).range(2..=3600))]
    pub(crate) lease: u32,
    /// Keep it registered until this command is stopped, which unregisters it
    #[arg(long)]
    pub(crate) keep: bool,
}
