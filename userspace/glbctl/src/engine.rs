// SPDX-License-Identifier: GPL-2.0

//! What a director makes of a packet, without a kernel: the core's decision on compiled tables, and the header.
//!
//! What only a kernel has is not here: routes (the source is the one that the settings name), the path's MTU, neighbours.

use glb_config::compiled::{Compiled, CompiledBackend};
use glb_config::quoted;
use glb_core::director::classify::bind::{Classifier, Proto};
use glb_core::director::{
    decide, flow_label, inspect, source_port, Addresses, Forward, Gso, Layout, Params, Plan, Shape,
    Stop, Verdict, World, MAX_HEADER_LEN,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::checksum::Sum;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::fragments::{FragmentTable, TICK_MS};
use glb_core::packet::gue::max_hops;
use glb_core::packet::ip::{proto, tos, Addrs, Family, Fragment};
use glb_core::packet::view::View;
use glb_core::settings::Settings;
use glb_core::siphash::SipKey;

/// A table as packets need it.
pub(crate) struct Table<'a> {
    compiled: &'a Compiled,
    key: SipKey,
    /// Addresses of the backends, by their index, if they are IPv4.
    v4: Vec<[u8; 4]>,
    /// If they are IPv6.
    v6: Vec<[u8; 16]>,
}

impl<'a> Table<'a> {
    fn new(compiled: &'a Compiled) -> Self {
        let mut table = Self {
            compiled,
            key: SipKey::new(&compiled.hash_key),
            v4: Vec::new(),
            v6: Vec::new(),
        };
        for one in &compiled.backends {
            match one.backend.addr {
                Addr::V4(addr) => table.v4.push(addr),
                Addr::V6(addr) => table.v6.push(addr),
            }
        }
        table
    }
}

/// Tables, and what first fragments left for the later ones.
pub(crate) struct Tables<'a> {
    /// By the indexes that the classifier has; those that nobody asks for may be missing.
    tables: Vec<Option<Table<'a>>>,
    classifier: Classifier<'a>,
    fragments: FragmentTable,
    /// The time of the packet, in ticks of the fragment table.
    now: u8,
}

impl<'a> Tables<'a> {
    /// These tables by their indexes, whose binds are in `words`.
    pub(crate) fn new(
        tables: impl IntoIterator<Item = Option<&'a Compiled>>,
        words: &'a [u32],
    ) -> Self {
        Self {
            tables: tables.into_iter().map(|one| one.map(Table::new)).collect(),
            classifier: Classifier::new(words),
            // Its key is no secret here: nobody sends packets to a capture.
            fragments: FragmentTable::new(&[0; 16]),
            now: 0,
        }
    }
}

impl<'a> World for Tables<'a> {
    type Table = Table<'a>;
    type Hop = CompiledBackend;

    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Table<'a>> {
        let bind = self.classifier.lookup(dst, proto, port)?;
        self.tables.get(usize::from(bind.table))?.as_ref()
    }

    fn by_addr(&self, dst: Addr) -> Option<&Table<'a>> {
        let bind = self.classifier.lookup_addr(dst)?;
        self.tables.get(usize::from(bind.table))?.as_ref()
    }

    fn forward(table: &Table<'a>) -> Forward {
        table.compiled.forward
    }

    fn hash_key<'w>(&'w self, table: &'w Table<'a>) -> &'w SipKey {
        &table.key
    }

    fn row<'w>(&'w self, table: &'w Table<'a>, row: u16) -> &'w [u8] {
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
}

/// A director of tables and settings.
pub(crate) struct Engine<'a> {
    tables: Tables<'a>,
    settings: &'a Settings,
}

/// A packet to be sent: the header in front of the client's packet.
pub(crate) struct Sent {
    header: [u8; MAX_HEADER_LEN],
    layout: Layout,
    /// Length of the client's packet, without padding of the frame.
    pub(crate) inner_len: usize,
    /// Family of the outer packet.
    pub(crate) outer: Family,
    pub(crate) verdict: Verdict,
}

impl<'a> Engine<'a> {
    /// A director with these tables, whose binds are in `words`. As the module refuses to load what a header cannot name,
    /// so does this.
    pub(crate) fn new(
        tables: &'a [Compiled],
        words: &'a [u32],
        settings: &'a Settings,
    ) -> Result<Self, String> {
        for (index, table) in tables.iter().enumerate() {
            loadable(table, settings)
                .map_err(|why| format!("table {}: {why}", quoted(&table.label(index))))?;
        }
        Ok(Self {
            tables: Tables::new(tables.iter().map(Some), words),
            settings,
        })
    }

