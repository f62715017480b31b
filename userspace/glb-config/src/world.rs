// SPDX-License-Identifier: GPL-2.0

//! Compiled tables as what the core decides on: where a director with these tables would send a packet.

use crate::compiled::{Compiled, CompiledBackend};
use glb_core::director::classify::bind::{
    build, words_needed, Bind, BindId, Classifier, Entry, Proto,
};
use glb_core::director::classify::flow::Classes;
use glb_core::director::{Addresses, Forward, Selector, World};
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::fragments::{FragmentTable, TICK_MS};
use glb_core::packet::ip::{Addrs, Fragment};
use glb_core::siphash::SipKey;
use std::borrow::Cow;

/// A table as packets need it.
pub struct Table<'a> {
    compiled: Cow<'a, Compiled>,
    key: SipKey,
    /// Addresses of the backends, by their index, if they are IPv4.
    v4: Vec<[u8; 4]>,
    /// If they are IPv6.
    v6: Vec<[u8; 16]>,
}

impl<'a> Table<'a> {
    fn new(compiled: Cow<'a, Compiled>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for one in &compiled.backends {
            match one.backend.addr {
                Addr::V4(addr) => v4.push(addr),
                Addr::V6(addr) => v6.push(addr),
            }
        }
        Self {
            key: SipKey::new(&compiled.hash_key),
            compiled,
            v4,
            v6,
        }
    }
}

/// Tables, and what first fragments left for the later ones.
pub struct Tables<'a> {
    /// By the indexes that the classifier has; those that nobody asks for may be missing.
    tables: Vec<Option<Table<'a>>>,
    words: Cow<'a, [u32]>,
    /// Words of compiled classes.
    classes: Cow<'a, [u32]>,
    fragments: FragmentTable,
    /// Where classes of first fragments led, and which had none.
    services: FragmentTable,
    /// The time of the packet, in ticks of the fragment table.
    now: u8,
}

impl<'a> Tables<'a> {
    /// These tables by their indexes, whose binds are in `words` ([`classifier`]).
    pub fn new(
        tables: impl IntoIterator<Item = Option<Cow<'a, Compiled>>>,
        words: impl Into<Cow<'a, [u32]>>,
    ) -> Self {
        Self {
            tables: tables.into_iter().map(|one| one.map(Table::new)).collect(),
            words: words.into(),
            classes: Cow::Borrowed(&[]),
            // Its key is no secret here: nobody sends packets to a file.
            fragments: FragmentTable::new(&[0; 16]),
            // Another one, as in the module, so that the two forget apart.
            services: FragmentTable::new(&[1; 16]),
            now: 0,
        }
    }

    /// The same with these compiled classes.
    #[must_use]
    pub fn with_classes(self, words: impl Into<Cow<'a, [u32]>>) -> Self {
        Self {
            classes: words.into(),
            ..self
        }
    }

    /// The time of the packets that follow, which may wrap.
    pub fn now(&mut self, milliseconds: u64) {
        // The clock of the fragment table wraps.
        self.now = (milliseconds / u64::from(TICK_MS)) as u8;
    }

    /// The bind that packets to this address and port belong to.
    #[must_use]
    pub fn bind(&self, dst: Addr, proto: Proto, port: u16) -> Option<BindId> {
        Classifier::new(&self.words).lookup(dst, proto, port)
    }

    /// Whether the table at this place is there.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.tables.get(index).is_some_and(Option::is_some)
    }

    /// Indexes of the backends of a row of the table, whatever its select.
    #[must_use]
    pub fn any_row<'w>(&'w self, table: &'w Table<'a>, row: u32) -> &'w [u8] {
        table.compiled.row(row)
    }

    /// Puts a table in its place.
    pub fn put(&mut self, index: usize, compiled: Cow<'a, Compiled>) {
        if let Some(place) = self.tables.get_mut(index) {
            *place = Some(Table::new(compiled));
        }
    }
}

