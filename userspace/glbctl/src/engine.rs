// SPDX-License-Identifier: GPL-2.0

//! What a director makes of a packet, without a kernel: the core's decision on compiled tables, and what the forward does.
//!
//! What only a kernel has is not here: routes (the source is the one that the settings name), the path's MTU, neighbours.

use glb_config::compiled::{Compiled, CompiledBackend};
use glb_config::quoted;
use glb_config::world::Tables;
use glb_core::director::classify::by_class::Bytes;
use glb_core::director::rewrite::{Change, Edit, Spot, Unchanged};
use glb_core::director::{
    decide_classed, flow_label, inspect, source_port, Gso, Layout, Leave, Params, Plan, Shape,
    Stop, Tunnel, Verdict, World, MAX_HEADER_LEN,
};
use glb_core::packet::addr::Addr;
use glb_core::packet::checksum::{Sum, UdpChecksum};
use glb_core::packet::gue::max_hops;
use glb_core::packet::ip::{proto, tos, Family};
use glb_core::packet::view::View;
use glb_core::settings::Settings;
use std::borrow::Cow;

/// A director of tables and settings.
pub(crate) struct Engine<'a> {
    tables: Tables<'a>,
    settings: &'a Settings,
}

/// A packet to be sent: a header, if the forward puts one in front, and the client's packet.
pub(crate) struct Sent<'p> {
    header: [u8; MAX_HEADER_LEN],
    header_len: usize,
    /// The client's packet, without padding of the frame, as it leaves.
    packet: Cow<'p, [u8]>,
    /// Family of the outer packet.
    pub(crate) outer: Family,
    pub(crate) verdict: Verdict,
}

impl<'a> Engine<'a> {
    /// A director with these tables, whose binds and classes are in `words`. As the module refuses to load what a header cannot name,
    /// so does this.
    pub(crate) fn new(
        tables: &'a [Compiled],
        (words, classes): (&'a [u32], &'a [u32]),
        settings: &'a Settings,
    ) -> Result<Self, String> {
        for (index, table) in tables.iter().enumerate() {
            loadable(table, settings)
                .map_err(|why| format!("table {}: {why}", quoted(&table.label(index))))?;
        }
        Ok(Self {
            tables: Tables::new(tables.iter().map(|one| Some(Cow::Borrowed(one))), words)
                .with_classes(classes),
            settings,
        })
    }

    /// What becomes of a packet that came at this time, from its IP header on.
    pub(crate) fn packet<'p>(
        &mut self,
        milliseconds: u64,
        packet: &'p [u8],
        family: Family,
    ) -> Result<Sent<'p>, Verdict> {
        self.tables.now(milliseconds);
        let view = View::whole(packet);
        let read = inspect(view, family).and_then(|candidate| {
            let bytes = Bytes::read(view, family, &candidate, self.tables.classes())?;
            Ok((candidate, bytes))
        });
        let (candidate, bytes) = match read {
            Ok(read) => read,
            Err(Stop::Pass(verdict)) => return Err(verdict),
            // A capture that does not have the whole packet.
            Err(Stop::NeedLinear(_)) => return Err(Verdict::PassedUnknownFormat),
        };
        let plan = decide_classed(&self.tables, self.settings, candidate, bytes)?;
        let packet = packet
            .get(..plan.packet.len)
            .ok_or(Verdict::PassedUnknownFormat)?;
        match plan.forward().leave() {
            Leave::Tunnel(tunnel) => {
                let (mut sent, layout) = encode(&plan, self.settings, (tunnel, family), packet)?;
                if layout.gso == (Gso::Udp { checksum: true }) {
                    sent.fill_checksum();
                }
                Ok(sent)
            }
            Leave::Rewrite(edit) => rewrite(&plan, edit, family, packet),
            // It goes on up the stack of the director: where to is its routes' business.
            Leave::Mark(_) => Err(Verdict::Marked),
        }
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

/// A packet that leaves without a header in front. Its checksums are final, as those of a capture are.
fn rewrite<'p>(
    plan: &Plan<'_, Tables<'_>>,
    edit: Edit,
    family: Family,
    packet: &'p [u8],
) -> Result<Sent<'p>, Verdict> {
    let spot = Spot::find(View::whole(packet), family, edit).map_err(|why| match why {
        Unchanged::Ends(verdict) => verdict,
        // All of it is at hand.
        Unchanged::NeedLinear(_) => Verdict::PassedUnknownFormat,
    })?;
    let mut packet = packet.to_vec();
    let to = plan.hops.first().backend.addr;
    let change = Change::toward(to, edit);
    spot.write(&mut packet, &change, UdpChecksum::Complete)
        .ok_or(Verdict::DroppedNoRoute)?;
    Ok(Sent {
        header: [0; MAX_HEADER_LEN],
        header_len: 0,
        packet: packet.into(),
        outer: family,
        verdict: plan.verdict,
    })
}

/// A packet with the header of its tunnel, and what the header is like.
fn encode<'p>(
    plan: &Plan<'_, Tables<'_>>,
    settings: &Settings,
    (tunnel, inner): (Tunnel, Family),
    packet: &'p [u8],
) -> Result<(Sent<'p>, Layout), Verdict> {
    let dst = plan.hops.first().backend.addr;
    let (outer, src) = match dst {
        Addr::V4(_) => (Family::V4, settings.source_v4.map(Addr::V4)),
        Addr::V6(_) => (Family::V6, settings.source_v6.map(Addr::V6)),
    };
    let layout = tunnel.layout(&Shape {
        outer,
        inner,
        others: plan.hops.others(),
        udp_checksum: settings.udp_checksum,
    });
    let inner_len = packet.len();
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
        .and_then(|out| tunnel.write(&params, &plan.hops, out))
        .ok_or(Verdict::DroppedNoHop)?;
    if layout.len + inner_len > usize::from(u16::MAX) {
        return Err(Verdict::DroppedTooBig);
    }
    let sent = Sent {
        header,
        header_len: layout.len,
        packet: packet.into(),
        outer,
        verdict: plan.verdict,
    };
    Ok((sent, layout))
}

impl Sent<'_> {
    /// What stands in front of the client's packet.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header[..self.header_len]
    }

    /// The client's packet as it leaves.
    pub(crate) fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Fills in the checksum of the outer UDP header (RFC 768, RFC 8200), over the client's packet too.
    fn fill_checksum(&mut self) {
        // The pseudo header's addresses are those of the IP header, which end where UDP begins.
        let (addresses, udp) = match self.outer {
            Family::V4 => (12..20, 20),
            Family::V6 => (8..40, 40),
        };
        let mut summed = self.header[addresses].to_vec();
        summed.extend([0, proto::UDP]);
        summed.extend(&self.header[udp + 4..udp + 6]);
        summed.extend(&self.header[udp..self.header_len]);
        summed.extend(&self.packet[..]);
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
