// SPDX-License-Identifier: GPL-2.0

//! The reports of all connections together.

use super::connection::Report;
use std::collections::BTreeMap;

/// What became of all connections so far.
#[derive(Default)]
pub(super) struct Tally {
    connections: u64,
    broken: u64,
    responses: u64,
    bytes: u64,
    servers: BTreeMap<String, Server>,
}

/// What one server had.
#[derive(Default)]
struct Server {
    opened: u64,
    ended: u64,
}

impl Tally {
    /// Complaints that are worth a line; the rest say the same.
    const TOLD: u64 = 10;

    /// A connection got the begin of its first response.
    pub(super) fn opened(&mut self, server: String) {
        self.servers.entry(server).or_default().opened += 1;
    }

    pub(super) fn ended(&mut self, report: Report) {
        self.connections += 1;
        self.responses += report.responses;
        self.bytes += report.bytes;
        if let Some(server) = &report.server {
            self.servers.entry(server.clone()).or_default().ended += 1;
        }
        if let Err(error) = report.result {
            self.broken += 1;
            if self.broken <= Self::TOLD {
                eprintln!(
                    "glb-packets: broken after {} responses: {error:#}",
                    report.responses
                );
            }
        }
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections
    }

    pub(super) fn broken(&self) -> u64 {
        self.broken
    }

    /// Connections that are open, of each server.
    pub(super) fn servers(&self) -> impl Iterator<Item = (&str, u64)> {
        self.servers
            .iter()
            .map(|(name, server)| (name.as_str(), server.opened.saturating_sub(server.ended)))
    }

    /// How many are open, of all servers.
    pub(super) fn open(&self) -> u64 {
        self.servers().map(|(_, open)| open).sum()
    }

    pub(super) fn print(&self) {
        println!("connections: {}", self.connections);
        println!("broken: {}", self.broken);
        println!("responses: {}", self.responses);
        println!("bytes: {}", self.bytes);
        for (name, server) in &self.servers {
            println!("server {name}: {}", server.opened);
        }
    }
}
