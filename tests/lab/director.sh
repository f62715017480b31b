# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scenarios of the kernel's director share. Source it after lib.sh.
# shellcheck disable=SC2154 # lab_work comes from lib.sh.

# Vectors of the packet hash: with this key 10.11.12.13 has row 0x5cbd, fd91:79d3:d621::1234 row 0x198d.
readonly KEY=12345678901234561234567890123456
# shellcheck disable=SC2034 # For scenarios.
readonly SEED=49a3d861d661ae5ab06ed9326871a2f5

# proxies FILE SEED ADDRESS...: a table `api` for the VIPs with these backends, all active and healthy.
proxies() {
    local file=$1 seed=$2
    shift 2
    jq -n --arg key "$KEY" --arg seed "$seed" --arg v4 "$VIP4" --arg v6 "$VIP6" --args '{tables: [{
        name: "api", hash_key: $key, seed: $seed,
        binds: [{ip: $v4, proto: "tcp", port: 80}, {ip: $v6, proto: "tcp", port: 80},
                {ip: $v4, proto: "udp", port_start: 1000, port_end: 2000}, {ip: $v6, proto: "udp", port_start: 1000, port_end: 2000}],
        backends: [$ARGS.positional[] | {ip: ., state: "active", healthy: true}]}]}' "$@" >"$file"
}

# mac HOST: of its eth0.
mac() { quietly_on "$1" cat /sys/class/net/eth0/address; }

# begin: what `counted` counts from. counted NAME=+N...: since then exactly these verdicts of packets to the VIPs. Neighbour
# discovery and the like come in on the device too, so what is left to the stack as no concern of a director's, and frames for
# others, are only held to the sum. begin_on HOST: the same, of another director from now on.
begin() { stats >"$lab_work/before"; }
begin_on() {
    counted_host=$1
    begin
}
counted_host=director
stats() { quietly_on "$counted_host" glbctl --json stats | jq -r 'to_entries[] | "\(.key) \(.value)"' | sort; }
counted() {
    local deltas
    stats >"$lab_work/now"
    deltas=$(join "$lab_work/before" "$lab_work/now" |
        awk '$2 != $3 && $1 !~ /^(total|passed_unknown_format|passed_other_host)_packets$/ { printf "%s=+%d ", $1, $3 - $2 }')
    check "counters of $counted_host: $*" is "$*" "${deltas% }"
    # shellcheck disable=SC2016 # For awk.
    check "the total is the sum of the verdicts" awk '
        $1 == "total_packets" { total = $2; next } /_packets / { sum += $2 } END { exit total != sum }' "$lab_work/now"
}

