#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of a packet in a director while several processors handle packets at the same time. Runs in the guest, whose four
# processors take turns: the instructions of all of them are counted, including those that wait for a lock.
#
#   frames -> tap0 .. tap3, one processor each [ dir ] eth1 ------ eth0 [ sink: counts, drops ]
#
# shellcheck source=tests/bench/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

modprobe -a tun nft_fwd_netdev rust_glb_director
host_and_sink dir
vip=10.0.0.0 service_vip=10.0.0.9
gre='ip protocol gre ip daddr 172.16.0.0/24'
gue='ip daddr 172.16.0.0/16 udp dport 19523'

for cpu in 0 1 2 3; do
    blaster dir $cpu
    frames_on $cpu flows dst=$vip flags=ack "flows=$BENCH_FLOWS" seed=$cpu
    # The same for all.
    frames_on $cpu shared dst=$service_vip flags=ack "flows=$BENCH_FLOWS" seed=9
done
settled

ingress() {
    on dir nft "table netdev f { chain c { type filter hook ingress devices = { tap0, tap1, tap2, tap3 } priority 0; $1; }; }"
}
fwd_on() { ingress 'fwd to eth1'; }
fwd_off() { on dir nft delete table netdev f; }
glb_on() {
    local cpu
    on dir glb-packets fill --spread >/dev/null
    for cpu in 0 1 2 3; do on dir glbctl attach tap$cpu >/dev/null; done
}
glb_off() {
    local cpu
    for cpu in 0 1 2 3; do on dir glbctl detach tap$cpu >/dev/null; done
}

# A service whose flows are remembered, in a new flow table each time.
flows_on() {
    local cpu
    jq -n --arg vip $service_vip '{tables: [{
        name: "web", hash_key: "12345678901234561234567890123456", seed: "49a3d861d661ae5ab06ed9326871a2f5",
        select: {kind: "maglev"}, forward: {kind: "gre"}, binds: [{ip: $vip, proto: "tcp", port: 443}],
        backends: [range(16) | {ip: "172.16.0.\(. + 1)", state: "active", healthy: true}],
        flows: {buckets: 32768, timeout_s: 43200}}]}' >/tmp/service.json
    on dir glbctl table load /tmp/service.json >/dev/null
    for cpu in 0 1 2 3; do on dir glbctl attach tap$cpu >/dev/null; done
}
flows_off() {
    # What is measured are packets of known flows.
    local known
    known=$(on dir glbctl --json stats --services | jq -r '.["web/known_flow_packets"]')
    [ $((known * 100)) -ge $((cpus * 4 * BENCH_PACKETS * 99)) ] || fail "packets of known flows: $known"
    glb_off
    echo '{"tables": []}' >/tmp/service.json
    on dir glbctl table load /tmp/service.json >/dev/null
}

# row NAME WHAT CPUS EXPECTED
one_run() { # ROUND ROW...
    local round=$1 name=$2 what=$3 cpus=$4 rule='' set=flows
    case $5 in gue) rule=$gue ;; gre) rule=$gre set=shared ;; esac
    "${what}_on"
    sink_takes eth0 "$rule"
    blast_on "$cpus" "$set" "$BENCH_FLOWS"
    is "$name: packets that arrived as they should, and others" "$((cpus * BENCH_FLOWS)) 0" "$(sink_took)"
    sink_takes eth0 ''
    blast_on "$cpus" "$set" $((4 * BENCH_PACKETS))
    is "$name: packets that arrived, and others" "$((cpus * 4 * BENCH_PACKETS)) 0" "$(sink_took)"
    measured "$name" "$round" $((cpus * 4 * BENCH_PACKETS))
    "${what}_off"
}

for cpus in 1 2 3 4; do
    row "cpus-fwd-$cpus" fwd "$cpus" all
    row "cpus-glb-$cpus" glb "$cpus" gue
    row "cpus-flows-$cpus" flows "$cpus" gre
done
each_round processors
