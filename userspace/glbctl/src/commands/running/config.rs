// SPDX-License-Identifier: GPL-2.0

//! `glbctl config show`, `set` and `load`.

use super::{addr, director, director_or_load, field_names, mac, FIELDS};
use crate::cli::{ConfigCommand, ConfigSet};
use crate::load;
use crate::output::{print, Failure};
use glb_core::addr::Addr;
use glb_core::hash::HashFields;
use glb_netlink::{Config, ConfigChange};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// The settings as they are shown.
#[derive(Serialize)]
pub(crate) struct ConfigView {
    source_v4: Option<String>,
    source_v6: Option<String>,
    gateway_mac: Option<String>,
    hash_fields: Vec<&'static str>,
    alt_hash_fields: Option<Vec<&'static str>>,
    forward_icmp_ping_responses: bool,
    udp_port: u16,
    udp_checksum: bool,
    segment_tcp: bool,
}

impl ConfigView {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            source_v4: config.source_v4.map(|bytes| addr(Addr::V4(bytes))),
            source_v6: config.source_v6.map(|bytes| addr(Addr::V6(bytes))),
            gateway_mac: config.gateway_mac.map(mac),
            hash_fields: field_names(config.hash_fields),
            alt_hash_fields: config.alt_hash_fields.map(field_names),
            forward_icmp_ping_responses: config.forward_icmp_ping_responses,
            udp_port: config.udp_port,
            udp_checksum: config.udp_checksum,
            segment_tcp: config.segment_tcp,
        }
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let source = |source: &Option<String>| match source {
            Some(source) => source.clone(),
            None => "the route's".to_owned(),
        };
        let yes = |yes| if yes { "yes" } else { "no" };
        writeln!(out, "source-v4   {}", source(&self.source_v4))?;
        writeln!(out, "source-v6   {}", source(&self.source_v6))?;
        let gateway = self.gateway_mac.as_deref().unwrap_or("by routes");
        writeln!(out, "gateway     {gateway}")?;
        writeln!(out, "hash        {}", self.hash_fields.join(", "))?;
        if let Some(fields) = &self.alt_hash_fields {
            writeln!(out, "alt hash    {}", fields.join(", "))?;
        }
        writeln!(out, "ping        {}", yes(self.forward_icmp_ping_responses))?;
        let checksum = if self.udp_checksum { "with" } else { "without" };
        writeln!(
            out,
            "udp         port {}, {checksum} checksum",
            self.udp_port
        )?;
        let too_long = if self.segment_tcp {
            "cut"
        } else {
            "their senders are told"
        };
        writeln!(out, "too long    TCP packets: {too_long}")
    }
}

pub(crate) fn run(command: &ConfigCommand, json: bool) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show => show(json),
        ConfigCommand::Set(args) => {
            let change = change(args)?;
            if change == ConfigChange::default() {
                let message = "nothing to set: see glbctl config set --help";
                return Err(Failure::Message(message.to_owned()));
            }
            director_or_load()?.set_config(&change)?;
            if json {
                return show(json);
            }
            Ok(())
        }
        ConfigCommand::Load { file } => {
            director_or_load()?.set_config(&of_file(file, json)?)?;
            if json {
                return show(json);
            }
            Ok(())
        }
    }
}

fn show(json: bool) -> Result<(), Failure> {
    let view = ConfigView::new(&director()?.config()?);
    print(json, &view, |out| view.write(out))
}

/// What `director.conf` says, all of it: what it does not name goes back to its default.
fn of_file(file: &Path, json: bool) -> Result<ConfigChange, Failure> {
    let read = load::director(file, json)?;
    let (source_v4, source_v6) = match read.outbound_src_ip {
        Addr::V4(bytes) => (Some(bytes), None),
        Addr::V6(bytes) => (None, Some(bytes)),
    };
    Ok(ConfigChange {
        source_v4: Some(source_v4),
        source_v6: Some(source_v6),
        gateway_mac: Some(read.outbound_gateway_mac),
        hash_fields: Some(read.hash_fields),
        alt_hash_fields: Some(read.alt_hash_fields),
        forward_icmp_ping_responses: Some(read.forward_icmp_ping_responses),
        udp_port: None,
        udp_checksum: None,
        segment_tcp: None,
    })
}

fn change(args: &ConfigSet) -> Result<ConfigChange, Failure> {
    Ok(ConfigChange {
        source_v4: args
            .source_v4
            .map(|source| source.0.map(|addr| addr.octets())),
        source_v6: args
            .source_v6
            .map(|source| source.0.map(|addr| addr.octets())),
        gateway_mac: args.gateway_mac.map(|gateway| gateway.0),
        hash_fields: match &args.hash_fields {
            None => None,
            Some(names) => match fields(names)? {
                Some(fields) => Some(fields),
                None => {
                    let message = "--hash-fields: at least one field must be hashed";
                    return Err(Failure::Message(message.to_owned()));
                }
            },
        },
        alt_hash_fields: args.alt_hash_fields.as_deref().map(fields).transpose()?,
        forward_icmp_ping_responses: args.forward_icmp_ping_responses,
        udp_port: args.udp_port,
        udp_checksum: args.udp_checksum,
        segment_tcp: args.segment_tcp,
    })
}

/// The fields that are named; nothing for `none`.
fn fields(names: &[String]) -> Result<Option<HashFields>, Failure> {
    let mut bits = 0;
    for name in names.iter().filter(|name| *name != "none") {
        let known = FIELDS.into_iter().find(|(_, field)| field == name);
        let Some((field, _)) = known else {
            let known = FIELDS.map(|(_, field)| field).join(", ");
            let message = format!("no such hash field: {name} (there are {known})");
            return Err(Failure::Message(message));
        };
        bits |= field.bits();
    }
    Ok(HashFields::from_bits(bits))
}