    /// What becomes of a packet that came at this time, from its IP header on.
    pub(crate) fn packet(
        &mut self,
        milliseconds: u64,
        packet: &[u8],
        family: Family,
    ) -> Result<Sent, Verdict> {
        // The clock of the fragment table wraps.
        self.tables.now = (milliseconds / u64::from(TICK_MS)) as u8;
        let candidate = match inspect(View::whole(packet), family) {
            Ok(candidate) => candidate,
            Err(Stop::Pass(verdict)) => return Err(verdict),
            // A capture that does not have the whole packet.
            Err(Stop::NeedLinear(_)) => return Err(Verdict::PassedUnknownFormat),
        };
        let plan = decide(&self.tables, self.settings, candidate)?;
        let mut sent = encode(&plan, self.settings, family, packet)?;
        if sent.layout.gso == (Gso::Udp { checksum: true }) {
            sent.fill_checksum(packet);
        }
        Ok(sent)
    }
}

/// Why a director with these settings does not load a table.
fn loadable(table: &Compiled, settings: &Settings) -> Result<(), String> {
    let is_v6 = |backend: &CompiledBackend| matches!(backend.backend.addr, Addr::V6(_));
    let v6 = table.backends.iter().any(is_v6);
    if v6 && !table.backends.iter().all(is_v6) {
        return Err("backends of both families".to_owned());
    }
    let (underlay, with_v6) = match v6 {
        true => (Family::V6, " with IPv6 backends"),
        false => (Family::V4, ""),
    };
    let two_rows = settings.alt_hash_fields.is_some();
    let most = max_hops(underlay, two_rows);
    if table.hops > usize::from(most) {
        let while_two = match two_rows {
            true => " with alt_hash_fields",
            false => "",
        };
        let hops = table.hops;
        return Err(format!("{hops} hops: at most {most}{with_v6}{while_two}"));
    }
    Ok(())
}

/// The header of a packet's tunnel.
fn encode(
    plan: &Plan<'_, Tables<'_>>,
    settings: &Settings,
    inner: Family,
    packet: &[u8],
) -> Result<Sent, Verdict> {
    let dst = plan.hops.first().backend.addr;
    let (outer, src) = match dst {
        Addr::V4(_) => (Family::V4, settings.source_v4.map(Addr::V4)),
        Addr::V6(_) => (Family::V6, settings.source_v6.map(Addr::V6)),
    };
    let forward = plan.forward();
    let layout = forward.layout(&Shape {
        outer,
        inner,
        others: plan.hops.others(),
        udp_checksum: settings.udp_checksum,
    });
    let inner_len = plan.packet.len;
    let params = Params {
        src: src.ok_or(Verdict::DroppedNoRoute)?,
        dst,
        src_port: source_port(plan.hash, plan.packet.hint),
        dst_port: settings.udp_port,
        flow_label: flow_label(plan.hash, plan.packet.hint),
        // A packet that was read has its first bytes.
        tos: tos(View::whole(packet), inner).unwrap_or_default(),
        inner,
        inner_len,
    };
    let mut header = [0; MAX_HEADER_LEN];
    header
        .get_mut(..layout.len)
        .and_then(|out| forward.write(&params, &plan.hops, out))
        .ok_or(Verdict::DroppedNoHop)?;
    if layout.len + inner_len > usize::from(u16::MAX) {
        return Err(Verdict::DroppedTooBig);
    }
    Ok(Sent {
        header,
        layout,
        inner_len,
        outer,
        verdict: plan.verdict,
    })
}

impl Sent {
    pub(crate) fn header(&self) -> &[u8] {
        &self.header[..self.layout.len]
    }

    /// Fills in the checksum of the outer UDP header (RFC 768, RFC 8200), over the client's packet too.
    fn fill_checksum(&mut self, packet: &[u8]) {
        // The pseudo header's addresses are those of the IP header, which end where UDP begins.
        let (addresses, udp) = match self.outer {
            Family::V4 => (12..20, 20),
            Family::V6 => (8..40, 40),
        };
        let mut summed = self.header[addresses].to_vec();
        summed.extend([0, proto::UDP]);
        summed.extend(&self.header[udp + 4..udp + 6]);
        summed.extend(&self.header[udp..self.layout.len]);
        summed.extend(&packet[..self.inner_len]);
        if summed.len() % 2 == 1 {
            summed.push(0);
        }
        // 0 would say that there is none.
        let check = match Sum::default().with(&summed).checksum() {
            0 => 0xffff,
            check => check,
        };
        self.header[udp + 6..udp + 8].copy_from_slice(&check.to_be_bytes());
    }
}
