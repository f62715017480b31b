// SPDX-License-Identifier: GPL-2.0

//! What commands say, and how they fail.

use glb_config::compiled::Compiled;
use glb_config::{DeadRows, Issue, Severity};
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command failed; the exit status is 1 unless something else is said.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Files that cannot be used.
    Issues(Vec<Issue>),
    /// Anything else, in one line.
    Message(String),
    /// All was said already.
    Silent,
    /// A roll-out would break connections, or something is badly set up, and all was said; the exit status is
    /// [`NOT_SAFE`].
    NotSafe,
}

/// Exit status of `table diff --exit-code` where connections would break, of `redirect flows --exit-code` where some depend on
/// second chance, and of `doctor` where a finding is an error.
const NOT_SAFE: u8 = 3;

impl Failure {
    /// A failure about a file.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        let reason = glb_config::io_reason(error);
        Self::Message(format!("{}: {reason}", path.display()))
    }

    /// In one line.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Issues(issues) => in_one_line(&issues),
            Self::Message(message) => message,
            Self::Silent | Self::NotSafe => String::new(),
        }
    }

    /// What is wrong with a file, in the form of a check.
    pub(crate) fn issues(self, file: &str) -> Vec<Issue> {
        let reason = match self {
            Self::Issues(issues) => return issues,
            Self::Message(message) => {
                let reason = message.strip_prefix(file).unwrap_or(&message);
                reason.trim_start_matches(": ").to_owned()
            }
            Self::Silent | Self::NotSafe => String::new(),
        };
        vec![Issue {
            severity: Severity::Error,
            file: file.to_owned(),
            table: None,
            field: String::new(),
            value: None,
            reason,
        }]
    }

    /// Says it: on standard error, or, to a program, on standard output in the place of the result.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        #[derive(Serialize)]
        struct Report {
            error: String,
            issues: Vec<Issue>,
        }
        let (issues, error) = match self {
            Self::Issues(issues) => (issues, None),
            Self::Message(message) => (Vec::new(), Some(message)),
            Self::Silent => return ExitCode::FAILURE,
            Self::NotSafe => return ExitCode::from(NOT_SAFE),
        };
        // Nothing is left to be done if the output is closed.
        if json {
            let error = error.unwrap_or_else(|| in_one_line(&issues));
            let mut out = io::stdout().lock();
            let _ = serde_json::to_writer_pretty(&mut out, &Report { error, issues });
            let _ = writeln!(out);
            return ExitCode::FAILURE;
        }
        let mut out = io::stderr().lock();
        for line in lines(issues.iter()) {
            let _ = writeln!(out, "{line}");
        }
        if let Some(error) = error {
            let _ = writeln!(out, "glbctl: {error}");
        }
        ExitCode::FAILURE
    }
}

/// Rows that lead to a dead backend, as commands print them.
#[derive(Debug, Serialize)]
pub(crate) struct DeadRowsView {
    /// Rows whose first hop is unhealthy.
    first_hop: u32,
    /// Of those, rows without any healthy hop.
    all_hops: u32,
    /// The share of all rows whose first hop is unhealthy, in per cent.
    percent: f64,
    what_to_do: &'static str,
}

impl From<DeadRows> for DeadRowsView {
    fn from(dead: DeadRows) -> Self {
        Self {
            first_hop: dead.first_hop,
            all_hops: dead.all_hops,
            percent: dead.share() * 100.0,
            what_to_do: dead.remedy.text(),
        }
    }
}

/// A table with dead rows, where a command is about many tables.
#[derive(Debug, Serialize)]
pub(crate) struct DeadTable {
    table: String,
    #[serde(flatten)]
    rows: DeadRowsView,
}

impl DeadTable {
    pub(crate) fn of(index: usize, table: &Compiled) -> Option<Self> {
        let rows = DeadRows::of(table)?.into();
        let table = table.label(index);
        Some(Self { table, rows })
    }

    pub(crate) fn all(tables: &[Compiled]) -> Vec<Self> {
        let tables = tables.iter().enumerate();
        tables
            .filter_map(|(index, table)| Self::of(index, table))
            .collect()
    }
}

