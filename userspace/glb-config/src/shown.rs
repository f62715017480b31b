// SPDX-License-Identifier: GPL-2.0

//! Reads the output of `glbctl table show --json`: tables as a director has them, without seeds and health
//! checks, and with rows only if they were requested.

use crate::compiled::{Compiled, CompiledBackend};
use crate::dead::DeadRows;
use crate::issue::{quoted, Checked};
use crate::read::{Node, Object, Reader};
use crate::tables::{bad_state, must_be, read_compat, read_forward, read_shown_flows, Rule};
use glb_core::backend::{Backend, State, MAX_BACKENDS};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::select::maglev::size::MAX_SIZE;
use glb_core::director::{FlowHash, Forward, Select, Selector};
use glb_core::packet::addr::Addr;
use glb_core::table::v2::MAX_BINDS;
use glb_core::table::v3::Words;
use serde_json::Value;

/// A table that was shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The table. It has no rows if none were shown, and a key of zeroes if the kernel was asked.
    pub table: Compiled,
    /// How many rows each backend is the first hop of; nothing if that was not shown.
    pub loads: Option<Vec<u32>>,
    /// The rows that lead to an unhealthy backend, by the rows, or as they were counted.
    pub dead_rows: Option<DeadRows>,
}

/// Whether a file's text is of this kind: an array, where a table file is an object.
#[must_use]
pub fn is_shown(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('[')
}

/// Reads and checks the text; `file` is what issues call it.
#[must_use]
pub fn read(file: &str, text: &str) -> Checked<Vec<Shown>> {
    Reader::whole(file, text, &[], |reader, tree| {
        let nodes = reader.array(tree)?;
        let tables: Vec<Option<Shown>> = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| {
                let name = node.value.get("table").and_then(Value::as_str);
                let label = name.map_or_else(|| format!("#{index}"), ToOwned::to_owned);
                reader.in_table(Some(label));
                let path = String::new();
                let table = read_table(
                    reader,
                    &Node {
                        value: node.value,
                        path,
                    },
                );
                reader.in_table(None);
                table
            })
            .collect();
        tables.into_iter().collect()
    })
}

/// What classes lead to a table is not read: they are of a file, not of its tables.
const TABLE_FIELDS: [&str; 14] = [
    "index",
    "table",
    "generation",
    "version",
    "hops",
    "select",
    "flows",
    "forward",
    "hash_key",
    "binds",
    "classes",
    "backends",
    "dead_rows",
    "rows",
];

fn read_table(reader: &mut Reader, node: &Node<'_>) -> Option<Shown> {
    let object = reader.object(node, &TABLE_FIELDS)?;
    let name = reader
        .required(&object, "table")
        .and_then(|node| reader.string(&node).map(ToOwned::to_owned));
    let version = match object.get("version") {
        Some(node) => reader.integer(&node, 2u8..=3),
        None => Some(2),
    };
    let hops = reader
        .required(&object, "hops")
        .and_then(|node| reader.integer(&node, 1u8..=31));
    let selector = read_selector(reader, &object);
    // What is shown of it is what the file has.
    let forward = match &version {
        Some(2) => read_forward(reader, &object, Some(Rule::V2)),
        _ => read_forward(reader, &object, None),
    };
    let hash_key = match object.get("hash_key") {
        Some(node) => reader.key(&node),
        None => Some([0; 16]),
    };
    let binds = reader
        .required(&object, "binds")
        .and_then(|node| read_binds(reader, &node));
    let backends = reader
        .required(&object, "backends")
        .and_then(|node| read_backends(reader, &node));
    let (name, version, hops, forward) = (name?, version?, usize::from(hops?), forward?);
    let (hash_key, binds, (backends, loads)) = (hash_key?, binds?, backends?);
    let words = Words {
        flows: read_shown_flows(reader, &object)?,
        ..Words::DEFAULT
            .with_selector(selector?)
            .with_forward(forward)
    };
    let num_rows = words.rows as usize;
    if u8::try_from(hops).is_ok_and(|hops| hops < words.selector().least_hops(forward)) {
        reader.error_at("hops", "must be a whole number from 2 to 31");
        return None;
    }
    let rows = match object.get("rows") {
        Some(node) => read_rows(reader, &node, (num_rows, hops), backends.len())?,
        None => Vec::new(),
    };
    let counted = match object.get("dead_rows") {
        Some(node) => Some(read_dead_rows(reader, &node, &backends, words.rows)?),
        None => None,
    };
    let table = Compiled {
        // `#0` is the place of one without a name.
        name: (quoted(&name) != name).then_some(name),
        version,
        forward,
        words,
        hash_key,
        seed: None,
        binds,
        backends,
        hops,
        rows,
    };
    let object_path = object.path_of("backends");
    if let Some(loads) = &loads {
        let sum: u64 = loads.iter().map(|load| u64::from(*load)).sum();
        if sum != num_rows as u64 {
            let reason = format!("their rows are {sum} in all, and must be {num_rows}");
            reader.error_at(&object_path, reason);
        } else if !table.rows.is_empty() && *loads != table.loads() {
            reader.error_at(&object_path, "their rows are not those under \"rows\"");
        }
    }
    let loads = loads.or_else(|| (!table.rows.is_empty()).then(|| table.loads()));
    let dead_rows = if table.rows.is_empty() {
        counted
    } else {
        DeadRows::of(&table)
    };
    // Whoever shows the rows of backends counts the dead ones from the same.
    let unhealthy: Option<u32> = loads.as_ref().map(|loads| {
        let bad = table.backends.iter().zip(loads);
        let bad = bad.filter(|(one, _)| !one.backend.healthy);
        bad.fold(0, |sum: u32, (_, load)| sum.saturating_add(*load))
    });
    if let (Some(counted), Some(sum)) = (counted, unhealthy) {
        if counted.first_hop != sum {
            let reason = format!("their first hops are {sum} by the rows of the backends");
            reader.error_at(&object.path_of("dead_rows"), reason);
        }
    }
    Some(Shown {
        table,
        loads,
        dead_rows,
    })
}

