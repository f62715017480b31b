// SPDX-License-Identifier: GPL-2.0

//! The director's steps over one packet, by compiled tables: inspect, classify, hash, row, encode.
//!
//! What the kernel module does on an skb, with the same functions of the core. It shows and tests what a
//! director sends without one.

use glb_config::compiled::Compiled;
use glb_core::addr::Addr;
use glb_core::bind::{BindId, Classifier};
use glb_core::checksum::Sum;
use glb_core::director::{
    header_len, inspect, source_port, Candidate, Kind, Stop, Tunnel, Verdict, MAX_HEADER_LEN,
};
use glb_core::gue::{MAX_HOPS_V4, MAX_HOPS_V6};
use glb_core::hash::{packet_hash, FlowKey, PacketHash};
use glb_core::ip::{proto, Addrs, Family};
use glb_core::settings::Settings;
use glb_core::siphash::SipKey;
use glb_core::view::View;
use std::collections::HashMap;

/// Tables and settings, and what first fragments left for the later ones.
pub(crate) struct Engine<'a> {
    tables: &'a [Compiled],
    keys: Vec<SipKey>,
    classifier: Classifier<'a>,
    config: &'a Settings,
    /// Ports of first fragments, client's first, by addresses and number of the datagram.
    fragments: HashMap<([u8; 32], u32), (u16, u16)>,
}

/// A packet to be sent: the header in front of the client's packet.
pub(crate) struct Sent {
    header: [u8; MAX_HEADER_LEN],
    header_len: usize,
    /// Length of the client's packet, without padding of the frame.
    pub(crate) inner_len: usize,
    /// Family of the outer packet.
    pub(crate) outer: Family,
    pub(crate) verdict: Verdict,
}

