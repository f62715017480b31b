#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Aggregates of every shape that drivers and GRO make, in the director: what leaves are the packets that an aggregate was made
# of, or where they do not fit, what the settings say; byte for byte.
#
#             director
#   ---> in (glbtest)    out (glbtest) ---> 10.1.0.1, 10.1.0.2, fd01::1, fd01::2      captured at out
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"
# shellcheck source=tests/lab/testdev.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/testdev.sh"

setup() {
    testdev_load || return
    host director 65.65.65.65 fd65::65
    local number lines=''
    for number in 1 2; do
        lines+="neigh add 10.1.0.$number dev out lladdr 02:00:00:00:01:0$number nud permanent"$'\n'
        lines+="neigh add fd01::$number dev out lladdr 02:00:00:00:01:0$number nud permanent"$'\n'
    done
    ip_on director <<END
link add in type glbtest
link add out type glbtest
link set in up
link set out mtu 2000 up
route add 10.1.0.0/24 dev out src 65.65.65.65
route add fd01::/64 dev out src fd65::65
route add 10.2.0.0/16 via inet 10.1.0.1 dev out onlink
route add fd02::/64 via fd01::1 dev out onlink
$lines
END
    modprobe rust_glb_director
    on director glbctl attach in
    proxies "$lab_work/v4.json" "$SEED" 10.1.0.1 10.1.0.2
    proxies "$lab_work/v6.json" "$SEED" fd01::1 fd01::2
    on director glbctl config set --source-v6 fd65::65
}

# --- lines of what comes in, each with what must become of it (glb-packets shapes --help) ------------

# line WANT WORD...: both families of the inner packet. Each has a source port and identifications of its own.
line() {
    line_of 4 "$@"
    line_of 6 "$@"
}
line_of() {
    local family=$1 want=$2 addresses="src=10.2.0.1 dst=$VIP4"
    shift 2
    [ "$family" = 4 ] || addresses="src=fd02::1 dst=$VIP6"
    lines=$((lines + 1))
    printf '%s family=%s %s sport=%d id=%d seq=%d %s\n' "$want" "$family" "$addresses" $((2000 + lines)) \
        $((lines * 64 % 65536)) $((4294960000 + lines)) "$*" >>"$lab_work/want"
}
begin_lines() {
    lines=0
    : >"$lab_work/want"
}

# The buffers that an aggregate's payload lies in. 37 segments are more than a buffer has fragments for.
readonly -a BUFFERS=(
    "layout=linear heads=page"
    "layout=linear heads=kmalloc"
    "layout=frags segments=16"
    "layout=frags frag=4096 segments=37"
    "layout=frags frag=4096 pull=128 heads=kmalloc segments=20"
    "layout=frag_list data=linear heads=page segments=37"
    "layout=frag_list data=linear heads=kmalloc segments=37"
    "layout=frag_list data=frags first=17 per=17 segments=37"
    "layout=frag_list data=frags first=17 per=1 segments=37"
    "layout=frag_list data=linear heads=page first=18 per=18 segments=37"
    "layout=frag_list data=linear heads=kmalloc first=3 per=5 segments=20"
)
# And what a list of packets lies in.
readonly -a LISTS=(
    "layout=fraglist data=linear heads=page"
    "layout=fraglist data=linear heads=kmalloc"
    "layout=fraglist data=frags"
)

# aggregates SIZE TCP UDP: all of them, with segments of SIZE bytes, what must become of TCP, and of UDP.
aggregates() {
    local size=$1 tcp=$2 udp=$3 buffer words
    for buffer in "${BUFFERS[@]}"; do
        words=$(with_len "$size" "$buffer")
        line "$tcp" "$words"
        line "$udp" "$words proto=udp dport=1500"
    done
    for buffer in "${LISTS[@]}"; do
        words=$(with_len "$size" "$buffer segments=10")
        line "$tcp" "$words csum=unnecessary"
        line "$udp" "$words csum=unnecessary proto=udp dport=1500"
    done
    # What may stand beside, once for each kind of buffer.
    for buffer in "${BUFFERS[1]}" "${BUFFERS[3]}" "${BUFFERS[5]}" "${BUFFERS[7]}"; do
        words=$(with_len "$size" "$buffer segments=20")
        line "$tcp" "$words dodgy=1"
        line "$tcp" "$words ecn=1"
        line "$tcp" "$words options=12"
        line "$tcp" "$words headroom=0"
        line "$tcp" "$words headroom=512 cb=255 mark=7 priority=6"
        line "$tcp" "$words vlan=5 cb=gro"
        line "$tcp" "$words csum=unnecessary"
        line "$tcp" "$words csum=complete"
        line "$tcp" "$words cloned=1"
        line "$udp" "$words proto=udp dport=1500 dodgy=1 cb=gro"
    done
}
# with_len SIZE WORDS: segments=N as bytes; the last segment is 100 bytes shorter. 20 segments, if nothing is said.
with_len() {
    local size=$1 word segments=20 rest=''
    for word in $2; do
        case $word in segments=*) segments=${word#*=} ;; *) rest+="$word " ;; esac
    done
    printf '%ssize=%d len=%d' "$rest" "$size" $((segments * size - 100))
}

