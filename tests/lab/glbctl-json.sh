#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What glbctl --json says of a running director and a running redirect is what spec/glbctl.schema.json says. Commands that need no
# kernel are held to it by userspace/glbctl/tests/json.rs, which also sees that each command is either there or here.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"
export LAB_MODULES='rust_glb_director rust_glb_redirect'

setup() { host director 10.0.0.1 -; }

# judge NAME ARGUMENT...: glbctl --json NAME ARGUMENT... goes well; what it prints is kept for `judged`.
judge() {
    local words
    read -ra words <<<"$1"
    check "glbctl --json $*" prints "$1" "${words[@]}" "${@:2}"
}
# prints NAME WORD...: the same with other words than the name's, for check.
prints() {
    local name=$1
    shift
    mkdir -p "$lab_work/said"
    said=$((said + 1))
    quietly_on director glbctl --json "$@" >"$lab_work/said/$said.$name"
}
said=0
# judged: all that was printed, by one program, since it takes seconds to start.
judged() { check "all of it is what the schema says" python3 "$lab_dir/judge.py" /spec/glbctl.schema.json "$lab_work/said"; }

test_director() {
    about "the running director: tables, devices, settings, counters, news"
    rm -rf "$lab_work/said"
    fresh
    tables src.json web .4
    tables other.json web .5
    judge "status"
    judge "table load" --dry-run "$lab_work/src.json"
    jq '.tables[0].flows = {"by": "source"}' "$lab_work/src.json" >"$lab_work/flows.json"
    judge "table show" "$lab_work/flows.json"
    judge "table load" "$lab_work/flows.json"
    judge "table show" --running
    judge "flows"
    judge "flows" --flush --service web
    judge "stats" --services
    judge "stats" --backends
    judge "table load" "$lab_work/src.json"
    judge "table restore" --dry-run "$lab_work/src.json"
    judge "table restore" "$lab_work/src.json"
    judge "table show" --running
    judge "table show" --running --rows --table web
    judge "table diff" --running "$lab_work/other.json"
    judge "table export" --running --keys "$lab_work/src.json" -o "$lab_work/saved.json"
    judge "lookup" --running 10.11.12.13:1 1.1.1.1:80
    judge "redirect flows" --running --backend 1.1.1.1 --list
    judge "attach" eth0
    judge "config set" --source-v4 10.0.0.1 --alt-hash-fields src_addr,src_port
    judge "config show"
    echo '{ "outbound_src_ip": "10.0.0.1", "statsd_port": 8125 }' >"$lab_work/director.conf"
    judge "config load" "$lab_work/director.conf"
    judge "status"
    judge "stats"
    # It says a line at a time until nobody reads any more.
    quietly_on director glbctl --json stats --watch 0.2 | head -n 2 >"$lab_work/said/0.stats"
    check "stats --watch says a line each time" is 2 "$(wc -l <"$lab_work/said/0.stats")"
    judge "monitor" --count 4 &
    local monitor=$!
    check "monitor listens" eventually listens_to_events director
    judge "detach" eth0
    judge "attach" eth0
    judge "config set" --udp-checksum false
    judge "table load" "$lab_work/other.json"
    check "monitor ends with its fourth event" wait "$monitor"
    check "they are of all kinds" is attached,config,detached,tables "$(jq -r .event "$lab_work"/said/*.monitor | sort | paste -sd ,)"
    judge "detach" eth0
    judge "assign" --check eth0:return
    judge "assign" eth0:return
    judge "attach" eth0 --role geneve --replace --allow-from 10.0.0.0/8
    judge "geneve stats"
    judge "geneve devices"
    judge "geneve flows"
    judge "geneve endpoints"
    judge "status"
    # Whatever it finds here, it may be an error.
    check "glbctl --json doctor" is_one_of "0 3" prints doctor doctor --role director --checker none
    check "a device that is not there is a failure" exits 1 prints failure attach nowhere
    check "so is a table that is none" exits 1 prints failure table load /dev/null
    judged
}
# is_one_of STATUSES COMMAND...
is_one_of() {
    local status=0
    "${@:2}" || status=$?
    [[ " $1 " = *" $status "* ]] || { echo "exit status $status"; return 1; }
}