/// The first error of all, and how many more there are.
fn in_one_line(issues: &[Issue]) -> String {
    let errors = || {
        issues
            .iter()
            .filter(|issue| issue.severity == Severity::Error)
    };
    let first = errors().next().map(ToString::to_string).unwrap_or_default();
    match errors().count() {
        0 | 1 => first,
        count => format!("{first} (and {} more)", count - 1),
    }
}

/// What is wrong with a line of a file that is read line by line, and with which text.
pub(crate) fn of_line(file: &str, line: usize, text: Option<&str>, reason: &str) -> Issue {
    Issue {
        severity: Severity::Error,
        file: file.to_owned(),
        table: None,
        field: format!("line {line}"),
        value: text.map(|text| glb_config::quoted(text).to_string()),
        reason: reason.to_owned(),
    }
}

/// Says the warnings on standard error, unless the output is for a program.
pub(crate) fn warn(issues: &[Issue], json: bool) {
    if json {
        return;
    }
    let warnings = issues
        .iter()
        .filter(|issue| issue.severity == Severity::Warning);
    let mut out = io::stderr().lock();
    for line in lines(warnings) {
        let _ = writeln!(out, "{line}");
    }
}

/// How many tables are named of which the same is said.
const NAMED: usize = 3;

/// Issues as people read them. What is said of many tables names the first ones, and then says of how many more.
fn lines<'i>(issues: impl Iterator<Item = &'i Issue>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut said: HashMap<_, usize> = HashMap::new();
    let mut more = Vec::new();
    for issue in issues {
        let times = match issue.table {
            Some(_) => said
                .entry((&issue.file, &issue.field, &issue.value, &issue.reason))
                .or_default(),
            None => &mut 0,
        };
        *times += 1;
        if *times <= NAMED {
            lines.push(issue.to_string());
        } else if *times == NAMED + 1 {
            more.push(issue);
        }
    }
    for issue in more {
        let key = (&issue.file, &issue.field, &issue.value, &issue.reason);
        let others = said.get(&key).map_or(0, |times| times - NAMED);
        let of_all = Issue {
            table: None,
            field: format!("{others} more tables: {}", issue.field),
            ..issue.clone()
        };
        lines.push(of_all.to_string());
    }
    lines
}

/// Prints a result: as JSON, or as the text that `text` writes.
pub(crate) fn print<T: Serialize>(
    json: bool,
    result: &T,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    print_to(
        &mut io::stdout().lock(),
        "standard output",
        json,
        result,
        text,
    )
}

/// As [`fn@print`]; on standard error where standard output has the data of the command.
pub(crate) fn print_beside<T: Serialize>(
    data: bool,
    json: bool,
    result: &T,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    if data {
        print_to(
            &mut io::stderr().lock(),
            "standard error",
            json,
            result,
            text,
        )
    } else {
        print(json, result, text)
    }
}

fn print_to<T: Serialize>(
    out: &mut dyn Write,
    name: &str,
    json: bool,
    result: &T,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(out);
    let written = if json {
        serde_json::to_writer_pretty(&mut out, result)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        text(&mut out)
    };
    match written.and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // The reader had enough (`glbctl ... | head`): that is no fault of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Message(format!("{name}: {error}"))),
    }
}

/// A number as people read it: 12,345.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Sixteen bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_many_tables_is_said_in_few_lines() {
        let of = |table: Option<usize>, reason: &str| Issue {
            severity: Severity::Warning,
            file: "t.json".to_owned(),
            table: table.map(|number| format!("t{number}")),
            field: "backends".to_owned(),
            value: None,
            reason: reason.to_owned(),
        };
        let mut issues: Vec<Issue> = (0..1000).map(|number| of(Some(number), "bad")).collect();
        issues.push(of(Some(5), "another"));
        issues.extend((0..5).map(|_| of(None, "of the file")));
        let said = lines(issues.iter());
        assert_eq!(
            said[..4],
            [
                r#"t.json: warning: table "t0": backends: bad"#,
                r#"t.json: warning: table "t1": backends: bad"#,
                r#"t.json: warning: table "t2": backends: bad"#,
                r#"t.json: warning: table "t5": backends: another"#,
            ]
        );
        assert_eq!(said[9], "t.json: warning: 997 more tables: backends: bad");
        assert_eq!(said.len(), 10);
    }
}
