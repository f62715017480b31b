// SPDX-License-Identifier: GPL-2.0

//! Binds: of `table-add`, and of `bind-add`.

#![forbid(unsafe_code)]

use super::{attr, change, named};
use crate::netlink::{Family, Request};
use crate::state::State;
use crate::tables::memory::gfp;
use crate::tables::staging::Load;
use glb_core::director::classify::bind::Bind;
use glb_core::netlink::glb::{bind, operation};
use glb_kernel::base::vec::Append;
use glb_kernel::genl::{nest, nest_room, Attr, Command, Rule, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

pub(super) static BIND: [Rule; nest_room(&bind::SET)] = nest(&bind::SET);

/// The next bind of a load, if the load has not had all.
pub(super) fn next<'a>(load: &mut Load, request: &Request<'a>, nest: &Attr<'a>) -> Result<Bind> {
    if load.num_binds >= load.promise.binds {
        return Err(refuse!(
            request,
            EINVAL,
            Some(nest),
            "table-begin spoke of {} binds",
            load.promise.binds
        ));
    }
    load.num_binds = load.num_binds.wrapping_add(1);
    let addr = request.addr(&request.require_in(nest, bind::ADDRESS)?)?;
    let prefix_len = match nest.nested().get(bind::PREFIX_LEN) {
        None => addr.bits(),
        Some(attr) => {
            let len = attr.u8()?;
            if len > addr.bits() {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&attr),
                    "a prefix of {len} bits: at most {}",
                    addr.bits()
                ));
            }
            len
        }
    };
    let proto = request.require_in(nest, bind::PROTO)?;
    let number = proto.u8()?;
    let proto = Bind::proto_from_number(number).ok_or_else(|| {
        refuse!(
            request,
            EINVAL,
            Some(&proto),
            "protocol {number}: must be 6 (TCP), 17 (UDP), 132 (SCTP) or 0 (all)"
        )
    })?;
    let first = nest.nested().get(bind::PORT_START);
    let port_start = match (&first, proto) {
        (Some(attr), _) => attr.u16()?,
        (None, None) => 0,
        (None, Some(_)) => request.require_in(nest, bind::PORT_START)?.u16()?,
    };
    let port_end = match nest.nested().get(bind::PORT_END) {
        None if proto.is_none() && first.is_none() => u16::MAX,
        None => port_start,
        Some(attr) => {
            let end = attr.u16()?;
            if end < port_start {
                return Err(refuse!(
                    request,
                    EINVAL,
                    Some(&attr),
                    "ports {port_start} to {end}: the wrong way round"
                ));
            }
            end
        }
    };
    let new = Bind {
        addr,
        prefix_len,
        proto,
        port_start,
        port_end,
    };
    if !new.has_fit_ports() {
        return Err(refuse!(
            request,
            EINVAL,
            first.as_ref(),
            "ports {port_start} to {port_end}: a bind of protocol 0 (all) has all ports"
        ));
    }
    Ok(new)
}

/// `bind-add`
pub(in crate::netlink) struct BindAdd;

impl Command for BindAdd {
    type Family = Family;
    const SPEC: Spec = operation::BIND_ADD;
    const NESTS: &'static [(u16, Rule)] = &[(attr::BIND, Rule::nested(&BIND))];

    fn run(state: &State, request: &Request<'_>) -> Result {
        change(state, request, |load, request| {
            for nest in request.attrs().all(attr::BIND) {
                let bind = next(load, request, &nest)?;
                named(load, request)?.binds.append(bind, gfp())?;
            }
            Ok(())
        })
    }
}
