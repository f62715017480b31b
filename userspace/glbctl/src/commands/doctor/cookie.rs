// SPDX-License-Identifier: GPL-2.0

//! A proxy that sets cookies, judged: docs/cookie.md as a program.

use super::facts::Facts;
use super::finding::Findings;
use glb_core::cookie::Cookie as Layout;

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    const CHECK: &str = "cookie";
    let Some(cookie) = &facts.cookie else {
        return;
    };
    let settings = &cookie.settings;
    if cookie.timestamps == Some(0) {
        out.warning(
            CHECK,
            "cookies are on, and TCP uses no timestamps: no connection has one",
            "sysctl -w net.ipv4.tcp_timestamps=1",
        );
    }
    match &cookie.synchronized {
        Ok(true) => {}
        Ok(false) => {
            let guard = Layout::new(settings.bits, None).map_or(0, |layout| layout.guard() / 1000);
            out.warning(
                CHECK,
                format!("cookies are on, and the clock follows no other: directors read wrong ids once it is {guard} s ahead"),
                "start an NTP client (systemd-timesyncd, chrony); timedatectl shows when the clock is synchronized",
            );
        }
        Err(reason) => out.note(
            CHECK,
            format!("whether the clock is synchronized is not known: timedatectl: {reason}"),
            "look yourself: cookies need a clock that NTP sets",
        ),
    }
    if !out.is_bad(CHECK) {
        let (id, bits) = (settings.id, settings.bits);
        out.ok(CHECK, format!("cookies are on: id {id} of {bits} bits"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Cookie;
    use super::*;

    fn bad(synchronized: Result<bool, String>, timestamps: Option<u8>) -> Vec<String> {
        let settings = glb_netlink::Cookie {
            id: 10,
            bits: 12,
            keyed: false,
        };
        let facts = Facts {
            cookie: Some(Cookie {
                settings,
                synchronized,
                timestamps,
            }),
            ..Facts::default()
        };
        let mut out = Findings::default();
        judge(&facts, &mut out);
        out.bad()
    }

    #[test]
    fn clocks_and_timestamps() {
        assert_eq!(bad(Ok(true), Some(1)), [] as [&str; 0]);
        assert_eq!(bad(Ok(true), Some(2)), [] as [&str; 0]);
        // What is not known is no fault.
        assert!(!bad(Err("no such file".to_owned()), None)
            .iter()
            .any(|one| one.contains("warning")));
        let found = bad(Ok(false), Some(1));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("once it is 65 s ahead"), "{found:?}");
        let found = bad(Ok(true), Some(0));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("TCP uses no timestamps"), "{found:?}");
    }

    #[test]
    fn nothing_is_said_where_cookies_are_off() {
        let mut out = Findings::default();
        judge(&Facts::default(), &mut out);
        assert!(out.0.is_empty());
    }
}
