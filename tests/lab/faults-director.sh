#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The director while the kernel runs out of memory: every allocation of its set-up fails once. What is leaked is found at
# the end of the run (tests/vm/lib/stage2).
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"
# shellcheck source=tests/lab/faults.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/faults.sh"

readonly NOTHING_LEFT='glbctl --json status | jq -e ".loads_under_way == 0 and .bytes_set_aside == 0" >/dev/null'

test_load() {
    about "Each allocation of a load of tables fails once: the loader says so, nothing is left of it, the old tables stay or the new ones are there."
    faults_possible || return 0
    fresh
    tables t.json api .4
    run glbctl table load "$lab_work/t.json"
    every_allocation "tables are loaded or not" --check "$NOTHING_LEFT" -- glbctl table load "$lab_work/t.json"
    check "packets have a way" is "$(hops --table "$lab_work/t.json" 10.11.12.13)" "$(hops --running 10.11.12.13)"
}

test_settings() {
    about "Each allocation of a change of settings fails once."
    faults_possible || return 0
    fresh
    every_allocation "settings are changed or not" -- glbctl config set --hash-fields src_addr,src_port
    check "they can be changed" glbctl config set --hash-fields src_addr
}

test_attach() {
    about "Each allocation of an attachment to a device fails once; afterwards it is attached or not, and can be."
    faults_possible || return 0
    fresh
    ip_on root <<<$'link add faulty type dummy\nlink set faulty up'
    every_allocation "the device is attached or not" --undo 'glbctl detach faulty 2>/dev/null' -- glbctl attach faulty
    check "it is attached" glbctl attach faulty
    every_allocation "the device is detached or not" --undo 'glbctl attach faulty 2>/dev/null' -- glbctl detach faulty
    check "a device that goes is given back" ip link del faulty
}

test_replace() {
    about "Each allocation of a change of a device's options fails once; afterwards it is attached by the old ones or the new ones."
    faults_possible || return 0
    fresh
    ip_on root <<<$'link add faulty type dummy\nlink set faulty up'
    run glbctl attach faulty --role geneve --max-flows 1000
    every_allocation "other options or not" --undo 'glbctl attach faulty --role geneve --replace --max-flows 1000' \
        --check 'glbctl --json geneve devices | jq -e "length == 1 and .[0].max_flows == 1000" >/dev/null' \
        -- glbctl attach faulty --role geneve --replace --strict --max-flows 1000
    every_allocation "another flow cache or not" --undo 'glbctl attach faulty --role geneve --replace --max-flows 1000' \
        --check 'glbctl --json geneve devices | jq -e "length == 1" >/dev/null' \
        -- glbctl attach faulty --role geneve --replace --max-flows 2000
    check "a device that goes is given back" ip link del faulty
}

test_answers() {
    about "Each allocation of a question's answer fails once."
    faults_possible || return 0
    fresh
    tables t.json api .4
    run glbctl table load "$lab_work/t.json"
    local question
    for question in "status" "stats" "table show --running" "lookup --running 10.11.12.13 1.1.1.1:80"; do
        # shellcheck disable=SC2086 # Words.
        every_allocation "$question" -- glbctl --json $question
    done
}

test_module() {
    about "Each allocation of the module's own start fails once: it is not there afterwards, and starts the next time."
    faults_possible || return 0
    run rmmod rust_glb_director
    every_allocation "it starts or not" --last "${LAST:-60}" --undo 'rmmod rust_glb_director 2>/dev/null' -- modprobe rust_glb_director
    check "it starts" modprobe rust_glb_director
}

test_namespace() {
    about "Each of the last allocations of a new network namespace fails once, the director's among them."
    faults_possible || return 0
    every_allocation "the namespace is made or not" --last "${LAST:-40}" -- unshare --net true
}

lab_main "$@"
