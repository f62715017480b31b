// SPDX-License-Identifier: GPL-2.0

//! The commands of the family.

use crate::error::{Error, Refusal};
use crate::names::DIRECTOR;
use crate::socket::Socket;
use crate::wire::{Attr, Attrs, Request};
use glb_config::compiled::Compiled;
use glb_core::backend::{Backend, State};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::flows::{By, Spec, Who};
use glb_core::director::{
    FlowHash, Forward, ForwardKind, Given, MarkOffset, Role, Select, Selector,
};
use glb_core::netlink::glb::{
    backend, bind, command, counter, device, features, flow, flow_list, flows, hop, load, lookup,
    stats, status, table, VERSION,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::dscp::Dscp;
use glb_core::settings::{Setting, Settings, Value};
use glb_core::table::v3::Words;
use std::num::NonZeroU16;

/// Binds of one message: an attribute of 16 bits has room for more.
const BINDS_A_MESSAGE: usize = 512;
/// Bytes of rows of one message.
const ROW_BYTES_A_MESSAGE: usize = 60_000;

/// The director of this network namespace.
pub struct Glb {
    pub(crate) socket: Socket,
}

/// A table to load.
#[derive(Debug, Clone, Copy)]
pub struct TableSpec<'a> {
    /// Its name; may be empty.
    pub name: &'a str,
    /// Key of the packet hash.
    pub hash_key: [u8; 16],
    /// Hops of a row, 2 to 31.
    pub hops: u8,
    /// How its packets leave.
    pub forward: Forward,
    /// What it has beside what all tables have.
    pub words: Words,
    /// Where it leads to.
    pub backends: &'a [Backend],
    /// What leads to it.
    pub binds: &'a [Bind],
    /// Rows of `hops` indexes of backends, one behind the other.
    pub rows: &'a [u8],
}

/// A loaded table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Its place.
    pub index: u32,
    /// Its name; may be empty.
    pub name: String,
    /// Number of the load that it came with.
    pub generation: u32,
    /// Hops of a row.
    pub hops: u8,
    /// How its packets leave.
    pub forward: Forward,
    /// What it has beside what all tables have.
    pub words: Words,
    /// Number of backends.
    pub num_backends: u32,
    /// Number of binds.
    pub num_binds: u32,
    /// The backends; empty in a list of tables.
    pub backends: Vec<BackendInfo>,
}

/// A backend of a loaded table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendInfo {
    /// Address.
    pub addr: Addr,
    /// What the operator wants of it.
    pub state: State,
    /// What the health checks found.
    pub healthy: bool,
    /// Its id, as long as its address stays in tables of this name; none where it was not shown.
    pub id: Option<u32>,
}

/// A bind of a loaded table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindInfo {
    /// Place of the table.
    pub table: u32,
    /// The bind.
    pub bind: Bind,
}

/// A hop of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HopInfo {
    /// Index of the backend.
    pub backend: u8,
    /// The backend.
    pub info: BackendInfo,
}

/// A packet to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The client.
    pub src: Addr,
    /// The client's port.
    pub src_port: u16,
    /// The bound address.
    pub dst: Addr,
    /// The bound port.
    pub dst_port: u16,
    /// Number of the protocol.
    pub proto: u8,
}

/// Where a packet would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupInfo {
    /// Place of the table.
    pub table: u32,
    /// Its name.
    pub name: String,
    /// Number of the load that it came with.
    pub generation: u32,
    /// Hash and row.
    pub hash: (u64, u32),
    /// Hash and row by the alternative fields, where there are any.
    pub alt: Option<(u64, Option<u32>)>,
    /// What of the packet selected its row.
    pub flow_hash: FlowHash,
    /// What the rows are.
    pub select: Select,
    /// How the packet leaves.
    pub forward: Forward,
    /// Whether the first hop is the flow's, which the table remembers, and not the row's.
    pub known_flow: bool,
    /// All hops that it names, first to last.
    pub hops: Vec<HopInfo>,
}

/// An attached device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Index.
    pub ifindex: u32,
    /// Name; empty if it went away.
    pub name: String,
    /// Number of its role: what it is for.
    pub role: u8,
}

impl Device {
    /// The name of its role; the number where this program knows no name.
    #[must_use]
    pub fn role_name(&self) -> String {
        role_name(self.role)
    }
}

/// The name of the role of this number; the number where this program knows no name.
#[must_use]
pub fn role_name(number: u8) -> String {
    Role::from_number(number).map_or_else(|| number.to_string(), |role| role.name().to_owned())
}

