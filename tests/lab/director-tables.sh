#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Which packets go where, by the thousand: tables that are swapped under load, two directors with one file, a thousand
# tables.
#
#   client ---> director  ===GUE===> sink, which every proxy is behind
#          ---> director2 ===GUE===>
#
# What must arrive says `glbctl encap`, which is no kernel's; `glb-packets judge` holds every packet against it.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"

# Of a capture that goes round while tables are loaded.
readonly PACKETS=10000

setup() {
    host client 10.2.0.1 fd02::1
    host director 65.65.65.65 fd65::65
    host director2 65.65.65.66 fd65::66
    host sink 10.9.0.1 fd09::1
    behind sink 10.9.0.0/16
    behind sink fd09::/16
    behind sink 172.16.0.0/16
    # A burst of the sender waits and is not lost on its way to the director.
    sysctl -qw net.core.netdev_max_backlog=1000000
    modprobe rust_glb_director
    local name
    for name in director director2; do
        on "$name" glbctl attach eth0
        # So that the first packets do not wait for a neighbour in a queue that is short.
        on "$name" ping -qc 1 -W 60 10.9.0.1
        on "$name" ping -qc 1 -W 60 fd09::1
    done
    proxies "$lab_work/a4.json" "$SEED" 10.9.1.{1..8}
    proxies "$lab_work/b4.json" 00112233445566778899aabbccddeeff 10.9.1.{5..12}
    proxies "$lab_work/a6.json" "$SEED" fd09::1:{1..8}
    proxies "$lab_work/b6.json" 00112233445566778899aabbccddeeff fd09::1:{5..12}
}

# makes FILE.json IN.pcap CONFIG OUT.pcap: what a director must make of a capture.
makes() { glbctl encap "$2" "$4" --table "$lab_work/$1.json" --config "$3" >"$lab_work/encap" || lab_step_failed "glbctl encap"; }

# replay IN.pcap [OPTION...]: the client sends it as fast as it can.
replay() {
    on client tcpreplay -i eth0 --topspeed --preload-pcap "${@:2}" "$1" >"$lab_work/replay" 2>&1
    grep -E 'Actual|Rated|Failed' "$lab_work/replay" | sed 's/^/    /'
    grep -Eq 'Failed packets: +0$' "$lab_work/replay" || lab_step_failed "tcpreplay $1"
}

test_swap_ipv4() {
    about "Tables that are loaded in turns while packets flow lose none, and each packet goes whole by one or the other."
    swap 4 65.65.65.65
}

test_swap_ipv6() {
    about "The same with an IPv6 underlay."
    swap 6 fd65::65
}

swap() {
    local loader before loads round times=5 packets=$PACKETS
    echo "{\"outbound_src_ip\": \"$2\"}" >"$lab_work/conf"
    on director glbctl config load "$lab_work/conf"
    glb-packets flows --out "$lab_work/in.pcap" --packets $packets --flows 5000 --to "$VIP4:80,[$VIP6]:80" --dst-mac "$(mac director)"
    for table in a$1 b$1; do
        makes "$table" "$lab_work/in.pcap" "$lab_work/conf" "$lab_work/$table.pcap"
        glbctl table build "$lab_work/$table.json" "$lab_work/$table.bin"
    done
    on director glbctl table load "$lab_work/a$1.bin"
    before=$(generation)
    capture sink "$lab_work/got.pcap"
    begin
    swapper "$1" </dev/null >"$lab_work/swapper" 2>&1 &
    loader=$!
    for ((round = 1; round <= times; round++)); do
        replay "$lab_work/in.pcap"
        # Packets may be faster than loads.
        check "loads go on" eventually loaded_since $((before + 2 * round))
    done
    rm -f "$lab_work/swap"
    check "every load went well" wait "$loader"
    captured $((packets * times))
    loads=$(($(generation) - before))
    check "there were loads enough: $loads" test $loads -ge 10
    check "each packet arrived once, as one of the tables says" \
        glb-packets judge "$lab_work/a$1.pcap" "$lab_work/b$1.pcap" --got "$lab_work/got.pcap" --times $times --mixed
    counted "encapsulated_bytes=+$(bytes_sent "$lab_work/a$1.pcap" $times) encapsulated_packets=+$((packets * times))"
}

loaded_since() { [ "$(generation)" -ge "$1" ]; }
generation() { quietly_on director glbctl --json status | jq .generation; }

# swapper 4|6: loads the two tables in turns until told to stop.
swapper() {
    local table
    : >"$lab_work/swap"
    while [ -e "$lab_work/swap" ]; do
        for table in b$1 a$1; do quietly_on director glbctl table load "$lab_work/$table.bin" || return; done
    done
}

# bytes_sent FILE TIMES: bytes of its PACKETS, without Ethernet headers: the file less its own headers.
bytes_sent() {
    echo $((($(stat -c %s "$1") - 24 - PACKETS * (16 + 14)) * $2))
}

test_agree() {
    about "Two directors with the same file send the same packets, but for their own address."
    agree '{}'
}

test_agree_two_hashes() {
    about "So do they while a fleet changes its hash fields: ports too, and four hops."
    agree '{"hash_fields": {"src_addr": true, "src_port": true, "dst_port": true}, "alt_hash_fields": {"src_addr": true}}'
}

