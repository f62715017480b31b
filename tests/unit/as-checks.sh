#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# as-checks.sh COMMAND...: run a test with its own output format, and print its results in the format of the other tests. Its
# exit status must agree with the results.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
"$@" >"$log" 2>&1 || status=$?
sed -E 's/^ok: /ok - /; s/^FAIL: /not ok - /' "$log"
if [ "$status" != 0 ] && ! grep -qE '^(FAIL: |not ok - )' "$log"; then
    echo "not ok - ended with status $status"
elif ! grep -qE '^(not )?ok - |^ok: |^FAIL: ' "$log"; then
    echo "not ok - there was no check"
fi
exit 0
