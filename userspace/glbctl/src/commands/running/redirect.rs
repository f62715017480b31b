// SPDX-License-Identifier: GPL-2.0

//! `glbctl redirect`: the second door of the redirect module.

use super::{addr, stats};
use crate::cli::redirect::DoorCommand;
use crate::output::{print, Failure};
use glb_netlink::{Door, Redirect};
use serde::Serialize;

#[derive(Serialize)]
struct DoorView {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_hops: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_not")]
    syn_listener: bool,
    #[serde(skip_serializing_if = "is_not")]
    udp: bool,
    #[serde(skip_serializing_if = "is_not")]
    conntrack: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    netns: Vec<String>,
}

/// An option is shown where it is on.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_not(flag: &bool) -> bool {
    !flag
}

impl DoorView {
    fn new(door: Option<Door>) -> Self {
        let enabled = door.is_some();
        let hops = door.as_ref().map(|door| {
            let hops = door.allow_hops.iter();
            hops.map(|hop| format!("{}/{}", addr(hop.addr), hop.len))
                .collect()
        });
        let port = door.as_ref().map(|door| door.port);
        let door = door.unwrap_or_default();
        Self {
            enabled,
            port,
            allow_hops: hops,
            syn_listener: door.syn_listener,
            udp: door.udp,
            conntrack: door.conntrack,
            netns: door.netns,
        }
    }

    /// The options that are on, as the command takes them.
    fn options(&self) -> String {
        let flags = [
            (self.syn_listener, "--syn-listener"),
            (self.udp, "--udp"),
            (self.conntrack, "--conntrack"),
        ];
        let on = flags.into_iter().filter(|(is_on, _)| *is_on);
        let mut words: Vec<String> = on.map(|(_, word)| word.to_owned()).collect();
        if !self.netns.is_empty() {
            words.push(format!("--netns {}", self.netns.join(",")));
        }
        words.iter().map(|word| format!(", {word}")).collect()
    }
}

pub(crate) fn run(command: &DoorCommand, json: bool) -> Result<(), Failure> {
    match command {
        DoorCommand::On(on) => {
            let mut redirect = Redirect::open()?;
            redirect.on(&Door {
                port: on.port,
                allow_hops: on.allow_hops.clone(),
                syn_listener: on.syn_listener,
                udp: on.udp,
                conntrack: on.conntrack,
                netns: on.netns.clone(),
            })?;
            said(&mut redirect, json)
        }
        DoorCommand::Off => {
            let mut redirect = Redirect::open_loaded()?;
            redirect.off()?;
            said(&mut redirect, json)
        }
        DoorCommand::Status => status(&mut Redirect::open_loaded()?, json),
        DoorCommand::Stats { watch } => {
            let mut redirect = Redirect::open_loaded()?;
            stats::counters(&mut || redirect.stats(), *watch, json)
        }
    }
}

/// No news is good news, except to a program.
fn said(redirect: &mut Redirect, json: bool) -> Result<(), Failure> {
    if json {
        return status(redirect, json);
    }
    Ok(())
}

fn status(redirect: &mut Redirect, json: bool) -> Result<(), Failure> {
    let view = DoorView::new(redirect.get()?);
    print(json, &view, |out| {
        let (Some(port), Some(hops)) = (view.port, &view.allow_hops) else {
            return writeln!(out, "off");
        };
        let hops = if hops.is_empty() {
            "any hop".to_owned()
        } else {
            format!("hops in {}", hops.join(", "))
        };
        writeln!(out, "on: UDP port {port}, {hops}{}", view.options())
    })
}
