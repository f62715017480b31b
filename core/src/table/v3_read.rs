// SPDX-License-Identifier: GPL-2.0

//! Reading the binary format, version 3 (docs/formats.md).
//!
//! As for version 2, [`File::check`] looks at everything first; what it returns borrows the bytes.
//!
//! A file in which a table has words has number 4, and is otherwise of the same form. A file with classes has number 5: its
//! tables have words, and the classes are behind them. In a file with number 6 backends have identifiers too, and there may be
//! no classes.

use super::classes;
use super::error::{Field, FileError};
use super::v3::{
    checksum, BACKEND_LEN, BIND_LEN, CHECKSUM_LEN, HEADER_LEN, MAGIC, NO_DOMAIN, TABLE_HEADER_LEN,
    VERSION, VERSION_WITH_CLASSES, VERSION_WITH_IDENTIFIERS, VERSION_WITH_WORDS,
};
use super::words::Words;
use crate::backend::{Backend, Identifiers, State, MAX_BACKENDS};
use crate::director::classify::bind::{Bind, Proto};
use crate::director::classify::flow::NamedClass;
use crate::director::reverse::services::{check_bind, OneWay};
use crate::director::select::hash::ROWS;
use crate::director::select::rows::v3::MAX_WEIGHT;
use crate::director::{Forward, ForwardKind, Misfit, Select, Unfit};
use crate::packet::addr::Addr;
use alloc::vec::Vec;

/// A file that was checked.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    tables: &'a [u8],
    form: Form,
    num_tables: u32,
    classes: Option<&'a [u8]>,
}

/// What of a file's tables is there in some versions only.
#[derive(Debug, Clone, Copy)]
struct Form {
    words: bool,
    identifiers: bool,
}

/// A table of a checked file.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// The rule that made its rows: 2 or 3.
    pub rule: u8,
    /// How its packets leave.
    pub forward: Forward,
    /// Hops of a row.
    pub hops: u8,
    /// Key of the packet hash.
    pub hash_key: &'a [u8; 16],
    /// Key of the row hash.
    pub seed: &'a [u8; 16],
    /// Its name; empty if it has none.
    pub name: &'a str,
    /// What it has beside what all tables have.
    pub words: Words,
    /// As many times `hops` indexes of backends as there are rows.
    pub rows: &'a [u8],
    backends: &'a [u8],
    binds: &'a [u8],
    domains: &'a [u8],
    /// Whether its backends say their identifiers.
    identified: bool,
}

/// A backend of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableBackend {
    /// Address, state, health.
    pub backend: Backend,
    /// Share of the rows relative to the others.
    pub weight: u16,
    /// Index of the domain's name, if it is of one.
    pub domain: Option<u16>,
    /// Its own among the table's backends.
    pub identifier: u8,
}

impl<'a> File<'a> {
    /// Checks a whole file.
    pub fn check(bytes: &'a [u8]) -> Result<Self, FileError> {
        let error = |field, value| FileError {
            table: None,
            field,
            index: None,
            value,
        };
        let length = || error(Field::Length, bytes.len() as u64);
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or_else(length)?;
        let &[m0, m1, m2, m3, v0, v1, v2, v3, l0, l1, l2, l3, l4, l5, l6, l7, n0, n1, n2, n3, e0, e1, e2, e3] =
            header;
        if [m0, m1, m2, m3] != MAGIC {
            let found = u32::from_be_bytes([m0, m1, m2, m3]);
            return Err(error(Field::Magic, u64::from(found)));
        }
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        let form = Form {
            words: version != VERSION,
            identifiers: version == VERSION_WITH_IDENTIFIERS,
        };
        if !matches!(
            version,
            VERSION | VERSION_WITH_WORDS | VERSION_WITH_CLASSES | VERSION_WITH_IDENTIFIERS
        ) {
            return Err(error(Field::Version, u64::from(version)));
        }
        let said = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        if said != bytes.len() as u64 {
            return Err(error(Field::Length, said));
        }
        let (tables, sum) = rest.split_last_chunk::<CHECKSUM_LEN>().ok_or_else(length)?;
        let (summed, _) = bytes
            .split_last_chunk::<CHECKSUM_LEN>()
            .ok_or_else(length)?;
        let sum = u64::from_le_bytes(*sum);
        if sum != checksum(summed) {
            return Err(error(Field::Checksum, sum));
        }
        let entries = u32::from_le_bytes([e0, e1, e2, e3]);
        if entries as usize != ROWS {
            return Err(error(Field::TableEntries, u64::from(entries)));
        }
        let count = u32::from_le_bytes([n0, n1, n2, n3]);
        let mut rest = tables;
        let mut forwards = Vec::new();
        for index in 0..count {
            let (table, behind) = split(rest, form).map_err(|bad| at(index, bad))?;
            check_table(&table).map_err(|bad| at(index, bad))?;
            forwards.push(table.forward);
            rest = behind;
        }
        let may_have = match version {
            VERSION_WITH_CLASSES => true,
            VERSION_WITH_IDENTIFIERS => !rest.is_empty(),
            _ => false,
        };
        let classes = may_have.then_some(rest);
        match classes {
            Some(bytes) => {
                classes::read(bytes, &forwards).map_err(|(field, index, value)| FileError {
                    index,
                    ..error(field, value)
                })?;
            }
            None if rest.is_empty() => {}
            None => return Err(error(Field::NumTables, u64::from(count))),
        }
        Ok(Self {
            tables,
            form,
            num_tables: count,
            classes,
        })
    }

