// SPDX-License-Identifier: GPL-2.0

//! What iptables does with tunnel packets: `iptables-save` as text goes in.
//!
//! [`parse`] reads it, [`who`] says which senders it tells apart, [`walk`] follows a packet of each through the rules, and
//! the judge here says what came of it.

mod parse;
#[cfg(test)]
mod tests;
mod walk;
mod who;

use super::finding::Findings;
pub(super) use parse::Ruleset;
use parse::{Rule, State};
use std::ptr;
use walk::{End, Walk};
use who::Borders;

const CHECK: &str = "rules";

/// What the judge goes by.
struct Case<'a> {
    program: &'a str,
    set: &'a Ruleset,
    port: u16,
    /// Of senders' packets those that begin a connection, or are of none.
    first: Vec<&'a Walk<'a>>,
    /// Show the rules.
    show: String,
}

/// The rules of a family, and what matters to them on this machine.
pub(super) struct Rules<'a> {
    /// The program that shows and changes them.
    pub(super) program: &'a str,
    pub(super) set: &'a Ruleset,
    /// The port of the tunnel.
    pub(super) port: u16,
    /// The redirect works without rules.
    pub(super) hook: bool,
    pub(super) conntrack_used: bool,
}

/// Judges the rules of a family for tunnel packets.
pub(super) fn judge(rules: &Rules<'_>, out: &mut Findings) {
    let &Rules {
        program,
        set,
        port,
        hook,
        conntrack_used,
    } = rules;
    let rules = set.chains.values().flat_map(|chain| &chain.rules);
    let sources = rules
        .filter(|rule| rule.about(port))
        .flat_map(|rule| &rule.sources);
    let borders = Borders::of(sources, program == "ip6tables");
    let mut walks = Vec::new();
    for who in borders.everybody() {
        let states: &[State] = if Walk::untracks(set, port, who) {
            &[State::Untracked]
        } else {
            &[State::New, State::Established]
        };
        let walk = |state: &State| Walk::input(set, port, who, *state);
        walks.extend(states.iter().map(walk));
    }
    let case = Case {
        program,
        set,
        port,
        first: walks
            .iter()
            .filter(|walk| walk.state != State::Established)
            .collect(),
        show: format!("{program} -S"),
    };
    case.not_understood(out);
    if hook {
        case.hook(out);
    } else {
        case.before(&walks, out);
        case.unmet(out);
    }
    let met: Vec<&Walk<'_>> = case
        .first
        .iter()
        .copied()
        .filter(|walk| !walk.redirects.is_empty())
        .collect();
    if met.is_empty() {
        return;
    }
    if hook {
        out.warning(
            CHECK,
            format!("{program}: packets meet both a GLBREDIRECT rule and the hook of glbctl redirect: each counts twice"),
            "use one of the two: glbctl redirect off, or delete the rule",
        );
    } else {
        case.behind(&met, out);
    }
    case.open(out);
    case.strangers(out);
    if !out.is_bad(CHECK) {
        out.ok(
            CHECK,
            format!("{program}: GLBREDIRECT is restricted, and nothing stands in its way"),
        );
    }
    if conntrack_used && met.iter().any(|walk| walk.state != State::Untracked) {
        out.warning(
            "conntrack",
            format!("{program}: tunnel packets are tracked, each flow of each director in an entry of its own"),
            format!("{program} -t raw -A PREROUTING -p udp --dport {port} -j CT --notrack"),
        );
    }
}

/// What packets are called that the policy drops, or a rule.
struct Called {
    by_policy: &'static str,
    by_rule: &'static str,
}

impl<'a> Case<'a> {
    /// Rules that nobody here understands, which may do anything with a packet.
    fn not_understood(&self, out: &mut Findings) {
        let rules = self
            .first
            .iter()
            .flat_map(|walk| walk.unclear.iter().flatten());
        for rule in unique(rules.copied()) {
            out.note(
                CHECK,
                format!(
                    "{}: what this rule does with tunnel packets is not understood: {}",
                    self.program, rule.text
                ),
                format!("look yourself ({})", self.show),
            );
        }
    }

