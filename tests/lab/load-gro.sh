#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Bulk data through a proxy that passes it on, with GRO: the proxy gets aggregates of many packets, and must pass them
# on whole, whether its device or the kernel cuts them into packets again.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/load.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/load.sh"

# No packet of the fabric is longer than this; what is, is an aggregate.
readonly LONGEST=1700
# What iperf3 sends in a test.
readonly BULK=$((12000000 / LAB_SLOWER))

setup() {
    fleet
    # veth gives packets to GRO only where the sender's side does no segmentation itself; and GRO waits a little for
    # more, since the director sends them one by one; longer where that takes it longer.
    on fabric ethtool -K proxy1 tso off
    on proxy1 ethtool -K eth0 gro on
    # shellcheck disable=SC2016 # For the other shell.
    on proxy1 sh -c 'echo 2 >/sys/class/net/eth0/napi_defer_hard_irqs; echo $1 >/sys/class/net/eth0/gro_flush_timeout' \
        sh $((1000000 * LAB_SLOWER * LAB_SLOWER))
    # The way to proxy2 shows what proxy1 sends, as it sends it.
    on proxy2 ethtool -K eth0 gro off
    spawn proxy2 iperf3 --server --json
    head -c 6000000 /dev/urandom >"$lab_work/data"
    eventually listens proxy2 5201
}

# received HOST WHAT: a counter of its device.
received() { quietly_on "$1" cat "/sys/class/net/eth0/statistics/rx_$2"; }
# received_more HOST BYTES: its device has got more than this.
received_more() {
    local bytes
    bytes=$(received "$1" bytes)
    echo "$bytes bytes"
    [ "$bytes" -gt "$2" ]
}

# bulk FIRST SECOND PACKETS [OPTION...]: connections to the first proxy, whose packets then go by the second. PACKETS: what
# proxy2 gets from its device, `whole` aggregates or `cut` ones. The OPTIONs are the director's.
bulk() {
    local home=$1 detour=$2 packets=$3 sent before_packets before_bytes mean forwarded bytes
    start_director "${@:4}" -- "$home" "$detour"
    snapshot proxy1
    before_bytes=$(received proxy2 bytes)
    say "client: iperf3 --client $VIP4 --bytes $BULK --get-server-output"
    ip netns exec client iperf3 --client "$VIP4" --bytes $BULK --get-server-output --json </dev/null >"$lab_work/iperf" &
    sent=$!
    check "a quarter has arrived" eventually received_more proxy2 $((before_bytes + BULK / 4))
    order "$detour" "$home"
    before_packets=$(received proxy2 packets)
    before_bytes=$(received proxy2 bytes)
    check "iperf3 ends in order" wait "$sent"
    jq -r '"    \(.end.sum_received.bits_per_second / 1e6 | floor) Mbit/s, \(.end.sum_sent.retransmits) retransmitted"' "$lab_work/iperf"
    check "most of it after the move" test $(($(received proxy2 bytes) - before_bytes)) -gt $((BULK / 4))

    mean=$((($(received proxy2 bytes) - before_bytes) / ($(received proxy2 packets) - before_packets)))
    say "proxy2 received frames of $mean bytes in the mean"
    if [ "$packets" = whole ]; then
        check "the aggregates reached the device whole" test "$mean" -gt $LONGEST
    else
        check "the aggregates were cut before the device" test "$mean" -le $LONGEST
    fi

    # Data whose every byte is known, half of it sent over the other proxy.
    order "$home" "$detour"
    upload "$home" "$detour"
    forwarded=$(($(counter proxy1 forwarded_to_alternate_packets) - $(was proxy1 forwarded_to_alternate_packets)))
    bytes=$(($(counter proxy1 forwarded_bytes) - $(was proxy1 forwarded_bytes)))
    say "proxy1 passed on $forwarded packets of $((bytes / (forwarded + 1))) bytes in the mean"
    check "what proxy1 passed on was aggregates" test $((bytes / (forwarded + 1))) -gt $LONGEST
    expect_counters proxy1 forwarded_to_alternate=+100..99999999
    check "no checksum was wrong" no_bad_checksum
    end_director
}
# was HOST NAME: the counter at the last snapshot.
was() { sed -n "s/^$2: //p" "$lab_network/counters-$1"; }

# upload HOME DETOUR: a file, by way of both.
upload() {
    local server client
    rm -f "$lab_work/arrived"
    say "client: socat sends 6 MB, the second half after the move"
    ip netns exec proxy2 socat -u TCP-LISTEN:9000,reuseaddr "CREATE:$lab_work/arrived" &
    server=$!
    eventually listens proxy2 9000
    rm -f "$lab_work/go"
    mkfifo "$lab_work/go"
    (head -c 3000000; read -r _ <"$lab_work/go"; cat) <"$lab_work/data" | ip netns exec client socat -u - "TCP:$VIP4:9000" &
    client=$!
    check "the first half arrives" eventually arrived 3000000
    order "$2" "$1"
    echo go >"$lab_work/go"
    check "the upload ends in order" wait "$client" "$server"
    check "what arrived is what was sent" cmp "$lab_work/data" "$lab_work/arrived"
}

# arrived BYTES: of the upload.
arrived() {
    local bytes
    bytes=$(stat -c %s "$lab_work/arrived" 2>/dev/null)
    echo "${bytes:=0} bytes"
    [ "$bytes" -ge "$1" ]
}

no_bad_checksum() {
    local bad
    # A name that there is none of has no line.
    bad=$(quietly_on proxy2 nstat -asz TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors IpExtInCsumErrors |
        awk 'NR > 1 { n += $2; lines++ } END { print n + 0, lines + 0 }')
    is "0 4" "$bad"
}

device_cuts() { on proxy1 ethtool -K eth0 tso on gso on tx on; }
kernel_cuts() { on proxy1 ethtool -K eth0 tso off gso off; }

test_device_cuts() {
    about "Aggregates without UDP checksum leave whole, for a device that segments tunnels."
    device_cuts
    bulk "$PROXY2" "$PROXY1" whole
}

test_device_cuts_checksum() {
    about "The same with a UDP checksum."
    device_cuts
    bulk "$PROXY2" "$PROXY1" whole --udp-checksum
}

test_kernel_cuts() {
    about "Where the device segments nothing, the kernel does."
    kernel_cuts
    bulk "$PROXY2" "$PROXY1" cut
}

test_kernel_cuts_checksum() {
    about "The same with a UDP checksum, which each segment needs anew."
    kernel_cuts
    bulk "$PROXY2" "$PROXY1" cut --udp-checksum
}

test_kernel_cuts_ipv6() {
    about "The same with an IPv6 underlay."
    kernel_cuts
    bulk "$PROXY2_6" "$PROXY1_6" cut --udp-checksum
}

lab_main "$@"
