#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The redirect without iptables: the hook that the netlink family glb_redirect switches, driven by the kernel's ynl and
# spec/glb_redirect.yaml.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

setup() {
    host director 65.65.65.65 -
    proxy proxy1 3.4.5.6 -
    host proxy2 2.3.4.5 -
    # No rule: what happens, happens through the other door.
    on proxy1 iptables -F INPUT
}

readonly IN=45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000
readonly OUT=450000500000400040112c8c0304050602030405eed34c43003c00000204000000000101020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000

# ynl HOST OPTION...: the tool on a host; its answers are JSON.
ynl() {
    quietly_on "$1" python3 -B /ynl/tools/net/ynl/pyynl/cli.py \
        --spec /ynl/Documentation/netlink/specs/glb_redirect.yaml --no-schema --output-json "${@:2}"
}

test_door() {
    about "The hook gives the target's verdicts and counters, keeps to its allowed hops, and is the namespace's own."
    check "it is off" is 0 "$(ynl proxy1 --do get | jq .enabled)"
    snapshot proxy1
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "while it is off, nothing is passed on" wire "nothing('proxy2')"
    expect_counters proxy1

    check "on" ynl proxy1 --do on --json '{"port": 19523}'
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "proxy2 gets the vector's bytes" wire "expect('proxy2', bytes.fromhex('$OUT'))"
    expect_counters proxy1 forwarded_to_alternate=+1 forwarded_bytes=+80
    check "another namespace has none" is 0 "$(ynl director --do get | jq .enabled)"

    check "on, with allowed hops" ynl proxy1 --do on --json '{"allow-hop": [{"address": "9.0.0.0", "prefix-len": 8}]}'
    check "they are told" is '["9.0.0.0",8,19523]' \
        "$(ynl proxy1 --do get | jq -c '[."allow-hop"[0].address, ."allow-hop"[0]."prefix-len", .port]')"
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "a hop outside gets nothing" wire "nothing('proxy2')"
    expect_counters proxy1 dropped_hop_not_allowed=+1

    check "a prefix that is too long is refused" fails ynl proxy1 --do on --json '{"allow-hop": [{"address": "9.0.0.0", "prefix-len": 33}]}'
    check "and changes nothing" is 8 "$(ynl proxy1 --do get | jq '."allow-hop"[0]."prefix-len"')"
    check "on, with what asks more" ynl proxy1 --do on --json '{"syn-listener": 1, "udp": 1}'
    check "it is told" is '[1,1,0,null]' \
        "$(ynl proxy1 --do get | jq -c '[."syn-listener", .udp, .conntrack, .netns]')"
    check "a flag is 0 or 1" fails ynl proxy1 --do on --json '{"syn-listener": 2}'
    check "a name has at most 63 bytes" fails ynl proxy1 --do on --json "{\"netns\": [\"$(printf 'n%.0s' {1..64})\"]}"
    check "and is not a path" fails ynl proxy1 --do on --json '{"netns": ["a/b"]}'
    check "what was refused changes nothing" is 1 "$(ynl proxy1 --do get | jq .udp)"
    check "off" ynl proxy1 --do off
    check "off twice is an error" fails ynl proxy1 --do off
}

lab_main "$@"
