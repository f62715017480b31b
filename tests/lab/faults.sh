# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scenarios of failing allocations share. Source it after lib.sh.
# shellcheck disable=SC2154 # lab_file comes from lib.sh.

# faults_possible: can the kernel let allocations fail? Only the debug kernel can. `faults_possible || return 0` begins a test.
faults_possible() {
    local kind
    if [ ! -d /sys/kernel/debug/failslab ]; then
        skip "this kernel has no fault injection: make test KERNEL=debug T=$lab_file"
        return 1
    fi
    for kind in failslab fail_page_alloc; do
        # Also allocations that could wait for memory, which ours are; a line in the log for each, without a trace.
        echo 0 >/sys/kernel/debug/$kind/ignore-gfp-wait
        echo 0 >/sys/kernel/debug/$kind/verbose
    done
    echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
}

# every_allocation WHAT [OPTION of glb-packets faults]... -- COMMAND...: a check: whichever allocation of the command fails in
# the kernel, the command ends with an error and words, or goes well; and the kernel does not complain.
every_allocation() {
    check "$1" glb-packets faults "${@:2}"
    check "the kernel says nothing" kernel_is_quiet
}