    /// The tables, in the file's order.
    pub fn tables(self) -> impl Iterator<Item = Table<'a>> {
        let mut rest = self.tables;
        let mut left = self.num_tables;
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let (table, behind) = split(rest, self.form).ok()?;
            rest = behind;
            Some(table)
        })
    }

    /// The classes, in the file's order.
    #[must_use]
    pub fn classes(self) -> Vec<NamedClass> {
        let Some(bytes) = self.classes else {
            return Vec::new();
        };
        let forwards: Vec<_> = self.tables().map(|table| table.forward).collect();
        classes::read(bytes, &forwards).unwrap_or_default()
    }
}

/// Writes the classes of a file as they stand behind its tables; nothing where a count does not fit its field.
pub fn write_classes(classes: &[NamedClass], out: &mut Vec<u8>) -> Option<()> {
    classes::write(classes, out)
}

impl<'a> Table<'a> {
    /// The backends.
    pub fn backends(self) -> impl Iterator<Item = TableBackend> + 'a {
        let least = least_weight(&self.words);
        let places = (0..=u8::MAX).map(move |place| (!self.identified).then_some(place));
        let records = records::<BACKEND_LEN>(self.backends).zip(places);
        records.filter_map(move |(record, place)| backend(record, least, place).ok())
    }

    /// The binds.
    pub fn binds(self) -> impl Iterator<Item = Bind> + 'a {
        records::<BIND_LEN>(self.binds).filter_map(|record| bind(record).ok())
    }

    /// The names of the domains.
    pub fn domains(self) -> impl Iterator<Item = &'a str> {
        let mut rest = self.domains;
        core::iter::from_fn(move || {
            let (name, behind) = split_name(rest)?;
            rest = behind;
            Some(name)
        })
    }
}

/// A field, the index of what it is in, and the value that it may not have.
type Bad = (Field, Option<u32>, u64);

fn at(table: u32, (field, index, value): Bad) -> FileError {
    FileError {
        table: Some(table),
        field,
        index,
        value,
    }
}

