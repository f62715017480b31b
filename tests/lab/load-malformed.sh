#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# 200,000 malformed and truncated packets: each has its verdict, none leaves anything behind.
#
# `glb-packets malform` makes them from a seed and says what must become of each, by a model of its own.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"

# Hops in the first prefix have a route, those in the second have none; the rule allows half of each.
readonly ROUTED4=10.66.0.0/16 ALLOW4=(10.66.0.0/21 198.51.100.0/25)
readonly ROUTED6=fd66::/64 ALLOW6=(fd66::/117 2001:db8:dead::/121)

setup() {
    host director 65.65.65.65 fd00::1
    host proxy 3.4.5.6 fd00::2
    host sink - -
    takes_gue proxy
    takes_gue6 proxy
    # An answer or a hop has only the routes below: what has none must be counted.
    ip_on proxy <<END
route del default
route del ::/0
route add $ROUTED4 via 10.66.0.1 dev eth0 onlink
route add $ROUTED6 via fd66::1 dev eth0 onlink
neigh add 10.66.0.1 lladdr 02:00:00:00:00:03 dev eth0
neigh add fd66::1 lladdr 02:00:00:00:00:03 dev eth0
END
    # Fragments inside the tunnel wait for others that never come; they need not wait long, nor leave a note about
    # their sender.
    on proxy sysctl -q net.ipv4.ipfrag_time=1 net.ipv6.ip6frag_time=1 net.ipv4.ipfrag_max_dist=0
    on proxy iptables -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops "$(commas "${ALLOW4[@]}")"
    on proxy ip6tables -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops "$(commas "${ALLOW6[@]}")"
}
commas() { (IFS=,; echo "$*"); }

# malform SEED COUNT DIRECTOR PROXY ROUTED ALLOW...: makes the capture; what must be counted is in $fate.
malform() {
    local seed=$1 count=$2 allow words=()
    for allow in "${@:6}"; do words+=(--allow "$allow"); done
    # iptables-nft compares the port as soon as it is there, iptables-legacy wants a whole UDP header.
    if iptables -V | grep -q legacy; then words+=(--match-needs 8); fi
    say "glb-packets malform --seed $seed --count $count --director $3 --proxy $4 --reachable $5 ${words[*]}"
    # shellcheck disable=SC2154 # lab_work comes from lib.sh.
    fate=$(glb-packets malform --seed "$seed" --count "$count" --director "$3" --proxy "$4" --reachable "$5" "${words[@]}" \
        --dst-mac 02:00:00:00:00:02 --out "$lab_work/$seed.pcap" --fates "$lab_work/$seed.fates")
}

# replay SEED: sends the capture, from one processor, so that the order stays.
replay() {
    on director taskset -c 1 tcpreplay --intf1=eth0 --topspeed --no-flow-stats --preload-pcap "$lab_work/$1.pcap" |
        grep -E '^(Actual|Rated|.*Failed)' || true
}

# no_fragments: none waits for others.
no_fragments() {
    local waiting
    waiting=$(quietly_on proxy cat /proc/net/sockstat /proc/net/sockstat6 | grep ^FRAG)
    echo "$waiting"
    ! grep -qv 'inuse 0 ' <<<"$waiting"
}

# storm SEED COUNT ARGUMENT...: warm up, send, compare counters and memory.
storm() {
    local seed=$1 count=$2
    # What is allocated once, on first use, is no growth.
    malform $((seed + 1000)) 5000 "${@:3}"
    replay $((seed + 1000))
    # shellcheck disable=SC2086 # One word a counter.
    expect_counters proxy $fate
    malform "$seed" "$count" "${@:3}"
    check "fragments have been given up" eventually no_fragments
    memory_mark
    replay "$seed"
    # shellcheck disable=SC2086 # One word a counter.
    expect_counters proxy $fate
    check "fragments have been given up" eventually no_fragments
    check "no memory was left behind" memory_kept
    check "the kernel says nothing" kernel_is_quiet
}

test_ipv4() {
    about "150,000 malformed packets (a slower kernel gets fewer) with an IPv4 underlay lead to exactly the counters of the model."
    storm "${SEED:-1}" "${COUNT:-$((60000 / LAB_SLOWER / LAB_SLOWER))}" 65.65.65.65 3.4.5.6 $ROUTED4 "${ALLOW4[@]}"
}

test_ipv6() {
    about "50,000 malformed packets (a slower kernel gets fewer) with an IPv6 underlay lead to exactly the counters of the model."
    storm "${SEED:-2}" "${COUNT:-$((20000 / LAB_SLOWER / LAB_SLOWER))}" fd00::1 fd00::2 $ROUTED6 "${ALLOW6[@]}"
}

lab_main "$@"
