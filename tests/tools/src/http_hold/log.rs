// SPDX-License-Identifier: GPL-2.0

//! When what happened, a line each; times are seconds of the machine's clock.
//!
//! ```text
//! sample 1700000000.123 broken=2 oldest=1699999990.456 proxy1=333 proxy2=334
//! broken 1700000000.456 proxy1 192.0.2.7:40000 receive: Connection reset by peer
//! unopened 1700000000.789 - 192.0.2.8:40001 begun=1700000000.700 connect: Connection refused
//! ```
//!
//! `oldest` is when the oldest connection began that is open or being opened, and `-` if there is none.
//!
//! Of one that was never opened it matters when it began: what a program had in its hands when it ended is lost with it.

use super::connection::Report;
use super::tally::Tally;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) struct Log(File);

fn now() -> f64 {
    seconds(SystemTime::now())
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs_f64()).unwrap_or_default()
}

impl Log {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self(file))
    }

    /// A line if it broke, or never came to be.
    pub(super) fn ended(&mut self, report: &Report) -> Result<()> {
        let Err(error) = &report.result else {
            return Ok(());
        };
        let (what, server, begun) = match &report.server {
            Some(server) => ("broken", server.as_str(), String::new()),
            None => {
                let begun = format!("begun={:.3} ", seconds(report.begun));
                ("unopened", "-", begun)
            }
        };
        let local = report
            .local
            .map_or_else(|| "-".to_owned(), |local| local.to_string());
        writeln!(
            self.0,
            "{what} {:.3} {server} {local} {begun}{error:#}",
            now()
        )?;
        Ok(())
    }

    pub(super) fn sample(&mut self, tally: &Tally, oldest: Option<SystemTime>) -> Result<()> {
        let oldest =
            oldest.map_or_else(|| "-".to_owned(), |begun| format!("{:.3}", seconds(begun)));
        let broken = tally.broken();
        let mut line = format!("sample {:.3} broken={broken} oldest={oldest}", now());
        for (name, open) in tally.servers() {
            line.push_str(&format!(" {name}={open}"));
        }
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(())
    }
}
