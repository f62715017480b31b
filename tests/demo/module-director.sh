# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154 # From lib.sh and load.sh.
#
# The demo's director where the lab's own, glb-packets, is not installed: the kernel's, as operators have it. Sourced after
# lab/load.sh, in whose place it defines start_director and order. To put a proxy first is to drain the other one.

# start_director -- PROXY...
start_director() {
    shift
    modprobe rust_glb_director
    on director glbctl config set --source-v4 "$DIRECTOR"
    order "$@"
    on director glbctl attach eth0
    # Packets to the VIP never come as far as the director's routes.
    # shellcheck disable=SC2034 # For load.sh.
    director=
}

# order FIRST SECOND
order() {
    local table=$lab_work/table.json
    cat >"$table" <<END
{"tables": [{"name": "web", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
  "binds": [{"ip": "$VIP4", "proto": "tcp", "port": 80}],
  "backends": [{"ip": "$1", "state": "active", "healthy": true}, {"ip": "$2", "state": "draining", "healthy": true}]}]}
END
    check "the director sends to $1 first" on director glbctl table load "$table"
}
