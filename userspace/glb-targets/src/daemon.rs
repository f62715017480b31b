// SPDX-License-Identifier: GPL-2.0

//! The main loop. Only this task changes state: files and kernel are read and changed beside it, once at a time, and report
//! through one channel.

use crate::etcd::{self, Etcd};
use crate::ids::Ids;
use crate::kernel::{self, Done, Job, Loaded, Part};
use crate::plan::{Plan, Refused};
use crate::source::{self, is_error, Read, Stamps};
use crate::status::{Counts, Facts, Page};
use crate::table::Base;
use crate::Owners;
use glb_config::targets::{TargetSpec, TargetsConf};
use glb_config::Issue;
use glb_daemon::notify::Notify;
use glb_daemon::server::{self, Answer};
use glb_daemon::signals::{Signals, Wish};
use glb_etcd::watch::News;
use glb_netlink::watch::Watch;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};

/// How often files are looked at, and the director is asked whether it still has the table.
const LOOK: Duration = Duration::from_secs(1);
/// After this time what failed is tried again, and the kernel's rules and routes are compared.
pub(crate) const RETRY: Duration = Duration::from_secs(10);
/// Changes of devices and routes come together.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long the end waits for what is being done in the kernel.
const LAST_JOB: Duration = Duration::from_secs(5);

/// What happened beside the main loop.
enum Report {
    Read(Box<Read>),
    /// The files, and the director's load as of so many jobs; nothing while one ran.
    Looked(Stamps, Option<u64>, Result<u32, String>),
    Changed,
    Etcd(News),
    Done(Box<Done>),
}

/// What the daemon begins with.
pub(crate) struct Start {
    file: PathBuf,
    config: TargetsConf,
    base: Base,
    specs: Vec<TargetSpec>,
    issues: Vec<Issue>,
    stamps: Stamps,
    ids: Ids,
}

impl Start {
    /// From what was read, unless something is missing, which is said.
    pub(crate) fn new(file: PathBuf, read: Read) -> Option<Self> {
        let (Some(config), Some(base), Some(specs)) = (read.config, read.base, read.specs) else {
            crate::print(&read.issues);
            return None;
        };
        let ids = crate::kept(&config);
        Some(Self {
            file,
            config,
            base,
            specs,
            issues: read.issues,
            stamps: read.stamps,
            ids,
        })
    }
}

/// The daemon.
pub(crate) struct Daemon {
    started: Instant,
    file: PathBuf,
    config: TargetsConf,
    base: Arc<Base>,
    specs: Vec<TargetSpec>,
    issues: Vec<Issue>,
    etcd: Etcd,
    stamps: Stamps,
    ids: Ids,
    /// Those that are in the file.
    kept: Option<Ids>,
    /// The targets of the running table, as far as is known.
    owners: Owners,
    plan: Arc<Plan>,
    loaded: Option<Loaded>,
    active: BTreeSet<(usize, u16)>,
    failed: Vec<Refused>,
    errors: Vec<(Part, String)>,
    /// Why the director cannot be asked.
    gone: Option<String>,
    counts: Counts,
    reading: Reading,
    working: bool,
    /// When something is to be done in the kernel next.
    next_job: Instant,
    next_look: Option<Instant>,
    /// Since when the kernel is not as the files say.
    changed: Option<Instant>,
    notify: Notify,
    next_alive: Option<Instant>,
    reports: mpsc::UnboundedSender<Report>,
}

/// How far the reading of files is.
#[derive(Debug, Default)]
struct Reading {
    running: bool,
    once_more: bool,
    /// systemd was told of a reload and waits for its end.
    told: bool,
    /// The configuration is to be read too.
    all: bool,
}

