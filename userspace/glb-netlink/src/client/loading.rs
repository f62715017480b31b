// SPDX-License-Identifier: GPL-2.0

//! Loads: tables that are sent in messages, and published at once.

use super::{put_addr, request, Glb};
use crate::error::Error;
use crate::wire::Request;
use glb_config::compiled::Compiled;
use glb_core::backend::Backend;
use glb_core::director::classify::bind::Bind;
use glb_core::director::Forward;
use glb_core::netlink::glb::{backend, bind, command, flows, load};
use glb_core::table::v3::Words;

/// Binds of one message: an attribute of 16 bits has room for more.
const BINDS_A_MESSAGE: usize = 512;
/// Words of classes of one message.
const WORDS_A_MESSAGE: usize = 15_000;
/// Bytes of rows of one message.
const ROW_BYTES_A_MESSAGE: usize = 60_000;

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
    /// Their identifiers; a backend that none stands here for has its place.
    pub identifiers: &'a [u8],
    /// What leads to it.
    pub binds: &'a [Bind],
    /// Rows of `hops` indexes of backends, one behind the other.
    pub rows: &'a [u8],
}

/// What was built from a file.
#[derive(Debug, Clone, Copy)]
pub struct Built<'a> {
    /// Its tables.
    pub tables: &'a [Compiled],
    /// The words of its classes.
    pub classes: &'a [u32],
}

impl Glb {
    /// Puts tables that were built from a file in the place of those that are loaded; otherwise as [`Self::load`].
    pub fn load_built(
        &mut self,
        built: Built<'_>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<u32, Error> {
        with_specs(built.tables, |specs| {
            self.send(specs, built.classes, progress)?.commit()
        })
    }

    /// Has the director judge tables that were built from a file as a load would, and leaves those that are loaded.
    pub fn judge_built(
        &mut self,
        built: Built<'_>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), Error> {
        with_specs(built.tables, |specs| {
            self.send(specs, built.classes, progress).map(drop)
        })
    }

    /// Puts `tables` in the place of those that are loaded, at once. `progress` is told how many have been
    /// sent. Returns the number of the load.
    pub fn load(
        &mut self,
        tables: &[TableSpec<'_>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<u32, Error> {
        self.send(tables, &[], progress)?.commit()
    }

    /// A load of all tables that only has to be published.
    fn send(
        &mut self,
        tables: &[TableSpec<'_>],
        classes: &[u32],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Loading<'_>, Error> {
        let mut loading = self.begin_with_classes(tables, classes)?;
        for (number, spec) in (1..).zip(tables) {
            loading.add(spec)?;
            progress(number);
        }
        loading.put_classes(classes)?;
        Ok(loading)
    }

    /// Begins to load tables. They are only counted here; each is to be given to [`Loading::add`].
    pub fn begin(&mut self, tables: &[TableSpec<'_>]) -> Result<Loading<'_>, Error> {
        self.begin_with_classes(tables, &[])
    }

    /// The same with words of classes, which are to be given to [`Loading::put_classes`].
    pub fn begin_with_classes(
        &mut self,
        tables: &[TableSpec<'_>],
        classes: &[u32],
    ) -> Result<Loading<'_>, Error> {
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
        // A module that has no classes knows no attribute for them.
        if !classes.is_empty() {
            request.u32(load::CLASS_WORDS, count(classes.len()));
        }
        let transaction = self.one(request, |attrs| attrs.u32(load::TRANSACTION))?;
        Ok(Loading {
            glb: self,
            transaction,
            next: 0,
        })
    }
}

/// The tables as they are sent.
fn with_specs<T>(tables: &[Compiled], send: impl FnOnce(&[TableSpec<'_>]) -> T) -> T {
    let identifiers = |table: &Compiled| table.backends.iter().map(|one| one.identifier).collect();
    let backends: Vec<(Vec<Backend>, Vec<u8>)> = tables
        .iter()
        .map(|table| (table.core_backends(), identifiers(table)))
        .collect();
    let specs: Vec<TableSpec<'_>> = tables
        .iter()
        .zip(&backends)
        .map(|(table, (backends, identifiers))| TableSpec {
            name: table.name.as_deref().unwrap_or_default(),
            hash_key: table.hash_key,
            // No file has more; the director would refuse it.
            hops: u8::try_from(table.hops).unwrap_or(u8::MAX),
            forward: table.forward,
            words: table.words,
            backends,
            identifiers,
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
        for (place, one) in spec.backends.iter().enumerate() {
            let identifier = spec.identifiers.get(place).copied();
            let other = identifier.filter(|one| usize::from(*one) != place);
            request.nest(load::BACKEND, |nest| {
                put_addr(nest, backend::ADDRESS, &one.addr);
                nest.u8(backend::STATE, one.state.number());
                nest.u8(backend::HEALTHY, u8::from(one.healthy));
                // As with the forward.
                if let Some(identifier) = other {
                    nest.u8(backend::IDENTIFIER, identifier);
                }
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

    /// Sends the words of classes.
    pub fn put_classes(&mut self, words: &[u32]) -> Result<(), Error> {
        let chunks = words.chunks(WORDS_A_MESSAGE);
        for (first, words) in (0u32..).step_by(WORDS_A_MESSAGE).zip(chunks) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let mut request = self.request(command::CLASS_SET);
            request.u32(load::FIRST_WORD, first);
            request.bytes(load::WORDS, &bytes);
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
