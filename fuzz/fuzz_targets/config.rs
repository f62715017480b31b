// SPDX-License-Identifier: GPL-2.0

//! The readers of configuration files: no text makes them panic, and a file that is refused has an error.

#![no_main]

use glb_config::{director, healthcheck, tables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let checked = tables::read("f", text);
    assert_eq!(checked.value.is_none(), checked.errors().next().is_some());
    if let Some(config) = checked.value {
        for table in &config.tables {
            assert!((1..=256).contains(&table.backends.len()));
            assert!(table.binds.len() <= 256);
        }
    }
    let checked = director::read("f", text);
    assert_eq!(checked.value.is_none(), checked.errors().next().is_some());
    let checked = healthcheck::read("f", text);
    assert_eq!(checked.value.is_none(), checked.errors().next().is_some());
});
