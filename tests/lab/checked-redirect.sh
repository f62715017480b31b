#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What GLBREDIRECT takes for granted, checked under traffic: nobody uses its memory when it goes, and its packets' contexts.
#
#   client ---> director ===GUE===> proxy1 ===GUE===> proxy2
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"
# shellcheck source=tests/lab/checked.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/checked.sh"

# fleet: the hosts; no proxy has a rule or an open door yet.
fleet() {
    checked_module rust_glb_redirect
    export IPTABLES='' IP6TABLES=''
    redirect_hosts
    quietly_wire "$redirect_names
o, i = 4, 4
reset()"
}

# flood: packets of a connection that nobody has come to proxy1 without an end, to be passed on.
flood() {
    wire "x = by1(of(tcp(port(), 80, 'A', seq=1)))
frame = hosts['proxy1'].mac + hosts['director'].mac + b'\x08\0' + x
open('$lab_work/flood.pcap', 'wb').write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + b''.join(struct.pack('<IIII', 0, 0, len(frame), len(frame)) + frame for _ in range(64)))"
    spawn director tcpreplay --quiet --intf1=eth0 --loop=0 --pps=4000 "$lab_work/flood.pcap"
}
# passed_on_more: packets of the flood are passed on now.
passed_on_more() {
    local before
    before=$(counter proxy1 forwarded_to_alternate_packets)
    eventually more_than "$before"
}
more_than() { [ "$(counter proxy1 forwarded_to_alternate_packets)" -gt "$1" ]; }
# queued: how many packets went into the queue so far (the eighth field of the kernel's table of queues).
# shellcheck disable=SC2016 # For awk.
queued() { quietly_on proxy1 awk '{ print $8 }' /proc/net/netfilter/nfnetlink_queue; }
queued_more_than() { [ "$(queued)" -gt "$1" ]; }

test_unload_with_open_door() {
    about "The module goes while its door is open and packets come in: nobody touches its counters and routes afterwards."
    local round
    fleet
    flood
    for round in 1 2 3 4 5; do
        on proxy1 glbctl redirect on
        check "round $round: packets are passed on" passed_on_more
        check "round $round: the module goes" rmmod rust_glb_redirect
        run insmod /checked/rust_glb_redirect.ko
    done
    check "the kernel says nothing" kernel_is_quiet
}

test_namespace_goes_with_open_door() {
    about "A namespace goes while its door is open and packets come in."
    fleet
    flood
    on proxy1 glbctl redirect on
    check "packets are passed on" passed_on_more
    run ip netns del proxy1
    # The module is held by nobody else, so it goes when the namespace has.
    check "the namespace is gone, and the module can go" unload rust_glb_redirect
    check "the kernel says nothing" kernel_is_quiet
}

# queue_first TOOL [MATCH...]: packets to the tunnel's port of proxy1, those that match, go to a queue first. In a table of its
# own: what is accepted goes on at the next hook, not at the next rule.
queue_first() {
    on proxy1 "$1" -t mangle -I INPUT -p udp --dport "$GUE_PORT" "${@:2}" -j NFQUEUE --queue-num 5
}
# accept_queued: a program on proxy1 accepts each packet of the queue.
accept_queued() {
    run modprobe nfnetlink_queue
    : >"$lab_work/queue"
    printf '[+] proxy1: glb-packets nfqueue 5 &\n'
    ip netns exec proxy1 glb-packets nfqueue 5 >"$lab_work/queue" 2>&1 </dev/null &
    check "a program takes the queue" eventually grep -q bound "$lab_work/queue"
}

test_behind_nfqueue_by_door() {
    about "Packets that a program behind NFQUEUE accepted come to the door in process context: they are passed on, and kept, as ever."
    fleet
    on proxy1 glbctl redirect on
    queue_first iptables
    queue_first ip6tables
    accept_queued
    everywhere behind_queue
    check "the kernel says nothing" kernel_is_quiet
}

test_behind_nfqueue_by_rule() {
    about "The same by a rule of iptables, which is iptables-nft: its rules run with bottom halves as they are."
    export IPTABLES=iptables-nft IP6TABLES=ip6tables-nft
    checked_module rust_glb_redirect
    redirect_hosts
    queue_first iptables-nft
    queue_first ip6tables-nft
    accept_queued
    everywhere behind_queue
    check "the kernel says nothing" kernel_is_quiet
}

behind_queue() {
    wire "l = listener('proxy1', VIP[i], 8500); p = port(); to1(of(tcp(p, 8500, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8500, 'A', seq=1001, ack=a.seq + 1)))
        s = accepted(l); to1(of(tcp(p, 8500, 'PA', seq=1001, ack=a.seq + 1, payload=b'hello')))"
    check "a connection through the queue takes data" wire "hears(s, b'hello')"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+2
    local round
    for round in 1 2 3; do
        wire "x = by1(of(tcp(port(), 80, 'A', seq=$round))); send('director', 'proxy1', x)"
        check "an unknown packet goes on" wire "expect('proxy2', moved(x))"
    done
    expect_counters proxy1 forwarded_to_alternate=+3
    quietly_wire "reset()"
}

test_flood_behind_nfqueue() {
    about "Packets from the queue and packets from the device use one CPU's routes at the same time."
    fleet
    on proxy1 glbctl redirect on
    # One packet of four takes the way through the program.
    queue_first iptables -m statistic --mode nth --every 4 --packet 0
    accept_queued
    flood
    local round before
    for round in 1 2 3 4 5; do
        before=$(queued)
        check "round $round: packets are passed on" passed_on_more
        check "round $round: and some by way of the program" eventually queued_more_than "$before"
        on proxy1 ip route replace 10.1.0.2/32 dev eth0 src 10.1.0.1
        on proxy1 ip route del 10.1.0.2/32 dev eth0
    done
    check "the kernel says nothing" kernel_is_quiet
}

lab_main "$@"
