#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo-gateway: an appliance behind a gateway load balancer, in both of its modes. In the guest:
#
#   tests/demo/gateway.sh [--table FILE]
#
#   --table FILE     write the table of the results there, and do not print it (tests/demo/run-gateway)
#
# The kernel's own geneve device, in external mode, plays the load balancer. What crosses the wire is in /out/gateway.pcap. The
# status is 0 only if every line of the table is as expected.
# shellcheck disable=SC2317 # Functions are called by name, through `quiet` and the trap.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/lib.sh"
# shellcheck source=tests/lab/nginx.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/nginx.sh"
# shellcheck source=tests/demo/tell.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/tell.sh"

table=
if [ "${1:-}" = --table ]; then table=${2:?--table needs a file}; fi

# Both VPCs have these addresses.
readonly CLIENT=198.51.100.7 SERVER=10.10.10.11
# The service of the mode terminate is on the appliance itself.
readonly SERVICE=10.10.10.10 APPLIANCE=192.168.50.20 BALANCER=192.168.41.1
readonly ENDPOINTS=('' 2b8ee1d4db0c51c4 0102030405060708) COOKIES=('' deadbeef 0badcafe)
readonly HOSTS="client1 server1 client2 server2 balancer appliance"
# The longest packet that a gateway load balancer takes.
readonly MTU=8500
mkdir -p /out

# --- the network ------------------------------------------------------------------------------------

# cable HOST PORT MTU: HOST's eth0 and a port of the balancer are joined.
cable() {
    printf 'link add %s mtu %s netns balancer type veth peer name eth0 mtu %s netns %s\n' "$2" "$3" "$3" "$1"
}

