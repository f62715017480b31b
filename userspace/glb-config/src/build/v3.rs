// SPDX-License-Identifier: GPL-2.0

//! Version 3: this project's file (docs/formats.md).

use crate::compiled::Compiled;
use crate::issue::quoted;
use glb_core::director::classify::flow::NamedClass;
use glb_core::director::select::hash::ROWS;
use glb_core::packet::addr::Addr;
use glb_core::table::v3::{
    write_classes, Checksum, Words, CHECKSUM_LEN, HEADER_LEN, MAGIC, NO_DOMAIN, VERSION,
    VERSION_WITH_CLASSES, VERSION_WITH_IDENTIFIERS, VERSION_WITH_WORDS,
};
use std::collections::HashMap;
use std::io::{self, Write};

/// Writes tables of any rule, and classes, in the binary format, version 3.
pub fn write_v3(
    tables: &[Compiled],
    classes: &[NamedClass],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut writer = WriterV3::begin(tables, classes, out)?;
    for (index, table) in tables.iter().enumerate() {
        writer.table(index, table)?;
    }
    writer.finish()
}

/// What all tables of a file say.
#[derive(Clone, Copy)]
struct Form {
    /// Where any table has words, or there are classes.
    words: bool,
    /// Where any backend has another identifier than its place.
    identifiers: bool,
}

/// Writes a file table by table: it needs to know what is before the rows of each, and never has more than one.
pub(super) struct WriterV3<'a> {
    out: &'a mut dyn Write,
    sum: Checksum,
    form: Form,
    /// What stands behind the tables.
    classes: Vec<u8>,
}

impl<'a> WriterV3<'a> {
    /// The header. Of the tables only the rows may be missing.
    pub(super) fn begin(
        tables: &[Compiled],
        classes: &[NamedClass],
        out: &'a mut dyn Write,
    ) -> io::Result<Self> {
        let has_words = tables.iter().any(|table| table.words != Words::DEFAULT);
        let identifiers = tables.iter().any(Compiled::has_identifiers);
        let version = match (classes, has_words) {
            _ if identifiers => VERSION_WITH_IDENTIFIERS,
            ([], false) => VERSION,
            ([], true) => VERSION_WITH_WORDS,
            _ => VERSION_WITH_CLASSES,
        };
        let form = Form {
            words: version != VERSION,
            identifiers,
        };
        let mut of_classes = Vec::new();
        if !classes.is_empty() {
            write_classes(classes, &mut of_classes)
                .ok_or_else(|| io::Error::other("the classes do not fit"))?;
        }
        let mut len = HEADER_LEN + CHECKSUM_LEN + of_classes.len();
        for (index, table) in tables.iter().enumerate() {
            len += head(index, table, form)?.len() + table.num_rows() * table.hops;
        }
        let count = u32::try_from(tables.len()).map_err(io::Error::other)?;
        let mut writer = Self {
            out,
            sum: Checksum::default(),
            form,
            classes: of_classes,
        };
        writer.put(&MAGIC)?;
        writer.put(&version.to_le_bytes())?;
        writer.put(&(len as u64).to_le_bytes())?;
        writer.put(&count.to_le_bytes())?;
        writer.put(&(ROWS as u32).to_le_bytes())?;
        Ok(writer)
    }

    /// The next table, with its rows.
    pub(super) fn table(&mut self, index: usize, table: &Compiled) -> io::Result<()> {
        self.put(&head(index, table, self.form)?)?;
        self.put(&table.rows)
    }

    /// The classes, and the checksum.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let classes = std::mem::take(&mut self.classes);
        self.put(&classes)?;
        self.out.write_all(&self.sum.finish().to_le_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.out.write_all(bytes)
    }
}

/// A table but for its rows.
fn head(index: usize, table: &Compiled, form: Form) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut put = || {
        put_head(&mut head, table, form)?;
        match form.words {
            true => put_words(&mut head, &table.words),
            false => Some(()),
        }
    };
    put().ok_or_else(|| {
        let table = quoted(&table.label(index));
        io::Error::other(format!("table {table}: does not fit"))
    })?;
    Ok(head)
}

/// Nothing where a count does not fit its field.
fn put_head(out: &mut Vec<u8>, table: &Compiled, form: Form) -> Option<()> {
    let mut names = Vec::new();
    let mut domains: HashMap<&str, u16> = HashMap::new();
    for backend in &table.backends {
        if let Some(name) = backend.domain.as_deref() {
            let next = u16::try_from(domains.len()).ok()?;
            if !domains.contains_key(name) {
                domains.insert(name, next);
                names.push(u8::try_from(name.len()).ok()?);
                names.extend(name.as_bytes());
            }
        }
    }
    let name = table.name.as_deref().unwrap_or("").as_bytes();
    out.push(table.version);
    out.push(u8::try_from(table.hops).ok()?);
    for count in [
        table.backends.len(),
        table.binds.len(),
        names.len(),
        name.len(),
    ] {
        out.extend(u16::try_from(count).ok()?.to_le_bytes());
    }
    out.extend([table.forward.number(), 0]);
    out.extend(table.hash_key);
    out.extend(table.seed.unwrap_or_default());
    for backend in &table.backends {
        let domain = backend.domain.as_deref().and_then(|name| domains.get(name));
        let state = backend.backend.state.number();
        let (family, addr) = family_and_addr(backend.backend.addr);
        let identifier = if form.identifiers {
            backend.identifier
        } else {
            0
        };
        let healthy = u8::from(backend.backend.healthy);
        out.extend([family, state, healthy, identifier]);
        out.extend(backend.weight.to_le_bytes());
        out.extend(domain.copied().unwrap_or(NO_DOMAIN).to_le_bytes());
        out.extend(addr);
    }
    for bind in &table.binds {
        let (family, addr) = family_and_addr(bind.addr);
        out.extend([family, bind.prefix_len, bind.proto_number(), 0]);
        out.extend(bind.port_start.to_le_bytes());
        out.extend(bind.port_end.to_le_bytes());
        out.extend(addr);
    }
    out.extend(names);
    out.extend(name);
    Some(())
}

/// The words of a table behind their length.
fn put_words(out: &mut Vec<u8>, words: &Words) -> Option<()> {
    let mut bytes: Vec<u8> = Vec::new();
    words.write(&mut |part| bytes.extend(part));
    out.extend(u16::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend(bytes);
    Some(())
}

fn family_and_addr(addr: Addr) -> (u8, [u8; 16]) {
    match addr {
        Addr::V4([a, b, c, d]) => (1, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        Addr::V6(bytes) => (2, bytes),
    }
}
