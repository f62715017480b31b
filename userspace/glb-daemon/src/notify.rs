// SPDX-License-Identifier: GPL-2.0

//! Reporting the daemon's state to systemd (sd_notify(3)), if it runs under systemd.

use rustix::time::{clock_gettime, ClockId};
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to systemd.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    status: String,
}

impl Notify {
    /// As the environment says.
    #[must_use]
    pub fn from_env() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(open);
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        // The variable is of use to one process only, and may have been passed on by mistake.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0);
        Self {
            watchdog: socket.as_ref().and(watchdog).map(Duration::from_micros),
            socket,
            status: String::new(),
        }
    }

    /// How often [`Self::alive`] is to be called.
    #[must_use]
    pub fn watchdog_period(&self) -> Option<Duration> {
        // Twice as often as systemd wants to hear of us.
        self.watchdog.map(|limit| limit / 2)
    }

    /// The daemon works, or has taken a changed configuration.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The daemon is taking a changed configuration.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// The daemon's main loop runs.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// A line for `systemctl status`; sent when it has changed.
    pub fn status(&mut self, status: String) {
        if self.status != status {
            self.send(&format!("STATUS={status}"));
            self.status = status;
        }
    }

    fn send(&self, message: &str) {
        if let Some((socket, to)) = &self.socket {
            // If nobody listens there is nothing that could be done about it.
            let _ = socket.send_to_addr(message.as_bytes(), to);
        }
    }
}

fn open(name: OsString) -> Option<(UnixDatagram, SocketAddr)> {
    let to = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A full queue must not stop the checks.
    socket.set_nonblocking(true).ok()?;
    Some((socket, to.ok()?))
}
