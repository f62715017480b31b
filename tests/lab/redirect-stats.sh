#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The files that show the counters, and the rules by every iptables.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }

readonly DEPLOYED='total_packets accepted_syn_packets accepted_last_resort_packets accepted_established_packets accepted_syn_cookie_packets forwarded_to_self_packets forwarded_to_alternate_packets'
readonly MORE='accepted_udp_packets accepted_icmp_packets accepted_fragment_packets accepted_udp_connected_packets forwarded_syn_packets forwarded_udp_packets accepted_netns_packets accepted_conntrack_packets dropped_truncated_packets dropped_outer_packets dropped_gue_packets dropped_inner_packets dropped_inner_protocol_packets dropped_hop_not_allowed_packets dropped_no_route_packets dropped_too_big_packets dropped_udp_gso_packets dropped_no_memory_packets forwarded_bytes ended_netns_lookups cookie_set_answers cookie_no_timestamps_answers cookie_microseconds_answers cookie_signed_answers cookie_syn_cookie_answers cookie_fast_open_answers cookie_late_answers cookie_no_memory_answers'

names() { cut -d : -f 1 | paste -sd ' '; }

test_forms() {
    about "/proc/glb_redirect_stats has the deployed names, order and form; /proc/net/glb_redirect has these first, and all others."
    local text
    text=$(quietly_on proxy1 cat /proc/glb_redirect_stats)
    check "deployed names in the deployed order" is "$DEPLOYED" "$(names <<<"$text")"
    check "each line is a name, a colon, a blank and a number" fails grep -qvE '^[a-z_]+: [0-9]+$' <<<"$text"
    text=$(quietly_on proxy1 cat /proc/net/glb_redirect)
    check "all names" is "$DEPLOYED $MORE" "$(names <<<"$text")"
    check "the same form" fails grep -qvE '^[a-z_]+: [0-9]+$' <<<"$text"
    check "both are for everybody to read, and for nobody to write" is '444 444' \
        "$(quietly_on proxy1 stat -L -c %a /proc/glb_redirect_stats /proc/net/glb_redirect | tr '\n' ' ' | sed 's/ $//')"
}

test_per_namespace() {
    about "Each namespace has its own counters, in both files; the deployed one shows the reader's."
    quietly_wire "$redirect_names
o, i = 4, 4"
    snapshot proxy1 proxy2
    wire "to1(of(tcp(port(), 80, 'S'))); to1(of(udp(port(), 443)))"
    expect_counters proxy1 accepted_syn=+1 accepted_udp=+1
    expect_counters proxy2
    local name
    for name in proxy1 proxy2 client; do
        check "$name: the deployed file has the same numbers" is "$(quietly_on "$name" head -n 7 /proc/net/glb_redirect)" \
            "$(quietly_on "$name" cat /proc/glb_redirect_stats)"
    done
    check "the guest itself counts nothing" is 'total_packets: 0' "$(head -n 1 /proc/glb_redirect_stats)"
    check "nor does the client" is 'total_packets: 0' "$(quietly_on client head -n 1 /proc/net/glb_redirect)"
}

test_new_namespace() {
    about "A namespace that is made while the module is loaded has its files, all zero; and it can go."
    ip netns add later
    check "its file is there" is 'total_packets: 0' "$(ip netns exec later head -n 1 /proc/net/glb_redirect)"
    check "it goes" ip netns del later
}

test_rules_of_every_iptables() {
    about "The rule works the same by iptables-nft and iptables-legacy, with the option and without."
    local tool
    for tool in nft legacy; do
        lab_context="$tool: "
        on proxy1 iptables -F INPUT
        on proxy1 ip6tables -F INPUT
        on proxy1 "iptables-$tool" -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
        on proxy1 "ip6tables-$tool" -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
        for_underlays goes_on
        on proxy1 "iptables-$tool" -F INPUT
        on proxy1 "ip6tables-$tool" -F INPUT
        on proxy1 "iptables-$tool" -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops 192.0.2.0/24
        on proxy1 "ip6tables-$tool" -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops 2001:db8::/32
        for_underlays stays_out
        # Kept over save and restore.
        on proxy1 sh -c "iptables-$tool-save | iptables-$tool-restore && ip6tables-$tool-save | ip6tables-$tool-restore"
        for_underlays stays_out
        on proxy1 "iptables-$tool" -F INPUT
        on proxy1 "ip6tables-$tool" -F INPUT
        for_underlays no_rule
    done
    on proxy1 iptables -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
    on proxy1 ip6tables -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
}
goes_on() {
    wire "x = by1(of(tcp(port(), 80, 'A'))); send('director', 'proxy1', x)"
    check "proxy2 gets it" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
}
stays_out() {
    wire "to1(of(tcp(port(), 80, 'A')))"
    expect_counters proxy1 dropped_hop_not_allowed=+1
}
no_rule() {
    wire "p = port(); to1(of(tcp(p, 80, 'A', ack=7))); recv('client', from_vip('R', p))"
    check "without a rule it stays and nothing is counted" wire "nothing('proxy2')"
    expect_counters proxy1
}

test_module_in_use() {
    about "A rule holds the module."
    check "rmmod is refused" fails rmmod rust_glb_redirect
}

lab_main "$@"
