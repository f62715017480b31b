#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The director's netlink family under messages that nobody should send, and at its limits.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"

test_fuzz() {
    about "100,000 broken messages (a slower kernel gets fewer) from two threads: the director answers, and keeps what it has"
    fresh
    tables t.json api .4
    run glbctl table load "$lab_work/t.json"
    local before
    before=$(hops --running 10.11.12.13)
    check "the fuzz comes to its end" glb-packets netlink --seed 20260701 --count $((50000 / LAB_SLOWER)) --threads 2
    check "no load is left" shows '.loads_under_way == 0 and .bytes_set_aside == 0'
    if shows '.generation == 1'; then
        run glbctl config set --hash-fields src_addr --alt-hash-fields none
        check "packets go where they went" is "$before" "$(hops --running 10.11.12.13)"
    else
        say "a message loaded tables of its own: where packets go is not looked at"
    fi
    check "a load works as before" glbctl table load "$lab_work/t.json"
}

test_thousand_tables() {
    about "1,000 tables with 256 backends and 4,000 binds are loaded, found, replaced and given back"
    fresh
    run rmmod rust_glb_director
    memory_mark
    run modprobe rust_glb_director
    check "they are loaded" glb-packets fill --tables 1000 --backends 256 --binds 4
    check "all are there" shows '.tables == 1000 and .binds == 4000 and .next_hops == 256'
    check "the last one is found" is t999 "$(glbctl --json lookup --running 1.2.3.4 10.0.3.231:4 | jq -r .table)"
    check "they are listed" is 1000 "$(glbctl --json table show --running --table t999 | jq '.[0].index + 1')"
    check "others take their place" glb-packets fill --tables 1000 --backends 255 --binds 4
    check "one stays of 65,536 binds" glb-packets fill --tables 1 --binds 65535
    check "a bind at its end is found" is t0 "$(glbctl --json lookup --running 1.2.3.4 10.0.0.0:65535 | jq -r .table)"
    check "31 hops are loaded" glb-packets fill --hops 31 --backends 256
    run rmmod rust_glb_director
    check "memory is back after the module went" memory_kept
}

lab_main "$@"
