// SPDX-License-Identifier: GPL-2.0

//! The main loop: it carries out the decisions of the engine and reports the results to it.
//!
//! Only this task changes state. Checks, publications and reads of files run beside it and report through one
//! channel, so there are no locks, and the loop never waits for a disk.

use crate::check::{Checker, Tls};
use crate::flows::Counter;
use crate::logic::director::{Director, News, Question};
use crate::logic::engine::{Engine, Outcome, TargetId};
use crate::logic::event::Event;
use crate::logic::known::Known;
use crate::publish::{self, PublishError};
use crate::rows::{self, TableRows};
use crate::source::{self, is_error, Loaded, Read, Settings};
use crate::status::flows;
use crate::status::{Facts, Page, Publications, SourceState};
use glb_config::Issue;
use glb_daemon::notify::Notify;
use glb_daemon::server::{self, Answer};
use glb_daemon::signals::{Signals, Wish};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};

/// After this time files that were not good are read again, in case they were just being written.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// Checks that are due within this time start together, and results that come within it are taken in together:
/// waking up costs more than a check does.
const TOGETHER: Duration = Duration::from_millis(10);
/// How long the end waits for a publication that runs.
const LAST_PUBLICATION: Duration = Duration::from_secs(10);

/// How often the director in the kernel is asked whether it still has what was loaded.
const ASK_DIRECTOR: Duration = Duration::from_secs(1);

/// What happened beside the main loop.
enum Report {
    Checked(TargetId, Outcome, Duration),
    Read(Box<Read>),
    Published(Result<Option<u32>, PublishError>, Duration),
    Director(Question, Result<u32, String>),
    Rows(u64, Vec<TableRows>),
}

/// What the daemon starts from.
pub(crate) struct Start {
    pub(crate) settings: Settings,
    pub(crate) loaded: Loaded,
    /// What is wrong with the files; with errors among them, the table is that of the last run.
    pub(crate) issues: Vec<Issue>,
    /// What was published before, and where that is known from.
    pub(crate) published: Option<(String, Known)>,
    /// Whether the log is for programs.
    pub(crate) structured: bool,
}

/// The daemon.
pub(crate) struct Daemon {
    started: Instant,
    settings: Settings,
    engine: Engine,
    checker: Arc<Checker>,
    tls: Option<Arc<Tls>>,
    source: SourceState,
    publications: Publications,
    /// The rows of what was published last that lead to a backend that is down, and how many publications
    /// there were.
    dead: Vec<TableRows>,
    publication: u64,
    director: Director,
    flows: Arc<Counter>,
    /// When the director is asked next; nothing while it is being asked, and where tables go to a file.
    next_question: Option<Instant>,
    notify: Notify,
    /// When systemd is told next that the main loop runs, if it wants to know.
    next_alive: Option<Instant>,
    reports: mpsc::UnboundedSender<Report>,
    reading: Reading,
    structured: bool,
}

/// How far the reading of files is.
#[derive(Debug, Default)]
struct Reading {
    running: bool,
    /// Somebody asked while a read ran, which may have missed the change.
    once_more: bool,
    /// systemd was told of a reload and waits for its end.
    told: bool,
    retry: Option<Instant>,
}

/// Runs until a signal ends it.
pub(crate) async fn run(start: Start, notify: Notify) -> io::Result<()> {
    let listen = start.settings.config.listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        io::Error::new(error.kind(), format!("can not listen on {listen}: {error}"))
    })?;
    let mut signals = Signals::new()?;
    let (reports, mut reported) = mpsc::unbounded_channel();
    let (asked, mut questions) = mpsc::channel(server::CONNECTIONS);
    tokio::spawn(server::serve(listener, asked));
    let mut daemon = Daemon::new(start, notify, reports);
    daemon.notify.ready();
    'all: loop {
        daemon.act();
        let now = Instant::now();
        let rest = now + TOGETHER;
        let wake = daemon.wake_at(now).max(rest);
        // For a short time people alone are heard.
        let mut resting = true;
        while resting {
            tokio::select! {
                biased;
                wish = signals.next() => match wish {
                    Wish::Reload => daemon.reload(),
                    Wish::End => break 'all,
                },
                Some((page, sender)) = questions.recv() => {
                    daemon.take_all(&mut reported);
                    daemon.answer(page, sender);
                }
                () = sleep_until(rest.into()) => resting = false,
            }
        }
        if daemon.take_all(&mut reported) {
            continue;
        }
        tokio::select! {
            biased;
            wish = signals.next() => match wish {
                Wish::Reload => daemon.reload(),
                Wish::End => break,
            },
            Some((page, sender)) = questions.recv() => daemon.answer(page, sender),
            Some(report) = reported.recv() => daemon.take(report),
            () = sleep_until(wake.into()) => {}
        }
    }
    daemon.stop(&mut reported).await;
    Ok(())
}

