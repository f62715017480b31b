// SPDX-License-Identifier: GPL-2.0

//! A packet's way through the rules.

use super::parse::{Match, Rule, Ruleset, State};
use super::who::Who;

/// Chains deeper than any that people write; the kernel refuses loops.
const DEEPEST: u8 = 16;
/// Rules that are looked at for one sender.
const MOST_STEPS: u32 = 200_000;

/// How a packet ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    Accept(Option<&'a Rule>),
    /// By the policy where there is no rule.
    Drop(Option<&'a Rule>),
}

/// What packets of one sender in one state meet.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    set: &'a Ruleset,
    /// The port of the tunnel.
    port: u16,
    pub(super) who: Who<'a>,
    pub(super) state: State,
    /// GLBREDIRECT rules, and whether each takes all that get there.
    pub(super) redirects: Vec<(&'a Rule, bool)>,
    /// Rules that accept some of them, before GLBREDIRECT and behind it.
    pub(super) perhaps_accepted: [Vec<&'a Rule>; 2],
    /// A rule before GLBREDIRECT that may drop them by who sent them.
    pub(super) perhaps_fenced: Option<&'a Rule>,
    /// Rules that nobody here understands, before GLBREDIRECT and behind it.
    pub(super) unclear: [Vec<&'a Rule>; 2],
    pub(super) end: End<'a>,
    /// Had they not ended before GLBREDIRECT, this rule would have had them.
    pub(super) missed: Option<&'a Rule>,
    /// Conntrack leaves them alone.
    untracked: bool,
    ended: bool,
    steps: u32,
}

/// How a chain was left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The calling chain goes on.
    Returned,
    /// Nothing is left to find out.
    Done,
}

impl<'a> Walk<'a> {
    fn new(set: &'a Ruleset, port: u16, who: Who<'a>, state: State) -> Self {
        Self {
            set,
            port,
            who,
            state,
            redirects: Vec::new(),
            perhaps_accepted: [Vec::new(), Vec::new()],
            perhaps_fenced: None,
            unclear: [Vec::new(), Vec::new()],
            end: End::Accept(None),
            missed: None,
            untracked: false,
            ended: false,
            steps: 0,
        }
    }

    /// Whether conntrack leaves packets of a sender alone.
    pub(super) fn untracks(set: &'a Ruleset, port: u16, who: Who<'a>) -> bool {
        let mut walk = Self::new(set, port, who, State::Untracked);
        walk.chain("raw", "PREROUTING", Match::Yes, 0);
        walk.untracked
    }

    /// The way to this machine's sockets.
    pub(super) fn input(set: &'a Ruleset, port: u16, who: Who<'a>, state: State) -> Self {
        let mut walk = Self::new(set, port, who, state);
        for table in ["mangle", "filter"] {
            let left = walk.chain(table, "INPUT", Match::Yes, 0);
            let policy = set.chain(table, "INPUT").map(|chain| &*chain.policy);
            if !walk.ended && left == Left::Returned && policy == Some("DROP") {
                walk.finish(End::Drop(None));
            }
            // Where one table accepts, the next one is asked all the same.
            if let (true, End::Accept(_), "mangle") = (walk.ended, walk.end, table) {
                walk.ended = false;
                walk.end = End::Accept(None);
            }
        }
        walk
    }

    fn finish(&mut self, end: End<'a>) -> Left {
        if !self.ended {
            self.ended = true;
            self.end = end;
        }
        // One that ended early is followed further, to see whether GLBREDIRECT would have had it.
        if self.redirects.is_empty() && self.missed.is_none() {
            Left::Returned
        } else {
            Left::Done
        }
    }

    /// Follows a chain. `all` says whether all packets that are left get here.
    fn chain(&mut self, table: &str, name: &str, mut all: Match, depth: u8) -> Left {
        let set = self.set;
        let rules = set.chain(table, name).map_or(&[][..], |chain| &chain.rules);
        for rule in rules {
            self.steps += 1;
            let matches = rule.matches(self.port, self.who, self.state);
            if matches == Match::No {
                continue;
            }
            let behind = usize::from(!self.redirects.is_empty());
            if depth > DEEPEST || self.steps > MOST_STEPS || rule.unread {
                self.unclear(rule);
                continue;
            }
            let here = all.min(matches);
            let sure = here == Match::Yes;
            match &*rule.target {
                "GLBREDIRECT" if self.ended => {
                    self.missed = self.missed.or(Some(rule));
                    return Left::Done;
                }
                "GLBREDIRECT" => self.redirects.push((rule, sure)),
                "ACCEPT" if sure => {
                    if self.finish(End::Accept(Some(rule))) == Left::Done {
                        return Left::Done;
                    }
                }
                "DROP" | "REJECT" if sure => {
                    if self.finish(End::Drop(Some(rule))) == Left::Done {
                        return Left::Done;
                    }
                }
                "ACCEPT" if !self.ended => {
                    if let Some(list) = self.perhaps_accepted.get_mut(behind) {
                        list.push(rule);
                    }
                }
                "DROP" | "REJECT" => {
                    let by_who = here == Match::PerhapsByWho;
                    if behind == 0 && by_who && !self.ended {
                        self.perhaps_fenced = self.perhaps_fenced.or(Some(rule));
                    }
                }
                "RETURN" if matches == Match::Yes => return Left::Returned,
                // Some are gone from this chain.
                "RETURN" => all = here,
                target if set.chain(table, target).is_some() => {
                    let left = self.chain(table, target, here, depth + 1);
                    if left == Left::Done {
                        return Left::Done;
                    }
                    if rule.goto {
                        if matches == Match::Yes {
                            return Left::Returned;
                        }
                        all = here;
                    }
                }
                _ if rule.no_track => self.untracked |= sure,
                target if GOES_ON.contains(&target) => {}
                _ => self.unclear(rule),
            }
        }
        Left::Returned
    }

    fn unclear(&mut self, rule: &'a Rule) {
        let behind = usize::from(!self.redirects.is_empty());
        if self.ended {
            return;
        }
        if behind == 0 {
            self.perhaps_fenced = self.perhaps_fenced.or(Some(rule));
        }
        if let Some(list) = self.unclear.get_mut(behind) {
            list.push(rule);
        }
    }
}

/// Targets behind which a packet goes on to the next rule.
const GOES_ON: [&str; 18] = [
    "",
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DSCP",
    "HL",
    "LOG",
    "MARK",
    "NFLOG",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TOS",
    "TRACE",
    "TTL",
];
