# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scenarios of the director's netlink family share. Source it after lib.sh.
# shellcheck disable=SC2154 # lab_work comes from lib.sh.

export LAB_MODULES=rust_glb_director

# fresh: a director that knows nothing. Each test begins so.
fresh() {
    if grep -q '^rust_glb_director ' /proc/modules; then run rmmod rust_glb_director; fi
    run modprobe rust_glb_director
}

# tables FILE NAME .N: a file of one table, whose last backend is 1.1.1.N.
tables() {
    cat >"$lab_work/$1" <<END
{ "tables": [ { "name": "$2", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
  "binds": [ {"ip": "1.1.1.1", "proto": "tcp", "port": 80}, {"ip": "1.1.2.0/24", "proto": "udp", "port_start": 10, "port_end": 20} ],
  "backends": [ {"ip": "1.1.1.1", "state": "active", "healthy": true}, {"ip": "1.1.1.2", "state": "active", "healthy": true},
                {"ip": "1.1.1.3", "state": "draining", "healthy": true}, {"ip": "1.1.1$3", "state": "active", "healthy": true} ] } ] }
END
}

# listens_to_events [HOST]: a monitor is a member of a generic netlink group by now: what comes, it hears.
listens_to_events() {
    local line
    [ $# = 0 ] || set -- quietly_on "$1"
    while read -r _ line; do
        # Protocol 16, any port, some groups.
        [[ $line =~ ^16\ +[0-9]+\ +0*[1-9a-f] ]] && return
    done < <("$@" cat /proc/net/netlink)
    return 1
}

# shows FILTER: for check: jq's FILTER holds for `glbctl status`.
shows() { glbctl --json status | jq -e "$1" >/dev/null || { glbctl --json status | jq -c .; return 1; }; }

# hops --table FILE CLIENT | hops --running CLIENT: the addresses that its packets to 1.1.1.1:80 go to.
hops() { glbctl --json lookup "${@:1:$#-1}" "${!#}" 1.1.1.1:80 | jq -c '[.hops[].ip]'; }

# says TEXT COMMAND...: for check: the command fails and says so.
says() {
    local text=$1 said
    shift
    if said=$("$@" 2>&1); then echo "it went well"; return 1; fi
    [[ $said = *"$text"* ]] || { printf 'it said: %s\n' "$said"; return 1; }
}

# exits STATUS COMMAND...: for check.
exits() {
    local want=$1 status=0
    shift
    "$@" || status=$?
    [ "$status" = "$want" ] || { echo "exit status $status"; return 1; }
}
