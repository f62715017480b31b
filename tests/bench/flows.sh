#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What a flow table costs by the number of its flows: packets of known flows among a thousand and among a million, and packets of
# a flood of made-up flows that find room, or find their buckets full. The floor is what the same packets cost without a director.
# Runs in the guest.
#
#   frames -> tap0 [ dir ] eth1 ------ eth0 [ sink: counts, drops ]
#
# shellcheck source=tests/bench/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

modprobe -a tun nft_fwd_netdev rust_glb_director

host_and_sink dir
blaster dir
settled

# Flows, and buckets of their tables: about one flow a bucket. The third table is full before the flood comes. The fourth has room for
# nearly all of it.
few=1000 many=1000000 full=40000 buckets_few=960 buckets_many=960000 buckets_room=$((8 * BENCH_PACKETS))
frames few dst=10.0.0.1 "flows=$few" seed=1
frames many dst=10.0.0.2 "flows=$many" seed=1
frames full dst=10.0.0.3 "flows=$full" seed=1
frames flood dst=10.0.0.3 "flows=$BENCH_PACKETS" seed=2
frames room dst=10.0.0.4 "flows=$BENCH_PACKETS" seed=3

# tables [NAME VIP BUCKETS]...: a file of services that leave by GRE.
tables() {
    jq -n '[$ARGS.positional | _nwise(3)] | {tables: [to_entries[] | .key as $number | .value as [$name, $vip, $buckets] | {
        name: $name, hash_key: "12345678901234561234567890123456", seed: "49a3d861d661ae5ab06ed9326871a2f\($number)",
        select: {kind: "maglev"}, forward: {kind: "gre"}, binds: [{ip: $vip, proto: "tcp", port: 443}],
        backends: [range(16) | {ip: "172.16.0.\(. + 1)", state: "active", healthy: true}],
        flows: (if $buckets == "0" then false else {buckets: ($buckets | tonumber), timeout_s: 43200} end)}]}' --args "$@" \
        >/tmp/services.json
    on dir glbctl table load /tmp/services.json >/dev/null
}
# used: KiB that the kernel has in large allocations, once old tables are freed.
used() { sed -n 's/^VmallocUsed: *\([0-9]*\) kB/\1/p' /proc/meminfo; }

# The rest of a table is the same with and without flows.
tables many 10.0.0.2 0
without=$(used)
tables many 10.0.0.2 "$buckets_many"
with=$(used)
fact "memory of a flow table for 1,000,000 flows, MB" "$(((with - without) * 1024 / 1000000))"
[ $(((with - without) * 1024)) -le 64000000 ] || fail "a flow table for $many flows takes $((with - without)) KiB"

tables few 10.0.0.1 "$buckets_few" many 10.0.0.2 "$buckets_many" full 10.0.0.3 "$buckets_few" \
    room 10.0.0.4 "$buckets_room"
on dir glbctl attach tap0 >/dev/null

# counted SERVICE EVENT
counted() { on dir glbctl --json stats --services | jq -r --arg name "$1/$2_flow_packets" '.[$name]'; }
# sends SET COUNT: all of it arrives.
sends() {
    sink_takes eth0 'ip protocol gre ip daddr 172.16.0.0/24'
    blast "$1" "$2"
    is "$1: packets that arrived as they should, and others" "$2 0" "$(sink_took)"
    sink_takes eth0 ''
}
# at_least WHAT PERCENT COUNT OF
at_least() { [ $(($3 * 100)) -ge $(($2 * $4)) ] || fail "$1: $3 of $4"; }

for set in few many full; do
    say "flows of $set"
    sends "$set" "${!set}"
done
# A few find their bucket full: one of 200 at a flow a bucket.
for set in few many; do
    at_least "flows that are remembered of $set" 99 "$(counted "$set" first)" "${!set}"
done
say "all flows are there"

fwd_on() { on dir nft "table netdev f { chain c { type filter hook ingress device tap0 priority 0; fwd to eth1; }; }"; }
fwd_off() { on dir nft delete table netdev f; }

# row NAME SERVICE SET EVENT: what the packets are counted as; `floor`: they pass no director.
one_run() { # ROUND ROW...
    local round=$1 name=$2 service=$3 set=$4 event=$5 before
    if [ "$event" = floor ]; then
        on dir glbctl detach tap0 >/dev/null
        fwd_on
        blast "$set" "$BENCH_PACKETS"
        is "$name: packets that arrived, and others" "$BENCH_PACKETS 0" "$(sink_took)"
        sink_takes eth0 ''
        measured "$name" "$round" "$BENCH_PACKETS"
        fwd_off
        on dir glbctl attach tap0 >/dev/null
        return
    fi
    # A flow is new once.
    [ "$set" != room ] || on dir glbctl flows --flush --service "$service" >/dev/null
    before=$(counted "$service" "$event")
    profiled "$set"
    blast "$set" "$BENCH_PACKETS"
    is "$name: packets that arrived, and others" "$BENCH_PACKETS 0" "$(sink_took)"
    sink_takes eth0 ''
    at_least "$name: packets of $event flows" 98 "$(($(counted "$service" "$event") - before))" "$BENCH_PACKETS"
    measured "$name" "$round" "$BENCH_PACKETS"
}
row flows-fwd few few floor
row "flows-$few" few few known
row "flows-$many" many many known
row flows-flood-room room room first
row flows-flood full flood untracked

each_round flows