# packets LEN TCP UDP: single packets of LEN bytes of payload.
packets() {
    local len=$1 tcp=$2 udp=$3 words
    for words in "layout=linear" "layout=frags frag=512" "layout=frag_list data=linear heads=kmalloc size=300" \
        "layout=frag_list data=linear heads=page size=300" "layout=frag_list data=frags size=500"; do
        for csum in none unnecessary complete partial; do
            line "$tcp" "$words len=$len gso=none csum=$csum"
            line "$udp" "$words len=$len gso=none csum=$csum proto=udp dport=1500"
        done
    done
    line "$tcp" "layout=linear len=$len gso=none csum=none headroom=0 cloned=1"
    line "$tcp" "layout=linear len=$len gso=none csum=none headroom=512 cb=255"
}

# --- judging ----------------------------------------------------------------------------------------

# Each underlay, memory shared with the device or copied, and what the outer checksum is; two of them have all of it once.
readonly all_ways="v4 shared false none
v4 copied true right
v6 shared true device
v6 copied false none"
readonly two_ways="v4 copied true right
v6 shared true device"
ways=

# come_in WHAT MTU COUNTER=+N...: the lines come in; what leaves, over each underlay and with each setting of the outer
# checksum and the device, is what they want, and these counters are exact. Others must not change.
come_in() {
    local what=$1 mtu=$2 underlay checksum device outer
    shift 2
    ip_on director <<<"link set out mtu $mtu"
    cut -d ' ' -f 2- "$lab_work/want" >"$lab_work/lines"
    # With SG the kernel cuts by references into the aggregate's memory and leaves an outer checksum to the device; without, it
    # copies and sums up itself.
    while read -r underlay device checksum outer; do
        on director glbctl table load "$lab_work/$underlay.json"
        on director glbctl config set --udp-checksum "$checksum"
        if [ "$device" = shared ]; then on director ethtool -K out tx on sg on; else on director ethtool -K out tx off sg off; fi >/dev/null
        lab_context="$what, over IP$underlay, outer checksum $outer, memory is $device: "
        capture director:out "$lab_work/got.pcap"
        begin
        inject director in "$lab_work/lines"
        captured 0
        check "what left is what must leave" glb-packets shapes "$lab_work/want" "$lab_work/got.pcap" \
            --mtu "$mtu" --outer-checksum "$outer"
        exactly "$@"
    done <<END
${ways:-$all_ways}
END
    lab_context=
}

