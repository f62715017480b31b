// SPDX-License-Identifier: GPL-2.0

//! The log on standard error, for people, programs, or the journal.

use clap::ValueEnum;
use std::fmt;
use std::os::linux::fs::MetadataExt;
use tracing::level_filters::LevelFilter;
use tracing::Event;
use tracing_subscriber::fmt::format::{format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

/// Levels of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Level {
    /// What fails
    Error,
    /// What should be seen to
    Warn,
    /// What happens
    Info,
    /// All that is done
    Debug,
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

/// Starts the log.
pub fn to_stderr(level: Level, form: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level.filter());
    match (form, is_journal()) {
        (LogFormat::Text, false) => log.with_target(false).init(),
        // The journal has a clock and levels of its own.
        (LogFormat::Text, true) => {
            let format = format().with_target(false).with_level(false).without_time();
            log.event_format(ForJournal(format)).init();
        }
        (LogFormat::Json, false) => log.json().flatten_event(true).with_target(false).init(),
        (LogFormat::Json, true) => {
            let format = format().json().flatten_event(true).with_target(false);
            log.json().event_format(ForJournal(format)).init();
        }
    }
}

/// Whether standard error is the journal (`JOURNAL_STREAM` in systemd.exec(5)): the variable is inherited by
/// programs whose output goes elsewhere, so it names the stream.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(here) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream == format!("{}:{}", here.st_dev(), here.st_ino())
}

/// Lines with their priority in front (sd-daemon(3)), which the journal takes off.
struct ForJournal<F>(F);

impl<S, N, F> FormatEvent<S, N> for ForJournal<F>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
