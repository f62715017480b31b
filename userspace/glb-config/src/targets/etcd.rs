// SPDX-License-Identifier: GPL-2.0

//! `etcd` of `targets.conf`.

use super::{target, TargetSpec, NAMED_FIELDS};
use crate::issue::Checked;
use crate::read::{Node, Reader};
use std::path::PathBuf;

/// Where etcd is, and who asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdConf {
    /// The addresses of its servers.
    pub endpoints: Vec<String>,
    /// What all keys begin with.
    pub prefix: String,
    /// The authorities that servers must be certified by.
    pub ca_file: PathBuf,
    /// The certificate and the private key that servers are shown.
    pub client: Option<(PathBuf, PathBuf)>,
}

pub(super) const ETCD_FIELDS: [&str; 5] =
    ["endpoints", "prefix", "ca_file", "cert_file", "key_file"];

/// Where Debian's ca-certificates keeps what it trusts.
const DEFAULT_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";
const DEFAULT_PREFIX: &str = "/glb";

/// Reads `etcd` of a configuration's text, whatever else is in it: who registers a target has no services.
#[must_use]
pub fn read_etcd(file: &str, text: &str) -> Checked<EtcdConf> {
    let names = [&["etcd"], &ETCD_FIELDS[..]].concat();
    Reader::whole(file, text, &names, |reader, tree| {
        let root = reader.object(tree, &super::KNOWN)?;
        let node = reader.required(&root, "etcd")?;
        etcd(reader, &node)
    })
}

pub(super) fn etcd(reader: &mut Reader, node: &Node<'_>) -> Option<EtcdConf> {
    let object = reader.object(node, &ETCD_FIELDS)?;
    let endpoints = reader.required(&object, "endpoints")?;
    let items = reader.array(&endpoints)?;
    if items.is_empty() {
        reader.error(
            &endpoints,
            "is empty: name a server, as in https://192.168.50.5:2379",
        );
    }
    let endpoints: Vec<_> = items.iter().map(|item| endpoint(reader, item)).collect();
    let prefix = match object.get("prefix") {
        Some(node) => {
            let prefix = reader.string(&node)?;
            if !prefix.starts_with('/') || prefix.len() < 2 {
                reader.error(&node, "must begin with a slash, as in /glb");
            }
            Some(prefix.to_owned())
        }
        None => Some(DEFAULT_PREFIX.to_owned()),
    };
    let ca_file = reader.path(&object, "ca_file", DEFAULT_CA_FILE);
    let mut file = |name| match object.get(name) {
        Some(node) => reader.string(&node).map(|path| Some(PathBuf::from(path))),
        None => Some(None),
    };
    let (cert, key) = (file("cert_file")?, file("key_file")?);
    if cert.is_some() != key.is_some() {
        let missing = if key.is_some() {
            "cert_file"
        } else {
            "key_file"
        };
        let reason = "is missing: a certificate and its private key belong together";
        reader.error_at(&object.path_of(missing), reason);
    }
    Some(EtcdConf {
        endpoints: endpoints.into_iter().collect::<Option<_>>()?,
        prefix: prefix?,
        ca_file: ca_file?,
        client: cert.zip(key),
    })
}

fn endpoint(reader: &mut Reader, node: &Node<'_>) -> Option<String> {
    let text = reader.string(node)?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let rest = rest.map(|rest| rest.trim_end_matches('/'));
    if rest.is_none_or(|rest| {
        rest.is_empty() || rest.contains(|c: char| c == '/' || c.is_whitespace())
    }) {
        reader.error(
            node,
            "must be a server's address, as in https://192.168.50.5:2379",
        );
    }
    Some(text.to_owned())
}

/// Reads and checks the value of a target's key in etcd; service and name are those of the key.
#[must_use]
pub fn read_target(key: &str, text: &str, (service, name): (&str, &str)) -> Checked<TargetSpec> {
    Reader::whole(key, text, &NAMED_FIELDS, |reader, tree| {
        target(reader, tree, Some((service, name)))
    })
}
