// SPDX-License-Identifier: GPL-2.0

//! Reading the configuration, the operator's table and the files of targets, and reporting the errors in all at once.

use crate::table::Base;
use glb_config::targets::{self, TargetSpec, TargetsConf};
use glb_config::{io_reason, Checked, Issue, Severity, Stamp};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// What came of reading all files. What could not be used is nothing.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) config: Option<TargetsConf>,
    pub(crate) base: Option<Base>,
    pub(crate) specs: Option<Vec<TargetSpec>>,
    pub(crate) issues: Vec<Issue>,
    /// Of the table and the files of targets, taken before they were read.
    pub(crate) stamps: Stamps,
}

/// What tells whether files have changed.
pub(crate) type Stamps = Vec<(PathBuf, Stamp)>;

/// Reads all files.
pub(crate) fn read(file: &Path) -> Read {
    let checked = text_of(file, targets::read);
    let Some(config) = checked.value else {
        return Read {
            config: None,
            base: None,
            specs: None,
            issues: checked.issues,
            stamps: Stamps::new(),
        };
    };
    let mut read = read_listed(&config);
    read.issues.splice(0..0, checked.issues);
    read.config = Some(config);
    read
}

/// Reads the files that a configuration names.
pub(crate) fn read_listed(config: &TargetsConf) -> Read {
    let stamps = stamps(config);
    let base = text_of(&config.src, |name, text| Base::read(name, text, config));
    let mut issues = base.issues;
    let specs = match config.etcd {
        // Who is registered is heard elsewhere.
        Some(_) => Some(Vec::new()),
        None => specs(&config.targets, &mut issues),
    };
    Read {
        config: None,
        base: base.value,
        specs,
        issues,
        stamps,
    }
}

/// What the files are now.
pub(crate) fn stamps(config: &TargetsConf) -> Stamps {
    let mut paths = vec![config.src.clone()];
    if config.etcd.is_none() {
        paths.push(config.targets.clone());
        // What cannot be listed is said when it is read.
        paths.extend(listed(&config.targets).unwrap_or_default());
    }
    let stamp = |path: PathBuf| {
        let stamp = Stamp::of(&path);
        (path, stamp)
    };
    paths.into_iter().map(stamp).collect()
}

/// The files of targets: the path itself, or of a directory those that end in `.json` and are not hidden, by their names.
fn listed(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension() == Some(OsStr::new("json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// All targets; nothing if one of the files cannot be used, so that a file that was spoilt takes no target out.
fn specs(path: &Path, issues: &mut Vec<Issue>) -> Option<Vec<TargetSpec>> {
    let files = match listed(path) {
        Ok(files) => files,
        Err(error) => {
            issues.push(issue(path, "", &io_reason(&error)));
            return None;
        }
    };
    let (mut all, mut good) = (Vec::new(), true);
    let mut seen = BTreeSet::new();
    for file in files {
        let checked = text_of(&file, targets::read_targets);
        issues.extend(checked.issues);
        let Some(targets) = checked.value else {
            good = false;
            continue;
        };
        for one in targets {
            if !seen.insert((one.service.clone(), one.name.clone())) {
                let reason = format!(
                    "target {} of service {} is there twice",
                    one.name, one.service
                );
                issues.push(issue(&file, "targets", &reason));
                good = false;
            }
            all.push(one);
        }
    }
    good.then_some(all)
}

fn text_of<T>(path: &Path, read: impl FnOnce(&str, &str) -> Checked<T>) -> Checked<T> {
    match fs::read_to_string(path) {
        Ok(text) => read(&path.display().to_string(), &text),
        Err(error) => Checked {
            value: None,
            issues: vec![issue(path, "", &io_reason(&error))],
        },
    }
}

/// An error.
pub(crate) fn issue(file: &Path, field: &str, reason: &str) -> Issue {
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
