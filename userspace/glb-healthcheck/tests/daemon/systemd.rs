// SPDX-License-Identifier: GPL-2.0

//! What systemd is told, and what the unit file says.

use crate::harness::{Daemon, Place};
use crate::wait::wait;

#[test]
fn ready_reloading_watchdog_stopping() {
    let (place, webs) = Place::with_webs::<2>("notify");
    let mut daemon = Daemon::start(&place, |command| {
        command.env("WATCHDOG_USEC", "200000");
        command.env_remove("WATCHDOG_PID");
    });
    daemon.wait_told("WATCHDOG=1");
    daemon.wait_told("WATCHDOG=1");
    webs[0].set_status(500);
    daemon.wait_told("STATUS=1 tables; backends: 1 up, 1 down");
    let before: f64 = uptime();
    daemon.signal("-HUP");
    let told = daemon.wait_told("RELOADING=1\nMONOTONIC_USEC=");
    let usec: f64 = told.rsplit('=').next().unwrap().parse().unwrap();
    // systemd takes the end of a reload for that of this one only if the time is not before its signal.
    let told_at = usec / 1e6;
    assert!(
        (before - 1.0..=uptime() + 1.0).contains(&told_at),
        "{told_at} {before}"
    );
    wait("the end of the reload", || {
        daemon.heard("");
        let messages = daemon.messages.iter();
        let mut rest = messages.skip_while(|said| !said.starts_with("RELOADING=1"));
        rest.any(|said| said == "READY=1").then_some(())
    });
    daemon.signal("-TERM");
    wait("the end", || daemon.child.try_wait().unwrap());
    assert!(daemon.heard("STOPPING=1"));
}

fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// A watchdog that is meant for another process is not fed.
#[test]
fn another_ones_watchdog() {
    let (place, webs) = Place::with_webs::<2>("watchdog");
    let mut daemon = Daemon::start(&place, |command| {
        command.env("WATCHDOG_USEC", "20000");
        command.env("WATCHDOG_PID", "1");
    });
    place.wait_published(&[true, true]);
    // Some ten of its own intervals later, by the checks that it makes at the same time.
    let before = webs[0].requests().len();
    wait("ten checks", || {
        (webs[0].requests().len() >= before + 10).then_some(())
    });
    assert!(!daemon.heard("WATCHDOG=1"));
}
