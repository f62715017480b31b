#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Chains of proxies: a packet goes from one to the next until it finds its connection, or the list ends.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"
# shellcheck source=tests/lab/chain.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/chain.sh"

setup() { chain 3; }

test_three() {
    about "Three hops: director, first, second, third proxy, in both families of the underlay and inside."
    local o i
    for o in 4 6; do
        for i in 4 6; do
            lab_context="IPv$i in IPv$o: "
            quietly_wire "o, i = $o, $i"
            # Once in the middle, once at the end.
            walk 3 $((o == i ? 2 : 3))
        done
    done
}

test_loop() {
    about "A list that leads in circles ends with the list."
    quietly_wire "o, i = 4, 4
$hops
reset()"
    snapshot hop0 hop1
    wire "h = HOPS(1); send('director', 'hop0', tunnel(h[0], of(tcp(port(), 80, 'A')), [h[1], h[0]] * 15))"
    expect_counters hop0 forwarded_to_alternate=+15 accepted_last_resort=+1
    expect_counters hop1 forwarded_to_alternate=+15
    # The same proxy twice in a row is itself.
    wire "send('director', 'hop0', tunnel(h[0], of(tcp(port(), 80, 'A')), [h[1], h[1], h[0]]))"
    expect_counters hop0 forwarded_to_alternate=+1
    expect_counters hop1 forwarded_to_self=+1
}

test_ttl() {
    about "The TTL is the director's all the way, down to 1: the list bounds the way, not the TTL."
    local o
    for o in 4 6; do
        lab_context="IPv$o: "
        quietly_wire "o, i = $o, 4
$hops
reset()"
        wire "x = of(tcp(port(), 80, 'A')); send('director', 'hop0', tunnel(HOPS(2)[0], x, HOPS(2)[1:], ttl=1))"
        check "the last hop gets it with TTL 1" wire "expect('hop2', tunnel(HOPS(2)[2], x, HOPS(2)[1:], index=2, src=HOPS(2)[1], ttl=1))"
    done
}

lab_main "$@"
