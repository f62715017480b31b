// SPDX-License-Identifier: GPL-2.0

//! `iptables-save` as text, read into chains of rules.

use super::who::{Source, Who};
use std::collections::HashMap;

/// Of a rule what decides here.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    /// Nothing is every protocol.
    proto: Option<(String, bool)>,
    /// Nothing is every port.
    ports: Option<(Vec<(u16, u16)>, bool)>,
    pub(super) sources: Vec<Source>,
    /// The states of connections that it is about, and whether it is about all others.
    pub(super) states: Option<(Vec<String>, bool)>,
    /// It matches something else too, so that it may not match.
    more: bool,
    /// What it matches else may say who sent the packet.
    who: bool,
    loopback: bool,
    pub(super) target: String,
    /// Of a target that is a chain: where that ends, this one ends too.
    pub(super) goto: bool,
    pub(super) allow_hops: bool,
    /// Connections may end elsewhere than at sockets of this network namespace: behind NAT, or in another one.
    pub(super) elsewhere: bool,
    pub(super) no_track: bool,
    /// The line could not be read.
    pub(super) unread: bool,
    pub(super) text: String,
}

/// What conntrack makes of a packet. Nobody answers tunnel packets, so that nearly all are the first of their connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Untracked,
    New,
    Established,
}

/// Whether a rule matches a packet; of two conditions the lesser holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    No,
    /// By something that says nothing of who sent it.
    Perhaps,
    /// By something that may say who sent it, as the device does.
    PerhapsByWho,
    Yes,
}

/// A chain: its policy, and its rules.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) policy: String,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Default)]
pub(in super::super) struct Ruleset {
    pub(super) chains: HashMap<(String, String), Chain>,
}

impl Ruleset {
    pub(in super::super) fn parse(text: &str) -> Self {
        let mut set = Self::default();
        let mut table = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                name.trim().clone_into(&mut table);
            } else if let Some(chain) = line.strip_prefix(':') {
                let mut words = chain.split_whitespace();
                let name = words.next().unwrap_or_default().to_owned();
                let policy = words.next().unwrap_or_default();
                let chain = set.chains.entry((table.clone(), name)).or_default();
                policy.clone_into(&mut chain.policy);
            } else if let Some(rest) = line.strip_prefix("-A ") {
                let words = shlex::split(rest).unwrap_or_default();
                let (name, rule) = match &words[..] {
                    [chain, words @ ..] => (chain.clone(), rule(words, line)),
                    // A rule all the same, only that nobody knows which.
                    [] => (
                        rest.split_whitespace()
                            .next()
                            .unwrap_or_default()
                            .to_owned(),
                        Rule {
                            unread: true,
                            text: line.to_owned(),
                            ..Rule::default()
                        },
                    ),
                };
                let key = (table.clone(), name);
                set.chains.entry(key).or_default().rules.push(rule);
            }
        }
        set
    }

    pub(super) fn chain(&self, table: &str, name: &str) -> Option<&Chain> {
        self.chains.get(&(table.to_owned(), name.to_owned()))
    }

    /// Rules that hand packets to GLBREDIRECT, in whatever chain.
    pub(super) fn redirecting(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.chains.iter().flat_map(|((_, name), chain)| {
            let rules = chain.rules.iter();
            rules
                .filter(|rule| rule.target == "GLBREDIRECT")
                .map(|rule| (&**name, rule))
        })
    }

    /// Whether a GLBREDIRECT rule knows of connections that end elsewhere than in this network namespace.
    pub(in super::super) fn ends_elsewhere(&self) -> bool {
        self.redirecting().any(|(_, rule)| rule.elsewhere)
    }

    /// Whether any rule hands packets to GLBREDIRECT.
    pub(in super::super) fn redirects(&self) -> bool {
        self.redirecting().next().is_some()
    }
}

