#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Loading tables into the director: all of a file or nothing of it.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"

test_load_and_inspect() {
    about "what was loaded is what the running director shows, and where it sends packets is what the file says"
    fresh
    tables t.json api .4
    check "a file is loaded" glbctl table load "$lab_work/t.json"
    check "one table, two binds, four backends" shows '.tables == 1 and .binds == 2 and .next_hops == 4 and .generation == 1'
    glbctl --json table show --running >"$lab_work/running"
    glbctl --json table show "$lab_work/t.json" >"$lab_work/file"
    check "backends are the file's" is "$(jq -c '.[0].backends | map([.ip, .state, .healthy])' "$lab_work/file")" \
        "$(jq -c '.[0].backends | map([.ip, .state, .healthy])' "$lab_work/running")"
    local client
    for client in 10.11.12.13 127.1.0.1 192.0.2.77; do
        check "$client goes where the file says" is "$(hops --table "$lab_work/t.json" "$client")" "$(hops --running "$client")"
    done
    check "no bind, no way" fails glbctl lookup --running 10.11.12.13 1.1.1.1:81
    check "the vector of the specification" is 008972f1657a5cbd \
        "$(glbctl --json lookup --running 10.11.12.13 1.1.1.1:80 | jq -r '.hashes[0].hash')"
}

test_dry_run() {
    about "a dry run has the director judge the tables, and leaves the loaded ones as they are"
    fresh
    tables t.json api .4
    tables t2.json other .5
    check "nothing is loaded by a dry run" glbctl table load --dry-run "$lab_work/t.json"
    check "no table is there" shows '.tables == 0 and .generation == 0'
    run glbctl table load "$lab_work/t.json"
    check "another file would be taken" glbctl table load --dry-run "$lab_work/t2.json"
    check "its JSON has no load" is null "$(glbctl --json table load --dry-run "$lab_work/t2.json" | jq .generation)"
    check "the table is the old one" is api "$(glbctl --json table show --running | jq -r '.[].table')"
    check "so is the load" shows '.tables == 1 and .generation == 1'
    check "a load goes on as if there had been none" glbctl table load "$lab_work/t2.json"
}

test_replace() {
    about "another load takes the place of all tables, and listeners hear of it"
    fresh
    tables t.json api .4
    tables t2.json other .5
    run glbctl table load "$lab_work/t.json"
    glbctl monitor --json --count 1 >"$lab_work/event" &
    local listener=$!
    check "a listener is there" eventually listens_to_events
    check "another file is loaded" glbctl table load "$lab_work/t2.json"
    wait "$listener"
    check "the event names the load" is '{"event":"tables","generation":2,"tables":1}' "$(cat "$lab_work/event")"
    check "the table is the new one" is other "$(glbctl --json table show --running | jq -r '.[].table')"
    check "so is its backend" is 1.1.1.5 "$(glbctl --json table show --running | jq -r '.[].backends[3].ip')"
    check "an empty file unloads all" glbctl table load <(echo '{"tables": []}')
    check "no table is left" shows '.tables == 0 and .generation == 3'
}

test_interrupted() {
    about "a loader that is killed halfway leaves nothing behind, and the running tables as they were"
    fresh
    tables t.json api .4
    run glbctl table load "$lab_work/t.json"
    coproc LOADER { exec glb-packets fill --tables 6 --stop-after 3; }
    # shellcheck disable=SC2153 # LOADER_PID comes from coproc.
    local loader=$LOADER_PID line
    read -r line <&"${LOADER[0]}"
    check "the loader stands in the middle" is stopped "$line"
    check "its load is under way" shows '.loads_under_way == 1 and .bytes_set_aside > 0'
    check "packets still go by the old tables" is "$(hops --table "$lab_work/t.json" 10.11.12.13)" "$(hops --running 10.11.12.13)"
    run kill -9 "$loader"
    wait "$loader"
    check "nothing is left of it" eventually shows '.loads_under_way == 0 and .bytes_set_aside == 0'
    check "the tables are the old ones" shows '.generation == 1 and .tables == 1'
}

