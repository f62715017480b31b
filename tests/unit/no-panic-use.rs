// SPDX-License-Identifier: GPL-2.0

//! Instantiates the generic functions of the core that the modules use, so that `no-panic.sh` sees their code. (It sees all
//! others without this.)

#![no_std]
#![allow(missing_docs)]

use glb_core::director::classify::bind::{build, words_needed, BindId, Classifier, Entry, Proto};
use glb_core::director::classify::by_class::Bytes;
use glb_core::director::classify::flow::{Asked, Classes, Found};
use glb_core::director::flows::{
    follow, key, known, learn, Bucket, Event, FlowTable, Memory, Rules,
};
use glb_core::director::ids::{Roster, Tag};
use glb_core::director::reverse::services::{chained, check, with_one_vip, Service, Services};
use glb_core::director::reverse::{reverse, reverse_common, Answers, Origin};
use glb_core::director::rewrite::{Change, Edit, Spot};
use glb_core::director::select::hash::{packet_hash, HashFields, PacketHash};
use glb_core::director::select::maglev::{self, nfqlb, vpp, Cursor};
use glb_core::director::{
    self, Addresses, Candidate, Forward, Leave, Params, Shape, Tunnel, Verdict, World,
};
use glb_core::geneve::flows as way_back;
use glb_core::geneve::{self, Envelope, Letter};
use glb_core::limit::RateLimit;
use glb_core::packet::addr::Addr;
use glb_core::packet::checksum::UdpChecksum;
use glb_core::packet::flow::Flow;
use glb_core::packet::flow::FlowKey;
use glb_core::packet::fragments::FragmentTable;
use glb_core::packet::gue::Hop;
use glb_core::packet::ip::{Addrs, Family, Fragment};
use glb_core::packet::view::View;
use glb_core::redirect::{self, AllowedHops, Inspected, Next, Options, Packet, Question};
use glb_core::settings::{Setting, Settings, Value};
use glb_core::siphash::SipKey;

#[no_mangle]
pub fn uses_hash(key: &SipKey, fields: HashFields, flow: &FlowKey) -> u64 {
    packet_hash(key, fields, flow).0
}

#[no_mangle]
pub fn uses_classifier(words: &[u32], dst: Addr, proto: Proto, port: u16) -> Option<BindId> {
    let classifier = Classifier::new(words);
    classifier
        .lookup(dst, proto, port)
        .or_else(|| classifier.lookup_addr(dst))
        .or_else(|| classifier.lookup_all(dst))
}

#[no_mangle]
pub fn uses_classes(words: &[u32], asked: &Asked<'_>) -> Option<Found> {
    let classes = Classes::new(words)?;
    classes
        .lookup(asked)
        .or_else(|| classes.by_rank(classes.astray(7)?))
}

#[no_mangle]
pub fn uses_build(entries: &mut [Entry], words: &mut [u32]) -> usize {
    if words.len() < words_needed(entries) {
        return 0;
    }
    build(entries, words).unwrap_or(0)
}

#[no_mangle]
pub fn uses_redirect(bytes: &[u8], len: usize, outer: Family) -> Option<Inspected> {
    let packet = Packet {
        view: View::new(bytes, len),
        outer,
    };
    if redirect::is_for_port(&packet, 19523) != Ok(true) {
        return None;
    }
    redirect::inspect(&packet, Options::from_bits(len as u32)?).ok()
}

#[no_mangle]
pub fn uses_hops(
    packet: &Packet<'_>,
    inspected: &Inspected,
    allowed: &mut AllowedHops,
    addr: Addr,
    bits: u8,
) -> Next {
    let _ = allowed.push(addr, bits);
    redirect::next_hop(packet, inspected, allowed.prefixes())
}

#[no_mangle]
pub fn uses_question(view: View<'_>, inspected: &Inspected) -> u16 {
    if inspected.inner_addrs(view).is_err() {
        return 0;
    }
    match inspected.question {
        Question::Connection { flow, .. }
        | Question::Opening { flow, .. }
        | Question::Datagram { flow, .. } => match flow.read(view) {
            Ok(Flow::V4(ends)) => ends.vip_port,
            Ok(Flow::V6(ends)) => ends.client_port,
            Err(_) => 0,
        },
        Question::LaterFragment { fragment, .. } => {
            let verdict = inspected.question.passed_on();
            fragment.offset ^ verdict.index() as u16
        }
    }
}