impl Rule {
    /// Whether it is about packets to a UDP port.
    pub(super) fn about(&self, port: u16) -> bool {
        let udp = ["udp", "17", "all", "0"];
        let proto = self
            .proto
            .as_ref()
            .is_none_or(|(one, not)| udp.contains(&&**one) != *not);
        let inside = |(ports, not): &(Vec<(u16, u16)>, bool)| {
            let inside = ports
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&port));
            inside != *not
        };
        proto && self.ports.as_ref().is_none_or(inside)
    }

    /// Whether it matches a packet to a UDP port of this sender, in this state.
    pub(super) fn matches(&self, port: u16, who: Who<'_>, state: State) -> Match {
        if self.unread {
            return Match::PerhapsByWho;
        }
        let of_state = |(states, not): &(Vec<String>, bool)| {
            let wanted = match state {
                State::Untracked => "UNTRACKED",
                State::New => "NEW",
                State::Established => "ESTABLISHED",
            };
            states.iter().any(|one| one == wanted) != *not
        };
        let matches = !self.loopback
            && self.about(port)
            && self.sources.iter().all(|source| source.is_of(who))
            && self.states.as_ref().is_none_or(of_state);
        match (matches, self.more, self.who) {
            (false, ..) => Match::No,
            (true, false, _) => Match::Yes,
            (true, true, false) => Match::Perhaps,
            (true, true, true) => Match::PerhapsByWho,
        }
    }
}

/// Matches that pick packets, and not senders.
const NOT_OF_WHO: [&str; 9] = [
    "limit",
    "hashlimit",
    "statistic",
    "length",
    "connlimit",
    "quota",
    "time",
    "u32",
    "string",
];

fn rule(words: &[String], text: &str) -> Rule {
    let mut rule = Rule {
        text: text.to_owned(),
        ..Rule::default()
    };
    let mut not = false;
    // Options of a match that says nothing of who sent a packet.
    let mut of_packets = false;
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        // Behind the target its own options stand.
        if !rule.target.is_empty() {
            match word {
                "--notrack" => rule.no_track = true,
                "--allow-hops" => {
                    value();
                    rule.allow_hops = true;
                }
                "--conntrack" => rule.elsewhere = true,
                "--netns" => {
                    value();
                    rule.elsewhere = true;
                }
                _ => {}
            }
            continue;
        }
        match word {
            "!" => {
                not = true;
                continue;
            }
            "-p" | "--protocol" => rule.proto = Some((value().to_owned(), not)),
            "-s" | "--source" | "--src-range" => rule.source(Source::prefix(value(), not)),
            "--match-set" => {
                let name = value();
                let source = Source::set(name, not);
                rule.source((value() == "src").then_some(source));
            }
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
                match ports(value()) {
                    Some(ports) if rule.ports.is_none() => rule.ports = Some((ports, not)),
                    _ => (rule.more, rule.who) = (true, true),
                }
            }
            "-i" | "--in-interface" => match (value(), not) {
                ("lo", false) => rule.loopback = true,
                ("lo", true) => {}
                _ => (rule.more, rule.who) = (true, true),
            },
            "-m" | "--match" => match value() {
                "udp" | "multiport" | "comment" | "iprange" | "conntrack" | "state" | "set" => {
                    of_packets = false;
                }
                name => {
                    of_packets = NOT_OF_WHO.contains(&name);
                    (rule.more, rule.who) = (true, rule.who || !of_packets);
                }
            },
            "--comment" => _ = value(),
            "--ctstate" | "--state" => {
                let states = value().split(',').map(ToOwned::to_owned);
                rule.states = Some((states.collect(), not));
            }
            "-j" | "--jump" | "-g" | "--goto" => {
                rule.goto = word.starts_with("-g") || word == "--goto";
                value().clone_into(&mut rule.target);
                rule.no_track = rule.target == "NOTRACK";
            }
            // One more condition, or the value of one.
            _ => (rule.more, rule.who) = (true, rule.who || !of_packets),
        }
        not = false;
    }
    rule
}

impl Rule {
    /// A condition on the sender; nothing is one that could not be read.
    fn source(&mut self, source: Option<Source>) {
        match source {
            Some(source) => self.sources.push(source),
            None => (self.more, self.who) = (true, true),
        }
    }
}

/// `53`, `10:20`, `53,10:20`.
fn ports(text: &str) -> Option<Vec<(u16, u16)>> {
    let port = |text: &str, default| match text {
        "" => Some(default),
        text => text.parse().ok(),
    };
    let range = |item: &str| {
        let (first, last) = item.split_once(':').unwrap_or((item, item));
        Some((port(first, 0)?, port(last, u16::MAX)?))
    };
    text.split(',').map(range).collect()
}
