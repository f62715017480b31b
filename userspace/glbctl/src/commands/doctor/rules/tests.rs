// SPDX-License-Identifier: GPL-2.0

//! Rules that are as documented, and what is found when one is another.

use super::*;

const DROP: &str = "-A INPUT ! -s 192.168.50.0/24 -p udp -m udp --dport 19523 -j DROP";
const SAFE: &str =
    "-A INPUT -p udp -m udp --dport 19523 -j GLBREDIRECT --allow-hops 192.168.50.0/24";
const OPEN: &str = "-A INPUT -p udp -m udp --dport 19523 -j GLBREDIRECT";

fn found_with(raw: &str, policy: &str, rules: &[&str], hook: bool, used: bool) -> Vec<String> {
    let text = format!(
        "# by a program\n*raw\n:PREROUTING ACCEPT [0:0]\n{raw}\nCOMMIT\n\
        *filter\n:INPUT {policy} [0:0]\n:fw - [0:0]\n{}\nCOMMIT\n",
        rules.join("\n")
    );
    let mut out = Findings::default();
    let rules = Rules {
        program: "iptables",
        set: &Ruleset::parse(&text),
        port: 19523,
        hook,
        conntrack_used: used,
    };
    judge(&rules, &mut out);
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
    // What the kernel's tunnel is open to is another matter.
    has(&found(&[inside]), "warning", "from whom");
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

const ACCEPT: &str = "-A INPUT -p udp -m udp --dport 19523 -j ACCEPT";
const RAW: &str = "-A PREROUTING -p udp -m udp --dport 19523 -j CT --notrack";

/// With a policy of DROP.
fn strict(raw: &str, rules: &[&str]) -> Vec<String> {
    found_with(raw, "DROP", rules, false, false)
}

#[test]
fn who_accepts_some_does_not_accept_all() {
    let first = [DROP, SAFE];
    let with = |rule: &'static str| strict(RAW, &[&first[..], &[rule]].concat());
    for none in [
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
        "-A INPUT -s 10.0.0.0/8 -j ACCEPT",
    ] {
        has(
            &with(none),
            "error",
            "leaves here are dropped by the policy of INPUT",
        );
        // Nobody answers tunnel packets: of no flow is anything ever established.
        has(
            &strict("", &[&first[..], &[none]].concat()),
            "error",
            "by the policy of INPUT",
        );
    }
    for some in [
        "-A INPUT -i eth7 -p udp -m udp --dport 19523 -j ACCEPT",
        "-A INPUT -s 192.168.50.0/25 -p udp -m udp --dport 19523 -j ACCEPT",
        "-A INPUT -p udp -m limit --limit 5/sec -j ACCEPT",
    ] {
        has(&with(some), "warning", "may not be accepted");
    }
    for all in [
        ACCEPT,
        "-A INPUT -s 192.168.50.0/24 -j ACCEPT",
        "-A INPUT ! -p tcp -j ACCEPT",
        "-A INPUT -p udp -m udp ! --dport 22 -j ACCEPT",
        "-A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT",
    ] {
        assert_eq!(with(all), [] as [&str; 0], "{all}");
    }
    let new = "-A INPUT -p udp -m conntrack --ctstate NEW -j ACCEPT";
    assert_eq!(strict("", &[DROP, SAFE, new]), [] as [&str; 0]);
    // A list of those that may is whole only where all others were dropped before.
    let own = "-A INPUT -s 192.168.50.0/24 -j ACCEPT";
    let found = strict(RAW, &[SAFE, own]);
    assert!(
        found.iter().any(|one| one.contains("may not be accepted")),
        "{found:#?}"
    );
}

#[test]
fn chains_return_and_are_gone_to() {
    let list = [
        "-A INPUT -p udp -m udp --dport 19523 -j fence",
        "-A fence -s 192.168.50.0/24 -j RETURN",
        "-A fence -j DROP",
    ];
    let with = |list: &[&'static str], more: &[&'static str]| found(&[list, more].concat());
    assert_eq!(with(&list, &[SAFE]), [] as [&str; 0]);
    has(&with(&list, &[OPEN]), "warning", "to any address");
    // What follows a RETURN of all is for nobody.
    let open = ["-A INPUT -j fw", "-A fw -j RETURN", "-A fw -j DROP"];
    has(&with(&open, &[SAFE]), "warning", "from whom");
    // Where a chain that was gone to ends, its caller's rules are over: SAFE is never met.
    let goto = ["-A INPUT -g fw", "-A fw -j LOG"];
    has(&with(&goto, &[SAFE]), "error", "comes to chain INPUT");
    let jump = ["-A INPUT -j fw", "-A fw -j LOG", DROP];
    assert_eq!(with(&jump, &[SAFE]), [] as [&str; 0]);
}

#[test]
fn states_of_packets_that_are_not_tracked() {
    let untracked = "-A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT";
    let open = found_with(RAW, "ACCEPT", &[untracked, DROP, SAFE], false, true);
    has(&open, "error", "takes all tunnel packets before");
    let drop = "-A INPUT -m state --state INVALID,UNTRACKED -j DROP";
    has(
        &found_with(RAW, "ACCEPT", &[drop, DROP, SAFE], false, true),
        "error",
        "all tunnel packets are dropped",
    );
    // They are of that state only where the raw table says so.
    assert_eq!(found(&[untracked, drop, DROP, SAFE]), [] as [&str; 0]);
    let known = "-A INPUT -m conntrack ! --ctstate UNTRACKED -j DROP";
    assert_eq!(
        found_with(RAW, "ACCEPT", &[known, DROP, SAFE], false, true),
        [] as [&str; 0]
    );
}

#[test]
fn each_redirect_is_judged_by_who_gets_to_it() {
    let own = "-A INPUT -s 192.168.50.0/24 -p udp -m udp --dport 19523 -j GLBREDIRECT --allow-hops 192.168.50.0/24";
    let both = found(&[own, OPEN]);
    let error = "rules: error: iptables: a GLBREDIRECT rule passes packets on to any address";
    assert!(both.iter().any(|one| one.starts_with(error)), "{both:#?}");
    let own_open = "-A INPUT -s 192.168.50.0/24 -p udp -m udp --dport 19523 -j GLBREDIRECT";
    let alone = found(&[own_open]);
    assert!(
        alone
            .iter()
            .any(|one| one.starts_with("rules: warning") && one.contains("to any address")),
        "{alone:#?}"
    );
    // Some others are kept out; anybody else is not.
    let some = found(&["-A INPUT -s 203.0.113.0/24 -j DROP", OPEN]);
    assert!(some.iter().any(|one| one.starts_with(error)), "{some:#?}");
    let limit = "-A INPUT -p udp -m udp --dport 19523 -m limit --limit 5/sec -j DROP";
    assert!(found(&[limit, OPEN])
        .iter()
        .any(|one| one.starts_with(error)));
    // Who stays is not let in twice.
    let late = found(&[OPEN, DROP]);
    assert!(late.iter().any(|one| one.starts_with(error)), "{late:#?}");
}

#[test]
fn sets_ranges_and_devices_may_fence() {
    let set = "-A INPUT -p udp -m udp --dport 19523 -m set ! --match-set fleet src -j DROP";
    assert_eq!(found(&[set, SAFE]), [] as [&str; 0]);
    let range = "-A INPUT -p udp -m udp --dport 19523 -m iprange ! --src-range 192.168.50.1-192.168.50.9 -j DROP";
    assert_eq!(found(&[range, SAFE]), [] as [&str; 0]);
    has(
        &found(&["-A INPUT -i eth1 -p udp -j DROP", SAFE]),
        "note",
        "keeps strangers out is not understood",
    );
    let half = ["-A INPUT -s 0.0.0.0/1 -j DROP", SAFE];
    has(&found(&half), "warning", "from whom");
}

#[test]
fn negation_and_lines_that_nobody_can_read() {
    has(
        &found(&["-A INPUT ! -p tcp -j ACCEPT", DROP, SAFE]),
        "error",
        "takes all tunnel packets",
    );
    has(
        &found(&["-A INPUT -p udp -m udp ! --dport 22 -j DROP", SAFE]),
        "error",
        "all tunnel packets are dropped",
    );
    assert_eq!(
        found(&["-A INPUT -p udp -m udp ! --dport 19523 -j DROP", DROP, SAFE]),
        [] as [&str; 0]
    );
    assert_eq!(
        found(&["-A INPUT ! -p udp -j DROP", DROP, SAFE]),
        [] as [&str; 0]
    );
    has(
        &found(&["-A INPUT -m comment --comment \"it -j DROP", DROP, SAFE]),
        "note",
        "not understood: -A INPUT -m comment",
    );
    has(
        &found(&["-A INPUT -p udp -j NFQUEUE --queue-num 1", DROP, SAFE]),
        "note",
        "is not understood",
    );
}

#[test]
fn a_rule_where_no_tunnel_packet_comes() {
    let dead = SAFE.replace("INPUT", "fw");
    has(&found(&[DROP, &dead]), "error", "comes to chain fw");
    let forward = SAFE.replace("INPUT", "FORWARD");
    has(&found(&[DROP, &forward]), "error", "comes to chain FORWARD");
    assert_eq!(found(&[DROP, SAFE, &forward]), [] as [&str; 0]);
    // The kernel lets the target stand in other tables too.
    let mangle = format!("*mangle\n:INPUT ACCEPT [0:0]\n{DROP}\n{SAFE}\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n{ACCEPT}\n");
    let mut out = Findings::default();
    let rules = Rules {
        program: "iptables",
        set: &Ruleset::parse(&mangle),
        port: 19523,
        hook: false,
        conntrack_used: false,
    };
    judge(&rules, &mut out);
    assert_eq!(out.bad(), [] as [&str; 0]);
}

#[test]
fn the_hook_is_behind_the_rules() {
    let hook = |policy: &str, rules: &[&str]| found_with("", policy, rules, true, false);
    has(
        &hook("DROP", &[]),
        "error",
        "hook of glbctl redirect sees behind the rules, are dropped by the policy",
    );
    let state = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
    has(
        &hook("DROP", &[state]),
        "error",
        "are dropped by the policy",
    );
    has(
        &hook("DROP", &["-A INPUT -i eth7 -j ACCEPT"]),
        "warning",
        "may not be accepted",
    );
    has(
        &hook("ACCEPT", &["-A INPUT -p udp -j DROP"]),
        "error",
        "all tunnel packets are dropped",
    );
    assert_eq!(hook("DROP", &[DROP, ACCEPT]), [] as [&str; 0]);
    assert_eq!(
        hook("DROP", &["-A INPUT -s 192.168.50.0/24 -j ACCEPT"]),
        [] as [&str; 0]
    );
}

#[test]
fn ipv6_has_its_own_borders() {
    let text = format!(
        "*filter\n:INPUT ACCEPT [0:0]\n{}\n{}\nCOMMIT\n",
        DROP.replace("192.168.50.0/24", "fd00:50::/64"),
        SAFE.replace("192.168.50.0/24", "fd00:50::/64")
    );
    let mut out = Findings::default();
    let rules = Rules {
        program: "ip6tables",
        set: &Ruleset::parse(&text),
        port: 19523,
        hook: false,
        conntrack_used: false,
    };
    judge(&rules, &mut out);
    assert_eq!(out.bad(), [] as [&str; 0]);
}
