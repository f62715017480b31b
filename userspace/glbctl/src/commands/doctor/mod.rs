// SPDX-License-Identifier: GPL-2.0

//! `glbctl doctor`: what is wrong with a director, a proxy or a fleet, and what to do about it.
//!
//! [`collect`] finds out, into [`facts`]; [`director`], [`proxy`], [`rules`] and [`fleet`] judge these and nothing
//! else.

mod collect;
mod common;
mod cookie;
mod director;
mod facts;
mod finding;
mod fleet;
mod proxy;
mod rules;
#[cfg(test)]
mod tests;

use crate::cli::doctor::{Doctor, Role};
use crate::http::Url;
use crate::output::{print, Failure};
use facts::Facts;
use finding::{Finding, Findings, Severity};
use fleet::Page;
use rules::Ruleset;
use serde::Serialize;
use std::io::{self, Write};
use std::thread;

#[derive(Serialize)]
struct Report {
    sections: Vec<Section>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct Section {
    about: &'static str,
    findings: Vec<Finding>,
}

pub(crate) fn run(args: &Doctor, json: bool) -> Result<(), Failure> {
    let mut all = Vec::new();
    let facts = collect::facts(args, json)?;
    let roles = roles(args.role, &facts);
    if roles.is_empty() && args.fleet.is_empty() {
        let message = "neither a director (no table is loaded, no device attached) nor a proxy (no tunnel, no \
                       redirect) is set up here: say which it is to be: --role director, or --role proxy";
        return Err(Failure::Message(message.to_owned()));
    }
    for role in roles {
        let mut out = Findings::default();
        let about = match role {
            Role::Director => {
                match &facts.director {
                    Some(director) => director::judge(&facts, director, &mut out),
                    None => common::module(&facts, "rust_glb_director", &mut out),
                }
                "director"
            }
            Role::Proxy => {
                if let Some(redirect) = &facts.redirect {
                    proxy::judge(&facts, redirect, &mut out);
                }
                "proxy"
            }
        };
        all.push((about, out));
    }
    if !args.fleet.is_empty() {
        let pages = all_pages(&args.fleet);
        let mut out = Findings::default();
        fleet::judge(&pages, &mut out);
        all.push(("fleet", out));
    }
    report(all, json)
}

/// The pages of all, asked at the same time.
fn all_pages(urls: &[Url]) -> Vec<Page> {
    thread::scope(|scope| {
        let ask = |url| (url, scope.spawn(move || ask(url)));
        let asked: Vec<_> = urls.iter().map(ask).collect();
        let page = |(url, thread): (&Url, thread::ScopedJoinHandle<'_, Page>)| {
            let failed = |_| Page::new(url.to_string(), Err("asking it failed".to_owned()));
            thread.join().unwrap_or_else(failed)
        };
        asked.into_iter().map(page).collect()
    })
}

fn ask(url: &Url) -> Page {
    let page = url.get(collect::LIMIT);
    let page = page.map_err(|error| glb_config::io_reason(&error));
    Page::new(url.to_string(), page)
}

/// What this machine is.
fn roles(told: Option<Role>, facts: &Facts) -> Vec<Role> {
    if let Some(role) = told {
        return vec![role];
    }
    let set_up = |one: &facts::Director| one.generation > 0 || !one.devices.is_empty();
    let tunnels = facts.tunnels.iter().flatten().any(|one| one.gue);
    let redirects = facts.rules.iter().any(|one| {
        let text = one.text.as_deref().unwrap_or_default();
        Ruleset::parse(text).redirects()
    });
    let door = facts
        .redirect
        .as_ref()
        .is_some_and(|one| one.door.is_some());
    let mut roles = Vec::new();
    if facts.director.as_ref().is_some_and(set_up) {
        roles.push(Role::Director);
    }
    if tunnels || redirects || door {
        roles.push(Role::Proxy);
    }
    if roles.is_empty() {
        let loaded: Vec<_> = facts.modules.iter().filter(|one| one.loaded).collect();
        if let [one] = loaded[..] {
            roles.push(if one.name == "rust_glb_director" {
                Role::Director
            } else {
                Role::Proxy
            });
        }
    }
    roles
}

fn report(all: Vec<(&'static str, Findings)>, json: bool) -> Result<(), Failure> {
    let count = |severity| -> usize { all.iter().map(|(_, found)| found.count(severity)).sum() };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let sections = all.into_iter().map(|(about, found)| Section {
        about,
        findings: found.0,
    });
    let report = Report {
        sections: sections.collect(),
        errors,
        warnings,
    };
    print(json, &report, |out| write(out, &report))?;
    if errors > 0 {
        return Err(Failure::NotSafe);
    }
    Ok(())
}

fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    for (place, section) in report.sections.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", section.about)?;
        for one in &section.findings {
            writeln!(
                out,
                "  {:<7}  {:<14}  {}",
                one.severity.name(),
                one.check,
                one.found
            )?;
            if let Some(what_to_do) = &one.what_to_do {
                writeln!(out, "{:27}-> {what_to_do}", "")?;
            }
        }
    }
    let plural =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    writeln!(
        out,
        "\n{}, {}",
        plural(report.errors, "error"),
        plural(report.warnings, "warning")
    )
}
