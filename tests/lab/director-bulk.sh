#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Real connections through the director, with the aggregates that devices make of them: what a client's kernel sends in one
# piece leaves in one piece, or is cut by the device, or by the kernel; every byte arrives.
#
#   client ---> director ===GUE===> proxy1
#      ^                               |
#      +------- answers directly ------+
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"

setup() {
    host client 10.2.0.1 fd02::1
    host director 65.65.65.65 fd65::65
    host proxy1 10.1.0.1 fd01::1
    ip_on client <<END
link set eth0 mtu 1500
route add $VIP4 via 65.65.65.65 dev eth0 onlink
route add $VIP6 via fd65::65 dev eth0 onlink
END
    takes_gue proxy1
    takes_gue6 proxy1
    modprobe rust_glb_director
    proxies "$lab_work/v4.json" "$SEED" 10.1.0.1
    proxies "$lab_work/v6.json" "$SEED" fd01::1
    on director glbctl table load "$lab_work/v4.json"
    on director glbctl attach eth0
}

device_cuts() { on director ethtool -K eth0 tx on tso on gso on; }
kernel_cuts() { on director ethtool -K eth0 tso off gso off tx off; }

test_device_cuts() {
    about "Aggregates leave whole, for a device that segments tunnels."
    device_cuts
    bulk "$VIP4" whole
    bulk "[$VIP6]" whole
}

test_kernel_cuts() {
    about "Where the device segments nothing and completes no checksum, the kernel does."
    kernel_cuts
    bulk "$VIP4" cut
    bulk "[$VIP6]" cut
}

test_checksum() {
    about "The same with an outer UDP checksum, over both underlays; each packet of the wire has one, and it is right."
    local table
    on director glbctl config set --udp-checksum true
    for table in v4 v6; do
        on director glbctl table load "$lab_work/$table.json"
        lab_context="$table: "
        device_cuts
        bulk "$VIP4" whole
        kernel_cuts
        capture proxy1 "$lab_work/got.pcap"
        bulk "$VIP4" cut
        captured 0
        # tcpdump sums up itself.
        tcpdump -nvvr "$lab_work/got.pcap" 2>/dev/null >"$lab_work/got"
        check "the wire's packets have a right checksum" grep -q 'udp sum ok' "$lab_work/got"
        check "none has a wrong one or none" fails grep -Eq 'bad udp cksum|no cksum' "$lab_work/got"
    done
    lab_context=
    on director glbctl config set --udp-checksum false
    on director glbctl table load "$lab_work/v4.json"
}

test_told() {
    about "On an underlay without room for the tunnel a connection goes on once the client was told what fits."
    local address
    device_cuts
    ip_on director <<<'link set eth0 mtu 1500'
    for address in "$VIP4" "[$VIP6]"; do
        begin
        upload "$address"
        check "the client was told" test "$(grew icmp_too_big_sent)" -ge 1
        check "nothing was fragmented" is 0 "$(grew fragments_sent)"
    done
    ip_on director <<<"link set eth0 mtu $LAB_MTU"
}

test_fragmented() {
    about "On such an underlay packets that may be fragmented are, aggregates among them, and arrive."
    ip_on director <<<'link set eth0 mtu 1500'
    quietly_on client ip route flush cache
    on client sysctl -qw net.ipv4.ip_no_pmtu_disc=1
    begin
    upload "$VIP4"
    check "packets went as fragments" test "$(grew fragments_sent)" -gt 2000
    check "nobody was told" is "0 0" "$(grew icmp_too_big_sent) $(grew dropped_too_big_packets)"
    check "a ping of 1,500 bytes is answered" quietly_on client ping -c 3 -W 60 -s 1472 -M dont "$VIP4"
    on client sysctl -qw net.ipv4.ip_no_pmtu_disc=0
    ip_on director <<<"link set eth0 mtu $LAB_MTU"
}

test_segmented() {
    about "With segment-tcp TCP packets that do not fit are cut into shorter ones, and no client is told."
    local address
    ip_on director <<<'link set eth0 mtu 1500'
    on director glbctl config set --segment-tcp true
    for cut in device kernel; do
        ${cut}_cuts
        for address in "$VIP4" "[$VIP6]"; do
            lab_context="$address, cut by the $cut: "
            # What the client was told before is forgotten.
            quietly_on client ip route flush cache
            quietly_on client ip -6 route flush cache
            begin
            upload "$address"
            check "packets were cut" test "$(grew segmented_tcp)" -gt 30
            check "nobody was told, nothing dropped, nothing fragmented" is "0 0 0" \
                "$(grew icmp_too_big_sent) $(grew dropped_too_big_packets) $(grew fragments_sent)"
        done
    done
    lab_context=
    on director glbctl config set --segment-tcp false
    ip_on director <<<"link set eth0 mtu $LAB_MTU"
}

lab_main "$@"
