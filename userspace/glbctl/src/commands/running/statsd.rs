// SPDX-License-Identifier: GPL-2.0

//! `glbctl statsd`: the director's counters for a statsd on this machine, under the names of deployed directors.
//!
//! Sent is what has come since the last report. A report that nobody takes is lost, as statsd has it.

use super::director;
use crate::cli::statsd::Statsd;
use crate::load;
use crate::output::Failure;
use glb_core::director::Verdict;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// No datagram is longer: it fits every network.
const LONGEST: usize = 1432;

type Counters = BTreeMap<String, u64>;

pub(crate) fn run(args: &Statsd) -> Result<(), Failure> {
    let interval = Duration::from_secs_f64(args.interval);
    let mut log = Log::default();
    let mut port = None;
    let mut before = None;
    let mut next = Instant::now();
    loop {
        match load::director(&args.config, true) {
            Ok(config) => {
                log.settled("file");
                port = config.statsd_port;
            }
            // A file that cannot be used changes nothing.
            Err(failure) => log.say("file", &told(failure)),
        }
        match port {
            Some(_) => log.settled("port"),
            None => log.say(
                "port",
                &format!(
                    "no statsd_port in {}: nothing is sent",
                    args.config.display()
                ),
            ),
        }
        match director().and_then(|mut glb| Ok(glb.stats()?)) {
            Ok(now) => {
                log.settled("director");
                let now: Counters = now.into_iter().collect();
                if let (Some(port), Some(before)) = (port, &before) {
                    match send(port, &report(before, &now, &args.engine)) {
                        Ok(()) => log.settled("statsd"),
                        Err(error) => log.say("statsd", &format!("127.0.0.1:{port}: {error}")),
                    }
                }
                before = Some(now);
            }
            Err(failure) => log.say("director", &told(failure)),
        }
        // Not later each time by what the report takes.
        next = (next + interval).max(Instant::now());
        thread::sleep(next - Instant::now());
    }
}

/// What is wrong, each thing said once until it is right again.
#[derive(Default)]
struct Log(BTreeMap<&'static str, String>);

impl Log {
    fn say(&mut self, about: &'static str, what: &str) {
        if self.0.get(about).map(String::as_str) != Some(what) {
            eprintln!("glbctl: {what}");
            self.0.insert(about, what.to_owned());
        }
    }

    fn settled(&mut self, about: &'static str) {
        if let Some(what) = self.0.remove(about) {
            eprintln!("glbctl: no longer: {what}");
        }
    }
}

fn told(failure: Failure) -> String {
    match failure {
        Failure::Issues(issues) => {
            let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
            issues.join("; ")
        }
        Failure::Message(message) => message,
        Failure::Silent | Failure::NotSafe => "failed".to_owned(),
    }
}

/// What deployed directors say of a packet that they looked at.
const RESULTS: [&str; 3] = ["UnknownFormat", "NoMatchingBind", "Matched"];

/// The result of a packet with this verdict. Every packet has one, so that the results add up to what was processed.
fn result_of(verdict: Verdict) -> &'static str {
    let [unknown, unbound, matched] = RESULTS;
    match verdict {
        // The last two are not looked at any further; deployed directors never see the first of them.
        Verdict::PassedUnknownFormat | Verdict::PassedOtherHost | Verdict::PassedMartian => unknown,
        // Deployed directors have no answers: those of no service are what packets without a bind are.
        Verdict::PassedNoMatchingBind | Verdict::PassedNoService | Verdict::PassedAnswerHere => {
            unbound
        }
        Verdict::Encapsulated
        | Verdict::EncapsulatedIcmpError
        | Verdict::EncapsulatedEcho
        | Verdict::EncapsulatedFragment
        | Verdict::Marked
        | Verdict::PassedEcho
        | Verdict::PassedTtl
        | Verdict::DroppedFragment
        | Verdict::DroppedNoHop
        | Verdict::DroppedNoRoute
        | Verdict::DroppedTooBig
        | Verdict::DroppedLro
        | Verdict::DroppedNoMemory
        | Verdict::Returned
        | Verdict::ReturnedIcmpError
        | Verdict::ReturnedEcho
        | Verdict::ReturnedFragment => matched,
    }
}

/// A report, a metric a line.
fn report(before: &Counters, now: &Counters, engine: &str) -> Vec<String> {
    let more = |name: &str| {
        let now = now.get(name).copied().unwrap_or(0);
        let before = before.get(name).copied().unwrap_or(0);
        // Those of a module that was loaded anew begin at 0.
        now.checked_sub(before).unwrap_or(now)
    };
    let of = |verdict: Verdict| more(verdict.counter());
    let total = more(Verdict::TOTAL);
    let with = |result: &str| -> u64 {
        let verdicts = Verdict::ALL.iter().copied();
        verdicts
            .filter(|&verdict| result_of(verdict) == result)
            .map(of)
            .sum()
    };
    let sent = [
        Verdict::Encapsulated,
        Verdict::EncapsulatedIcmpError,
        Verdict::EncapsulatedEcho,
        Verdict::EncapsulatedFragment,
    ];
    let plain = [
        ("processed", total),
        ("encapsulated", sent.into_iter().map(of).sum()),
        ("encapsulated_bytes", more(Verdict::ENCAPSULATED_BYTES)),
    ];
    let results = RESULTS.map(|result| (result, with(result)));
    let errors = [
        // What cannot happen here is sent as 0, for graphs that have it.
        ("ErrorTable", 0),
        ("ErrorSecret", 0),
        ("ErrorHashConfig", 0),
        ("ErrorMissingRow", of(Verdict::DroppedNoHop)),
        ("ErrorCreatingSpace", of(Verdict::DroppedNoMemory)),
        ("ErrorMissingGatewayMAC", of(Verdict::DroppedNoRoute)),
        ("ErrorMissingSourceAddress", 0),
        // Deployed directors have no names for these.
        ("ErrorTooBig", of(Verdict::DroppedTooBig)),
        ("ErrorFragment", of(Verdict::DroppedFragment)),
    ];
    let line = |name: &str, value: u64, tag: &str| {
        format!("glb.director.packets.{name}:{value}|c|#glb_engine:{engine}{tag}")
    };
    let mut lines: Vec<String> = plain.map(|(name, value)| line(name, value, "")).into();
    lines.extend(results.map(|(tag, value)| line("results", value, &format!(",result:{tag}"))));
    lines.extend(
        errors.map(|(tag, value)| line("internal_errors", value, &format!(",error:{tag}"))),
    );
    lines
}