test_two_loaders() {
    about "two loaders at once do not see each other's parts"
    fresh
    coproc LOADER { exec glb-packets fill --tables 2 --wait; }
    local line
    read -r line <&"${LOADER[0]}"
    check "one has sent all" is ready "$line"
    check "the other commits before it" glb-packets fill --tables 3
    check "its tables are there" shows '.tables == 3 and .generation == 1'
    local write=${LOADER[1]}
    exec {write}>&-
    read -r line <&"${LOADER[0]}"
    check "then the first one's are" shows '.tables == 2 and .generation == 2'
}

test_invalid() {
    about "a file with a fault is refused by name, and one that the kernel refuses changes nothing"
    fresh
    tables t.json api .4
    run glbctl table load "$lab_work/t.json"
    sed 's/"port": 80/"port": 80000/' "$lab_work/t.json" >"$lab_work/bad.json"
    check "glbctl refuses a port" fails glbctl table load "$lab_work/bad.json"
    check "the kernel refuses what it has no memory for" says 'MiB' glb-packets fill --tables 4096 --hops 31
    check "too many tables are refused" says '4097 tables: at most 4096' glb-packets fill --tables 4097 --binds 0
    check "too many binds are refused" says 'at most 65536' glb-packets fill --tables 2 --binds 40000
    check "one hop is refused, by name" says 'hops' glb-packets fill --hops 1
    check "the old tables are there" shows '.generation == 1 and .tables == 1 and .loads_under_way == 0'
    check "a usage error is 2" exits 2 glbctl table load
    check "a refusal is 1" exits 1 glbctl attach nosuchdevice
}

test_two_rows() {
    about "a second set of hash fields and rows that are too long for two in one header refuse each other, whichever comes last"
    fresh
    run glb-packets fill --hops 16 --backends 32
    check "the setting is refused, by its name" says alt-hash-fields glbctl config set --alt-hash-fields src_port
    check "and why" says '16 hops, at most 15' glbctl config set --alt-hash-fields src_port
    check "it is as it was" shows '.config.alt_hash_fields == null'
    coproc LOADER { exec glb-packets fill --hops 16 --backends 32 --wait 2>&1; }
    local line write
    read -r line <&"${LOADER[0]}"
    check "a load is sent that has not been committed" is ready "$line"
    run glb-packets fill --hops 15 --backends 32
    check "with 15 hops it goes" glbctl config set --alt-hash-fields src_port
    check "16 hops are refused, by their name" says hops glb-packets fill --hops 16 --backends 32
    check "and why" says '16 hops: at most 15 while alt-hash-fields is set' glb-packets fill --hops 16 --backends 32
    write=${LOADER[1]}
    exec {write}>&-
    read -r line <&"${LOADER[0]}"
    check "so is the load from before, at its commit" grep -q '16 hops, at most 15' <<<"$line"
    check "the tables are those with 15 hops" shows '.generation == 2 and .loads_under_way == 0'
    hops_v6 4 >"$lab_work/v6.json"
    check "4 hops of IPv6 backends go" glbctl table load "$lab_work/v6.json"
    hops_v6 5 >"$lab_work/v6.json"
    check "5 do not" says '5 hops: at most 4 with IPv6 backends while alt-hash-fields is set' glbctl table load "$lab_work/v6.json"
    run glbctl config set --alt-hash-fields none
    check "without the setting they do" glbctl table load "$lab_work/v6.json"
    check "then the setting is refused" says '5 hops, at most 4' glbctl config set --alt-hash-fields src_port
}

# hops_v6 N: a table of version 3 with N IPv6 hops a row.
hops_v6() {
    jq -n --argjson hops "$1" '{tables: [{name: "six", version: 3, hops: $hops, hash_key: "12345678901234561234567890123456",
        seed: "49a3d861d661ae5ab06ed9326871a2f5", binds: [{ip: "1.1.1.1", proto: "tcp", port: 80}],
        backends: [range(1; 10) | {ip: "fd00::\(.)", state: "active", healthy: true}]}]}'
}

lab_main "$@"
