#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The Grafana dashboard with a real Prometheus that scrapes a real glb-healthcheck: every expression is valid, and returns data
# where this machine can have some. Kernel counters exist only in the guest's kernel, so their names are compared with
# docs/counters.md. In the build root:
#
#   tests/vm/build -- tests/unit/dashboard.sh
# shellcheck disable=SC2317 # Functions are called by name, through `check`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh

work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
if ! cargo build --quiet --release -p glb-healthcheck; then echo "not ok - glb-healthcheck builds"; exit 1; fi

# The build root shares the machine's network: addresses of 127/8 that nobody else is likely to use.
readonly HERE=127.19.52.3 PROMETHEUS=127.19.52.3:9090 PAGES=127.19.52.3:19520
page() { curl_ "http://$PROMETHEUS/api/v1/$1" "${@:2}"; }
# curl_ URL [NAME=VALUE...]: there is no curl in the build root.
curl_() {
    python3 - "$@" <<'END'
import sys, urllib.parse, urllib.request
url = sys.argv[1]
if sys.argv[2:]:
    url += "?" + urllib.parse.urlencode([tuple(pair.split("=", 1)) for pair in sys.argv[2:]])
try:
    print(urllib.request.urlopen(url, timeout=600).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
END
}

# --- a daemon with one backend that is up, one that is down and one that drains ----------------------

mkdir "$work/www"
for address in 127.19.52.10 127.19.52.11; do
    python3 -m http.server 8080 --bind $address --directory "$work/www" >/dev/null 2>&1 &
    started+=($!)
done
cat >"$work/src.json" <<END
{"tables": [{"name": "web", "hash_key": "12345678901234561234567890123456", "seed": "34567890123456783456789012345678",
  "binds": [{"ip": "10.10.10.10", "proto": "tcp", "port": 80}],
  "backends": [{"ip": "127.19.52.10", "state": "active", "healthchecks": {"http": 8080}},
    {"ip": "127.19.52.11", "state": "draining", "healthchecks": {"http": 8080, "tcp": 8080}},
    {"ip": "127.19.52.12", "state": "active", "healthchecks": {"tcp": 8080}}]}],
 "healthchecks": {"interval_ms": 300, "timeout_ms": 60000, "trigger": 2}}
END
cat >"$work/healthcheck.conf" <<END
{"forwarding_table": {"src": "$work/src.json", "dst": "$work/dst.json"}, "reload_command": "true",
 "reload_interval_ms": 1000, "listen": "$PAGES"}
END
"${CARGO_TARGET_DIR:-target}/release/glb-healthcheck" --config "$work/healthcheck.conf" >"$work/healthcheck.log" 2>&1 &
started+=($!)
cat >"$work/prometheus.yml" <<END
global: {scrape_interval: 5s, scrape_timeout: 5s}
scrape_configs:
  - job_name: glb
    static_configs: [{targets: ["$PAGES"]}]
END
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="$PROMETHEUS" \
    >"$work/prometheus.log" 2>&1 &
started+=($!)

# scraped: there are enough samples to compute rates.
scraped() {
    local tries=0
    until page query 'query=count_over_time(glb_healthcheck_uptime_seconds[5m]) >= 4' 2>/dev/null | grep -q '"instance"'; do
        tries=$((tries + 1))
        # Twenty tries are enough on an idle machine; on a busy machine, each try takes longer, too.
        if [ "$tries" -ge 300 ]; then
            tail -n 5 "$work/healthcheck.log" "$work/prometheus.log"
            return 1
        fi
        sleep 1 # between two tries
    done
}
check "Prometheus scrapes a real glb-healthcheck at $HERE" scraped

# --- the dashboard ----------------------------------------------------------------------------------

# expressions: the queries of the dashboard, one per line: kind, title, and expression with the variables substituted, separated by
# tabs.
expressions() {
    python3 - tools/grafana/glb.json <<'END'
import json, sys
dashboard = json.load(open(sys.argv[1]))
def filled(text):
    for name in ("$job", "$instance", "$table"):
        text = text.replace(name, ".*")
    text = text.replace("$__rate_interval", "20s")
    assert "$" not in text, text
    return text
for panel in dashboard["panels"]:
    for target in panel.get("targets", []):
        print("query", panel["title"], filled(target["expr"]), sep="\t")
for annotation in dashboard["annotations"]["list"]:
    print("may-be-empty", annotation["name"], filled(annotation["expr"]), sep="\t")
END
}
# answered EXPRESSION [some]: Prometheus accepts the expression and, with `some`, has data. Tries again if a scrape was too late.
answered() {
    local answer tries
    for tries in {1..60}; do
        answer=$(page query "query=$1")
        [[ $answer == *'"status":"success"'* ]] || break
        if [ "${2:-}" != some ] || [[ $answer == *'"value":['* ]]; then return; fi
        sleep 1 # between two tries
    done
    printf '%s\n(%s tries)\n' "$answer" "$tries"
    return 1
}
# counters_are_known EXPRESSION: the kernel counters in it are documented under the names from which the metrics are derived.
counters_are_known() {
    local metric name found=''
    # shellcheck disable=SC2013 # A word is a name.
    for metric in $(grep -oE 'glb_(redirect|director)_[a-z_]+' <<<"$1"); do
        name=${metric#glb_}
        name=${name#*_}
        # Those of services and of their backends have names of their own in the document.
        name=${name#service_}
        name=${name#backend_}
        [[ $name == *_total ]] || { echo "$metric does not end in _total"; return 1; }
        found=yes
        grep -q "^| \`${name%_total}\` |" "docs/counters.md" || { echo "no counter ${name%_total}"; return 1; }
    done
    [ -n "$found" ]
}

# metrics_are_documented EXPRESSION: those of the role geneve, whose counters are labels.
metrics_are_documented() {
    local metric
    # shellcheck disable=SC2013 # A word is a name.
    for metric in $(grep -oE 'glb_geneve_[a-z_]+' <<<"$1" | sort -u); do
        grep -qE "^\| ([^|]*, )?\`$metric\`" docs/healthcheck.md || { echo "docs/healthcheck.md does not have $metric"; return 1; }
    done
}

expressions >"$work/expressions" || echo "not ok - the dashboard is read"
check "the dashboard has panels" test "$(grep -c ^query "$work/expressions")" -gt 40
while IFS=$'\t' read -r kind title expression; do
    case $kind:$expression in
        *glb_redirect_* | *glb_director_*)
            check "$title: understood, and its counters are documented: $expression" answered "$expression"
            check "$title: known counters" counters_are_known "$expression"
            ;;
        *glb_geneve_*)
            check "$title: understood: $expression" answered "$expression"
            check "$title: its metrics are documented" metrics_are_documented "$expression"
            ;;
        query:*) check "$title: has data: $expression" answered "$expression" some ;;
        *) check "$title: understood: $expression" answered "$expression" ;;
    esac
done <"$work/expressions"
# The variables: Grafana asks for the values of a label.
for label in job instance table; do
    metric=glb_healthcheck_build_info
    [ $label != table ] || metric=glb_healthcheck_backend_up
    check "variable $label has values" refused '"data":\["' sh -c 'cat; exit 1' sh < <(page "label/$label/values" "match[]=$metric")
done
check "what Prometheus says is right: one backend is marked down" \
    refused '"1"\]' sh -c 'cat; exit 1' < <(page query 'query=count(glb_healthcheck_backend_marked_up == 0)')
check "a wrong expression would be found" refused '"error"' sh -c 'cat; exit 1' < <(page query 'query=sum by (glb_')

finish
