// SPDX-License-Identifier: GPL-2.0

//! What the director's answers say.

use super::{BackendInfo, Device, FlowInfo, HopInfo, TableInfo};
use crate::error::Error;
use crate::wire::{Attr, Attrs};
use glb_core::backend::State;
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::flows::{By, Spec, Who};
use glb_core::director::{FlowHash, Forward, ForwardKind, Given, MarkOffset, Role, Select};
use glb_core::netlink::glb::{backend, bind, device, features, flow, flows, hop, lookup, table};
use glb_core::packet::addr::Addr;
use glb_core::packet::dscp::Dscp;
use glb_core::settings::{Setting, Settings};
use glb_core::table::v3::Words;
use std::num::NonZeroU16;

pub(crate) fn addr(attr: Option<Attr<'_>>) -> Addr {
    let bytes = attr.map_or(&[][..], |attr| attr.payload);
    match (bytes.try_into(), bytes.try_into()) {
        (Ok(v4), _) => Addr::V4(v4),
        (_, Ok(v6)) => Addr::V6(v6),
        _ => Addr::V4([0; 4]),
    }
}

pub(super) fn backend_info(address: Addr, state: u8, healthy: u8) -> BackendInfo {
    BackendInfo {
        addr: address,
        // Of a newer module's states the tools say what they do of one that gets nothing.
        state: State::from_number(state).unwrap_or(State::Inactive),
        healthy: healthy != 0,
        id: None,
        identifier: None,
    }
}

/// How packets leave. A module that does not say knows no other way than the first.
pub(super) fn forward(kind: Option<Attr<'_>>, given: Given) -> Result<Forward, Error> {
    let Some(kind) = kind else {
        return Ok(Forward::default());
    };
    // The casts are exact: the specification has numbers of 8 bits.
    let number = kind.number() as u8;
    ForwardKind::from_number(number)
        .and_then(|kind| kind.with(given).ok())
        .ok_or(Error::Forward(number))
}

