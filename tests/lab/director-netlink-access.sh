#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Who may do what to the director, and in which network namespace.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"

# nobody COMMAND...: as a user without any capability, in this namespace.
nobody() { setpriv --reuid 65534 --clear-groups --inh-caps=-all "$@"; }

test_privileges() {
    about "changes need CAP_NET_ADMIN in the namespace; reading needs nothing"
    fresh
    tables t.json api .4
    chmod 755 "$lab_work" && chmod 644 "$lab_work/t.json"
    local refused='needs CAP_NET_ADMIN'
    check "loading is refused" says "$refused" nobody glbctl table load "$lab_work/t.json"
    check "attaching is refused" says "$refused" nobody glbctl attach lo
    check "detaching is refused" says "$refused" nobody glbctl detach lo
    check "settings are refused" says "$refused" nobody glbctl config set --udp-port 1000
    check "the fuzz is refused too" nobody glb-packets netlink --seed 3 --count 500
    check "nothing happened" shows '.generation == 0 and .devices == [] and .config.udp_port == 19523'
    check "status is for all" nobody glbctl status
    check "so are counters" nobody glbctl stats
    check "root of a user namespace may load into its own" unshare -Urn sh -c "glbctl table load $lab_work/t.json"
    check "but not into this one" says "$refused" unshare -Ur glbctl table load "$lab_work/t.json"
    check "still nothing happened here" shows '.generation == 0'
}

test_namespaces() {
    about "each network namespace has tables, settings and devices of its own, which go with it"
    fresh
    tables t.json api .4
    host one 10.0.0.1 -
    host two 10.0.0.2 -
    check "one loads" on one glbctl table load "$lab_work/t.json"
    check "one attaches" on one glbctl attach eth0
    check "one sets" on one glbctl config set --source-v4 10.0.0.1
    local there
    there=$(quietly_on two glbctl --json status)
    check "two has none of it" is '[0,[],null]' "$(jq -c '[.generation, .devices, .config.source_v4]' <<<"$there")"
    check "nor has the guest itself" shows '.generation == 0 and .devices == []'
    quietly_on two glbctl monitor --json --count 1 >"$lab_work/event" &
    local listener=$!
    check "a listener is there" eventually listens_to_events two
    run ip netns exec one glbctl table load "$lab_work/t.json"
    check "two does not hear of one's load" is "" "$(cat "$lab_work/event")"
    run ip netns exec two glbctl attach eth0
    wait "$listener"
    check "it hears of its own device" is attached "$(jq -r .event "$lab_work/event")"
    check "a namespace that ends takes all with it" ip netns del one
    check "a module that is attached somewhere can go" rmmod rust_glb_director
    check "and come again" modprobe rust_glb_director
}

test_devices() {
    about "devices are attached once, keep their attachment when renamed, and lose it when they go"
    fresh
    run ip link add d0 type dummy
    check "attached" glbctl attach d0
    check "not twice" says 'attached already' glbctl attach d0
    check "not one that is not there" says 'no such device' glbctl attach nosuch
    run ip link set d0 name d1
    check "the new name is shown" shows '.devices == ["d1"]'
    glbctl monitor --json --count 1 >"$lab_work/event" &
    local listener=$!
    check "a listener is there" eventually listens_to_events
    run ip link del d1
    wait "$listener"
    check "listeners hear that it went" is detached "$(jq -r .event "$lab_work/event")"
    check "it is attached no more" shows '.devices == []'
    check "one that is not attached cannot be detached" says 'not attached' glbctl detach lo
    check "without the module, glbctl says what to do" no_module
}
no_module() {
    rmmod rust_glb_director
    says 'modprobe rust_glb_director' glbctl status
}

lab_main "$@"
