#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Forwards without a list of hops: what leaves is what `glbctl encap` says, and the kernel's own tunnel devices take it.
#
#   client ---> director ===GRE, IP in IP===> proxy1: gre, ip6gre, tunl0, sit0, ip6tnl0
#      ^                                       |
#      +--------- answers directly ------------+
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"
export LAB_MODULES='rust_glb_director ip_gre ip6_gre ipip sit ip6_tunnel'

setup() {
    host client 10.2.0.1 fd02::1
    host director 65.65.65.65 fd65::65
    host proxy1 10.1.0.1 fd01::1
    host proxy2 10.1.0.2 fd01::2
    ip_on client <<END
link set eth0 mtu 1500
route add $VIP4 via 65.65.65.65 dev eth0 onlink
route add $VIP6 via fd65::65 dev eth0 onlink
END
    # As docs/director.md tells to do. A device without a remote takes tunnels from every director.
    ip_on proxy1 <<END
link add gre1 type gre local 10.1.0.1
link set gre1 up
link add gre6 type ip6gre local fd01::1
link set gre6 up
link set tunl0 up
link set sit0 up
link change ip6tnl0 type ip6tnl mode any
link set ip6tnl0 up
addr add $VIP4/32 dev lo
addr add $VIP6/128 dev lo nodad
END
    local kind
    for kind in gre ipip; do
        forwarding $kind v4 10.1.0.1 10.1.0.2
        forwarding $kind v6 fd01::1 fd01::2
    done
    on director glbctl config set --source-v4 65.65.65.65 --source-v6 fd65::65
    on director glbctl attach eth0
}

# forwarding KIND UNDERLAY BACKEND OTHER: $lab_work/KIND-UNDERLAY.json. The other backend drains: it is the second hop of every
# row, which no packet names.
forwarding() {
    cat >"$lab_work/$1-$2.json" <<END
{"tables": [{"name": "web", "version": 3, "hops": 2, "forward": {"kind": "$1"}, "hash_key": "$KEY", "seed": "$SEED",
  "binds": [{"ip": "$VIP4", "proto": "tcp", "port_start": 1, "port_end": 65535}, {"ip": "$VIP6", "proto": "tcp", "port_start": 1, "port_end": 65535}],
  "backends": [{"ip": "$3", "state": "active", "healthy": true}, {"ip": "$4", "state": "draining", "healthy": true}]}]}
END
}

# each DO: it for each kind over each underlay.
each() {
    local kind underlay
    for kind in gre ipip; do
        for underlay in v4 v6; do
            lab_context="$kind over $underlay: "
            on director glbctl table load "$lab_work/$kind-$underlay.json" || lab_step_failed "table load"
            "$1"
        done
    done
    lab_context=
}

test_connections() {
    about "Both families' connections reach the proxy through its own tunnel devices; GSO packets leave whole, or are cut."
    each connections
}
connections() {
    check "the director says how packets leave" is "$kind" \
        "$(quietly_on director glbctl --json table show --running | jq -r '.[0].forward.kind')"
    on director ethtool -K eth0 tx on tso on gso on
    bulk "$VIP4" whole
    bulk "[$VIP6]" whole
    on director ethtool -K eth0 tso off gso off tx off
    bulk "$VIP4" cut
    bulk "[$VIP6]" cut
}

test_bytes() {
    about "Each packet leaves as glbctl encap says: headers, DSCP and ECN of the client, lengths, flow labels."
    # A capture has packets as they are on the wire.
    on director ethtool -K eth0 tso off gso off tx off
    each bytes
}
bytes() {
    local filter count
    case $kind-$underlay in
        gre-*) filter='proto gre or ip6 proto 47' ;;
        ipip-v4) filter='ip proto 4 or ip proto 41' ;;
        ipip-v6) filter='ip6 proto 4 or ip6 proto 41' ;;
    esac
    glb-packets flows --out "$lab_work/flows.pcap" --packets 400 --flows 100 --to "$VIP4:80,[$VIP6]:80" --dst-mac "$(mac director)"
    # Every DSCP and ECN field in turn.
    marked "$lab_work/flows.pcap" "$lab_work/in.pcap"
    rm -f "$lab_work/director.conf"
    on director glbctl config show --file "$lab_work/director.conf"
    quietly_on director glbctl --json encap "$lab_work/in.pcap" "$lab_work/want.pcap" --table "$lab_work/$kind-$underlay.json" \
        --config "$lab_work/director.conf" >"$lab_work/encap.json"
    count=$(jq .encapsulated_packets "$lab_work/encap.json")
    check "encap sends all" is 400 "$count"
    begin
    capture proxy1 "$lab_work/got.pcap" "$filter"
    on client tcpreplay -i eth0 --topspeed --preload-pcap "$lab_work/in.pcap" >"$lab_work/replay" 2>&1
    captured "$count"
    check "what was sent is the same, byte for byte" glb-packets diff --ignore-ethernet "$lab_work/want.pcap" "$lab_work/got.pcap"
    counted "encapsulated_bytes=+$(jq .encapsulated_bytes "$lab_work/encap.json") encapsulated_packets=+400"
}