impl Daemon {
    fn new(start: Start, notify: Notify, reports: mpsc::UnboundedSender<Report>) -> Self {
        let now = Instant::now();
        let config = &start.settings.config;
        let engine = Engine::new(config.max_down_percent, start.settings.reload_interval());
        let mut daemon = Self {
            started: now,
            engine,
            settings: start.settings,
            checker: Arc::default(),
            tls: start.loaded.tls,
            source: SourceState::default(),
            publications: Publications::new(),
            dead: Vec::new(),
            publication: 0,
            director: Director::default(),
            flows: Arc::default(),
            next_question: None,
            next_alive: notify.watchdog_period().map(|_| now),
            notify,
            reports,
            reading: Reading::default(),
            structured: start.structured,
        };
        daemon.note_read(now, start.issues);
        if let Some((from, known)) = start.published {
            let down = known.values().filter(|healthy| !**healthy).count();
            let up = known.len() - down;
            tracing::info!("going on from {from}: backends: {up} up, {down} down");
            daemon.engine.take_over(known);
        }
        daemon.choose_way(now, false);
        let events = daemon.engine.load(now, start.loaded.plan);
        daemon.tell(&events);
        daemon.tell_status();
        daemon
    }

    /// Does all that is due.
    fn act(&mut self) {
        let now = Instant::now();
        for (id, target) in self.engine.due(now) {
            let (checker, tls) = (self.checker.clone(), self.tls.clone());
            let reports = self.reports.clone();
            tokio::spawn(async move {
                let (outcome, latency) = checker.check(&target, tls).await;
                tracing::debug!(
                    kind = target.probe.kind().name(),
                    target = %target.probe,
                    ?outcome,
                    ?latency,
                    "checked"
                );
                // Nobody takes it when the daemon ends.
                let _ = reports.send(Report::Checked(id, outcome, latency));
            });
        }
        if let Some(publication) = self.engine.publication(now) {
            // As with failures, what is tried again is not told again.
            if self.publications.last_error.is_none() {
                tracing::info!("publishing: {}", self.facts(now).summary());
            }
            self.director.loading();
            let (publisher, reports) = (self.settings.publisher(), self.reports.clone());
            self.publication += 1;
            let number = self.publication;
            tokio::spawn(async move {
                let tree = publication.tree.clone();
                let result = publisher.publish(publication.tree).await;
                let good = result.is_ok();
                let _ = reports.send(Report::Published(result, now.elapsed()));
                if good {
                    // Rows take their time, for which no table waits.
                    let rows = tokio::task::spawn_blocking(move || rows::dead(&tree)).await;
                    let _ = reports.send(Report::Rows(number, rows.unwrap_or_default()));
                }
            });
        }
        if self.next_question.is_some_and(|at| at <= now) {
            self.next_question = None;
            let (question, reports) = (self.director.question(), self.reports.clone());
            // The kernel may be busy with modules, which is nothing to wait for here.
            tokio::task::spawn_blocking(move || {
                let _ = reports.send(Report::Director(question, publish::generation()));
            });
        }
        if self.reading.retry.is_some_and(|at| at <= now) {
            self.reading.retry = None;
            self.read();
        }
        if let (Some(at), Some(period)) = (self.next_alive, self.notify.watchdog_period()) {
            if at <= now {
                self.notify.alive();
                self.next_alive = Some(now + period);
            }
        }
    }