/// The parameters of a forward, as a module shows them.
pub(super) fn given([dscp, target_port, mark_offset]: [Option<Attr<'_>>; 3]) -> Given {
    // The casts are exact: the specification has numbers of 8, of 16 and of 32 bits.
    Given {
        dscp: dscp.and_then(|attr| Dscp::new(attr.number() as u8)),
        target_port: target_port.and_then(|attr| NonZeroU16::new(attr.number() as u16)),
        mark_offset: mark_offset.and_then(|attr| MarkOffset::new(attr.number() as u32)),
    }
}

/// The parameters of a table's forward.
fn given_of_table(attrs: Attrs<'_>) -> Given {
    given([table::DSCP, table::TARGET_PORT, table::MARK_OFFSET].map(|name| attrs.get(name)))
}

/// The words of a table that the module shows; each that it does not is the default.
pub(super) fn words(attrs: Attrs<'_>) -> Result<Words, Error> {
    let default = Words::DEFAULT;
    let Given {
        dscp,
        target_port,
        mark_offset,
    } = given_of_table(attrs);
    Ok(Words {
        select: match attrs.get(table::SELECT) {
            Some(attr) => select(attr)?,
            None => default.select,
        },
        rows: match attrs.get(table::NUM_ROWS) {
            // The cast is exact: the specification has a number of 32 bits.
            Some(attr) => attr.number() as u32,
            None => default.rows,
        },
        flow_hash: match attrs.get(table::FLOW_HASH) {
            Some(attr) => flow_hash(attr)?,
            None => default.flow_hash,
        },
        flows: match attrs.get(table::FLOWS) {
            Some(attr) => Some(flow_spec(attr.nested())?),
            None => default.flows,
        },
        dscp,
        target_port,
        mark_offset,
    })
}

pub(super) fn select(attr: Attr<'_>) -> Result<Select, Error> {
    // The casts are exact: the specification has numbers of 8 bits.
    let number = attr.number() as u8;
    Select::from_number(number).ok_or(Error::Select(number))
}

pub(super) fn flow_hash(attr: Attr<'_>) -> Result<FlowHash, Error> {
    let number = attr.number() as u8;
    FlowHash::from_number(number).ok_or(Error::FlowHash(number))
}

pub(super) fn flow_spec(nest: Attrs<'_>) -> Result<Spec, Error> {
    let by = nest.u8(flows::BY);
    let by = By::from_number(by).ok_or(Error::FlowsBy(by))?;
    let timeout = u16::try_from(nest.u32(flows::TIMEOUT)).unwrap_or(u16::MAX);
    Spec::new(nest.u32(flows::BUCKETS), timeout, by)
        .map_err(|_| Error::Answer("flows of a table that cannot be"))
}

pub(super) fn table_info(attrs: Attrs<'_>) -> Result<TableInfo, Error> {
    Ok(TableInfo {
        index: attrs.u32(table::INDEX),
        name: attrs.text(table::NAME),
        generation: attrs.u32(table::GENERATION),
        hops: attrs.u8(table::HOPS),
        forward: forward(attrs.get(table::FORWARD), given_of_table(attrs))?,
        words: words(attrs)?,
        num_backends: attrs.u32(table::NUM_BACKENDS),
        num_binds: attrs.u32(table::NUM_BINDS),
        backends: attrs
            .all(table::BACKEND)
            .map(|nest| nest.nested())
            .map(|nest| {
                let address = addr(nest.get(backend::ADDRESS));
                let (state, healthy) = (nest.u8(backend::STATE), nest.u8(backend::HEALTHY));
                BackendInfo {
                    // The cast is exact: the specification has a number of 32 bits.
                    id: nest.get(backend::ID).map(|id| id.number() as u32),
                    // Likewise of 8 bits.
                    identifier: nest.get(backend::IDENTIFIER).map(|one| one.number() as u8),
                    ..backend_info(address, state, healthy)
                }
            })
            .collect(),
    })
}

pub(super) fn flow_info(nest: Attrs<'_>) -> FlowInfo {
    let client = nest.get(flow::SRC).map(|src| addr(Some(src)));
    let who = match (client, Proto::from_number(nest.u8(flow::PROTO))) {
        (Some(client), Some(proto)) => Who::Flow {
            proto,
            client: (client, nest.u16(flow::SRC_PORT)),
            bound: (addr(nest.get(flow::DST)), nest.u16(flow::DST_PORT)),
        },
        (Some(client), None) => Who::Client(client),
        (None, _) => {
            let bytes = nest
                .get(flow::FINGERPRINT)
                .map_or(&[][..], |one| one.payload);
            let mut number = [0; 16];
            for (to, from) in number.iter_mut().skip(4).zip(bytes) {
                *to = *from;
            }
            let number = u128::from_be_bytes(number);
            // The casts take the parts.
            Who::Fingerprint((number >> 32) as u64, number as u32)
        }
    };
    FlowInfo {
        who,
        backend: nest
            .get(flow::BACKEND)
            .map(|backend| (addr(Some(backend)), nest.u32(flow::ID))),
        idle: nest.u32(flow::IDLE),
        closing: nest.u8(flow::CLOSING) != 0,
    }
}

pub(super) fn bind_info(nest: Attrs<'_>) -> Option<Bind> {
    Some(Bind {
        addr: addr(nest.get(bind::ADDRESS)),
        prefix_len: nest.u8(bind::PREFIX_LEN),
        proto: Bind::proto_from_number(nest.u8(bind::PROTO))?,
        port_start: nest.u16(bind::PORT_START),
        port_end: nest.u16(bind::PORT_END),
    })
}

/// The number of a row: of 32 bits, or of 16 where an older module shows one.
pub(super) fn row(attrs: Attrs<'_>, short: u16, long: u16) -> Option<u32> {
    // The cast is exact: the specification has numbers of these sizes.
    let found = attrs.get(long).or_else(|| attrs.get(short));
    found.map(|attr| attr.number() as u32)
}

pub(super) fn hops(attrs: Attrs<'_>) -> Vec<HopInfo> {
    attrs
        .all(lookup::HOP)
        .map(|nest| nest.nested())
        .map(|nest| HopInfo {
            backend: nest.u8(hop::BACKEND),
            info: BackendInfo {
                // The cast is exact: the specification has a number of 8 bits.
                identifier: nest.get(hop::IDENTIFIER).map(|one| one.number() as u8),
                ..backend_info(
                    addr(nest.get(hop::ADDRESS)),
                    nest.u8(hop::STATE),
                    nest.u8(hop::HEALTHY),
                )
            },
        })
        .collect()
}

/// The settings of an answer. What is not in it is none, or its default.
pub(crate) fn config_info(attrs: Attrs<'_>) -> Settings {
    let mut settings = Settings::DEFAULT;
    for attr in attrs {
        if let Some(setting) = Setting::by_number(attr.kind) {
            if let Some(value) = setting.form.decode(attr.payload) {
                // The director would not have taken what is refused here.
                let _ = settings.set(setting, value);
            }
        }
    }
    settings
}

pub(crate) fn device_info(attrs: Attrs<'_>) -> Device {
    Device {
        ifindex: attrs.u32(device::IFINDEX),
        name: attrs.text(device::IFNAME),
        // A module that does not say has only this one.
        role: attrs.u8(device::ROLE),
    }
}

/// The roles that a module lists.
pub(super) fn roles(attrs: Attrs<'_>) -> Vec<u8> {
    // The cast is exact: the specification has numbers of this size.
    let listed: Vec<u8> = attrs
        .all(features::ROLE)
        .map(|one| one.number() as u8)
        .collect();
    match listed.is_empty() {
        true => vec![Role::default().number()],
        false => listed,
    }
}
