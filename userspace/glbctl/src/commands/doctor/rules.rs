// SPDX-License-Identifier: GPL-2.0

//! What iptables does with tunnel packets, by the order of its rules: `iptables-save` as text goes in.

use super::finding::Findings;
use std::collections::HashMap;

/// Of a rule what decides here.
#[derive(Debug, Clone, Default)]
struct Rule {
    /// Nothing is every protocol.
    proto: Option<String>,
    /// Nothing is every port.
    ports: Option<Vec<(u16, u16)>>,
    source: Source,
    /// It looks at the state of connections.
    conntrack: bool,
    /// It matches something else too, so that it may not match.
    more: bool,
    loopback: bool,
    target: String,
    allow_hops: bool,
    no_track: bool,
    text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Source {
    #[default]
    Any,
    Inside,
    Outside,
}

/// A chain: its policy, and its rules.
#[derive(Debug, Default)]
struct Chain {
    policy: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Default)]
pub(super) struct Ruleset {
    chains: HashMap<(String, String), Chain>,
}

impl Ruleset {
    pub(super) fn parse(text: &str) -> Self {
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
            } else if line.starts_with("-A ") {
                let words = shlex::split(line).unwrap_or_default();
                if let [_, chain, rest @ ..] = &words[..] {
                    let key = (table.clone(), chain.clone());
                    let rule = rule(rest, line);
                    set.chains.entry(key).or_default().rules.push(rule);
                }
            }
        }
        set
    }

    fn chain(&self, table: &str, name: &str) -> Option<&Chain> {
        self.chains.get(&(table.to_owned(), name.to_owned()))
    }

    /// The rules of a chain in the order in which a packet meets them, those of other chains in their places.
    fn flat(&self, table: &str, name: &str, depth: usize, above: &Rule, out: &mut Vec<Rule>) {
        // Deeper than any that people write; the kernel refuses loops.
        if depth > 16 {
            return;
        }
        for rule in self.chain(table, name).iter().flat_map(|one| &one.rules) {
            let both = both(above, rule);
            if self.chain(table, &rule.target).is_some() {
                self.flat(table, &rule.target, depth + 1, &both, out);
            } else {
                out.push(both);
            }
        }
    }

    fn rules(&self, table: &str, name: &str) -> Vec<Rule> {
        let mut rules = Vec::new();
        self.flat(table, name, 0, &Rule::default(), &mut rules);
        rules
    }

    /// Whether the packets of a port are left alone by conntrack.
    pub(super) fn untracks(&self, port: u16) -> bool {
        let rules = self.rules("raw", "PREROUTING");
        rules
            .iter()
            .any(|rule| rule.no_track && rule.may_match(port) && !rule.more)
    }

    /// Whether any rule hands packets to GLBREDIRECT.
    pub(super) fn redirects(&self) -> bool {
        let mut rules = self.chains.values().flat_map(|chain| &chain.rules);
        rules.any(|rule| rule.target == "GLBREDIRECT")
    }
}

impl Rule {
    /// Whether it may match a tunnel packet to a port.
    fn may_match(&self, port: u16) -> bool {
        let udp = ["udp", "17", "all", "0"];
        let proto = self.proto.as_deref().is_none_or(|one| udp.contains(&one));
        let inside = |ports: &Vec<(u16, u16)>| {
            ports
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&port))
        };
        proto && !self.loopback && self.ports.as_ref().is_none_or(inside)
    }

    /// Whether it matches each tunnel packet, wherever it is from.
    fn matches_all(&self) -> bool {
        self.source == Source::Any && !self.more && !self.conntrack
    }
}

/// The conditions of a jump and of a rule behind it together.
fn both(above: &Rule, rule: &Rule) -> Rule {
    let mut both = rule.clone();
    if both.proto.is_none() {
        both.proto.clone_from(&above.proto);
    }
    if both.ports.is_none() {
        both.ports.clone_from(&above.ports);
    }
    if both.source == Source::Any {
        both.source = above.source.clone();
    }
    both.conntrack |= above.conntrack;
    both.more |= above.more;
    both.loopback |= above.loopback;
    both
}

