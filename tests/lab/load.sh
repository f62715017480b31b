# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the load scenarios share: a fleet of a client, a director in user space and two proxies with real servers.
# Source it after lib.sh.
#
#    client 10.0.0.1 ---> director 10.0.0.2 ===GUE===> proxy1 10.0.0.11 ===GUE===> proxy2 10.0.0.12
#         ^                 $hops_file: the order of the proxies                       |
#         +---------------------------- answers go straight back ----------------------+

# With an IPv6 underlay, the same with fd00:: in front of the last number.

# shellcheck source=tests/lab/nginx.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/nginx.sh"

readonly CLIENT=10.0.0.1 DIRECTOR=10.0.0.2 PROXY1=10.0.0.11 PROXY2=10.0.0.12
readonly DIRECTOR6=fd00::2 PROXY1_6=fd00::11 PROXY2_6=fd00::12
director=
# shellcheck disable=SC2154 # lab_work comes from lib.sh.
readonly hops_file=$lab_work/hops director_log=$lab_work/director.log

# fleet: the hosts of the picture.
fleet() {
    host client "$CLIENT" -
    host director "$DIRECTOR" "$DIRECTOR6"
    proxy proxy1 "$PROXY1" "$PROXY1_6"
    proxy proxy2 "$PROXY2" "$PROXY2_6"
    behind director "$VIP4/32"
    # Clients do not know about tunnels: the fabric has the room that the tunnel needs.
    ip_on client <<<'link set eth0 mtu 1500'
    on director sysctl -q net.ipv4.ip_forward=1
}

# start_director OPTION... -- PROXY...: its log is $director_log, its id $director.
start_director() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    order "$@"
    # No line of a director before this one may be taken for the new one's.
    : >"$director_log"
    # What it has no time for waits. In a queue of the usual 500 packets a busy machine loses one of four, and a connection
    # that loses some in a row is silent for a minute. The device is made here, and gets its queue before it is up: a new length
    # takes the queue of a device that is up away for a grace period. Meanwhile each packet is dropped, and the kernel itself sends
    # some on a new device (group membership, router solicitation).
    ip_on director <<END
tuntap add dev glb0 mode tun
link set glb0 txqueuelen 10000
END
    say "director: glb-packets director --source $DIRECTOR --source6 $DIRECTOR6 --hops-file $hops_file ${options[*]}"
    # The program itself in the background, not a shell around it: it gets signals.
    ip netns exec director glb-packets director --source "$DIRECTOR" --source6 "$DIRECTOR6" --hops-file "$hops_file" "${options[@]}" \
        </dev/null >"$director_log" 2>&1 &
    director=$!
    check "the director is ready" eventually grep -q ^ready "$director_log"
    ip_on director <<<"route replace $VIP4/32 dev glb0"
}
# nothing_lost: for check: the device dropped no packet since it was made. If it did: in its queue (`tc` says so), or behind it, where
# the director reads.
nothing_lost() {
    is 0 "$(quietly_on director cat /sys/class/net/glb0/statistics/tx_dropped)" && return
    quietly_on director ip -s -s link show dev glb0
    quietly_on director tc -s qdisc show dev glb0
    return 1
}

# order PROXY...: the director's hops from now on; packets under way are not lost, the file is replaced whole.
order() {
    echo "$*" >"$hops_file.new"
    mv "$hops_file.new" "$hops_file"
    if [ -n "$director" ]; then
        check "the director sends to $1 first" eventually director_has "$*"
    fi
}
# end_director: its counters are in the story, and it could send all that it understood.
end_director() {
    check "nothing was lost on the way to it" nothing_lost
    kill -TERM "$director"
    wait "$director"
    director=
    cat "$director_log"
    check "the director lost nothing" grep -qx 'director_send_errors: 0' "$director_log"
    ip_on director <<<"link del glb0"
}
director_has() { [ "$(grep -E '^(hops|ready): ' "$director_log" | tail -n 1 | cut -d ' ' -f 2-)" = "$*" ]; }

# web PROXY...: nginx on each, with a small page and a slow big one; the answers name the proxy.
web() {
    local name dir=$lab_work/www
    mkdir -p "$dir"
    # Text whose every line differs, so that a lost or doubled piece cannot go unnoticed.
    seq -f 'line %06g of the body' 1 1600 | head -c 24576 >"$dir/slow"
    seq 1 100 >"$dir/page"
    # One connection is two descriptors in a proxy's server.
    ulimit -n 16384
    for name; do
        nginx_conf "$name" "$lab_work/nginx-$name" >"$lab_work/nginx-$name.conf" <<END
        root $dir;
        location /slow { limit_rate ${WEB_RATE:-4k}; }
END
        spawn "$name" nginx -e stderr -c "$lab_work/nginx-$name.conf" -p "$lab_work"
    done
    for name; do check "nginx of $name listens" eventually listens "$name" 80; done
}
listens() { [ -n "$(quietly_on "$1" ss -Hltn "sport = $2")" ]; }

