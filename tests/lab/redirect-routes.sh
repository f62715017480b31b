#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A proxy's way to the next one, and the devices of its tunnels. Both are remembered, so what matters is that nothing old is:
# routes, rules, policies and names change between one packet and the next.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }

# goes WHAT HOST [WORDS]: an unknown connection's packet, which proxy1 passes on to proxy2's address, reaches HOST's device.
goes() {
    wire "x = by1(of(tcp(port(), 80, 'A')), ${3:-}); send('director', 'proxy1', x)"
    check "$1" wire "expect('$2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
}
# lost [WORDS]: such a packet is dropped.
lost() {
    wire "send('director', 'proxy1', by1(of(tcp(port(), 80, 'A')), ${1:-}))"
    expect_counters proxy1 dropped_no_route=+1
}

# names: proxy2's address as $to, and what else the underlay's family decides.
names() {
    if [ "$underlay" = 4 ]; then
        family=-4 own=10.1.0.1 to=10.1.0.2 client=10.2.0.1 length=32
    else
        family=-6 own=fd01::1 to=fd01::2 client=fd02::1 length=128
    fi
}

test_route() {
    about "A changed route is taken with the next packet: another gateway, none, and back."
    for_underlays route_changes
}
route_changes() {
    names
    goes "straight to proxy2" proxy2
    on proxy1 ip "$family" route replace "$to/$length" via "$client" dev eth0 onlink
    goes "by way of the client" client
    goes "the next one too" client
    on proxy1 ip "$family" route flush "$to/$length"
    on proxy1 ip "$family" route add unreachable "$to/$length"
    lost
    lost
    on proxy1 ip "$family" route flush "$to/$length"
    goes "straight to proxy2 again" proxy2
    check "nothing else came" wire "nothing('proxy2')"
}

test_rule_for_a_port() {
    about "A rule that looks at ports is asked for each packet, and for none when it is gone."
    for_underlays rule_for_a_port
}
rule_for_a_port() {
    names
    goes "without the rule: a packet from port 4000" proxy2 sport=4000
    on proxy1 ip "$family" route add unreachable default table 100
    on proxy1 ip "$family" rule add to "$to/$length" ipproto udp sport 4000 table 100
    lost sport=4000
    goes "from another port" proxy2 sport=4001
    lost sport=4000
    goes "from another port, again" proxy2 sport=4001
    on proxy1 ip "$family" rule del to "$to/$length" ipproto udp sport 4000 table 100
    on proxy1 ip "$family" route flush table 100
    goes "without the rule again" proxy2 sport=4000
}

test_rule_for_a_mark() {
    about "A rule for marked packets takes the marked ones, and no others."
    for_underlays rule_for_a_mark
}
rule_for_a_mark() {
    names
    on proxy1 ip "$family" route add unreachable default table 100
    on proxy1 ip "$family" rule add fwmark 7 table 100
    on proxy1 nft 'table inet marks { chain c { type filter hook input priority mangle; udp sport 4000 meta mark set 7; }; }'
    goes "not marked" proxy2 sport=4001
    lost sport=4000
    goes "not marked, again" proxy2 sport=4001
    lost sport=4000
    on proxy1 nft delete table inet marks
    on proxy1 ip "$family" rule del fwmark 7 table 100
    on proxy1 ip "$family" route flush table 100
    goes "no rule" proxy2 sport=4000
}

test_ipsec() {
    about "What an IPsec policy wants encrypted is encrypted, and is sent plainly again when the policy goes."
    quietly_on proxy1 ip xfrm policy || { skip "this kernel has no IPsec"; return; }
    for_underlays ipsec
}
ipsec() {
    names
    goes "plain" proxy2
    ip_on proxy1 <<END
xfrm state add src $own dst $to proto esp spi 0x100 mode transport enc ecb(cipher_null) "" auth hmac(sha1) 0x0123456789012345678901234567890123456789
xfrm policy add src $own/$length dst $to/$length proto udp dport $GUE_PORT dir out tmpl src $own dst $to proto esp mode transport
END
    wire "x = by1(of(tcp(port(), 80, 'A'))); send('director', 'proxy1', x)"
    check "in ESP, which hides nothing here" wire "p = recv('proxy2', lambda p: p[9 if p[0] >> 4 == 4 else 6] == 50); y = moved(x)
want = y[outer(y):]; at = outer(y) + 8; same(want, p[at:at + len(want)])"
    check "and not plain" wire "nothing('proxy2')"
    expect_counters proxy1 forwarded_to_alternate=+1
    ip_on proxy1 <<END
xfrm policy delete src $own/$length dst $to/$length proto udp dport $GUE_PORT dir out
xfrm state delete src $own dst $to proto esp spi 0x100
END
    goes "plain again" proxy2
}

test_tunnel_device() {
    about "A connection is here whatever the tunnel's device is called, and while it is down, for a socket that is bound to none."
    everywhere tunnel_device
}
tunnel_device() {
    local device
    case $underlay$inner in 44) device=tunl0 ;; 46) device=sit0 ;; *) device=ip6tnl0 ;; esac
    wire "l = listener('proxy1', VIP[i], 8500); p = port(); to1(of(tcp(p, 8500, 'S', seq=1000)))
a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8500, 'A', seq=1001, ack=a.seq + 1))); s = accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    ip_on proxy1 <<<"link set $device name other"
    wire "x = by1(of(tcp(p, 8500, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    expect_counters proxy1 accepted_established=+1
    ip_on proxy1 <<END
link set other down
END
    wire "send('director', 'proxy1', x)"
    expect_counters proxy1 accepted_established=+1
    ip_on proxy1 <<END
link set other name $device up
addr replace $VIP4/32 dev tunl0
addr replace $VIP6/128 dev sit0 nodad
END
    wire "x = by1(of(tcp(port(), 8500, 'A'))); send('director', 'proxy1', x)"
    check "the packet of another connection goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

lab_main "$@"