# capture HOST[:DEVICE] FILE [FILTER...]: what passes a host's device, eth0 unless said, is written to a file until
# `captured`, in a buffer that has room for a burst. captured N: the capture ends; it must have everything, N packets at least.
capture() {
    local host=${1%%:*} device=eth0 file=$2
    [[ $1 != *:* ]] || device=${1#*:}
    shift 2
    : >"$lab_work/tcpdump"
    printf '[+] %s: tcpdump -i %s -w %s %s &\n' "$host" "$device" "$file" "$*"
    ip netns exec "$host" tcpdump -i "$device" -n -s 0 -B 65536 -U -w "$file" "${@:-udp port $GUE_PORT}" </dev/null >>"$lab_work/tcpdump" 2>&1 &
    capturing=$! captured_host=$host captured_device=$device
    eventually grep -q 'listening on' "$lab_work/tcpdump" || lab_step_failed "tcpdump on $host"
}
captured() {
    # What is under way arrives before, and tcpdump, which leaves at once with what it has read, has read it.
    eventually settled "$1" || lab_step_failed "tcpdump has not all that came"
    kill -INT "$capturing"
    wait "$capturing"
    check "the capture has every packet" grep -q '^0 packets dropped by kernel' "$lab_work/tcpdump"
}
# settled N: for half a second nothing passed the device, and tcpdump, which may have been kept waiting, has written all that
# its socket got: it says so when it is asked.
settled() {
    local before counts
    before=$(so_far)
    sleep 0.5 # to see more than a test asked for; what it asked for is waited for by its number
    [ "$before" = "$(so_far)" ] || return 1
    : >"$lab_work/tcpdump"
    kill -USR1 "$capturing"
    eventually grep -q captured "$lab_work/tcpdump" || return 1
    read -r -a counts < <(grep -o '[0-9]* packets* \(captured\|received\)' "$lab_work/tcpdump" | tr '\n' ' ')
    say "tcpdump: ${counts[*]}"
    [ "${counts[0]}" = "${counts[3]}" ] && [ "${counts[0]}" -ge "$1" ]
}
so_far() { ip netns exec "$captured_host" cat "/sys/class/net/$captured_device/statistics/"{rx,tx}_packets; }
capturing=

# --- real connections -------------------------------------------------------------------------------

# No packet of a client is longer than this with its tunnel; what is, is an aggregate.
readonly LONGEST=1700

# upload ADDRESS: the data over a connection to port 80 of it.
upload() {
    local server status=0
    rm -f "$lab_work/arrived"
    [ -e "$lab_work/data" ] || head -c 3000000 /dev/urandom >"$lab_work/data"
    ip netns exec proxy1 socat -u "TCP6-LISTEN:80,reuseaddr,ipv6only=0" "CREATE:$lab_work/arrived" &
    server=$!
    eventually listens proxy1 80
    say "client: socat sends 3 MB to $1"
    ip netns exec client socat -u "OPEN:$lab_work/data" "TCP:$1:80" || status=$?
    check "the upload ends in order" wait "$server"
    check "the client's end too" is 0 $status
    check "what arrived is what was sent" cmp "$lab_work/data" "$lab_work/arrived"
    check "no checksum was wrong" is 0 "$(bad_checksums)"
}
listens() { [ -n "$(quietly_on "$1" ss -Hltn "sport = $2")" ]; }
bad_checksums() { quietly_on proxy1 nstat -asz TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors IpInCsumErrors | awk 'NR > 1 { n += $2 } END { print n + 0 }'; }

# grew NAME: by how much a counter of the director grew since `begin`.
grew() {
    stats >"$lab_work/now"
    join "$lab_work/before" "$lab_work/now" | awk -v name="$1" '$1 == name { print $3 - $2 }'
}
# received: frames and bytes that came in on proxy1's device (eth0, or $sink_device).
# shellcheck disable=SC2016 # For sh there.
received() { quietly_on proxy1 sh -c 'cat "/sys/class/net/$0/statistics/rx_packets" "/sys/class/net/$0/statistics/rx_bytes"' "${sink_device:-eth0}" | tr '\n' ' '; }

# bulk ADDRESS whole|cut: an upload to it; whether proxy1's device gets aggregates, or packets that were cut before.
bulk() {
    local before_packets before_bytes packets bytes mean
    read -r before_packets before_bytes < <(received)
    begin
    upload "$1"
    read -r packets bytes < <(received)
    mean=$(((bytes - before_bytes) / (packets - before_packets)))
    say "the director sent $(grew encapsulated_packets) packets, $(grew encapsulated_bytes) bytes; proxy1 received $mean bytes in the mean"
    check "the director got aggregates" test $(($(grew encapsulated_bytes) / $(grew encapsulated_packets))) -gt $LONGEST
    if [ "$2" = whole ]; then
        check "they reached the device whole" test $mean -gt $LONGEST
    else
        check "they were cut before the device" test $mean -le $LONGEST
    fi
    check "nothing was dropped, no client told" is "0 0 0" \
        "$(grew dropped_too_big_packets) $(grew dropped_no_memory_packets) $(grew icmp_too_big_sent)"
}
