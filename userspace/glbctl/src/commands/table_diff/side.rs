// SPDX-License-Identifier: GPL-2.0

//! One side of a comparison: tables from a file or from the running director, with the settings that go
//! with them.

use super::rows::Hashing;
use crate::cli::table::TableDiff;
use crate::commands::key::Key;
use crate::commands::running;
use crate::load::{self, Tables};
use crate::output::Failure;
use glb_config::compiled::Compiled;
use glb_config::director::Director;
use glb_config::quoted;
use glb_config::tables::Config;
use glb_core::director::classify::flow::NamedClass;
use glb_core::packet::addr::Addr;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

pub(super) struct Side {
    pub(super) tables: Vec<Compiled>,
    /// The classes; those of a running director are not known.
    pub(super) classes: Vec<NamedClass>,
    /// Whether it is a running director that has some.
    pub(super) has_untold_classes: bool,
    /// The file, where it is JSON: health checks stand nowhere else.
    pub(super) config: Option<Config>,
    /// What is known of each table's key of the packet hash.
    pub(super) keys: Vec<Key>,
    pub(super) settings: Option<Settings>,
}

/// The settings that matter to a roll-out.
pub(super) struct Settings {
    pub(super) hashing: Hashing,
    pub(super) udp_port: u64,
    /// All of `director.conf`; nothing of the running director.
    pub(super) tree: Option<Value>,
}

impl Settings {
    fn of_file(director: &Director) -> Self {
        let port = director.tree.get("udp_port").and_then(Value::as_u64);
        Self {
            hashing: Hashing {
                fields: director.settings.hash_fields,
                alt: director.settings.alt_hash_fields,
            },
            udp_port: port.unwrap_or(u64::from(glb_core::packet::gue::PORT)),
            tree: Some(director.tree.clone()),
        }
    }
}

/// Both sides, and what had to be assumed about them.
pub(super) fn read(args: &TableDiff, json: bool) -> Result<(Side, Side, Vec<String>), Failure> {
    let mut notes = Vec::new();
    let files = [
        &args.old,
        &Some(args.new.clone()),
        &args.old_config,
        &args.new_config,
    ];
    let files: Vec<&Path> = files.into_iter().flatten().map(PathBuf::as_path).collect();
    load::only_one_standard_input(&files)?;
    let settings = |file: &Option<PathBuf>| {
        let read = |file: &PathBuf| load::director(file, json).map(|conf| Settings::of_file(&conf));
        file.as_ref().map(read).transpose()
    };
    let (old_settings, new_settings) = (settings(&args.old_config)?, settings(&args.new_config)?);
    let (old, new) = match &args.old {
        Some(path) => {
            let old = load::either_with_classes(path, json)?;
            let new = load::either_with_classes(&args.new, json)?;
            let old = finish(path, old, None, &mut notes)?;
            let new = finish(&args.new, new, Some(&old), &mut notes)?;
            (
                Side {
                    settings: old_settings,
                    ..old
                },
                new,
            )
        }
        None => {
            let new = load::either_with_classes(&args.new, json)?;
            let (mut old, has_classes) = running()?;
            let new = finish(&args.new, new, Some(&old), &mut notes)?;
            if let Some(note) = not_compared(has_classes, &new.classes) {
                notes.push(note.to_owned());
                old.classes.clone_from(&new.classes);
            }
            (old, new)
        }
    };
    Ok((
        old,
        Side {
            settings: new_settings,
            ..new
        },
        notes,
    ))
}

/// What is said where classes cannot be compared: a director has their words only. That it has none is known.
fn not_compared(running: Option<bool>, new: &[NamedClass]) -> Option<&'static str> {
    match (running, new) {
        (Some(true), []) => Some(
            "the running director has classes, and the new tables have none: packets that classes take now will go by binds",
        ),
        (Some(false), _) | (None, []) => None,
        _ => Some("classes are not compared: a director does not tell those that it has"),
    }
}