/// How much of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Number of the last load; 0 before the first.
    pub generation: u32,
    /// Tables.
    pub tables: u32,
    /// Binds of all tables.
    pub binds: u32,
    /// Different addresses of backends.
    pub next_hops: u32,
    /// Attached devices.
    pub devices: u32,
    /// Bytes that the tables take, about.
    pub memory: u64,
    /// Loads that are under way.
    pub loads: u32,
    /// Bytes set aside for them.
    pub staged: u64,
}

/// What the module can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Numbers of the forwards that tables may have.
    pub forwards: Vec<u8>,
    /// Likewise of the selects.
    pub selects: Vec<u8>,
    /// Likewise of the flow hashes of Maglev tables.
    pub flow_hashes: Vec<u8>,
    /// Likewise of the keys by which tables may remember flows.
    pub flows_by: Vec<u8>,
    /// Likewise of the roles that devices may have.
    pub roles: Vec<u8>,
    /// Most tables, and most binds of all of them; `None` if the module is too old to say.
    pub limits: Option<(u32, u32)>,
}

impl Features {
    /// Of a module that does not say.
    fn unsaid() -> Self {
        Self {
            forwards: vec![Forward::Gue.number()],
            selects: Vec::new(),
            flow_hashes: Vec::new(),
            flows_by: Vec::new(),
            roles: vec![Role::default().number()],
            limits: None,
        }
    }

    /// Whether tables may have this forward.
    #[must_use]
    pub fn knows(&self, forward: Forward) -> bool {
        self.forwards.contains(&forward.number())
    }

    /// Whether packets of tables may find their rows so. Every module has GLB's.
    #[must_use]
    pub fn selects_by(&self, selector: Selector) -> bool {
        selector.select == Select::default()
            || self.selects.contains(&selector.select.number())
                && self.flow_hashes.contains(&selector.flow_hash.number())
    }
}

/// A flow that a table remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowInfo {
    /// Whose it is.
    pub who: Who,
    /// The backend, its address and its id; nothing if it has just left.
    pub backend: Option<(Addr, u32)>,
    /// Seconds since the last packet.
    pub idle: u32,
    /// Whether a FIN or RST was seen.
    pub closing: bool,
}

/// Some of the flows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowPart {
    /// Place of the table.
    pub table: u32,
    /// Its name.
    pub name: String,
    /// Its buckets, and how many of them have been listed.
    pub buckets: (u32, u32),
    /// The flows.
    pub flows: Vec<FlowInfo>,
}

/// The counters of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStats {
    /// Place of the table.
    pub table: u32,
    /// Its name.
    pub name: String,
    /// Names and values.
    pub counters: Vec<(String, u64)>,
}

/// The counters of a backend of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendStats {
    /// Place of the table.
    pub table: u32,
    /// Its name.
    pub name: String,
    /// Address of the backend.
    pub addr: Addr,
    /// Its id, as long as its address stays in tables of this name.
    pub id: u32,
    /// Names and values.
    pub counters: Vec<(String, u64)>,
}

