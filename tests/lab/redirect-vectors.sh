#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A known packet of the GLB format, before and after the redirect, through the module, byte for byte.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

setup() {
    host director 65.65.65.65 -
    proxy proxy1 3.4.5.6 -
    host proxy2 2.3.4.5 -
}

readonly IN=45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000
readonly OUT=450000500000400040112c8c0304050602030405eed34c43003c00000204000000000101020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000

test_unknown_ack() {
    about "An ACK of a connection that is nowhere goes to the next hop, as the deployed module sends it."
    snapshot proxy1
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "proxy2 gets the vector's bytes" wire "expect('proxy2', bytes.fromhex('$OUT'))"
    expect_counters proxy1 forwarded_to_alternate=+1 forwarded_bytes=+80
}

test_model() {
    about "The packet program's own model makes the same of the vector."
    check "moved(in) is out" wire "same(bytes.fromhex('$OUT'), moved(bytes.fromhex('$IN')))"
}

lab_main "$@"
