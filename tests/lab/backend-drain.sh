#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# An operator takes a proxy out of service by glbctl backend, and is told when its connections are gone.
#
#   client ---> director ===GUE===> proxy1, proxy2 (glb-healthcheck, which shows the redirect's counters)
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"
export LAB_MODULES='rust_glb_director rust_glb_redirect fou fou6 ipip sit ip6_tunnel tun'

setup() {
    host client 10.2.0.1 -
    host director 10.0.0.1 -
    proxy proxy1 10.0.0.11 -
    proxy proxy2 10.0.0.12 -
    ip_on client <<<"route add $VIP4 via 10.0.0.1 dev eth0 onlink mtu 1400"
    local name
    for name in proxy1 proxy2; do
        on "$name" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0
        # A proxy checks nobody: it only shows the counters of its module.
        printf '{"tables": []}' >"$lab_network/none.json"
        printf '{"forwarding_table": {"src": "%s", "dst": "%s"}, "reload_command": "", "listen": "0.0.0.0:19520"}' \
            "$lab_network/none.json" "$lab_network/$name.json" >"$lab_network/$name.conf"
        spawn "$name" glb-healthcheck --config "$lab_network/$name.conf" --log error
        spawn "$name" socat TCP-LISTEN:80,bind="$VIP4",fork,reuseaddr EXEC:cat
    done
    modprobe rust_glb_director
    cat >"$lab_network/src.json" <<END
{ "tables": [ { "name": "api", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
  "binds": [ {"ip": "$VIP4", "proto": "tcp", "port": 80} ],
  "backends": [ {"ip": "10.0.0.11", "state": "active", "note": 1.0}, {"ip": "10.0.0.12", "state": "active"} ] } ] }
END
    on director glbctl attach eth0
}

# backend ARGUMENT...: glbctl backend on the director, with the operator's file.
backend() { quietly_on director glbctl backend "$@" --file "$lab_network/src.json"; }
# status FILTER: of proxy1, by jq.
status() { backend status --json --interval 1 | jq -r ".tables[0].backends[0] | $1"; }
advice() { is "$1" "$(status .advice)"; }
reload() { run kill -HUP "$(cat "$lab_network/checker.pid")"; }
loaded() { [ "$(quietly_on director glbctl --json table show --running | jq -r '.[0].backends[0].state')" = "$1" ]; }

# checks_run: the health checker of the director.
checks_run() {
    cat >"$lab_network/checker.conf" <<END
{ "forwarding_table": {"src": "$lab_network/src.json"}, "publish": "kernel", "reload_interval_ms": 500 }
END
    ip netns exec director glb-healthcheck --config "$lab_network/checker.conf" --log error </dev/null &
    echo $! >"$lab_network/checker.pid"
    check "loaded" eventually loaded active
}

# connects: a connection from the client to proxy1, its program is $connection; it sends what is written to descriptor 5.
connects() {
    # The row of this client decides; so that it is proxy1, a client's address is looked for.
    local address
    for address in 10.2.0.{1..60}; do
        [ "$(quietly_on director glbctl --json lookup --running "$address:1" "$VIP4:80" | jq -r '.hops[0].ip')" != 10.0.0.11 ] || break
    done
    ip_on client <<<"addr replace $address/32 dev eth0"
    rm -f "$lab_work/in"
    mkfifo "$lab_work/in"
    ip netns exec client socat -u OPEN:"$lab_work/in",rdwr TCP:"$VIP4":80,bind="$address" &
    connection=$!
    exec 5>"$lab_work/in"
}

