// SPDX-License-Identifier: GPL-2.0

//! Many HTTP connections that stay busy until they are told to stop.
//!
//! Each connection asks for the same path again and again (keep-alive). What it gets must be the expected body,
//! byte for byte, and must come from the same server each time (the header `X-Proxy`): a connection that was cut,
//! stood still, or was answered by another server is broken. A slow server makes it a download that is always in
//! mid-flight; `--pause` makes it a connection that is mostly idle.

mod connection;

use anyhow::{ensure, Context, Result};
use connection::{Connection, Wanted};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

/// Hold HTTP connections busy until SIGTERM, then finish what is under way; exit 1 if one broke.
#[derive(clap::Args)]
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
    /// Stop by itself after each connection had one response.
    #[arg(long)]
    once: bool,
}

/// What a connection tells while it runs.
enum Event {
    /// The first response began.
    Busy,
    /// It is over.
    Ended(connection::Report),
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
        stall: Duration::from_secs(arguments.stall),
    });
    let (stop, stopped) = watch::channel(arguments.once);
    let (events, mut inbox) = mpsc::unbounded_channel();
    let opening = Arc::new(tokio::sync::Semaphore::new(arguments.burst.max(1)));
    for _ in 0..arguments.connections {
        let connection = Connection::new(Rc::clone(&wanted), stopped.clone());
        let (events, opening) = (events.clone(), Arc::clone(&opening));
        tokio::task::spawn_local(async move {
            // The permit goes when the first response begins; the semaphore is never closed.
            let permit = opening.acquire_owned().await;
            let told = events.clone();
            let report = connection
                .run(move || {
                    drop(permit);
                    // The receiver outlives all connections.
                    let _ = told.send(Event::Busy);
                })
                .await;
            let _ = events.send(Event::Ended(report));
        });
    }
    drop(events);

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (mut busy, mut tally) = (0, Tally::default());
    loop {
        tokio::select! {
            event = inbox.recv() => match event {
                None => break,
                Some(Event::Busy) => {
                    busy += 1;
                    if busy == arguments.connections {
                        println!("busy: {busy}");
                    }
                }
                Some(Event::Ended(report)) => tally.add(report),
            },
            _ = terminate.recv() => { stop.send_replace(true); }
            _ = interrupt.recv() => { stop.send_replace(true); }
        }
    }
    tally.print();
    ensure!(
        tally.broken == 0,
        "{} of {} connections broke",
        tally.broken,
        tally.connections
    );
    Ok(())
}

/// The reports of all connections together.
#[derive(Default)]
struct Tally {
    connections: u64,
    broken: u64,
    responses: u64,
    bytes: u64,
    servers: BTreeMap<String, u64>,
}

impl Tally {
    /// Complaints that are worth a line; the rest say the same.
    const TOLD: u64 = 10;

    fn add(&mut self, report: connection::Report) {
        self.connections += 1;
        self.responses += report.responses;
        self.bytes += report.bytes;
        if let Err(error) = report.result {
            self.broken += 1;
            if self.broken <= Self::TOLD {
                eprintln!(
                    "glb-packets: broken after {} responses: {error:#}",
                    report.responses
                );
            }
        }
        if let Some(server) = report.server {
            *self.servers.entry(server).or_default() += 1;
        }
    }

    fn print(&self) {
        println!("connections: {}", self.connections);
        println!("broken: {}", self.broken);
        println!("responses: {}", self.responses);
        println!("bytes: {}", self.bytes);
        for (server, connections) in &self.servers {
            println!("server {server}: {connections}");
        }
    }
}
