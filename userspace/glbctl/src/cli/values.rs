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

/// The class of Geneve options: hexadecimal with 0x, or decimal.
pub(crate) fn class(text: &str) -> Result<u16, String> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    match u16::from_str_radix(digits, radix) {
        Ok(class) if digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(class),
        _ => Err("expected a class of options, 0 to 65535 or 0x0000 to 0xffff".to_owned()),
    }
}

/// The name of a role.
pub(crate) fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.name()))
        .try_map(|name| Role::from_name(&name).ok_or("no role"))
}

/// `tcp:10.0.0.1:80`, `udp:[fd00::/64]:53-54`, `any:10.0.0.0/8`.
pub(crate) fn bind(text: &str) -> Result<Bind, String> {
    let expected =
        || "expected PROTOCOL:ADDRESS[/BITS]:PORT[-PORT], or any:ADDRESS[/BITS]".to_owned();
    let (proto, rest) = text.split_once(':').ok_or_else(expected)?;
    let proto = match proto {
        "any" => None,
        name => match Proto::from_name(name) {
            Some(proto) => Some(proto),
            None => return Err("the protocol must be tcp, udp, sctp or any".to_owned()),
        },
    };
    let (ip, ports) = match proto {
        Some(_) => rest.rsplit_once(':').ok_or_else(expected)?,
        None => (rest, "0-65535"),
    };
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let parsed = prefix(bare.unwrap_or(ip));
    if proto.is_none()
        && parsed.is_err()
        && (ip.ends_with(|c: char| c.is_ascii_digit()))
        && ip.matches(':').count() == 1
    {
        return Err(
            "any takes all protocols, of which some have no ports: leave the port out".to_owned(),
        );
    }
    let Prefix { addr, len } = parsed?;
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
    fn classes() {
        for (text, expected) in [
            ("0x0108", 0x108),
            ("0xFFFF", 0xffff),
            ("264", 264),
            ("0", 0),
        ] {
            assert_eq!(class(text), Ok(expected));
        }
        for bad in [
            "", "0x", "0x10000", "65536", "-1", "+1", "0x+1", "aws", "0108h",
        ] {
            assert!(class(bad).is_err(), "{bad}");
        }
    }

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
    fn binds() {
        let read = |text: &str| bind(text).map(|bind| crate::text::bind(&bind));
        for (text, wanted) in [
            ("tcp:10.0.0.1:80", "tcp 10.0.0.1 port 80"),
            ("udp:[fd00::/64]:53-54", "udp fd00::/64 port 53-54"),
            ("any:10.0.0.0/8", "any 10.0.0.0/8"),
            ("any:10.0.0.1", "any 10.0.0.1"),
            ("any:[fd00::/64]", "any fd00::/64"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(wanted));
        }
        for (text, why) in [
            ("any:10.0.0.1:80", "leave the port out"),
            ("any:fd00::/64", "needs brackets"),
            ("any", "expected PROTOCOL"),
            ("gre:10.0.0.1", "must be tcp, udp or any"),
            ("tcp:10.0.0.1", "expected"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
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