fn send(port: u16, lines: &[String]) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    // A connected socket is told that nobody listens: by the datagram behind the one that was refused.
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    for datagram in datagrams(lines) {
        socket.send(datagram.as_bytes())?;
    }
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// As many lines a datagram as go, each with its end.
fn datagrams(lines: &[String]) -> Vec<String> {
    let mut datagrams: Vec<String> = Vec::new();
    for line in lines {
        match datagrams.last_mut() {
            Some(last) if last.len() + line.len() < LONGEST => {
                last.push_str(line);
                last.push('\n');
            }
            _ => datagrams.push(format!("{line}\n")),
        }
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    fn counters(value: u64) -> Counters {
        let verdicts = Verdict::ALL.iter().map(|verdict| verdict.counter());
        let mut all: Counters = verdicts.map(|name| (name.to_owned(), value)).collect();
        all.insert(Verdict::TOTAL.to_owned(), value * Verdict::COUNT as u64);
        all.insert(Verdict::ENCAPSULATED_BYTES.to_owned(), value * 1000);
        all
    }

    #[test]
    fn differences_under_the_deployed_names() {
        let lines = report(&counters(1), &counters(3), "xdp");
        let all = Verdict::COUNT as u64;
        let (processed, matched) = (2 * all, 2 * (all - 6));
        for line in [
            format!("glb.director.packets.processed:{processed}|c|#glb_engine:xdp").as_str(),
            "glb.director.packets.encapsulated:8|c|#glb_engine:xdp",
            "glb.director.packets.encapsulated_bytes:2000|c|#glb_engine:xdp",
            "glb.director.packets.results:6|c|#glb_engine:xdp,result:UnknownFormat",
            "glb.director.packets.results:6|c|#glb_engine:xdp,result:NoMatchingBind",
            format!("glb.director.packets.results:{matched}|c|#glb_engine:xdp,result:Matched")
                .as_str(),
            "glb.director.packets.internal_errors:0|c|#glb_engine:xdp,error:ErrorTable",
            "glb.director.packets.internal_errors:2|c|#glb_engine:xdp,error:ErrorMissingRow",
        ] {
            assert!(
                lines.iter().any(|own| own == line),
                "{line} not in {lines:#?}"
            );
        }
        let anew = report(&counters(3), &counters(1), "xdp");
        assert_eq!(
            anew[0],
            format!("glb.director.packets.processed:{all}|c|#glb_engine:xdp")
        );
    }

    /// The names that deployed directors send, and graphs are drawn from: each once, and two of our own.
    #[test]
    fn every_deployed_name_is_there() {
        let deployed = [
            "processed",
            "encapsulated",
            "encapsulated_bytes",
            "results,result:UnknownFormat",
            "results,result:NoMatchingBind",
            "results,result:Matched",
            "internal_errors,error:ErrorTable",
            "internal_errors,error:ErrorSecret",
            "internal_errors,error:ErrorHashConfig",
            "internal_errors,error:ErrorMissingRow",
            "internal_errors,error:ErrorCreatingSpace",
            "internal_errors,error:ErrorMissingGatewayMAC",
            "internal_errors,error:ErrorMissingSourceAddress",
        ];
        let own = [
            "internal_errors,error:ErrorTooBig",
            "internal_errors,error:ErrorFragment",
        ];
        let lines = report(&counters(0), &counters(0), "xdp");
        // Of "glb.director.packets.NAME:0|c|#glb_engine:xdp,TAG" the name and the tag.
        let parts = |line: &str| -> Option<String> {
            let line = line.strip_prefix("glb.director.packets.")?;
            let (name, tag) = line.split_once(":0|c|#glb_engine:xdp")?;
            Some(format!("{name}{tag}"))
        };
        let mut sent: Vec<String> = lines.iter().map(|line| parts(line).unwrap()).collect();
        sent.sort();
        let mut wanted = [&deployed[..], &own].concat();
        wanted.sort_unstable();
        assert_eq!(sent, wanted);
    }

    #[test]
    fn a_report_every_ten_seconds() {
        let command = Statsd::augment_args(clap::Command::new("statsd"));
        let parsed = command.try_get_matches_from(["statsd"]).unwrap();
        let args = Statsd::from_arg_matches(&parsed).unwrap();
        assert_eq!(
            Duration::from_secs_f64(args.interval),
            Duration::from_secs(10)
        );
    }

    #[test]
    fn datagrams_fit() {
        let lines = report(
            &counters(0),
            &counters(u64::from(u32::MAX)),
            &"x".repeat(200),
        );
        let datagrams = datagrams(&lines);
        assert!(datagrams.len() > 1);
        assert!(datagrams.iter().all(|one| one.len() <= LONGEST));
        let all: Vec<String> = datagrams.concat().lines().map(ToOwned::to_owned).collect();
        assert_eq!(all, lines);
    }
}