# exactly NAME=+N...: these counters, and no others but sums of bytes and messages that have a rate. segmented_tcp is one for
# each aggregate that is cut as a whole, and one for each packet of an aggregate that is taken apart first: $segmented is the least.
exactly() {
    local deltas grown
    stats >"$lab_work/now"
    deltas=$(join "$lab_work/before" "$lab_work/now" | awk '
        $2 != $3 && $1 !~ /^(total_packets|passed_unknown_format_packets|encapsulated_bytes|icmp_too_big_sent|fragments_sent|segmented_tcp)$/ {
            printf "%s=+%d ", $1, $3 - $2 }')
    check "counters: $*" is "$*" "${deltas% }"
    grown=$(join "$lab_work/before" "$lab_work/now" | awk '$1 == "segmented_tcp" { print $3 - $2 }')
    if [ "$segmented" = 0 ]; then
        check "nothing was cut into shorter TCP packets" is 0 "$grown"
    else
        check "$segmented or more were cut into shorter TCP packets" test "$grown" -ge "$segmented"
    fi
}
segmented=0
wanting() { grep -c "^$1 " "$lab_work/want"; }

# --- tests ------------------------------------------------------------------------------------------

test_fits() {
    about "Aggregates of packets that fit leave as the packets that they were made of."
    begin_lines
    aggregates 1400 same same
    come_in "fitting aggregates" 2000 encapsulated_packets=+$lines
    check "a clone is what it was" is same "$(clone_of "layout=frag_list data=linear heads=page size=1400 len=20000")"
}

test_packets() {
    about "Single packets in buffers of every kind leave as they are."
    local ways=$two_ways
    begin_lines
    packets 1400 same same
    line same len=1400 gso=none csum=none bad=1
    line same proto=udp dport=1500 len=1400 gso=none csum=none bad=1
    come_in "fitting packets" 2000 encapsulated_packets=+$lines
}

test_too_long() {
    about "Aggregates of packets that do not fit are dropped, or fragmented if they may be."
    local ways=$two_ways
    begin_lines
    aggregates 1443 nothing nothing
    come_in "packets that are too long" 1500 dropped_too_big_packets=+$lines
    begin_lines
    local buffer words
    for buffer in "${BUFFERS[@]}"; do
        words=$(with_len 1443 "$buffer")
        line_of 4 fragments "$words df=0"
        line_of 4 fragments "$words df=0 proto=udp dport=1500"
    done
    for buffer in "${LISTS[@]}"; do
        words=$(with_len 1443 "$buffer segments=10")
        line_of 4 fragments "$words csum=unnecessary df=0"
        line_of 4 fragments "$words csum=unnecessary proto=udp dport=1500 df=0"
    done
    come_in "packets that may be fragmented" 1500 encapsulated_packets=+$lines
}

test_segment_tcp() {
    about "With segment-tcp TCP packets that do not fit leave as shorter ones; UDP packets do not."
    on director glbctl config set --segment-tcp true
    # What made the kernel stop once: gso_size lowered over a list of buffers that hold whole segments.
    begin_lines
    line cut "layout=frag_list data=linear heads=page size=1443 len=53391"
    segmented=2
    come_in "37 segments of 1,443 bytes" 1500 encapsulated_packets=+2
    begin_lines
    aggregates 1443 cut nothing
    packets 1475 cut nothing
    segmented=$(wanting cut)
    come_in "segment-tcp" 1500 dropped_too_big_packets=+"$(wanting nothing)" encapsulated_packets=+"$segmented"
    segmented=0
    check "a clone is what it was" is same "$(clone_of "layout=frag_list data=linear heads=page size=1443 len=20000")"
    check "a clone of a packet too" is same "$(clone_of "layout=frags frag=500 len=1475 gso=none csum=none")"
    on director glbctl config set --segment-tcp false
}

# clone_of WORDS: such a packet comes in, and what became of its clone.
clone_of() {
    inject director in <<<"src=10.2.0.1 dst=$VIP4 sport=1999 cloned=1 $1" >&2
    held director in
}

test_lro() {
    about "LRO is off where a director is attached; an aggregate that nobody can cut again does not leave."
    on director glbctl detach in
    on director ethtool -K in lro on
    check "the device has LRO" lro on
    on director glbctl attach in
    check "it has none any more" lro off
    begin_lines
    local buffer
    for buffer in "layout=linear" "layout=frags" "layout=frag_list"; do
        line nothing "$buffer gso=lro size=1400 len=14000 csum=unnecessary"
    done
    come_in "LRO" 2000 dropped_lro_packets=+$lines
}
lro() { quietly_on director ethtool -k in | grep -q "^large-receive-offload: $1"; }

test_other_hosts() {
    about "Frames that are not for this machine alone are left to the stack."
    local ways=$two_ways
    begin_lines
    local to
    for to in other broadcast multicast; do
        line nothing "to=$to gso=none csum=none"
        line nothing "to=$to layout=frags size=1400 len=14000"
        line nothing "to=$to gso=none len=1475 csum=none"
    done
    come_in "for others" 1500 passed_other_host_packets=+$lines
}

test_no_headroom() {
    about "Lists of packets whose buffers have less room than the tunnel's headers: nothing is written in front of a buffer."
    begin_lines
    local list headroom
    for headroom in 0 16 64; do
        for list in "${LISTS[@]}"; do
            line same "$list size=1400 len=13900 csum=unnecessary headroom=$headroom"
            line same "$list size=1400 len=13900 csum=unnecessary headroom=$headroom proto=udp dport=1500"
        done
    done
    come_in "without headroom" 2000 encapsulated_packets=+$lines
}

lab_main "$@"
