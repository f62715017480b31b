#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The machine is changed under its traffic: rules replaced, the module taken out and put back, namespaces deleted. No
# connection breaks, and nothing stays behind.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/load.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/load.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"

readonly PROXY3=10.0.0.13 PAGES=60 DOWNLOADS=30

setup() {
    fleet
    web proxy1 proxy2
}

# traffic: connections that live on proxy1.
traffic() {
    start_director -- "$PROXY1" "$PROXY2"
    hold pages --connections $PAGES --path /page --body "$lab_work/www/page" --pause 100
    hold downloads --connections $DOWNLOADS --path /slow --body "$lab_work/www/slow"
    check "$PAGES connections ask for pages" becomes_busy pages
    check "$DOWNLOADS downloads are under way" becomes_busy downloads
}
traffic_ends() {
    check "no connection that asked for pages broke" held pages
    check "no download broke" held downloads
    check "proxy1 had them all" told pages "server proxy1: $PAGES"
    end_director
    check "the kernel says nothing" kernel_is_quiet
}

# responses that came so far are not told by the clients; bytes that the client's device got are.
client_bytes() { quietly_on client cat /sys/class/net/eth0/statistics/rx_bytes; }
# flows: answers come, from now on. Each of the connections that ask for pages would have had several.
flows() {
    local from
    from=$(client_bytes)
    eventually more_than $((from + 50000))
}
more_than() {
    local bytes
    bytes=$(client_bytes)
    echo "$bytes bytes"
    [ "$bytes" -gt "$1" ]
}

test_rules_replaced() {
    about "A rule that passes packets on is replaced, many times, and no packet falls through the middle."
    local rounds=0 from
    traffic
    snapshot proxy2
    order "$PROXY2" "$PROXY1"
    quietly_on proxy2 iptables-save >"$lab_work/any"
    sed 's/-j GLBREDIRECT/& --allow-hops 10.0.0.0\/24/' "$lab_work/any" >"$lab_work/some"
    check "the two rules are not one" fails cmp -s "$lab_work/any" "$lab_work/some"
    # Until both are many: replacements, and packets that they could have failed.
    from=$(counter proxy2 forwarded_to_alternate_packets)
    while [ $rounds -lt 50 ] || [ "$(counter proxy2 forwarded_to_alternate_packets)" -lt $((from + 1000)) ]; do
        if ! quietly_on proxy2 iptables-restore <"$lab_work/some" || ! quietly_on proxy2 iptables-restore <"$lab_work/any"; then
            lab_step_failed "iptables-restore"
            break
        fi
        rounds=$((rounds + 1))
        lab_alive
        [ $rounds -lt 1000 ] || break # no packet comes: the check below says so
    done
    say "$rounds rounds of two replacements"
    check "rmmod is refused while a rule uses the module" fails rmmod rust_glb_redirect
    check "packets flow on" flows
    order "$PROXY1" "$PROXY2"
    # Not one packet was taken for proxy2's own.
    expect_counters proxy2 forwarded_to_alternate=+200..99999999
    traffic_ends
}

# packets_meet_the_gap: some have come to proxy2 and were dropped, for lack of the module.
packets_meet_the_gap() { check "packets come meanwhile" eventually dropped_some; }
dropped_some() { [ "$(quietly_on proxy2 iptables -nvxL INPUT 1 | awk '{ print $1 }')" -gt 20 ]; }

# without_module COMMAND...: takes every rule and the module away, runs the command, and puts them back. proxy2 would
# answer what it cannot pass on with a reset; so it takes nothing at all meanwhile.
without_module() {
    on proxy2 iptables -I INPUT -p udp --dport "$GUE_PORT" -j DROP
    each_proxy -D
    check "rmmod takes the module out" rmmod rust_glb_redirect
    check "it is gone" fails grep -q ^rust_glb_redirect /proc/modules
    "$@"
    run modprobe rust_glb_redirect
    each_proxy -A
    on proxy2 iptables -D INPUT -p udp --dport "$GUE_PORT" -j DROP
}
each_proxy() {
    local name tool
    for name in proxy1 proxy2; do
        for tool in iptables ip6tables; do
            lab_done "$name: $tool $1" quietly_on "$name" "$tool" "$1" INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
        done
    done
}

test_module_replaced() {
    about "rmmod and modprobe under traffic: connections on the first proxy do not notice, others wait and go on."
    local round
    traffic
    # The first round is for what the kernel allocates once.
    without_module true
    memory_mark
    for round in 1 2 3; do
        say "round $round: packets come to proxy1, which has the connections"
        without_module check "packets flow without the module" flows
        order "$PROXY2" "$PROXY1"
        say "round $round: packets come to proxy2, which passes them on"
        without_module packets_meet_the_gap
        check "they go on by proxy2" flows
        order "$PROXY1" "$PROXY2"
    done
    check "no memory was left behind" memory_kept
    traffic_ends
}

# passing_namespace: a proxy3 comes, packets go by it, and it goes in the middle of them. It only passes on: the kernel
# takes a namespace's rules before its devices, and a host with the VIP would answer what comes in between with resets.
passing_namespace() {
    host proxy3 "$PROXY3" - >/dev/null
    redirects proxy3 >/dev/null
    # Each one has a new MAC address.
    quietly_on director ip neigh flush dev eth0
    order "$PROXY3" "$PROXY1"
    check "packets flow by proxy3" flows
    check "proxy3 passed them on" eventually passed_on proxy3
    check "proxy3's namespace is deleted under its packets" ip netns del proxy3
    # Some meet the gap, too.
    check "packets are still sent to it" eventually sent_more "$(sent_by_director)"
    order "$PROXY1" "$PROXY2"
    check "the connections go on by proxy1" flows
    check "proxy3's devices are gone" eventually fails ip -n fabric link show proxy3
}

passed_on() { [ "$(counter "$1" forwarded_to_alternate_packets)" -gt 20 ]; }
sent_by_director() { quietly_on director cat /sys/class/net/glb0/statistics/tx_packets; }
sent_more() { [ "$(sent_by_director)" -gt $(($1 + 20)) ]; }

test_namespace_deleted() {
    about "A proxy's namespace is deleted under its traffic, with its rule and counters in use."
    traffic
    passing_namespace
    memory_mark
    for _ in 1 2 3 4; do passing_namespace; done
    check "no memory was left behind" memory_kept
    traffic_ends
}

lab_main "$@"
