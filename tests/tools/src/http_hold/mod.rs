// SPDX-License-Identifier: GPL-2.0

//! Many HTTP connections that stay busy until they are told to stop.
//!
//! Each connection asks for the same path again and again (keep-alive). What it gets must be the expected body,
//! byte for byte, and must come from the same server each time (the header `X-Proxy`): a connection that was cut,
//! stood still, or was answered by another server is broken. A slow server makes it a download that is always in
//! mid-flight; `--pause` makes it a connection that is mostly idle. With `--replace` their number stays the same: another
//! comes in the place of each that ended or broke. `--log` tells when what happened.
//!
//! SIGUSR1 sets a mark: when each connection that is open has got bytes again, twice, there is a line `went on: N`. So a
//! test that changed something need not know how long a connection may be silent. Each line of the log says when the oldest
//! connection began, so a test can wait until all that were there before a change are gone.

mod connection;
mod log;
mod tally;

use anyhow::{ensure, Context, Result};
use connection::{Connection, Own, Progress, Report, Wanted};
use log::Log;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tally::Tally;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::{mpsc, watch, Semaphore};
use tokio::task::LocalSet;
use tokio::time::{interval, sleep, MissedTickBehavior};

/// Hold HTTP connections busy until SIGTERM, then finish what is under way; exit 1 if one broke.
#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The server: ADDRESS:PORT.
    server: SocketAddr,
    /// Path of each request.
    #[arg(long, default_value = "/")]
    path: String,
    /// A file with the body that must come.
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// How many connections.
    #[arg(long, value_name = "N", default_value_t = 1)]
    connections: usize,
    /// How many are opened at the same time.
    #[arg(long, value_name = "N", default_value_t = 50)]
    burst: usize,
    /// Milliseconds between a response and the next request.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause: u64,
    /// Seconds without a byte after which a connection counts as broken.
    #[arg(long, value_name = "S", default_value_t = 20)]
    stall: u64,
    /// A silent connection counts as broken only if the others have got bytes N times each meanwhile, or none any: a slow
    /// machine breaks nothing.
    #[arg(long, value_name = "N")]
    turns: Option<u64>,
    /// Stop by itself after each connection had one response.
    #[arg(long)]
    once: bool,
    /// The clients' first address: each connection has the next one.
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// After so many addresses, begin with the first again.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    source_count: u32,
    /// Close a connection after N responses at most: each connection after another number of them, from N/2 on, so that
    /// they do not end together.
    #[arg(long, value_name = "N")]
    responses: Option<u64>,
    /// Open another in the place of each that ended or, a second later, broke.
    #[arg(long)]
    replace: bool,
    /// Write a line for each that broke, and each second one with how many there are at which server.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

impl Arguments {
    fn own(&self, place: usize, generation: u64) -> Own {
        let place = place as u32;
        let step = place % self.source_count;
        Own {
            source: self.source.map(|first| address_after(first, step)),
            responses: self.responses.map(|most| {
                let least = most.div_ceil(2).max(1);
                least + (u64::from(place) + generation) % (most + 1 - least.min(most))
            }),
        }
    }
}

/// The address so many after another.
fn address_after(first: IpAddr, step: u32) -> IpAddr {
    match first {
        IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4).wrapping_add(step)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6).wrapping_add(step.into())).into(),
    }
}

/// What a connection tells while it runs.
enum Event {
    /// The first response of a connection began, from this server. `new`: nothing was in its place before.
    Busy { server: String, new: bool },
    /// It got bytes again after this mark.
    WentOn(u64),
    /// It is over.
    Ended(Report),
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let body =
        std::fs::read(&arguments.body).with_context(|| arguments.body.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, hold(&arguments, body))
}