test_drain() {
    about "A draining proxy keeps its connections, gets no new ones, and status tells when the last is gone."
    local connection
    checks_run
    connects
    # Lines without end, so that a look at the proxy finds some between any two of its own.
    (while sleep 0.2; do echo hello; done >&5) 2>/dev/null & # the pace of a typist: all who look wait for a line
    local typing=$!
    check "proxy1 has the connection" eventually grows proxy1
    check "the status of an active one gives no advice" is null "$(status .advice)"
    check "drain" backend drain api 10.0.0.11
    reload
    check "the kernel has it" eventually loaded draining
    check "no row leads to it first" is 0 "$(status .first_rows)"
    check "the connection is still there" kill -0 "$connection"
    check "and is seen" eventually advice 'still holds connections: wait'
    check "a second one is refused" says 'only 1 may leave active' backend drain api 10.0.0.12
    kill "$typing" "$connection"
    check "when it is gone, that is seen" eventually advice "no packets of connections: may be deactivated"
    check "deactivate" backend deactivate api 10.0.0.11
    check "what nobody knows is still in the file" grep -q '"note": 1.0' "$lab_network/src.json"
    reload
    check "the kernel has it" eventually loaded inactive
    check "fill" backend fill api 10.0.0.11
    check "activate" backend activate api 10.0.0.11
    reload
    check "it is back" eventually loaded active
    check "what would be done is told" says_in 'Nothing was changed' backend drain api 10.0.0.11 --dry-run
    check "and not done" grep -q '"10.0.0.11", "state": "active"' "$lab_network/src.json"
    backend drain --wait --silence 1 api 10.0.0.11 >"$lab_work/wait" 2>&1 &
    local waiting=$!
    check "one that waits says for what" eventually grep -q 'until the health checker has it draining' "$lab_work/wait"
    reload
    check "nobody depends on it: it ends" wait "$waiting"
    check "and says so" grep -q 'may be deactivated' "$lab_work/wait"
    check "the kernel has it" loaded draining
    check "activate" backend activate api 10.0.0.11
    reload
    check "it is back again" eventually loaded active
}

test_wait() {
    about "drain --wait does not end while packets of the proxy's connections come, and ends when they do so no more."
    local connection waiting
    checks_run
    connects
    # proxy1's counter, on a page of which each look makes the connection send a line first: however slow the machine is, the
    # next look finds more, as long as the connection is used.
    cat >"$lab_work/page" <<END
while read -r line && [ "\${#line}" -gt 1 ]; do :; done
established() { while read -r name value; do [ "\$name" != accepted_established_packets: ] || echo "\$value"; done </proc/net/glb_redirect; }
before=\$(established)
if [ -e $lab_work/in_use ]; then
    echo hello >$lab_work/in
    while [ -e $lab_work/in_use ] && [ "\$(established)" = "\$before" ]; do :; done
fi
printf 'HTTP/1.0 200 OK\r\n\r\nglb_redirect_accepted_established_packets_total %s\n' "\$(established)"
echo look >>$lab_work/looks
END
    : >"$lab_work/looks"
    : >"$lab_work/in_use"
    spawn proxy1 socat TCP-LISTEN:9530,fork,reuseaddr EXEC:"bash $lab_work/page"
    check "the page shows the counter" eventually quietly_on director curl -sf --max-time 60 -o /dev/null http://10.0.0.11:9530/
    # Who does not answer within two seconds cannot be waited for; a machine that is busy is asked again.
    (until backend drain --wait --silence 2 --metrics 'http://{}:9530/' api 10.0.0.11; do :; done) >"$lab_work/wait" 2>&1 &
    waiting=$!
    check "it waits for the health checker" eventually grep -q 'until the health checker has it draining' "$lab_work/wait"
    reload
    check "then for the packets of connections" eventually grep -q 'until no packet of its connections comes' "$lab_work/wait"
    : >"$lab_work/looks"
    check "it looks more often than its silence is long" eventually looked 5
    check "and waits still" kill -0 "$waiting"
    check "the connection is still there" kill -0 "$connection"
    rm "$lab_work/in_use"
    kill "$connection"
    check "when the connection has ended, it ends" wait "$waiting"
    check "and says so" grep -q 'may be deactivated' "$lab_work/wait"
    check "the kernel has it" loaded draining
    check "activate" backend activate api 10.0.0.11
    reload
    check "it is back" eventually loaded active
}
looked() { [ "$(wc -l <"$lab_work/looks")" -ge "$1" ] || { cat "$lab_work/looks" "$lab_work/wait"; return 1; }; }
# grows HOST: it got packets of connections since the last look.
seen_before=
grows() {
    local before=$seen_before
    seen_before=$(counter "$1" accepted_established_packets)
    [ -n "$before" ] && [ "$seen_before" -gt "$before" ]
}

