#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# No module can panic: none refers to core::panicking, through which a panic stops the machine. And no function on a packet's way
# takes much of the kernel's stack of 16 KiB, which it shares with the driver below it and the device above. Builds the modules first.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
if ! log=$(make --no-print-directory modules "KDIR=$KDIR" "BUILD=$BUILD" 2>&1); then
    printf '%s\n' "$log"
    echo "not ok - the modules do not build"
    exit 0
fi
# Bytes of stack of one function where packets come in and leave. Several are on it at a time.
most=1280
# And of any function: the kernel's own limit for C (CONFIG_FRAME_WARN), which nobody asks of Rust.
most_of_all=2048

# frames FILE: bytes and name of each function that takes stack.
frames() {
    # shellcheck disable=SC2016 # The dollars are those of sed.
    objdump --disassemble --no-show-raw-insn --demangle "$1" | sed -nE \
        -e 's/^[0-9a-f]+ <(.*)>:$/\1/;t name' -e 's/.*sub +\$0x([0-9a-f]{1,6}),%rsp$/\1/;t frame' -e b \
        -e ':name' -e 'h;b' -e ':frame' -e 'G;s/\n/ /p' |
        while read -r bytes name; do echo "$((16#$bytes)) $name"; done
}

for source in rust_glb_*/; do
    module=$BUILD/${source%/}.ko
    # Both mangling schemes encode a path as lengths and names.
    if ! symbols=$(nm --undefined-only "$module"); then
        echo "not ok - ${source%/}.ko is there"
    elif found=$(grep -E 'core9panicking|unwrap_failed|expect_failed|slice_.*_fail' <<<"$symbols"); then
        printf '%s\n' "$found"
        echo "not ok - ${source%/}.ko cannot panic"
    elif ! grep -qw module_layout <<<"$symbols" && ! grep -qE '_printk|xt_register_targets|kernel' <<<"$symbols"; then
        printf '%s\n' "$symbols"
        echo "not ok - ${source%/}.ko refers to something at all"
    else
        echo "ok - ${source%/}.ko cannot panic"
    fi
    found=$(frames "$module")
    if large=$(awk -v most="$most_of_all" '$1 > most' <<<"$found") && [ -n "$large" ]; then
        printf '%s\n' "$large"
        echo "not ok - ${source%/}.ko: no function takes more than $most_of_all bytes of stack"
    else
        echo "ok - ${source%/}.ko: no function takes more than $most_of_all bytes of stack"
    fi
    found=$(grep -E '(front|send|glb_core)::' <<<"$found" | grep -v 'front::devices::')
    if [ -z "$found" ]; then
        echo "not ok - ${source%/}.ko has functions that take stack"
    elif large=$(awk -v most="$most" '$1 > most' <<<"$found") && [ -n "$large" ]; then
        printf '%s\n' "$large"
        echo "not ok - ${source%/}.ko: no function on a packet's way takes more than $most bytes of stack"
    else
        echo "ok - ${source%/}.ko: no function on a packet's way takes more than $most bytes of stack"
    fi
done
