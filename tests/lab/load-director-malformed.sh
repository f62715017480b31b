#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Malformed and truncated packets of clients at the director's hook: each has a verdict, none leaves anything behind.
#
# What must become of each packet is the business of the core's tests; here the kernel's checks look on.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"
export LAB_MODULES=rust_glb_director

setup() {
    host client 10.11.12.13 fd11::13
    host director 65.65.65.65 fd65::65
    host proxy1 3.4.5.6 fd01::1
    ip_on director <<END
neigh add 3.4.5.6 lladdr 02:00:00:00:00:03 dev eth0
neigh add fd01::1 lladdr 02:00:00:00:00:03 dev eth0
END
    table "$lab_work/v4.json" 3.4.5.6
    table "$lab_work/v6.json" fd01::1
    on director glbctl attach eth0
}

# table FILE HOP: both VIPs, TCP and UDP, to one proxy.
table() {
    cat >"$1" <<END
{"tables": [{"name": "api", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
  "binds": [{"ip": "$VIP4", "proto": "tcp", "port": 80}, {"ip": "$VIP6", "proto": "tcp", "port": 80},
            {"ip": "$VIP4", "proto": "udp", "port": 443}, {"ip": "$VIP6", "proto": "udp", "port": 443}],
  "backends": [{"ip": "$2", "state": "active", "healthy": true}]}]}
END
}

# storm FAMILY SEED COUNT: the packets, and the sum of what was counted.
storm() {
    local seed=$2 count=$3 stats
    on director glbctl table load "$lab_work/$1.json"
    glb-packets malform --inner --seed "$seed" --count "$count" --director 65.65.65.65 --proxy 3.4.5.6 --reachable 10.0.0.0/8 \
        --dst-mac 02:00:00:00:00:02 --out "$lab_work/$seed.pcap" || return
    snapshot_stats
    on client taskset -c 1 tcpreplay --intf1=eth0 --topspeed --no-flow-stats --preload-pcap "$lab_work/$seed.pcap" |
        grep -E '^(Actual|Rated|.*Failed)' || true
    check "all $count were seen" eventually seen "$count"
    stats=$(quietly_on director glbctl --json stats)
    printf '%s\n' "$stats" >"$lab_work/stats"
    # shellcheck disable=SC2016 # For jq.
    check "each had one verdict" jq -e \
        '.total_packets == ([to_entries[] | select((.key | endswith("_packets")) and .key != "total_packets") | .value] | add)' "$lab_work/stats"
    check "some went on to the proxy" [ "$(jq .encapsulated_packets "$lab_work/stats")" -gt $((before_encapsulated + count / 20)) ]
    check "the kernel says nothing" kernel_is_quiet
}
snapshot_stats() {
    local stats
    stats=$(quietly_on director glbctl --json stats)
    before_total=$(jq .total_packets <<<"$stats") before_encapsulated=$(jq .encapsulated_packets <<<"$stats")
}
# Neighbour discovery comes in too, so there may be a few more.
seen() {
    local total
    total=$(quietly_on director glbctl --json stats | jq .total_packets)
    echo "$((total - before_total)) packets"
    [ "$total" -ge $((before_total + $1)) ]
}

# A slower kernel gets fewer: it looks at each one longer.
readonly COUNT=${COUNT:-$((30000 / LAB_SLOWER / LAB_SLOWER))}

test_ipv4() {
    about "Malformed packets of clients with an IPv4 underlay."
    storm v4 11 5000
    memory_mark
    storm v4 12 "$COUNT"
    check "no memory was left behind" memory_kept
}

test_ipv6() {
    about "The same with an IPv6 underlay."
    storm v6 13 "$COUNT"
}

lab_main "$@"