#[no_mangle]
pub fn uses_rewrite(head: &mut [u8], packet: &Inspected, hop: Hop, udp: UdpChecksum) -> bool {
    redirect::rewrite(head, packet, hop, udp).is_some()
}

#[no_mangle]
pub fn uses_geneve(
    packet: &geneve::Packet<'_>,
    settings: &geneve::Settings,
    cache: &way_back::Cache<'_>,
    out: &mut [u8],
) -> Option<usize> {
    let opened = geneve::inspect(packet, settings).ok()?;
    let envelope = Envelope::of(packet, &opened)?;
    let part = way_back::Part::read(packet.view, opened.inner_at, opened.inner).ok()??;
    let way_back::Part::Packet(tuple, turn, None) = part else {
        return None;
    };
    let event = cache.record(opened.ids.endpoint, &tuple, turn, &envelope);
    let way_back::Found::Header(held) = cache.find(&tuple.reversed(), way_back::Turn::Amid, None)
    else {
        return Some(event.index());
    };
    let letter = Letter {
        len: opened.inner_len,
        tos: 0,
    };
    held.write_back(&letter, out)?;
    let unpacked = held.unpack()?;
    let envelope = unpacked.envelope();
    envelope.write_back(&letter, out)?;
    envelope.fill_checksum(out, packet.view.linear())?;
    Some(envelope.len())
}

#[no_mangle]
pub fn uses_geneve_list<'a>(cache: &way_back::Cache<'a>, bucket: &'a way_back::Bucket) -> u32 {
    let mut idle = 0;
    for listed in cache.listed(bucket) {
        idle |= listed.idle;
    }
    idle
}

#[no_mangle]
pub fn uses_director(bytes: &[u8], len: usize, family: Family) -> usize {
    director::inspect(View::new(bytes, len), family).map_or(0, |seen| seen.len)
}

/// Services of whatever shape.
pub struct Backends<'a> {
    services: Services<'a>,
    origin: Origin,
    fragments: &'a FragmentTable,
}

impl Answers for Backends<'_> {
    fn origin(&self, backend: Addr, proto: Proto, port: u16) -> Option<Origin> {
        self.services.bind(backend, proto, port)?;
        Some(self.origin)
    }
    fn has_backend(&self, backend: Addr) -> bool {
        self.services.has_backend(backend)
    }
    fn only_vip(&self, backend: Addr) -> Option<Addr> {
        self.services.bind_of_only_vip(backend)?;
        Some(self.origin.vip)
    }
    fn remember(&self, key: &FlowKey, fragment: Fragment) {
        self.fragments.record_ports(key, fragment, 2);
    }
    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)> {
        self.fragments.ports(addrs, fragment, 3)
    }
}

#[no_mangle]
pub fn uses_reverse(
    backends: &Backends<'_>,
    settings: &Settings,
    bytes: &[u8],
    len: usize,
    family: Family,
) -> Option<Verdict> {
    let view = View::new(bytes, len);
    if let Some(packet) = director::common(view, family).and(director::again(view, family)) {
        return Some(reverse_common(backends, settings, packet).ok()?.verdict);
    }
    let packet = director::inspect_answer(view, family).ok()?;
    Some(reverse(backends, settings, packet).ok()?.verdict)
}

#[no_mangle]
pub fn uses_services(services: &mut [Service], binds: Classifier<'_>) -> Option<usize> {
    check(services).ok()?;
    if chained(services, binds).is_some() {
        return None;
    }
    let mut singles = 0usize;
    for entry in with_one_vip(services) {
        singles = singles.wrapping_add(usize::from(entry.id.bind));
    }
    Some(singles)
}

/// Tables of whatever shape: the compiler knows nothing about what is in them.
pub struct Tables<'a> {
    key: &'a SipKey,
    classifier: Classifier<'a>,
    tables: &'a [Table<'a>],
    classes: Classes<'a>,
    fragments: &'a FragmentTable,
}

/// A table, and its hops as indexes of its backends.
pub struct Table<'a> {
    forward: Forward,
    backends: &'a [[u8; 4]],
    rows: &'a [u8],
    hops: usize,
}

impl<'a> World for Tables<'a> {
    type Table = Table<'a>;
    type Hop = [u8; 4];

