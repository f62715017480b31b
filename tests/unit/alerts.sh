#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The alert rules, with promtool: they are valid, and each fires for the fleet that its test describes and for no other. The
# metrics in them are those of a real glb-healthcheck. Kernel counters, which this machine may not have, are compared with
# docs/counters.md. In the build root:
#
#   tests/vm/build -- tests/unit/alerts.sh
# shellcheck disable=SC2317 # Functions are called by name, through `check`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh

rules=tools/prometheus/glb.rules.yml
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; wait; rm -rf "$work"' EXIT
if ! cargo build --quiet --release -p glb-healthcheck; then echo "not ok - glb-healthcheck builds"; exit 1; fi

check "promtool check rules" promtool check rules --lint=all --lint-fatal "$rules"
check "promtool test rules" promtool test rules tools/prometheus/glb.test.yml
# An inverted rule is detected.
mkdir "$work/turned"
sed 's/glb_healthcheck_published == 0/glb_healthcheck_published == 1/' "$rules" >"$work/turned/glb.rules.yml"
cp tools/prometheus/glb.test.yml "$work/turned/"
check "an inverted rule is detected" refused FAILED promtool test rules "$work/turned/glb.test.yml"
alerts=$(sed -n 's/^ *- alert: //p' "$rules")
check "there are rules" test "$(wc -l <<<"$alerts")" -gt 10
for alert in $alerts; do
    check "$alert fires in a test" grep -q "{labels: '{alertname=\"$alert\"}'" tools/prometheus/glb.test.yml
done

# --- the names, by a real daemon ---------------------------------------------------------------------

# The build root shares the machine's network: an address of 127/8 that nobody else is likely to use.
readonly PAGES=127.19.52.4:19520
cat >"$work/src.json" <<END
{"tables": [{"name": "web", "hash_key": "12345678901234561234567890123456", "seed": "34567890123456783456789012345678",
  "binds": [{"ip": "10.10.10.10", "proto": "tcp", "port": 80}],
  "backends": [{"ip": "127.19.52.14", "state": "active", "healthchecks": {"tcp": 8080}}]}],
 "healthchecks": {"interval_ms": 300, "timeout_ms": 200, "trigger": 2}}
END
page() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())' "http://$PAGES/metrics"; }
# families CONFIGURATION: the metric names of a daemon with this configuration.
families() {
    local tries=0
    "${CARGO_TARGET_DIR:-target}/release/glb-healthcheck" --config "$1" >"$work/log" 2>&1 &
    daemon=$!
    until page 2>/dev/null >"$work/page"; do
        tries=$((tries + 1))
        if [ "$tries" -ge 1500 ] || ! kill -0 "$daemon"; then cat "$work/log"; break; fi
        sleep 0.2 # between two tries
    done
    sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$work/page" >>"$work/families"
    kill "$daemon"
    wait "$daemon"
    daemon=
}
for publish in file kernel; do
    cat >"$work/healthcheck.conf" <<END
{"forwarding_table": {"src": "$work/src.json", "dst": "$work/dst.json"}, "reload_command": "true", "publish": "$publish",
 "reload_interval_ms": 1000, "listen": "$PAGES"}
END
    families "$work/healthcheck.conf"
done
# known METRIC: the daemon shows the metric, or it is a kernel counter with the name that the daemon derives.
known() {
    local name=${1#glb_redirect_}
    name=${name#glb_director_}
    name=${name#service_}
    name=${name#backend_}
    name=${name%_total}
    grep -qxF "$1" "$work/families" || grep -qE "^\| \`(total_)?$name\` \|" docs/counters.md ||
        grep -qE "\`$1\`" docs/healthcheck.md || { echo "nothing shows $1"; return 1; }
}
# shellcheck disable=SC2013 # A word is a name.
for metric in $(grep -oE '\bglb_(healthcheck|redirect|director|geneve)_[a-z_]+' "$rules" | sort -u); do
    case $metric in
        # The daemon's own metrics must be shown; the documents are not sufficient.
        glb_healthcheck_*) check "$metric is shown by glb-healthcheck" grep -qxF "$metric" "$work/families" ;;
        *) check "$metric is a metric" known "$metric" ;;
    esac
done
# verdict NAME: devices with the role geneve have a counter for it.
verdict() { grep -qE "^\| .*\`$1_packets\`" docs/gateway.md || { echo "nothing counts $1"; return 1; }; }
one=$(grep -oE 'verdict="[a-z_]+"' "$rules" | sed 's/.*="//; s/"//')
several=$(grep -oE 'verdict=~"dropped_\([a-z_|]+\)"' "$rules" | sed 's/.*(//; s/).*//' | tr '|' '\n' | sed 's/^/dropped_/')
# shellcheck disable=SC2086 # A word is a name.
for name in $(printf '%s\n' $one $several refused_flow | sort -u); do
    check "$name is a verdict of the role geneve" verdict "$name"
done
check "all rules about verdicts are read" test "$(grep -c 'verdict=' "$rules")" = "$(grep -cE 'verdict=("[a-z_]+"|~"dropped_\([a-z_|]+\)")' "$rules")"
check "another verdict would be found" refused "nothing counts" verdict dropped_nothing
check "another name would be found" refused "nothing shows" known glb_director_dropped_nothing_packets_total
finish
