#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# No module can panic: none refers to core::panicking, through which a panic stops the machine. Builds the modules first.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
if ! log=$(make --no-print-directory modules "KDIR=$KDIR" "BUILD=$BUILD" 2>&1); then
    printf '%s\n' "$log"
    echo "not ok - the modules do not build"
    exit 0
fi
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
done
