// SPDX-License-Identifier: GPL-2.0

//! `features-get`: what this module can, for tools of another version.

#![forbid(unsafe_code)]

use super::{Family, Request};
use crate::front::role::Able;
use crate::state::State;
use crate::tables::set::{MAX_BINDS, MAX_TABLES};
use glb_core::director::flows::By;
use glb_core::director::{FlowHash, ForwardKind, Select};
use glb_core::netlink::glb::{features, operation};
use glb_core::settings::Setting;
use glb_kernel::genl::{Command, Spec};
use kernel::prelude::*;

/// Room for 32 forwards, 64 settings, 16 selects and flow hashes, 16 keys of flows and roles, what `attach` knows, and identifiers.
const SIZE: usize = 1024 + 128 + 16;
const _: () = assert!(ForwardKind::ALL.len() <= 32 && Setting::ALL.len() <= 64);
const _: () = assert!(By::ALL.len() + Able::ALL.len() <= 16);
const _: () = assert!(Select::ALL.len() + FlowHash::ALL.len() <= 16);

/// `features-get`
pub(super) struct FeaturesGet;

impl Command for FeaturesGet {
    type Family = Family;
    const SPEC: Spec = operation::FEATURES_GET;

    fn run(_: &State, request: &Request<'_>) -> Result {
        request.reply(SIZE, |message| {
            for forward in ForwardKind::ALL {
                message.u8(features::FORWARD, forward.number())?;
            }
            for setting in Setting::ALL {
                message.u32(features::SETTING, u32::from(setting.number))?;
            }
            // The casts are exact: they are numbers of 32 bits in the specification.
            message.u32(features::MAX_TABLES, MAX_TABLES as u32)?;
            message.u32(features::MAX_BINDS, MAX_BINDS as u32)?;
            for select in Select::ALL {
                message.u8(features::SELECT, select.number())?;
            }
            for flow_hash in FlowHash::ALL {
                message.u8(features::FLOW_HASH, flow_hash.number())?;
            }
            for by in By::ALL {
                message.u8(features::FLOWS_BY, by.number())?;
            }
            for able in Able::ALL {
                message.u8(features::ROLE, able.role().number())?;
            }
            message.u8(features::REPLACE, 1)?;
            message.u8(features::CLASSES, 1)?;
            message.u8(features::IDENTIFIERS, 1)
        })
    }
}
