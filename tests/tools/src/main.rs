// SPDX-License-Identifier: GPL-2.0

//! `glb-packets`: the packet tool of the tests.
//!
//! ```text
//! blast      prepared frames into a host through a TAP device, and how long that took
//! director   a director in user space: TUN in, GUE out; its hops can be swapped while packets flow
//! http-hold  many HTTP connections that stay busy, and a count of those that broke
//! malform    malformed packets from a seed, with the counters that they must lead to
//! netlink    broken netlink messages from a seed, to the director or the redirect
//! nfqueue    a program behind NFQUEUE that accepts every packet
//! faults     a command again and again, each time with another allocation of the kernel failing
//! fill       made-up tables into the director, in whole or in part
//! cert       an authority and a certificate of it, for servers of HTTPS
//! vectors    the specification's packets to a capture
//! from-hex   hex to a capture
//! diff       two captures, byte for byte
//! flows      packets of many flows to a capture
//! judge      whether a director made of them what its tables say
//! shapes     whether a director made of aggregates what it was to make of them
//! ```

#![forbid(unsafe_code)]

mod blast;
mod capture;
mod cert;
mod director;
mod faults;
mod flows;
mod http_hold;
mod malform;
mod netlink;
mod nfqueue;
mod shapes;
mod tunnel;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Makes, sends and judges packets for the tests of GLB.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Blast(blast::Arguments),
    Director(director::Arguments),
    HttpHold(http_hold::Arguments),
    Malform(malform::Arguments),
    Netlink(netlink::Arguments),
    Nfqueue(nfqueue::Arguments),
    Faults(faults::Arguments),
    Fill(netlink::Fill),
    Cert(cert::Arguments),
    Vectors(capture::Vectors),
    FromHex(capture::FromHex),
    Diff(capture::Diff),
    Flows(flows::Flows),
    Judge(flows::Judge),
    Shapes(shapes::Shapes),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Blast(arguments) => blast::run(&arguments),
        Command::Director(arguments) => director::run(&arguments),
        Command::HttpHold(arguments) => http_hold::run(arguments),
        Command::Malform(arguments) => malform::run(&arguments),
        Command::Netlink(arguments) => netlink::run(&arguments),
        Command::Nfqueue(arguments) => nfqueue::run(&arguments),
        Command::Faults(arguments) => faults::run(&arguments),
        Command::Fill(arguments) => netlink::fill(&arguments),
        Command::Cert(arguments) => cert::run(&arguments),
        Command::Vectors(arguments) => capture::vectors(&arguments),
        Command::FromHex(arguments) => capture::from_hex(&arguments),
        Command::Diff(arguments) => capture::diff(&arguments),
        Command::Flows(arguments) => flows::flows(&arguments),
        Command::Judge(arguments) => flows::judge(&arguments),
        Command::Shapes(arguments) => shapes::shapes(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("glb-packets: {error:#}");
            ExitCode::FAILURE
        }
    }
}
