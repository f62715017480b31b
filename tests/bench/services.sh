#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of a packet of a service: Maglev rows, each forward, with and without a flow table, beside IPVS with the same
# encapsulation. Runs in the guest.
#
#   frames -> tap0 [ dir ] eth1 ------ eth0 [ sink: counts, drops ]
#
# shellcheck source=tests/bench/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

modprobe -a tun nft_fwd_netdev ip_vs ip_vs_mh rust_glb_director

host_and_sink dir
blaster dir
settled

# --- packets -----------------------------------------------------------------------------------------

vip4=10.0.0.0 vip6=fd00::a00:0
# Each forward has flows of its own: IPVS keeps the connections of a service that is gone, and how they left.
seed=1000
for kind in gre ipip l3dsr; do
    for f in 4 6; do
        vip=vip$f set=tcp$f-$kind
        frames "$set-ack" "dst=${!vip}" flags=ack "flows=$BENCH_FLOWS" "seed=$seed"
        frames "$set-syn" "dst=${!vip}" flags=syn "flows=$BENCH_FLOWS" "seed=$seed"
        for ((number = 0; number <= BENCH_ROUNDS; number++)); do
            frames "$set-new$number" "dst=${!vip}" flags=syn "flows=$BENCH_FLOWS" "seed=$((seed + 1 + number))"
        done
    done
    seed=$((seed + 1000))
done
# What arrives at the sink, by the forward and the family.
declare -A arrives=(
    [gre4]='ip protocol gre ip daddr 172.16.0.0/24' [gre6]='ip6 nexthdr gre ip6 daddr fd00::ac10:0/120'
    [ipip4]='ip protocol 4 ip daddr 172.16.0.0/24' [ipip6]='ip6 nexthdr 41 ip6 daddr fd00::ac10:0/120'
    [l3dsr4]='ip protocol tcp ip daddr 172.16.0.0/24 ip dscp 7' [l3dsr6]='ip6 nexthdr tcp ip6 daddr fd00::ac10:0/120 ip6 dscp 7'
    [dr4]='ip daddr 10.0.0.0 tcp dport 443' [dr6]='ip6 daddr fd00::a00:0 tcp dport 443'
)

# --- set-ups: NAME_on ARGUMENT..., NAME_off -----------------------------------------------------------

fwd_on() { on dir nft "table netdev f { chain c { type filter hook ingress device tap0 priority 0; fwd to eth1; }; }"; }
fwd_off() { on dir nft delete table netdev f; }

# backends FAMILY: the addresses of 16 backends.
backends() {
    local number
    # shellcheck disable=SC2059 # The argument is the format of an address.
    for number in {1..16}; do printf "$([ "$1" = 4 ] && echo '172.16.0.%s' || echo 'fd00::ac10:%x')\n" "$number"; done
}

# ipvs_on FAMILY OPTION...: Maglev scheduler; the options are those of a server.
ipvs_on() {
    local family=$1 vip=$vip4 backend
    shift
    ip -n dir addr add "$vip4/32" dev lo
    ip -n dir addr add "$vip6/128" dev lo nodad
    [ "$family" = 4 ] || vip="[$vip6]"
    {
        printf -- '-A -t %s:443 -s mh\n' "$vip"
        for backend in $(backends "$family"); do
            [ "$family" = 4 ] || backend="[$backend]"
            printf -- '-a -t %s:443 -r %s:443 %s\n' "$vip" "$backend" "$*"
        done
    } | on dir ipvsadm -R
}
ipvs_off() {
    on dir ipvsadm -C
    ip -n dir addr del "$vip4/32" dev lo
    ip -n dir addr del "$vip6/128" dev lo
}

# service_on FAMILY FORWARD FLOWS: both are words of a table file. A flow table is a new one each time.
service_on() {
    local vip=$vip4
    [ "$1" = 4 ] || vip=$vip6
    jq -n --arg vip "$vip" --argjson forward "$2" --argjson flows "$3" --arg backends "$(backends "$1")" '{tables: [{
        name: "web", hash_key: "12345678901234561234567890123456", seed: "49a3d861d661ae5ab06ed9326871a2f5",
        select: {kind: "maglev"}, forward: $forward, binds: [{ip: $vip, proto: "tcp", port: 443}],
        backends: [$backends | splits("\n") | {ip: ., state: "active", healthy: true}], flows: $flows}]}' >/tmp/service.json
    on dir glbctl table load /tmp/service.json >/dev/null
    on dir glbctl attach tap0 >/dev/null
}
service_off() {
    on dir glbctl detach tap0 >/dev/null
    # The next row begins with an empty flow table.
    echo '{"tables": []}' >/tmp/service.json
    on dir glbctl table load /tmp/service.json >/dev/null
}

# --- runs --------------------------------------------------------------------------------------------

# row NAME FRAMES KIND SETUP ARGUMENT...: KIND names what arrives at the sink, or is `all`. Frames that end in -new belong to
# flows that were never seen before, those that end in -old to flows that were.
one_run() { # ROUND ROW...
    local round=$1 name=$2 set=$3 kind=$4 what=$5 warm count=$BENCH_PACKETS
    shift 5
    "${what}_on" "$@"
    case $set in
        *-new) warm=${set}0 set=$set$round count=$BENCH_FLOWS ;;
        *) warm=${set%-old}-syn set=${set%-old}-ack ;;
    esac
    sink_takes eth0 "${arrives[$kind]:-}"
    blast "$warm" "$BENCH_FLOWS"
    is "$name: packets that arrived as they should, and others" "$BENCH_FLOWS 0" "$(sink_took)"
    sink_takes eth0 ''
    profiled "$set"
    blast "$set" "$count"
    is "$name: packets that arrived, and others" "$count 0" "$(sink_took)"
    measured "$name" "$round" "$count"
    "${what}_off"
}

flows='{"buckets":16384}'
for f in 4 6; do
    row "services-fwd-tcp$f" "tcp$f-gre-old" all fwd
    for age in new old; do
        row "ipvs-gre$f-$age" "tcp$f-gre-$age" "gre$f" ipvs $f -i --tun-type gre
        row "ipvs-ipip$f-$age" "tcp$f-ipip-$age" "ipip$f" ipvs $f -i
        row "ipvs-l3dsr$f-$age" "tcp$f-l3dsr-$age" "dr$f" ipvs $f -g
        for kind in gre ipip l3dsr; do
            forward="{\"kind\":\"$kind\"$([ $kind != l3dsr ] || echo ',"dscp":7')}"
            row "service-$kind$f-$age" "tcp$f-$kind-$age" "$kind$f" service $f "$forward" "$flows"
            row "service-$kind$f-$age-stateless" "tcp$f-$kind-$age" "$kind$f" service $f "$forward" false
        done
    done
done

each_round services
