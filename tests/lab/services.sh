# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # Variables of network.sh and lib.sh.
#
# Services of the example network, beside GLB's table: Maglev rows and a flow table each, and another way to leave. network.sh sources it.
#
#   gre     10.10.10.20 fd00:10::20   gre0 of a proxy takes the tunnel
#   ipip    10.10.10.21 fd00:10::21   tunl0 and sit0
#   l3dsr   10.10.10.22               a rule of nftables brings the VIP back, by DSCP 7
#   nat     10.10.10.23               its own address, port 8080; answers go back by the directors' second links:
#
#     user --- router --- eth0 [ director ] eth1 192.168.51.6, .7 <--- answers --- proxies
#
# SERVICES names those that the network has; none by default.

declare -Ar SERVICE_VIP4=([gre]=10.10.10.20 [ipip]=10.10.10.21 [l3dsr]=10.10.10.22 [nat]=10.10.10.23)
declare -Ar SERVICE_VIP6=([gre]=fd00:10::20 [ipip]=fd00:10::21)
# The port that the proxies' own address answers at, for the service nat.
readonly NAT_PORT=8080
declare -Ar SERVICE_FORWARD=(
    [gre]='{"kind": "gre"}' [ipip]='{"kind": "ipip"}' [l3dsr]='{"kind": "l3dsr", "dscp": 7}'
    [nat]="{\"kind\": \"nat\", \"target_port\": $NAT_PORT}"
)
declare -Ar SERVICE_SEED=(
    [gre]=20202020202020202020202020202020 [ipip]=21212121212121212121212121212121 [l3dsr]=22222222222222222222222222222222
    [nat]=23232323232323232323232323232323
)

# service_vips: the VIPs of all services.
service_vips() {
    local name
    for name in $SERVICES; do echo "${SERVICE_VIP4[$name]} ${SERVICE_VIP6[$name]:-}"; done
}

# has_service NAME
has_service() { [[ " $SERVICES " == *" $1 "* ]]; }

# services_at PROXY: it takes the packets of all services.
services_at() {
    local name=$1 service
    [ -n "$SERVICES" ] || return 0
    {
        for service in $SERVICES; do
            # What is translated comes to an address that is there.
            [ "$service" != nat ] || continue
            echo "addr add ${SERVICE_VIP4[$service]}/32 dev lo"
            [ -z "${SERVICE_VIP6[$service]:-}" ] || echo "addr add ${SERVICE_VIP6[$service]}/128 dev lo nodad"
        done
        # tunl0 and sit0 are up already, for GUE.
        ! has_service gre || echo "link set gre0 up"
        # Answers to health checks go the way that they came, whoever asked.
        ! has_service nat || printf '%s\n' "route add 192.168.50.0/24 dev eth0 table 100" \
            "rule add from 192.168.50.${NET_NUMBER[$name]} ipproto tcp sport $NAT_PORT table 100"
    } | ip_on "$name"
    ! has_service nat || answers_go_by "$name" "$DIRECTORS"
    ! has_service gre || quietly_on "$name" sysctl -qw net.ipv4.conf.gre0.rp_filter=0
    ! has_service l3dsr || on "$name" nft -f - <<END
table ip l3dsr {
    chain in {
        type filter hook prerouting priority raw;
        ip dscp 7 ip daddr 192.168.50.${NET_NUMBER[$name]} ip daddr set ${SERVICE_VIP4[l3dsr]}
    }
}
END
}

# answers_go_by PROXY DIRECTORS: what this proxy answers with the port of the service nat goes to the second links of these.
answers_go_by() {
    local director hops=''
    for director in $2; do hops+=" nexthop via 192.168.51.${NET_NUMBER[$director]} dev eth0 onlink"; done
    ip_on "$1" <<<"route replace default table 100$hops"
}

# services_back_at DIRECTOR: a second link, by which answers come in. Each link answers for its own addresses.
services_back_at() {
    local name=$1 number=${NET_NUMBER[$1]} mac
    has_service nat || return 0
    printf -v mac '02:00:00:00:51:%02x' "$number"
    ip_on root <<<"link add name $name-back mtu $LAB_MTU netns fabric type veth peer name eth1 mtu $LAB_MTU address $mac netns $name"
    ip_on fabric <<<"link set $name-back master fabric up"
    quietly_on "$name" sysctl -qw net.ipv4.conf.all.arp_ignore=1
    ip_on "$name" <<END
link set eth1 up
addr add 192.168.51.$number/24 dev eth1
END
    on "$name" glbctl attach eth1 --role return
}

# services_leave DIRECTOR, services_return DIRECTOR: answers go by the other one, or by both.
services_leave() {
    local name others=''
    has_service nat || return 0
    for name in $DIRECTORS; do [ "$name" = "$1" ] || others+=" $name"; done
    for name in $PROXIES; do answers_go_by "$name" "$others"; done
    on "$1" glbctl detach eth1
}
services_return() {
    local name
    has_service nat || return 0
    on "$1" glbctl attach eth1 --role return
    for name in $PROXIES; do answers_go_by "$name" "$DIRECTORS"; done
}

# service_tables BACKENDS: a table of each service, as text that follows the one of GLB's. All have these backends.
service_tables() {
    local service binds backends
    for service in $SERVICES; do
        backends=$1
        [ "$service" != nat ] || backends=${backends//'"http": 80'/"\"http\": $NAT_PORT"}
        binds="{\"ip\": \"${SERVICE_VIP4[$service]}\", \"proto\": \"tcp\", \"port\": 80}"
        [ -z "${SERVICE_VIP6[$service]:-}" ] ||
            binds+=", {\"ip\": \"${SERVICE_VIP6[$service]}\", \"proto\": \"tcp\", \"port\": 80}"
        cat <<END
 ,{"name": "$service", "hash_key": "12345678901234561234567890123456", "seed": "${SERVICE_SEED[$service]}",
  "select": {"kind": "maglev"}, "forward": ${SERVICE_FORWARD[$service]}, "flows": {"buckets": 16384},
  "binds": [$binds], "backends": [$backends]}
END
    done
}

# service_protocols: what BIRD announces of them.
service_protocols() {
    local service
    for service in $SERVICES; do
        printf 'protocol static %s4 {\n\tdisabled;\n\tipv4;\n\troute %s/32 blackhole;\n}\n' "$service" "${SERVICE_VIP4[$service]}"
        [ -z "${SERVICE_VIP6[$service]:-}" ] ||
            printf 'protocol static %s6 {\n\tdisabled;\n\tipv6;\n\troute %s/128 blackhole;\n}\n' "$service" "${SERVICE_VIP6[$service]}"
    done
}

# service_announcements: PROTOCOL=TABLE of each.
service_announcements() {
    local service
    for service in $SERVICES; do echo "${service}4=$service ${SERVICE_VIP6[$service]:+${service}6=$service}"; done
}
