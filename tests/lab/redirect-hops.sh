#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# --allow-hops: who may be sent to.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }

# rule_is [OPTION...]: the only rule of proxy1, in both families.
rule_is() {
    local tool
    for tool in iptables ip6tables; do
        on proxy1 "$tool" -R INPUT 1 -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT "$@"
    done
}

# goes, stays_out: an unknown ACK with the next hop proxy2.
goes() {
    wire "x = by1(of(tcp(port(), 80, 'A'))); send('director', 'proxy1', x)"
    check "$1: proxy2 gets it" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
}
stays_out() {
    wire "p = port(); to1(of(tcp(p, 80, 'A', payload=b'x')))"
    expect_counters proxy1 dropped_hop_not_allowed=+1
    check "$1: it goes nowhere" wire "nothing('proxy2'); nothing('client', from_vip('R', p))"
}

test_prefixes() {
    about "A hop inside one of the prefixes is sent to, any other is counted and dropped; prefixes of the other family say nothing."
    local word
    for word in 10.1.0.0/24,fd01::/64 10.1.0.2,fd01::2 0.0.0.0/0,::/0 10.1.0.2/31,fd01::2/127 192.0.2.0/24,2001:db8::/32,fd00::/8,10.0.0.0/8; do
        rule_is --allow-hops "$word"
        everywhere goes "$word"
    done
    for word in 10.2.0.0/16,fd02::/16 10.1.0.0/31,fd01::/127 10.1.0.3,fd01::3 10.1.0.4/30,fd01::4/126; do
        rule_is --allow-hops "$word"
        everywhere stays_out "$word"
    done
    rule_is --allow-hops 10.1.0.0/16
    everywhere of_one_family 4
    rule_is --allow-hops fd01::/16
    everywhere of_one_family 6
}
of_one_family() {
    if [ "$underlay" = "$1" ]; then goes "the family of the prefix"; else stays_out "the other family"; fi
}

test_sixteen() {
    about "All sixteen prefixes count, the last as the first."
    local n list=''
    for n in {1..7}; do list+="198.51.$n.0/24,2001:db8:$n::/48,"; done
    rule_is --allow-hops "${list}10.1.0.0/24,fd01::/64"
    everywhere goes "the last two"
    rule_is --allow-hops "10.1.0.0/24,fd01::/64,${list%,}"
    everywhere goes "the first two"
    rule_is --allow-hops "${list}198.51.8.0/24,2001:db8:8::/48"
    everywhere stays_out "none"
}

test_what_stays_anyway() {
    about "The option is about sending on: what stays here stays, whatever its hops."
    rule_is --allow-hops 192.0.2.1,2001:db8::1
    everywhere stays_anyway
}
stays_anyway() {
    wire "to1(of(tcp(port(), 80, 'S'))); to1(of(udp(port(), 443))); send('director', 'proxy1', by1(of(tcp(port(), 80)), index=1))
        send('director', 'proxy1', tunnel(P1[o], of(tcp(port(), 80)), [P1[o], P2[o]]))"
    expect_counters proxy1 accepted_syn=+1 accepted_udp=+1 accepted_last_resort=+1 forwarded_to_self=+1
    wire "l = listener('proxy1', VIP[i], 8300); p = port(); to1(of(tcp(p, 8300, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8300, 'A', seq=1001, ack=a.seq + 1)))"
    check "a connection comes up" wire "accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    quietly_wire "reset()"
}

test_later_hops() {
    about "Only the next hop counts, not those after it."
    rule_is --allow-hops 10.1.0.0/24,fd01::/64
    for_underlays later_hops
}
later_hops() {
    wire "y = {4: '192.0.2.1', 6: '2001:db8::1'}[o]; x = tunnel(P1[o], of(tcp(port(), 80)), [P2[o], y]); send('director', 'proxy1', x)"
    check "proxy2 gets it" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    wire "send('director', 'proxy1', tunnel(P1[o], of(tcp(port(), 80)), [y, P2[o]]))"
    expect_counters proxy1 dropped_hop_not_allowed=+1
}

test_two_rules() {
    about "What the first rule keeps comes to the next rule and is counted again; what it sends or drops does not."
    rule_is --allow-hops 10.1.0.2,fd01::2
    on proxy1 iptables -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
    on proxy1 ip6tables -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
    for_underlays two_rules
    on proxy1 iptables -D INPUT 2
    on proxy1 ip6tables -D INPUT 2
}
two_rules() {
    wire "to1(of(tcp(port(), 80, 'S')))"
    expect_counters proxy1 accepted_syn=+2
    wire "to1(of(tcp(port(), 80, 'A')))"
    expect_counters proxy1 forwarded_to_alternate=+1
}

lab_main "$@"
