#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of a packet on its way through a director, compared with alternatives that do the same or less. Runs in the guest.
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

for f in 4 6; do
    vip=vip$f
    frames "tcp$f-ack" "dst=${!vip}" flags=ack "flows=$BENCH_FLOWS"
    frames "tcp$f-syn" "dst=${!vip}" flags=syn "flows=$BENCH_FLOWS"
    frames "udp$f" "dst=${!vip}" proto=udp payload=12 "flows=$BENCH_FLOWS"
    frames "tcp$f-all" "dst=${!vip}" dsts=10000 flags=ack "flows=$BENCH_FLOWS"
    for ((number = 0; number <= BENCH_ROUNDS; number++)); do
        frames "tcp$f-new$number" "dst=${!vip}" flags=syn "flows=$BENCH_FLOWS" "seed=$((100 + number))"
    done
done
frames routed4 dst=172.16.0.1 flags=ack "flows=$BENCH_FLOWS"
gue4='ip daddr 172.16.0.0/16 udp dport 19523'
gue6='ip6 daddr fd00::ac10:0/112 udp dport 19523'

# --- set-ups: NAME_on ARGUMENT..., NAME_off -----------------------------------------------------------

ingress() { on dir nft "table netdev f { chain c { type filter hook ingress device tap0 priority 0; $1; }; }"; }
ingress_off() { on dir nft delete table netdev f; }
drop_on() { ingress drop; }
drop_off() { ingress_off; }
fwd_on() { ingress 'fwd to eth1'; }
fwd_off() { ingress_off; }
tc_on() {
    on dir tc qdisc add dev tap0 clsact
    on dir tc filter add dev tap0 ingress matchall action mirred egress redirect dev eth1
}
tc_off() { on dir tc qdisc del dev tap0 clsact; }
routed_on() { :; }
routed_off() { :; }

# ipvs_on FAMILY -t|-u BACKENDS [OPTION]: maglev scheduler, GUE tunnels.
ipvs_on() {
    local vip=$vip4 backend=172.16.0.%s number
    vips_on dir
    [ "$1" = 4 ] || vip="[$vip6]" backend="[fd00::ac10:%x]"
    {
        printf -- '-A %s %s:443 -s mh %s\n' "$2" "$vip" "${4:-}"
        for ((number = 0; number < $3; number++)); do
            # shellcheck disable=SC2059 # $backend is the format of an address.
            printf -- "-a %s %s:443 -r $backend:443 -i --tun-type gue --tun-port 19523 --tun-nocsum\n" "$2" "$vip" "$number"
        done
    } | on dir ipvsadm -R
}
# glb_on OPTION...: the options are those of `glb-packets fill`.
glb_on() {
    on dir glb-packets fill "$@" >/dev/null
    on dir glbctl attach tap0 >/dev/null
}
glb_off() { on dir glbctl detach tap0 >/dev/null; }

# --- runs --------------------------------------------------------------------------------------------

# row NAME FRAMES EXPECTED SETUP ARGUMENT...: EXPECTED names the packets that must arrive at the sink: gue4, gue6, all, or none.
# FRAMES that end in -new belong to flows that were never seen before, FRAMES that end in -old to flows that were.
one_run() { # ROUND ROW...
    local round=$1 name=$2 set=$3 expected=$4 what=$5 warm count=$BENCH_PACKETS rule=
    shift 5
    case $expected in gue4) rule=$gue4 ;; gue6) rule=$gue6 ;; esac
    "${what}_on" "$@"
    case $set in
        *-new) warm=${set}0 set=$set$round count=$BENCH_FLOWS ;;
        *-old) warm=${set%-old}-syn set=${set%-old}-ack ;;
        *) warm=$set ;;
    esac
    sink_takes eth0 "$rule"
    blast "$warm" "$BENCH_FLOWS"
    [ "$expected" = none ] || is "$name: packets that arrived as they should, and others" "$BENCH_FLOWS 0" "$(sink_took)"
    sink_takes eth0 ''
    profiled "$set"
    blast "$set" "$count"
    [ "$expected" = none ] || is "$name: packets that arrived, and others" "$count 0" "$(sink_took)"
    measured "$name" "$round" "$count"
    "${what}_off"
}