# drain OPTION...: of proxy1, with the file and the checker of the test below.
drain() { quietly_on director glbctl backend drain api 10.0.0.11 --file "$lab_work/src.json" --checker http://127.0.0.1:19521/health "$@"; }

test_other_fails() {
    about "A backend is not drained while the other one of its rows fails its checks."
    jq '.tables[0].backends |= map(.state = "active" | .healthchecks = {tcp: 7})' "$lab_network/src.json" >"$lab_work/src.json"
    cat >"$lab_work/checker.conf" <<END
{ "forwarding_table": {"src": "$lab_work/src.json", "dst": "$lab_work/checked.json"}, "reload_command": "", "listen": "127.0.0.1:19521" }
END
    spawn proxy1 socat TCP-LISTEN:7,fork,reuseaddr EXEC:cat
    spawn director glb-healthcheck --config "$lab_work/checker.conf" --log error
    # Until it has found out, there is nothing to fear; so nothing is changed here.
    check "the other one fails" eventually says 'fails its checks' drain --dry-run
    check "it is refused" says '10.0.0.12 fails its checks' drain
    check "the file is as it was" is active "$(jq -r '.tables[0].backends[0].state' "$lab_work/src.json")"
    check "unless it is forced" drain --force
    check "that is done" is draining "$(jq -r '.tables[0].backends[0].state' "$lab_work/src.json")"
}

test_no_redirect() {
    about "A backend is not drained while the other one of its rows answers and shows no redirect."
    jq '.tables[0].backends |= map(.state = "active")' "$lab_network/src.json" >"$lab_work/src.json"
    # Metrics of something else.
    cat >"$lab_work/page" <<'END'
while read -r line && [ "${#line}" -gt 1 ]; do :; done
printf 'HTTP/1.0 200 OK\r\n\r\n# TYPE node_load1 gauge\nnode_load1 0.5\n'
END
    spawn proxy2 socat TCP-LISTEN:9100,fork,reuseaddr EXEC:"bash $lab_work/page"
    # Who does not answer may be a good proxy; so it goes well until the page is there.
    check "it is refused" eventually says '10.0.0.12 has no redirect' asking --metrics 'http://{}:9100/' --dry-run
    check "also for good" says 'only 1 may leave active' asking --metrics 'http://{}:9100/'
    check "the file is as it was" is active "$(jq -r '.tables[0].backends[0].state' "$lab_work/src.json")"
    check "the page of its health checker shows one" says_in 'Nothing was changed' asking --metrics 'http://{}:19520/metrics' --dry-run
    check "nobody is asked where none is to be" says_in 'Nothing was changed' asking --metrics none --dry-run
    check "it may be forced" asking --metrics 'http://{}:9100/' --force
    check "that is done" is draining "$(jq -r '.tables[0].backends[0].state' "$lab_work/src.json")"
}

# asking OPTION...: drain of proxy1, with what the proxies say alone.
asking() { quietly_on director glbctl backend drain api 10.0.0.11 --file "$lab_work/src.json" --checker none "$@"; }

test_unreachable() {
    about "Proxies that do not answer, or that do not have the module, are told as such, and that is no error."
    check "another page" is null "$(backend status --json --interval 0.1 --metrics 'http://{}:1/metrics' --checker none | jq '.tables[0].backends[0].established_packets_per_second')"
    check "why is told" says_in 'Connection refused' backend status --interval 0.1 --metrics 'http://{}:1/metrics' --checker none
    check "an address that nobody has" says_in 'unknown: ' backend status --interval 0.1 --metrics 'http://10.0.0.99:1/' --checker none
    check "none are asked" says_in 'not asked' backend status --metrics none --checker none
    check "a URL that is none is a usage error" exits 2 backend status --metrics ftp://x
}
says_in() {
    local text=$1 said
    shift
    said=$("$@" 2>&1) || { printf 'it failed: %s\n' "$said"; return 1; }
    [[ $said = *"$text"* ]] || { printf 'it said: %s\n' "$said"; return 1; }
}

lab_main "$@"