fn rule(words: &[String], text: &str) -> Rule {
    let mut rule = Rule {
        text: text.to_owned(),
        ..Rule::default()
    };
    let mut not = false;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        match word {
            "!" => {
                not = true;
                continue;
            }
            "-p" | "--protocol" => {
                rule.proto = Some(value().to_owned());
                rule.more |= not;
            }
            "-s" | "--source" | "--src-range" => {
                value();
                rule.source = if not { Source::Outside } else { Source::Inside };
            }
            "--dport" | "--dports" | "--ports" | "--destination-port" => {
                rule.ports = Some(ports(value()));
                rule.more |= not;
            }
            "-i" | "--in-interface" => {
                let device = value();
                if device == "lo" && !not {
                    rule.loopback = true;
                } else if !(device == "lo" && not) {
                    rule.more = true;
                }
            }
            "-m" | "--match" => match value() {
                "udp" | "multiport" | "comment" | "iprange" => {}
                "conntrack" | "state" => rule.conntrack = true,
                _ => rule.more = true,
            },
            "--comment" | "--ctstate" | "--state" => {
                value();
            }
            "-j" | "--jump" | "-g" | "--goto" => {
                let target = value().to_owned();
                rule.no_track |= target == "NOTRACK";
                rule.target = target;
            }
            "--notrack" => rule.no_track = true,
            "--allow-hops" => {
                value();
                rule.allow_hops = true;
            }
            // What else stands before the target is one more condition; behind it, it belongs to the target.
            _ => rule.more |= rule.target.is_empty(),
        }
        not = false;
    }
    rule
}

/// `53`, `10:20`, `53,10:20`.
fn ports(text: &str) -> Vec<(u16, u16)> {
    let port = |text: &str, default| match text {
        "" => Some(default),
        text => text.parse().ok(),
    };
    let range = |item: &str| {
        let (first, last) = item.split_once(':').unwrap_or((item, item));
        Some((port(first, 0)?, port(last, u16::MAX)?))
    };
    text.split(',').filter_map(range).collect()
}

