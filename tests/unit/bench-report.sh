#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The benchmark report with the real data of docs/: the page agrees with the data, and a part that is measured again replaces only
# its own rows. Run in the build root (it needs gnuplot).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/docs" "$work/measured/director"
cp docs/benchmarks.json "$work/docs/"

measured() { ! grep 'Not measured' "$work/docs/benchmarks.md"; }
check "the report runs with nothing measured" tests/bench/report "$work/measured" "$work/docs"
check "docs/benchmarks.md is what docs/benchmarks.json says (else: tests/bench/run --report)" diff docs/benchmarks.md "$work/docs/benchmarks.md"
check "nothing is said to be unmeasured" measured

# The director's rows in the format of tests/bench/director.sh: those of docs/, with 1,000 instructions more per packet.
python3 - "$work" <<'END'
import json
import sys
work = sys.argv[1]
data = json.load(open("docs/benchmarks.json"))
with open(f"{work}/measured/director/raw.tsv", "w") as out:
    for run in data["runs"]:
        if run["part"] == "director":
            print(run["row"], run["round"], run["count"], run["ns"] + 1000 * run["count"], sep="\t", file=out)
END
printf 'what the guest says\t42\n' >"$work/measured/director/facts.tsv"
printf 'commit 1234567\ndate 2026-01-01\ncommand tests/bench/run --part director\nprocessor another\n' >"$work/measured/about"
check "the report runs with the director's part" tests/bench/report "$work/measured" "$work/docs" director
# of DOCS EXPRESSION: evaluate a Python expression on the `data` in its benchmarks.json.
of() { python3 -c "import json, sys; data = json.load(open(sys.argv[1])); print($2)" "$1/benchmarks.json"; }
rows() { of "$1" "[run for run in data['runs'] if run['part'] == '$2']"; }
cost() { of "$1" "round(sum(run['ns'] / run['count'] + $2 for run in data['runs'] if run['part'] == 'director'))"; }
for part in redirect cpus http; do
    check "the rows of $part are as they were" [ "$(rows "$work/docs" $part)" = "$(rows docs $part)" ]
    check "there are rows of $part" [ "$(rows docs $part)" != "[]" ]
done
check "native's too" [ "$(of "$work/docs" "data['native']")" = "$(of docs "data['native']")" ]
check "the director's rows are the new ones" [ "$(cost "$work/docs" 0)" = "$(cost docs 1000)" ]
check "its facts are the new ones" [ "$(of "$work/docs" "data['facts']['director']")" = "{'what the guest says': '42'}" ]
check "the page says when it was measured" grep -qF "| \`director\` | 1234567 | 2026-01-01 | another |" "$work/docs/benchmarks.md"
check "and when the others were" grep -qF "| \`redirect\` | $(of docs "data['about']['redirect']['commit']") |" "$work/docs/benchmarks.md"
section() { sed -n "/^## $2/,/^## /p" "$1/benchmarks.md"; }
check "the redirect's section is as it was" [ "$(section "$work/docs" "The redirect")" = "$(section docs "The redirect")" ]
check "the director's is not" [ "$(section "$work/docs" "The director")" != "$(section docs "The director")" ]
check "nothing is unmeasured now either" measured

cp "$work/docs/benchmarks.json" "$work/before"
check "a part that left nothing is an error that names it" refused 'the part http left no rows' tests/bench/report "$work/measured" "$work/docs" http
check "and changes nothing" cmp "$work/before" "$work/docs/benchmarks.json"
