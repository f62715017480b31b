#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The director's counters at a statsd, in the names of deployed directors.
#
#   client ---> director ===GUE===> proxy1, proxy2
#               glbctl statsd ---> a UDP socket on 127.0.0.1:28125
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"
export LAB_MODULES='rust_glb_director fou fou6 ipip sit ip6_tunnel'

setup() {
    host client 10.2.0.1 -
    host director 10.0.0.1 -
    proxy proxy1 10.0.0.11 -
    proxy proxy2 10.0.0.12 -
    ip_on client <<<"route add $VIP4 via 10.0.0.1 dev eth0 onlink"
    ip_on director <<<"link set up dev lo"
    modprobe rust_glb_director
    proxies "$lab_network/t.json" "$SEED" 10.0.0.11 10.0.0.12
    on director glbctl table load "$lab_network/t.json"
    on director glbctl attach eth0
}

# receives FILE: a statsd, which writes all that it gets to a file.
receives() {
    : >"$1"
    ip netns exec director socat -u UDP4-RECV:28125,bind=127.0.0.1 "OPEN:$1,append" </dev/null &
    receiver=$!
    eventually listens_udp
}
listens_udp() { [ -n "$(quietly_on director ss -Hlun 'sport = 28125')" ]; }
# sum METRIC FILE: what was sent of it altogether, with its tags.
sum() { awk -F '[:|]' -v metric="$1" '{ name = $0; sub(/:[0-9]+\|c\|/, " ", name) } name == metric { n += $2 } END { print n + 0 }' "$2"; }
# sent METRIC NUMBER: that many were sent.
sent() { [ "$(sum "$1" "$lab_work/got")" = "$2" ]; }
reports() { grep -c '^glb.director.packets.processed:' "$lab_work/got"; }
more_reports() { [ "$(reports)" -ge "$1" ]; }

test_counts() {
    about "What the kernel counts is sent as differences, each once, where director.conf names a port."
    echo '{"outbound_src_ip": "10.0.0.1", "statsd_port": "28125"}' >"$lab_work/conf"
    receives "$lab_work/got"
    ip netns exec director glbctl statsd --config "$lab_work/conf" --interval 0.2 </dev/null 2>"$lab_work/said" &
    local sender=$!
    check "there is a report without a packet" eventually more_reports 1
    begin
    # No server is there: what counts is that the director takes them. 81 is no port of the table.
    local port
    for port in 80 81; do
        may_fail on client socat -u - "TCP:$VIP4:$port,connect-timeout=1" </dev/null
    done
    may_fail on client ping -c 5 -i 0.05 -W 1 "$VIP4"
    local matched
    matched=$(($(grew encapsulated_packets) + $(grew encapsulated_echo_packets)))
    check "the director has taken packets" test "$matched" -ge 6
    check "they are reported" eventually sent 'glb.director.packets.encapsulated #glb_engine:kernel' "$matched"
    check "as matched" eventually sent 'glb.director.packets.results #glb_engine:kernel,result:Matched' "$matched"
    check "those of no bind" eventually sent 'glb.director.packets.results #glb_engine:kernel,result:NoMatchingBind' "$(grew passed_no_matching_bind_packets)"
    check "there were some" test "$(grew passed_no_matching_bind_packets)" -ge 1
    check "their bytes" eventually sent 'glb.director.packets.encapsulated_bytes #glb_engine:kernel' "$(grew encapsulated_bytes)"
    check "an error that did not happen is a 0" grep -qx 'glb.director.packets.internal_errors:0|c|#glb_engine:kernel,error:ErrorMissingRow' "$lab_work/got"
    echo '{"outbound_src_ip": "10.0.0.1", "statsd_port": 0}' >"$lab_work/conf"
    check "without a port it says so, and sends nothing" eventually grep -q 'no statsd_port' "$lab_work/said"
    kill "$receiver"
    echo '{"outbound_src_ip": "10.0.0.1", "statsd_port": 28125}' >"$lab_work/conf"
    check "that nobody listens is said" eventually grep -q 'Connection refused' "$lab_work/said"
    kill "$sender"
}

test_module_gone() {
    about "Counters of a module that was loaded anew begin at 0, and that is no difference below 0."
    echo '{"outbound_src_ip": "10.0.0.1", "statsd_port": 28125}' >"$lab_work/conf"
    receives "$lab_work/got"
    ip netns exec director glbctl statsd --config "$lab_work/conf" --interval 0.2 </dev/null 2>"$lab_work/said" &
    local sender=$! before
    check "it reports" eventually more_reports 1
    on director rmmod rust_glb_director
    check "a module that is gone is said" eventually grep -q 'rust_glb_director' "$lab_work/said"
    on director modprobe rust_glb_director
    before=$(reports)
    check "it reports again" eventually more_reports $((before + 2))
    check "no number is below 0 or wraps" fails grep -E ':-|:[0-9]{12,}' "$lab_work/got"
    kill "$sender" "$receiver"
}

lab_main "$@"