    /// What ends, or may end, before GLBREDIRECT.
    fn before(&self, walks: &'a [Walk<'a>], out: &mut Findings) {
        let program = self.program;
        let missed = self.first.iter().filter(|walk| walk.missed.is_some());
        let taken = missed.clone().filter_map(|walk| match walk.end {
            End::Accept(rule) => rule,
            End::Drop(_) => None,
        });
        let taken = unique(taken);
        let some_meet = self.first.iter().any(|walk| !walk.redirects.is_empty());
        for rule in &taken {
            let what_to_do = format!("put the rules of docs/proxy.md before it ({})", self.show);
            if some_meet {
                out.warning(
                    CHECK,
                    format!("{program}: a rule may take tunnel packets before GLBREDIRECT sees them: {}", rule.text),
                    what_to_do,
                );
            } else {
                out.error(
                    CHECK,
                    format!("{program}: a rule takes all tunnel packets before GLBREDIRECT sees them: {}", rule.text),
                    what_to_do,
                );
            }
        }
        if taken.is_empty() && !some_meet {
            let dropped = missed.clone().filter_map(|walk| match walk.end {
                End::Drop(rule) if walk.who.stranger => rule,
                _ => None,
            });
            if let Some(rule) = unique(dropped).first() {
                out.error(
                    CHECK,
                    format!("{program}: all tunnel packets are dropped: {}", rule.text),
                    format!("put the rules of docs/proxy.md before it ({})", self.show),
                );
            }
        }
        // Those that may take some, and those that take packets of connections that are known.
        let perhaps = walks.iter().filter(|walk| !walk.redirects.is_empty());
        let perhaps = perhaps.flat_map(|walk| walk.perhaps_accepted.first().into_iter().flatten());
        let known = walks.iter().filter(|walk| walk.missed.is_some());
        let known = known.filter_map(|walk| match walk.end {
            End::Accept(rule) => rule,
            End::Drop(_) => None,
        });
        for rule in unique(perhaps.copied().chain(known)) {
            if taken.iter().any(|one| ptr::eq(*one, rule)) {
                continue;
            }
            if rule.states.is_some() {
                out.warning(
                    CHECK,
                    format!("{program}: a rule about the state of connections stands before GLBREDIRECT: {}",
                        rule.text
                    ),
                    format!(
                        "put GLBREDIRECT before it, and have tunnel packets not tracked: {program} -t raw -A PREROUTING \
                         -p udp --dport {} -j CT --notrack",
                        self.port
                    ),
                );
            } else {
                out.warning(
                    CHECK,
                    format!("{program}: a rule may take tunnel packets before GLBREDIRECT sees them: {}", rule.text),
                    format!("put the rules of docs/proxy.md before it ({})", self.show),
                );
            }
        }
    }

    /// GLBREDIRECT rules that no tunnel packet would come to.
    fn unmet(&self, out: &mut Findings) {
        let (program, port) = (self.program, self.port);
        let met = |rule: &Rule| {
            self.first.iter().any(|walk| {
                let met = walk.redirects.iter().map(|(rule, _)| *rule);
                met.chain(walk.missed).any(|one| ptr::eq(one, rule))
            })
        };
        let any = self
            .first
            .iter()
            .any(|walk| !walk.redirects.is_empty() || walk.missed.is_some());
        let mut unmet: Vec<_> = self
            .set
            .redirecting()
            .filter(|(_, rule)| !met(rule))
            .collect();
        unmet.sort_by_key(|(_, rule)| &rule.text);
        for (chain, rule) in unmet {
            if !rule.about(port) {
                let what = format!(
                    "{program}: the tunnel is on port {port}, which this rule does not match: {}",
                    rule.text
                );
                let what_to_do = format!(
                    "give rule and tunnel one port: replace the rule ({})",
                    self.show
                );
                if any {
                    out.warning(CHECK, what, what_to_do);
                } else {
                    out.error(CHECK, what, what_to_do);
                }
            } else if !any {
                out.error(
                    CHECK,
                    format!("{program}: no tunnel packet to this machine comes to chain {chain} and GLBREDIRECT there: {}", rule.text),
                    format!("{program} -A INPUT -p udp --dport {port} -j GLBREDIRECT --allow-hops PREFIX (docs/proxy.md)"),
                );
            }
        }
    }

    /// What becomes of those that GLBREDIRECT leaves here.
    fn behind(&self, met: &[&Walk<'a>], out: &mut Findings) {
        // A fence that stands behind GLBREDIRECT still says who is no stranger.
        let fenced = |walk: &&&Walk<'_>| match walk.end {
            End::Drop(Some(rule)) => walk.who.stranger && !rule.sources.is_empty(),
            _ => false,
        };
        let met: Vec<_> = met.iter().filter(|walk| !fenced(walk)).collect();
        let perhaps = |walk: &&Walk<'_>| {
            let [_, accepted] = &walk.perhaps_accepted;
            let [_, unclear] = &walk.unclear;
            !accepted.is_empty() || !unclear.is_empty()
        };
        let dropped = |walk: &&&Walk<'a>| match walk.end {
            End::Drop(rule) => Some(rule),
            End::Accept(_) => None,
        };
        let rules: Vec<_> = met.iter().filter_map(dropped).collect();
        if let Some(rule) = rules.first() {
            let all = rules.len() == met.len() && !met.iter().any(|walk| perhaps(walk));
            let called = Called {
                by_policy: "packets that GLBREDIRECT leaves here",
                by_rule: "tunnel packets that stay",
            };
            self.dropped(*rule, all, &called, out);
        }
    }

    /// Says that these are dropped, all or perhaps, by a rule or by the policy.
    fn dropped(&self, rule: Option<&Rule>, all: bool, called: &Called, out: &mut Findings) {
        let Called { by_policy, by_rule } = called;
        let (program, port) = (self.program, self.port);
        let accept = format!("-p udp --dport {port} -j ACCEPT");
        let (what, what_to_do) = match rule {
            None => (
                "the policy of INPUT".to_owned(),
                format!("{program} -A INPUT {accept}"),
            ),
            Some(rule) => (
                rule.text.clone(),
                format!(
                    "put a rule that accepts them before it: {accept} ({})",
                    self.show
                ),
            ),
        };
        match (all, rule) {
            (true, None) => out.error(CHECK, format!("{program}: {by_policy} are dropped by {what}"), what_to_do),
            (true, Some(_)) => out.error(CHECK, format!("{program}: {by_rule} are dropped: {what}"), what_to_do),
            (false, _) => out.warning(
                CHECK,
                format!("{program}: {by_policy} may not be accepted: what no rule accepts is dropped by {what}"),
                what_to_do,
            ),
        }
    }

    /// The hook is behind these rules: what they drop it does not see.
    fn hook(&self, out: &mut Findings) {
        // Strangers' packets are to be dropped, where it is known who is none.
        let accepted = |walk: &&&Walk<'_>| matches!(walk.end, End::Accept(_));
        if self.first.iter().any(|walk| accepted(&walk)) {
            return;
        }
        let perhaps = |walk: &&Walk<'_>| {
            let lists = walk.perhaps_accepted.iter().chain(&walk.unclear);
            lists.into_iter().any(|list| !list.is_empty())
        };
        let all = !self.first.iter().any(perhaps);
        let stranger = self.first.iter().find(|walk| walk.who.stranger);
        if let Some(End::Drop(rule)) = stranger.map(|walk| walk.end) {
            let called = Called {
                by_policy:
                    "tunnel packets, which the hook of glbctl redirect sees behind the rules,",
                by_rule: "all tunnel packets",
            };
            self.dropped(rule, all, &called, out);
        }
    }

    /// Rules that pass packets on to any address, each by who gets to it.
    fn open(&self, out: &mut Findings) {
        let program = self.program;
        let mut behind_open = Vec::new();
        let mut open: Vec<(&Rule, bool)> = Vec::new();
        for walk in &self.first {
            let mut restricted = false;
            let mut first_open = None;
            for (rule, sure) in &walk.redirects {
                if rule.allow_hops {
                    behind_open.extend(first_open);
                    restricted |= *sure;
                    continue;
                }
                first_open = first_open.or(Some(*rule));
                let bad = walk.who.stranger && !restricted && walk.perhaps_fenced.is_none();
                match open.iter_mut().find(|(one, _)| ptr::eq(*one, *rule)) {
                    Some((_, worst)) => *worst |= bad,
                    None => open.push((rule, bad)),
                }
            }
        }
        for rule in unique(behind_open.into_iter()) {
            out.error(
                CHECK,
                format!("{program}: a rule that restricts hops stands behind one that does not, and has no effect: {}", rule.text),
                format!("replace the open rule: {program} -R INPUT NUMBER ... --allow-hops PREFIX (docs/proxy.md)"),
            );
        }
        for (rule, bad) in open {
            let what = format!(
                "{program}: a GLBREDIRECT rule passes packets on to any address: {}",
                rule.text
            );
            let what_to_do = format!(
                "replace it by one with --allow-hops and the fleet's prefixes ({}; docs/proxy.md)",
                self.show
            );
            if bad {
                out.error(CHECK, what, what_to_do);
            } else {
                out.warning(CHECK, what, what_to_do);
            }
        }
    }

    /// Whether packets of those whom no rule names are dropped before anything is made of them.
    fn strangers(&self, out: &mut Findings) {
        let program = self.program;
        let strangers = self.first.iter().filter(|walk| walk.who.stranger);
        let let_in =
            |walk: &&&Walk<'_>| !walk.redirects.is_empty() || matches!(walk.end, End::Accept(_));
        let let_in: Vec<_> = strangers.filter(let_in).collect();
        if let_in.iter().any(|walk| walk.perhaps_fenced.is_none()) {
            out.warning(
                CHECK,
                format!("{program}: no rule says from whom tunnel packets may come"),
                format!(
                    "{program} -I INPUT 1 -p udp --dport {} ! -s PREFIX -j DROP, with the fleet's own prefix",
                    self.port
                ),
            );
            return;
        }
        for rule in unique(let_in.iter().filter_map(|walk| walk.perhaps_fenced)) {
            out.note(
                CHECK,
                format!(
                    "{program}: whether this rule keeps strangers out is not understood: {}",
                    rule.text
                ),
                format!(
                    "look yourself ({}): tunnel packets may come from the fleet only",
                    self.show
                ),
            );
        }
    }
}

/// Each rule once, in the order in which they come.
fn unique<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<&'a Rule> {
    let mut all: Vec<&Rule> = Vec::new();
    for rule in rules {
        if !all.iter().any(|one| ptr::eq(*one, rule)) {
            all.push(rule);
        }
    }
    all
}
