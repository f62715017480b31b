// SPDX-License-Identifier: GPL-2.0

//! The commands of the family.

mod answers;
mod loading;

use crate::error::Error;
use crate::names::DIRECTOR;
use crate::socket::Socket;
use crate::wire::{Attrs, Request};
use glb_core::backend::State;
use glb_core::director::classify::bind::Bind;
use glb_core::director::flows::Who;
use glb_core::director::{FlowHash, Forward, Role, Select, Selector};
use glb_core::netlink::glb::{
    command, counter, device, features, flow_list, load, lookup, stats, status, table, VERSION,
};
use glb_core::packet::addr::Addr;
use glb_core::settings::{Setting, Settings, Value};
use glb_core::table::v3::Words;

use answers::{
    bind_info, flow_hash, flow_info, forward, given, hops, roles, row, select, table_info,
};

pub(crate) use answers::{addr, config_info, device_info};
pub use loading::{Built, Loading, TableSpec};

/// The director of this network namespace.
pub struct Glb {
    pub(crate) socket: Socket,
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
    /// Its own among the table's backends; none where an older module did not show it, so that it is its place.
    pub identifier: Option<u8>,
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
    /// The class that it has, by its place in the file, where not a bind has it.
    pub class: Option<u32>,
    /// Whether there are classes that look at bytes of such packets: they were not asked.
    pub wants_bytes: bool,
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
    /// Whether there are classes; nothing if the module does not say.
    pub has_classes: Option<bool>,
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
    /// Whether loads may have classes.
    pub classes: bool,
    /// Whether backends of loads may have identifiers.
    pub identifiers: bool,
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
            classes: false,
            identifiers: false,
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
                // The cast is exact: the specification has a number of 32 bits.
                class: attrs.get(lookup::CLASS).map(|class| class.number() as u32),
                wants_bytes: attrs.u8(lookup::WANTS_BYTES) != 0,
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
            has_classes: attrs
                .get(status::CLASS_WORDS)
                .map(|words| words.number() != 0),
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
            classes: attrs.u8(features::CLASSES) != 0,
            identifiers: attrs.u8(features::IDENTIFIERS) != 0,
            limits: Some((
                attrs.u32(features::MAX_TABLES),
                attrs.u32(features::MAX_BINDS),
            )),
        });
        match said {
            Err(error) if error.is_unknown() => Ok(Features::unsaid()),
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

/// A module that does not know a list has nothing to put into it.
fn none_if_unknown<T>(said: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match said {
        Err(error) if error.is_unknown() => Ok(Vec::new()),
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