impl Sent {
    pub(crate) fn header(&self) -> &[u8] {
        &self.header[..self.header_len]
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
        summed.extend(&self.header[udp..self.header_len]);
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

impl<'a> Engine<'a> {
    pub(crate) fn new(tables: &'a [Compiled], words: &'a [u32], config: &'a Settings) -> Self {
        Self {
            tables,
            keys: tables.iter().map(|t| SipKey::new(&t.hash_key)).collect(),
            classifier: Classifier::new(words),
            config,
            fragments: HashMap::new(),
        }
    }

    /// What becomes of a packet, from its IP header on.
    pub(crate) fn packet(&mut self, packet: &[u8], family: Family) -> Result<Sent, Verdict> {
        let mut candidate = match inspect(View::whole(packet), family) {
            Ok(candidate) => candidate,
            Err(Stop::Pass(verdict)) => return Err(verdict),
            // A capture that does not have the whole packet.
            Err(Stop::NeedLinear(_)) => return Err(Verdict::PassedUnknownFormat),
        };
        let bind = self.classify(&mut candidate)?;
        let mut sent = self.encode(&candidate, family, bind)?;
        if self.config.udp_checksum {
            sent.fill_checksum(packet);
        }
        Ok(sent)
    }

    /// The bind of a packet. A later fragment gets the ports of its first one.
    fn classify(&mut self, candidate: &mut Candidate) -> Result<BindId, Verdict> {
        const NO_BIND: Verdict = Verdict::PassedNoMatchingBind;
        let dst = match candidate.key.addrs {
            Addrs::V4 { dst, .. } => Addr::V4(dst),
            Addrs::V6 { dst, .. } => Addr::V6(dst),
        };
        let datagram = candidate.fragment.map(|f| (addrs(&candidate.key), f.id));
        match candidate.kind {
            Kind::Flow(proto) => {
                let port = candidate.key.dst_port;
                let bind = self.classifier.lookup(dst, proto, port).ok_or(NO_BIND)?;
                if let Some(datagram) = datagram {
                    let ports = (candidate.key.src_port, port);
                    self.fragments.insert(datagram, ports);
                }
                Ok(bind)
            }
            Kind::IcmpError(proto) => {
                let port = candidate.key.dst_port;
                self.classifier.lookup(dst, proto, port).ok_or(NO_BIND)
            }
            Kind::Echo => {
                let bind = self.classifier.lookup_addr(dst).ok_or(NO_BIND)?;
                if self.config.forward_icmp_ping_responses {
                    Ok(bind)
                } else {
                    Err(Verdict::PassedEcho)
                }
            }
            Kind::LaterFragment(proto) => {
                let known = datagram.and_then(|datagram| self.fragments.get(&datagram));
                if let Some(&(src_port, dst_port)) = known {
                    (candidate.key.src_port, candidate.key.dst_port) = (src_port, dst_port);
                    candidate.hint = src_port;
                    return self.classifier.lookup(dst, proto, dst_port).ok_or(NO_BIND);
                }
                // Its first fragment has not been seen: addresses are all there is.
                let bind = self.classifier.lookup_addr(dst).ok_or(NO_BIND)?;
                if self.config.hash_fields.needs_ports() {
                    Err(Verdict::DroppedFragment)
                } else {
                    Ok(bind)
                }
            }
        }
    }

    fn encode(&self, candidate: &Candidate, inner: Family, bind: BindId) -> Result<Sent, Verdict> {
        let at = usize::from(bind.table);
        let (Some(table), Some(key)) = (self.tables.get(at), self.keys.get(at)) else {
            return Err(Verdict::DroppedNoHop);
        };
        let hash = packet_hash(key, self.config.hash_fields, &candidate.key);
        let mut hops = table.row(hash.row()).to_vec();
        if let Some(fields) = self.config.alt_hash_fields {
            let alt = packet_hash(key, fields, &candidate.key);
            hops.extend(table.row(alt.row()));
        }
        let hops: Vec<Addr> = hops
            .iter()
            .map(|hop| table.backends[usize::from(*hop)].backend.addr)
            .collect();
        let (first, others) = hops.split_first().ok_or(Verdict::DroppedNoHop)?;
        // Hops of another family than the first's cannot be named in its header.
        let sent = match *first {
            Addr::V4(dst) => {
                let src = self.config.source_v4.ok_or(Verdict::DroppedNoRoute)?;
                let others = others.iter().filter_map(|hop| match hop {
                    Addr::V4(hop) => Some(*hop),
                    Addr::V6(_) => None,
                });
                let others: Vec<_> = others.take(usize::from(MAX_HOPS_V4)).collect();
                let tunnel = self.tunnel((src, dst), hash, candidate, inner);
                write(Family::V4, others.len(), candidate, |out| {
                    tunnel.write(out, others.iter().copied())
                })
            }
            Addr::V6(dst) => {
                let src = self.config.source_v6.ok_or(Verdict::DroppedNoRoute)?;
                let others = others.iter().filter_map(|hop| match hop {
                    Addr::V6(hop) => Some(*hop),
                    Addr::V4(_) => None,
                });
                let others: Vec<_> = others.take(usize::from(MAX_HOPS_V6)).collect();
                let tunnel = self.tunnel((src, dst), hash, candidate, inner);
                write(Family::V6, others.len(), candidate, |out| {
                    tunnel.write(out, others.iter().copied())
                })
            }
        };
        let sent = sent.ok_or(Verdict::DroppedNoHop)?;
        if sent.header_len + sent.inner_len > usize::from(u16::MAX) {
            return Err(Verdict::DroppedTooBig);
        }
        Ok(sent)
    }

    fn tunnel<A>(
        &self,
        (src, dst): (A, A),
        hash: PacketHash,
        candidate: &Candidate,
        inner: Family,
    ) -> Tunnel<A> {
        Tunnel {
            src,
            dst,
            src_port: source_port(hash, candidate.hint),
            dst_port: self.config.udp_port,
            inner,
            inner_len: candidate.len,
        }
    }
}

fn write(
    outer: Family,
    hops: usize,
    candidate: &Candidate,
    fill: impl FnOnce(&mut [u8]) -> Option<()>,
) -> Option<Sent> {
    let mut header = [0; MAX_HEADER_LEN];
    let header_len = header_len(outer, u8::try_from(hops).ok()?);
    fill(header.get_mut(..header_len)?)?;
    Some(Sent {
        header,
        header_len,
        inner_len: candidate.len,
        outer,
        verdict: match candidate.kind {
            Kind::Flow(_) => Verdict::Encapsulated,
            Kind::IcmpError(_) => Verdict::EncapsulatedIcmpError,
            Kind::Echo => Verdict::EncapsulatedEcho,
            Kind::LaterFragment(_) => Verdict::EncapsulatedFragment,
        },
    })
}

/// Both addresses, as what the fragments of a datagram have in common beside its number.
fn addrs(key: &FlowKey) -> [u8; 32] {
    let mut both = [0; 32];
    let (first, second) = both.split_at_mut(16);
    match key.addrs {
        Addrs::V4 { src, dst } => {
            first[..4].copy_from_slice(&src);
            second[..4].copy_from_slice(&dst);
        }
        Addrs::V6 { src, dst } => {
            first.copy_from_slice(&src);
            second.copy_from_slice(&dst);
        }
    }
    both
}
