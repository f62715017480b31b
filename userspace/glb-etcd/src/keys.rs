// SPDX-License-Identifier: GPL-2.0

//! Keys and values.
//!
//! ```text
//! PREFIX/targets/SERVICE/NAME      {"addresses": [...], "id": N}     a target
//! PREFIX/identifiers/SERVICE/N     NAME                              whose the identifier is
//! ```
//!
//! Both live by the target's lease.

use glb_config::targets::{is_name, read_target, TargetSpec};
use glb_core::packet::addr::Addr;
use serde_json::json;
use std::net::IpAddr;

/// What all keys begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Keys below a prefix.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('/').to_owned();
        Self { prefix }
    }

    /// All targets.
    #[must_use]
    pub fn targets(&self) -> String {
        format!("{}/targets/", self.prefix)
    }

    /// All targets of a service.
    #[must_use]
    pub fn targets_of(&self, service: &str) -> String {
        format!("{}/targets/{service}/", self.prefix)
    }

    /// A target.
    #[must_use]
    pub fn target(&self, service: &str, name: &str) -> String {
        format!("{}{name}", self.targets_of(service))
    }

    /// All identifiers of a service.
    #[must_use]
    pub fn identifiers(&self, service: &str) -> String {
        format!("{}/identifiers/{service}/", self.prefix)
    }

    /// An identifier.
    #[must_use]
    pub fn identifier(&self, service: &str, id: u16) -> String {
        format!("{}{id}", self.identifiers(service))
    }

    /// The service and the name of a target's key.
    #[must_use]
    pub fn names<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let rest = key.strip_prefix(&*self.prefix)?.strip_prefix("/targets/")?;
        rest.split_once('/')
            .filter(|(service, name)| is_name(service) && is_name(name))
    }

    /// The target of a key and its value, or what is wrong with it.
    pub fn spec(&self, key: &str, value: &[u8]) -> Result<TargetSpec, String> {
        let Some(names) = self.names(key) else {
            return Err(format!(
                "{key}: is no key of a target (targets/SERVICE/NAME)"
            ));
        };
        let text = String::from_utf8_lossy(value);
        let read = read_target(key, &text, names).into_result();
        read.map(|(spec, _)| spec).map_err(|issues| {
            let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
            issues.join("; ")
        })
    }
}

/// The value of a target.
#[must_use]
pub fn value(addresses: &[Addr], id: u16) -> Vec<u8> {
    let text = |addr: &Addr| match *addr {
        Addr::V4(bytes) => IpAddr::from(bytes).to_string(),
        Addr::V6(bytes) => IpAddr::from(bytes).to_string(),
    };
    let addresses: Vec<String> = addresses.iter().map(text).collect();
    json!({"addresses": addresses, "id": id})
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_was_written() {
        let keys = Keys::new("/glb/");
        let key = keys.target("web", "web-1");
        assert_eq!(key, "/glb/targets/web/web-1");
        assert_eq!(keys.identifier("web", 7), "/glb/identifiers/web/7");
        let addresses = [Addr::V4([192, 168, 50, 10]), Addr::V6([0xfd; 16])];
        let spec = keys.spec(&key, &value(&addresses, 7));
        let wanted = TargetSpec {
            service: "web".to_owned(),
            name: "web-1".to_owned(),
            addresses: addresses.to_vec(),
            id: Some(7),
        };
        assert_eq!(spec, Ok(wanted));
    }

    #[test]
    fn what_is_no_target_is_said() {
        let keys = Keys::new("/glb");
        for key in [
            "/glb/targets/web",
            "/glb/targets/web/a/b",
            "/other/targets/web/a",
            "/glb/targets//a",
        ] {
            let said = keys.spec(key, b"{}").unwrap_err();
            assert!(said.contains("is no key of a target"), "{said}");
        }
        for value in [
            &b"\xff"[..],
            b"",
            b"[]",
            b"{}",
            b"{\"addresses\": []}",
            b"{\"addresses\": [\"x\"]}",
        ] {
            let said = keys.spec("/glb/targets/web/a", value).unwrap_err();
            assert!(said.starts_with("/glb/targets/web/a: "), "{said}");
        }
    }
}
