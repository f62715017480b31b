#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# One decision: what the module makes of random packets is what `glbctl encap` makes of the same capture, byte for byte and
# verdict for verdict.
#
#   client ---> director ===GUE===> proxies (one neighbour)      captured there
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"
export LAB_MODULES=rust_glb_director
# Of each of the rounds below; a slower kernel gets fewer.
readonly COUNT=${COUNT:-$((1500 / LAB_SLOWER))}

setup() {
    host client 10.11.12.13 fd11::13
    host director 65.65.65.65 fd65::65
    host proxy1 10.1.0.1 fd01::1
    local number lines=''
    for number in 1 2 3 4 5 6; do
        lines+="neigh add 10.1.0.$number lladdr $(mac proxy1) dev eth0 nud permanent"$'\n'
        lines+="neigh add fd01::$number lladdr $(mac proxy1) dev eth0 nud permanent"$'\n'
    done
    ip_on director <<<"$lines"
    # A capture has outer checksums as they are on the wire.
    on director ethtool -K eth0 tx off
    table v4 10.1.0.%d
    table v6 fd01::%d
    on director glbctl attach eth0
    on director glbctl config set --source-v4 65.65.65.65 --source-v6 fd65::65
}

# table NAME ADDRESS: six backends in two tables, one with rows of three hops, one that echo requests and fragments find too.
table() {
    local name=$1 backends='' number addr
    for number in 1 2 3 4 5 6; do
        # shellcheck disable=SC2059 # The format is the address.
        printf -v addr "$2" "$number"
        backends+="${backends:+, }{\"ip\": \"$addr\", \"state\": \"active\", \"healthy\": true}"
    done
    cat >"$lab_work/$name.json" <<END
{"tables": [
  {"name": "tcp", "hash_key": "$KEY", "seed": "$SEED",
   "binds": [{"ip": "$VIP4", "proto": "tcp", "port_start": 1, "port_end": 40000}, {"ip": "$VIP6", "proto": "tcp", "port_start": 1, "port_end": 40000}],
   "backends": [$backends]},
  {"name": "udp", "hash_key": "0123456789abcdef0123456789abcdef", "seed": "00112233445566778899aabbccddeeff", "version": 3, "hops": 3,
   "binds": [{"ip": "$VIP4", "proto": "udp", "port_start": 1, "port_end": 50000}, {"ip": "$VIP6", "proto": "udp", "port_start": 1, "port_end": 50000}],
   "backends": [$backends]}]}
END
}

# agrees TABLE SEED OPTION...: with these settings, over this underlay.
agrees() {
    local table=$1 seed=$2 tries
    shift 2
    lab_context="$table, seed $seed, $*: "
    on director glbctl table load "$lab_work/$table.json" || lab_step_failed "table load"
    on director glbctl config set "$@"
    rm -f "$lab_work/director.conf"
    on director glbctl config show --file "$lab_work/director.conf"
    glb-packets malform --inner --vlan --seed "$seed" --count "$COUNT" --director 65.65.65.65 --proxy 10.1.0.1 --reachable 10.0.0.0/8 \
        --dst-mac "$(mac director)" --out "$lab_work/in.pcap" || lab_step_failed "glb-packets malform"
    quietly_on director glbctl --json encap "$lab_work/in.pcap" "$lab_work/want.pcap" --table "$lab_work/$table.json" \
        --config "$lab_work/director.conf" >"$lab_work/encap.json"
    # The module remembers a first fragment for a second; where this machine stood still for as long between two packets, the
    # later fragment is dropped. That, and no other difference, is a reason to try again.
    for tries in 1 2 3 4 5; do
        round
        stalled || break
    done
    check "what was sent is the same, byte for byte" glb-packets diff --ignore-ethernet "$lab_work/want.pcap" "$lab_work/got.pcap"
    check "and so are the verdicts" is "" "$(deltas_of)"
    check "most were sent" test "$(jq .encapsulated_packets "$lab_work/encap.json")" -gt $((COUNT / 4))
    lab_context=
}
# round: the packets go through the director once.
round() {
    begin
    # The tunnel's port is a setting; what else is sent there is neighbour discovery.
    capture proxy1 "$lab_work/got.pcap" udp and not ip6 proto 58
    on client taskset -c 1 tcpreplay --intf1=eth0 --pps=4000 --no-flow-stats --preload-pcap "$lab_work/in.pcap" >"$lab_work/replay"
    # tcpreplay is done and the client's device has handed over each packet: what the module sent is what it has counted.
    eventually steady || lab_step_failed "the director's counters do not come to rest"
    captured "$(join "$lab_work/before" "$lab_work/now" | awk '$1 ~ /^encapsulated(_icmp_error|_echo|_fragment)?_packets$/ { sum += $3 - $2 } END { print sum + 0 }')"
}
# steady: for a moment no packet was counted; the counters are in $lab_work/now.
steady() {
    stats >"$lab_work/now"
    sleep 0.3 # longer than what is under way needs; what came meanwhile is seen
    stats | diff -q - "$lab_work/now" >/dev/null
}
# stalled: the module dropped as many later fragments as it sent fewer of, and nothing else differs.
stalled() {
    [ "$(deltas_of | grep -cv fragment)" = 0 ] || return 1
    local dropped sent
    dropped=$(delta dropped_fragment_packets)
    sent=$(delta encapsulated_fragment_packets)
    say "later fragments: $sent more sent than by encap, $dropped more dropped"
    [ "$dropped" -gt 0 ] && [ "$dropped" = $((-sent)) ]
}
# delta COUNTER: by how much more it rose than encap says.
delta() { join "$lab_work/before" "$lab_work/now" | join - "$lab_work/model" | awk -v name="$1" '$1 == name { print $3 - $2 - $4 }'; }
# deltas_of: the counters that differ. Neighbour discovery comes in too, and a frame without an IP packet is nobody's.
deltas_of() {
    jq -r 'to_entries[] | select(.key | endswith("_packets")) | "\(.key) \(.value)"' "$lab_work/encap.json" | sort >"$lab_work/model"
    join "$lab_work/before" "$lab_work/now" | join - "$lab_work/model" | awk '
        $1 !~ /^(total|passed_unknown_format|passed_other_host)_packets$/ && $3 - $2 != $4 { printf "%s: the module %d, encap %d\n", $1, $3 - $2, $4 }'
}

test_agree() {
    about "Random packets of both families, good and broken, fragments, ICMP, options, VLANs: the module and glbctl encap agree."
    local table
    for table in v4 v6; do
        agrees $table 101 --hash-fields src_addr --alt-hash-fields none --udp-checksum false --udp-port 19523
        agrees $table 102 --hash-fields src_addr,src_port --udp-checksum true
        agrees $table 103 --hash-fields src_addr,dst_addr --alt-hash-fields src_addr,src_port
        agrees $table 104 --hash-fields src_addr,dst_addr,src_port,dst_port --alt-hash-fields none --forward-icmp-ping-responses false --udp-port 6080
        on director glbctl config set --forward-icmp-ping-responses true
    done
}

lab_main "$@"
