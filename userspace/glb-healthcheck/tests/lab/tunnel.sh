#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The gue and gue_vip checks against the kernel's own tunnel, and checks through the forwards ipip and gre, in network namespaces:
#
#   d (director, glb-healthcheck)       p1, p2 (proxies: fou, tunl0, sit0 with the VIPs)
#   192.168.50.6, fd50::6               192.168.50.10 and .11, fd50::10 and ::11
#           |                                 |          |
#           +--------------- br0 -------------+----------+
#
# In the lab:
#   cargo build --release -p glb-healthcheck
#   tests/vm/run --no-build --file target/release/glb-healthcheck:/usr/local/sbin/glb-healthcheck \
#     --file userspace/glb-healthcheck/tests/lab/tunnel.sh:/tunnel.sh -- bash /tunnel.sh
set -euo pipefail

vip4=10.10.10.10 vip6=fd10::10
dir=$(mktemp -d)

fail() {
    echo "FAILED: $*"
    cat "$dir/log"
    exit 1
}

# Waits until the backends of the table are published so, as in "true false". So many tries take a busy machine longer.
published() {
    local now
    for _ in $(seq 3000); do
        now=$(grep -o '"healthy": *[a-z]*' "$dir/dst.json" 2>/dev/null | grep -o '[a-z]*$' | xargs || true)
        if [ "$now" = "$*" ]; then
            echo "published: $now"
            return
        fi
        sleep 0.1 # between two tries
    done
    fail "waited for \"$*\", published is \"$now\""
}

said() {
    grep -qF "$1" "$dir/log" || fail "not said: $1"
    grep -F "$1" "$dir/log" | tail -1 | sed 's/^[^ ]* */  said: /'
}

for module in fou ipip sit ip_gre dummy; do modprobe $module; done
ip link add br0 type bridge
ip link set br0 up
node() { # name, number
    ip netns add "$1"
    ip link add "v$1" type veth peer name eth0 netns "$1"
    ip link set "v$1" master br0 up
    ip -n "$1" link set lo up
    ip -n "$1" link set eth0 up
    ip -n "$1" addr add "192.168.50.$2/24" dev eth0
    ip -n "$1" addr add "fd50::$2/64" dev eth0 nodad
}
node d 6
ip -n d route add fd10::/64 dev eth0
for p in 1:10 2:11; do
    node "p${p%:*}" "${p#*:}"
    ip -n "p${p%:*}" fou add port 19523 gue
    ip -n "p${p%:*}" link set tunl0 up
    ip -n "p${p%:*}" link set sit0 up
    ip -n "p${p%:*}" addr add $vip4/32 dev tunl0
    ip -n "p${p%:*}" addr add $vip6/128 dev sit0 nodad
done

backend() { echo "{\"ip\": \"$1\", \"state\": \"active\", \"healthchecks\": {\"gue\": 19523, \"gue_vip\": true}}"; }
cat >"$dir/src.json" <<EOF
{"healthchecks": {"interval_ms": 200, "timeout_ms": 1000, "trigger": 2}, "tables": [{"name": "web",
 "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
 "binds": [{"ip": "$vip4", "proto": "tcp", "port": 80}, {"ip": "$vip6", "proto": "tcp", "port": 80}],
 "backends": [$(backend 192.168.50.10), $(backend 192.168.50.11)]}]}
EOF
cat >"$dir/conf" <<EOF
{"forwarding_table": {"src": "$dir/src.json", "dst": "$dir/dst.json"}, "reload_command": "", "reload_interval_ms": 0,
 "max_down_percent": 100}
EOF
ip netns exec d glb-healthcheck --config "$dir/conf" 2>"$dir/log" &
trap 'kill %1' EXIT

echo "both proxies have tunnel and VIPs"
published true true
echo "p2 loses the IPv4 VIP"
ip -n p2 addr del $vip4/32 dev tunl0
published true false
said "gue_vip $vip4 through 192.168.50.11:19523: fails"
echo "p2 has it again, and p1 loses the IPv6 VIP"
ip -n p2 addr add $vip4/32 dev tunl0
ip -n p1 addr del $vip6/128 dev sit0
published false true
said "gue_vip $vip6 through 192.168.50.10:19523: fails"
echo "p1 has it again, and p2 loses its tunnel"
ip -n p1 addr add $vip6/128 dev sit0 nodad
ip -n p2 fou del port 19523
published true false
said "gue 192.168.50.11:19523: fails: nothing listens on the tunnel's port"
echo "p2 has it again"
ip -n p2 fou add port 19523 gue
published true true
if grep -q "can not be made" "$dir/log"; then fail "a check could not be made"; fi

echo "through a forward: a connection to the VIP of each server"
kill %1
wait %1 || true
# What goes to the VIP goes nowhere, but for what a check sends on.
ip -n d link add nowhere type dummy
ip -n d link set nowhere up
ip -n d route add $vip4/32 dev nowhere
mkdir "$dir/www"
echo up >"$dir/www/up"
for p in 1 2; do
    ip -n p$p link add gre1 type gre local 192.168.50.1$((p - 1))
    ip -n p$p link set gre1 up
    ip netns exec p$p python3 -m http.server 80 --directory "$dir/www" >/dev/null 2>&1 &
done
trap 'kill $(jobs -p)' EXIT
through() { echo "{\"ip\": \"$1\", \"state\": \"active\", \"healthchecks\": {\"http\": 80, \"http_uri\": \"/up\", \"through\": true}}"; }
for forward in ipip gre; do
    device=tunl0
    [ $forward = ipip ] || device=gre1
    cat >"$dir/src.json" <<EOF
{"healthchecks": {"interval_ms": 200, "timeout_ms": 3000, "trigger": 2}, "tables": [{"name": "web",
 "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
 "select": {"kind": "maglev", "size": 1021}, "forward": {"kind": "$forward"},
 "binds": [{"ip": "$vip4", "proto": "tcp", "port": 80}],
 "backends": [$(through 192.168.50.10), $(through 192.168.50.11)]}]}
EOF
    rm -f "$dir/dst.json"
    ip netns exec d glb-healthcheck --config "$dir/conf" 2>"$dir/log" &
    daemon=$!
    published true true
    echo "$forward: p2 loses the VIP"
    ip -n p2 addr del $vip4/32 dev tunl0
    published true false
    said "through http $vip4:80/up by $forward through 192.168.50.11: fails"
    ip -n p2 addr add $vip4/32 dev tunl0
    published true true
    echo "$forward: p1 loses the tunnel device"
    ip -n p1 link set $device down
    published false true
    ip -n p1 link set $device up
    published true true
    if grep -q "can not be made" "$dir/log"; then fail "a check could not be made"; fi
    kill $daemon
    wait $daemon || true
done
echo PASSED
