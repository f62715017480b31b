# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154 # From lib.sh and load.sh.
#
# The demo's director where the lab's own one, glb-packets, is not installed: the kernel module, as operators use it. Sourced
# after lab/load.sh, whose start_director and order it replaces. To put one proxy first, the other one is drained.

# start_director -- PROXY PROXY
start_director() {
    shift
    modprobe rust_glb_director
    # Both orders are built in advance: under emulation a build takes seconds, during which the demo would go on.
    table "$1" "$2" && table "$2" "$1"
    on director glbctl config set --source-v4 "$DIRECTOR"
    order "$@"
    on director glbctl attach eth0
    # Packets to the VIP never reach the director's routes.
    # shellcheck disable=SC2034 # Used by load.sh.
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
