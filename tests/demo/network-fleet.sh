#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The example network, small: 120 long connections survive all procedures of the operators. `make demo` does the same with
# 2,000 connections and with failures. It takes minutes, so it is not part of `make test`:
# tests/vm/run -- /tests/demo/network-fleet.sh
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/lib.sh"
# A download takes eight seconds.
export DOWNLOAD_BYTES=12288
# shellcheck source=tests/lab/network.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/network.sh"

setup() { network; }

test_mapping() {
    about "Each user gets the same proxy through either director, the one that glbctl lookup names, over IPv4 and IPv6."
    predicted_of director1 >"$lab_work/predicted"
    through director1 answers_of >"$lab_work/by1"
    through director2 answers_of >"$lab_work/by2"
    check "through director1: as predicted" diff "$lab_work/predicted" "$lab_work/by1"
    check "through director2: the same" diff "$lab_work/predicted" "$lab_work/by2"
    check "there are users of more than one proxy" test "$(cut -d ' ' -f 2 "$lab_work/by1" | sort -u | wc -l)" -gt 1
}

# step WHAT COMMAND...: the command succeeds, and no connection breaks meanwhile.
step() {
    local what=$1 broken
    shift
    check "$what" "$@"
    check "$what: all clients told" settled 1
    broken=$(cat "$lab_work"/*.events | grep -v ^sample)
    check "$what: no connection broke" is "" "$broken"
    [ -z "$broken" ] || net_told
}
drained() { set_state proxy2 draining && eventually has_no_connection proxy2; }
filled() { set_state proxy2 inactive && set_state proxy2 filling && set_state proxy2 active; }
passed_on() {
    local name sum=0
    for name in $PROXIES; do sum=$((sum + $(counter "$name" forwarded_to_alternate_packets))); done
    [ "$sum" -gt "$1" ]
}

test_operations() {
    about "Reload, drain, fill, a director stopped and started: no connection breaks."
    hold_long web4 "$NET_VIP4" --connections 60 --path /page --body "$lab_work/www/page" --pause 2000 --responses 4
    hold_long web6 "$NET_VIP6" --connections 30 --path /page --body "$lab_work/www/page" --pause 2000 --responses 4
    hold_long files "$NET_VIP4" --connections 30 --path /download --body "$lab_work/www/download" --responses 1
    for name in web4 web6 files; do check "$name are busy" becomes_busy $name; done
    step "tables are reloaded" reload_both
    step "proxy2 drains until it has no connection" drained
    check "packets came to another proxy first, which passed them on" passed_on 0
    step "proxy2 is taken out, fills and is active again" filled
    check "proxy2 has connections again" eventually fails has_no_connection proxy2
    step "director1 is stopped: BGP withdraws" stop_director director1
    step "director1 is started: BGP announces" start_director_again director1
    for name in web4 web6 files; do check "all $name ended in order" held $name; done
}

test_no_backend() {
    about "While no backend is usable, nothing is announced; as soon as one is usable again, the VIPs are."
    local name
    for name in $PROXIES; do nginx_stops "$name"; done
    check "both directors withdraw" eventually paths_are "$NET_VIP4" 0
    check "also over IPv6" eventually paths_are "$NET_VIP6" 0
    nginx_starts proxy3
    check "one usable backend is enough" eventually paths_are "$NET_VIP4" 2
    for name in proxy1 proxy2; do nginx_starts "$name"; done
    check "all are marked healthy again" eventually marks_all true
    quietly_on director2 glbctl detach eth0
    check "a director with no device withdraws" eventually paths_are "$NET_VIP4" 1
    quietly_on director2 glbctl attach eth0
    check "and is back with one" eventually paths_are "$NET_VIP4" 2
}
marks_all() {
    local name
    for name in $PROXIES; do marks "$name" "$1" || return; done
}

lab_main "$@"
