#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The redirect's netlink family under messages that nobody should send.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/memory.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/memory.sh"
export LAB_MODULES=rust_glb_redirect

test_fuzz() {
    about "100,000 broken messages (a slower kernel gets fewer) from two threads: the redirect answers, takes settings afterwards, and keeps no memory."
    check "a first fuzz" glb-packets netlink --family glb_redirect --seed 7 --count 2000 --threads 2
    memory_mark
    check "the fuzz comes to its end" glb-packets netlink --family glb_redirect --seed 20261121 --count $((50000 / LAB_SLOWER)) --threads 2
    check "no memory was left behind" memory_kept
    check "the kernel says nothing" kernel_is_quiet
}

lab_main "$@"
