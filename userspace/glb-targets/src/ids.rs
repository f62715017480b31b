// SPDX-License-Identifier: GPL-2.0

//! Identifiers: which target of a service has which, kept in a file across restarts.
//!
//! A target that left is remembered, so that it gets its identifier back if it returns before somebody else needs it.

use glb_config::{atomic, io_reason};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// The identifiers of a service's targets, by their names. Each is of one target.
pub(crate) type OfService = BTreeMap<String, u16>;

/// All identifiers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ids(pub(crate) BTreeMap<String, OfService>);

impl Ids {
    /// Who has them.
    pub(crate) fn owners(&self) -> crate::Owners {
        let of = |(service, ids): (&String, &OfService)| {
            let owner = |(name, id): (&String, &u16)| ((service.clone(), *id), name.clone());
            ids.iter().map(owner).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

/// Gives an identifier to a target; who was remembered to have had it is forgotten.
pub(crate) fn give(ids: &mut OfService, name: &str, id: u16) {
    ids.retain(|_, other| *other != id);
    ids.insert(name.to_owned(), id);
}

/// Those that were kept. Nothing is kept where there is no file.
pub(crate) fn read(path: &Path) -> Result<Ids, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ids::default()),
        Err(error) => return Err(format!("{}: {}", path.display(), io_reason(&error))),
    };
    parse(&text).ok_or_else(|| format!("{}: has no identifiers of glb-targets", path.display()))
}

fn parse(text: &str) -> Option<Ids> {
    let tree: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut all = Ids::default();
    for (service, names) in tree {
        let mut ids = OfService::new();
        for (name, id) in names.as_object()? {
            give(&mut ids, name, u16::try_from(id.as_u64()?).ok()?);
        }
        all.0.insert(service, ids);
    }
    Some(all)
}

/// Keeps them.
pub(crate) fn write(path: &Path, ids: &Ids) -> Result<(), String> {
    let tree = json!(ids.0);
    let written = atomic::write_public(path, |out| {
        serde_json::to_writer_pretty(&mut *out, &tree)?;
        out.write_all(b"\n")
    });
    written.map_err(|error| format!("{}: {}", path.display(), io_reason(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("glb-targets-ids-{}", std::process::id()));
        assert_eq!(read(&path), Ok(Ids::default()), "there is none yet");
        let mut ids = Ids::default();
        let web = ids.0.entry("web".to_owned()).or_default();
        give(web, "a", 0);
        give(web, "b", 7);
        write(&path, &ids).unwrap();
        assert_eq!(read(&path), Ok(ids.clone()));
        assert_eq!(
            ids.owners().get(&("web".to_owned(), 7)).map(String::as_str),
            Some("b")
        );
        for bad in [
            "",
            "[]",
            "{\"web\": 1}",
            "{\"web\": {\"a\": 70000}}",
            "{\"web\": {\"a\": -1}}",
        ] {
            std::fs::write(&path, bad).unwrap();
            assert!(read(&path).is_err(), "{bad}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_identifier_is_of_one_target() {
        let mut ids = OfService::new();
        give(&mut ids, "a", 3);
        give(&mut ids, "b", 3);
        assert_eq!(ids, OfService::from([("b".to_owned(), 3)]));
    }
}
