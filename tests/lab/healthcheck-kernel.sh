#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# glb-healthcheck with the real director, without a file or a shell between them: it checks real web servers and loads the
# kernel's table through netlink.
#
#   director (glb-healthcheck, rust_glb_director)     p1, p2, p3 (nginx, http and https)
#   10.0.0.1                                          10.0.0.11 to .13
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"
export LAB_MODULES='rust_glb_director rust_glb_redirect'

setup() {
    host director 10.0.0.1 -
    host p1 10.0.0.11 -
    host p2 10.0.0.12 -
    host p3 10.0.0.13 -
    run glb-packets cert "$lab_network/tls" --name www.example.net
    run glb-packets cert "$lab_network/other" --name www.example.net
    local number
    for number in 1 2 3; do web "$number" tls; done
}

# web NUMBER CERTIFICATES: nginx of a proxy. no_web NUMBER: it ends.
web() {
    local dir=$lab_network/web-$1
    mkdir -p "$dir"
    cat >"$dir/conf" <<END
daemon on; master_process on; worker_processes 1; error_log $dir/error.log; pid $dir/pid;
events {}
http {
    access_log off; client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3; uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
    server { listen 10.0.0.1$1:80; location / { return 200 "p$1\n"; } }
    server { listen 10.0.0.1$1:443 ssl; ssl_certificate $lab_network/$2/cert.pem; ssl_certificate_key $lab_network/$2/key.pem;
             server_name www.example.net; location / { return 404; } location /up { return 204; } }
}
END
    on "p$1" nginx -c "$dir/conf" -e "$dir/error.log"
}
no_web() {
    local pid
    read -r pid <"$lab_network/web-$1/pid"
    run kill -QUIT "$pid"
    eventually fails kill -0 "$pid" 2>/dev/null
}

# source_table CHECKS [STATE]: the operator's table; p3 is in this state. $trigger: of the checks. What is down here refuses, at
# once; so no check fails for being slow.
source_table() {
    cat >"$lab_work/src.json" <<END
{ "healthchecks": {"interval_ms": 500, "timeout_ms": 60000, "trigger": ${trigger:-3}}, "owner": "the lab",
  "tables": [ { "name": "api", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
  "binds": [ {"ip": "$VIP4", "proto": "tcp", "port": 80} ],
  "backends": [ {"ip": "10.0.0.11", "state": "active", "healthchecks": $1}, {"ip": "10.0.0.12", "state": "active", "healthchecks": $1},
                {"ip": "10.0.0.13", "state": "${2:-active}", "healthchecks": $1} ] } ] }
END
}

# daemon [CONF]: glb-healthcheck on the director; what it says is in $lab_work/log.
daemon() {
    cat >"$lab_work/conf" <<END
{ "forwarding_table": {"src": "$lab_work/src.json"}, "publish": "kernel", "reload_interval_ms": 500${1:+, $1} }
END
    : >"$lab_work/log"
    files >"$lab_network/files"
    say "glb-healthcheck, publish: kernel${1:+, $1}"
    ip netns exec director glb-healthcheck --config "$lab_work/conf" </dev/null >"$lab_work/log" 2>&1 &
    daemon=$!
}

# files: what is beside the daemon's configuration.
files() { (cd "$lab_work" && printf '%s\n' *); }

# Pages of the daemon.
page() { quietly_on director curl -s --max-time 60 "127.0.0.1:19520/$1"; }
problems() { page health | jq -r '.problems[]'; }
no_problems() { [ -z "$(problems)" ]; }
has_problem() { problems | grep -qF "$1"; }
metric() { page metrics | sed -n "s/^$1 //p"; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }

# The kernel's own view: health of the backends, in order; and the number of its load.
in_kernel() { quietly_on director glbctl --json table show --running | jq -c '[.[0].backends[].healthy]'; }
kernel_has() { [ "$(in_kernel 2>/dev/null)" = "$1" ]; }
generation() { quietly_on director glbctl --json status | jq .generation; }
logged() { grep -qF "$1" "$lab_work/log" || { cat "$lab_work/log"; return 1; }; }