/// Judges the rules of a family for tunnel packets to a port. `hook` says that the redirect works without rules.
pub(super) fn judge(
    program: &str,
    set: &Ruleset,
    port: u16,
    hook: bool,
    conntrack_used: bool,
    out: &mut Findings,
) {
    const CHECK: &str = "rules";
    let rules = set.rules("filter", "INPUT");
    let untracked = set.untracks(port);
    let show = format!("{program} -S INPUT");
    let mut fenced = false;
    let mut open: Option<&Rule> = None;
    let mut redirects = 0;
    let mut accepted = false;
    for rule in &rules {
        if rule.target == "GLBREDIRECT" && !rule.may_match(port) {
            out.error(
                CHECK,
                format!(
                    "{program}: the tunnel is on port {port}, which this rule does not match: {}",
                    rule.text
                ),
                format!("give rule and tunnel one port: replace the rule ({show})"),
            );
            redirects += 1;
            continue;
        }
        if !rule.may_match(port) {
            continue;
        }
        let before = redirects == 0 && !hook;
        match &*rule.target {
            "GLBREDIRECT" => {
                redirects += 1;
                if let (Some(open), true) = (open, rule.allow_hops) {
                    out.error(
                        CHECK,
                        format!(
                            "{program}: a rule that restricts hops stands behind one that does not, and has no effect: {}",
                            open.text
                        ),
                        format!("replace the open rule: {program} -R INPUT NUMBER ... --allow-hops PREFIX (docs/proxy.md)"),
                    );
                }
                if !rule.allow_hops {
                    open = open.or(Some(rule));
                }
                accepted = false;
                fenced |= rule.source == Source::Inside;
            }
            "ACCEPT" => {
                accepted = true;
                if before && rule.conntrack && !untracked {
                    out.warning(
                        CHECK,
                        format!("{program}: a rule about the state of connections stands before GLBREDIRECT: {}", rule.text),
                        format!(
                            "put GLBREDIRECT before it, and have tunnel packets not tracked: {program} -t raw -A \
                             PREROUTING -p udp --dport {port} -j CT --notrack"
                        ),
                    );
                } else if before && rule.matches_all() {
                    out.error(
                        CHECK,
                        format!("{program}: a rule takes all tunnel packets before GLBREDIRECT sees them: {}", rule.text),
                        format!("put the rules of docs/proxy.md before it ({show})"),
                    );
                } else if before && !rule.conntrack {
                    out.warning(
                        CHECK,
                        format!("{program}: a rule may take tunnel packets before GLBREDIRECT sees them: {}", rule.text),
                        format!("put the rules of docs/proxy.md before it ({show})"),
                    );
                }
            }
            "DROP" | "REJECT" => {
                if rule.source == Source::Outside && !rule.more && !rule.conntrack {
                    fenced |= redirects == 0;
                } else if rule.matches_all() && !accepted {
                    let (what, what_to_do) = if before {
                        (
                            "all tunnel packets are dropped",
                            "put the rules of docs/proxy.md before it",
                        )
                    } else {
                        (
                            "tunnel packets that stay are dropped",
                            "put a rule that accepts them before it",
                        )
                    };
                    out.error(
                        CHECK,
                        format!("{program}: {what}: {}", rule.text),
                        format!("{what_to_do} ({show})"),
                    );
                    accepted = true;
                }
            }
            _ => {}
        }
    }
    let policy = set.chain("filter", "INPUT").map(|chain| &*chain.policy);
    if redirects > 0 && policy == Some("DROP") && !accepted {
        out.error(
            CHECK,
            format!("{program}: packets that GLBREDIRECT leaves here are dropped by the policy of INPUT"),
            format!("{program} -A INPUT -p udp --dport {port} -j ACCEPT"),
        );
    }
    if hook && redirects > 0 {
        out.warning(
            CHECK,
            format!("{program}: packets meet both a GLBREDIRECT rule and the hook of glbctl redirect: each counts twice"),
            "use one of the two: glbctl redirect off, or delete the rule",
        );
    }
    if let Some(open) = open {
        let what = format!(
            "{program}: a GLBREDIRECT rule passes packets on to any address: {}",
            open.text
        );
        let to_do = format!(
            "replace it by one with --allow-hops and the fleet's prefixes ({show}; docs/proxy.md)"
        );
        if fenced {
            out.warning(CHECK, what, to_do);
        } else {
            out.error(CHECK, what, to_do);
        }
    }
    if redirects > 0 && !fenced {
        out.warning(
            CHECK,
            format!("{program}: no rule says from whom tunnel packets may come"),
            format!("{program} -I INPUT 1 -p udp --dport {port} ! -s PREFIX -j DROP, with the fleet's own prefix"),
        );
    }
    if redirects > 0 && !out.is_bad(CHECK) {
        out.ok(
            CHECK,
            format!("{program}: GLBREDIRECT is restricted, and nothing stands in its way"),
        );
    }
    if conntrack_used && redirects > 0 && !untracked {
        out.warning(
            "conntrack",
            format!("{program}: tunnel packets are tracked, each flow of each director in an entry of its own"),
            format!("{program} -t raw -A PREROUTING -p udp --dport {port} -j CT --notrack"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROP: &str = "-A INPUT ! -s 192.168.50.0/24 -p udp -m udp --dport 19523 -j DROP";
    const SAFE: &str =
        "-A INPUT -p udp -m udp --dport 19523 -j GLBREDIRECT --allow-hops 192.168.50.0/24";
    const OPEN: &str = "-A INPUT -p udp -m udp --dport 19523 -j GLBREDIRECT";

    fn found_with(raw: &str, policy: &str, rules: &[&str], hook: bool, used: bool) -> Vec<String> {
        let text = format!(
            "# by a program\n*raw\n:PREROUTING ACCEPT [0:0]\n{raw}\nCOMMIT\n*filter\n:INPUT {policy} [0:0]\n:fw - [0:0]\n{}\nCOMMIT\n",
            rules.join("\n")
        );
        let mut out = Findings::default();
        judge(
            "iptables",
            &Ruleset::parse(&text),
            19523,
            hook,
            used,
            &mut out,
        );
        out.bad()
    }

    fn found(rules: &[&str]) -> Vec<String> {
        found_with("", "ACCEPT", rules, false, false)
    }

    #[track_caller]
    fn has(found: &[String], severity: &str, text: &str) {
        let is = |one: &String| one.contains(severity) && one.contains(text);
        assert!(found.iter().any(is), "{text}: {found:#?}");
        assert_eq!(found.len(), 1, "{found:#?}");
    }

    #[test]
    fn the_documented_rules_are_good() {
        assert_eq!(found(&[DROP, SAFE]), [] as [&str; 0]);
        // Somebody else's, by protocol, port, device or chain.
        let others = [
            "-A INPUT -i lo -j ACCEPT",
            "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
            "-A INPUT -p udp -m multiport --dports 53,100:200 -m comment --comment \"a -j b\" -j ACCEPT",
            "-A INPUT -j fw",
            "-A fw -p tcp -j ACCEPT",
            DROP,
            SAFE,
        ];
        assert_eq!(found(&others), [] as [&str; 0]);
        let accept = "-A INPUT -p udp -m udp --dport 19523 -j ACCEPT";
        assert_eq!(
            found_with("", "DROP", &[DROP, SAFE, accept], false, false),
            [] as [&str; 0]
        );
    }

    #[test]
    fn order_matters() {
        has(
            &found(&["-A INPUT -j ACCEPT", DROP, SAFE]),
            "error",
            "before GLBREDIRECT sees them",
        );
        has(
            &found(&["-A fw -p udp -j ACCEPT", "-A INPUT -j fw", DROP, SAFE]),
            "error",
            "before GLBREDIRECT sees them",
        );
        has(
            &found(&["-A INPUT -s 10.0.0.0/8 -j ACCEPT", DROP, SAFE]),
            "warning",
            "may take tunnel packets",
        );
        has(
            &found(&["-A INPUT -p udp -j DROP", DROP, SAFE]),
            "error",
            "all tunnel packets are dropped",
        );
        has(
            &found(&[DROP, SAFE, "-A INPUT -j REJECT"]),
            "error",
            "that stay are dropped",
        );
        has(
            &found_with("", "DROP", &[DROP, SAFE], false, false),
            "error",
            "by the policy of INPUT",
        );
        let open_first = found(&[DROP, OPEN, SAFE]);
        assert!(open_first[0].contains("has no effect"), "{open_first:#?}");
        assert!(open_first[1].contains("to any address"), "{open_first:#?}");
    }

    #[test]
    fn strangers_are_kept_out() {
        has(&found(&[DROP, OPEN]), "warning", "to any address");
        has(&found(&[SAFE]), "warning", "from whom");
        let both = found(&[OPEN]);
        assert!(
            both[0].starts_with("rules: error: iptables: a GLBREDIRECT rule passes"),
            "{both:#?}"
        );
        // A fence behind the rule fences nothing off.
        has(&found(&[SAFE, DROP]), "warning", "from whom");
        let inside = "-A INPUT -s 192.168.50.0/24 -p udp -m udp --dport 19523 -j GLBREDIRECT --allow-hops 192.168.50.0/24";
        assert_eq!(found(&[inside]), [] as [&str; 0]);
    }

    #[test]
    fn conntrack() {
        let state = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
        has(
            &found(&[state, DROP, SAFE]),
            "warning",
            "the state of connections",
        );
        let raw = "-A PREROUTING -p udp -m udp --dport 19523 -j CT --notrack";
        assert_eq!(
            found_with(raw, "ACCEPT", &[state, DROP, SAFE], false, true),
            [] as [&str; 0]
        );
        has(
            &found_with("", "ACCEPT", &[DROP, SAFE], false, true),
            "conntrack: warning",
            "are tracked",
        );
        let other = raw.replace("19523", "53");
        has(
            &found_with(&other, "ACCEPT", &[DROP, SAFE], false, true),
            "conntrack: warning",
            "are tracked",
        );
    }

    #[test]
    fn ports_and_doors() {
        let other = SAFE.replace("19523", "6080");
        has(&found(&[DROP, &other]), "error", "does not match");
        has(
            &found_with("", "ACCEPT", &[DROP, SAFE], true, false),
            "warning",
            "counts twice",
        );
        // A hook is behind the rules, so what they accept is no loss.
        assert_eq!(
            found_with("", "ACCEPT", &["-A INPUT -j ACCEPT"], true, false),
            [] as [&str; 0]
        );
        assert!(Ruleset::parse(&format!("*filter\n{SAFE}\n")).redirects());
    }
}
