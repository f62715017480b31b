// SPDX-License-Identifier: GPL-2.0

//! Registering a target: its key and that of its identifier, in one transaction, under one lease.
//!
//! Nobody leads. Who writes an identifier's key first has it, and whoever comes second hears that it is taken.

use crate::client::{Client, Error, Item};
use crate::keys::{value, Keys};
use glb_config::targets::TargetSpec;
use glb_core::backend::MAX_BACKENDS;
use std::fmt;

/// So often somebody else may be quicker.
const TRIES: usize = 300;

/// A target that is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its identifier.
    pub id: u16,
    /// Its lease.
    pub lease: i64,
}

/// Why a target cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// Etcd did not do it.
    Etcd(Error),
    /// Something is in the way.
    Taken(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd(error) => error.fmt(out),
            Self::Taken(reason) => out.write_str(reason),
        }
    }
}

impl std::error::Error for Failed {}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Etcd(error)
    }
}

/// Registers a target, whose keys live for so many seconds after they were kept alive last. Without an identifier that it must
/// have, it gets `rather`, if that is free, or the first free one.
pub fn register(
    client: &mut Client,
    keys: &Keys,
    (spec, rather): (&TargetSpec, Option<u16>),
    seconds: u32,
) -> Result<Held, Failed> {
    let lease = client.grant(seconds)?;
    let taken = take(client, keys, (spec, rather), lease);
    if taken.is_err() {
        // It would end by itself.
        let _ = client.revoke(lease);
    }
    taken.map(|id| Held { id, lease })
}

fn take(
    client: &mut Client,
    keys: &Keys,
    (spec, rather): (&TargetSpec, Option<u16>),
    lease: i64,
) -> Result<u16, Failed> {
    let key = keys.target(&spec.service, &spec.name);
    for _ in 0..TRIES {
        let there = client.get(&key)?;
        let old = there
            .as_ref()
            .and_then(|item| keys.spec(&key, &item.value).ok());
        if let Some(old) = old.as_ref().filter(|old| old.addresses != spec.addresses) {
            return Err(Failed::Taken(format!(
                "target {} of service {} is registered with other addresses: take another name, or unregister it",
                old.name, old.service
            )));
        }
        let (ids, _) = client.list(&keys.identifiers(&spec.service))?;
        let rather = old.and_then(|old| old.id).or(rather);
        let id = choose(keys, spec, rather, &ids).map_err(Failed::Taken)?;
        let id_key = keys.identifier(&spec.service, id);
        let revision = |item: Option<&Item>| item.map_or(0, |item| item.revision);
        let revisions = [
            (key.clone(), revision(there.as_ref())),
            (
                id_key.clone(),
                revision(ids.iter().find(|item| item.key == id_key)),
            ),
        ];
        let puts = [
            (key.clone(), value(&spec.addresses, id)),
            (id_key, spec.name.clone().into_bytes()),
        ];
        if client.put_if(&puts, &revisions, lease)? {
            return Ok(id);
        }
    }
    let reason = "others register targets faster than this one can: try again";
    Err(Failed::Taken(reason.to_owned()))
}

/// The identifier that a target gets, where these are taken.
fn choose(
    keys: &Keys,
    spec: &TargetSpec,
    rather: Option<u16>,
    ids: &[Item],
) -> Result<u16, String> {
    // Its own, of a registration that has not ended yet, it may have again.
    let owner = |id: u16| {
        let key = keys.identifier(&spec.service, id);
        let item = ids.iter().find(|item| item.key == key)?;
        Some(String::from_utf8_lossy(&item.value)).filter(|owner| *owner != *spec.name)
    };
    let service = &spec.service;
    if let Some(id) = spec.id {
        return match owner(id) {
            Some(other) => Err(format!("identifier {id} of service {service} is target {other}'s: ask for another one, or for none")),
            None => Ok(id),
        };
    }
    let most = u16::try_from(MAX_BACKENDS).unwrap_or(u16::MAX);
    let all = rather.into_iter().chain(0..most);
    let mut free = all.filter(|id| owner(*id).is_none());
    free.next()
        .ok_or_else(|| format!("service {service} has no identifier left"))
}

/// Ends a target's registration, whoever made it; false if it was not registered.
pub fn unregister(
    client: &mut Client,
    keys: &Keys,
    service: &str,
    name: &str,
) -> Result<bool, Error> {
    let key = keys.target(service, name);
    let Some(item) = client.get(&key)? else {
        return Ok(false);
    };
    if item.lease == 0 {
        // Somebody wrote it by hand.
        client.delete(&key)?;
    } else {
        client.revoke(item.lease)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glb_core::packet::addr::Addr;

    fn spec(id: Option<u16>) -> TargetSpec {
        TargetSpec {
            service: "web".to_owned(),
            name: "me".to_owned(),
            addresses: vec![Addr::V4([192, 168, 50, 10])],
            id,
        }
    }

    #[test]
    fn identifiers_of_others_are_not_given() {
        let keys = Keys::new("/glb");
        let item = |id, owner: &str| Item {
            key: keys.identifier("web", id),
            value: owner.into(),
            revision: 1,
            lease: 1,
        };
        let ids = [item(0, "a"), item(1, "me"), item(3, "b")];
        let get = |id, rather| choose(&keys, &spec(id), rather, &ids);
        assert_eq!(get(None, None), Ok(1));
        assert_eq!(get(None, Some(7)), Ok(7));
        assert_eq!(get(None, Some(3)), Ok(1));
        assert_eq!(get(Some(1), None), Ok(1));
        assert_eq!(get(Some(9), None), Ok(9));
        let said = get(Some(3), None).unwrap_err();
        assert_eq!(
            said,
            "identifier 3 of service web is target b's: ask for another one, or for none"
        );
        let all: Vec<Item> = (0..256).map(|id| item(id, "a")).collect();
        let said = choose(&keys, &spec(None), None, &all).unwrap_err();
        assert_eq!(said, "service web has no identifier left");
    }
}
