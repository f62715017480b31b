// SPDX-License-Identifier: GPL-2.0

//! The settings of a director as they are shown.

use glb_config::settings::{json, text};
use glb_core::settings::{Setting, Settings};
use serde::{Serialize, Serializer};
use std::io::{self, Write};

/// The settings as they are shown.
pub(crate) struct ConfigView(pub(crate) Settings);

impl Serialize for ConfigView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = Setting::ALL.iter();
        serializer.collect_map(settings.map(|setting| (setting.field, json(self.0.get(setting)))))
    }
}

impl ConfigView {
    /// A line each, as `config set` takes it.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let longest = Setting::ALL
            .iter()
            .map(|setting| setting.option.len())
            .max();
        let width = longest.unwrap_or_default();
        Setting::ALL.iter().try_for_each(|setting| {
            let value = text(self.0.get(setting));
            writeln!(out, "{:<width$}  {value}", setting.option)
        })
    }
}
