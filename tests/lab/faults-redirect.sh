#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The redirect while the kernel runs out of memory: every allocation of its set-up fails once. What is leaked is found at
# the end of the run (tests/vm/lib/stage2).
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"
# shellcheck source=tests/lab/faults.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/faults.sh"
export LAB_MODULES=rust_glb_redirect

test_rule() {
    about "Each allocation of a rule with GLBREDIRECT fails once, by both iptables: there is no rule, or the whole rule."
    faults_possible || return 0
    local tool
    for tool in iptables-legacy iptables-nft ip6tables-nft; do
        lab_context="$tool: "
        $tool -A OUTPUT -j ACCEPT # the tables and chains are there
        every_allocation "the rule is there or not" --in sendto,sendmsg,setsockopt,getsockopt --undo "$tool -F INPUT" -- \
            "$tool" -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
        check "it can be set" "$tool" -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
        "$tool" -F
    done
}

test_module() {
    about "Each allocation of the module's own start fails once: it is not there afterwards, and starts the next time."
    faults_possible || return 0
    run rmmod rust_glb_redirect
    every_allocation "it starts or not" --last "${LAST:-60}" --undo 'rmmod rust_glb_redirect 2>/dev/null' -- modprobe rust_glb_redirect
    check "it starts" modprobe rust_glb_redirect
    check "and counts" grep -q '^total_packets: 0' /proc/net/glb_redirect
}

test_namespace() {
    about "Each of the last allocations of a new network namespace fails once, the redirect's among them."
    faults_possible || return 0
    every_allocation "the namespace is made or not" --last "${LAST:-60}" -- unshare --net true
}

lab_main "$@"
