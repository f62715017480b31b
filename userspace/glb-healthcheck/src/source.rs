// SPDX-License-Identifier: GPL-2.0

//! Reading the configuration and the operator's table, and reporting the errors in both at once.

use crate::check::server_name;
use crate::check::Tls;
use crate::logic::known::Known;
use crate::logic::plan::Plan;
use crate::logic::probe::{Ask, Probe};
use crate::publish::{self, Dst, FileAndCommand, Kernel, Publisher};
use glb_config::healthcheck::{self, Healthcheck, Publish};
use glb_config::{tables, Checked, Issue, Severity};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `healthcheck.conf` says.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) file: PathBuf,
    pub(crate) config: Healthcheck,
}

impl Settings {
    pub(crate) fn publisher(&self) -> Publisher {
        let command = self.config.reload_command.clone();
        match (self.config.publish, self.dst()) {
            (Publish::File, Some(dst)) => Publisher::FileAndCommand(FileAndCommand {
                dst,
                command: command.unwrap_or_default(),
                timeout: Duration::from_millis(self.config.reload_timeout_ms),
            }),
            (_, dst) => Publisher::Kernel(Kernel { dst }),
        }
    }

    /// The file that is published, if one is.
    pub(crate) fn dst(&self) -> Option<Dst> {
        let config = &self.config;
        let read = [&config.src, &config.https_ca_file, &self.file];
        let path = config.dst.clone()?;
        Some(Dst::new(path, read.map(PathBuf::clone)))
    }

    /// Whether tables are loaded into the kernel.
    pub(crate) fn is_kernel(&self) -> bool {
        self.config.publish == Publish::Kernel
    }

    pub(crate) fn reload_interval(&self) -> Duration {
        Duration::from_millis(self.config.reload_interval_ms)
    }
}

/// A plan with what its checks need.
pub(crate) struct Loaded {
    pub(crate) plan: Plan,
    /// Nothing where there is no HTTPS check.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// What came of reading both files.
pub(crate) struct Read {
    pub(crate) settings: Option<Settings>,
    pub(crate) loaded: Option<Loaded>,
    pub(crate) issues: Vec<Issue>,
}

/// Reads the configuration and the table that it names. A fault in one does not keep the other's from being
/// found.
pub(crate) fn read(file: &Path) -> Read {
    let name = file.display().to_string();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            return Read {
                settings: None,
                loaded: None,
                issues: vec![issue(file, "", &reason(&error))],
            };
        }
    };
    let Checked { value, mut issues } = healthcheck::read(&name, &text);
    let mut settings = value.map(|config| Settings {
        file: file.to_owned(),
        config,
    });
    if let Some(issue) = settings.as_ref().and_then(destroyed) {
        issues.push(issue);
        settings = None;
    }
    let loaded = match &settings {
        Some(settings) => {
            let (loaded, more) = read_table(&settings.config.src, settings);
            issues.extend(more);
            loaded
        }
        None => {
            if let Some(src) = healthcheck::src_of(&text) {
                issues.extend(table(&src).issues);
            }
            None
        }
    };
    Read {
        settings,
        loaded,
        issues,
    }
}

/// The fault of a file that is published over one that is read.
fn destroyed(settings: &Settings) -> Option<Issue> {
    let reason = settings.dst()?.destroys()?;
    Some(issue(&settings.file, "forwarding_table.dst", &reason))
}

/// Reads a table, the operator's or one that was published before.
pub(crate) fn read_table(path: &Path, settings: &Settings) -> (Option<Loaded>, Vec<Issue>) {
    let Checked { value, mut issues } = table(path);
    let Some(plan) = value.map(Plan::new) else {
        return (None, issues);
    };
    let (mut any, mut verify) = (false, false);
    for target in &plan.targets {
        let (Probe::Direct(addr, ask) | Probe::Through(_, addr, ask)) = &target.probe else {
            continue;
        };
        if let Ask::Https(check) = ask {
            any = true;
            verify |= check.verify;
            if let Err(reason) = server_name(*addr, check) {
                issues.push(issue(path, "https_host", &reason));
            }
        }
    }
    let ca_file = &settings.config.https_ca_file;
    let tls = match any.then(|| Tls::new(verify.then_some(ca_file.as_path()))) {
        Some(Err(reason)) => {
            let reason = format!("{}: {reason}", ca_file.display());
            issues.push(issue(&settings.file, "https_ca_file", &reason));
            None
        }
        Some(Ok(tls)) => Some(Arc::new(tls)),
        None => None,
    };
    if issues.iter().any(is_error) {
        return (None, issues);
    }
    (Some(Loaded { plan, tls }), issues)
}

/// What was published before, and where that is known from: the running director, or the file. A file that
/// cannot be read is none, since it is about to be replaced.
pub(crate) fn published(settings: &Settings) -> Option<(String, Known)> {
    if settings.is_kernel() {
        let known = publish::health();
        if !known.is_empty() {
            return Some(("the running director".to_owned(), known));
        }
    }
    let dst = settings.config.dst.as_deref()?;
    let known = Plan::new(table(dst).value?).health();
    (!known.is_empty()).then(|| (dst.display().to_string(), known))
}

fn table(path: &Path) -> Checked<tables::Config> {
    let name = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => tables::read(&name, &text),
            // As deployed: what is no UTF-8, in a name it may be, is replaced.
            Err(error) => {
                let text = String::from_utf8_lossy(error.as_bytes());
                let mut checked = tables::read(&name, &text);
                let reason = "is not all UTF-8; what is not was replaced";
                let severity = Severity::Warning;
                let told = issue(path, "", reason);
                checked.issues.insert(0, Issue { severity, ..told });
                checked
            }
        },
        Err(error) => Checked {
            value: None,
            issues: vec![issue(path, "", &reason(&error))],
        },
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::InvalidData => "is not UTF-8, so not JSON".to_owned(),
        _ => error.to_string(),
    }
}

fn issue(file: &Path, field: &str, reason: &str) -> Issue {
    Issue {
        severity: Severity::Error,
        file: file.display().to_string(),
        table: None,
        field: field.to_owned(),
        value: None,
        reason: reason.to_owned(),
    }
}

pub(crate) fn is_error(issue: &Issue) -> bool {
    issue.severity == Severity::Error
}