# marked IN OUT: the frames with another TOS or traffic class each, IPv4 header checksums included.
marked() {
    python3 - "$1" "$2" <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], 'rb').read())
at, number = 24, 0
while at < len(data):
    length, = struct.unpack_from('<I', data, at + 8)
    ip = at + 16 + 14
    tos = number * 7 & 255
    if data[ip] >> 4 == 4:
        data[ip + 1] = tos
        data[ip + 10:ip + 12] = b'\0\0'
        total = sum(struct.unpack_from('>10H', data, ip))
        while total >> 16:
            total = (total & 0xffff) + (total >> 16)
        struct.pack_into('>H', data, ip + 10, total ^ 0xffff)
    else:
        data[ip] = 0x60 | tos >> 4
        data[ip + 1] = data[ip + 1] & 15 | (tos & 15) << 4
    at += 16 + length
    number += 1
open(sys.argv[2], 'wb').write(data)
END
}

test_dscp_rules() {
    about "A routing rule that names a DSCP holds for what leaves with the client's DSCP, and for nothing else."
    each dscp_rules
}
dscp_rules() {
    local family=-4 to=10.1.0.1 by=10.1.0.2
    [ "$underlay" = v4 ] || family=-6 to=fd01::1 by=fd01::2
    on director ip $family rule add pref 100 tos 0x10 table 100
    on director ip $family route replace default via $by dev eth0 onlink table 100
    on director ip $family neigh replace $by lladdr "$(mac proxy2)" dev eth0 nud permanent
    on director ip $family neigh replace $to lladdr "$(mac proxy1)" dev eth0 nud permanent
    goes_to "without a DSCP" 0x00 proxy1
    goes_to "with it" 0x10 proxy2
    goes_to "without it again" 0x00 proxy1
    goes_to "with ECN alone" 0x02 proxy1
    on director ip $family rule del pref 100
    goes_to "the rule is gone" 0x10 proxy1
}

test_protocol_rules() {
    about "A routing rule that names the outer protocol holds for the packets that leave by it, and for no others to that proxy."
    each protocol_rules
}
protocol_rules() {
    local family=-4 by=10.1.0.2 protocol=4 other=41
    [ "$underlay" = v4 ] || family=-6 by=fd01::2
    [ "$kind" = ipip ] || protocol=47 other=17
    on director ip $family route replace default via $by dev eth0 onlink table 100
    on director ip $family neigh replace $by lladdr "$(mac proxy2)" dev eth0 nud permanent
    on director ip $family rule add pref 100 ipproto $protocol table 100
    goes_to "IPv4 by the rule's protocol" 0 proxy2
    if [ "$kind" = ipip ]; then
        goes_to "IPv6 by another" 0 proxy1 "$VIP6"
        goes_to "IPv4 again" 0 proxy2
    fi
    on director ip $family rule del pref 100
    on director ip $family rule add pref 100 ipproto $other table 100
    goes_to "the rule names another protocol" 0 proxy1
    on director ip $family rule del pref 100
}

# goes_to WHAT TOS HOST [VIP]: a client's packet with this TOS reaches this host, once.
goes_to() {
    local other=proxy1 packet="ip('10.11.12.13', '$VIP4', tcp(1234, 80, 'A'), tos=$2)"
    [ "$3" = proxy2 ] || other=proxy2
    [ -z "${4:-}" ] || packet="ip('fd11::1', '$4', tcp(1234, 80, 'A'))"
    wire "x = $packet
send('client', 'director', x)"
    check "$1: it reaches $3" wire "recv('$3', lambda p: p[-len(x):] == x)"
    check "$1: and $other not" wire "nothing('$other', lambda p: p[-len(x):] == x)"
}

lab_main "$@"