row drop-tcp4          tcp4-ack    none drop
row fwd-tcp4           tcp4-ack    all  fwd
row fwd-tcp6           tcp6-ack    all  fwd
row fwd-udp4           udp4        all  fwd
row fwd-udp6           udp6        all  fwd
row tc-tcp4            tcp4-ack    all  tc
row routed-tcp4        routed4     all  routed
row ipvs-tcp4-new      tcp4-new    gue4 ipvs 4 -t 2
row ipvs-tcp4-old      tcp4-old    gue4 ipvs 4 -t 2
row ipvs-tcp6-new      tcp6-new    gue6 ipvs 6 -t 2
row ipvs-tcp6-old      tcp6-old    gue6 ipvs 6 -t 2
row ipvs-udp4          udp4        gue4 ipvs 4 -u 2
row ipvs-udp4-one      udp4        gue4 ipvs 4 -u 2 -o
row ipvs-udp6          udp6        gue6 ipvs 6 -u 2
row ipvs-udp6-one      udp6        gue6 ipvs 6 -u 2 -o
row ipvs-tcp4-old-256  tcp4-old    gue4 ipvs 4 -t 256
row glb-tcp4-new       tcp4-new    gue4 glb --spread
row glb-tcp4-old       tcp4-old    gue4 glb --spread
row glb-tcp6-new       tcp6-new    gue6 glb --spread --ipv6
row glb-tcp6-old       tcp6-old    gue6 glb --spread --ipv6
row glb-udp4           udp4        gue4 glb --spread --udp
row glb-udp6           udp6        gue6 glb --spread --udp --ipv6
row glb-tcp4-old-256   tcp4-old    gue4 glb --spread --backends 256
row glb-tcp6-old-256   tcp6-old    gue6 glb --spread --ipv6 --backends 256
row glb-tcp4-binds     tcp4-all    gue4 glb --spread --tables 40 --binds 250
row glb-tcp6-binds     tcp6-all    gue6 glb --spread --ipv6 --tables 40 --binds 250
row glb-tcp4-hops31    tcp4-old    gue4 glb --spread --backends 256 --hops 31

# Scale: binds, tables, backends.
for n in 1 10 100 1000 10000; do
    frames "scale$n" "dst=$vip4" "dsts=$n" flags=ack "flows=$BENCH_FLOWS"
    row "glb-tcp4-b$n" "scale$n" gue4 glb --spread --tables 1 --binds "$n"
done
for n in 1 10 100; do row "glb-tcp4-t$n" "scale$n" gue4 glb --spread --tables "$n" --binds 1; done
for n in 2 16 64 256; do row "glb-tcp4-k$n" tcp4-old gue4 glb --spread --backends "$n"; done

each_round director

# --- facts --------------------------------------------------------------------------------------------

[[ facts =~ $PATTERN ]] || exit 0
say "director, facts"

# Memory of a table: the difference of the kernel's allocations between 101 tables and 1, including rows, binds and per-CPU routes.
allocated() {
    sleep 2
    awk '/^(Slab|VmallocUsed|Percpu):/ { sum += $2 } END { print sum }' /proc/meminfo
}
for backends in 2 256; do
    glb_on --tables 1 --backends "$backends"
    before=$(allocated)
    glb_off
    glb_on --tables 101 --backends "$backends"
    fact "memory of a table of two hops and $backends backends, KiB (difference between 101 tables and 1, on $(nproc) CPU)" \
        "$((($(allocated) - before) / 100))"
    glb_off
done
glb_on --spread

# Tables are replaced while packets arrive.
sink_takes eth0 "$gue4"
loads=0
printf 'send tcp4-ack 60000\n' >&"${blast_to[0]}"
while ! read -r -t 0.01 _ <&"${blast_from[0]}"; do
    on dir glb-packets fill --spread >/dev/null
    loads=$((loads + 1))
done
is "packets that arrived while tables were loaded" '60000 0' "$(sink_took)"
fact "loads of a table during 60,000 packets; packets lost or not encapsulated" "$loads; 0"
glb_off

rmmod rust_glb_director
started=$(microseconds)
modprobe rust_glb_director
on dir glb-packets fill --spread >/dev/null
on dir glbctl attach tap0 >/dev/null
fact "modprobe, load of one table, attach: million instructions, including the start of the tools" "$((($(microseconds) - started) / 1000))"
