// SPDX-License-Identifier: GPL-2.0

//! The `healthchecks` of `forwarding_table.json`: the checks of a backend, and their timing
//! (docs/healthcheck.md).

use crate::read::{Node, Object, Reader};
use std::ops::RangeInclusive;

/// The health checks of a backend; a port switches a check on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// HTTP GET.
    pub http: Option<HttpCheck>,
    /// HTTP GET over TLS.
    pub https: Option<HttpsCheck>,
    /// TCP connection.
    pub tcp: Option<u16>,
    /// ICMP echo in GUE.
    pub gue: Option<u16>,
    /// Whether the echo in GUE also goes to the addresses that the table is bound to.
    pub gue_vip: bool,
    /// ICMP echo in FOU.
    pub fou: Option<u16>,
    /// Whether HTTP, HTTPS and TCP are also asked of the addresses that the table is bound to, through its forward.
    pub through: bool,
    /// What of the timing is this backend's own.
    pub timing: OwnTiming,
}

/// What is asked of a web server, and which answers are good.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpCheck {
    /// Where it listens.
    pub port: u16,
    /// What is asked for.
    pub uri: String,
    /// The name that is asked for; the backend's address where there is none.
    pub host: Option<String>,
    /// The good answers, ascending.
    pub status: Vec<u16>,
}

/// As [`HttpCheck`], over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpsCheck {
    /// What is asked for.
    pub http: HttpCheck,
    /// Whether a certificate that clients would not trust fails the check.
    pub verify: bool,
}

/// When health checks run, and how many results flip a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timing {
    /// Milliseconds from one check to the next.
    pub interval_ms: u64,
    /// Milliseconds until a check has failed.
    pub timeout_ms: u64,
    /// Consecutive results that flip a backend.
    pub trigger: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval_ms: 2000,
            timeout_ms: 1000,
            trigger: 3,
        }
    }
}

/// A backend's own timing; what is not there is the file's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnTiming {
    /// As in [`Timing`].
    pub interval_ms: Option<u64>,
    /// As in [`Timing`].
    pub timeout_ms: Option<u64>,
    /// As in [`Timing`].
    pub trigger: Option<u64>,
}

impl OwnTiming {
    /// This timing, completed by the file's.
    #[must_use]
    pub fn or(&self, file: &Timing) -> Timing {
        Timing {
            interval_ms: self.interval_ms.unwrap_or(file.interval_ms),
            timeout_ms: self.timeout_ms.unwrap_or(file.timeout_ms),
            trigger: self.trigger.unwrap_or(file.trigger),
        }
    }
}

const TIMING_FIELDS: [&str; 3] = ["interval_ms", "timeout_ms", "trigger"];

/// The timing at the top of the file.
pub(crate) fn read_timing(reader: &mut Reader, node: &Node<'_>) -> Option<Timing> {
    let object = reader.object(node, &TIMING_FIELDS)?;
    Some(read_own_timing(reader, &object)?.or(&Timing::default()))
}

fn read_own_timing(reader: &mut Reader, object: &Object<'_>) -> Option<OwnTiming> {
    const MOST_MS: u64 = 86_400_000;
    // As deployed, 0 stands for the default.
    let mut number = |name, most: u64| {
        let number = optional(reader, object, name, 0..=most)?;
        Some(number.filter(|number| *number != 0))
    };
    let interval_ms = number("interval_ms", MOST_MS);
    let timeout_ms = number("timeout_ms", MOST_MS);
    let trigger = number("trigger", 1000);
    if let (Some(Some(interval)), Some(Some(timeout))) = (interval_ms, timeout_ms) {
        if timeout > interval {
            let reason =
                format!("is above interval_ms, {interval}: a check that hangs delays the next");
            reader.warn_at(&object.path_of("timeout_ms"), reason);
        }
    }
    Some(OwnTiming {
        interval_ms: interval_ms?,
        timeout_ms: timeout_ms?,
        trigger: trigger?,
    })
}

/// A number that need not be there: nothing was wrong unless the outer option is empty.
fn optional<T: TryFrom<u64> + Copy + Into<u64>>(
    reader: &mut Reader,
    object: &Object<'_>,
    name: &str,
    range: RangeInclusive<T>,
) -> Option<Option<T>> {
    match object.get(name) {
        Some(node) => reader.integer(&node, range).map(Some),
        None => Some(None),
    }
}

pub(crate) const CHECK_FIELDS: [&str; 17] = [
    "http",
    "http_uri",
    "http_host",
    "http_status",
    "https",
    "https_uri",
    "https_host",
    "https_status",
    "https_verify",
    "tcp",
    "gue",
    "gue_vip",
    "fou",
    "through",
    TIMING_FIELDS[0],
    TIMING_FIELDS[1],
    TIMING_FIELDS[2],
];

