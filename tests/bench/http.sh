#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Real HTTP through director and redirect, compared with the same server reached directly. Runs in the guest.
#
#            +----------- [director] ----GUE---+
#   [client] |                                 | [proxy: GLBREDIRECT, nginx on the VIP]
#            +---------- directly -------------+
#
# Answers go directly in both cases. All three hosts share the processor, so a ratio compares the work of all of them.
#
# shellcheck source=tests/bench/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

modprobe -a fou ipip rust_glb_redirect rust_glb_director
VIP=1.1.1.1
SMALL_REQUESTS=${SMALL_REQUESTS:-200}
LARGE_BYTES=${LARGE_BYTES:-16777216}

for name in client director proxy; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
# link A ADDRESS B ADDRESS: a cable
link() {
    ip link add "to-$3" netns "$1" mtu 2000 type veth peer name "to-$1" netns "$3" mtu 2000
    ip -n "$1" -batch - <<END
addr add $2/24 dev to-$3
link set to-$3 up
END
    ip -n "$3" -batch - <<END
addr add $4/24 dev to-$1
link set to-$1 up
END
}
link client 10.1.1.1 director 10.1.1.2
link director 10.1.2.1 proxy 10.1.2.2
link client 10.1.3.1 proxy 10.1.3.2
ip -n proxy -batch - <<END
fou add port 19523 gue
link set tunl0 up
addr add $VIP/32 dev tunl0
END
on proxy iptables -A INPUT -p udp -m udp --dport 19523 -j GLBREDIRECT
on proxy sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0
ip -n proxy route add 10.1.1.0/24 via 10.1.3.1
# The client's address is the same on both paths, so that answers take the same path.
ip -n client addr add 10.7.7.7/32 dev lo
ip -n proxy route add 10.7.7.7/32 via 10.1.3.1

mkdir -p /tmp/www /var/log/nginx /var/lib/nginx
printf 'hello\n' >/tmp/www/small
head -c "$LARGE_BYTES" /dev/zero >/tmp/www/large
cat >/tmp/nginx.conf <<END
worker_processes 1;
pid /tmp/nginx.pid;
events {}
http {
    access_log off;
    keepalive_requests 100000;
    sendfile on;
    server { listen $VIP:80; root /tmp/www; }
}
END
on proxy nginx -c /tmp/nginx.conf

cat >/tmp/table.json <<END
{"tables": [{"name": "http", "hash_key": "12345678901234561234567890123456", "seed": "12345678901234561234567890123456",
  "binds": [{"ip": "$VIP", "proto": "tcp", "port": 80}],
  "backends": [{"ip": "10.1.2.2", "state": "active", "healthy": true}]}]}
END
on director glbctl table load /tmp/table.json
on director glbctl attach to-client

by() {
    case $1 in
        glb) ip -n client route replace $VIP via 10.1.1.2 src 10.7.7.7 mtu lock 1500 ;;
        direct) ip -n client route replace $VIP via 10.1.3.2 src 10.7.7.7 mtu lock 1500 ;;
    esac
}
encapsulated() { on director glbctl --json stats | jq .encapsulated_packets; }

# requests URL: all requests on one connection; $blast_ns is their total time by curl's clock.
requests() {
    local times
    times=$(on client curl -sS -o /dev/null -w '%{http_code} %{time_total}\n' "$1") || fail "curl $1"
    is "answers to $1 that are not 200" '' "$(grep -v '^200 ' <<<"$times" || true)"
    blast_ns=$(awk '{ sum += $2 } END { printf "%d", sum * 1e9 }' <<<"$times")
}

one_run() { # ROUND NAME WAY URL COUNT
    local before after
    by "$3"
    before=$(encapsulated)
    requests "$4"
    after=$(encapsulated)
    case $3 in
        glb) [ "$after" -ge $((before + $5)) ] || fail "$2: packets did not go through the director" ;;
        direct) is "$2: packets through the director" "$before" "$after" ;;
    esac
    measured "$2" "$1" "$5"
}
by direct
requests "http://$VIP/large"
for way in direct glb; do
    row "http-$way-latency" $way "http://$VIP/small?[1-$SMALL_REQUESTS]" "$SMALL_REQUESTS"
    row "http-$way-connect" $way "http://$VIP/small" 1
    row "http-$way-large" $way "http://$VIP/large" 1
done
each_round http
