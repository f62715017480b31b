// SPDX-License-Identifier: GPL-2.0

//! A director in user space, for tests.
//!
//! ```text
//! TUN device (route the VIPs to it) -> encap: GUE with the hops of the moment -> raw socket
//! ```
//!
//! It has one row, its list of hops, and that list is what a test changes while packets are on their way: each
//! packet gets the old list or the new one, whole.

mod encap;
mod sender;

use crate::tunnel::{self, Hops, Source};
use anyhow::{bail, Context, Result};
use encap::Encapsulator;
use sender::Sender;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;
use tappers::{Interface, Tun};

/// How long a changed file of hops may go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Send what arrives on a TUN device to proxies, as GUE, until SIGTERM; then print counters.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The TUN device, made here and gone with the program.
    #[arg(long, value_name = "NAME", default_value = "glb0")]
    tun: String,
    /// Outer source for IPv4 hops.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "source6")]
    source: Option<Ipv4Addr>,
    /// Outer source for IPv6 hops.
    #[arg(long, value_name = "ADDRESS")]
    source6: Option<Ipv6Addr>,
    /// The proxies, first choice first.
    #[arg(
        long,
        value_name = "ADDRESS,...",
        value_delimiter = ',',
        required_unless_present = "hops_file"
    )]
    hops: Vec<IpAddr>,
    /// A file with the proxies, looked at again and again; replace it by renaming another one over it.
    #[arg(long, value_name = "FILE", conflicts_with = "hops")]
    hops_file: Option<PathBuf>,
    /// UDP destination port.
    #[arg(long, value_name = "PORT", default_value_t = glb_core::packet::gue::PORT)]
    port: u16,
    /// Fill the outer UDP checksum in (deployed directors send 0: none).
    #[arg(long)]
    udp_checksum: bool,
}

impl Arguments {
    /// The outer source that goes with `hops`.
    fn source_for(&self, hops: &Hops) -> Result<Source> {
        match (hops.is_ipv6(), self.source, self.source6) {
            (false, Some(source), _) => Ok(Source::V4(source.octets())),
            (true, _, Some(source)) => Ok(Source::V6(source.octets())),
            (false, None, _) => bail!("IPv4 hops need --source"),
            (true, _, None) => bail!("IPv6 hops need --source6"),
        }
    }
}

/// What became of the packets that were read.
#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
    not_understood: AtomicU64,
    send_errors: AtomicU64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        writeln!(f, "director_received: {}", line(&self.received))?;
        writeln!(f, "director_sent: {}", line(&self.sent))?;
        writeln!(f, "director_not_understood: {}", line(&self.not_understood))?;
        write!(f, "director_send_errors: {}", line(&self.send_errors))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let hops = match &arguments.hops_file {
        Some(path) => tunnel::read(path)?,
        None => Hops::new(&arguments.hops)?,
    };
    let current = Arc::new(RwLock::new(Encapsulator::new(
        arguments.source_for(&hops)?,
        hops,
        arguments.port,
        arguments.udp_checksum,
    )));
    let counters = Arc::new(Counters::default());
    let mut signals = Signals::new([SIGINT, SIGTERM])?;

    let name = Interface::new(&arguments.tun).context("--tun")?;
    let mut tun = Tun::new_named(name).context("cannot make the TUN device")?;
    tun.set_up().context("cannot set the TUN device up")?;
    let sender = Sender::new(arguments.source.is_some(), arguments.source6.is_some())?;

    thread::spawn({
        let (current, counters) = (Arc::clone(&current), Arc::clone(&counters));
        move || pump(&tun, &sender, &current, &counters)
    });
    println!("ready: {}", current.read().expect("no thread panics").hops);

    let Some(path) = &arguments.hops_file else {
        signals.forever().next();
        println!("{counters}");
        return Ok(());
    };
    let mut complaint = String::new();
    while signals.pending().next().is_none() {
        // Between two looks.
        thread::sleep(LOOK_AGAIN);
        match tunnel::read(path).and_then(|hops| Ok((arguments.source_for(&hops)?, hops))) {
            Ok((source, hops)) if hops != current.read().expect("no thread panics").hops => {
                println!("hops: {hops}");
                let next = Encapsulator::new(source, hops, arguments.port, arguments.udp_checksum);
                *current.write().expect("no thread panics") = next;
            }
            Ok(_) => complaint.clear(),
            // Once is enough; the old list stays.
            Err(error) if error.to_string() != complaint => {
                eprintln!("glb-packets: {error:#}");
                complaint = error.to_string();
            }
            Err(_) => {}
        }
    }
    println!("{counters}");
    Ok(())
}

/// Moves packets from the device to the sockets, for ever.
fn pump(tun: &Tun, sender: &Sender, current: &RwLock<Encapsulator>, counters: &Counters) {
    let mut packet = vec![0; 1 << 16];
    let mut out = Vec::with_capacity(1 << 16);
    while let Ok(len) = tun.recv(&mut packet) {
        counters.received.fetch_add(1, Ordering::Relaxed);
        let encapsulator = current.read().expect("no thread panics");
        let counter = match encapsulator.encapsulate(&packet[..len], &mut out) {
            None => &counters.not_understood,
            Some(()) => match sender.send(&out, encapsulator.hops.first()) {
                Ok(()) => &counters.sent,
                Err(_) => &counters.send_errors,
            },
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
