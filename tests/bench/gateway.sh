#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of a packet of a gateway load balancer: out of its header, back in it, and both, beside the kernel's own geneve device in
# external mode. Runs in the guest.
#
#   frames -> tap0 [ app ] eth1 ------ eth0 [ sink: counts, drops ]
#
# Packets that are only taken out end at an ingress hook behind: that of tap0, where they are still there, or that of the geneve
# device. The floor is the packet inside, which ends at tap0's.
#
# shellcheck source=tests/bench/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

modprobe -a tun geneve rust_glb_director

# shellcheck disable=SC2034 # Used by name.
server4=192.0.2.1 server6=2001:db8::1 client4=198.51.100.7 client6=2001:db8:1::7
# shellcheck disable=SC2034
ends4=10.8.0.2,10.8.0.1 ends6=fd08::2,fd08::1
options=0x0108:1:2b8ee1d4db0c51c4,0x0108:2:0000000000000000,0x0108:3:deadbeef

host_and_sink app
ip -n app -batch - <<END
addr add $server4/32 dev lo
addr add $client4/32 dev lo
addr add $server6/128 dev lo nodad
addr add $client6/128 dev lo nodad
END
# One end has a client's address.
established app server client
blaster app
for device in all tap0 eth1; do
    on app sysctl -qw "net.ipv4.conf.$device.rp_filter=0" "net.ipv4.conf.$device.send_redirects=0"
done
settled

# --- packets -----------------------------------------------------------------------------------------

# Inside alone, and in the header; of flows that a socket listens for, of an established connection, and to machines behind.
# shellcheck disable=SC2034
behind4=192.0.3.1 behind6=2001:db8:3::1
for f in 4 6; do
    server=server$f client=client$f behind=behind$f ends=ends$f
    for outer in '' "geneve=${!ends}"; do
        set=${outer:+geneve-}
        # shellcheck disable=SC2086 # One word or none.
        frames "${set}listener$f" "dst=${!server}" flags=ack "flows=$BENCH_FLOWS" $outer
        # shellcheck disable=SC2086
        frames "${set}established$f" "dst=${!server}" flags=ack flows=1 "src=${!client}" sport=40000 $outer
        # shellcheck disable=SC2086
        frames "${set}behind$f" "dst=${!behind}" flags=ack "flows=$BENCH_FLOWS" $outer
    done
done

# --- set-ups: NAME_on FAMILY, NAME_off ---------------------------------------------------------------

# ends_at DEVICE: packets for the servers are counted and dropped at its ingress hook, behind the role's.
ends_at() {
    on app nft -f - <<END
add table netdev end
add counter netdev end taken
add counter netdev end odd
add chain netdev end c { type filter hook ingress device "$1" priority 10; }
add rule netdev end c ip daddr $server4 counter name taken drop
add rule netdev end c ip6 daddr $server6 counter name taken drop
add rule netdev end c counter name odd drop
END
}
ended() { on app nft -j list counters table netdev end | jq -r '[.nftables[].counter | select(.) | {(.name): .packets}] | add | "\(.taken) \(.odd)"'; }
end_off() { on app nft delete table netdev end; }

device_on() {
    ip -n app link add gnv0 type geneve external innerprotoinherit
    ip -n app link set gnv0 up
    on app sysctl -qw net.ipv4.conf.gnv0.rp_filter=0 net.ipv4.conf.gnv0.send_redirects=0
    ip -n app route add "$behind4/32" encap ip id 0 dst 10.8.0.2 geneve_opts "$options" dev gnv0
    ip -n app route add "$behind6/128" encap ip6 id 0 dst fd08::2 geneve_opts "$options" dev gnv0
}
device_off() { ip -n app link del gnv0; }
role() { on app glbctl attach "$1" --role geneve "${@:2}" >/dev/null; }
no_role() { on app glbctl detach "$1" >/dev/null; }

plain-in_on() { ends_at tap0; }
plain-in_off() { end_off; }
role-in_on() { ends_at tap0 && role tap0; }
role-in_off() { no_role tap0 && end_off; }
device-in_on() { device_on && ends_at gnv0; }
device-in_off() { end_off && device_off; }
plain-out_on() { :; }
plain-out_off() { :; }
# The headers of the flows are remembered from packets that come in at the other device.
role-out_on() {
    role tap0 --pass
    role eth1 --pass
    blast "geneve-behind$1" "$BENCH_FLOWS"
    no_role tap0
}
role-out_off() { no_role eth1; }
device-out_on() { device_on; }
device-out_off() { device_off; }
role-both_on() { role tap0 --pass && role eth1 --pass; }
role-both_off() { no_role eth1 && no_role tap0; }
device-both_on() { device_on; }
device-both_off() { device_off; }

# --- runs --------------------------------------------------------------------------------------------

# row NAME FRAMES SETUP FAMILY: all frames are seen where they end, before the run and in it.
one_run() { # ROUND ROW...
    local round=$1 name=$2 set=$3 what=$4 family=$5 rule=''
    "${what}_on" "$family"
    case $what in
        plain-out | *-in) ;;
        *) rule='udp dport 6081' ;;
    esac
    sink_takes eth0 "$rule"
    blast "$set" "$BENCH_FLOWS"
    arrived "$name" "$what" "$BENCH_FLOWS 0"
    sink_takes eth0 ''
    profiled "$set"
    blast "$set" "$BENCH_PACKETS"
    case $what in
        *-in) arrived "$name" "$what" "$((BENCH_FLOWS + BENCH_PACKETS)) 0" ;;
        *) arrived "$name" "$what" "$BENCH_PACKETS 0" ;;
    esac
    measured "$name" "$round" "$BENCH_PACKETS"
    "${what}_off"
}

# arrived NAME SETUP COUNTS
arrived() {
    local there
    case $2 in
        *-in) there=$(ended) ;;
        *) there=$(sink_took) ;;
    esac
    is "$1: packets that ended as they should, and others" "$3" "$there"
}

for f in 4 6; do
    for kind in listener established; do
        row "gateway-plain-$kind$f" "$kind$f" plain-in $f
        row "gateway-role-$kind$f" "geneve-$kind$f" role-in $f
        row "gateway-device-$kind$f" "geneve-$kind$f" device-in $f
    done
    row "gateway-plain-out$f" "behind$f" plain-out $f
    row "gateway-role-out$f" "behind$f" role-out $f
    row "gateway-device-out$f" "behind$f" device-out $f
    row "gateway-role-both$f" "geneve-behind$f" role-both $f
    row "gateway-device-both$f" "geneve-behind$f" device-both $f
done

each_round gateway
