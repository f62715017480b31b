// SPDX-License-Identifier: GPL-2.0

//! What doctor found, and what to do about it.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Could not be looked at.
    Note,
    /// Works, and will not in some cases.
    Warning,
    /// Packets or connections are lost, or strangers are let in.
    Error,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at; always the same word for the same thing.
    pub(super) check: &'static str,
    pub(super) severity: Severity,
    pub(super) found: String,
    /// Nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) what_to_do: Option<String>,
}

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.0.push(Finding {
            check,
            severity: Severity::Ok,
            found: found.into(),
            what_to_do: None,
        });
    }

    pub(super) fn note(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        what_to_do: impl Into<String>,
    ) {
        self.add(check, Severity::Note, found, what_to_do);
    }

    pub(super) fn warning(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        what_to_do: impl Into<String>,
    ) {
        self.add(check, Severity::Warning, found, what_to_do);
    }

    pub(super) fn error(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        what_to_do: impl Into<String>,
    ) {
        self.add(check, Severity::Error, found, what_to_do);
    }

    fn add(
        &mut self,
        check: &'static str,
        severity: Severity,
        found: impl Into<String>,
        what_to_do: impl Into<String>,
    ) {
        self.0.push(Finding {
            check,
            severity,
            found: found.into(),
            what_to_do: Some(what_to_do.into()),
        });
    }

    /// Whether something worse than a note was found by a check.
    pub(super) fn is_bad(&self, check: &str) -> bool {
        let bad = |one: &Finding| one.check == check && one.severity >= Severity::Warning;
        self.0.iter().any(bad)
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        let same = self.0.iter().filter(|one| one.severity == severity);
        same.count()
    }
}

/// What tests ask.
#[cfg(test)]
impl Findings {
    /// Those of a check that are not well, as `severity: found`.
    pub(super) fn of(&self, check: &str) -> Vec<String> {
        let bad = self
            .0
            .iter()
            .filter(|one| one.check == check && one.severity != Severity::Ok);
        bad.map(|one| format!("{}: {}", one.severity.name(), one.found))
            .collect()
    }

    /// All that is not well. No advice may open the machine to everybody: who follows it does not know better.
    pub(super) fn bad(&self) -> Vec<String> {
        for advice in self.0.iter().filter_map(|one| one.what_to_do.as_ref()) {
            let opens = advice.contains("redirect on") || advice.contains("-j GLBREDIRECT");
            assert!(
                !opens || advice.matches("--allow-hops").count() >= 1,
                "{advice}"
            );
            let after = advice.split("redirect on").skip(1);
            assert!(
                after.into_iter().all(|rest| rest.contains("--allow-hops")),
                "{advice}"
            );
        }
        let bad = self.0.iter().filter(|one| one.severity != Severity::Ok);
        bad.map(|one| format!("{}: {}: {}", one.check, one.severity.name(), one.found))
            .collect()
    }
}