impl<'a> World for Tables<'a> {
    type Table = Table<'a>;
    type Hop = CompiledBackend;

    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Table<'a>> {
        let bind = self.bind(dst, proto, port)?;
        self.tables.get(usize::from(bind.table))?.as_ref()
    }

    fn by_addr(&self, dst: Addr) -> Option<&Table<'a>> {
        let bind = Classifier::new(&self.words).lookup_addr(dst)?;
        self.tables.get(usize::from(bind.table))?.as_ref()
    }

    fn by_proto(&self, dst: Addr, proto: Proto) -> Option<&Table<'a>> {
        let bind = Classifier::new(&self.words).lookup_proto(dst, proto)?;
        self.tables.get(usize::from(bind.table))?.as_ref()
    }

    fn by_all(&self, dst: Addr) -> Option<&Table<'a>> {
        let bind = Classifier::new(&self.words).lookup_all(dst)?;
        self.tables.get(usize::from(bind.table))?.as_ref()
    }

    fn classes(&self) -> Classes<'_> {
        Classes::new(&self.classes).unwrap_or(Classes::NONE)
    }

    fn service(&self, service: u16) -> Option<&Table<'a>> {
        self.tables.get(usize::from(service))?.as_ref()
    }

    fn forward(table: &Table<'a>) -> Forward {
        table.compiled.forward
    }

    fn hash_key<'w>(&'w self, table: &'w Table<'a>) -> &'w SipKey {
        &table.key
    }

    fn row<'w>(&'w self, table: &'w Table<'a>, row: u16) -> &'w [u8] {
        match table.compiled.is_maglev() {
            true => &[],
            false => table.compiled.row(row.into()),
        }
    }

    fn selector(&self, table: &Table<'a>) -> Option<Selector> {
        let compiled = &table.compiled;
        compiled.is_maglev().then(|| compiled.selector())
    }

    fn numbered_row<'w>(&'w self, table: &'w Table<'a>, row: u32) -> &'w [u8] {
        table.compiled.row(row)
    }

    fn hop<'w>(&'w self, table: &'w Table<'a>, backend: u8) -> Option<&'w CompiledBackend> {
        table.compiled.backends.get(usize::from(backend))
    }

    fn addresses<'t>(table: &'t Table<'a>) -> Addresses<'t> {
        match table.v6.is_empty() {
            true => Addresses::V4(&table.v4),
            false => Addresses::V6(&table.v6),
        }
    }

    fn remember(&self, key: &FlowKey, fragment: Fragment) {
        self.fragments.record_ports(key, fragment, self.now);
    }

    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)> {
        self.fragments.ports(addrs, fragment, self.now)
    }

    fn remember_service(&self, addrs: &Addrs, fragment: Fragment, service: u16) {
        self.services
            .record(addrs, fragment, service.into(), self.now);
    }

    fn remembered_service(&self, addrs: &Addrs, fragment: Fragment) -> Option<u16> {
        let service = self.services.outcome(addrs, fragment, self.now)?;
        u16::try_from(service).ok()
    }
}

/// All binds of the tables, with their places.
pub(crate) fn entries<'b>(
    tables: impl IntoIterator<Item = &'b [Bind]>,
) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (table, binds) in tables.into_iter().enumerate() {
        for (index, bind) in binds.iter().enumerate() {
            let too_many = |_| "too many tables or binds".to_owned();
            let id = BindId {
                table: u16::try_from(table).map_err(too_many)?,
                bind: u16::try_from(index).map_err(too_many)?,
            };
            entries.push(Entry { bind: *bind, id });
        }
    }
    Ok(entries)
}

/// The words of a classifier over all binds of the tables.
pub fn classifier<'b>(tables: impl IntoIterator<Item = &'b [Bind]>) -> Result<Vec<u32>, String> {
    let mut entries = entries(tables)?;
    let mut words = vec![0; words_needed(&entries)];
    let used = build(&mut entries, &mut words)
        .map_err(|error| format!("the binds cannot be indexed: {error:?}"))?;
    words.truncate(used);
    Ok(words)
}