/// The first table of the bytes, by its lengths alone, and what is behind it.
fn split(bytes: &[u8], form: Form) -> Result<(Table<'_>, &[u8]), Bad> {
    let short = || (Field::Length, None, bytes.len() as u64);
    let (header, rest) = bytes
        .split_first_chunk::<TABLE_HEADER_LEN>()
        .ok_or_else(short)?;
    let (numbers, keys) = header.split_first_chunk::<12>().ok_or_else(short)?;
    let (hash_key, keys) = keys.split_first_chunk::<16>().ok_or_else(short)?;
    let seed = keys.first_chunk::<16>().ok_or_else(short)?;
    let &[rule, hops, backends0, backends1, binds0, binds1, domains0, domains1, name0, name1, forward, reserved] =
        numbers;
    let size = |low, high| usize::from(u16::from_le_bytes([low, high]));
    if reserved != 0 {
        return Err((Field::Reserved, None, u64::from(reserved)));
    }
    let kind =
        ForwardKind::from_number(forward).ok_or((Field::Forward, None, u64::from(forward)))?;
    // Tables of version 2 are as deployed, in all forms.
    if rule != 3 && kind != ForwardKind::default() {
        return Err((Field::Forward, None, u64::from(forward)));
    }
    // No product overflows: each is of 16 bits and a small constant.
    let take = |bytes, len| -> Result<(_, _), Bad> {
        let bytes: &[u8] = bytes;
        bytes.split_at_checked(len).ok_or_else(short)
    };
    let (backends, rest) = take(rest, size(backends0, backends1).wrapping_mul(BACKEND_LEN))?;
    let (binds, rest) = take(rest, size(binds0, binds1).wrapping_mul(BIND_LEN))?;
    let (domains, rest) = take(rest, size(domains0, domains1))?;
    let (name, rest) = take(rest, size(name0, name1))?;
    let (words, rest) = match form.words {
        true => {
            let (len, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
            let (words, rest) = take(rest, usize::from(u16::from_le_bytes(*len)))?;
            (Words::read(words)?, rest)
        }
        false => (Words::DEFAULT, rest),
    };
    let forward = kind.with(words.given()).map_err(|misfit| match misfit {
        Misfit::NoDscp | Misfit::Dscp => (Field::Dscp, None, u64::from(forward)),
        Misfit::TargetPort => (Field::TargetPort, None, u64::from(forward)),
        Misfit::NoMarkOffset | Misfit::MarkOffset => (Field::MarkOffset, None, u64::from(forward)),
    })?;
    // What is too much to be counted is more than there is.
    let len = usize::from(hops).checked_mul(words.rows as usize);
    let (rows, rest) = take(rest, len.unwrap_or(usize::MAX))?;
    let name = core::str::from_utf8(name)
        .map_err(|error| (Field::Name, None, error.valid_up_to() as u64))?;
    let table = Table {
        rule,
        forward,
        hops,
        hash_key,
        seed,
        name,
        words,
        rows,
        backends,
        binds,
        domains,
        identified: form.identifiers,
    };
    Ok((table, rest))
}

fn check_table(table: &Table<'_>) -> Result<(), Bad> {
    let hops = usize::from(table.hops);
    if !matches!(table.rule, 2 | 3) {
        return Err((Field::Rule, None, u64::from(table.rule)));
    }
    let selector = table.words.selector();
    if table.rule == 2 && selector.select != Select::Rows {
        return Err((Field::Rule, None, u64::from(table.rule)));
    }
    let bad_hops = (Field::Hops, None, u64::from(table.hops));
    match selector.check(table.hops, table.forward) {
        Ok(()) => {}
        Err(Unfit::Hops) => return Err(bad_hops),
        Err(Unfit::Rows) => return Err((Field::Rows, None, u64::from(selector.rows))),
        Err(Unfit::FlowHash) => {
            let number = selector.flow_hash.number();
            return Err((Field::FlowHash, None, u64::from(number)));
        }
    }
    if table.rule == 2 && hops != 2 {
        return Err(bad_hops);
    }
    let num_backends = table.backends.len() / BACKEND_LEN;
    if num_backends == 0 || num_backends > MAX_BACKENDS {
        return Err((Field::NumBackends, None, num_backends as u64));
    }
    let mut rest = table.domains;
    let mut num_domains = 0u16;
    while !rest.is_empty() {
        let bad = (
            Field::DomainName,
            Some(u32::from(num_domains)),
            rest.len() as u64,
        );
        (_, rest) = split_name(rest).ok_or(bad)?;
        num_domains = num_domains.wrapping_add(1);
    }
    let mut index = 0u32;
    let mut identifiers = Identifiers::default();
    for record in records::<BACKEND_LEN>(table.backends) {
        let in_backend = |(field, value)| (field, Some(index), value);
        // The cast is exact: there are at most 256.
        let place = (!table.identified).then_some(index as u8);
        let backend = backend(record, least_weight(&table.words), place).map_err(in_backend)?;
        if !identifiers.add(backend.identifier) {
            let identifier = u64::from(backend.identifier);
            return Err(in_backend((Field::BackendIdentifier, identifier)));
        }
        if let Some(domain) = backend.domain.filter(|domain| *domain >= num_domains) {
            return Err(in_backend((Field::BackendDomain, u64::from(domain))));
        }
        index = index.wrapping_add(1);
    }
    index = 0;
    // Of a forward that changes no family.
    let family = table.backends.first().copied();
    let family = family.filter(|_| table.forward.kind().rewrites());
    for record in records::<BIND_LEN>(table.binds) {
        let bind = bind(record).map_err(|(field, value)| (field, Some(index), value))?;
        // Deployed directors have no such binds, and some hashes cannot take what one for all protocols brings.
        let is_taken = match bind.proto {
            None => table.rule != 2 && selector.flow_hash.takes_all_protocols(),
            Some(Proto::Sctp) => table.rule != 2,
            Some(Proto::Tcp | Proto::Udp) => true,
        };
        if !is_taken {
            return Err((
                Field::BindProto,
                Some(index),
                u64::from(bind.proto_number()),
            ));
        }
        let &[of_bind, ..] = record;
        if family.is_some_and(|family| family != of_bind) {
            return Err((Field::BindFamily, Some(index), u64::from(of_bind)));
        }
        match check_bind(table.forward, &bind) {
            Ok(()) => {}
            Err(OneWay::Prefix) => {
                let len = u64::from(bind.prefix_len);
                return Err((Field::BindPrefix, Some(index), len));
            }
            Err(OneWay::Protocols) => {
                let number = u64::from(bind.proto_number());
                return Err((Field::BindProto, Some(index), number));
            }
            Err(OneWay::Ports | OneWay::OwnPorts | OneWay::NoPort) => {
                let both = u64::from(bind.port_start) << 16 | u64::from(bind.port_end);
                return Err((Field::BindPorts, Some(index), both));
            }
        }
        index = index.wrapping_add(1);
    }
    let mut row = 0u32;
    for indexes in table.rows.chunks_exact(hops) {
        for &index in indexes {
            if usize::from(index) >= num_backends {
                return Err((Field::RowHop, Some(row), u64::from(index)));
            }
        }
        row = row.wrapping_add(1);
    }
    Ok(())
}

/// The least weight of a backend: in a Maglev table one may have none.
fn least_weight(words: &Words) -> u16 {
    match words.select {
        Select::Rows => 1,
        Select::Maglev => 0,
    }
}

/// A backend, whose identifier is its place where one is given, and stands in the record otherwise.
fn backend(
    record: &[u8; BACKEND_LEN],
    least: u16,
    place: Option<u8>,
) -> Result<TableBackend, (Field, u64)> {
    let &[family, state, health, said, w0, w1, d0, d1, ref addr @ ..] = record;
    let weight = u16::from_le_bytes([w0, w1]);
    if weight < least || weight > MAX_WEIGHT {
        return Err((Field::BackendWeight, u64::from(weight)));
    }
    let identifier = match place {
        Some(place) if said == 0 => place,
        Some(_) => return Err((Field::Reserved, u64::from(said))),
        None => said,
    };
    let state = State::from_number(state).ok_or((Field::BackendState, u64::from(state)))?;
    let healthy = match health {
        0 => false,
        1 => true,
        other => return Err((Field::BackendHealth, u64::from(other))),
    };
    let domain = u16::from_le_bytes([d0, d1]);
    Ok(TableBackend {
        backend: Backend {
            addr: address(family, addr, Field::BackendFamily, Field::BackendAddress)?,
            state,
            healthy,
        },
        weight,
        domain: (domain != NO_DOMAIN).then_some(domain),
        identifier,
    })
}

fn bind(record: &[u8; BIND_LEN]) -> Result<Bind, (Field, u64)> {
    let &[family, prefix_len, proto, reserved, s0, s1, e0, e1, ref addr @ ..] = record;
    let addr = address(family, addr, Field::BindFamily, Field::BindAddress)?;
    if prefix_len > addr.bits() {
        return Err((Field::BindPrefix, u64::from(prefix_len)));
    }
    if reserved != 0 {
        return Err((Field::BindReserved, u64::from(reserved)));
    }
    let bind = Bind {
        addr,
        prefix_len,
        proto: Bind::proto_from_number(proto).ok_or((Field::BindProto, u64::from(proto)))?,
        port_start: u16::from_le_bytes([s0, s1]),
        port_end: u16::from_le_bytes([e0, e1]),
    };
    if !bind.has_fit_ports() {
        let both = u64::from(bind.port_start) << 16 | u64::from(bind.port_end);
        return Err((Field::BindPorts, both));
    }
    Ok(bind)
}

fn address(
    family: u8,
    bytes: &[u8; 16],
    of_family: Field,
    of_addr: Field,
) -> Result<Addr, (Field, u64)> {
    match family {
        1 => {
            let &[a, b, c, d, ref rest @ ..] = bytes;
            if *rest == [0; 12] {
                Ok(Addr::V4([a, b, c, d]))
            } else {
                Err((of_addr, 1))
            }
        }
        2 => Ok(Addr::V6(*bytes)),
        other => Err((of_family, u64::from(other))),
    }
}

/// A name behind its length, and what is behind it.
fn split_name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (name, behind) = rest.split_at_checked(usize::from(len))?;
    Some((core::str::from_utf8(name).ok()?, behind))
}

fn records<const LEN: usize>(bytes: &[u8]) -> impl Iterator<Item = &[u8; LEN]> + '_ {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (record, behind) = rest.split_first_chunk::<LEN>()?;
        rest = behind;
        Some(record)
    })
}
