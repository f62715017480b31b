#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A proxy that is set up as the documents say, command by command in their order: at no moment does it pass a packet on to a hop
# outside of the fleet, and at the end it works.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/docs.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/docs.sh"

# The plan of the documents (docs/production.md), and a stranger.
fleet() {
    host director 192.168.50.6 fd00:50::6
    host proxy1 192.168.50.10 fd00:50::10
    host proxy2 192.168.50.11 fd00:50::11
    host stranger 198.51.100.7 2001:db8::7
    wire "DIRECTOR.update({4: '192.168.50.6', 6: 'fd00:50::6'})
        count = itertools.count(20000); inner = lambda: ip('198.51.100.99', '10.10.10.10', tcp(next(count), 80, 'A'))
        PROXY = {4: ('192.168.50.10', '192.168.50.11', '198.51.100.7'), 6: ('fd00:50::10', 'fd00:50::11', '2001:db8::7')}
        def to(hop, o, **more): send('director', 'proxy1', tunnel(PROXY[o][0], inner(), [PROXY[o][hop]], **more))"
}

# follows FILE HEADING FAMILY [PATTERN]: proxy1 does what is written there; of commands with PATTERN only, if there is one.
follows() {
    local command commands=0
    while IFS= read -r command; do
        commands=$((commands + 1))
        check "$1: $command" on proxy1 bash -ec "$command" </dev/null
        wire "to(2, $3)"
        check "no packet goes to a hop outside, after: $command" wire "nothing('stranger')"
    done < <(documented "$1" "$2" | grep -E "${4:-.}")
    check "$1 has commands below '$2'" test "$commands" -gt 1
}

# is_safe FAMILY [PREFIX]: what the rules are for.
is_safe() {
    snapshot proxy1
    wire "to(1, $1)"
    check "a hop of the fleet gets the packet" wire "is_gue(recv('proxy2'))"
    expect_counters proxy1 forwarded_to_alternate=+1
    wire "to(2, $1)"
    check "a hop outside does not" wire "nothing('stranger')"
    expect_counters proxy1 dropped_hop_not_allowed=+1
    wire "to(1, $1, src=PROXY[$1][2])"
    check "who is not of the fleet has nothing passed on" wire "nothing('proxy2')"
    expect_counters proxy1
}

test_proxy() {
    about "docs/proxy.md from top to bottom: set-up, then the IPv6 underlay."
    fleet
    follows proxy.md "## Set-up" 4
    is_safe 4
    follows proxy.md "### An IPv6 underlay" 6
    is_safe 6
    is_safe 4
    check "the VIP is on the tunnels" is 3 "$(quietly_on proxy1 ip -o addr show | grep -cE 'tunl0.* 10\.10\.10\.10/32|ip6tnl0.* (10\.10\.10\.10/32|fd00:10::10/128)')"
}

test_readme() {
    about "The README's proxy."
    fleet
    follows README.md "## A proxy" 4 '^(modprobe|ip|iptables|sysctl)'
    is_safe 4
}

test_production() {
    about "The script of docs/production.md that sets a proxy up at boot; it may be run again."
    fleet
    block production.md "## 1. The proxies" sh >"$lab_work/glb-proxy"
    check "it works" on proxy1 sh "$lab_work/glb-proxy"
    is_safe 4
    check "it works once more" on proxy1 sh "$lab_work/glb-proxy"
    is_safe 4
    check "and adds no second rule" is 1 "$(quietly_on proxy1 iptables -S INPUT | grep -c GLBREDIRECT)"
}

test_open_rule() {
    about "A rule that the deployed module's operators have is open; what proxy.md says closes it."
    fleet
    on proxy1 modprobe rust_glb_redirect
    on proxy1 iptables -F INPUT
    on proxy1 iptables -A INPUT -p udp --dport 19523 -j GLBREDIRECT
    wire "to(2, 4)"
    check "it is open" wire "is_gue(recv('stranger'))"
    local command
    while IFS= read -r command; do check "proxy.md: $command" on proxy1 bash -ec "$command" </dev/null; done < <(
        documented proxy.md "### Who may send, and where to" | grep ^iptables)
    is_safe 4
}

test_without_iptables() {
    about "The door without iptables, with nft's rule in front."
    fleet
    on proxy1 modprobe rust_glb_redirect
    follows proxy.md "## Without iptables" 4 '^(nft|glbctl redirect on)'
    is_safe 4
}

lab_main "$@"