/// The checks of a backend.
pub(crate) fn read_checks(reader: &mut Reader, node: &Node<'_>) -> Option<Checks> {
    let object = reader.object(node, &CHECK_FIELDS)?;
    let http = read_http(reader, &object, "http");
    let https = read_https(reader, &object);
    let mut port = |name| optional(reader, &object, name, 1..=u16::MAX);
    let (tcp, gue, fou) = (port("tcp"), port("gue"), port("fou"));
    let gue_vip = match object.get("gue_vip") {
        Some(node) => {
            if object.get("gue").is_none() {
                reader.warn(&node, "has no effect without gue, the port of the tunnel");
            }
            reader.boolean(&node)
        }
        None => Some(false),
    };
    let through = match object.get("through") {
        Some(node) => {
            if ["http", "https", "tcp"]
                .iter()
                .all(|kind| object.get(kind).is_none())
            {
                reader.warn(&node, "has no effect without http, https or tcp, the port");
            }
            reader.boolean(&node)
        }
        None => Some(false),
    };
    let timing = read_own_timing(reader, &object);
    Some(Checks {
        http: http?,
        https: https?,
        tcp: tcp?,
        gue: gue?,
        gue_vip: gue_vip?,
        fou: fou?,
        through: through?,
        timing: timing?,
    })
}

fn read_https(reader: &mut Reader, object: &Object<'_>) -> Option<Option<HttpsCheck>> {
    let http = read_http(reader, object, "https");
    let verify = match object.get("https_verify") {
        Some(node) => {
            let verify = reader.boolean(&node);
            if object.get("https").is_none() {
                reader.warn(&node, "has no effect without https, the port");
            }
            if verify == Some(true) && object.get("https_host").is_none() {
                let reason = "needs https_host, the name that the certificate must be for";
                reader.error(&node, reason);
            }
            verify
        }
        None => Some(false),
    };
    let (http, verify) = (http?, verify?);
    Some(http.map(|http| HttpsCheck { http, verify }))
}

/// The fields of `http` or `https`. All are checked, used or not, so that a port that is added later does
/// not bring old mistakes to light.
fn read_http(reader: &mut Reader, object: &Object<'_>, kind: &str) -> Option<Option<HttpCheck>> {
    let field = |name: &str| object.get(&format!("{kind}_{name}"));
    let port = optional(reader, object, kind, 1..=u16::MAX);
    let uri = match field("uri") {
        Some(node) => {
            let text = reader.string(&node);
            let uri = text.and_then(request_uri);
            if text.is_some() && uri.is_none() {
                reader.error(
                    &node,
                    "must begin with / or ?, and have no control characters",
                );
            }
            uri
        }
        None => Some("/".to_owned()),
    };
    let host = match field("host") {
        Some(node) => {
            let host = reader.string(&node);
            if host.is_some_and(|host| !is_host(host)) {
                reader.error(&node, "must be a host name or an address");
            }
            host.map(|host| Some(host.to_owned()))
        }
        None => Some(None),
    };
    let status = match field("status") {
        Some(node) => read_status(reader, &node),
        None => Some(vec![200]),
    };
    let (port, uri, host, status) = (port?, uri?, host?, status?);
    if port.is_none() {
        for name in ["uri", "host", "status"] {
            if let Some(node) = field(name) {
                reader.warn(&node, format!("has no effect without {kind}, the port"));
            }
        }
    }
    Some(port.map(|port| HttpCheck {
        port,
        uri,
        host,
        status,
    }))
}

/// What is asked for, as the deployed checker makes it of the text: nothing stands for /, a fragment is not
/// sent, and what may not be in a URI (RFC 3986) is escaped.
fn request_uri(text: &str) -> Option<String> {
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    if !(text.is_empty() || text.starts_with(['/', '?'])) || text.contains(char::is_control) {
        return None;
    }
    let root = if text.starts_with('/') { "" } else { "/" };
    Some(root.to_owned() + &escape_uri(text.as_bytes()))
}

/// The text with what may not be in a URI (RFC 3986) escaped.
#[must_use]
pub fn escape_uri(text: &[u8]) -> String {
    use std::fmt::Write;
    let mut uri = String::with_capacity(text.len());
    for &byte in text {
        if matches!(byte, b'!'..=b'~') && !b"\"<>\\^`{|}".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// A status or a list of them.
fn read_status(reader: &mut Reader, node: &Node<'_>) -> Option<Vec<u16>> {
    const RANGE: RangeInclusive<u16> = 200..=599;
    if !node.value.is_array() {
        return reader.integer(node, RANGE).map(|status| vec![status]);
    }
    let items = reader.array(node)?;
    if items.is_empty() {
        reader.error(node, "is empty: no answer would be good");
    }
    let status: Vec<_> = items.iter().map(|n| reader.integer(n, RANGE)).collect();
    let mut status: Vec<u16> = status.into_iter().collect::<Option<_>>()?;
    status.sort_unstable();
    status.dedup();
    Some(status)
}

/// Letters, digits and what joins them: enough to keep out blanks, ports, and line ends.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && name.split('.').all(label))
}
