#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Real programs at both ends: nginx and curl, socat and nc, Python's server. The director swaps the proxies while they talk.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }
listens() { [ -n "$(quietly_on "$1" ss -Hltn "sport = $2")" ]; }
url() { if [ "$inner" = 4 ]; then echo "http://$VIP4$1"; else echo "http://[$VIP6]$1"; fi; }
vip() { if [ "$inner" = 4 ]; then echo "$VIP4"; else echo "$VIP6"; fi; }

test_download() {
    about "A download with curl from nginx goes on while its packets move to the other proxy; new ones come from there."
    local name dir=$lab_work/www
    mkdir -p "$dir"
    seq -f 'line %06g' 1 400000 >"$dir/big"
    for name in proxy1 proxy2; do
        echo "$name" >"$lab_work/$name"
        cat >"$lab_work/$name.conf" <<END
daemon off; master_process off; pid $lab_work/$name.pid; error_log stderr warn;
events { }
http {
    access_log off;
    server {
        listen 80; listen [::]:80;
        root $dir;
        location /slow { alias $dir/big; }
        location = /name { alias $lab_work/$name; }
    }
}
END
        spawn "$name" nginx -e stderr -c "$lab_work/$name.conf" -p "$lab_work"
    done
    for name in proxy1 proxy2; do check "nginx of $name listens" eventually listens "$name" 80; done
    everywhere download
}
download() {
    local got=$lab_work/got want
    want=$(sha256sum <"$lab_work/www/big")
    wire "steer(P1[o], P2[o])"
    rm -f "$got" "$lab_work/go"
    mkfifo "$lab_work/go"
    # It stands in the middle, with the window closed, until it is told to go on.
    quietly_on client curl -sS "$(url /slow)" < /dev/null | (head -c 4096; read -r _ <"$lab_work/go"; cat) >"$got" &
    local curl=$!
    check "the download runs" eventually test -s "$got"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+2..99999
    expect_counters proxy2
    wire "steer(P2[o], P1[o])"
    check "a new connection is served by proxy2" is proxy2 "$(quietly_on client curl -sS "$(url /name)")"
    wire "steer(P1[o], P2[o]); steer(P2[o], P1[o])"
    echo go >"$lab_work/go"
    check "the download ends" wait "$curl"
    check "and is whole" is "$want" "$(sha256sum <"$got")"
    expect_counters proxy2 accepted_syn=+1 accepted_established=+2..99999 forwarded_to_alternate=+2..99999
    expect_counters proxy1 accepted_established=+2..99999
}

test_talk() {
    about "socat and nc talk both ways, before and after the move."
    everywhere talk
}
talk() {
    wire "steer(P1[o], P2[o])"
    # The server answers each line in capitals.
    spawn proxy1 socat "TCP$inner-LISTEN:7000,reuseaddr,fork" 'SYSTEM:stdbuf -oL tr a-z A-Z'
    local server=$spawned
    check "socat listens" eventually listens proxy1 7000
    mkfifo "$lab_work/talk"
    printf '[+] client: nc %s 7000\n' "$(vip)"
    quietly_on client nc "$(vip)" 7000 <"$lab_work/talk" >"$lab_work/heard" &
    local nc=$! talk
    exec {talk}>"$lab_work/talk"
    echo one >&"$talk"
    check "an answer" eventually grep -qx ONE "$lab_work/heard"
    wire "steer(P2[o], P1[o])"
    echo two >&"$talk"
    check "an answer after the move" eventually grep -qx TWO "$lab_work/heard"
    wire "steer(P1[o], P2[o])"
    echo three >&"$talk"
    check "and after the move back" eventually grep -qx THREE "$lab_work/heard"
    exec {talk}>&-
    kill "$nc" "$server"
    rm "$lab_work/talk"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+5..60
    expect_counters proxy2 forwarded_to_alternate=+1..40
}

test_python() {
    about "Python's own HTTP server, and a client that asks it twice over one connection, with the move between."
    i=4
    cat >"$lab_work/twice.py" <<'END'
import http.client, sys, time
c = http.client.HTTPConnection(sys.argv[1], 8000, timeout=600)
for n in range(2):
    c.request("GET", "/word")
    print(c.getresponse().read().decode().strip(), flush=True)
    while n == 0 and sys.stdin.readline().strip() != "go":
        pass
END
    mkdir -p "$lab_work/py"
    echo word >"$lab_work/py/word"
    quietly_wire "$redirect_names
o, i = 4, 4"
    snapshot proxy1 proxy2
    wire "steer(P1[o], P2[o])"
    spawn proxy1 python3 -c "import http.server, functools
h = http.server.SimpleHTTPRequestHandler; h.protocol_version = 'HTTP/1.1'
http.server.ThreadingHTTPServer(('', 8000), functools.partial(h, directory='$lab_work/py')).serve_forever()"
    check "the server listens" eventually listens proxy1 8000
    mkfifo "$lab_work/go"
    quietly_on client python3 "$lab_work/twice.py" "$VIP4" <"$lab_work/go" >"$lab_work/said" &
    local client=$! go
    exec {go}>"$lab_work/go"
    check "the first answer" eventually grep -qx word "$lab_work/said"
    wire "steer(P2[o], P1[o])"
    echo go >&"$go"
    check "the second ends in order" wait "$client"
    exec {go}>&-
    check "both answers" is 'word word' "$(tr '\n' ' ' <"$lab_work/said" | sed 's/ $//')"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+4..40
    expect_counters proxy2 forwarded_to_alternate=+1..20
}

lab_main "$@"