fn finish(
    path: &Path,
    tables: Tables,
    other: Option<&Side>,
    notes: &mut Vec<String>,
) -> Result<Side, Failure> {
    let (tables, classes, config) = match tables {
        Tables::Built(file) => (file.tables, file.classes, None),
        Tables::Config(mut config) => {
            assume_health(path, &mut config, other, notes);
            let tables = load::compile(path, &config)?;
            (tables, config.classes.clone(), Some(config))
        }
    };
    Ok(Side {
        keys: tables
            .iter()
            .map(|table| Key::Known(table.hash_key))
            .collect(),
        tables,
        classes,
        has_untold_classes: false,
        config,
        settings: None,
    })
}

/// The health checker's source says nothing of health. What the checker will publish is what the other side
/// says of the same backend, or that it is healthy; to take all for down would hide what moves.
fn assume_health(path: &Path, config: &mut Config, other: Option<&Side>, notes: &mut Vec<String>) {
    let trees = config.tree.get("tables").cloned().unwrap_or_default();
    for (index, table) in config.tables.iter_mut().enumerate() {
        let says = |place: usize| {
            trees
                .get(index)
                .and_then(|table| table.get("backends")?.get(place)?.get("healthy"))
                .is_some()
        };
        if (0..table.backends.len()).any(says) {
            continue;
        }
        let label = table.label(index);
        let mut told = false;
        for one in &mut table.backends {
            let health = other.and_then(|other| other.health(&label, one.backend.addr));
            told |= health.is_some();
            one.backend.healthy = health.unwrap_or(true);
        }
        let taken = if told {
            "it is taken from the other side"
        } else {
            "all are taken for healthy"
        };
        notes.push(format!(
            "{}: table {}: nothing is said of health: {taken}",
            load::name(path),
            quoted(&label)
        ));
    }
}

impl Side {
    fn health(&self, table: &str, addr: Addr) -> Option<bool> {
        let mut found = None;
        for (index, one) in self.tables.iter().enumerate() {
            let same = one.label(index) == table;
            for backend in one.backends.iter().filter(|b| b.backend.addr == addr) {
                if same || found.is_none() {
                    found = Some(backend.backend.healthy);
                }
                if same {
                    return found;
                }
            }
        }
        found
    }

    /// The `healthchecks` of a backend; nothing if this side has no such thing.
    pub(super) fn checks(&self, table: usize, addr: Addr) -> Option<Map<String, Value>> {
        let config = self.config.as_ref()?;
        let backends = &config.tables.get(table)?.backends;
        let place = backends.iter().position(|one| one.backend.addr == addr)?;
        let tree = config.tree.get("tables")?.get(table)?;
        let checks = tree.get("backends")?.get(place)?.get("healthchecks");
        Some(
            checks
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        )
    }
}

/// The running director, and whether it has classes.
fn running() -> Result<(Side, Option<bool>), Failure> {
    let running = running::tables::all()?;
    let config = running.config;
    let has_classes = running.has_classes;
    let side = Side {
        keys: running.keys(),
        tables: running.tables,
        classes: Vec::new(),
        has_untold_classes: has_classes == Some(true),
        config: None,
        settings: Some(Settings {
            hashing: Hashing {
                fields: config.hash_fields,
                alt: config.alt_hash_fields,
            },
            udp_port: u64::from(config.udp_port),
            tree: None,
        }),
    };
    Ok((side, has_classes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use glb_core::director::classify::flow::Class;

    #[test]
    fn says_where_classes_are_not_compared() {
        let class = NamedClass {
            name: "c".to_owned(),
            class: Class::default(),
        };
        let some = [class];
        let said = |running, new| not_compared(running, new).is_some();
        for (running, of_none, of_some) in [
            (Some(true), true, true),
            // Nothing is unknown of a director without classes: those of the file are new.
            (Some(false), false, false),
            (None, false, true),
        ] {
            assert_eq!(
                (said(running, &[]), said(running, &some)),
                (of_none, of_some)
            );
        }
    }
}