# hold NAME ARGUMENT...: busy connections to the VIP, in the background; what they tell is $lab_work/NAME.hold.
declare -A holders
hold() {
    local name=$1
    say "client: glb-packets http-hold $VIP4:80 ${*:2}"
    # Broken is what is silent while the others have had ten turns each, or while none gets anything.
    ip netns exec client glb-packets http-hold "$VIP4:80" --stall "$LAB_HANG" --turns 10 --log "$lab_work/$name.events" "${@:2}" \
        </dev/null >"$lab_work/$name.hold" 2>&1 &
    holders[$name]=$!
}
# goes_on NAME...: each of their connections gets bytes, twice, from now on.
goes_on() {
    local name
    local -A before=()
    for name; do
        before[$name]=$(grep -c '^went on' "$lab_work/$name.hold")
        kill -USR1 "${holders[$name]}"
    done
    for name; do eventually went_on_again "$name" "${before[$name]}" || return; done
}
went_on_again() {
    [ "$(grep -c '^went on' "$lab_work/$1.hold")" -le "$2" ] || return 0
    # Bytes that the client gets are progress.
    quietly_on client cat /sys/class/net/eth0/statistics/rx_bytes
    return 1
}

# becomes_busy NAME: all its connections get the begin of a response. If not, what it told about some.
becomes_busy() {
    eventually busy_or_broken "$1"
    grep -q ^busy "$lab_work/$1.hold" && return
    cat "$lab_work/$1.hold"
    return 1
}
# busy_or_broken NAME: how many there are at which server is the progress.
busy_or_broken() {
    grep -qE '^busy|broken' "$lab_work/$1.hold" && return
    tail -n 1 "$lab_work/$1.events" | cut -d ' ' -f 3-
    return 1
}
# held NAME: told to stop, its connections end in order, and none was broken.
held() {
    kill -TERM "${holders[$1]}"
    ended "$1"
}
# ended NAME: it ends by itself, with no connection broken.
ended() {
    local status=0
    wait "${holders[$1]}" || status=$?
    sed "s/^/    $1: /" "$lab_work/$1.hold"
    return "$status"
}
# told NAME LINE: the holder told this line at its end.
told() { grep -qx "$2" "$lab_work/$1.hold"; }

# expect_growth HOST NAME=+LOW..HIGH...: as expect_counters of lib.sh, on a host whose packets go on coming: the counters are not
# read in one moment, so their sum cannot be held against the total. What is not named must not have grown; what is too
# little may still come.
# shellcheck disable=SC2154 # lab_network comes from lib.sh.
expect_growth() {
    eventually grew_enough "$@"
    if grew_as_wanted "$@"; then
        ok "counters of $1, under way: ${*:2}"
    else
        not_ok "counters of $1, under way: ${*:2}"
    fi
    mv "$lab_work/growing" "$lab_network/counters-$1"
}
# grew_enough HOST NAME=...: all that is awaited is there.
grew_enough() {
    local host=$1 range name old new
    counters "$host" >"$lab_work/growing"
    for range in "${@:2}"; do
        name=${range%%=*}
        old=$(sed -n "s/^${name}_packets: //p" "$lab_network/counters-$host")
        new=$(sed -n "s/^${name}_packets: //p" "$lab_work/growing")
        range=${range#*=+}
        if [ $((new - old)) -lt "${range%..*}" ]; then
            echo "$name: +$((new - old))"
            return 1
        fi
    done
}
# grew_as_wanted HOST NAME=...: of what was read last.
grew_as_wanted() {
    local host=$1 name old new range wrong=0
    local -A want=()
    for range in "${@:2}"; do want[${range%%=*}]=${range#*=+}; done
    while read -r name old <&3 && read -r name new <&4; do
        name=${name%:}
        name=${name%_packets}
        case $name in total | forwarded_bytes | ended_netns_lookups | *_answers) continue ;; esac
        range=${want[$name]:-0..0}
        unset "want[$name]"
        [ $((new - old)) = 0 ] || printf '    %s: %s +%s\n' "$host" "$name" $((new - old))
        if [ $((new - old)) -lt "${range%..*}" ] || [ $((new - old)) -gt "${range#*..}" ]; then wrong=1; fi
    done 3<"$lab_network/counters-$host" 4<"$lab_work/growing"
    [ $wrong = 0 ] && [ ${#want[@]} = 0 ]
}
