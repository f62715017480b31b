// SPDX-License-Identifier: GPL-2.0

//! `glbctl config check`: all that is wrong with a `director.conf`, and what it stands for.

use super::gateway::GatewayView;
use super::settings::ConfigView;
use crate::load;
use crate::output::{print, Failure};
use glb_config::{director, Issue, Severity};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Report {
    file: String,
    ok: bool,
    issues: Vec<Issue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<ConfigView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statsd_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geneve: Option<Vec<GatewayView>>,
}

pub(crate) fn run(file: &Path, json: bool) -> Result<(), Failure> {
    let text = load::text(file)?;
    let name = load::name(file);
    let checked = director::read(&name, &text);
    let report = Report {
        ok: checked.value.is_some(),
        statsd_port: checked.value.as_ref().and_then(|read| read.statsd_port),
        geneve: checked.value.as_ref().and_then(|read| {
            let gateways = read.gateways.as_ref()?;
            Some(gateways.iter().map(GatewayView::from).collect())
        }),
        settings: checked.value.map(|read| ConfigView(read.settings)),
        issues: checked.issues,
        file: name,
    };
    print(json, &report, |out| {
        for issue in &report.issues {
            writeln!(out, "{issue}")?;
        }
        match &report.settings {
            Some(settings) => {
                writeln!(out, "{}: ok", report.file)?;
                settings.write(out)?;
                for device in report.geneve.iter().flatten() {
                    write!(out, "role geneve: ")?;
                    device.write(out)?;
                }
                match report.statsd_port {
                    Some(port) => writeln!(out, "statistics go to 127.0.0.1:{port}"),
                    None => writeln!(out, "statistics go nowhere: no statsd_port"),
                }
            }
            None => {
                let errors = report.issues.iter();
                let errors = errors.filter(|issue| issue.severity == Severity::Error);
                writeln!(
                    out,
                    "{}: not usable: {} errors",
                    report.file,
                    errors.count()
                )
            }
        }
    })?;
    if report.ok {
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}
