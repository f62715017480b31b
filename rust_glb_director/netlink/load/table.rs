// SPDX-License-Identifier: GPL-2.0

//! `table-add`: a table, its backends, and binds.

#![forbid(unsafe_code)]

use super::{attr, bind, change};
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::set::{AddressList, Backend};
use crate::tables::staging::{self, gfp, Form, Load, Refusal};
use glb_core::backend::{State as BackendState, MAX_BACKENDS};
use glb_core::director::{FlowHash, Forward, ForwardKind, Select, Selector, Unfit};
use glb_core::netlink::glb::{backend, operation};
use glb_core::packet::dscp::Dscp;
use glb_core::packet::gue::max_hops;
use glb_core::packet::ip::Family as IpFamily;
use glb_kernel::base::rcu;
use glb_kernel::base::vec::Append;
use glb_kernel::genl::{nest, nest_room, not_supported, Attr, Command, Rule, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

static BACKEND: [Rule; nest_room(&backend::SET)] = nest(&backend::SET);

/// `table-add`
pub(in crate::netlink) struct TableAdd;

impl Command for TableAdd {
    type Family = Family;
    const SPEC: Spec = operation::TABLE_ADD;
    const NESTS: &'static [(u16, Rule)] = &[
        (attr::BACKEND, Rule::nested(&BACKEND)),
        (attr::BIND, Rule::nested(&bind::BIND)),
    ];

    fn run(state: &State, request: &Request<'_>) -> Result {
        let two_rows = state.config(&rcu::Guard::new()).alt_hash_fields.is_some();
        change(state, request, |load, request| {
            let index = request.require(attr::TABLE)?;
            let next = load.tables.len();
            if index.u32()? as usize != next {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&index),
                    "tables come in order: the next one is {next}"
                ));
            }
            if next >= load.promise.tables {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&index),
                    "table-begin spoke of {next} tables"
                ));
            }
            let name = request.require(attr::NAME)?;
            if core::str::from_utf8(name.text()).is_err() {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&name),
                    "the name is not UTF-8"
                ));
            }
            let hash_key = request.require(attr::HASH_KEY)?.array::<16>()?;
            let hops = request.require(attr::HOPS)?;
            let num_hops = hops.u8()?;
            let form = Form {
                hops: num_hops,
                forward: forward(request)?,
                selector: selector(request)?,
            };
            check(request, &hops, &form)?;
            let (backends, addresses) = backends(load, request, form.forward)?;
            let underlay = addresses.family();
            let most = max_hops(underlay, two_rows);
            if num_hops > most {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&hops),
                    "{num_hops} hops: at most {most}{}{}",
                    match underlay {
                        IpFamily::V4 => "",
                        IpFamily::V6 => " with IPv6 backends",
                    },
                    if two_rows {
                        " while alt-hash-fields is set"
                    } else {
                        ""
                    }
                ));
            }
            load.row_bytes = load.row_bytes.saturating_add(form.row_bytes());
            if load.row_bytes > load.promise.row_bytes {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&hops),
                    "more rows than table-begin spoke of"
                ));
            }
            let to = (backends, addresses);
            let mut table = staging::table(name.text(), &hash_key, form, to)?;
            for nest in request.attrs().all(attr::BIND) {
                table
                    .binds
                    .append(bind::next(load, request, &nest)?, gfp())?;
            }
            Ok(load.tables.append(table, gfp())?)
        })
    }
}

/// How its packets leave.
fn forward(request: &Request<'_>) -> Result<Forward> {
    let Some(sent) = request.get(attr::FORWARD) else {
        return match request.get(attr::DSCP) {
            Some(dscp) => Err(refuse!(
                request,
                EINVAL,
                Some(&dscp),
                "forward gue gives packets no dscp"
            )),
            None => Ok(Forward::default()),
        };
    };
    let number = sent.u8()?;
    let kind = ForwardKind::from_number(number).ok_or_else(|| {
        refuse!(
            request,
            not_supported(),
            Some(&sent),
            "this module knows no forward {number}"
        )
    })?;
    let dscp = request.get(attr::DSCP);
    let value = match &dscp {
        Some(sent) => {
            let value = sent.u8()?;
            let in_range = Dscp::new(value)
                .ok_or_else(|| refuse!(request, EINVAL, Some(sent), "dscp {value}: at most 63"))?;
            Some(in_range)
        }
        None => None,
    };
    kind.with(value).ok_or_else(|| match dscp {
        Some(dscp) => refuse!(
            request,
            EINVAL,
            Some(&dscp),
            "forward {} gives packets no dscp",
            kind.name()
        ),
        None => refuse!(
            request,
            EINVAL,
            Some(&sent),
            "forward {} needs the attribute dscp",
            kind.name()
        ),
    })
}