    /// When [`Self::act`] has something to do, unless a report comes before.
    fn wake_at(&self, now: Instant) -> Instant {
        /// Of no meaning: there always is a next time to look.
        const AT_LEAST: Duration = Duration::from_secs(3600);
        let times = [
            self.engine.wake_at(now),
            self.reading.retry,
            self.next_alive,
            self.next_question,
        ];
        let next = times.into_iter().flatten().min();
        next.unwrap_or(now + AT_LEAST)
    }

    /// Takes the reports that are there, so that many cost one turn of the loop; whether there were any.
    fn take_all(&mut self, reported: &mut mpsc::UnboundedReceiver<Report>) -> bool {
        const AT_MOST: usize = 256;
        for taken in 0..AT_MOST {
            match reported.try_recv() {
                Ok(report) => self.take(report),
                Err(_) => return taken > 0,
            }
        }
        true
    }

    fn take(&mut self, report: Report) {
        let now = Instant::now();
        match report {
            Report::Checked(id, outcome, latency) => {
                let events = self.engine.result(now, id, outcome, latency);
                if !events.is_empty() {
                    self.tell(&events);
                    self.tell_status();
                }
            }
            Report::Published(result, took) => {
                self.engine.published(result.is_ok());
                self.director
                    .loaded(result.as_ref().ok().copied().flatten());
                match &result {
                    Ok(Some(load)) => tracing::info!("loaded as load {load}, in {took:.0?}"),
                    Ok(None) => tracing::info!("published, in {took:.0?}"),
                    // A failure that goes on is not told at every try.
                    Err(error) if self.publications.last_error == Some(error.to_string()) => {}
                    Err(error) => tracing::error!("the table could not be published: {error}"),
                }
                self.publications.note(now, took, &result.map(|_| ()));
                self.tell_status();
            }
            Report::Read(read) => self.take_read(now, *read),
            Report::Director(question, answer) => self.take_director(now, question, answer),
            // What is known of a table that is not the last one any more is of no use.
            Report::Rows(number, dead) if number == self.publication => self.take_rows(dead),
            Report::Rows(..) => {}
        }
    }

    /// Keeps and tells which rows lead nowhere.
    fn take_rows(&mut self, dead: Vec<TableRows>) {
        for one in dead.iter().filter(|one| !self.dead.contains(one)) {
            tracing::warn!("{one}");
        }
        for one in &self.dead {
            if !dead.iter().any(|other| other.table == one.table) {
                let table = &one.table;
                tracing::info!("table {table}: no row leads to an unhealthy backend any more");
            }
        }
        self.dead = dead;
    }

    /// Takes in what the director in the kernel says of itself.
    fn take_director(&mut self, now: Instant, question: Question, answer: Result<u32, String>) {
        if !self.settings.is_kernel() {
            return;
        }
        self.next_question = Some(now + ASK_DIRECTOR);
        // What it says during a load is of before or after, nobody knows.
        if self.engine.is_publishing() {
            return;
        }
        let news = self.director.answer(question, answer);
        match &news {
            News::None => return,
            News::Gone(reason) => tracing::error!("{reason}; tables are loaded once it is there"),
            News::There => tracing::info!("the director's module is there"),
            News::Replaced(0) => {
                tracing::warn!("the director has lost its tables: they are loaded again");
            }
            News::Replaced(load) => tracing::warn!(
                "somebody else has loaded tables (load {load}): the checked ones are loaded again"
            ),
        }
        self.engine.withhold(!self.director.is_there());
        self.engine.lost();
        self.tell_status();
    }

    /// Whether the director in the kernel is to be asked, after the settings were read.
    fn choose_way(&mut self, now: Instant, was_kernel: bool) {
        let is_kernel = self.settings.is_kernel();
        if is_kernel == was_kernel {
            return;
        }
        self.director = Director::default();
        self.next_question = is_kernel.then_some(now);
        self.engine.withhold(is_kernel);
    }

    /// Somebody asks for the files to be read again.
    fn reload(&mut self) {
        tracing::info!("reading the configuration and the table again");
        self.notify.reloading();
        self.reading.told = true;
        self.read();
    }

