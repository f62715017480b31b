// SPDX-License-Identifier: GPL-2.0

//! What `glbctl redirect flows` says.

use super::source::Source;
use super::Dependent;
use crate::output::grouped;
use crate::text::addr as addr_text;
use glb_config::flows::{ends, Census, Counted, Found, Listed, Own};
use glb_config::quoted;
use glb_core::backend::State;
use glb_core::packet::addr::Addr;
use glb_netlink::sock_diag::Sockets;
use serde::Serialize;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

#[derive(Default, Serialize)]
pub(super) struct Report {
    /// No connection depends on second chance, none comes first to a proxy that leaves, and all are known.
    safe: bool,
    /// By which table it is so.
    by: String,
    /// Why there may be connections that were not counted.
    unknown: Vec<String>,
    /// Connections whose first hop is another proxy, and those of them whose packets do not reach this one.
    dependent: u64,
    unreachable: u64,
    /// Connections that come to this proxy first, of tables that have it draining, inactive or failed.
    leaving: u64,
    /// Connections from this machine to a VIP of its own, which pass no director.
    local: u64,
    tables: Vec<TableView>,
    /// Connections of addresses and ports that no table has.
    outside: Vec<OutsideView>,
    /// The network namespaces whose connections were counted beside the own one.
    netns: Vec<String>,
    /// What was assumed, and what else there is to know.
    notes: Vec<String>,
    /// The connections that depend on second chance, if they are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Vec<ConnectionView>>,
}

#[derive(Serialize)]
struct TableView {
    table: String,
    /// This proxy; nothing where the table does not have it.
    backend: Option<String>,
    state: Option<&'static str>,
    connections: u64,
    /// Those whose first hop it is.
    first: u64,
    dependent: u64,
    unreachable: u64,
    first_hops: Vec<HopView>,
}

#[derive(Serialize)]
struct HopView {
    ip: String,
    connections: u64,
    unreachable: u64,
}

#[derive(Serialize)]
struct OutsideView {
    vip: String,
    connections: u64,
}

#[derive(Serialize)]
struct ConnectionView {
    client: String,
    vip: String,
    state: &'static str,
    table: String,
    row: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt_row: Option<u32>,
    first_hop: String,
    /// Whether its packets reach this proxy.
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<String>,
}

fn socket(addr: Addr, port: u16) -> String {
    let ip: IpAddr = match addr {
        Addr::V4(bytes) => bytes.into(),
        Addr::V6(bytes) => bytes.into(),
    };
    SocketAddr::from((ip, port)).to_string()
}

fn plural(count: u64) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} connection{s}", grouped(count))
}

/// Connections that no table has are none that are known not to matter.
pub(crate) fn not_in_a_table(count: u64) -> Option<String> {
    let verb = if count == 1 { "is" } else { "are" };
    (count > 0).then(|| {
        let count = plural(count);
        format!("{count} {verb} not in the table; name ports whose connections come without a director (direct)")
    })
}

impl Report {
    pub(super) fn list(&mut self, tables: &[Listed], one: &Dependent<'_>) {
        let flow = one.connection.flow;
        let (client, vip) = ends(&flow);
        let view = ConnectionView {
            client: socket(client, flow.src_port),
            vip: socket(vip, flow.dst_port),
            state: one.connection.state.name(),
            table: tables[one.way.table].label.clone(),
            row: one.way.row,
            alt_row: one.way.alt_row,
            first_hop: addr_text(one.first_hop),
            reachable: one.found != Found::Never,
            netns: Some(one.netns)
                .filter(|name| !name.is_empty())
                .map(ToOwned::to_owned),
        };
        self.connections.get_or_insert_default().push(view);
    }

    pub(super) fn finish(&mut self, tables: &[Listed], census: &Census<'_>, list: bool) {
        let all = census.dependent();
        self.leaving = census.leaving();
        (self.dependent, self.unreachable) = (all.connections, all.unreachable);
        self.local = census.local;
        let counted = tables.iter().zip(&census.tables).zip(census.own());
        self.tables = counted
            .map(|((table, counted), own)| TableView::new(table, counted, own.as_ref()))
            .filter(|view| view.backend.is_some() || view.connections > 0)
            .collect();
        let outside = census.outside.iter();
        self.outside = outside
            .map(|((addr, port), count)| OutsideView {
                vip: socket(*addr, *port),
                connections: *count,
            })
            .collect();
        if list {
            self.connections.get_or_insert_default();
        }
    }

    /// Whether it is safe, if nothing else is to be feared than this.
    pub(super) fn judge(&mut self, by: String, unseen: Vec<String>) {
        self.by = by;
        let outside = self.outside.iter().map(|one| one.connections).sum();
        self.unknown.extend(not_in_a_table(outside));
        self.unknown.extend(unseen);
        self.safe = self.dependent == 0 && self.leaving == 0 && self.unknown.is_empty();
    }