/// How its packets find their rows.
fn selector(request: &Request<'_>) -> Result<Selector> {
    let mut selector = Selector::GLB;
    if let Some(sent) = request.get(attr::SELECT) {
        let number = sent.u8()?;
        selector.select = Select::from_number(number).ok_or_else(|| {
            refuse!(
                request,
                not_supported(),
                Some(&sent),
                "this module knows no select {number}"
            )
        })?;
    }
    if let Some(sent) = request.get(attr::NUM_ROWS) {
        selector.rows = sent.u32()?;
    }
    if let Some(sent) = request.get(attr::FLOW_HASH) {
        let number = sent.u8()?;
        selector.flow_hash = FlowHash::from_number(number).ok_or_else(|| {
            refuse!(
                request,
                not_supported(),
                Some(&sent),
                "this module knows no flow hash {number}"
            )
        })?;
    }
    Ok(selector)
}

/// Whether a table can be so.
fn check<'a>(request: &Request<'a>, hops: &Attr<'a>, form: &Form) -> Result {
    let selector = form.selector;
    let Err(unfit) = selector.check(form.hops, form.forward) else {
        return Ok(());
    };
    Err(match unfit {
        Unfit::Hops => refuse!(
            request,
            EINVAL,
            Some(hops),
            "{} hops: at least {}",
            form.hops,
            selector.least_hops(form.forward)
        ),
        Unfit::Rows => refuse!(
            request,
            EINVAL,
            request.get(attr::NUM_ROWS).as_ref(),
            "{} rows: {}",
            selector.rows,
            match (selector.select, selector.flow_hash) {
                (Select::Rows, _) => "must be 65536",
                (_, FlowHash::Vpp | FlowHash::VppSticky) =>
                    "must be a power of two, at most 524288",
                _ => "must be 1 to 655373",
            }
        ),
        Unfit::FlowHash => refuse!(
            request,
            EINVAL,
            request.get(attr::FLOW_HASH).as_ref(),
            "flow hash {}: only a Maglev table may have another one than 0",
            selector.flow_hash.number()
        ),
    })
}

/// The backends of a new table, and their addresses.
fn backends(
    load: &mut Load,
    request: &Request<'_>,
    forward: Forward,
) -> Result<(KVec<Backend>, AddressList)> {
    let mut backends = KVec::new();
    let mut addresses = None;
    for nest in request.attrs().all(attr::BACKEND) {
        let index = backends.len();
        if index >= MAX_BACKENDS {
            return Err(refuse!(
                request,
                E2BIG,
                Some(&nest),
                "more than {MAX_BACKENDS} backends"
            ));
        }
        let address = request.require_in(&nest, backend::ADDRESS)?;
        let addr = request.addr(&address)?;
        let list = addresses.get_or_insert_with(|| AddressList::of(addr));
        if !list.push(addr, gfp())? {
            return Err(refuse!(
                request,
                EINVAL,
                Some(&address),
                "backend {index} is not of the family of the first one"
            ));
        }
        let next_hop = load.next_hop(addr, forward).map_err(|refusal| match refusal {
            Refusal::Memory => ENOMEM,
            Refusal::NextHops => {
                refuse!(
                    request,
                    E2BIG,
                    Some(&address),
                    "more than 65535 different backends in all tables"
                )
            }
        })?;
        let nested = nest.nested();
        backends.append(
            Backend {
                next_hop,
                state: match nested.get(backend::STATE) {
                    Some(attr) => BackendState::from_number(attr.u8()?).ok_or(EINVAL)?,
                    None => BackendState::Active,
                },
                healthy: match nested.get(backend::HEALTHY) {
                    Some(attr) => attr.u8()? != 0,
                    None => true,
                },
            },
            gfp(),
        )?;
    }
    match addresses {
        Some(addresses) => Ok((backends, addresses)),
        None => {
            // Says that the attribute is missing.
            request.require(attr::BACKEND)?;
            Err(EINVAL)
        }
    }
}
