#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The director's way to a proxy. It remembers routes, so what matters is that nothing old is remembered: settings, routes and
# neighbours change between one packet and the next.
#
#   client ---> director ===GUE===> proxy1, proxy2
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"

setup() {
    host client 10.11.12.13 fd11::13
    host director 65.65.65.65 fd65::65
    host proxy1 3.4.5.6 fd01::2
    host proxy2 2.3.4.5 fd01::1
    modprobe rust_glb_director
    proxies "$lab_work/v4.json" "$SEED" 3.4.5.6 2.3.4.5
    proxies "$lab_work/v6.json" "$SEED" fd01::2 fd01::1
    on director glbctl attach eth0
    wire "x = ip('10.11.12.13', '$VIP4', tcp(45678, 80, 'A'))
y = lambda src: tunnel(to, x, [other], sport=0x8000 | ((0x5cbd ^ 45678) & 0x7fff), src=src)"
}

# goes WHAT HOST [SOURCE]: the packet reaches this host's device, sent to proxy1's address.
goes() { check "$1" wire "send('client', 'director', x); expect('$2', y($([ $# = 2 ] && echo None || echo "'$3'")))"; }

# both FUNCTION: with an IPv4 underlay, then with an IPv6 one. The packet's row begins with proxy1, whose address is $to.
both() {
    family=-4 to=3.4.5.6 other=2.3.4.5 own=65.65.65.65 else=65.65.65.99 length=32
    on director glbctl table load "$lab_work/v4.json"
    wire "to, other = '$to', '$other'"
    lab_context="in IPv4: "
    "$1"
    family=-6 to=fd01::2 other=fd01::1 own=fd65::65 else=fd65::99 length=128
    on director glbctl table load "$lab_work/v6.json"
    wire "to, other = '$to', '$other'"
    lab_context="in IPv6: "
    "$1"
    lab_context=
}

test_source() {
    about "The source address is the settings', at once, and the route's own where the settings have none."
    both source_changes
}
source_changes() {
    goes "the route's own" proxy1
    on director glbctl config set --source-v4 65.65.65.99 --source-v6 fd65::99
    goes "the settings'" proxy1 "$else"
    goes "and of the next packet" proxy1 "$else"
    on director glbctl config set --source-v4 none --source-v6 none
    goes "the route's own again" proxy1
    on director ip "$family" addr add "$else/$length" dev eth0 nodad
    on director ip "$family" route replace "$to/$length" dev eth0 src "$else"
    goes "another source of the route" proxy1 "$else"
    on director ip "$family" route del "$to/$length"
    on director ip "$family" addr del "$else/$length" dev eth0
    goes "and the first one" proxy1
}

test_route() {
    about "A changed route is taken with the next packet: another gateway, none, and back."
    both route_changes
}
route_changes() {
    begin
    goes "straight to proxy1" proxy1
    on director ip "$family" route replace "$to/$length" via "$other" dev eth0 onlink
    goes "by way of proxy2" proxy2
    goes "the next one too" proxy2
    on director ip "$family" route replace unreachable "$to/$length"
    wire "send('client', 'director', x)
send('client', 'director', x)"
    # IPv6 keeps both.
    on director ip "$family" route flush "$to/$length"
    goes "straight to proxy1 again" proxy1
    check "nothing else came" wire "nothing('proxy1'); nothing('proxy2')"
    counted "$(printf 'dropped_no_route_packets=+2 encapsulated_bytes=+%d encapsulated_packets=+4' $((4 * (family == -4 ? 80 : 112))))"
}

test_neighbour() {
    about "A neighbour's new link address is taken with the next packet."
    both neighbour_changes
}
neighbour_changes() {
    goes "to proxy1" proxy1
    on director ip "$family" neigh replace "$to" lladdr "$(mac proxy2)" dev eth0 nud permanent
    goes "to proxy2's link address" proxy2
    on director ip "$family" neigh replace "$to" lladdr "$(mac proxy1)" dev eth0 nud permanent
    goes "to proxy1's" proxy1
}

