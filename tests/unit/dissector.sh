#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The Wireshark dissector reads captures from this checkout's tools: the vectors, a director's output, and malformed packets. In the
# build root, which has tshark:
#
#   tests/vm/build -- tests/unit/dissector.sh
# shellcheck disable=SC2317 # Functions are called by name, through `check`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh

work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
if ! cargo build --quiet --release -p glb-packets -p glbctl; then echo "not ok - the tools build"; exit 1; fi
tools=${CARGO_TARGET_DIR:-target}/release

shark() { tests/unit/shark -r "$capture" "$@"; }

# packets HEX...: write a capture of these packets, each beginning with the IP header; its name is in $capture.
packets() {
    capture=$work/packets.pcap
    printf '%s\n' "$@" | "$tools/glb-packets" from-hex --out "$capture"
}
# fields NAME...: these fields of the packets of $capture, one line per packet, separated by |; several values of a field are
# separated by commas.
fields() { shark -T fields -E separator='|' "${@/#/-e}"; }
# complaints: the names of the dissector's expert infos in $capture. A capture without any also has no errors of the script.
complaints() {
    shark -T pdml >"$work/pdml" || return
    ! grep -i 'lua error' "$work/pdml" || return
    awk -F'"' '/name="_ws.expert"/ { inside = 1; next } inside { inside = 0; if (sub(/^glb\./, "", $2)) print $2 }' "$work/pdml" | paste -sd ' '
}
# wrong NAMES HEX: the packet has exactly these complaints.
wrong() {
    packets "$2" && same "$1" complaints
}
# says PATTERN: a line of the dissection matches.
says() { shark -V >"$work/story" && grep -qE -- "$1" "$work/story"; }

# --- valid packets ----------------------------------------------------------------------------------

capture=$work/vectors.pcap
"$tools/glb-packets" vectors --out "$capture" >/dev/null
check "the vectors: outer and inner addresses" same "\
10.11.12.13|1.1.1.1
65.65.65.65,10.11.12.13|3.4.5.6,1.1.1.1
65.65.65.65,10.11.12.13|3.4.5.6,1.1.1.1
3.4.5.6,10.11.12.13|2.3.4.5,1.1.1.1" fields ip.src ip.dst
check "the vectors: type, index, count, hops and the next one" same "\
||||
0|0|1|2.3.4.5|2.3.4.5
0|0|1|2.3.4.5|2.3.4.5
0|1|1|2.3.4.5|" fields glb.type glb.index glb.count glb.hop glb.next_hop
check "the vectors: the TCP inside" same "\
45678|80|0x0002
45678|80|0x0002
45678|80|0x0010
45678|80|0x0010" fields tcp.srcport tcp.dstport tcp.flags
check "the vectors: nothing is wrong but that a list is used up" same "used_up" complaints
check "a filter finds the packet that was passed on" same 4 shark -Y 'glb.index == 1 && tcp.dstport == 80' -T fields -e frame.number
check "the summary says where it goes next" says '^GLB tunnel \(GUE\), hop 0 of 1, next 2\.3\.4\.5$'
check "as the example of the deployed project: both packets in a line" same "\
Internet Protocol Version 4, Src: 65.65.65.65, Dst: 3.4.5.6,Internet Protocol Version 4, Src: 10.11.12.13, Dst: 1.1.1.1" \
    shark -Y 'frame.number == 2' -T fields -e ip

