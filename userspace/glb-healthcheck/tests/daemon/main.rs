// SPDX-License-Identifier: GPL-2.0

//! The daemon from outside: the real program against real servers on loopback addresses.
//!
//! Every wait has an end, every server stops with its test, and each test has loopback addresses of its own,
//! so that tests can run side by side.

mod backends;
#[path = "../../../glbctl/tests/common/can.rs"]
mod can;
mod connections;
mod cost;
mod files;
mod flow;
mod harness;
mod log;
mod loopback;
mod metrics;
#[path = "../../../glbctl/tests/common/netns.rs"]
mod netns;
mod pages;
mod redirect;
mod reload;
mod restart;
mod systemd;
mod through;
mod tls;
mod tunnel;
mod wait;