test_ipsec() {
    about "What an IPsec policy wants encrypted is encrypted, whether it names ports or not, and is sent plainly again when the policy goes."
    quietly_on director ip xfrm policy || { skip "this kernel has no IPsec"; return; }
    both ipsec
}
ipsec() {
    local ports
    for ports in "" "dport $GUE_PORT"; do
        goes "plain" proxy1
        ip_on director <<END
xfrm state add src $own dst $to proto esp spi 0x100 mode transport enc ecb(cipher_null) "" auth hmac(sha1) 0x0123456789012345678901234567890123456789
xfrm policy add src $own/$length dst $to/$length proto udp $ports dir out tmpl src $own dst $to proto esp mode transport
END
        wire "send('client', 'director', x)"
        check "policy for ${ports:-udp}: in ESP, which hides nothing here" wire "p = recv('proxy1', lambda p: p[9 if p[0] >> 4 == 4 else 6] == 50)
want = y(None)[outer(y(None)):]; at = outer(y(None)) + 8; same(want, p[at:at + len(want)])"
        check "and not plain" wire "nothing('proxy1')"
        ip_on director <<END
xfrm policy delete src $own/$length dst $to/$length proto udp $ports dir out
xfrm policy add src $own/$length dst $to/$length proto udp dport 9 dir out tmpl src $own dst $to proto esp mode transport
END
        goes "a policy for another port does not concern it" proxy1
        ip_on director <<END
xfrm policy delete src $own/$length dst $to/$length proto udp dport 9 dir out
xfrm state delete src $own dst $to proto esp spi 0x100
END
    done
    goes "plain again" proxy1
}

# by_proxy2 TABLE: the routes of this table lead to proxy2, in both families.
by_proxy2() {
    ip_on director <<END
route replace default via 2.3.4.5 dev eth0 onlink table $1
route replace default via fd01::1 dev eth0 onlink table $1
END
}

test_rules() {
    about "A routing rule that names the tunnel's ports, protocol or mark, or the namespace's root, is followed."
    by_proxy2 77
    both rules
}
rules() {
    local rule
    for rule in "ipproto udp dport $GUE_PORT" "ipproto udp sport 32768-65534" "iif lo sport 32768-65534" "ipproto udp" "uidrange 0-0"; do
        goes "straight to proxy1" proxy1
        # shellcheck disable=SC2086 # Several words.
        on director ip "$family" rule add pref 100 $rule table 77
        goes "$rule: by way of proxy2" proxy2
        goes "the next one too" proxy2
        on director ip "$family" rule del pref 100
    done
    for rule in "ipproto udp dport 9" "ipproto udp sport 1-32767" "ipproto tcp" "uidrange 1-9999" "fwmark 7"; do
        # shellcheck disable=SC2086
        on director ip "$family" rule add pref 100 $rule table 77
        goes "$rule does not concern it" proxy1
        on director ip "$family" rule del pref 100
    done
}

test_mark() {
    about "A packet that has a mark when it comes in is routed by it, and those without are not."
    by_proxy2 77
    both mark
}
mark() {
    on director ip "$family" rule add pref 100 fwmark 7 table 77
    goes "without a mark, straight to proxy1" proxy1
    on director nft 'add table netdev marks; add chain netdev marks in { type filter hook ingress device eth0 priority -10; }; add rule netdev marks in meta mark set 7'
    goes "with the mark, by way of proxy2" proxy2
    on director nft delete table netdev marks
    goes "without it again" proxy1
    on director ip "$family" rule del pref 100
}

test_vrf() {
    about "A director in a routing domain (VRF) uses the domain's routes."
    ip_on director <<END
link add vrf1 type vrf table 10
link set vrf1 up
link set eth0 master vrf1
addr replace fd65::65/128 dev eth0 nodad
END
    by_proxy2 10
    both domain
    ip_on director <<END
link set eth0 nomaster
link del vrf1
addr replace fd65::65/128 dev eth0 nodad
route replace default dev eth0 src 65.65.65.65
route replace default dev eth0 src fd65::65
END
}
domain() {
    goes "by the domain's gateway" proxy2
    goes "the next one too" proxy2
}

test_encapsulating_routes() {
    about "A route that wants a label or a segment header in front gets it: packets take the IP layer's way out."
    modprobe mpls_iptunnel 2>/dev/null || { skip "this kernel has no MPLS"; return; }
    capture proxy1 "$lab_work/mpls.pcap" mpls
    both labelled
    captured 0
    check "each packet had its label" is "4 4" \
        "$(tcpdump -nr "$lab_work/mpls.pcap" 2>/dev/null | grep -c 'MPLS (label 100,') $(tcpdump -nr "$lab_work/mpls.pcap" 2>/dev/null | grep -c "$GUE_PORT")"
}
labelled() {
    goes "plain" proxy1
    on director ip "$family" route replace "$to/$length" encap mpls 100 via "$to" dev eth0 onlink
    wire "send('client', 'director', x)
send('client', 'director', x)"
    check "and none came without" wire "nothing('proxy1')"
    on director ip "$family" route del "$to/$length" dev eth0
    goes "plain again" proxy1
}

lab_main "$@"
