#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of a mark by which rules and routes lead a packet to its target: the director with classes of flows and forward `mark`,
# beside nftables (a hash, a map, `meta mark set`) and beside a program behind NFQUEUE that accepts every packet. The floor is a
# packet that is routed without a mark. Runs in the guest.
#
#   frames -> tap0 [ dir: mark, route ] eth1 ------ eth0 [ sink: counts, drops ]
#
# shellcheck source=tests/bench/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

modprobe -a tun nft_hash nfnetlink_queue rust_glb_director

host_and_sink dir
blaster dir
settled

offset=5000 targets=16
for f in 4 6; do
    vip=vip$f
    frames "tcp$f" "dst=${!vip}" flags=ack "flows=$BENCH_FLOWS" seed=1
done

# others FAMILY COUNT: as many addresses that no packet goes to.
others() {
    local number
    # shellcheck disable=SC2059 # The argument is the format of an address.
    for ((number = 1; number <= $2; number++)); do
        printf "$([ "$1" = 4 ] && echo '10.9.%d.%d' || echo 'fd00:9::%x:%x')\n" $((number / 250)) $((number % 250 + 1))
    done
}

routed_on() { :; }
routed_off() { :; }

# nft_on FAMILY RULES: the rule of the packets is the last one.
nft_on() {
    local ip vip address map='' number
    [ "$1" = 4 ] && ip=ip vip=$vip4 || ip=ip6 vip=$vip6
    for ((number = 0; number < targets; number++)); do map+="${map:+, }$number : $((offset + number))"; done
    {
        printf 'add table inet marks\nadd map inet marks of { type mark : mark; elements = { %s }; }\n' "$map"
        printf 'add chain inet marks c { type filter hook prerouting priority mangle; }\n'
        for address in $(others "$1" $(($2 - 1))) "$vip"; do
            printf 'add rule inet marks c %s daddr %s tcp dport 443 meta mark set ' $ip "$address"
            printf 'jhash %s saddr . %s daddr . tcp sport . tcp dport mod %s map @of accept\n' $ip $ip $targets
        done
    } | on dir nft -f -
}
nft_off() { on dir nft delete table inet marks; }

# glb_on FAMILY CLASSES FLOWS: the class of the packets is the last one. FLOWS is a word of a table file.
glb_on() {
    local vip=$vip4 length=32
    [ "$1" = 4 ] || vip=$vip6 length=128
    others "$1" $(($2 - 1)) | jq -Rn --arg vip "$vip" --arg length $length --argjson flows "$3" --argjson targets $targets \
        --argjson offset $offset '
        [inputs] as $others | {
            tables: [{name: "web", hash_key: "12345678901234561234567890123456", seed: "49a3d861d661ae5ab06ed9326871a2f5",
                select: {kind: "maglev"}, forward: {kind: "mark", offset: $offset}, binds: [], flows: $flows,
                backends: [range($targets) | {ip: "172.16.0.\(. + 1)", state: "active", healthy: true}]}],
            classes: [$others + [$vip] | to_entries[] |
                {name: "c\(.key)", service: "web", priority: 1, proto: ["tcp"], dst: ["\(.value)/\($length)"],
                    dport: ["443"]}]}' \
        >/tmp/marks.json
    on dir glbctl table load /tmp/marks.json >/dev/null
    on dir glbctl attach tap0 >/dev/null
}
glb_off() {
    on dir glbctl detach tap0 >/dev/null
    echo '{"tables": []}' >/tmp/marks.json
    on dir glbctl table load /tmp/marks.json >/dev/null
}

# nfqueue_on FAMILY: what a program costs that looks at nothing and marks nothing.
nfqueue_on() {
    local pipe line
    on dir nft -f - <<'END'
add table inet marks
add chain inet marks c { type filter hook prerouting priority mangle; }
add rule inet marks c tcp dport 443 queue num 5
END
    pipe=$(mktemp -u)
    mkfifo "$pipe"
    ip netns exec dir glb-packets nfqueue 5 >"$pipe" &
    queue=$!
    exec 7<"$pipe"
    read -r line <&7 || fail "no program behind NFQUEUE"
    [[ $line == bound* ]] || fail "the program behind NFQUEUE says '$line'"
    rm "$pipe"
}
nfqueue_off() {
    nft_off
    kill "$queue"
    wait "$queue" || true
    exec 7<&-
}

# is_marked NAME SET EXPECTED SEND: packets have marks of targets when they are routed, and all targets have some.
is_marked() {
    local number marks=''
    for ((number = 0; number < targets; number++)); do marks+="${marks:+, }$((offset + number))"; done
    on dir nft -f - <<END
add table inet seen
add set inet seen marks { type mark; flags dynamic; size 64; }
add counter inet seen marked
add chain inet seen c { type filter hook forward priority 0; }
add rule inet seen c meta mark { $marks } counter name marked update @marks { meta mark }
END
    $4 "$2" "$BENCH_FLOWS"
    # shellcheck disable=SC2016 # For jq.
    is "$1: packets with a mark, and different marks" "$3" "$(on dir nft -j list table inet seen | jq -r '
        [.nftables[] | (.counter.packets // empty), (.set | select(.) | (.elem // []) | length)] | "\(.[0]) \(.[1])"')"
    on dir nft delete table inet seen
}

# ran: nanoseconds for which the sender and the program behind NFQUEUE have run.
ran() {
    cat "/proc/$(pgrep -f 'glb-packets blast')/schedstat" "/proc/$queue/schedstat" | awk '{ ns += $1 } END { print ns }'
}

# blast_queued SET COUNT: as blast, in pieces that the queue (of 1024 packets) has room for. The program gets its packets when
# the sender waits, so what counts is for how long both ran.
blast_queued() {
    local sent piece=512 begun tries
    begun=$(ran)
    for ((sent = piece; sent <= $2; sent += piece)); do
        blast "$1" $piece
        for ((tries = 0; tries < 1000; tries++)); do
            [ "$(sink_took)" != "$sent 0" ] || break
            # The program runs meanwhile; what is waited for is that it has had all.
            sleep 0.01
        done
        is "packets that have come through the queue, and others" "$sent 0" "$(sink_took)"
    done
    blast_ns=$(($(ran) - begun))
}

one_run() { # ROUND NAME FAMILY MARKED SETUP ARGUMENT...: MARKED is PACKETS,MARKS
    local round=$1 name=$2 family=$3 marked=$4 what=$5 send=blast
    shift 5
    [ "$what" != nfqueue ] || send=blast_queued
    "${what}_on" "$family" "$@"
    sink_takes eth0 ''
    is_marked "$name" "tcp$family" "${marked/,/ }" "$send"
    sink_takes eth0 ''
    profiled "tcp$family"
    $send "tcp$family" "$BENCH_PACKETS"
    is "$name: packets that arrived, and others" "$BENCH_PACKETS 0" "$(sink_took)"
    measured "$name" "$round" "$BENCH_PACKETS"
    "${what}_off"
}

all=$BENCH_FLOWS,$targets
for f in 4 6; do
    row "marks-routed-tcp$f" $f 0,0 routed
    for rules in 1 10 100 1000; do row "marks-nft-tcp$f-$rules" $f "$all" nft $rules; done
    for classes in 1 10 100 1000 10000; do row "marks-glb-tcp$f-$classes" $f "$all" glb $classes false; done
    row "marks-glb-tcp$f-flows" $f "$all" glb 1 '{"buckets":16384}'
    row "marks-nfqueue-tcp$f" $f 0,0 nfqueue
done

each_round marks