# vpc NUMBER: the balancer's half of an endpoint: what comes from the VPC leaves with the endpoint's options, and what comes back
# with them goes to this VPC.
vpc() {
    local options="0108:01:${ENDPOINTS[$1]},0108:02:0000000000000000,0108:03:${COOKIES[$1]}"
    ip_on balancer <<END
link set c$1 up
link set s$1 up
rule add iif c$1 lookup 10$1
rule add iif s$1 lookup 10$1
route add default table 10$1 encap ip id 0 src $BALANCER dst $APPLIANCE geneve_opts ${options//0108:/0x0108:} dev gnv0
rule add iif gnv0 fwmark $1 lookup 20$1
route add $CLIENT table 20$1 dev c$1
route add $SERVER table 20$1 dev s$1
END
    on balancer tc filter add dev gnv0 ingress protocol all flower geneve_opts "$options" action skbedit mark "$1"
    ip_on "client$1" <<<"addr add $CLIENT/32 dev eth0
route add default via $BALANCER dev eth0 onlink src $CLIENT"
    ip_on "server$1" <<<"addr add $SERVER/32 dev eth0
route add default via $BALANCER dev eth0 onlink src $SERVER"
}

network() {
    local name
    modprobe -a rust_glb_director geneve cls_flower act_skbedit sch_ingress
    for name in $HOSTS; do printf 'netns add %s\n' "$name"; done | ip_on root || return
    {
        cable client1 c1 "$MTU"
        cable server1 s1 "$MTU"
        cable client2 c2 "$MTU"
        cable server2 s2 "$MTU"
        cable appliance eth0 9001
    } | ip_on root || return
    for name in $HOSTS; do
        ip_on "$name" <<<$'link set lo up\nlink set eth0 up'
        on "$name" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    done
    ip_on balancer <<END
addr add $BALANCER/32 dev eth0
route add $APPLIANCE dev eth0
link add gnv0 type geneve external innerprotoinherit
link set gnv0 mtu $MTU up
END
    on balancer sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.gnv0.rp_filter=0
    on balancer tc qdisc add dev gnv0 ingress
    vpc 1
    vpc 2
    for name in c1 s1 c2 s2; do on balancer sysctl -qw "net.ipv4.conf.$name.rp_filter=0"; done
    ip_on appliance <<END
addr add $APPLIANCE/32 dev eth0
addr add $SERVICE/32 dev lo
route add default via $BALANCER dev eth0 onlink src $APPLIANCE
END
    # shellcheck disable=SC2016 # nginx's variables.
    web appliance 'location / { return 200 "nginx on the appliance, to $remote_addr:$remote_port\n"; }'
    web server1 'listen 8080; location / { return 200 "the server of VPC 1\n"; }'
    web server2 'listen 8080; location / { return 200 "the server of VPC 2\n"; }'
    ip netns exec appliance tcpdump -i eth0 -U -Z root -w /out/gateway.pcap udp port 6081 >"$lab_work/tcpdump" 2>&1 &
    tcpdump=$!
    eventually grep -q 'listening on' "$lab_work/tcpdump" || return
    [ ! -s "$lab_work/failures" ]
}

# web HOST LINES: nginx with these lines.
web() {
    nginx_conf "$1" "$lab_work/nginx-$1" <<<"        $2" >"$lab_work/nginx-$1.conf"
    spawn "$1" nginx -e stderr -c "$lab_work/nginx-$1.conf" -p "$lab_work"
    eventually listens "$1"
}
listens() { [ -n "$(quietly_on "$1" ss -Hltn "sport = 80")" ]; }

# The namespaces go, and with them the director's state of the appliance.
end() {
    local name
    # shellcheck disable=SC2046 # Numbers.
    kill $(jobs -p) 2>/dev/null
    for name in $HOSTS; do ip netns del "$name" 2>/dev/null; done
    rm -rf "$lab_work"
}

# --- what is shown ------------------------------------------------------------------------------------

# shows HOST COMMAND...: the command as it is typed, and what it says.
shows() {
    local status=0
    printf '    %s%s# %s%s\n' "$dim" "$1" "${*:2}" "$plain"
    said=$(quietly_on "$@" 2>&1) || status=$?
    [ -z "$said" ] || printf '%s\n' "$said" | cut -c 1-150 | sed 's/^/        /'
    return $status
}
# steps HOST COMMAND...: the same, which must succeed.
steps() { shows "$@" || give_up "on $1: ${*:2}"; }

rows=() wrong=()
# row WHAT EXPECTED THERE: a line of the table.
row() {
    local verdict=ok
    if [ "$2" != "$3" ]; then
        verdict=WRONG
        wrong+=("$1: expected $2, there is $3")
    fi
    rows+=("$(printf '%-62s  %-22s  %-22s  %s' "$1" "$2" "$3" "$verdict")")
}
print_table() {
    printf '%-62s  %-22s  %s\n' "" expected there
    printf '%s\n' "${rows[@]}"
}

# of FILTER: of `glbctl geneve stats`.
of() { quietly_on appliance glbctl --json geneve stats | jq -r "$1"; }
dropped() { of "[.came, .left | to_entries[] | select(.key | startswith(\"dropped_\")) | .value] | add"; }
sums() { of '[.came, .left | (.total_packets == (to_entries | map(select(.key != "total_packets").value) | add))] | all'; }
verdicts() {
    printf '    %sappliance# glbctl geneve stats          (those above 0)%s\n' "$dim" "$plain"
    quietly_on appliance glbctl geneve stats | grep -vE ' 0$' | sed 's/^/        /'
}
# both_ways NUMBER: whether packets of this endpoint came and left.
both_ways() {
    quietly_on appliance glbctl --json geneve endpoints |
        jq -r --arg id "0x${ENDPOINTS[$1]}" '.[] | select(.endpoint == $id) | .came_packets > 0 and .left_packets > 0'
}
# nft_packets COUNTER
nft_packets() { quietly_on appliance nft -j list counter inet firewall "$1" | jq '.nftables[] | .counter? | select(.) | .packets'; }
at_least() { if [ "${2:-0}" -ge "$1" ]; then echo "$1 or more"; else echo "${2:-none}"; fi; }

# --- the story ------------------------------------------------------------------------------------

# lib.sh uses these as the names of checks.
lab_file=demo lab_test=gateway
trap end EXIT
trap 'exit 130' INT TERM

title "An appliance behind a gateway load balancer: packets come in Geneve, and go back in the same header"
cat <<END
    VPC 1   client1 $CLIENT --+-- endpoint 1 --+
            server1 $SERVER  --+                |
                                                   +-- balancer ====Geneve==== appliance
    VPC 2   client2 $CLIENT --+-- endpoint 2 --+   $BALANCER           $APPLIANCE
            server2 $SERVER  --+                    geneve device          eth0: role geneve

END
tell "Six hosts (network namespaces) on a stock kernel, $(uname -r). Both VPCs have the same addresses. The balancer" \
    "is the kernel's own geneve device in external mode. It puts three options of class 0x0108 in front of each packet:" \
    "the endpoint, the attachment and the flow cookie."
quiet network || give_up "the hosts could not be set up"

title "1. Terminate: the appliance itself answers. Its nginx has the service's address $SERVICE."
steps appliance glbctl attach eth0 --role geneve --allow-from 192.168.40.0/24,192.168.41.0/24
tell ""
for vpc in 1 2; do
    shows "client$vpc" curl -sS --max-time 60 --local-port "4100$vpc" "http://$SERVICE/" || true
    row "terminate: nginx answers client$vpc" "to $CLIENT:4100$vpc" "${said##*, }"
done
shows client1 ping -q -c 3 -i 0.2 -W 30 -M "do" -s $((MTU - 28)) "$SERVICE" || true
row "terminate: pings of $MTU bytes" "3 received" "$(grep -o '[0-9]* received' <<<"$said")"
tell "" "    The flows whose headers are remembered, and the endpoints:" ""
shows appliance glbctl geneve flows
for vpc in 1 2; do
    row "endpoint $vpc has the flow of client$vpc" "$CLIENT:4100$vpc" \
        "$(sed -n "s/^0x${ENDPOINTS[$vpc]}  protocol 6 \([^ ]*\) .*/\1/p" <<<"$said")"
done
shows appliance glbctl geneve endpoints
for vpc in 1 2; do row "endpoint $vpc: packets came and left" true "$(both_ways $vpc)"; done
verdicts
row "terminate: packets dropped" 0 "$(dropped)"

title "2. Bump in the wire: the appliance routes what comes, and nftables decides what may pass."
cat >"$lab_work/rules" <<'END'
table inet firewall {
    counter web { }
    counter blocked { }
    chain forward {
        type filter hook forward priority 0
        tcp dport 8080 counter name blocked drop
        tcp dport 80 counter name web
    }
}
END
sed 's/^/    /' "$lab_work/rules"
tell ""
quiet on appliance nft -f "$lab_work/rules" || give_up "nft refuses the rules"
steps appliance sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
steps appliance glbctl detach eth0
steps appliance glbctl attach eth0 --role geneve --pass --allow-from 192.168.40.0/24,192.168.41.0/24
tell ""
before=$(dropped)
for vpc in 1 2; do
    shows "client$vpc" curl -sS --max-time 60 --local-port "4200$vpc" "http://$SERVER/" || true
    row "bump in the wire: client$vpc is answered" "the server of VPC $vpc" "$said"
done
shows client1 ping -q -c 3 -i 0.2 -W 30 "$SERVER" || true
row "bump in the wire: pings" "3 received" "$(grep -o '[0-9]* received' <<<"$said")"
status=0
shows client1 curl -sS --connect-timeout 3 "http://$SERVER:8080/" || status=$?
row "bump in the wire: port 8080 is blocked (curl's status)" 28 "$status"
shows appliance nft list counters table inet firewall
row "nftables: packets blocked" "1 or more" "$(at_least 1 "$(nft_packets blocked)")"
row "nftables: packets of the web" "8 or more" "$(at_least 8 "$(nft_packets web)")"
shows appliance glbctl geneve flows
shows appliance glbctl geneve endpoints
for vpc in 1 2; do row "endpoint $vpc: packets came and left" true "$(both_ways $vpc)"; done
verdicts
row "bump in the wire: packets dropped by the role" 0 "$(($(dropped) - before))"
row "packets are the sum of their verdicts" true "$(sums)"

# What was captured is written before tcpdump ends.
kill -INT "$tcpdump"
wait "$tcpdump" 2>/dev/null
if [ -n "$table" ]; then
    print_table >"$table"
else
    title "Results"
    print_table
fi
[ ${#wrong[@]} = 0 ] || give_up "$(printf '%s; ' "${wrong[@]}")"
done_with "$green" "OK: ${#rows[@]} results are as expected; the packets are in gateway.pcap" 0