test_load() {
    about "The daemon loads the kernel's table by itself, follows the backends, and never marks more than half of them down."
    modprobe rust_glb_director
    source_table '{"http": 80}'
    daemon
    check "the kernel gets the table" eventually kernel_has '[true,true,true]'
    check "no file was written beside the daemon's own" is "$(cat "$lab_network/files")" "$(files)"
    check "packets have a way to go" is 2 "$(quietly_on director glbctl --json lookup --running 10.11.12.13:1 "$VIP4:80" | jq '.hops | length')"
    no_web 1
    check "a web server that stopped is marked down" eventually kernel_has '[false,true,true]'
    check "no new connection goes to it" is 0 \
        "$(quietly_on director glbctl --json table show --running --rows | jq '[.[0].rows[] | select(.[0] == 0)] | length')"
    no_web 2
    no_web 3
    check "further ones are held up, and that is said" eventually has_problem 'holding back: 2 failing backends stay up'
    check "in the metrics too" metric_is 'glb_healthcheck_backend_held_up{table="api",backend="10.0.0.12"}' 1
    check "the kernel's table keeps them" kernel_has '[false,true,true]'
    web 1 tls
    check "the one that recovers changes places with one that failed later" eventually in_kernel_one_down 0
    web 2 tls
    web 3 tls
    check "all recover" eventually kernel_has '[true,true,true]'
    check "loads are counted" eventually loads 3
    check "none failed" metric_is 'glb_healthcheck_reloads_total{outcome="load_failed"}' 0
    check "the director's own counters are there" test -n "$(metric glb_director_packets_total)"
    check "what it has is there" metric_is glb_director_tables 1
    check "the redirect's counters are there" test -n "$(metric glb_redirect_packets_total)"
}
# in_kernel_one_down NUMBER: one backend is down, and not this one.
in_kernel_one_down() { [ "$(in_kernel | jq "[.[] | not] | .[$1] == false and (map(select(.)) | length) == 1")" = true ]; }

loads() { [ "$(metric 'glb_healthcheck_reloads_total{outcome="success"}')" -ge "$1" ]; }

# last_check NUMBER null|string: of this backend's last check: the type of the reason why it failed.
last_check() { [ "$(page health | jq -r ".tables[0].backends[$(($1 - 1))].checks[0].last_failure | type")" = "$2" ]; }

test_flapping() {
    about "A backend that flaps faster than the trigger changes nothing in the kernel."
    # Nothing is left of another test, or its table would pass for this daemon's first one.
    fresh
    # It is no race: so many failures do not come before the server is back.
    local trigger=1000 before round
    source_table '{"http": 80}'
    daemon
    check "loaded" eventually kernel_has '[true,true,true]'
    before=$(generation)
    for round in 1 2 3; do
        say "round $round"
        no_web 2
        check "a check fails" eventually last_check 2 string
        web 2 tls
        check "a check finds it back" eventually last_check 2 null
    done
    check "the kernel has seen no load since" is "$before" "$(generation)"
    check "the table is as it was" kernel_has '[true,true,true]'
}

test_restart() {
    about "A daemon that is started again goes on from the running director: nothing changes there until its checks say so."
    fresh
    source_table '{"http": 80}'
    daemon
    check "loaded" eventually kernel_has '[true,true,true]'
    no_web 2
    check "p2 is marked down" eventually kernel_has '[true,false,true]'
    run kill -TERM "$daemon"
    wait "$daemon"
    # All is the other way round by now; but so many checks do not come meanwhile as it takes to mark anything.
    web 2 tls
    no_web 1
    local trigger=1000
    source_table '{"http": 80}'
    daemon
    check "it says what it goes on from" eventually logged 'going on from the running director: backends: 2 up, 1 down'
    check "p1 fails its checks" eventually last_check 1 string
    check "p2 passes them" eventually last_check 2 null
    check "it has published" eventually loads 1
    check "the kernel's table is as it was" kernel_has '[true,false,true]'
    trigger=3
    source_table '{"http": 80}'
    kill -HUP "$daemon"
    check "from there it judges anew" eventually kernel_has '[false,true,true]'
    web 1 tls
    check "and on" eventually kernel_has '[true,true,true]'
}