    fn by_port(&self, dst: Addr, proto: Proto, port: u16) -> Option<&Table<'a>> {
        self.classifier.lookup(dst, proto, port)?;
        self.tables.first()
    }
    fn by_addr(&self, dst: Addr) -> Option<&Table<'a>> {
        self.classifier.lookup_addr(dst)?;
        self.tables.last()
    }
    fn classes(&self) -> Classes<'_> {
        self.classes
    }
    fn service(&self, service: u16) -> Option<&Table<'a>> {
        self.tables.get(usize::from(service))
    }
    fn by_proto(&self, dst: Addr, proto: Proto) -> Option<&Table<'a>> {
        self.classifier.lookup_proto(dst, proto)?;
        self.tables.last()
    }
    fn by_all(&self, dst: Addr) -> Option<&Table<'a>> {
        self.classifier.lookup_all(dst)?;
        self.tables.first()
    }
    fn forward(table: &Table<'a>) -> Forward {
        table.forward
    }
    fn hash_key<'w>(&'w self, _table: &'w Table<'a>) -> &'w SipKey {
        self.key
    }
    fn row<'w>(&'w self, table: &'w Table<'a>, row: u16) -> &'w [u8] {
        let first = usize::from(row).wrapping_mul(table.hops);
        table
            .rows
            .get(first..first.wrapping_add(table.hops))
            .unwrap_or(&[])
    }
    fn hop<'w>(&'w self, table: &'w Table<'a>, backend: u8) -> Option<&'w [u8; 4]> {
        table.backends.get(usize::from(backend))
    }
    fn addresses<'w>(table: &'w Table<'a>) -> Addresses<'w> {
        Addresses::V4(table.backends)
    }
    fn remember(&self, key: &FlowKey, fragment: Fragment) {
        self.fragments.record_ports(key, fragment, 2);
    }
    fn remembered(&self, addrs: &Addrs, fragment: Fragment) -> Option<(u16, u16)> {
        self.fragments.ports(addrs, fragment, 3)
    }
}

#[no_mangle]
pub fn uses_decide(
    tables: &Tables<'_>,
    settings: &Settings,
    packet: Candidate,
    params: &Params,
    out: &mut [u8],
) -> Option<(u8, Verdict)> {
    let plan = director::decide(tables, settings, packet).ok()?;
    match plan.forward().leave() {
        Leave::Tunnel(tunnel) => tunnel.write(params, &plan.hops, out)?,
        Leave::Rewrite(edit) => return Some((edit.tos(1), plan.verdict)),
        Leave::Mark(offset) => return Some((offset.mark(plan.hops.backend()) as u8, plan.verdict)),
    }
    let first = plan.hops.first();
    Some((first[0] ^ plan.hops.others(), plan.verdict))
}

#[no_mangle]
pub fn uses_decide_classed(
    tables: &Tables<'_>,
    settings: &Settings,
    packet: Candidate,
    view: View<'_>,
    family: Family,
) -> Option<Verdict> {
    let bytes = Bytes::read(view, family, &packet, tables.classes()).ok()?;
    let plan = director::decide_classed(tables, settings, packet, bytes).ok()?;
    Some(plan.verdict)
}

#[no_mangle]
pub fn uses_common(
    tables: &Tables<'_>,
    settings: &Settings,
    view: View<'_>,
    family: Family,
) -> Option<u8> {
    let packet = director::common(view, family)?;
    let bound = director::bind(tables, settings, packet).ok()?;
    let plan = bound.decide_by_rows(tables, settings).ok()?;
    Some(plan.hops.others())
}

#[no_mangle]
pub fn uses_backend(tables: &Tables<'_>, settings: &Settings, packet: Candidate) -> Option<u64> {
    let bound = director::bind(tables, settings, packet).ok()?;
    let hash = bound.hash(tables, settings);
    let key = bound.key(tables);
    let backend = match bound.backend(tables, hash, key.as_ref()) {
        Some(backend) => backend,
        None => bound.other_backend(tables, hash, key.as_ref())?,
    };
    let plan = bound.toward(tables, backend, hash).ok()?;
    Some(plan.hash.0)
}

#[no_mangle]
pub fn uses_settings(number: u16, payload: &[u8]) -> Option<usize> {
    let setting = Setting::by_number(number)?;
    let value = setting.form.decode(payload)?;
    Some(Value::encode(value, <[u8]>::len))
}

#[no_mangle]
pub fn uses_tunnel(tunnel: Tunnel, params: &Params, out: &mut [u8], hops: &[Addr]) -> bool {
    tunnel.write(params, hops, out).is_some()
}

#[no_mangle]
pub fn uses_layout(tunnel: Tunnel, shape: &Shape) -> usize {
    tunnel.layout(shape).len
}

