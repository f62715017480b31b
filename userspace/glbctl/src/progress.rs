// SPDX-License-Identifier: GPL-2.0

//! Progress of what takes long: on standard error, if that is a terminal, after the first second.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

pub(crate) struct Progress {
    what: &'static str,
    total: Option<usize>,
    started: Instant,
    shown: Option<Instant>,
    enabled: bool,
}

impl Progress {
    /// Progress of `what`, as in "tables built".
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            total: None,
            started: Instant::now(),
            shown: None,
            enabled: io::stderr().is_terminal(),
        }
    }

    /// There will be so many.
    pub(crate) fn of(self, total: usize) -> Self {
        Self {
            total: Some(total),
            ..self
        }
    }

    /// So many are done, of so many.
    pub(crate) fn done_of(&mut self, count: usize, total: usize) {
        self.total = Some(total);
        self.done(count);
    }

    /// So many are done.
    pub(crate) fn done(&mut self, count: usize) {
        let last = self.shown.unwrap_or(self.started);
        let wait = Duration::from_millis(if self.shown.is_some() { 100 } else { 1000 });
        if self.enabled && last.elapsed() >= wait {
            self.shown = Some(Instant::now());
            let mut out = io::stderr().lock();
            let _ = write!(out, "\r\x1b[K{}", self.line(count));
            let _ = out.flush();
        }
    }
}

impl Progress {
    fn line(&self, count: usize) -> String {
        match self.total {
            Some(total) => format!("{count} of {total} {}", self.what),
            None => format!("{count} {}", self.what),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            // The line is for the eye only; what comes next starts clean.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_of_how_many() {
        let mut progress = Progress::new("tables built");
        assert_eq!(progress.line(3), "3 tables built");
        progress.done_of(3, 1000);
        assert_eq!(progress.line(3), "3 of 1000 tables built");
        let progress = Progress::new("bytes read").of(24);
        assert_eq!(progress.line(0), "0 of 24 bytes read");
    }
}