# The output of our director, with both underlays and more than one hop in the list.
clients=(
    4500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000
    6000000000140640fd9179d3d62100000000000000001234fd9179d3d6210000000000000000000110e10050000000000000000050022000a1b20000
)
# table FILE ADDRESS...: write a table of these backends.
table() {
    local file=$1 backend backends=''
    shift
    for backend; do backends+=",{\"ip\": \"$backend\", \"state\": \"active\", \"healthy\": true}"; done
    cat >"$file" <<END
{"tables": [{"name": "api", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
  "binds": [{"ip": "1.1.1.1", "proto": "tcp", "port": 80}, {"ip": "fd91:79d3:d621::1", "proto": "tcp", "port": 80}],
  "backends": [${backends#,}]}]}
END
}
# director SOURCE ALT BACKEND...: set $capture to the output of such a director for the clients' packets. (Not in a subshell.)
director() {
    local source=$1 alt=$2
    shift 2
    packets "${clients[@]}"
    table "$work/table.json" "$@"
    printf '{"outbound_src_ip": "%s", "hash_fields": {"src_addr": true}%s}' "$source" "$alt" >"$work/director.conf"
    rm -f "$work/director.pcap"
    check "a director's packets" \
        "$tools/glbctl" encap --table "$work/table.json" --config "$work/director.conf" "$capture" "$work/director.pcap"
    capture=$work/director.pcap
}
director 65.65.65.65 "" 3.4.5.6 2.3.4.5
check "IPv4 underlay: inner IPv4 and IPv6" same "\
4||0|2.3.4.5|2.3.4.5
41|6|0|3.4.5.6|3.4.5.6" fields glb.gue.proto ipv6.version glb.type glb.hop glb.next_hop
check "IPv4 underlay: nothing is wrong" same "" complaints
director 65.65.65.65 ', "alt_hash_fields": {"src_port": true}' 3.4.5.6 2.3.4.5
check "a second set of hash fields: three hops, the first is next" says '^    \[0\] Hop: 2\.3\.4\.5 <- next$'
check "a second set of hash fields: their count and the header's length" same $'3|4\n3|4' fields glb.count glb.gue.hlen
director fd65::65 "" fd01::1 fd01::2
check "IPv6 underlay: hops of 16 bytes" same "\
1|0|1|fd01::1|fd01::1|45678
1|0|1|fd01::2|fd01::2|4321" fields glb.type glb.index glb.count glb.hop6 glb.next_hop tcp.srcport
check "IPv6 underlay: nothing is wrong" same "" complaints

# --- another port -----------------------------------------------------------------------------------

vector=45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000
packets "${vector/eed34c43/eed34c44}"
check "another port is none of ours" same "" fields glb.count
check "until the preference says so" same 1 shark -o glb.ports:19523-19530 -T fields -e glb.count
packets "$vector"
check "and not any more the other way round" same "" shark -o glb.ports:19530 -T fields -e glb.count

# --- malformed --------------------------------------------------------------------------------------

# gue HEX [LENGTH]: the vector with HEX instead of GUE header and inner packet, and with correct outer lengths.
gue() {
    local payload=${1// } length
    length=${2:-$((${#payload} / 2))}
    printf '4500%04x000040004011b0114141414103040506eed34c43%04x0000%s\n' $((28 + length)) $((8 + length)) "$payload"
}
inner=${vector: -80}
check "a header that ends early" wrong short "$(gue '02 04 00')"
check "a list that ends early" wrong short "$(gue '05 04 0000 0000 00 04 02030405')"
check "version 1" wrong bad_version "$(gue "$inner")"
check "a control message" wrong "bad_control" "$(gue "22 04 0000 0000 00 01 02030405 $inner")"
check "flags" wrong bad_flags "$(gue "02 04 0001 0000 00 01 02030405 $inner")"
check "another type" wrong bad_type "$(gue "02 04 0000 0007 00 01 02030405 $inner")"
check "more hops than the length has" wrong bad_length "$(gue "02 04 0000 0000 00 02 02030405 $inner")"
check "fewer hops than the length has" wrong bad_length "$(gue "03 04 0000 0000 00 01 02030405 02030406 $inner")"
check "255 hops" wrong bad_length "$(gue "02 04 0000 0000 fe ff 02030405 $inner")"
check "IPv6 hops over IPv4" wrong bad_family "$(gue "05 04 0000 0001 00 01 fd01000000000000 0000000000000002 $inner")"
check "no private data" wrong no_private_data "$(gue "00 04 0000 $inner")"
check "an inner protocol that is none" wrong bad_protocol "$(gue "02 06 0000 0000 00 01 02030405 $inner")"
check "an inner packet of the other family" wrong bad_inner "$(gue "02 29 0000 0000 00 01 02030405 $inner")"
check "no inner packet" wrong no_inner "$(gue "02 04 0000 0000 00 01 02030405")"
check "several things at once" wrong "bad_inner bad_flags used_up bad_length" "$(gue "02 29 8000 0000 02 02 02030405 $inner")"
# The header is truncated at each byte, and each byte is set to 0 and to ff: the script never fails.
mangled() {
    local at value lines=()
    for ((at = 0; at <= 12; at++)); do
        lines+=("$(gue "${vector:56:at*2}")")
        for value in 00 ff; do lines+=("$(gue "${vector:56:at*2}$value${vector:58+at*2}")"); done
    done
    packets "${lines[@]}" && complaints >"$work/names" && same "${#lines[@]}" grep -c '<packet>' "$work/pdml"
}
check "39 mangled packets are dissected without an error of the script" mangled
# The snap length of the capture ends in the list of hops, which is not an error of the packet.
packets "$vector"
editcap -s 52 "$capture" "$work/cut.pcap" 2>/dev/null && chmod a+r "$work/cut.pcap" && capture=$work/cut.pcap
check "a capture that cut the packet off" same cut complaints

finish
