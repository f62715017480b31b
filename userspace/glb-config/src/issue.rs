// SPDX-License-Identifier: GPL-2.0

//! Errors and warnings about a file.

use serde::Serialize;
use std::{fmt, io};

/// Whether a file can be used in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is used; the operator should know.
    Warning,
    /// The file is not used.
    Error,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// The table's name, or `#N` for the N-th table (from 0) where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Where in the table, or in the file, as in `backends[3].ip`. Empty for the whole.
    pub field: String,
    /// What stands there, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.file)?;
        if self.severity == Severity::Warning {
            out.write_str("warning: ")?;
        }
        if let Some(table) = &self.table {
            write!(out, "table {}: ", quoted(table))?;
        }
        if !self.field.is_empty() {
            write!(out, "{}: ", self.field)?;
        }
        if let Some(value) = &self.value {
            write!(out, "{value}: ")?;
        }
        out.write_str(&self.reason)
    }
}

/// A table's label as people read it: a name in quotes, a place (`#3`) without.
#[must_use]
pub fn quoted(label: &str) -> String {
    match label.strip_prefix('#') {
        Some(place) if place.bytes().all(|b| b.is_ascii_digit()) => label.to_owned(),
        _ => format!("{label:?}"),
    }
}

/// What came of checking a file: a value unless there were errors, and in any case all issues.
#[derive(Debug, Clone)]
pub struct Checked<T> {
    /// The file's contents, if it can be used.
    pub value: Option<T>,
    /// All that is wrong with it, in the order of the file.
    pub issues: Vec<Issue>,
}

impl<T> Checked<T> {
    /// A file that cannot be used for one reason.
    pub(crate) fn failed(file: &str, reason: impl Into<String>) -> Self {
        Self {
            value: None,
            issues: vec![Issue {
                severity: Severity::Error,
                file: file.to_owned(),
                table: None,
                field: String::new(),
                value: None,
                reason: reason.into(),
            }],
        }
    }

    /// The contents and the warnings, or all issues if the file cannot be used.
    pub fn into_result(self) -> Result<(T, Vec<Issue>), Vec<Issue>> {
        match self.value {
            Some(value) => Ok((value, self.issues)),
            None => Err(self.issues),
        }
    }

    /// Only the errors.
    pub fn errors(&self) -> impl Iterator<Item = &Issue> {
        self.issues
            .iter()
            .filter(|issue| issue.severity == Severity::Error)
    }
}

/// What an error of the system says, without the number that Rust adds.
#[must_use]
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}
