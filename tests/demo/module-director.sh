# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154 # From lib.sh and load.sh.
#
# The demo's director where the lab's own, glb-packets, is not installed: the kernel's, as operators have it. Sourced after
# lab/load.sh, in whose place it defines start_director and order. To put a proxy first is to drain the other one.

# start_director -- PROXY PROXY
start_director() {
    shift
    modprobe rust_glb_director
    # Both orders are built now: that takes seconds under emulation, and the demo goes on meanwhile.
    table "$1" "$2" && table "$2" "$1"
    on director glbctl config set --source-v4 "$DIRECTOR"
    order "$@"
    on director glbctl attach eth0
    # Packets to the VIP never come as far as the director's routes.
    # shellcheck disable=SC2034 # For load.sh.
    director=
}

# table FIRST SECOND
table() {
    cat >"$lab_work/$1.json" <<END
{"tables": [{"name": "web", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
  "binds": [{"ip": "$VIP4", "proto": "tcp", "port": 80}],
  "backends": [{"ip": "$1", "state": "active", "healthy": true}, {"ip": "$2", "state": "draining", "healthy": true}]}]}
END
    glbctl table build "$lab_work/$1.json" "$lab_work/$1.bin"
}

# order FIRST SECOND
order() { check "the director sends to $1 first" on director glbctl table load "$lab_work/$1.bin"; }
