// SPDX-License-Identifier: GPL-2.0

//! Settings.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::config::Config;
use crate::state::State;
use crate::tables::TooManyHops;
use glb_core::hash::HashFields;
use glb_core::netlink::{command, config as attr};
use glb_kernel::genl::{notify, policy, Access, Command, Message, Rule};
use glb_kernel::rcu;
use glb_kernel::refuse;
use kernel::prelude::*;

/// `config-set`: what is not sent stays as it is.
pub(super) struct ConfigSet;

impl Command for ConfigSet {
    type Family = Family;
    const COMMAND: u8 = command::CONFIG_SET;
    const ACCESS: Access = Access::Admin;
    const POLICY: &'static [Rule] = &{
        const RULES: [Rule; 10] = policy(&[
            (attr::SOURCE_V4, Rule::bytes(4, 4)),
            (attr::SOURCE_V6, Rule::bytes(16, 16)),
            (attr::GATEWAY_MAC, Rule::bytes(6, 6)),
            (attr::HASH_FIELDS, Rule::u8_in(1, 15)),
            (attr::ALT_HASH_FIELDS, Rule::u8_in(0, 15)),
            (attr::FORWARD_ICMP_PING_RESPONSES, Rule::u8_in(0, 1)),
            (attr::UDP_PORT, Rule::u16_from(1)),
            (attr::UDP_CHECKSUM, Rule::u8_in(0, 1)),
            (attr::SEGMENT_TCP, Rule::u8_in(0, 1)),
        ]);
        RULES
    };

    fn run(state: &State, request: &Request<'_>) -> Result {
        let config = state.change_config(|config, too_long| change(config, request, too_long))?;
        notify(request.net(), command::CONFIG_NTF, 256, |message| {
            put(message, &config)
        });
        Ok(())
    }
}

/// An address of zeroes is none.
fn some<const N: usize>(bytes: [u8; N]) -> Option<[u8; N]> {
    (bytes != [0; N]).then_some(bytes)
}

fn change(config: &mut Config, request: &Request<'_>, too_long: Option<TooManyHops>) -> Result {
    for sent in request.attrs() {
        match sent.kind() {
            attr::SOURCE_V4 => {
                config.source_v4 = some(sent.array()?);
                if let Some([first, ..]) = config.source_v4 {
                    if first == 0 || first == 127 || first >= 224 {
                        return Err(refuse!(
                            request,
                            EINVAL,
                            Some(&sent),
                            "not the address of a host"
                        ));
                    }
                }
            }
            attr::SOURCE_V6 => {
                config.source_v6 = some(sent.array()?);
                if let Some([0xff, ..]) = config.source_v6 {
                    return Err(refuse!(
                        request,
                        EINVAL,
                        Some(&sent),
                        "not the address of a host"
                    ));
                }
            }
            attr::GATEWAY_MAC => {
                config.gateway_mac = some(sent.array()?);
                if let Some([first, ..]) = config.gateway_mac {
                    if first & 1 != 0 {
                        return Err(refuse!(
                            request,
                            EINVAL,
                            Some(&sent),
                            "a multicast address is no gateway's"
                        ));
                    }
                }
            }
            attr::HASH_FIELDS => {
                config.hash_fields = HashFields::from_bits(sent.u8()?).ok_or(EINVAL)?;
            }
            attr::ALT_HASH_FIELDS => {
                config.alt_hash_fields = HashFields::from_bits(sent.u8()?);
                if let (Some(_), Some(table)) = (config.alt_hash_fields, too_long) {
                    return Err(refuse!(
                        request,
                        EINVAL,
                        Some(&sent),
                        "a header can not name the hops of two rows: table {} has {} hops, at most {} go",
                        table.table,
                        table.hops,
                        table.most
                    ));
                }
            }
            attr::FORWARD_ICMP_PING_RESPONSES => {
                config.forward_icmp_ping_responses = sent.u8()? != 0;
            }
            attr::UDP_PORT => config.udp_port = sent.u16()?,
            attr::UDP_CHECKSUM => config.udp_checksum = sent.u8()? != 0,
            attr::SEGMENT_TCP => config.segment_tcp = sent.u8()? != 0,
            _ => return Err(EINVAL),
        }
    }
    Ok(())
}

fn put(message: &mut Message<'_>, config: &Config) -> Result {
    if let Some(source) = config.source_v4 {
        message.bytes(attr::SOURCE_V4, &source)?;
    }
    if let Some(source) = config.source_v6 {
        message.bytes(attr::SOURCE_V6, &source)?;
    }
    if let Some(mac) = config.gateway_mac {
        message.bytes(attr::GATEWAY_MAC, &mac)?;
    }
    message.u8(attr::HASH_FIELDS, config.hash_fields.bits())?;
    let alt = config.alt_hash_fields.map_or(0, HashFields::bits);
    message.u8(attr::ALT_HASH_FIELDS, alt)?;
    message.u8(
        attr::FORWARD_ICMP_PING_RESPONSES,
        u8::from(config.forward_icmp_ping_responses),
    )?;
    message.u16(attr::UDP_PORT, config.udp_port)?;
    message.u8(attr::UDP_CHECKSUM, u8::from(config.udp_checksum))?;
    message.u8(attr::SEGMENT_TCP, u8::from(config.segment_tcp))
}

/// `config-get`
pub(super) struct ConfigGet;

impl Command for ConfigGet {
    type Family = Family;
    const COMMAND: u8 = command::CONFIG_GET;
    const ACCESS: Access = Access::Everyone;
    const POLICY: &'static [Rule] = &[Rule::REFUSED];

    fn run(state: &State, request: &Request<'_>) -> Result {
        let config = *state.config(&rcu::Guard::new());
        request.reply(256, |message| put(message, &config))
    }
}
