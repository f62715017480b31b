#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The end of a run that failed: each failed check once, behind what was written before it and nothing of another check.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# told EXPECTED: what is told of the log in standard input.
told() {
    cat >"$log"
    same "$1" tests/failures "$log"
}

check "nothing failed" told "" <<'END'
  CC [M]  shim.o
ok - lint/docs: links
#   a line of a test
# lint/docs: 8 s
END
check "the reason, with and without a mark before it; not what another check wrote, nor how long it took" told "\
#   a.md: no such link
not ok - lint/docs: links
who calls what panics
not ok - unit/no-panic: the core" <<'END'
#   a warning of one that is well
ok - lint/text: flake8
#   a.md: no such link
not ok - lint/docs: links
# lint/docs: 8 s
who calls what panics
not ok - unit/no-panic: the core
#   what comes last
END
check "a scenario whose story comes after its checks" told "\
#   [+] the step that failed
not ok - b/two: it arrives" <<'END'
ok - b/one: it is sent
not ok - b/two: it arrives
ok - b/two: the sum
#   [+] a step
#   ok - b/one: it is sent
#   [+] the step that failed
#   not ok - b/two: it arrives
#   [+] another step
#   ok - b/two: the sum
# b: 12 s
END
check "a check that is to fail within a test is none of the run's" told "" <<'END'
#   [+] the suite tells of a scenario that fails
#   not ok - made-up/test: it fails
ok - suite/fails: told
END
check "a log that has its own end" told "\
reason
not ok - a: b" <<'END'
reason
not ok - a: b

Failed:
reason
not ok - a: b
3 passed, 1 failed
END
check "the last 15 lines of many" told "$(seq -f '#   line %g' 26 40; echo 'not ok - a: b')" < <(seq -f '#   line %g' 40; echo 'not ok - a: b')