async fn hold(arguments: &Arguments, body: Vec<u8>) -> Result<()> {
    let wanted = Rc::new(Wanted {
        server: arguments.server,
        path: arguments.path.clone(),
        body,
        pause: Duration::from_millis(arguments.pause),
        stall: arguments.stall,
        reads: Cell::new(0),
        turns: arguments
            .turns
            .map(|turns| turns.saturating_mul(arguments.connections as u64)),
        mark: Cell::new(0),
    });
    let (stop, stopped) = watch::channel(arguments.once);
    let (events, mut inbox) = mpsc::unbounded_channel();
    let place = Place {
        wanted: Rc::clone(&wanted),
        events,
        opening: Arc::new(Semaphore::new(arguments.burst.max(1))),
        stopped,
        replace: arguments.replace,
        living: Rc::default(),
    };
    let living = Rc::clone(&place.living);
    for number in 0..arguments.connections {
        let arguments = arguments.clone();
        let own = move |generation| arguments.own(number, generation);
        tokio::task::spawn_local(place.clone().keep(number, own));
    }
    drop(place);

    let mut log = arguments.log.as_deref().map(Log::create).transpose()?;
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut marked = signal(SignalKind::user_defined1())?;
    let (mut busy, mut tally) = (0, Tally::default());
    let mut going = Going::default();
    loop {
        tokio::select! {
            event = inbox.recv() => match event {
                None => break,
                Some(Event::Busy { server, new }) => {
                    tally.opened(server);
                    busy += usize::from(new);
                    if new && busy == arguments.connections {
                        println!("busy: {busy}");
                    }
                }
                Some(Event::WentOn(mark)) => going.on(mark),
                Some(Event::Ended(report)) => {
                    going.ended(&report);
                    if let Some(log) = &mut log {
                        log.ended(&report)?;
                    }
                    tally.ended(report);
                }
            },
            _ = second.tick() => {
                if let Some(log) = &mut log {
                    let oldest = living.borrow().first().map(|(begun, _)| *begun);
                    log.sample(&tally, oldest)?;
                }
            }
            _ = marked.recv() => {
                wanted.mark.set(wanted.mark.get() + 1);
                going = Going::after(wanted.mark.get(), tally.open());
            }
            _ = terminate.recv() => { stop.send_replace(true); }
            _ = interrupt.recv() => { stop.send_replace(true); }
        }
    }
    tally.print();
    ensure!(
        tally.broken() == 0,
        "{} of {} connections broke",
        tally.broken(),
        tally.connections()
    );
    Ok(())
}

/// Which connections go on after a mark.
#[derive(Default)]
struct Going {
    mark: u64,
    /// So many have not yet.
    awaited: u64,
    went_on: u64,
}

impl Going {
    fn after(mark: u64, open: u64) -> Self {
        Self {
            mark,
            awaited: open,
            went_on: 0,
        }
    }

    fn on(&mut self, mark: u64) {
        if mark == self.mark {
            self.went_on += 1;
            self.less();
        }
    }

    /// Of one that is over nobody waits to hear.
    fn ended(&mut self, report: &Report) {
        if report.server.is_some() && report.went_on != self.mark {
            self.less();
        }
    }

    fn less(&mut self) {
        if self.awaited > 0 {
            self.awaited -= 1;
            if self.awaited == 0 {
                println!("went on: {}", self.went_on);
            }
        }
    }
}

/// What keeps one connection after the other.
#[derive(Clone)]
struct Place {
    wanted: Rc<Wanted>,
    events: mpsc::UnboundedSender<Event>,
    opening: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
    replace: bool,
    /// The connections that are open or being opened: when they began, and their places.
    living: Rc<RefCell<BTreeSet<(SystemTime, usize)>>>,
}

impl Place {
    async fn keep(self, number: usize, own: impl Fn(u64) -> Own) {
        let mut new = true;
        for generation in 0.. {
            // The permit goes when the first response begins; the semaphore is never closed.
            let permit = Arc::clone(&self.opening).acquire_owned().await;
            if generation > 0 && *self.stopped.borrow() {
                return;
            }
            let wanted = Rc::clone(&self.wanted);
            let connection = Connection::new(wanted, own(generation), self.stopped.clone());
            let events = self.events.clone();
            let mut permit = Some(permit);
            let tell = move |progress: Progress<'_>| {
                let event = match progress {
                    Progress::Busy(server) => {
                        drop(permit.take());
                        Event::Busy {
                            server: server.to_owned(),
                            new,
                        }
                    }
                    Progress::WentOn(mark) => Event::WentOn(mark),
                };
                // The receiver outlives all connections.
                let _ = events.send(event);
            };
            let alive = (SystemTime::now(), number);
            self.living.borrow_mut().insert(alive);
            let report = connection.run(tell).await;
            self.living.borrow_mut().remove(&alive);
            new &= report.server.is_none();
            let broke = report.result.is_err();
            let _ = self.events.send(Event::Ended(report));
            if !self.replace {
                return;
            }
            if broke {
                // A server that refuses is not asked again at once.
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