#[no_mangle]
pub fn uses_spot(bytes: &[u8], len: usize, family: Family, edit: Edit) -> usize {
    Spot::find(View::new(bytes, len), family, edit).map_or(0, |spot| spot.len(family))
}

#[no_mangle]
pub fn uses_rewrite_in_place(
    head: &mut [u8],
    spot: &Spot,
    change: &Change,
    sum: UdpChecksum,
) -> bool {
    spot.write(head, change, sum).is_some()
}

#[no_mangle]
pub fn uses_too_big(bytes: &[u8], addrs: &Addrs, mtu: usize) -> usize {
    let mut out = [0; director::MAX_TOO_BIG_LEN];
    director::too_big(View::whole(bytes), addrs, mtu, &mut out).unwrap_or(0)
}

#[no_mangle]
pub fn uses_memory(
    table: &FragmentTable,
    addrs: &Addrs,
    fragment: Fragment,
    limit: &RateLimit,
) -> u32 {
    table.record(addrs, fragment, 1, 2);
    let known = table.outcome(addrs, fragment, 3).unwrap_or(0);
    known ^ u32::from(limit.allow(4))
}

struct Flows<'a>(FlowTable<'a>, &'a Roster);

impl Memory for Flows<'_> {
    fn secret(&self) -> &SipKey {
        self.0.secret
    }
    fn rules(&self) -> Rules {
        self.0.rules
    }
    fn table(&self) -> FlowTable<'_> {
        self.0
    }
    fn backend(&self, tag: Tag) -> Option<u8> {
        self.1.backend(tag)
    }
    fn tag(&self, backend: u8) -> Option<Tag> {
        self.1.id(backend).map(|id| id.tag())
    }
    fn learns(&self) -> bool {
        true
    }
    fn count(&self, _: Event) {}
}

#[no_mangle]
pub fn uses_flows(
    table: FlowTable<'_>,
    roster: &Roster,
    packet: &Candidate,
    first: Option<u8>,
) -> Option<u8> {
    let flows = Flows(table, roster);
    match key(&flows, packet) {
        Some(key) => known(&flows, packet, &key).or_else(|| learn(&flows, packet, &key, first)),
        None => follow(&flows, packet, first),
    }
}

#[no_mangle]
pub fn uses_ids(old: &Roster, new: &mut Roster, len: usize, same: fn(u8, u8) -> bool) -> bool {
    new.succeed(old, len, same)
}

#[no_mangle]
pub fn uses_flow_list(bucket: &Bucket, rules: Rules, now: u16, roster: &Roster) -> usize {
    let mut idle = bucket.release(|tag| roster.backend(tag).is_none());
    for one in bucket.list(rules, now) {
        idle = idle.wrapping_add(usize::from(one.idle));
    }
    idle
}

#[no_mangle]
pub fn uses_maglev(
    table: &maglev::Table<'_>,
    rows: &mut [u8],
    room: &mut maglev::Room<'_>,
    hash: PacketHash,
    pause: fn(),
) -> Option<u8> {
    let _ = maglev::size::default_size(maglev::reduced(table.members));
    maglev::build(table, rows, room, &mut || pause()).ok()?;
    let row = maglev::row(hash, table.size) as usize;
    rows.get(row.checked_mul(table.hops)?).copied()
}

#[no_mangle]
pub fn uses_maglev_of_vpp(
    servers: &[vpp::Server],
    rows: &mut [u8],
    cursors: &mut [Cursor],
    free: &mut [u64],
    flow: &FlowKey,
) -> Option<u8> {
    if cursors.len() < vpp::cursors_needed(servers) {
        return None;
    }
    vpp::build(1024, servers, rows, (cursors, free), &mut || ()).ok()?;
    let hash = vpp::flow_hash(flow, vpp::By::Flow);
    rows.get(vpp::row(hash, 1024) as usize).copied()
}

#[no_mangle]
pub fn uses_maglev_of_nfqlb(
    active: &[bool],
    rows: &mut [u8],
    cursors: &mut [Cursor],
    free: &mut [u64],
    flow: &FlowKey,
) -> Option<u8> {
    let size = nfqlb::size(1000).ok()?;
    nfqlb::build(size, active, rows, (cursors, free), &mut || ()).ok()?;
    let hash = nfqlb::flow_hash(flow, 6, nfqlb::Sctp::Ports);
    let fragment = nfqlb::fragment_hash(&flow.addrs);
    rows.get(nfqlb::row(hash ^ fragment, size) as usize)
        .copied()
}