impl Glb {
    /// Finds the director; the kernel loads its module if it is not there and may be loaded on demand.
    /// [`Error::NoFamily`] if it is not.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open(&DIRECTOR)?,
        })
    }

    /// Finds the director. [`Error::NoFamily`] if its module is not loaded; it stays so.
    pub fn open_loaded() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open_loaded(&DIRECTOR)?,
        })
    }

    /// Puts tables that were built from a file in the place of those that are loaded; otherwise as [`Self::load`].
    pub fn load_built(
        &mut self,
        tables: &[Compiled],
        progress: &mut dyn FnMut(usize),
    ) -> Result<u32, Error> {
        with_specs(tables, |specs| self.load(specs, progress))
    }

    /// Has the director judge tables that were built from a file as a load would, and leaves those that are loaded.
    pub fn judge_built(
        &mut self,
        tables: &[Compiled],
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), Error> {
        with_specs(tables, |specs| self.send(specs, progress).map(drop))
    }

    /// Puts `tables` in the place of those that are loaded, at once. `progress` is told how many have been
    /// sent. Returns the number of the load.
    pub fn load(
        &mut self,
        tables: &[TableSpec<'_>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<u32, Error> {
        self.send(tables, progress)?.commit()
    }

    /// A load of all tables that only has to be published.
    fn send(
        &mut self,
        tables: &[TableSpec<'_>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Loading<'_>, Error> {
        let mut loading = self.begin(tables)?;
        for (number, spec) in (1..).zip(tables) {
            loading.add(spec)?;
            progress(number);
        }
        Ok(loading)
    }

    /// Begins to load tables. They are only counted here; each is to be given to [`Loading::add`].
    pub fn begin(&mut self, tables: &[TableSpec<'_>]) -> Result<Loading<'_>, Error> {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let row_bytes = tables
            .iter()
            .map(|spec| u64::from(spec.words.rows) * u64::from(spec.hops))
            .sum();
        let mut request = request(command::TABLE_BEGIN);
        request.u32(load::TABLES, count(tables.len()));
        request.u32(
            load::BINDS,
            count(tables.iter().map(|spec| spec.binds.len()).sum()),
        );
        request.uint(load::ROW_BYTES, row_bytes);
        let transaction = self.one(request, |attrs| attrs.u32(load::TRANSACTION))?;
        Ok(Loading {
            glb: self,
            transaction,
            next: 0,
        })
    }

    /// The loaded tables, without their backends.
    pub fn tables(&mut self) -> Result<Vec<TableInfo>, Error> {
        self.all(&request(command::TABLE_GET), table_info)?
            .into_iter()
            .collect()
    }

    /// A loaded table by its place, with its backends.
    pub fn table(&mut self, index: u32) -> Result<TableInfo, Error> {
        let mut request = request(command::TABLE_GET);
        request.u32(table::INDEX, index);
        self.one(request, table_info)?
    }

    /// A loaded table by its name, with its backends.
    pub fn table_named(&mut self, name: &str) -> Result<TableInfo, Error> {
        let mut request = request(command::TABLE_GET);
        request.text(table::NAME, name);
        self.one(request, table_info)?
    }

    /// The binds of a table, or of all.
    pub fn binds(&mut self, table: Option<u32>) -> Result<Vec<BindInfo>, Error> {
        let mut request = request(command::BIND_GET);
        if let Some(table) = table {
            request.u32(load::TABLE, table);
        }
        let all = self.all(&request, |attrs| {
            let bind = attrs
                .get(load::BIND)
                .and_then(|nest| bind_info(nest.nested()));
            bind.map(|bind| BindInfo {
                table: attrs.u32(load::TABLE),
                bind,
            })
        })?;
        Ok(all.into_iter().flatten().collect())
    }

    /// All rows of a table: as many as it has times its hops, indexes of backends.
    pub fn rows(&mut self, table: u32) -> Result<Vec<u8>, Error> {
        let mut request = request(command::ROW_GET);
        request.u32(lookup::TABLE, table);
        let parts = self.all(&request, |attrs| {
            attrs
                .get(lookup::ROWS)
                .map_or_else(Vec::new, |rows| rows.payload.to_vec())
        })?;
        Ok(parts.concat())
    }

    /// Where a packet would go.
    pub fn lookup(&mut self, packet: &Packet) -> Result<LookupInfo, Error> {
        let mut request = request(command::LOOKUP);
        put_addr(&mut request, lookup::DST, &packet.dst);
        put_addr(&mut request, lookup::SRC, &packet.src);
        request.u8(lookup::PROTO, packet.proto);
        request.u16(lookup::DST_PORT, packet.dst_port);
        request.u16(lookup::SRC_PORT, packet.src_port);
        self.one(request, |attrs| {
            Ok(LookupInfo {
                table: attrs.u32(lookup::TABLE),
                name: attrs.text(lookup::NAME),
                generation: attrs.u32(lookup::GENERATION),
                hash: (
                    attrs.uint(lookup::HASH),
                    row(attrs, lookup::ROW, lookup::ROW_NUMBER).unwrap_or_default(),
                ),
                alt: attrs.get(lookup::ALT_HASH).map(|hash| {
                    let row = row(attrs, lookup::ALT_ROW, lookup::ALT_ROW_NUMBER);
                    (hash.number(), row)
                }),
                select: attrs
                    .get(lookup::SELECT)
                    .map_or(Ok(Select::default()), select)?,
                flow_hash: attrs
                    .get(lookup::FLOW_HASH)
                    .map_or(Ok(FlowHash::default()), flow_hash)?,
                forward: forward(
                    attrs.get(lookup::FORWARD),
                    given(
                        [lookup::DSCP, lookup::TARGET_PORT, lookup::MARK_OFFSET]
                            .map(|name| attrs.get(name)),
                    ),
                )?,
                known_flow: attrs.u8(lookup::KNOWN_FLOW) != 0,
                hops: hops(attrs),
            })
        })?
    }

    /// The settings.
    pub fn config(&mut self) -> Result<Settings, Error> {
        self.one(request(command::CONFIG_GET), config_info)
    }

    /// Changes settings to these values, all or none; the others stay as they are.
    pub fn set_config(&mut self, changes: &[(&Setting, Value)]) -> Result<(), Error> {
        self.socket.ask(config_request(changes), |_| {})
    }

    /// Detaches a device by its name.
    pub fn detach(&mut self, name: &str) -> Result<(), Error> {
        let mut request = request(command::DETACH);
        request.text(device::IFNAME, name);
        self.socket.ask(request, |_| {})
    }

    /// The attached devices.
    pub fn devices(&mut self) -> Result<Vec<Device>, Error> {
        self.all(&request(command::DEVICE_GET), device_info)
    }

    /// The counters: names and values, in the kernel's order.
    pub fn stats(&mut self) -> Result<Vec<(String, u64)>, Error> {
        self.one(request(command::STATS_GET), counters)
    }

    /// The counters of each service; none if the module is too old to have any.
    pub fn service_stats(&mut self) -> Result<Vec<ServiceStats>, Error> {
        let said = self.all(&request(command::STATS_GET), |attrs| ServiceStats {
            table: attrs.u32(stats::TABLE),
            name: attrs.text(stats::NAME),
            counters: counters(attrs),
        });
        none_if_unknown(said)
    }

    /// The counters of each backend of each service, likewise.
    pub fn backend_stats(&mut self) -> Result<Vec<BackendStats>, Error> {
        let said = self.all(&request(command::BACKEND_STATS_GET), |attrs| BackendStats {
            table: attrs.u32(stats::TABLE),
            name: attrs.text(stats::NAME),
            addr: addr(attrs.get(stats::ADDRESS)),
            id: attrs.u32(stats::ID),
            counters: counters(attrs),
        });
        none_if_unknown(said)
    }

    /// The flows that are remembered: of a table, with a backend, or all. `each` gets them in parts, and whether the part is
    /// the first: if tables are loaded meanwhile, all come once more.
    pub fn flows(
        &mut self,
        table: Option<&str>,
        backend: Option<&Addr>,
        mut each: impl FnMut(bool, FlowPart),
    ) -> Result<(), Error> {
        let request = flow_request(command::FLOW_GET, table, backend);
        self.socket.list(&request, |first, attrs| {
            let part = FlowPart {
                table: attrs.u32(flow_list::TABLE),
                name: attrs.text(flow_list::NAME),
                buckets: (attrs.u32(flow_list::BUCKETS), attrs.u32(flow_list::DONE)),
                flows: attrs
                    .all(flow_list::FLOW)
                    .map(|nest| flow_info(nest.nested()))
                    .collect(),
            };
            each(first, part);
        })
    }

    /// Has flows forgotten: of a table, with a backend, or all. Returns how many.
    pub fn flush_flows(
        &mut self,
        table: Option<&str>,
        backend: Option<&Addr>,
    ) -> Result<u64, Error> {
        let request = flow_request(command::FLOW_FLUSH, table, backend);
        self.one(request, |attrs| attrs.uint(flow_list::FLUSHED))
    }

    /// How much of what there is.
    pub fn status(&mut self) -> Result<Status, Error> {
        self.one(request(command::STATUS_GET), |attrs| Status {
            generation: attrs.u32(status::GENERATION),
            tables: attrs.u32(status::TABLES),
            binds: attrs.u32(status::BINDS),
            next_hops: attrs.u32(status::NEXT_HOPS),
            devices: attrs.u32(status::DEVICES),
            memory: attrs.uint(status::MEMORY),
            loads: attrs.u32(status::LOADS),
            staged: attrs.uint(status::STAGED),
        })
    }

    /// What the module can.
    pub fn features(&mut self) -> Result<Features, Error> {
        let said = self.one(request(command::FEATURES_GET), |attrs| Features {
            // The casts are exact: the specification has numbers of these sizes.
            forwards: attrs
                .all(features::FORWARD)
                .map(|one| one.number() as u8)
                .collect(),
            selects: attrs
                .all(features::SELECT)
                .map(|one| one.number() as u8)
                .collect(),
            flow_hashes: attrs
                .all(features::FLOW_HASH)
                .map(|one| one.number() as u8)
                .collect(),
            flows_by: attrs
                .all(features::FLOWS_BY)
                .map(|one| one.number() as u8)
                .collect(),
            roles: roles(attrs),
            limits: Some((
                attrs.u32(features::MAX_TABLES),
                attrs.u32(features::MAX_BINDS),
            )),
        });
        match said {
            Err(Error::Refused(refusal)) if refusal.errno == Refusal::NOT_SUPPORTED => {
                Ok(Features::unsaid())
            }
            other => other,
        }
    }

    pub(crate) fn one<T>(
        &mut self,
        request: Request,
        read: impl FnMut(Attrs<'_>) -> T,
    ) -> Result<T, Error> {
        self.socket.one(request, read)
    }

    pub(crate) fn all<T>(
        &mut self,
        request: &Request,
        mut read: impl FnMut(Attrs<'_>) -> T,
    ) -> Result<Vec<T>, Error> {
        let mut answers = Vec::new();
        self.socket.list(request, |first, attrs| {
            if first {
                answers.clear();
            }
            answers.push(read(attrs));
        })?;
        Ok(answers)
    }
}

/// The tables as they are sent.
fn with_specs<T>(tables: &[Compiled], send: impl FnOnce(&[TableSpec<'_>]) -> T) -> T {
    let backends: Vec<Vec<Backend>> = tables.iter().map(Compiled::core_backends).collect();
    let specs: Vec<TableSpec<'_>> = tables
        .iter()
        .zip(&backends)
        .map(|(table, backends)| TableSpec {
            name: table.name.as_deref().unwrap_or_default(),
            hash_key: table.hash_key,
            // No file has more; the director would refuse it.
            hops: u8::try_from(table.hops).unwrap_or(u8::MAX),
            forward: table.forward,
            words: table.words,
            backends,
            binds: &table.binds,
            rows: &table.rows,
        })
        .collect();
    send(&specs)
}

/// A load that is under way. Dropping it ends it; the running tables stay.
pub struct Loading<'a> {
    glb: &'a mut Glb,
    transaction: u32,
    next: u32,
}

impl Loading<'_> {
    /// The number of the transaction.
    #[must_use]
    pub fn transaction(&self) -> u32 {
        self.transaction
    }

    /// Sends the next table.
    pub fn add(&mut self, spec: &TableSpec<'_>) -> Result<(), Error> {
        let index = self.next;
        self.next += 1;
        let mut request = self.request(command::TABLE_ADD);
        request.u32(load::TABLE, index).text(load::NAME, spec.name);
        request
            .bytes(load::HASH_KEY, &spec.hash_key)
            .u8(load::HOPS, spec.hops);
        // A module that has no other knows no attribute for it.
        if spec.forward != Forward::default() {
            request.u8(load::FORWARD, spec.forward.number());
        }
        put_words(&mut request, &spec.words);
        for one in spec.backends {
            request.nest(load::BACKEND, |nest| {
                put_addr(nest, backend::ADDRESS, &one.addr);
                nest.u8(backend::STATE, one.state.number());
                nest.u8(backend::HEALTHY, u8::from(one.healthy));
            });
        }
        self.glb.socket.ask(request, |_| {})?;
        for binds in spec.binds.chunks(BINDS_A_MESSAGE) {
            let mut request = self.request(command::BIND_ADD);
            request.u32(load::TABLE, index);
            binds.iter().for_each(|one| put_bind(&mut request, one));
            self.glb.socket.ask(request, |_| {})?;
        }
        let hops = usize::from(spec.hops).max(1);
        let rows = (ROW_BYTES_A_MESSAGE / hops).max(1);
        for (first, bytes) in (0u32..).step_by(rows).zip(spec.rows.chunks(rows * hops)) {
            let mut request = self.request(command::ROW_SET);
            request.u32(load::TABLE, index).u32(load::FIRST_ROW, first);
            request.bytes(load::ROWS, bytes);
            self.glb.socket.ask(request, |_| {})?;
        }
        Ok(())
    }

    /// Publishes the tables; returns the number of the load.
    pub fn commit(self) -> Result<u32, Error> {
        let request = self.request(command::TABLE_COMMIT);
        let generation = self.glb.one(request, |attrs| attrs.u32(load::GENERATION));
        // The kernel has ended it either way.
        std::mem::forget(self);
        generation
    }

    fn request(&self, command: u8) -> Request {
        let mut request = request(command);
        request.u32(load::TRANSACTION, self.transaction);
        request
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let request = self.request(command::TABLE_ABORT);
        // It may have been ended by the kernel already.
        let _ = self.glb.socket.ask(request, |_| {});
    }
}

/// A module that does not know a list has nothing to put into it.
fn none_if_unknown<T>(said: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match said {
        Err(Error::Refused(refusal)) if refusal.errno == Refusal::NOT_SUPPORTED => Ok(Vec::new()),
        other => other,
    }
}

pub(crate) fn request(command: u8) -> Request {
    Request::new(command, VERSION, 0)
}

/// The counters of an answer; both families have them in the same form.
pub(crate) fn counters(attrs: Attrs<'_>) -> Vec<(String, u64)> {
    let counters = attrs.all(stats::COUNTER).map(|nest| nest.nested());
    counters
        .map(|nest| (nest.text(counter::NAME), nest.uint(counter::VALUE)))
        .collect()
}

pub(crate) fn put_addr(request: &mut Request, kind: u16, addr: &Addr) {
    match addr {
        Addr::V4(bytes) => request.bytes(kind, bytes),
        Addr::V6(bytes) => request.bytes(kind, bytes),
    };
}

/// The words of a table, each where it is not the default: likewise.
fn put_words(request: &mut Request, words: &Words) {
    if words.select != Words::DEFAULT.select {
        request.u8(load::SELECT, words.select.number());
        request.u32(load::NUM_ROWS, words.rows);
    }
    if words.flow_hash != Words::DEFAULT.flow_hash {
        request.u8(load::FLOW_HASH, words.flow_hash.number());
    }
    if let Some(spec) = words.flows {
        request.nest(load::FLOWS, |nest| {
            nest.u32(flows::BUCKETS, spec.buckets);
            nest.u32(flows::TIMEOUT, spec.rules.timeout.into());
            nest.u8(flows::BY, spec.rules.by.number());
        });
    }
    if let Some(dscp) = words.dscp {
        request.u8(load::DSCP, dscp.value());
    }
    if let Some(port) = words.target_port {
        request.u16(load::TARGET_PORT, port.get());
    }
    if let Some(offset) = words.mark_offset {
        request.u32(load::MARK_OFFSET, offset.value());
    }
}

fn put_bind(request: &mut Request, one: &Bind) {
    request.nest(load::BIND, |nest| {
        put_addr(nest, bind::ADDRESS, &one.addr);
        nest.u8(bind::PREFIX_LEN, one.prefix_len);
        nest.u8(bind::PROTO, one.proto_number());
        nest.u16(bind::PORT_START, one.port_start);
        nest.u16(bind::PORT_END, one.port_end);
    });
}

pub(crate) fn addr(attr: Option<Attr<'_>>) -> Addr {
    let bytes = attr.map_or(&[][..], |attr| attr.payload);
    match (bytes.try_into(), bytes.try_into()) {
        (Ok(v4), _) => Addr::V4(v4),
        (_, Ok(v6)) => Addr::V6(v6),
        _ => Addr::V4([0; 4]),
    }
}

fn backend_info(address: Addr, state: u8, healthy: u8) -> BackendInfo {
    BackendInfo {
        addr: address,
        // Of a newer module's states the tools say what they do of one that gets nothing.
        state: State::from_number(state).unwrap_or(State::Inactive),
        healthy: healthy != 0,
        id: None,
    }
}

/// How packets leave. A module that does not say knows no other way than the first.
fn forward(kind: Option<Attr<'_>>, given: Given) -> Result<Forward, Error> {
    let Some(kind) = kind else {
        return Ok(Forward::default());
    };
    // The casts are exact: the specification has numbers of 8 bits.
    let number = kind.number() as u8;
    ForwardKind::from_number(number)
        .and_then(|kind| kind.with(given).ok())
        .ok_or(Error::Forward(number))
}

/// The parameters of a forward, as a module shows them.
fn given([dscp, target_port, mark_offset]: [Option<Attr<'_>>; 3]) -> Given {
    // The casts are exact: the specification has numbers of 8, of 16 and of 32 bits.
    Given {
        dscp: dscp.and_then(|attr| Dscp::new(attr.number() as u8)),
        target_port: target_port.and_then(|attr| NonZeroU16::new(attr.number() as u16)),
        mark_offset: mark_offset.and_then(|attr| MarkOffset::new(attr.number() as u32)),
    }
}

/// The parameters of a table's forward.
fn given_of_table(attrs: Attrs<'_>) -> Given {
    given([table::DSCP, table::TARGET_PORT, table::MARK_OFFSET].map(|name| attrs.get(name)))
}

/// The words of a table that the module shows; each that it does not is the default.
fn words(attrs: Attrs<'_>) -> Result<Words, Error> {
    let default = Words::DEFAULT;
    let Given {
        dscp,
        target_port,
        mark_offset,
    } = given_of_table(attrs);
    Ok(Words {
        select: match attrs.get(table::SELECT) {
            Some(attr) => select(attr)?,
            None => default.select,
        },
        rows: match attrs.get(table::NUM_ROWS) {
            // The cast is exact: the specification has a number of 32 bits.
            Some(attr) => attr.number() as u32,
            None => default.rows,
        },
        flow_hash: match attrs.get(table::FLOW_HASH) {
            Some(attr) => flow_hash(attr)?,
            None => default.flow_hash,
        },
        flows: match attrs.get(table::FLOWS) {
            Some(attr) => Some(flow_spec(attr.nested())?),
            None => default.flows,
        },
        dscp,
        target_port,
        mark_offset,
    })
}

fn select(attr: Attr<'_>) -> Result<Select, Error> {
    // The casts are exact: the specification has numbers of 8 bits.
    let number = attr.number() as u8;
    Select::from_number(number).ok_or(Error::Select(number))
}

fn flow_hash(attr: Attr<'_>) -> Result<FlowHash, Error> {
    let number = attr.number() as u8;
    FlowHash::from_number(number).ok_or(Error::FlowHash(number))
}

fn flow_spec(nest: Attrs<'_>) -> Result<Spec, Error> {
    let by = nest.u8(flows::BY);
    let by = By::from_number(by).ok_or(Error::FlowsBy(by))?;
    let timeout = u16::try_from(nest.u32(flows::TIMEOUT)).unwrap_or(u16::MAX);
    Spec::new(nest.u32(flows::BUCKETS), timeout, by)
        .map_err(|_| Error::Answer("flows of a table that cannot be"))
}

fn table_info(attrs: Attrs<'_>) -> Result<TableInfo, Error> {
    Ok(TableInfo {
        index: attrs.u32(table::INDEX),
        name: attrs.text(table::NAME),
        generation: attrs.u32(table::GENERATION),
        hops: attrs.u8(table::HOPS),
        forward: forward(attrs.get(table::FORWARD), given_of_table(attrs))?,
        words: words(attrs)?,
        num_backends: attrs.u32(table::NUM_BACKENDS),
        num_binds: attrs.u32(table::NUM_BINDS),
        backends: attrs
            .all(table::BACKEND)
            .map(|nest| nest.nested())
            .map(|nest| {
                let address = addr(nest.get(backend::ADDRESS));
                let (state, healthy) = (nest.u8(backend::STATE), nest.u8(backend::HEALTHY));
                BackendInfo {
                    // The cast is exact: the specification has a number of 32 bits.
                    id: nest.get(backend::ID).map(|id| id.number() as u32),
                    ..backend_info(address, state, healthy)
                }
            })
            .collect(),
    })
}

fn flow_request(command: u8, table: Option<&str>, backend: Option<&Addr>) -> Request {
    let mut request = request(command);
    if let Some(table) = table {
        request.text(flow_list::NAME, table);
    }
    if let Some(backend) = backend {
        put_addr(&mut request, flow_list::BACKEND, backend);
    }
    request
}

fn flow_info(nest: Attrs<'_>) -> FlowInfo {
    let client = nest.get(flow::SRC).map(|src| addr(Some(src)));
    let who = match (client, Proto::from_number(nest.u8(flow::PROTO))) {
        (Some(client), Some(proto)) => Who::Flow {
            proto,
            client: (client, nest.u16(flow::SRC_PORT)),
            bound: (addr(nest.get(flow::DST)), nest.u16(flow::DST_PORT)),
        },
        (Some(client), None) => Who::Client(client),
        (None, _) => {
            let bytes = nest
                .get(flow::FINGERPRINT)
                .map_or(&[][..], |one| one.payload);
            let mut number = [0; 16];
            for (to, from) in number.iter_mut().skip(4).zip(bytes) {
                *to = *from;
            }
            let number = u128::from_be_bytes(number);
            // The casts take the parts.
            Who::Fingerprint((number >> 32) as u64, number as u32)
        }
    };
    FlowInfo {
        who,
        backend: nest
            .get(flow::BACKEND)
            .map(|backend| (addr(Some(backend)), nest.u32(flow::ID))),
        idle: nest.u32(flow::IDLE),
        closing: nest.u8(flow::CLOSING) != 0,
    }
}

fn bind_info(nest: Attrs<'_>) -> Option<Bind> {
    Some(Bind {
        addr: addr(nest.get(bind::ADDRESS)),
        prefix_len: nest.u8(bind::PREFIX_LEN),
        proto: Bind::proto_from_number(nest.u8(bind::PROTO))?,
        port_start: nest.u16(bind::PORT_START),
        port_end: nest.u16(bind::PORT_END),
    })
}

/// The number of a row: of 32 bits, or of 16 where an older module shows one.
fn row(attrs: Attrs<'_>, short: u16, long: u16) -> Option<u32> {
    // The cast is exact: the specification has numbers of these sizes.
    let found = attrs.get(long).or_else(|| attrs.get(short));
    found.map(|attr| attr.number() as u32)
}

fn hops(attrs: Attrs<'_>) -> Vec<HopInfo> {
    attrs
        .all(lookup::HOP)
        .map(|nest| nest.nested())
        .map(|nest| HopInfo {
            backend: nest.u8(hop::BACKEND),
            info: backend_info(
                addr(nest.get(hop::ADDRESS)),
                nest.u8(hop::STATE),
                nest.u8(hop::HEALTHY),
            ),
        })
        .collect()
}

/// The request that makes these changes.
fn config_request(changes: &[(&Setting, Value)]) -> Request {
    let mut request = request(command::CONFIG_SET);
    for (setting, value) in changes {
        value.encode(|payload| {
            request.bytes(setting.number, payload);
        });
    }
    request
}

/// The settings of an answer. What is not in it is none, or its default.
pub(crate) fn config_info(attrs: Attrs<'_>) -> Settings {
    let mut settings = Settings::DEFAULT;
    for attr in attrs {
        if let Some(setting) = Setting::by_number(attr.kind) {
            if let Some(value) = setting.form.decode(attr.payload) {
                // The director would not have taken what is refused here.
                let _ = settings.set(setting, value);
            }
        }
    }
    settings
}

pub(crate) fn device_info(attrs: Attrs<'_>) -> Device {
    Device {
        ifindex: attrs.u32(device::IFINDEX),
        name: attrs.text(device::IFNAME),
        // A module that does not say has only this one.
        role: attrs.u8(device::ROLE),
    }
}

/// The roles that a module lists.
fn roles(attrs: Attrs<'_>) -> Vec<u8> {
    // The cast is exact: the specification has numbers of this size.
    let listed: Vec<u8> = attrs
        .all(features::ROLE)
        .map(|one| one.number() as u8)
        .collect();
    match listed.is_empty() {
        true => vec![Role::default().number()],
        false => listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages;
    use glb_core::director::select::hash::HashFields;
    use glb_core::settings::Prefixes;

    /// What the module is sent it takes by the same table, so the answer to `config-get` has the same form.
    #[test]
    fn every_setting_goes_over_netlink_and_back() {
        let mut prefixes = Prefixes::NONE;
        prefixes.add(Addr::V4([10, 0, 0, 0]), 8).unwrap();
        prefixes.add(Addr::V6([0xfd; 16]), 128).unwrap();
        for setting in Setting::ALL {
            let values = [
                Settings::DEFAULT.get(setting),
                Value::V4(Some([10, 0, 0, 1])),
                Value::V6(Some([0xfd; 16])),
                Value::Mac(Some([2; 6])),
                Value::Fields(HashFields::from_bits(9)),
                Value::Flag(true),
                Value::Flag(false),
                Value::Number(7),
                Value::Prefixes(prefixes),
            ];
            let mut tried = 0;
            for value in values {
                let mut expected = Settings::DEFAULT;
                if expected.set(setting, value).is_err() {
                    continue;
                }
                let bytes = config_request(&[(setting, value)]).finish(1, 1);
                let attrs = messages(&bytes).next().map(|message| message.attrs());
                let attrs = attrs.expect("a message");
                assert_eq!(
                    attrs.map(|attr| attr.kind).collect::<Vec<_>>(),
                    [setting.number]
                );
                assert_eq!(config_info(attrs), expected, "{}", setting.field);
                tried += 1;
            }
            assert!(tried >= 2, "{}", setting.field);
        }
    }
}
