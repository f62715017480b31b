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
}

impl DoorView {
    fn new(door: Option<&Door>) -> Self {
        let hops = door.map(|door| {
            let hops = door.allow_hops.iter();
            hops.map(|hop| format!("{}/{}", addr(hop.addr), hop.len))
                .collect()
        });
        Self {
            enabled: door.is_some(),
            port: door.map(|door| door.port),
            allow_hops: hops,
        }
    }
}

pub(crate) fn run(command: &DoorCommand, json: bool) -> Result<(), Failure> {
    match command {
        DoorCommand::On { port, allow_hops } => {
            let mut redirect = Redirect::open()?;
            redirect.on(&Door {
                port: *port,
                allow_hops: allow_hops.clone(),
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
    let view = DoorView::new(redirect.get()?.as_ref());
    print(json, &view, |out| {
        let (Some(port), Some(hops)) = (view.port, &view.allow_hops) else {
            return writeln!(out, "off");
        };
        let hops = if hops.is_empty() {
            "any hop".to_owned()
        } else {
            format!("hops in {}", hops.join(", "))
        };
        writeln!(out, "on: UDP port {port}, {hops}")
    })
}