/// Runs until a signal ends it.
pub(crate) async fn run(start: Start, notify: Notify) -> io::Result<()> {
    let listen = start.config.listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}"))
    })?;
    let mut signals = Signals::new()?;
    let (reports, mut reported) = mpsc::unbounded_channel();
    let (asked, mut questions) = mpsc::channel(server::CONNECTIONS);
    tokio::spawn(server::serve::<Page>(listener, asked));
    hear(reports.clone())?;
    if let Some(conf) = &start.config.etcd {
        let reports = reports.clone();
        etcd::hear(conf, move |news| reports.send(Report::Etcd(news)).is_ok())?;
    }
    let mut daemon = Daemon::new(start, notify, reports);
    // Ready is who has done all once: what stands behind this unit finds the targets in place.
    let mut ready = false;
    loop {
        daemon.act();
        if !ready && (daemon.counts.jobs > 0 || daemon.known().is_none()) {
            daemon.notify.ready();
            ready = true;
        }
        let wake = daemon.wake_at();
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

/// Reports changes of devices, rules and routes, from a thread that waits for them.
fn hear(reports: mpsc::UnboundedSender<Report>) -> io::Result<()> {
    let mut watch = Watch::open().map_err(io::Error::other)?;
    let hear = move || loop {
        if let Err(error) = watch.wait() {
            tracing::warn!("changes of devices are seen later: {error}");
            return;
        }
        if reports.send(Report::Changed).is_err() {
            return;
        }
        // A storm of changes is one.
        std::thread::sleep(TOGETHER);
    };
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(hear)?;
    Ok(())
}

impl Daemon {
    fn new(start: Start, notify: Notify, reports: mpsc::UnboundedSender<Report>) -> Self {
        let now = Instant::now();
        let mut daemon = Self {
            started: now,
            file: start.file,
            config: start.config,
            base: Arc::new(start.base),
            specs: start.specs,
            issues: Vec::new(),
            etcd: Etcd::default(),
            stamps: start.stamps,
            owners: start.ids.owners(),
            kept: Some(start.ids.clone()),
            ids: start.ids,
            plan: Arc::default(),
            loaded: None,
            active: BTreeSet::new(),
            failed: Vec::new(),
            errors: Vec::new(),
            gone: None,
            counts: Counts::new(),
            reading: Reading::default(),
            working: false,
            next_job: now,
            next_look: Some(now + LOOK),
            changed: Some(now),
            next_alive: notify.watchdog_period().map(|_| now),
            notify,
            reports,
        };
        daemon.note_read(start.issues);
        daemon
    }

    /// Does all that is due.
    fn act(&mut self) {
        let now = Instant::now();
        if !self.working && self.next_job <= now {
            self.next_job = now + RETRY;
            // What is not known is not taken away.
            if self.known().is_some() {
                self.work();
            }
        }
        if self.next_look.is_some_and(|at| at <= now) {
            self.next_look = None;
            let (config, reports) = (self.config.clone(), self.reports.clone());
            let jobs = (!self.working).then_some(self.counts.jobs);
            tokio::task::spawn_blocking(move || {
                let (stamps, generation) = (source::stamps(&config), kernel::generation());
                // Nobody takes it when the daemon ends.
                let _ = reports.send(Report::Looked(stamps, jobs, generation));
            });
        }
        if let (Some(at), Some(period)) = (self.next_alive, self.notify.watchdog_period()) {
            if at <= now {
                self.notify.alive();
                self.next_alive = Some(now + period);
            }
        }
    }

    /// The targets, once it is known which there are.
    fn known(&self) -> Option<&[TargetSpec]> {
        match self.config.etcd {
            Some(_) => self.etcd.specs.as_deref(),
            None => Some(&self.specs),
        }
    }

    /// When [`Self::act`] has something to do, unless a report comes before.
    fn wake_at(&self) -> Instant {
        let job = (!self.working).then_some(self.next_job);
        let times = [job, self.next_look, self.next_alive];
        let next = times.into_iter().flatten().min();
        next.unwrap_or_else(|| Instant::now() + RETRY)
    }

    /// Plans anew, and has the kernel made so.
    fn work(&mut self) {
        self.working = true;
        let mut ids = std::mem::take(&mut self.ids);
        let known = (&mut ids, &self.owners);
        let specs = self.known().unwrap_or_default();
        let plan = Plan::new(&self.config, &self.base, specs, known);
        self.ids = ids;
        for refused in plan
            .refused
            .iter()
            .filter(|one| !self.plan.refused.contains(one))
        {
            tracing::error!("{refused}");
        }
        self.plan = Arc::new(plan);
        let keep = (self.kept.as_ref() != Some(&self.ids))
            .then(|| (self.config.state.clone(), self.ids.clone()));
        let job = Job {
            base: self.base.clone(),
            plan: self.plan.clone(),
            priority: self.config.rule_priority,
            loaded: self.loaded.clone(),
            keep,
        };
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let done = tokio::task::spawn_blocking(move || kernel::apply(job)).await;
            // One that failed by a fault of ours has ended, too.
            let done = done.unwrap_or_else(|error| Done::failed(error.to_string()));
            let _ = reports.send(Report::Done(Box::new(done)));
        });
    }

    fn take(&mut self, report: Report) {
        let now = Instant::now();
        match report {
            Report::Done(done) => self.take_done(now, *done),
            Report::Read(read) => self.take_read(now, *read),
            Report::Etcd(news) => {
                self.etcd.take(news);
                if self.etcd.away.is_none() {
                    self.next_job = now;
                    self.changed.get_or_insert(now);
                }
            }
            Report::Changed => self.next_job = self.next_job.min(now),
            Report::Looked(stamps, jobs, generation) => {
                self.next_look = Some(now + LOOK);
                // What it says during a job may be of before or after a load.
                if !self.working && jobs == Some(self.counts.jobs) {
                    self.take_generation(now, generation);
                }
                if stamps != self.stamps {
                    self.read(false);
                }
            }
        }
    }

    fn take_done(&mut self, now: Instant, done: Done) {
        self.working = false;
        self.counts.take(&done);
        let state_kept = !done.errors.iter().any(|(part, _)| *part == Part::State);
        if state_kept {
            self.kept = Some(self.ids.clone());
        }
        let failed = done.failed.iter();
        for one in failed.filter(|one| !self.failed.contains(one)) {
            tracing::error!("{one}; tried again every {} s", RETRY.as_secs());
        }
        for one in &self.failed {
            if !done
                .failed
                .iter()
                .any(|other| (&other.service, &other.name) == (&one.service, &one.name))
            {
                tracing::info!(
                    "target {} of service {}: no longer fails",
                    one.name,
                    one.service
                );
            }
        }
        for one in done.errors.iter().filter(|one| !self.errors.contains(one)) {
            tracing::error!("{}; tried again every {} s", one.1, RETRY.as_secs());
        }
        let clean = done.errors.is_empty() && done.failed.is_empty();
        self.failed = done.failed;
        self.errors = done.errors;
        self.loaded = done.loaded;
        if let Some(owners) = done.owners {
            self.owners = owners;
            self.active = done.active;
            if !self.plan.waiting.is_empty() {
                self.next_job = now;
            } else if let Some(since) = self.changed.take() {
                self.counts.change.observe(since.elapsed());
            }
        }
        if done.made_load {
            let load = self.loaded.as_ref().map_or(0, |loaded| loaded.generation);
            tracing::info!(
                "load {load}: {}; {} rules and routes made, {} deleted",
                self.facts(now).summary(),
                done.made,
                done.deleted
            );
        } else if done.made + done.deleted > 0 && clean {
            tracing::info!(
                "{} rules and routes made, {} deleted",
                done.made,
                done.deleted
            );
        }
        let status = self.facts(now).summary();
        self.notify.status(status);
    }

    /// Takes in what the director in the kernel says of itself.
    fn take_generation(&mut self, now: Instant, answer: Result<u32, String>) {
        match answer {
            Ok(generation) => {
                let gone = self.gone.take().is_some();
                if gone {
                    tracing::info!("the director's module is there");
                }
                let ours = self.loaded.as_ref().map(|loaded| loaded.generation);
                if ours.is_some_and(|ours| ours != generation) {
                    let what = if generation == 0 {
                        "has lost its tables"
                    } else {
                        "has tables that somebody else loaded"
                    };
                    tracing::warn!(
                        "the director {what}: the table with the targets is loaded again"
                    );
                    self.counts.lost += 1;
                    self.loaded = None;
                    self.next_job = now;
                } else if gone {
                    self.next_job = now;
                }
            }
            Err(reason) => {
                if self.gone.is_none() {
                    tracing::error!("{reason}");
                    // Its tables are gone with it.
                    self.loaded = None;
                }
                self.gone = Some(reason);
            }
        }
    }

    /// Somebody asks for the files to be read again.
    fn reload(&mut self) {
        tracing::info!("reading the configuration, the table and the targets again");
        self.notify.reloading();
        self.reading.told = true;
        self.read(true);
    }

    fn read(&mut self, all: bool) {
        self.reading.all |= all;
        if self.reading.running {
            self.reading.once_more = true;
            return;
        }
        self.reading.running = true;
        let all = std::mem::take(&mut self.reading.all);
        let (file, config) = (self.file.clone(), self.config.clone());
        let reports = self.reports.clone();
        tokio::task::spawn_blocking(move || {
            let read = if all {
                source::read(&file)
            } else {
                source::read_listed(&config)
            };
            let _ = reports.send(Report::Read(Box::new(read)));
        });
    }

    fn take_read(&mut self, now: Instant, read: Read) {
        self.reading.running = false;
        if std::mem::take(&mut self.reading.once_more) {
            // A configuration that this one was is not forgotten.
            self.read(self.reading.told);
            return;
        }
        let told = std::mem::take(&mut self.reading.told);
        let news = self.note_read(read.issues);
        if !read.stamps.is_empty() {
            self.stamps = read.stamps;
        }
        // Asked for the configuration, all or nothing is taken: its services are those of the table.
        let usable = (read.base, read.specs, !told || read.config.is_some());
        if let (Some(base), Some(specs), true) = usable {
            if let Some(config) = read.config {
                if config.listen != self.config.listen {
                    tracing::warn!("listen has changed: that takes a restart");
                }
                if config.etcd == self.config.etcd {
                    self.config = config;
                } else {
                    tracing::warn!(
                        "etcd has changed: that takes a restart, and the old configuration stays"
                    );
                }
            }
            self.base = Arc::new(base);
            self.specs = specs;
            self.next_job = now;
            self.changed.get_or_insert(now);
        } else if told || news {
            tracing::error!("the last good targets stay");
        }
        if told {
            self.notify.ready();
        }
    }

    /// Keeps and tells what is wrong with the files; whether that is news.
    fn note_read(&mut self, issues: Vec<Issue>) -> bool {
        let bad = issues.iter().any(is_error);
        self.counts.reads[usize::from(bad)] += 1;
        let news = issues != self.issues;
        if news {
            for issue in &issues {
                if is_error(issue) {
                    tracing::error!("{issue}");
                } else {
                    tracing::warn!("{issue}");
                }
            }
        }
        self.issues = issues;
        news
    }

    fn facts(&self, now: Instant) -> Facts<'_> {
        Facts {
            uptime: now.saturating_duration_since(self.started),
            config: &self.config,
            base: &self.base,
            plan: &self.plan,
            issues: &self.issues,
            etcd: self.config.etcd.is_some().then_some(&self.etcd),
            active: &self.active,
            failed: &self.failed,
            errors: &self.errors,
            gone: self.gone.as_deref(),
            load: self.loaded.as_ref().map(|loaded| loaded.generation),
            counts: &self.counts,
        }
    }

    fn answer(&self, page: Page, answer: oneshot::Sender<Answer>) {
        // Whoever asked may have gone.
        let _ = answer.send(self.facts(Instant::now()).page(page));
    }

    /// Lets what is being done in the kernel come to its end. All that stands stays.
    async fn stop(&mut self, reported: &mut mpsc::UnboundedReceiver<Report>) {
        tracing::info!("stopping: rules, routes and the table stay as they are");
        self.notify.stopping();
        let end = Instant::now() + LAST_JOB;
        while self.working {
            match timeout_at(end.into(), reported.recv()).await {
                Ok(Some(Report::Done(done))) => self.take_done(Instant::now(), *done),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}