/// How packets find their rows: GLB's, where nothing else was shown.
fn read_selector(reader: &mut Reader, object: &Object<'_>) -> Option<Selector> {
    let Some(node) = object.get("select") else {
        return Some(Selector::GLB);
    };
    let fields = reader.object(&node, &["kind", "size", "compat"])?;
    let kind = reader.required(&fields, "kind").and_then(|node| {
        let kind = Select::from_name(reader.string(&node)?);
        if kind.is_none() {
            reader.error(&node, must_be(Select::ALL.iter().map(|one| one.name())));
        }
        kind
    });
    let size = reader
        .required(&fields, "size")
        .and_then(|node| reader.integer(&node, 1u32..=MAX_SIZE));
    let flow_hash = match fields.get("compat") {
        Some(node) => read_compat(reader, &node),
        None => Some(FlowHash::Own),
    };
    let selector = Selector {
        select: kind?,
        rows: size?,
        flow_hash: flow_hash?,
    };
    // Two hops go with every forward; one is looked at where the forward is known.
    if selector.check(2, Forward::default()).is_err() {
        reader.error_at(&node.path, "is of no table");
        return None;
    }
    Some(selector)
}

fn read_binds(reader: &mut Reader, node: &Node<'_>) -> Option<Vec<Bind>> {
    let items = reader.array(node)?;
    if items.len() > MAX_BINDS {
        reader.error_at(&node.path, format!("at most {MAX_BINDS} binds"));
    }
    let read = |item: &Node<'_>| {
        let text = reader.string(item)?;
        let bind = bind(text);
        if bind.is_none() {
            let reason = "must be as in \"tcp 192.0.2.0/24 port 80-90\" or \"any 192.0.2.0/24\"";
            reader.error(item, reason);
        }
        bind
    };
    let binds: Vec<_> = items.iter().map(read).collect();
    binds.into_iter().collect()
}

