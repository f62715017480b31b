# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # Shares its variables with the parts that source it.
#
# Functions shared by the parts of the benchmark that run in the guest.
#
# A result is the time that a host takes for many packets, by the guest's clock. Under `tests/vm/run --icount`, that clock
# advances by one nanosecond per instruction, so the time is a number of instructions. Each run is one line of /out/raw.tsv:
#
#   ROW  ROUND  PACKETS  NANOSECONDS
#
# If not all packets of a run arrive as expected, the run is not written and the benchmark ends.

set -eu

BENCH_ROUNDS=${BENCH_ROUNDS:-5}
BENCH_PACKETS=${BENCH_PACKETS:-8192}
BENCH_FLOWS=4096
PATTERN=${1:-.}
mkdir -p /out

say() { printf '[%s s] %s\n' "$(cut -d ' ' -f 1 /proc/uptime)" "$*"; }
fail() {
    printf 'bench: %s\n' "$*" >&2
    exit 1
}
on() { ip netns exec "$@"; }

# File descriptors to write to and read from the frame senders, by processor.
declare -a blast_to=() blast_from=()
# blaster HOST [CPU]: start a frame sender on that host and processor (default 0); it owns the device tapCPU.
blaster() {
    local cpu=${2:-0} pipes write read line
    pipes=$(mktemp -d)
    mkfifo "$pipes/to" "$pipes/from"
    taskset -c "$cpu" ip netns exec "$1" glb-packets blast --tap "tap$cpu" <"$pipes/to" >"$pipes/from" &
    exec {write}>"$pipes/to" {read}<"$pipes/from"
    rm -r "$pipes"
    blast_to[cpu]=$write blast_from[cpu]=$read
    read -r line <&"$read"
    [ "$line" = ready ] || fail "the sender of frames on processor $cpu says '$line'"
    on "$1" ip link set "tap$cpu" address 02:00:00:00:00:b0
}

# settled: wait until new devices have sent their messages to neighbours.
settled() { sleep 15; }

# frames NAME KEY=VALUE...: define a set of frames (tests/tools/src/blast/frame.rs). frames_on CPU NAME KEY=VALUE...
frames() { frames_on 0 "$@"; }
frames_on() {
    local line
    printf 'set %s\n' "${*:2}" >&"${blast_to[$1]}"
    read -r line <&"${blast_from[$1]}" || fail "no frames: ${*:2}"
}

# blast NAME COUNT: send frames; the time is in $blast_ns. blast_on CPUS NAME COUNT: the first CPUS senders send COUNT frames each
# at the same time; the longest time is the result.
blast() { blast_on 1 "$@"; }
blast_on() {
    local cpu ns
    blast_ns=0
    for ((cpu = 0; cpu < $1; cpu++)); do printf 'send %s %s\n' "$2" "$3" >&"${blast_to[cpu]}"; done
    for ((cpu = 0; cpu < $1; cpu++)); do
        read -r _ _ ns <&"${blast_from[cpu]}" || fail "could not send ${*:2}"
        [ "$ns" -le "$blast_ns" ] || blast_ns=$ns
    done
}

# profiled SET: with BENCH_PROFILE, send many frames while tests/bench/profile logs instructions, then exit.
profiled() {
    [ -n "${BENCH_PROFILE:-}" ] || return 0
    cp /proc/kallsyms /out/kallsyms
    echo 'profile: ready'
    blast "$1" "${BENCH_PROFILE_PACKETS:-12000}"
    exit 0
}

# measured ROW ROUND COUNT
measured() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$blast_ns" >>/out/raw.tsv; }

# fact WHAT VALUE: a line of the report that is not a row.
fact() { printf '%s\t%s\n' "$1" "$2" >>/out/facts.tsv; }

# microseconds: the guest's clock.
microseconds() { echo "${EPOCHREALTIME/[.,]/}"; }

# is WHAT EXPECTED ACTUAL
is() { [ "$2" = "$3" ] || fail "$1: expected $2, there is $3"; }

