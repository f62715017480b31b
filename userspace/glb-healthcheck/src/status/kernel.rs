// SPDX-License-Identifier: GPL-2.0

//! Counters of the kernel modules: the redirect module's, where it is loaded.

use std::fs;

/// Where the redirect module shows its counters of this network namespace.
const REDIRECT: &str = "/proc/net/glb_redirect";

/// A counter by the name that the metric gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) metric: String,
    pub(super) name: String,
    pub(super) value: u64,
}

/// The redirect module's counters; none where it is not loaded.
pub(super) fn redirect() -> Vec<Counter> {
    // A file that can not be read is a module that is not there, which is usual on a director.
    let text = fs::read_to_string(REDIRECT).unwrap_or_default();
    counters("glb_redirect", &text)
}

/// Counters from lines `name: value`. Lines of another form are left out: a module may be newer than this
/// program.
fn counters(module: &str, text: &str) -> Vec<Counter> {
    let mut counters: Vec<Counter> = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim().parse());
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let (true, Ok(value)) = (is_name(name), value) else {
            continue;
        };
        // Counters end in `_total` there, so `total_packets` would say it twice.
        let stem = name.strip_prefix("total_").unwrap_or(name);
        let metric = format!("{module}_{stem}_total");
        if counters.iter().all(|counter| counter.metric != metric) {
            counters.push(Counter {
                metric,
                name: name.to_owned(),
                value,
            });
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_counters() {
        let text =
            "total_packets: 7\naccepted_syn_packets: 18446744073709551615\nforwarded_bytes: 0\n\
                    garbage\nbad name: 1\nbad: -1\ntotal_packets: 8\n";
        let found = counters("m", text);
        let found: Vec<_> = found.iter().map(|c| (c.metric.as_str(), c.value)).collect();
        assert_eq!(
            found,
            [
                ("m_packets_total", 7),
                ("m_accepted_syn_packets_total", u64::MAX),
                ("m_forwarded_bytes_total", 0),
            ]
        );
    }
}