    fn read(&mut self) {
        if self.reading.running {
            self.reading.once_more = true;
            return;
        }
        self.reading.running = true;
        let (file, reports) = (self.settings.file.clone(), self.reports.clone());
        tokio::task::spawn_blocking(move || {
            let read = Box::new(source::read(&file));
            let _ = reports.send(Report::Read(read));
        });
    }

    fn take_read(&mut self, now: Instant, read: Read) {
        self.reading.running = false;
        if std::mem::take(&mut self.reading.once_more) {
            self.read();
            return;
        }
        let told = std::mem::take(&mut self.reading.told);
        let news = self.note_read(now, read.issues);
        match (read.settings, read.loaded) {
            (Some(settings), Some(loaded)) => self.apply(now, settings, loaded),
            // A fault that goes on is not told at every try, unless somebody asked.
            _ if told || news => tracing::error!("the last good table stays in use"),
            _ => {}
        }
        if told {
            self.notify.ready();
        }
        self.tell_status();
    }

    fn apply(&mut self, now: Instant, settings: Settings, loaded: Loaded) {
        if settings.config.listen != self.settings.config.listen {
            tracing::warn!("listen has changed: that takes a restart");
        }
        let percent = settings.config.max_down_percent;
        self.engine.configure(percent, settings.reload_interval());
        let was_kernel = self.settings.is_kernel();
        self.settings = settings;
        self.choose_way(now, was_kernel);
        self.tls = loaded.tls;
        let events = self.engine.load(now, loaded.plan);
        self.tell(&events);
    }

    /// Keeps and tells what is wrong with the files; whether that is news.
    fn note_read(&mut self, now: Instant, issues: Vec<Issue>) -> bool {
        let bad = issues.iter().any(is_error);
        if bad {
            self.source.bad_reads += 1;
            self.reading.retry = Some(now + READ_AGAIN);
        } else {
            self.source.good_reads += 1;
            self.reading.retry = None;
        }
        let news = issues != self.source.issues;
        if news {
            for issue in &issues {
                if is_error(issue) {
                    tracing::error!("{issue}");
                } else {
                    tracing::warn!("{issue}");
                }
            }
        }
        self.source.issues = issues;
        news
    }

    fn tell(&self, events: &[Event]) {
        for event in events {
            // The text says it all; programs get it in parts, too.
            let (mut change, mut table, mut backend) = (None, None, None);
            if self.structured {
                (change, table, backend) = (Some(event.kind()), event.table(), event.backend());
            }
            if event.is_good() {
                tracing::info!(change, table, backend, "{event}");
            } else {
                tracing::warn!(change, table, backend, "{event}");
            }
        }
    }

    fn tell_status(&mut self) {
        let summary = self.facts(Instant::now()).summary();
        self.notify.status(summary);
    }

    fn facts(&self, now: Instant) -> Facts<'_> {
        Facts {
            now,
            started: self.started,
            settings: &self.settings,
            engine: &self.engine,
            source: &self.source,
            publications: &self.publications,
            dead: &self.dead,
            director: &self.director,
        }
    }

    fn answer(&self, page: Page, answer: oneshot::Sender<Answer>) {
        let mut made = self.facts(Instant::now()).page(page);
        let wanted = &self.settings.config.redirect_flows;
        if let Some(mut wanted) = wanted.clone().filter(|_| page == Page::Metrics) {
            // Whoever asks for the page comes without a director.
            wanted.direct.push(self.settings.config.listen.port());
            let counter = self.flows.clone();
            tokio::spawn(async move {
                made.body += &flows::metrics(&counter.count(wanted).await);
                let _ = answer.send(made);
            });
            return;
        }
        // Whoever asked may have gone.
        let _ = answer.send(made);
    }

    /// Lets a publication that runs come to its end: a director should not be left half way.
    async fn stop(&mut self, reported: &mut mpsc::UnboundedReceiver<Report>) {
        tracing::info!("stopping");
        self.notify.stopping();
        let end = Instant::now() + LAST_PUBLICATION;
        while self.engine.is_publishing() {
            match timeout_at(end.into(), reported.recv()).await {
                Ok(Some(report @ Report::Published(..))) => self.take(report),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}
