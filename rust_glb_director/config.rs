// SPDX-License-Identifier: GPL-2.0

//! What the operator has set in a namespace: the settings of `core/src/settings.rs`, immutable once published.

#![forbid(unsafe_code)]

pub(crate) use glb_core::settings::Settings as Config;
