// SPDX-License-Identifier: GPL-2.0

//! `flow-get`, `flow-flush`: the flows that are remembered.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::state::State;
use crate::tables::flows::{now, Flows};
use crate::tables::set::{Table, TableSet};
use glb_core::director::flows::{Listed, Who};
use glb_core::director::ids::Tag;
use glb_core::netlink::glb::{flow, flow_list as attr, operation};
use glb_core::packet::addr::Addr;
use glb_kernel::base::rcu;
use glb_kernel::genl::{Command, Cursor, Dump, Message, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

/// Flows of a message, but for those of the last bucket: several messages fit a buffer of netlink's least size.
const FLOWS_A_MESSAGE: usize = 16;

/// What a request asks for.
struct Wanted<'a> {
    name: Option<&'a [u8]>,
    backend: Option<Addr>,
}

impl<'a> Wanted<'a> {
    /// Reads a request; a table that is named must be there, and remember flows.
    fn of(request: &Request<'a>, set: Option<&TableSet>) -> Result<Self> {
        let name = request.get(attr::NAME);
        if let Some(sent) = &name {
            let mut tables = set.map_or(&[][..], |set| &set.tables).iter();
            let table = tables.find(|table| &table.name[..] == sent.text());
            let why = match table {
                None => Some("no such table"),
                Some(table) if table.flows.is_none() => Some("this table remembers no flows"),
                Some(_) => None,
            };
            if let Some(why) = why {
                return Err(refuse!(request, ENOENT, Some(sent), "{why}"));
            }
        }
        let backend = match request.get(attr::BACKEND) {
            Some(sent) => Some(request.addr(&sent)?),
            None => None,
        };
        Ok(Self {
            name: name.map(|sent| sent.text()),
            backend,
        })
    }

    /// The flows of a table, if they are wanted.
    fn flows<'t>(&self, table: &'t Table) -> Option<&'t Flows> {
        let is_wanted = self.name.is_none_or(|name| name == &table.name[..]);
        table.flows.as_deref().filter(|_| is_wanted)
    }

    /// Whether the backend of a tag is wanted.
    fn has(&self, table: &Table, tag: Tag) -> bool {
        let Some(wanted) = self.backend else {
            return true;
        };
        let index = table.roster.backend(tag);
        index.and_then(|index| table.addresses.get(index)) == Some(wanted)
    }
}

/// `flow-get`
pub(super) struct FlowGet;

impl Dump for FlowGet {
    type Family = Family;
    const SPEC: Spec = operation::FLOW_GET;

    fn generation(state: &State) -> u32 {
        state.generation()
    }

    fn next(
        state: &State,
        request: &Request<'_>,
        [index, first]: &mut Cursor,
        message: &mut Message<'_>,
    ) -> Result<bool> {
        let rcu = rcu::Guard::new();
        let set = state.tables(&rcu);
        let wanted = Wanted::of(request, set)?;
        let Some(set) = set else {
            return Ok(false);
        };
        while let Some(table) = set.tables.get(*index) {
            let piece = match (wanted.flows(table), &table.flow_spec) {
                (Some(flows), Some(spec)) => Some((flows, spec.rules)),
                _ => None,
            };
            let Some((flows, rules)) = piece.filter(|(flows, _)| *first < flows.len()) else {
                (*index, *first) = (index.wrapping_add(1), 0);
                continue;
            };
            message.text(attr::NAME, &table.name)?;
            // The casts are exact: the numbers of tables and of buckets are bounded.
            message.u32(attr::TABLE, *index as u32)?;
            message.u32(attr::BUCKETS, flows.len() as u32)?;
            let now = now();
            let mut count = 0usize;
            for bucket in flows.piece(*first) {
                for listed in bucket.list(rules, now) {
                    if wanted.has(table, listed.tag) {
                        message.nest(attr::FLOW, |message| put(message, table, &listed))?;
                        count = count.wrapping_add(1);
                    }
                }
                *first = first.wrapping_add(1);
                if count >= FLOWS_A_MESSAGE {
                    break;
                }
            }
            message.u32(attr::DONE, *first as u32)?;
            return Ok(true);
        }
        Ok(false)
    }
}

fn put(message: &mut Message<'_>, table: &Table, listed: &Listed) -> Result {
    match listed.who {
        Who::Flow {
            proto,
            client: (client, client_port),
            bound: (bound, bound_port),
        } => {
            message.u8(flow::PROTO, proto.number())?;
            message.addr(flow::SRC, &client)?;
            message.u16(flow::SRC_PORT, client_port)?;
            message.addr(flow::DST, &bound)?;
            message.u16(flow::DST_PORT, bound_port)?;
        }
        Who::Client(client) => message.addr(flow::SRC, &client)?,
        Who::Fingerprint(high, low) => {
            let ([h0, h1, h2, h3, h4, h5, h6, h7], [l0, l1, l2, l3]) =
                (high.to_be_bytes(), low.to_be_bytes());
            let bytes = [h0, h1, h2, h3, h4, h5, h6, h7, l0, l1, l2, l3];
            message.bytes(flow::FINGERPRINT, &bytes)?;
        }
    }
    if let Some(index) = table.roster.backend(listed.tag) {
        if let Some(addr) = table.addresses.get(index) {
            message.addr(flow::BACKEND, &addr)?;
        }
        if let Some(id) = table.roster.id(index) {
            message.u32(flow::ID, id.number())?;
        }
    }
    message.u32(flow::IDLE, u32::from(listed.idle))?;
    message.u8(flow::CLOSING, u8::from(listed.closing))
}

/// `flow-flush`
pub(super) struct FlowFlush;

impl Command for FlowFlush {
    type Family = Family;
    const SPEC: Spec = operation::FLOW_FLUSH;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let wanted = {
            let rcu = rcu::Guard::new();
            Wanted::of(request, state.tables(&rcu))?
        };
        let flushed =
            state.forget(|table, tag| wanted.flows(table).is_some() && wanted.has(table, tag));
        request.reply(64, |message| message.uint(attr::FLUSHED, flushed))
    }
}