agree() {
    local name packets=4000
    for name in director director2; do
        glb-packets flows --out "$lab_work/tcp.pcap" --packets $packets --flows 1000 --to "$VIP4:80,[$VIP6]:80" --dst-mac "$(mac $name)"
        glb-packets flows --out "$lab_work/udp.pcap" --packets $packets --flows 1000 --udp --to "$VIP4:1500,[$VIP6]:1600" --dst-mac "$(mac $name)"
        echo "$1" | jq -c "{outbound_src_ip: \"65.65.65.65\"} + ." >"$lab_work/conf"
        [ $name = director ] || sed -i s/65.65.65.65/65.65.65.66/ "$lab_work/conf"
        on $name glbctl config load "$lab_work/conf"
        on $name glbctl table load "$lab_work/a4.json"
        begin_on $name
        for kind in tcp udp; do
            makes a4 "$lab_work/$kind.pcap" "$lab_work/conf" "$lab_work/$name-$kind.want"
            capture sink "$lab_work/$name-$kind.pcap"
            replay "$lab_work/$kind.pcap"
            captured $packets
            check "$name sends what the file says, $kind" \
                glb-packets judge "$lab_work/$name-$kind.want" --got "$lab_work/$name-$kind.pcap"
        done
        counted "encapsulated_bytes=+$(bytes_of_both "$name") encapsulated_packets=+$((2 * packets))"
    done
    for kind in tcp udp; do
        check "both send the same, $kind" \
            glb-packets judge "$lab_work/director-$kind.pcap" --got "$lab_work/director2-$kind.pcap" --ignore-source
        check "not byte for byte, since each has an address of its own" \
            fails glb-packets judge "$lab_work/director-$kind.pcap" --got "$lab_work/director2-$kind.pcap"
    done
}

bytes_of_both() {
    local of_tcp of_udp
    of_tcp=$(stat -c %s "$lab_work/$1-tcp.want")
    of_udp=$(stat -c %s "$lab_work/$1-udp.want")
    echo $((of_tcp + of_udp - 2 * 24 - 8000 * (16 + 14)))
}

test_thousand_tables() {
    about "1,000 tables with 256 backends and 4,000 binds, loaded and replaced under traffic to all binds: packets go where glbctl says."
    local table to='' packets=16000 loader
    on director glbctl config set --source-v4 65.65.65.65 --hash-fields src_addr --alt-hash-fields none
    check "they are loaded" on director glb-packets fill --tables 1000 --backends 256 --binds 4
    for table in {0..999}; do to+=10.0.$((table >> 8)).$((table & 255)):$((table % 4 + 1)),; done
    for table in {0..999}; do to+=10.0.$((table >> 8)).$((table & 255)):$(((table + 1) % 4 + 1)),; done
    for table in {0..999}; do to+=10.0.$((table >> 8)).$((table & 255)):$(((table + 2) % 4 + 1)),; done
    for table in {0..999}; do to+=10.0.$((table >> 8)).$((table & 255)):$(((table + 3) % 4 + 1)),; done
    glb-packets flows --out "$lab_work/in.pcap" --packets $packets --flows $packets --to "${to%,}" --dst-mac "$(mac director)"
    begin
    capture sink "$lab_work/got.pcap"
    ip netns exec director glb-packets fill --tables 1000 --backends 256 --binds 4 </dev/null >"$lab_work/fill" 2>&1 &
    loader=$!
    replay "$lab_work/in.pcap"
    check "the load under traffic went well" wait "$loader"
    captured $packets
    check "every packet arrived" is $packets "$(tcpdump -nr "$lab_work/got.pcap" --count 2>/dev/null | grep -o '^[0-9]*')"
    counted "encapsulated_bytes=+$(($(stat -c %s "$lab_work/got.pcap") - 24 - packets * (16 + 14))) encapsulated_packets=+$packets"

    local answer code='' number wrong=0
    say "wire: 60 packets to binds of as many tables"
    wire "sport = lambda row, port: 0x8000 | ((row ^ port) & 0x7fff)"
    for number in {1..60}; do
        table=$((number * 16 + 7))
        bind=10.0.$((table >> 8)).$((table & 255)):$((number % 4 + 1))
        answer=$(quietly_on director glbctl --json lookup --running "10.11.7.$number:$((5000 + number))" "$bind")
        # shellcheck disable=SC2016 # For jq.
        code=$(jq -r --arg to "$bind" --arg n "$number" --arg name "t$table" 'if .table != $name then error("another table") else . end |
            ($to | split(":")) as $to | ($n | tonumber) as $n |
            "x = ip(\"10.11.7.\($n)\", \"\($to[0])\", tcp(\(5000 + $n), \($to[1]), \"A\", payload=b\"\($n)\"))\n" +
            "send(\"client\", \"director\", x)\n" +
            "expect(\"sink\", tunnel(\"\(.hops[0].ip)\", x, [\"\(.hops[1].ip)\"], sport=sport(0x\(.hashes[0].hash[-4:]), \(5000 + $n))))"' <<<"$answer") || wrong=1
        quietly_wire "reset_captures()"
        if ! quietly_wire "$code"; then
            printf '%s\n%s\n' "$answer" "$code"
            wrong=1
        fi
    done
    check "each of 60 goes where glbctl lookup says" is 0 $wrong
}

lab_main "$@"
