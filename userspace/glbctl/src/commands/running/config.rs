// SPDX-License-Identifier: GPL-2.0

//! `glbctl config show`, `set` and `load`.

use super::{director, director_or_load};
use crate::cli::config::ConfigCommand;
use crate::commands::config_check;
use crate::commands::settings::ConfigView;
use crate::load;
use crate::output::{print, Failure};
use glb_config::{atomic, director as file};
use glb_core::settings::Setting;
use serde_json::Value as Json;
use std::io;
use std::path::Path;

pub(crate) fn run(command: &ConfigCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show { file: None } => show(as_json),
        ConfigCommand::Show { file: Some(file) } => write_file(file),
        ConfigCommand::Check { file } => config_check::run(file, as_json),
        ConfigCommand::Set(set) => {
            director_or_load()?.set_config(&set.changes)?;
            if as_json {
                return show(as_json);
            }
            Ok(())
        }
        ConfigCommand::Load { file } => {
            // All of them: what the file does not name goes back to its default.
            let read = load::director(file, as_json)?;
            if let Some(issue) = read.no_source(&load::name(file)) {
                return Err(Failure::Issues(vec![issue]));
            }
            let settings = read.settings;
            let all = Setting::ALL.iter();
            let all: Vec<_> = all.map(|one| (one, settings.get(one))).collect();
            director_or_load()?.set_config(&all)?;
            if as_json {
                return show(as_json);
            }
            Ok(())
        }
    }
}

fn show(as_json: bool) -> Result<(), Failure> {
    let view = ConfigView(director()?.config()?);
    print(as_json, &view, |out| view.write(out))
}

/// Writes the running settings as a `director.conf`.
fn write_file(path: &Path) -> Result<(), Failure> {
    let settings = director()?.config()?;
    if path == Path::new("-") {
        return print(true, &file::write(&settings, &Json::Null), |_| Ok(()));
    }
    let old = match std::fs::read_to_string(path) {
        Ok(old) => serde_json::from_str(&old).map_err(|error| {
            let path = path.display();
            Failure::Message(format!(
                "{path}: not JSON, and so not written over: {error}"
            ))
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Json::Null,
        Err(error) => return Err(Failure::file(path, &error)),
    };
    let new = file::write(&settings, &old);
    let written = atomic::write(path, |out| {
        serde_json::to_writer_pretty(&mut *out, &new)?;
        writeln!(out)
    });
    written.map_err(|error| Failure::file(path, &error))
}
