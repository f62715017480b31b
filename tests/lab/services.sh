# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # Variables of network.sh and lib.sh.
#
# Services of the example network, beside GLB's table: Maglev rows and a flow table each, and another way to leave. network.sh sources it.
#
#   gre     10.10.10.20 fd00:10::20   gre0 of a proxy takes the tunnel
#   ipip    10.10.10.21 fd00:10::21   tunl0 and sit0
#   l3dsr   10.10.10.22               a rule of nftables brings the VIP back, by DSCP 7
#
# SERVICES names those that the network has; none by default.

declare -Ar SERVICE_VIP4=([gre]=10.10.10.20 [ipip]=10.10.10.21 [l3dsr]=10.10.10.22)
declare -Ar SERVICE_VIP6=([gre]=fd00:10::20 [ipip]=fd00:10::21)
declare -Ar SERVICE_FORWARD=([gre]='{"kind": "gre"}' [ipip]='{"kind": "ipip"}' [l3dsr]='{"kind": "l3dsr", "dscp": 7}')
declare -Ar SERVICE_SEED=(
    [gre]=20202020202020202020202020202020 [ipip]=21212121212121212121212121212121 [l3dsr]=22222222222222222222222222222222
)

# service_vips: the VIPs of all services.
service_vips() {
    local name
    for name in $SERVICES; do echo "${SERVICE_VIP4[$name]} ${SERVICE_VIP6[$name]:-}"; done
}

# services_at PROXY: it takes the packets of all services.
services_at() {
    local name=$1 service
    [ -n "$SERVICES" ] || return 0
    {
        for service in $SERVICES; do
            echo "addr add ${SERVICE_VIP4[$service]}/32 dev lo"
            [ -z "${SERVICE_VIP6[$service]:-}" ] || echo "addr add ${SERVICE_VIP6[$service]}/128 dev lo nodad"
        done
        # tunl0 and sit0 are up already, for GUE.
        [[ " $SERVICES " != *' gre '* ]] || echo "link set gre0 up"
    } | ip_on "$name"
    [[ " $SERVICES " != *' gre '* ]] || quietly_on "$name" sysctl -qw net.ipv4.conf.gre0.rp_filter=0
    [[ " $SERVICES " != *' l3dsr '* ]] || on "$name" nft -f - <<END
table ip l3dsr {
    chain in {
        type filter hook prerouting priority raw;
        ip dscp 7 ip daddr 192.168.50.${NET_NUMBER[$name]} ip daddr set ${SERVICE_VIP4[l3dsr]}
    }
}
END
}

# service_tables BACKENDS: a table of each service, as text that follows the one of GLB's. All have these backends.
service_tables() {
    local service binds
    for service in $SERVICES; do
        binds="{\"ip\": \"${SERVICE_VIP4[$service]}\", \"proto\": \"tcp\", \"port\": 80}"
        [ -z "${SERVICE_VIP6[$service]:-}" ] ||
            binds+=", {\"ip\": \"${SERVICE_VIP6[$service]}\", \"proto\": \"tcp\", \"port\": 80}"
        cat <<END
 ,{"name": "$service", "hash_key": "12345678901234561234567890123456", "seed": "${SERVICE_SEED[$service]}",
  "select": {"kind": "maglev"}, "forward": ${SERVICE_FORWARD[$service]}, "flows": {"buckets": 16384},
  "binds": [$binds], "backends": [$1]}
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
