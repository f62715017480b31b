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

# Each forward has flows of its own: IPVS keeps the connections of a service that is gone, and how they left.
seed=1000
for kind in gre ipip l3dsr nat back; do
    for f in 4 6; do
        vip=vip$f set=tcp$f-$kind
        frames "$set-ack" "dst=${!vip}" flags=ack "flows=$BENCH_FLOWS" "seed=$seed"
        frames "$set-syn" "dst=${!vip}" flags=syn "flows=$BENCH_FLOWS" "seed=$seed"
        for ((number = 0; number <= BENCH_ROUNDS; number++)); do
            frames "$set-new$number" "dst=${!vip}" flags=syn "flows=$BENCH_FLOWS" "seed=$((seed + 1 + number))"
        done
    done
    seed=$((seed + 1100))
done
# The answers of the only backend to the flows of `back`.
frames tcp4-answers "dst=$vip4" flags=ack "flows=$BENCH_FLOWS" "seed=$((seed - 1100))" backend=172.16.0.1,8080
frames tcp6-answers "dst=$vip6" flags=ack "flows=$BENCH_FLOWS" "seed=$((seed - 1100))" backend=fd00::ac10:1,8080
# What arrives at the sink, by the forward and the family.
declare -A arrives=(
    [gre4]='ip protocol gre ip daddr 172.16.0.0/24' [gre6]='ip6 nexthdr gre ip6 daddr fd00::ac10:0/120'
    [ipip4]='ip protocol 4 ip daddr 172.16.0.0/24' [ipip6]='ip6 nexthdr 41 ip6 daddr fd00::ac10:0/120'
    [l3dsr4]='ip protocol tcp ip daddr 172.16.0.0/24 ip dscp 7' [l3dsr6]='ip6 nexthdr tcp ip6 daddr fd00::ac10:0/120 ip6 dscp 7'
    [nat4]='ip daddr 172.16.0.0/24 tcp dport 8080' [nat6]='ip6 daddr fd00::ac10:0/120 tcp dport 8080'
    [back4]='ip saddr 10.0.0.0 tcp sport 443' [back6]='ip6 saddr fd00::a00:0 tcp sport 443'
    [dr4]='ip daddr 10.0.0.0 tcp dport 443' [dr6]='ip6 daddr fd00::a00:0 tcp dport 443'
)

# --- set-ups: NAME_on ARGUMENT..., NAME_off -----------------------------------------------------------

fwd_on() { on dir nft "table netdev f { chain c { type filter hook ingress device tap0 priority 0; fwd to eth1; }; }"; }
fwd_off() { on dir nft delete table netdev f; }

# backends FAMILY: the addresses of $num_backends backends.
num_backends=16
backends() {
    local number
    # shellcheck disable=SC2059 # The argument is the format of an address.
    for ((number = 1; number <= num_backends; number++)); do printf "$([ "$1" = 4 ] && echo '172.16.0.%s' || echo 'fd00::ac10:%x')\n" "$number"; done
}

# ipvs_on FAMILY PORT OPTION...: Maglev scheduler; port and options are those of a server.
ipvs_on() {
    local family=$1 port=$2 vip=$vip4 backend
    shift 2
    vips_on dir
    [ "$family" = 4 ] || vip="[$vip6]"
    {
        printf -- '-A -t %s:443 -s mh\n' "$vip"
        for backend in $(backends "$family"); do
            [ "$family" = 4 ] || backend="[$backend]"
            printf -- '-a -t %s:443 -r %s:%s %s\n' "$vip" "$backend" "$port" "$*"
        done
    } | on dir ipvsadm -R
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

# The way back: one backend, which has all flows, so that it is known whose answers come. IPVS knows the flows that have come
# before; the director needs to know none.
ipvsback_on() {
    num_backends=1
    ipvs_on "$1" 8080 -m
    blast "tcp$1-back-syn" "$BENCH_FLOWS"
}
ipvsback_off() {
    ipvs_off
    num_backends=16
}
serviceback_on() {
    num_backends=1
    service_on "$1" '{"kind":"nat","target_port":8080}' "$2"
    on dir glbctl detach tap0 >/dev/null
    on dir glbctl attach tap0 --role return >/dev/null
}
serviceback_off() {
    service_off
    num_backends=16
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
        *-answers) warm=$set ;;
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
        row "ipvs-gre$f-$age" "tcp$f-gre-$age" "gre$f" ipvs $f 443 -i --tun-type gre
        row "ipvs-ipip$f-$age" "tcp$f-ipip-$age" "ipip$f" ipvs $f 443 -i
        row "ipvs-l3dsr$f-$age" "tcp$f-l3dsr-$age" "dr$f" ipvs $f 443 -g
        row "ipvs-nat$f-$age" "tcp$f-nat-$age" "nat$f" ipvs $f 8080 -m
        for kind in gre ipip l3dsr nat; do
            case $kind in l3dsr) more=',"dscp":7' ;; nat) more=',"target_port":8080' ;; *) more='' ;; esac
            forward="{\"kind\":\"$kind\"$more}"
            row "service-$kind$f-$age" "tcp$f-$kind-$age" "$kind$f" service $f "$forward" "$flows"
            row "service-$kind$f-$age-stateless" "tcp$f-$kind-$age" "$kind$f" service $f "$forward" false
        done
    done
    row "ipvs-back$f-old" "tcp$f-answers" "back$f" ipvsback $f
    row "service-back$f-old" "tcp$f-answers" "back$f" serviceback $f "$flows"
    row "service-back$f-old-stateless" "tcp$f-answers" "back$f" serviceback $f false
done

each_round services
