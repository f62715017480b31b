#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The workspace's own tests, one line each. The output of a failing test precedes its line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# The lab has what a test needs of root and file systems: no part is left out.
export GLB_NO_SKIP=1
# A backtrace would hide the message, which is above it, in the last lines that the end of a run tells.
export RUST_BACKTRACE=0
cargo test --workspace --no-fail-fast >"$log" 2>&1 || status=$?
[ "$status" = 0 ] || grep -vE '^test .* (ok|FAILED|ignored)$' "$log" | sed 's/^/#   /'
# A line before the tests names their binary ("Running ... (target/...)", "Doc-tests ..."). What a test that failed wrote comes after all
# of its binary's lines, so these tests are told in the end, each behind its output.
awk '
    /^ +Running / { where = $0; sub(/^ +Running (unittests )?/, "", where); sub(/ \(.*-[0-9a-f]+\)$/, "", where)
                    binary = $0; sub(/.*\//, "", binary); sub(/-[0-9a-f]+\)$/, "", binary)
                    where = (where ~ /^src\// ? binary : binary " " where) }
    /^ +Doc-tests / { where = $2 " doc" }
    /^test .* \.\.\. ok$/ { sub(/^test /, ""); sub(/ \.\.\. ok$/, ""); print "ok - " where ": " $0; next }
    /^test .* \.\.\. FAILED$/ { sub(/^test /, ""); sub(/ \.\.\. FAILED$/, ""); failed[++count] = where ": " $0; next }
    /^---- .* stdout ----$/ { sub(/^---- /, ""); sub(/ stdout ----$/, ""); writer = where ": " $0; next }
    /^failures:$/ { writer = "" }
    writer != "" { output[writer] = output[writer] "#   " $0 "\n" }
    END { for (i = 1; i <= count; i++) printf "%snot ok - %s\n", output[failed[i]], failed[i] }
' "$log"
if [ "$status" != 0 ]; then
    # If the build fails, nothing was tested.
    grep -qE '^test .* \.\.\. FAILED$' "$log" || echo "not ok - cargo test ended with status $status"
elif ! grep -qE '^test .* \.\.\. ok$' "$log"; then
    echo "not ok - there was no test"
fi
exit 0