test_module() {
    about "A director that is not loaded, is taken out, or was given other tables gets the checked ones as soon as it can."
    rmmod rust_glb_director
    source_table '{"http": 80}'
    daemon
    check "it runs and says what is missing" eventually has_problem 'modprobe rust_glb_director'
    check "so does the metric" metric_is glb_healthcheck_director_loaded 0
    check "there are no counters of a module that is not there" is "" "$(metric glb_director_packets_total)"
    check "it does not load the module itself" fails grep -q '^rust_glb_director ' /proc/modules
    run modprobe rust_glb_director
    check "the table is loaded once it is there" eventually kernel_has '[true,true,true]'
    check "the metric says so" eventually metric_is glb_healthcheck_director_loaded 1
    check "nothing is wrong any more" eventually no_problems
    run rmmod rust_glb_director
    check "it notices that the module went" eventually has_problem 'modprobe rust_glb_director'
    run modprobe rust_glb_director
    check "and loads again" eventually kernel_has '[true,true,true]'
    run rmmod rust_glb_director
    run modprobe rust_glb_director
    check "also when it was quick" eventually kernel_has '[true,true,true]'
    tables other.json other .4
    on director glbctl table load "$lab_work/other.json"
    check "another program's tables are replaced" eventually kernel_has '[true,true,true]'
    check "and that is said" logged 'somebody else has loaded tables'
    check "and counted" test "$(metric glb_healthcheck_director_lost_tables_total)" -ge 1
    check "errors were told once each, not at every try" test "$(grep -c 'tables are loaded once it is there' "$lab_work/log")" -le 3
}

test_bad_source() {
    about "A source that is missing, half written or wrong keeps the table that is loaded; when it is good again, it is taken."
    modprobe rust_glb_director
    source_table '{"http": 80}'
    daemon
    check "loaded" eventually kernel_has '[true,true,true]'
    cp "$lab_work/src.json" "$lab_work/good.json"
    head -c 300 "$lab_work/good.json" >"$lab_work/src.json"
    kill -HUP "$daemon"
    check "half a file is told" eventually has_problem 'the last good table stays in use'
    check "the metric says so" metric_is glb_healthcheck_source_valid 0
    rm "$lab_work/src.json"
    kill -HUP "$daemon"
    check "a missing file is told" eventually has_problem 'there is no such file'
    check "the kernel's table stays" kernel_has '[true,true,true]'
    no_web 2
    check "checks go on meanwhile" eventually kernel_has '[true,false,true]'
    source_table '{"http": 80}' draining
    check "a good file is taken without being told to" eventually is_draining
    check "health is kept" kernel_has '[true,false,true]'
    web 2 tls
    check "and goes on" eventually kernel_has '[true,true,true]'
    printf '{ "publish": "kernel", "max_down_percent": 200 }' >"$lab_work/bad.conf"
    check "errors in the configuration are told at once" says 'max_down_percent' glb-healthcheck --check --config "$lab_work/bad.conf"
    check "with status 1" exits 1 glb-healthcheck --check --config "$lab_work/bad.conf"
    printf '{ "publish": "paper" }' >"$lab_work/bad.conf"
    check "so is a way that does not exist" says '"file" or "kernel"' glb-healthcheck --check --config "$lab_work/bad.conf"
}
is_draining() { [ "$(quietly_on director glbctl --json table show --running | jq -r '.[0].backends[2].state')" = draining ]; }

test_https() {
    about "HTTPS checks of a real server: name, path and status; the certificate counts where that is asked for."
    modprobe rust_glb_director
    local check='"https": 443, "https_host": "www.example.net"'
    source_table "{$check, \"https_uri\": \"/up\", \"https_status\": 204, \"https_verify\": true}"
    daemon "\"https_ca_file\": \"$lab_network/tls/ca.pem\""
    check "a certificate of the authority is good" eventually kernel_has '[true,true,true]'
    no_web 2
    web 2 other
    check "another one's is not" eventually kernel_has '[true,false,true]'
    check "and the reason is told" test -n "$(page health | jq -r '.tables[0].backends[1].checks[0].last_failure')"
    source_table "{$check, \"https_uri\": \"/up\", \"https_status\": 204}"
    kill -HUP "$daemon"
    check "without https_verify it will do" eventually kernel_has '[true,true,true]'
    source_table "{$check}"
    kill -HUP "$daemon"
    check "an answer of another status fails, and half are held up" eventually has_problem 'holding back'
    no_web 2
    web 2 tls
}

lab_main "$@"
