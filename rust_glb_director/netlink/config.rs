// SPDX-License-Identifier: GPL-2.0

//! Settings: what `core/src/settings.rs` says of each, and what only a running director knows.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::config::Config;
use crate::state::State;
use crate::tables::set::TooManyHops;
use glb_core::netlink::glb::{command, operation};
use glb_core::settings::{Setting, MAX_PREFIXES, PREFIX_LEN};
use glb_kernel::base::rcu;
use glb_kernel::genl::{notify, Command, Message, Spec};
use glb_kernel::refuse;
use kernel::prelude::*;

/// `config-set`: what is not sent stays as it is.
pub(super) struct ConfigSet;

impl Command for ConfigSet {
    type Family = Family;
    const SPEC: Spec = operation::CONFIG_SET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let config = state.change_config(|config, too_long| change(config, request, too_long))?;
        notify(request.net(), command::CONFIG_NTF, SIZE, |message| {
            put(message, &config)
        });
        Ok(())
    }
}

fn change(config: &mut Config, request: &Request<'_>, too_long: Option<TooManyHops>) -> Result {
    for sent in request.attrs() {
        let setting = Setting::by_number(sent.kind()).ok_or(EINVAL)?;
        let value = setting
            .form
            .decode(sent.bytes())
            .ok_or_else(|| refuse!(request, EINVAL, Some(&sent), "no value of this setting"))?;
        if let Err(reason) = config.set(setting, value) {
            return Err(refuse!(request, EINVAL, Some(&sent), "{}", reason));
        }
        if setting.number != Setting::ALT_HASH_FIELDS.number {
            continue;
        }
        if let (Some(_), Some(table)) = (config.alt_hash_fields, too_long) {
            return Err(refuse!(
                request,
                EINVAL,
                Some(&sent),
                "a header cannot name the hops of two rows: table {} has {} hops, at most {} go",
                table.table,
                table.hops,
                table.most
            ));
        }
    }
    Ok(())
}

fn put(message: &mut Message<'_>, config: &Config) -> Result {
    for setting in Setting::ALL {
        let value = config.get(setting);
        if !value.is_unset_address() {
            value.encode(|payload| message.bytes(setting.number, payload))?;
        }
    }
    Ok(())
}

/// Bytes of a message with all settings, of which those with prefixes are the longest.
const SIZE: usize = 256 + PREFIX_LEN * MAX_PREFIXES;

/// `config-get`
pub(super) struct ConfigGet;

impl Command for ConfigGet {
    type Family = Family;
    const SPEC: Spec = operation::CONFIG_GET;

    fn run(state: &State, request: &Request<'_>) -> Result {
        let config = *state.config(&rcu::Guard::new());
        request.reply(SIZE, |message| put(message, &config))
    }
}