test_redirect() {
    about "the redirect: on and off, its settings, its counters"
    rm -rf "$lab_work/said"
    judge "redirect status"
    judge "redirect on" --allow-hops 10.0.0.0/8,fd00::/8
    judge "redirect status"
    judge "redirect stats"
    quietly_on director glbctl --json redirect stats --watch 0.2 | head -n 2 >"$lab_work/said/0.redirect stats"
    check "redirect stats --watch says a line each time" is 2 "$(wc -l <"$lab_work/said/0.redirect stats")"
    judge "redirect on"
    judge "redirect off"
    judge "redirect status"
    judge "redirect cookie status"
    judge "redirect cookie on" --id 10 --bits 12
    judge "redirect cookie status"
    judge "redirect cookie off"
    check "a prefix that is none is a failure" exits 2 prints failure redirect on --allow-hops nowhere
    judged
}

test_target() {
    about "the targets that are registered in etcd"
    rm -rf "$lab_work/said"
    local etcd watch conf=$lab_work/targets.conf at=http://127.0.0.1:2379 peer=http://127.0.0.1:2380
    jq -n --arg at "$at" '{etcd: {endpoints: [$at]}}' >"$conf"
    ip netns exec director etcd --name one --unsafe-no-fsync --data-dir "$lab_work/etcd" --listen-client-urls "$at" \
        --advertise-client-urls "$at" --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
        --initial-cluster "one=$peer" >"$lab_work/etcd.log" 2>&1 &
    etcd=$!
    check "etcd answers" eventually quietly_on director glbctl target list --config "$conf"
    judge "target watch" --count 1 --config "$conf" &
    watch=$!
    check "the watch sees that a target comes or goes" eventually is_seen "$watch" "$conf"
    check "and ends with it" wait "$watch"
    judge "target register" web web-1 --address 192.168.50.10,fd00:50::10 --id 7 --lease 600 --config "$conf"
    judge "target list" --config "$conf"
    judge "target unregister" web web-1 --config "$conf"
    check "what is not registered is a failure" exits 1 prints failure target unregister web web-1 --config "$conf"
    judged
    kill "$etcd"
    wait "$etcd" || true
}
# is_seen WATCH CONF: a target comes and goes, and the process has ended.
is_seen() {
    quietly_on director glbctl target register web web-2 --address 192.168.50.11 --lease 600 --config "$2" >/dev/null || return
    quietly_on director glbctl target unregister web web-2 --config "$2" >/dev/null || return
    ! kill -0 "$1" 2>/dev/null
}

test_judge() {
    about "what is not as the schema says is found"
    mkdir -p "$lab_work/wrong" "$lab_work/none"
    echo '{"device": "eth0", "attached": true}' >"$lab_work/wrong/1.attach"
    echo '{"device": 3, "attached": true} {"device": "eth0", "attached": true, "more": 1}' >"$lab_work/wrong/2.attach"
    check "faults have their place" says '2.attach: value 1: device: 3 is not of type' python3 "$lab_dir/judge.py" /spec/glbctl.schema.json "$lab_work/wrong"
    check "each of them" says "2.attach: value 2: as a whole: Additional properties" python3 "$lab_dir/judge.py" /spec/glbctl.schema.json "$lab_work/wrong"
    check "nothing said is a fault" says 'nothing to judge' python3 "$lab_dir/judge.py" /spec/glbctl.schema.json "$lab_work/none"
    : >"$lab_work/none/1.status"
    check "so is a command that said nothing" says '1.status: no value' python3 "$lab_dir/judge.py" /spec/glbctl.schema.json "$lab_work/none"
}

lab_main "$@"
