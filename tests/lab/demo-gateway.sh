#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo-gateway: what it shows in the guest is true.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
export LAB_MODULES=rust_glb_director

test_gateway() {
    about "The demo ends with a table in which all is as expected."
    local status=0
    /tests/demo/gateway.sh >"$lab_work/demo" 2>&1 || status=$?
    cat "$lab_work/demo"
    check "the demo ends well" is 0 "$status"
    check "its last line says so" grep -qE '^OK: [0-9]+ results are as expected' <(tail -n 1 "$lab_work/demo")
    check "no line of the table is wrong" fails grep -q ' WRONG$' "$lab_work/demo"
    check "nothing of it is left" fails sh -c "ip netns list | grep -E '^(balancer|appliance|client1)'"
    # Packets with inner ones, and not the header of a capture alone.
    glbctl --json decap /out/gateway.pcap "$lab_work/inner.pcap" >"$lab_work/decapped"
    check "packets were captured whose header is right" jq -e '[.[] | select(.verdict == "accepted_packets")] | length >= 2' "$lab_work/decapped"
    check "and in them the request" grep -aq 'GET /' "$lab_work/inner.pcap"
}

lab_main "$@"