    pub(super) fn notes(&mut self, source: &Source, sockets: &Sockets) {
        let names = sockets.names().filter(|name| !name.is_empty());
        self.netns = names.map(ToOwned::to_owned).collect();
        let assumed = source.assumed().iter();
        self.notes.extend(assumed.map(|table| {
            let table = quoted(table);
            format!("table {table}: nothing is said of health: all backends are taken for healthy")
        }));
        for view in self.tables.iter().filter(|view| view.unreachable > 0) {
            let (table, lost) = (quoted(&view.table), plural(view.unreachable));
            let why = match (&view.backend, view.state) {
                (None, _) => "does not have this proxy".to_owned(),
                (Some(ip), Some(state)) if state == State::Inactive.name() => {
                    format!("has {ip} inactive, in no row")
                }
                (Some(ip), _) => format!("does not have {ip} in their rows"),
            };
            self.notes.push(format!(
                "table {table} {why}: with this table, packets of {lost} do not reach it"
            ));
        }
    }

    pub(super) fn is_safe(&self) -> bool {
        self.safe
    }

    pub(super) fn progress(&self) -> String {
        let (mut parts, s) = (Vec::new(), |count| if count == 1 { "s" } else { "" });
        let none_else = self.leaving == 0 && self.unknown.is_empty();
        if self.dependent > 0 || none_else {
            let (count, s) = (plural(self.dependent), s(self.dependent));
            parts.push(format!("{count} depend{s} on second chance"));
        }
        if self.leaving > 0 {
            let (count, s) = (plural(self.leaving), s(self.leaving));
            parts.push(format!("{count} come{s} first to this proxy, which leaves"));
        }
        if parts.is_empty() {
            return format!("unknown: {}", self.unknown.join("; "));
        }
        parts.join(", ")
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for one in self.connections.iter().flatten() {
            one.write(out)?;
        }
        let (some, none): (Vec<&TableView>, Vec<&TableView>) =
            self.tables.iter().partition(|view| view.connections > 0);
        for view in some {
            view.write(out)?;
        }
        for view in &none {
            let (table, state) = (quoted(&view.table), view.state.unwrap_or_default());
            let backend = view.backend.as_deref().unwrap_or_default();
            writeln!(out, "table {table}: {backend} ({state}), no connections")?;
        }
        for one in &self.outside {
            let count = plural(one.connections);
            writeln!(
                out,
                "not counted: {count} to {}, which no table has",
                one.vip
            )?;
        }
        if self.local > 0 {
            let count = plural(self.local);
            writeln!(out, "not counted: {count} from this machine itself")?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        if self.safe {
            return writeln!(out, "0 left by {}: safe to go on", self.by);
        }
        if self.dependent == 0 && self.leaving == 0 {
            return writeln!(out, "{}", self.progress());
        }
        for one in &self.unknown {
            writeln!(out, "unknown: {one}")?;
        }
        writeln!(out, "{}: not yet", self.progress())
    }
}

impl TableView {
    fn new(table: &Listed, counted: &Counted, own: Option<&Own>) -> Self {
        let all = counted.dependent();
        let hops = counted.others.iter().map(|(addr, of)| HopView {
            ip: addr_text(*addr),
            connections: of.connections,
            unreachable: of.unreachable,
        });
        Self {
            table: table.label.clone(),
            backend: own.map(|own| addr_text(own.addr)),
            state: own.map(|own| own.state.name()),
            connections: counted.first + all.connections,
            first: counted.first,
            dependent: all.connections,
            unreachable: all.unreachable,
            first_hops: hops.collect(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (table, count) = (quoted(&self.table), plural(self.connections));
        match (&self.backend, self.state) {
            (Some(ip), Some(state)) => writeln!(out, "table {table}: {ip} ({state}), {count}")?,
            _ => writeln!(out, "table {table}: none of its backends, {count}")?,
        }
        writeln!(out, "  {:<39}  connections", "first hop")?;
        if let Some(ip) = &self.backend {
            writeln!(out, "  {ip:<39}  {}, this proxy", grouped(self.first))?;
        }
        for hop in &self.first_hops {
            write!(out, "  {:<39}  {}", hop.ip, grouped(hop.connections))?;
            if hop.unreachable > 0 {
                write!(out, ", {} of them unreachable", grouped(hop.unreachable))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

impl ConnectionView {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (client, vip, state) = (&self.client, &self.vip, self.state);
        let table = quoted(&self.table);
        write!(
            out,
            "{client} -> {vip}  {state}  table {table} row {:#06x}",
            self.row
        )?;
        if let Some(row) = self.alt_row {
            write!(out, " or {row:#06x}")?;
        }
        write!(out, "  first hop {}", self.first_hop)?;
        if !self.reachable {
            write!(out, "  unreachable")?;
        }
        if let Some(netns) = &self.netns {
            write!(out, "  in {netns}")?;
        }
        writeln!(out)
    }
}
