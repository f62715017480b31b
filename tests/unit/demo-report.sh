#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The demo's report, from logs with a known result: broken connections and failed attempts are counted separately, those failed
# attempts apart that a killed program had in its hands, each event is marked, and the report of a demo that captured no packet that was passed on says so and does not fail. Run in the build root.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '1000.5\t%s\tnone\n1030.0\t%s\theld\t1030.4\n1060.9\t%s\tnone\n' "nothing happens" "proxy2: nginx is killed" "the end" >"$work/marks.tsv"
for second in $(seq 1000 1090); do
    echo "sample $second.700 broken=0 oldest=$second.100 proxy1=$((50 + second % 7)) proxy2=40 proxy3=30"
    case $second in
        1031) printf 'broken %s.800 proxy2 192.168.41.7:40000 receive: reset\n' "$second" "$second" ;;
        # Begun before the program was gone, and after.
        1035) printf 'unopened %s.900 - 192.168.41.8:40001 begun=%s receive: reset\n' "$second" 1029.900 "$second" 1030.399 ;;
        1040) printf 'unopened %s.900 - 192.168.41.8:40001 begun=%s connect: refused\n' "$second" 1030.400 "$second" 1035.000 \
            "$second" 1040.800 ;;
        # So slow to begin that it cannot be the program's, which was not there yet: a failure before the event is another one's.
        1020) printf 'unopened %s.900 - 192.168.41.9:40001 begun=%s no connection in time\n' "$second" 1000.900 ;;
    esac
done >"$work/pages4.events"
sed -n 's/^sample/&/p' "$work/pages4.events" >"$work/files6.events"

last() { tail -n 1 "$work/timeline.tsv" | cut -f "$1"; }
at() { awk -F'\t' -v second="$1" -v column="$2" '$1 == second { print $column }' "$work/timeline.tsv"; }
check "a report is made where nothing was captured" tests/demo/report "$work"
check "and it says so" grep -q '^No packet came to proxy3' "$work/second-chance.txt"
check "two connections broke" [ "$(last 5)" = 2 ]
check "four tries to open one failed, one of them before anything was killed" [ "$(last 6)" = 4 ]
check "and two that the killed program held" [ "$(last 7)" = 2 ]
check "each in its second" [ "$(at 30 5) $(at 31 5) $(at 39 6) $(at 40 6) $(at 34 7) $(at 35 7)" = "0 2 1 4 0 2" ]
check "connections of all clients are added up" [ "$(last 3)" = 80 ]
for words in broken "not opened" "held" "nothing happens" "proxy2: nginx is killed" "the end"; do
    check "the picture names: $words" grep -qF ">$words<" "$work/connections.svg"
done
# The area of the first curve begins at 192 of 800 (connections.gnuplot); a label begins at its lower end.
below() { sed -n 's/.*translate([0-9.]*,\([0-9.]*\)) rotate(-40[.0]*).*/\1/p' "$work/connections.svg" | awk '$1 > 192 { n++ } END { exit NR != 3 || n > 0 }'; }
check "no event's name lies on a curve" below
check "pictures for all" [ -s "$work/connections.png" ]