/// A bind as people write it.
fn bind(text: &str) -> Option<Bind> {
    let words: Vec<&str> = text.split(' ').collect();
    let (proto, prefix, ports) = match *words.as_slice() {
        ["any", prefix] => (None, prefix, "0-65535"),
        [proto, prefix, "port", ports] => (Some(Proto::from_name(proto)?), prefix, ports),
        _ => return None,
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let (addr, len) = match prefix.split_once('/') {
        Some((addr, len)) => (addr, Some(number(len)?)),
        None => (prefix, None),
    };
    let addr: Addr = crate::read::core_addr(addr.parse().ok()?);
    let (start, end) = ports.split_once('-').unwrap_or((ports, ports));
    let (start, end) = (number(start)?, number(end)?);
    let len = len.unwrap_or(u16::from(addr.bits()));
    (start <= end && len <= u16::from(addr.bits())).then_some(Bind {
        addr,
        prefix_len: u8::try_from(len).ok()?,
        proto,
        port_start: start,
        port_end: end,
    })
}

fn read_dead_rows(
    reader: &mut Reader,
    node: &Node<'_>,
    backends: &[CompiledBackend],
    rows: u32,
) -> Option<DeadRows> {
    let object = reader.object(node, &["first_hop", "all_hops", "percent", "what_to_do"])?;
    let mut count = |name| {
        let node = reader.required(&object, name)?;
        reader.integer(&node, 0u32..=MAX_SIZE)
    };
    let (first_hop, all_hops) = (count("first_hop")?, count("all_hops")?);
    let backends: Vec<Backend> = backends.iter().map(|one| one.backend).collect();
    Some(DeadRows::counted(&backends, rows, first_hop, all_hops))
}

const BACKEND_FIELDS: [&str; 10] = [
    "index",
    "ip",
    "state",
    "healthy",
    "weight",
    "domain",
    "rows",
    "id",
    "identifier",
    "mark",
];

type Backends = (Vec<CompiledBackend>, Option<Vec<u32>>);

fn read_backends(reader: &mut Reader, node: &Node<'_>) -> Option<Backends> {
    let items = reader.array(node)?;
    if !(1..=MAX_BACKENDS).contains(&items.len()) {
        let reason = format!("must be 1 to {MAX_BACKENDS}");
        reader.error_at(&node.path, reason);
        return None;
    }
    let mut all = Vec::new();
    let mut loads = Vec::new();
    for (item, place) in items.iter().zip(0..=u8::MAX) {
        let one = reader
            .object(item, &BACKEND_FIELDS)
            .and_then(|object| read_backend(reader, &object, place));
        if let Some((_, load)) = &one {
            loads.extend(*load);
        }
        all.push(one.map(|(backend, _)| backend));
    }
    let loads = (loads.len() == items.len()).then_some(loads);
    Some((all.into_iter().collect::<Option<_>>()?, loads))
}

fn read_backend(
    reader: &mut Reader,
    object: &Object<'_>,
    place: u8,
) -> Option<(CompiledBackend, Option<u32>)> {
    let addr = reader
        .required(object, "ip")
        .and_then(|node| reader.addr(&node));
    let state = reader.required(object, "state").and_then(|node| {
        let state = State::from_name(reader.string(&node)?);
        if state.is_none() {
            reader.error(&node, bad_state());
        }
        state
    });
    let healthy = reader
        .required(object, "healthy")
        .and_then(|node| reader.boolean(&node));
    let weight = match object.get("weight") {
        Some(node) => reader.integer(
            &node,
            0u16..=glb_core::director::select::rows::v3::MAX_WEIGHT,
        ),
        None => Some(1),
    };
    let domain = match object.get("domain") {
        Some(node) => reader.string(&node).map(|text| Some(text.to_owned())),
        None => Some(None),
    };
    let identifier = match object.get("identifier") {
        Some(node) => reader.integer(&node, 0..=u8::MAX),
        None => Some(place),
    };
    let load = match object.get("rows") {
        Some(node) => reader.integer(&node, 0u32..=MAX_SIZE).map(Some),
        None => Some(None),
    };
    let backend = Backend {
        addr: addr?,
        state: state?,
        healthy: healthy?,
    };
    let backend = CompiledBackend {
        backend,
        weight: weight?,
        domain: domain?,
        identifier: identifier?,
    };
    Some((backend, load?))
}

fn read_rows(
    reader: &mut Reader,
    node: &Node<'_>,
    (num_rows, hops): (usize, usize),
    backends: usize,
) -> Option<Vec<u8>> {
    let items = node.value.as_array();
    let Some(items) = items.filter(|items| items.len() == num_rows) else {
        reader.error_at(&node.path, format!("must be {num_rows} rows"));
        return None;
    };
    let mut rows = Vec::with_capacity(num_rows * hops);
    for (index, item) in items.iter().enumerate() {
        // A row of one hop is the index alone.
        let row = match item {
            Value::Array(row) if hops > 1 => Some(&row[..]),
            index if hops == 1 => Some(std::slice::from_ref(index)),
            _ => None,
        };
        let row = row.filter(|row| row.len() == hops);
        let hop = |value: &Value| {
            let index = value.as_u64().filter(|index| *index < backends as u64)?;
            u8::try_from(index).ok()
        };
        let row: Option<Vec<u8>> = row.and_then(|row| row.iter().map(hop).collect());
        let Some(row) = row else {
            let reason = match hops {
                1 => "must be the index of a backend".to_owned(),
                _ => format!("must be {hops} indexes of backends"),
            };
            reader.error_at(&format!("{}[{index}]", node.path), reason);
            return None;
        };
        rows.extend(row);
    }
    Some(rows)
}
