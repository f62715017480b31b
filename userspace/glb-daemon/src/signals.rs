// SPDX-License-Identifier: GPL-2.0

//! Signals, as what the world wants of a daemon.

use std::io;
use tokio::signal::unix::{signal, Signal, SignalKind};

/// What the world wants of the daemon.
#[derive(Debug, Clone, Copy)]
pub enum Wish {
    /// SIGHUP: read the files again.
    Reload,
    /// SIGTERM or SIGINT.
    End,
}

/// The signals.
#[derive(Debug)]
pub struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they no longer end the process.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.reload.recv() => Wish::Reload,
        }
    }
}
