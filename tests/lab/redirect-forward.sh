#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The rule in FORWARD, on a router.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

test_forward() {
    about "In the chain FORWARD of a router before the proxies: SYNs go through it to their proxy, what is unknown to it goes to the next hop."
    redirect_hosts
    host router 10.3.0.1 fd03::1
    on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 \
        net.ipv4.conf.eth0.send_redirects=0
    on router iptables -A FORWARD -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
    on router ip6tables -A FORWARD -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
    snapshot router
    everywhere forward
}
forward() {
    wire "by_router = lambda x: send('director', 'router', by1(x)); x = of(tcp(port(), 80, 'S')); by_router(x)"
    check "a SYN is routed to proxy1" wire "expect('proxy1', by1(x, ttl=63))"
    expect_counters router accepted_syn=+1
    expect_counters proxy1 accepted_syn=+1
    wire "x = of(tcp(port(), 80, 'A')); by_router(x)"
    check "an unknown ACK goes to proxy2, as from proxy1" wire "expect('proxy2', moved(by1(x, ttl=63)))"
    expect_counters router forwarded_to_alternate=+1
    expect_counters proxy1
    expect_counters proxy2 accepted_last_resort=+1
}

lab_main "$@"
