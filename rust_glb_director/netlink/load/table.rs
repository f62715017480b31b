// SPDX-License-Identifier: GPL-2.0

//! `table-add`: a table, its backends, and binds.

#![forbid(unsafe_code)]

use super::{attr, bind, change};
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::memory::gfp;
use crate::tables::set::{AddressList, Backend};
use crate::tables::staging::{self, Form, Load, Refusal};
use core::num::NonZeroU16;
use glb_core::backend::{Identifiers, State as BackendState, MAX_BACKENDS};
use glb_core::director::counts::MAX_BACKENDS as MAX_COUNTED;
use glb_core::director::flows::{By, Rules, Spec as FlowSpec, Unfit as UnfitFlows};
use glb_core::director::{
    FlowHash, Forward, ForwardKind, Given, MarkOffset, Misfit, Select, Selector, Unfit,
};
use glb_core::netlink::glb::{backend, flows, operation};
use glb_core::packet::dscp::Dscp;
use glb_core::packet::gue::max_hops;
use glb_core::packet::ip::Family as IpFamily;
use glb_kernel::base::rcu;
use glb_kernel::base::vec::Append;
use glb_kernel::genl::{nest, nest_room, not_supported, Attr, Command, Rule, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

static FLOWS: [Rule; nest_room(&flows::SET)] = nest(&flows::SET);
static BACKEND: [Rule; nest_room(&backend::SET)] = nest(&backend::SET);

/// `table-add`
pub(in crate::netlink) struct TableAdd;

impl Command for TableAdd {
    type Family = Family;
    const SPEC: Spec = operation::TABLE_ADD;
    const NESTS: &'static [(u16, Rule)] = &[
        (attr::BACKEND, Rule::nested(&BACKEND)),
        (attr::BIND, Rule::nested(&bind::BIND)),
        (attr::FLOWS, Rule::nested(&FLOWS)),
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
                flows: flow_spec(load, request)?,
            };
            check(request, &hops, &form)?;
            let (backends, addresses) = backends(load, request, form.forward)?;
            if !form.is_plain() {
                count(load, request, &backends)?;
            }
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
    let (dscp, target_port) = (request.get(attr::DSCP), request.get(attr::TARGET_PORT));
    let mark_offset = request.get(attr::MARK_OFFSET);
    let sent = request.get(attr::FORWARD);
    let number = match &sent {
        Some(sent) => sent.u8()?,
        None => ForwardKind::default().number(),
    };
    let kind = ForwardKind::from_number(number).ok_or_else(|| {
        refuse!(
            request,
            not_supported(),
            sent.as_ref(),
            "this module knows no forward {number}"
        )
    })?;
    let given = Given {
        dscp: match &dscp {
            Some(sent) => {
                let value = sent.u8()?;
                let in_range = Dscp::new(value).ok_or_else(|| {
                    refuse!(request, EINVAL, Some(sent), "dscp {value}: at most 63")
                })?;
                Some(in_range)
            }
            None => None,
        },
        target_port: match &target_port {
            Some(sent) => NonZeroU16::new(sent.u16()?),
            None => None,
        },
        mark_offset: match &mark_offset {
            Some(sent) => {
                let value = sent.u32()?;
                let fits = MarkOffset::new(value).ok_or_else(|| {
                    let most = MarkOffset::MAX;
                    refuse!(
                        request,
                        EINVAL,
                        Some(sent),
                        "mark-offset {value}: 1 to {most}"
                    )
                })?;
                Some(fits)
            }
            None => None,
        },
    };
    let name = kind.name();
    kind.with(given).map_err(|misfit| match misfit {
        Misfit::NoDscp => refuse!(
            request,
            EINVAL,
            sent.as_ref(),
            "forward {name} needs the attribute dscp"
        ),
        Misfit::Dscp => refuse!(
            request,
            EINVAL,
            dscp.as_ref(),
            "forward {name} gives packets no dscp"
        ),
        Misfit::TargetPort => refuse!(
            request,
            EINVAL,
            target_port.as_ref(),
            "forward {name} gives packets no port"
        ),
        Misfit::NoMarkOffset => refuse!(
            request,
            EINVAL,
            sent.as_ref(),
            "forward {name} needs the attribute mark-offset"
        ),
        Misfit::MarkOffset => refuse!(
            request,
            EINVAL,
            mark_offset.as_ref(),
            "forward {name} gives packets no mark"
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

/// How the table remembers flows, if it does.
fn flow_spec(load: &mut Load, request: &Request<'_>) -> Result<Option<FlowSpec>> {
    let Some(nest) = request.get(attr::FLOWS) else {
        return Ok(None);
    };
    let nested = nest.nested();
    let default = FlowSpec::default();
    let buckets = match nested.get(flows::BUCKETS) {
        Some(sent) => sent.u32()?,
        None => default.buckets,
    };
    let timeout = match nested.get(flows::TIMEOUT) {
        Some(sent) => sent.u32()?,
        None => u32::from(default.rules.timeout),
    };
    let by = match nested.get(flows::BY) {
        Some(sent) => {
            let number = sent.u8()?;
            By::from_number(number).ok_or_else(|| {
                refuse!(
                    request,
                    not_supported(),
                    Some(&sent),
                    "this module cannot remember flows by {number}"
                )
            })?
        }
        None => default.rules.by,
    };
    // What is too long for the type is too long.
    let seconds = u16::try_from(timeout).unwrap_or(u16::MAX);
    let spec = FlowSpec::new(buckets, seconds, by).map_err(|unfit| match unfit {
        UnfitFlows::Buckets => refuse!(
            request,
            EINVAL,
            nested.get(flows::BUCKETS).as_ref(),
            "{buckets} buckets of flows: must be 1 to {}",
            Rules::MAX_BUCKETS
        ),
        UnfitFlows::Timeout => refuse!(
            request,
            EINVAL,
            nested.get(flows::TIMEOUT).as_ref(),
            "flows time out after {timeout} s: must be 1 to {}",
            Rules::MAX_TIMEOUT
        ),
    })?;
    load.flow_bytes = load.flow_bytes.saturating_add(spec.bytes());
    if load.flow_bytes > FlowSpec::MAX_BYTES {
        return Err(refuse!(
            request,
            E2BIG,
            Some(&nest),
            "flows of all tables need {} MiB: at most {}; fewer buckets, or none",
            load.flow_bytes.div_ceil(1 << 20),
            FlowSpec::MAX_BYTES >> 20
        ));
    }
    Ok(Some(spec))
}

/// Counts the backends of a service, as each has counters of its own.
fn count(load: &mut Load, request: &Request<'_>, backends: &[Backend]) -> Result {
    load.num_counted = load.num_counted.saturating_add(backends.len());
    if load.num_counted > MAX_COUNTED {
        return Err(refuse!(
            request,
            E2BIG,
            request.get(attr::BACKEND).as_ref(),
            "{} backends of services in all tables, which have counters: at most {MAX_COUNTED}",
            load.num_counted
        ));
    }
    Ok(())
}

/// The backends of a new table, and their addresses.
fn backends(
    load: &mut Load,
    request: &Request<'_>,
    forward: Forward,
) -> Result<(KVec<Backend>, AddressList)> {
    let mut backends = KVec::new();
    let mut addresses = None;
    let mut identifiers = Identifiers::default();
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
        let next_hop = load
            .next_hop(addr, forward)
            .map_err(|refusal| match refusal {
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
        if let Some(id) = nested.get(backend::ID) {
            return Err(refuse!(
                request,
                EINVAL,
                Some(&id),
                "backend {index}: its id is the module's to give"
            ));
        }
        let identifier = match nested.get(backend::IDENTIFIER) {
            Some(sent) => sent.u8()?,
            // The cast is exact: there are at most 256.
            None => index as u8,
        };
        if !identifiers.add(identifier) {
            return Err(refuse!(
                request,
                EINVAL,
                Some(&nest),
                "backend {index}: another one has the identifier {identifier}"
            ));
        }
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
                identifier,
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
