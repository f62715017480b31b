// SPDX-License-Identifier: GPL-2.0

//! `glbctl statsd`: the director's counters for a statsd on this machine, under the names of deployed directors.
//!
//! Sent is what has come since the last report. A report that nobody takes is lost, as statsd has it.

use super::director;
use crate::cli::statsd::Statsd;
use crate::load;
use crate::output::Failure;
use glb_core::director::Verdict;
use glb_netlink::{Endpoint, Error, GatewayStats, Glb};
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
    let mut before: Option<(Counters, Counters)> = None;
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
        match director().and_then(|mut glb| Ok((glb.stats()?, gateway(&mut glb)?))) {
            Ok((now, gateway)) => {
                log.settled("director");
                let now: (Counters, _) = (now.into_iter().collect(), gateway);
                if let (Some(port), Some(before)) = (port, &before) {
                    let mut lines = report(&before.0, &now.0, &args.engine);
                    lines.extend(gateway_report(&before.1, &now.1, &args.engine));
                    match send(port, &lines) {
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
        | Verdict::PassedCovered
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

/// The counters of the role geneve by the rest of their lines: metric, and tags behind the engine's.
fn gateway(glb: &mut Glb) -> Result<Counters, Error> {
    let asked = glb
        .gateway_stats()
        .and_then(|stats| Ok((stats, glb.gateway_endpoints()?)));
    answered(asked)
}

/// What was asked, as counters. A module that does not know the role counts nothing of it. With any other error nothing is known,
/// and what has come since the last report is told by the next one.
fn answered(asked: Result<(GatewayStats, Vec<Endpoint>), Error>) -> Result<Counters, Error> {
    let (stats, endpoints) = match asked {
        Err(error) if error.is_unknown() => return Ok(Counters::new()),
        asked => asked?,
    };
    let mut counters = of_gateway(&stats);
    for one in endpoints {
        let id = one
            .id
            .map_or_else(|| "others".to_owned(), |id| format!("0x{id:016x}"));
        for (name, direction, value) in [
            ("packets", "came", one.came_packets),
            ("bytes", "came", one.came_bytes),
            ("packets", "left", one.left_packets),
            ("bytes", "left", one.left_bytes),
        ] {
            let line = format!("endpoint.{name} endpoint:{id},direction:{direction}");
            counters.insert(line, value);
        }
    }
    Ok(counters)
}

fn of_gateway(stats: &GatewayStats) -> Counters {
    let mut counters = Counters::new();
    for (direction, all) in [("came", &stats.came), ("left", &stats.left)] {
        for (name, value) in all.iter().filter(|(name, _)| name != "total_packets") {
            let verdict = name.strip_suffix("_packets").unwrap_or(name);
            counters.insert(
                format!("packets direction:{direction},verdict:{verdict}"),
                *value,
            );
        }
    }
    for (name, value) in &stats.flows {
        let outcome = name.strip_suffix("_flow_packets").unwrap_or(name);
        counters.insert(format!("flows outcome:{outcome}"), *value);
    }
    counters
}

/// What the role counted since: no deployed director has it.
fn gateway_report(before: &Counters, now: &Counters, engine: &str) -> Vec<String> {
    let line = |(key, now): (&String, &u64)| {
        let (name, tags) = key.split_once(' ')?;
        let before = before.get(key).copied().unwrap_or(0);
        // Those of a module that was loaded anew begin at 0.
        let more = now.checked_sub(before).unwrap_or(*now);
        Some(format!(
            "glb.geneve.{name}:{more}|c|#glb_engine:{engine},{tags}"
        ))
    };
    // Without a device that has the role there are no flows, and nothing is to be told.
    if !now.keys().any(|key| key.starts_with("flows ")) {
        return Vec::new();
    }
    now.iter().filter_map(line).collect()
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
    use glb_netlink::Refusal;

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
    fn a_gateway_is_told_by_verdict() {
        let stats = |accepted| GatewayStats {
            came: vec![
                ("total_packets".to_owned(), accepted),
                ("accepted_packets".to_owned(), accepted),
            ],
            left: vec![("returned_packets".to_owned(), 1)],
            flows: vec![("known_flow_packets".to_owned(), accepted)],
            usage: None,
        };
        let lines = gateway_report(&of_gateway(&stats(2)), &of_gateway(&stats(9)), "kernel");
        assert_eq!(
            lines,
            [
                "glb.geneve.flows:7|c|#glb_engine:kernel,outcome:known",
                "glb.geneve.packets:7|c|#glb_engine:kernel,direction:came,verdict:accepted",
                "glb.geneve.packets:0|c|#glb_engine:kernel,direction:left,verdict:returned",
            ]
        );
        let anew = gateway_report(&of_gateway(&stats(9)), &of_gateway(&stats(2)), "kernel");
        assert!(anew[0].starts_with("glb.geneve.flows:2|"), "{anew:?}");
        let none = GatewayStats {
            flows: Vec::new(),
            ..stats(5)
        };
        let none = of_gateway(&none);
        assert!(gateway_report(&of_gateway(&stats(2)), &none, "kernel").is_empty());
        // Of what was counted before a device got the role again nothing is told twice.
        let again = gateway_report(&none, &of_gateway(&stats(6)), "kernel");
        assert!(again[1].starts_with("glb.geneve.packets:1|"), "{again:?}");
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

    fn refused(errno: i32) -> Error {
        Error::Refused(Refusal {
            command: "geneve-stats-get".to_owned(),
            errno,
            message: None,
            attribute: None,
        })
    }

    #[test]
    fn only_a_module_without_the_role_counts_nothing_of_it() {
        assert_eq!(answered(Err(refused(95))).unwrap(), Counters::new());
        // Out of memory, buffers are full: what was counted before stays what the next report is compared with.
        for errno in [12, 105] {
            assert!(answered(Err(refused(errno))).is_err(), "{errno}");
        }
        let stats = GatewayStats {
            came: vec![("accepted_packets".to_owned(), 7)],
            left: Vec::new(),
            flows: vec![("known_flow_packets".to_owned(), 5)],
            usage: None,
        };
        let endpoint = Endpoint {
            id: Some(0x2b),
            came_packets: 7,
            came_bytes: 700,
            left_packets: 0,
            left_bytes: 0,
        };
        let counters = answered(Ok((stats, vec![endpoint]))).unwrap();
        assert_eq!(
            counters.get("packets direction:came,verdict:accepted"),
            Some(&7)
        );
        assert_eq!(
            counters.get("endpoint.bytes endpoint:0x000000000000002b,direction:came"),
            Some(&700)
        );
    }
}
