// SPDX-License-Identifier: GPL-2.0

//! Values that several commands take, and how they are written.

use crate::http::Url;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::{ForwardKind, Role};
use glb_core::packet::addr::Addr;
use glb_core::redirect::{is_netns_name, NETNS_NAME_LEN};
use glb_netlink::Prefix;
use std::net::IpAddr;

/// A value, or the word "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

pub(crate) fn url_or_none(text: &str) -> Result<OrNone<Url>, String> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => Url::new(text).map(|url| OrNone(Some(url))),
    }
}

/// A time to wait: more than nothing, and not for ever.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, 0.01 to 86400".to_owned()),
    }
}

/// The name of a forward.
pub(crate) fn forward() -> impl TypedValueParser<Value = ForwardKind> {
    PossibleValuesParser::new(ForwardKind::ALL.iter().map(|one| one.name()))
        .try_map(|name| ForwardKind::from_name(&name).ok_or("no forward"))
}

/// The name of a role.
pub(crate) fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.name()))
        .try_map(|name| Role::from_name(&name).ok_or("no role"))
}

/// `tcp:10.0.0.1:80`, `udp:[fd00::/64]:53-54`.
pub(crate) fn bind(text: &str) -> Result<Bind, String> {
    let expected = || "expected PROTOCOL:ADDRESS[/BITS]:PORT[-PORT]".to_owned();
    let (proto, rest) = text.split_once(':').ok_or_else(expected)?;
    let proto = match proto {
        "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        _ => return Err("the protocol must be tcp or udp".to_owned()),
    };
    let (ip, ports) = rest.rsplit_once(':').ok_or_else(expected)?;
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let Prefix { addr, len } = prefix(bare.unwrap_or(ip))?;
    if bare.is_none() && matches!(addr, Addr::V6(_)) {
        return Err("an IPv6 address needs brackets: [ADDRESS]".to_owned());
    }
    let (start, end) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| match text.parse() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err("a port must be from 0 to 65535".to_owned()),
    };
    let (port_start, port_end) = (port(start)?, port(end)?);
    if port_start > port_end {
        return Err("the first port must not be above the last".to_owned());
    }
    Ok(Bind {
        addr: addr.masked(len),
        prefix_len: len,
        proto,
        port_start,
        port_end,
    })
}

/// An address, or an address and the number of its bits that count.
pub(crate) fn prefix(text: &str) -> Result<Prefix, String> {
    let expected = || "expected ADDRESS or ADDRESS/BITS".to_owned();
    let (addr, len) = match text.split_once('/') {
        Some((addr, len)) => (addr, Some(len)),
        None => (text, None),
    };
    let addr = match addr.parse().map_err(|_| expected())? {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    };
    let len = match len {
        None => addr.bits(),
        Some(len) if len.bytes().all(|byte| byte.is_ascii_digit()) => {
            len.parse().map_err(|_| expected())?
        }
        Some(_) => return Err(expected()),
    };
    if len > addr.bits() {
        return Err(format!("the address has {} bits only", addr.bits()));
    }
    Ok(Prefix { addr, len })
}

/// The name of a network namespace.
pub(crate) fn netns_name(text: &str) -> Result<String, String> {
    if is_netns_name(text.as_bytes()) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected the name of a network namespace: 1 to {NETNS_NAME_LEN} bytes without a slash"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let v4 = |bytes, len| {
            let addr = Addr::V4(bytes);
            Ok(Prefix { addr, len })
        };
        assert_eq!(prefix("10.1.0.0/16"), v4([10, 1, 0, 0], 16));
        assert_eq!(prefix("10.1.2.3"), v4([10, 1, 2, 3], 32));
        assert_eq!(prefix("0.0.0.0/0"), v4([0; 4], 0));
        assert_eq!(prefix("fd00::/64").map(|p| p.len), Ok(64));
        for bad in [
            "",
            "10.1.0.0/33",
            "fd00::/129",
            "10.1/16",
            "10.1.0.0/",
            "10.1.0.0/+8",
            "host/8",
        ] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_namespaces() {
        assert_eq!(netns_name("pod-1"), Ok("pod-1".to_owned()));
        for bad in ["", ".", "..", "a/b", &"n".repeat(64)] {
            assert!(netns_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_to_wait() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