# sink_device NAME: count and drop the packets that arrive on this device of the host `sink`.
sink_device() {
    on sink nft -f - <<END
add table netdev sink
add counter netdev sink taken
add counter netdev sink odd
add chain netdev sink $1 { type filter hook ingress device "$1" priority 0; }
END
}

# host_and_sink NAME: a router of that name with a link to the host `sink`, which counts the packets that arrive.
#
#   tap... [ NAME ] eth1 ------ eth0 [ sink ]
host_and_sink() {
    ip netns add "$1"
    ip netns add sink
    ip link add eth1 netns "$1" type veth peer name eth0 netns sink
    ip -n "$1" -batch - <<'END'
link set lo up
link set eth1 mtu 2000 address 02:00:00:00:00:d1 up
addr add 10.8.0.1/24 dev eth1
addr add fd08::1/64 dev eth1 nodad
neigh add 10.8.0.2 lladdr 02:00:00:00:00:51 dev eth1
neigh add fd08::2 lladdr 02:00:00:00:00:51 dev eth1
route add default via 10.8.0.2
route add default via fd08::2
END
    ip -n sink -batch - <<'END'
link set eth0 mtu 2000 address 02:00:00:00:00:51 up
END
    # A later change would make the kernel send messages, so it is made before `settled`.
    on "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    sink_device eth0
}

# The VIPs are the first binds of `glb-packets fill`, which are from 10.0.0.0 and fd00::10.0.0.0; its backends are from 172.16.0.0.
vip4=10.0.0.0 vip6=fd00::a00:0

# vips_on HOST: IPVS takes packets to its services where their addresses are the machine's. ipvs_off: no services, no addresses.
vips_on() {
    ip -n "$1" addr add "$vip4/32" dev lo
    ip -n "$1" addr add "$vip6/128" dev lo nodad
}
ipvs_off() {
    on dir ipvsadm -C
    ip -n dir addr del "$vip4/32" dev lo
    ip -n dir addr del "$vip6/128" dev lo
}

# established HOST SERVER CLIENT: a connection of each family, both ends of which are on the host; its listener stays. SERVER and CLIENT
# are names of variables, without the digit of the family.
established() {
    local f server client
    for f in 4 6; do
        server=$2$f client=$3$f
        # shellcheck disable=SC2093
        on "$1" nc -"$f" -n -k -l "${!server}" 443 >/dev/null 2>&1 < <(exec sleep 1000000) &
        sleep 1
        on "$1" nc -"$f" -n -s "${!client}" -p 40000 "${!server}" 443 >/dev/null 2>&1 < <(exec sleep 1000000) &
        sleep 1
    done
    is "listeners" 2 "$(on "$1" ss -Hltn 'sport = 443' | wc -l)"
    is "ends of established connections" 4 "$(on "$1" ss -Htn state established | grep -c 40000)"
}

# sink_takes DEVICE RULE: count packets that match the rule as taken, all others as odd. An empty rule matches all.
sink_takes() {
    local rest=odd
    [ -n "$2" ] || rest=taken
    on sink nft -f - <<END
flush chain netdev sink $1
delete counter netdev sink taken
delete counter netdev sink odd
add counter netdev sink taken
add counter netdev sink odd
${2:+add rule netdev sink $1 $2 counter name taken drop}
add rule netdev sink $1 counter name $rest drop
END
}

# sink_took: the numbers of taken and of odd packets since the last `sink_takes`.
sink_took() {
    on sink nft -j list counters table netdev sink |
        jq -r '[.nftables[].counter | select(.) | {(.name): .packets}] | add | "\(.taken) \(.odd)"'
}

# each_round WHAT: runs `one_run ROUND ROW...` for each row that matches PATTERN, round after round.
declare -a rows=()
row() { rows+=("$*"); }
each_round() {
    local round row words
    for ((round = 1; round <= BENCH_ROUNDS; round++)); do
        say "$1, round $round of $BENCH_ROUNDS"
        for row in "${rows[@]}"; do
            read -ra words <<<"$row"
            [[ ${words[0]} =~ $PATTERN ]] || continue
            one_run "$round" "${words[@]}"
        done
    done
}
