#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of a tunnel packet at a proxy: INPUT with no rule, with a trivial target, with GLBREDIRECT. Runs in the guest.
#
#   frames -> tap0 [ proxy: INPUT rule, then DROP ] eth1 ------ eth0 [ sink: counts and drops packets that were passed on ]
#                                                   out0: counts and drops them at once (dummy)
#
# shellcheck source=tests/bench/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

modprobe -a tun dummy fou fou6 ipip sit ip6_tunnel rust_glb_redirect

vip4=1.1.1.1 vip6=fd91:79d3:d621::1 client4=10.3.0.1 client6=fd03::1

host_and_sink proxy
ip -n proxy -batch - <<END
link add out0 type dummy
link set out0 mtu 2000 up
route add 172.18.0.0/16 dev out0
route add fd18::/64 dev out0
neigh add 172.18.0.1 lladdr 02:00:00:00:00:52 dev out0
neigh add fd18::1 lladdr 02:00:00:00:00:52 dev out0
fou add port 19523 gue
link set tunl0 up
addr add $vip4/32 dev tunl0
link set sit0 up
addr add $vip6/128 dev sit0 nodad
link change ip6tnl0 type ip6tnl mode any
link set ip6tnl0 up
addr add $client4/32 dev lo
addr add $client6/128 dev lo nodad
END
on proxy ip -6 fou add port 19523 gue

# One end has a client's address.
established proxy vip client
blaster proxy
settled

# --- packets -----------------------------------------------------------------------------------------

# shellcheck disable=SC2034 # Used by name.
outer4=10.9.0.9,10.8.0.1,172.17.0.1 outer6=fd09::9,fd08::1,fd17::1
# shellcheck disable=SC2034 # Used by name.
out4=10.9.0.9,10.8.0.1,172.18.0.1 out6=fd09::9,fd08::1,fd18::1
for f in 4 6; do
    vip=vip$f client=client$f outer=outer$f out=out$f
    frames "syn$f" "dst=${!vip}" flags=syn "flows=$BENCH_FLOWS" "outer=${!outer}"
    frames "unknown$f" "dst=${!vip}" flags=ack "flows=$BENCH_FLOWS" "outer=${!outer}"
    frames "established$f" "dst=${!vip}" flags=ack flows=1 "src=${!client}" sport=40000 "outer=${!outer}"
    frames "out$f" "dst=${!vip}" flags=ack "flows=$BENCH_FLOWS" "outer=${!out}"
    # No tunnel: the next hop's own traffic, for the routed rows.
    frames "routed$f" "dst=$(cut -d , -f 3 <<<"${!outer}")" flags=ack "flows=$BENCH_FLOWS"
done

# --- set-ups -----------------------------------------------------------------------------------------

# rules TOOL [TARGET...]: a rule with the target, if one is given, followed by a DROP rule.
rules() {
    local tool=$1
    shift
    on proxy "$tool" -F INPUT
    [ $# = 0 ] || on proxy "$tool" -A INPUT -p udp -m udp --dport 19523 -j "$@"
    on proxy "$tool" -A INPUT -p udp -m udp --dport 19523 -j DROP
}
dropped() { on proxy "$1" -nvxL INPUT | awk '$3 == "DROP" { print $1 }'; }
# went_out: packets that left by out0, which has no far end to count them.
went_out() { on proxy cat /sys/class/net/out0/statistics/tx_packets; }
counter() { on proxy sed -n "s/^$1: //p" /proc/net/glb_redirect; }

# routed ROUND NAME FRAMES: no rule and no tunnel, only routing: the cost of the path to the far end by itself.
routed() {
    blast "$3" "$BENCH_FLOWS"
    sink_takes eth0 ''
    blast "$3" "$BENCH_PACKETS"
    is "$2: packets at the next hop" "$BENCH_PACKETS 0" "$(sink_took)"
    measured "$2" "$1" "$BENCH_PACKETS"
}

# row NAME FRAMES TOOL COUNTER [TARGET...]: COUNTER is the counter of GLBREDIRECT that counts all FRAMES, or `-`. The TOOL
# `routed` stands for no rules.
one_run() { # ROUND ROW...
    local round=$1 name=$2 set=$3 tool=$4 counter=$5 before=0 expected=$BENCH_PACKETS out
    shift 5
    [ "$tool" != routed ] || { routed "$round" "$name" "$set"; return; }
    rules "$tool" "$@"
    blast "$set" "$BENCH_FLOWS"
    rules "$tool" "$@"
    [ "$counter" = - ] || before=$(counter "$counter")
    sink_takes eth0 ''
    out=$(went_out)
    profiled "$set"
    blast "$set" "$BENCH_PACKETS"
    if [ "$counter" != - ]; then
        is "$name: $counter" "$BENCH_PACKETS" "$(($(counter "$counter") - before))"
    fi
    if [ "$counter" = forwarded_to_alternate_packets ]; then
        case $set in
            out*) is "$name: packets that left" "$BENCH_PACKETS" $(($(went_out) - out)) ;;
            *) is "$name: packets at the next hop" "$BENCH_PACKETS 0" "$(sink_took)" ;;
        esac
        expected=0
    fi
    is "$name: packets that the last rule dropped" "$expected" "$(dropped "$tool")"
    measured "$name" "$round" "$BENCH_PACKETS"
    on proxy "$tool" -F INPUT
}

for f in 4 6; do
    tool=iptables
    [ "$f" = 4 ] || tool=ip6tables
    row "input$f-none"          "syn$f"         $tool -
    row "input$f-trivial"       "syn$f"         $tool - MARK --set-mark 1
    row "input$f-syn"           "syn$f"         $tool accepted_syn_packets GLBREDIRECT
    row "input$f-established"   "established$f" $tool accepted_established_packets GLBREDIRECT
    row "input$f-routed"        "routed$f"      routed -
    row "input$f-forwarded"     "unknown$f"     $tool forwarded_to_alternate_packets GLBREDIRECT
    row "input$f-out"           "out$f"         $tool forwarded_to_alternate_packets GLBREDIRECT
    row "input$f-forwarded-allow" "unknown$f"   $tool forwarded_to_alternate_packets GLBREDIRECT --allow-hops \
        "$([ "$f" = 4 ] && echo 172.17.0.0/16 || echo fd17::/64)"
    row "input$f-syn-listener"  "syn$f"         $tool accepted_syn_packets GLBREDIRECT --syn-listener
    row "input$f-established-options" "established$f" $tool accepted_established_packets GLBREDIRECT --syn-listener --udp
    row "input$f-out-netns"     "out$f"         $tool forwarded_to_alternate_packets GLBREDIRECT --netns sink
done
each_round redirect

# These rows come last: once iptables-legacy has created its table, every packet passes its hooks.
rows=()
row input4-none-legacy        syn4         iptables-legacy -
row input4-trivial-legacy     syn4         iptables-legacy - MARK --set-mark 1
row input4-syn-legacy         syn4         iptables-legacy accepted_syn_packets GLBREDIRECT
row input4-established-legacy established4 iptables-legacy accepted_established_packets GLBREDIRECT
row input4-forwarded-legacy   unknown4     iptables-legacy forwarded_to_alternate_packets GLBREDIRECT
row input4-out-legacy         out4         iptables-legacy forwarded_to_alternate_packets GLBREDIRECT

each_round "redirect, iptables-legacy"
