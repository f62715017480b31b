#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What runs in the kernel is saved as a source, and restored when it has gone or other tables are there.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"

# sources: src.json, a table of each rule with all states; other.json, another table.
sources() {
    cat >"$lab_work/src.json" <<'END'
{ "tables": [
  { "name": "web", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
    "binds": [ {"ip": "1.1.1.1", "proto": "tcp", "port": 80}, {"ip": "1.1.2.0/24", "proto": "udp", "port_start": 10, "port_end": 20} ],
    "backends": [ {"ip": "1.1.1.1", "state": "active", "healthy": true, "healthchecks": {"http": 80}}, {"ip": "1.1.1.2", "state": "draining", "healthy": true},
                  {"ip": "1.1.1.3", "state": "inactive", "healthy": true}, {"ip": "1.1.1.4", "state": "active", "healthy": true} ] },
  { "name": "api", "version": 3, "hops": 4, "hash_key": "22345678901234561234567890123456", "seed": "00a3d861d661ae5ab06ed9326871a2f5",
    "binds": [ {"ip": "fd00::1", "proto": "tcp", "port": 80} ],
    "backends": [ {"ip": "1.1.1.1", "state": "active", "healthy": true, "weight": 5, "domain": "a"}, {"ip": "1.1.1.2", "state": "active", "healthy": false, "domain": "b"},
                  {"ip": "1.1.1.4", "state": "active", "healthy": true} ] } ] }
END
    tables other.json other .5
}

# rows: all that runs, but for the number of the load. (jq would take half a minute of this guest for the rows.)
rows() { glbctl --json table show --running --rows | sed -E 's/"generation": ?[0-9]+//g'; }

test_export_and_restore() {
    about "what runs is exported with its keys and comes back whole, after an unload and after another load"
    fresh
    sources
    run glbctl table load "$lab_work/src.json"
    rows >"$lab_work/before"
    check "without keys the kernel tells too little, and that is said" says "neither keys nor seeds" glbctl table export --running
    check "it is exported" glbctl table export --running --keys "$lab_work/src.json" -o "$lab_work/saved.json"
    run glbctl table build "$lab_work/src.json" "$lab_work/src.bin"
    run glbctl table build "$lab_work/saved.json" "$lab_work/saved.bin"
    check "what was exported builds to the same bytes" cmp "$lab_work/src.bin" "$lab_work/saved.bin"
    check "health checks of the source are kept" is 80 "$(jq '.tables[0].backends[0].healthchecks.http' "$lab_work/saved.json")"
    run glbctl table load <(echo '{"tables": []}')
    check "after an unload nothing runs" is '[]' "$(rows)"
    check "a dry run restores nothing" glbctl table restore --dry-run "$lab_work/saved.json"
    check "nothing runs still" is '[]' "$(rows)"
    check "it is restored" glbctl table restore "$lab_work/saved.json"
    rows >"$lab_work/after"
    check "every row is as before" cmp "$lab_work/before" "$lab_work/after"
    run glbctl table load "$lab_work/other.json"
    check "it is restored from the binary file too, in the place of another table" glbctl table restore "$lab_work/src.bin"
    rows >"$lab_work/after"
    check "every row is as before again" cmp "$lab_work/before" "$lab_work/after"
    check "its JSON says that it is proven" is true "$(glbctl --json table restore "$lab_work/saved.json" | jq .proven)"
    check "the exported file is no roll-out" glbctl table diff --running --exit-code "$lab_work/saved.json"
    check "another file is one that breaks connections, and the exit status says so" exits 3 \
        glbctl table diff --running --exit-code "$lab_work/other.json"
    check "so does its JSON" is false "$(glbctl --json table diff --running "$lab_work/other.json" | jq .safe)"
}

test_wrong_keys() {
    about "keys that the tables were not made from are found out, and nothing is written"
    fresh
    sources
    run glbctl table load "$lab_work/src.json"
    sed s/22345678901234561234567890123456/32345678901234561234567890123456/ "$lab_work/src.json" >"$lab_work/key.json"
    sed s/00a3d861d661ae5ab06ed9326871a2f5/99a3d861d661ae5ab06ed9326871a2f5/ "$lab_work/src.json" >"$lab_work/seed.json"
    sed s/'"weight": 5'/'"weight": 6'/ "$lab_work/src.json" >"$lab_work/weight.json"
    local name
    for name in key:"its hash_key is another" seed:"rows are others" weight:"rows are others"; do
        check "another ${name%%:*}" says "${name#*:}" \
            glbctl table export --running --keys "$lab_work/${name%%:*}.json" -o "$lab_work/${name%%:*}.out"
        check "nothing was written" fails test -e "$lab_work/${name%%:*}.out"
    done
    check "a file without the table" says "there is none of this name" glbctl table export --running --keys "$lab_work/other.json"
}

test_all_or_nothing() {
    about "a file that cannot be restored leaves what runs; one without names is found by what it makes"
    fresh
    sources
    run glbctl table load "$lab_work/other.json"
    rows >"$lab_work/before"
    run glbctl table build "$lab_work/src.json" "$lab_work/src.bin"
    head -c 100000 "$lab_work/src.bin" >"$lab_work/short.bin"
    check "half a file is refused" fails glbctl table restore "$lab_work/short.bin"
    rows >"$lab_work/after"
    check "what ran runs" cmp "$lab_work/before" "$lab_work/after"
    jq '.tables |= .[:1]' "$lab_work/src.json" >"$lab_work/one.json"
    run glb-director-cli build-config "$lab_work/one.json" "$lab_work/one.bin"
    check "a binary file of version 2 is restored as it is" glbctl table restore "$lab_work/one.bin"
    check "what runs without a name gets its source back" glbctl table export --running --keys "$lab_work/src.json" -o "$lab_work/saved.json"
    check "with name and states" is "$(jq -Sc '.tables[0]' "$lab_work/one.json")" "$(jq -Sc '.tables[0]' "$lab_work/saved.json")"
}

lab_main "$@"
