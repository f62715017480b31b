#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# --udp: a datagram stays only where a connected socket has its addresses and ports. redirect-door-udp.sh is this file by another
# name, and is about the door.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() {
    redirect_clients
    proxy proxy1 10.1.0.1 fd01::1 --udp
    proxy proxy2 10.1.0.2 fd01::2 --udp
    unhurried proxy1 proxy2
}

# stays WHY: a datagram from port p to port 443 stays on proxy1.
stays() {
    wire "to1(of(udp(p, 443, b'quic')))"
    expect_counters proxy1 accepted_udp_connected=+1
    check "$1: proxy2 gets nothing" wire "nothing('proxy2')"
}

# goes_on WHY COUNTER: it is passed on to proxy2, which counts it so.
goes_on() {
    wire "x = by1(of(udp(p, 443, b'quic'))); send('director', 'proxy1', x)"
    check "$1: proxy2 gets it, moved" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_udp=+1 forwarded_bytes=+"$(bytes_of 'len(x)')"
    expect_counters proxy2 "$2=+1"
}

test_connected() {
    about "A datagram stays where a connected socket has it, and reaches that socket; wherever it comes first."
    everywhere connected
}
connected() {
    wire "p = port(); u = udp_socket('proxy1', VIP[i], 443); u.connect((GHOST[i], p))"
    stays "a connected socket on proxy1"
    check "the socket has it" wire "same(b'quic', u.recv(100))"
    wire "p = port(); v = udp_socket('proxy2', VIP[i], 443); v.connect((GHOST[i], p))"
    goes_on "a connected socket on proxy2" accepted_udp_connected
    check "that socket has it" wire "same(b'quic', v.recv(100))"
    quietly_wire "reset()"
}

test_not_connected() {
    about "A socket that is not connected takes what no connected one has at the end of the list, and nothing before."
    everywhere not_connected
}
not_connected() {
    wire "p = port(); u = udp_socket('proxy1', VIP[i], 443); v = udp_socket('proxy2', VIP[i], 443)"
    goes_on "a socket on the VIP of both" accepted_udp
    check "that of proxy2 has it" wire "same(b'quic', v.recv(100))"
    wire "to1(of(udp(p, 443, b'last')), index=1)"
    expect_counters proxy1 accepted_udp=+1
    check "with no hop left that of proxy1 has it" wire "same(b'last', u.recv(100))"
    quietly_wire "reset()"
    wire "u = udp_socket('proxy1', '0.0.0.0' if i == 4 else '::', 443)"
    goes_on "a socket on any address of proxy1" accepted_udp
    quietly_wire "reset()"
}

test_beside() {
    about "Beside connected sockets one that is not: each datagram goes where its connection is, those of new ones on."
    everywhere beside
}
beside() {
    # As servers of QUIC do: one socket for all, and one that is connected for each client.
    wire "p, q = port(), port(); s, c = [udp_socket('proxy1', VIP[i], 443, shared=True) for n in range(2)]; c.connect((GHOST[i], p))"
    stays "the client of the connected socket"
    check "it has it" wire "same(b'quic', c.recv(100))"
    wire "p = q"
    goes_on "another client" accepted_udp
    quietly_wire "reset()"
}

test_nobody() {
    about "A datagram for nobody ends at the end of the list, whose kernel says that nobody is there."
    everywhere nobody
}
nobody() {
    wire "p = port(); unreachable = lambda packet: packet[0] >> 4 == i and (packet[9], packet[20]) == (1, 3) \
            if i == 4 else packet[0] >> 4 == i and (packet[6], packet[40]) == (58, 1)"
    goes_on "nobody" accepted_udp
    check "the client is told" wire "recv('client', unreachable)"
    quietly_wire "reset()"
}

test_device() {
    about "A connected socket that is bound to the tunnel's device counts; one that is bound to another device does not."
    everywhere on_device
}
on_device() {
    case $underlay$inner in
        44) device=tunl0 ;;
        46) device=sit0 ;;
        *) device=ip6tnl0 ;;
    esac
    wire "p = port(); u = udp_socket('proxy1', VIP[i], 443); u.setsockopt(1, 25, b'eth0'); u.connect((GHOST[i], p))"
    goes_on "on the underlay's device" accepted_udp
    # A socket on the tunnel's device needs a route there to connect.
    if [ "$inner" = 4 ]; then route=10.11.0.0/16; else route=fd11::/16; fi
    ip_on proxy1 <<<"route add $route dev $device metric 4000"
    quietly_wire "reset()"
    wire "u = udp_socket('proxy1', VIP[i], 443); u.setsockopt(1, 25, b'$device'); u.connect((GHOST[i], p))"
    stays "on the tunnel's device"
    ip_on proxy1 <<<"route del $route dev $device metric 4000"
    quietly_wire "reset()"
}

test_dual_stack() {
    about "A socket of IPv6 that is connected to an IPv4 address counts for IPv4."
    everywhere dual_stack
}
dual_stack() {
    [ "$inner" = 4 ] || return 0
    wire "p = port(); u = udp_socket('proxy1', '::ffff:' + VIP[i], 443); u.connect(('::ffff:' + GHOST[i], p))"
    stays "a socket of both families"
    check "it has it" wire "same(b'quic', u.recv(100))"
    quietly_wire "reset()"
}

test_errors() {
    about "An ICMP error about the size of a datagram goes where the connected socket is that sent it; all other ICMP stays."
    everywhere errors
}
errors() {
    wire "ROUTER = {4: '10.11.0.254', 6: 'fd11::254'}
        sent = lambda: ip(VIP[i], GHOST[i], udp(443, p, b'x' * 400))
        error = lambda kind, code: ip(ROUTER[i], VIP[i], icmp(kind, code, rest=struct.pack('!I', 1280), payload=sent()))
        too_big = lambda: error(*((3, 4) if i == 4 else (2, 0)))
        p = port(); u = udp_socket('proxy1', VIP[i], 443); u.connect((GHOST[i], p)); to1(too_big())"
    expect_counters proxy1 accepted_udp_connected=+1
    wire "p = port(); x = by1(too_big()); send('director', 'proxy1', x)"
    check "of a flow that is not here: proxy2 gets it" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_udp=+1
    expect_counters proxy2 accepted_udp=+1
    wire "to1(error(*((3, 3) if i == 4 else (1, 4))))"
    expect_counters proxy1 accepted_icmp=+1
    check "another error stays" wire "nothing('proxy2')"
    quietly_on proxy1 ip route flush cache
    quietly_on proxy1 ip -6 route flush cache
    quietly_wire "reset()"
}

test_fragments() {
    about "The later fragments of a datagram follow the first one, on and here; without a first they stay."
    everywhere in_fragments
}
in_fragments() {
    wire "pieces = lambda n: [by1(of(udp(p, 443, b'x' * 200), ident=n + 100 * o, fragment=part)) \
            for part in ((0, True, 0, 64), (64, True, 64, 128), (128, False, 128, 208))]
        p = port(); xs = pieces(2001); send('director', 'proxy1', *xs)"
    check "all go on" wire "expect('proxy2', *[moved(x) for x in xs])"
    expect_counters proxy1 forwarded_udp=+3 forwarded_bytes=+"$(bytes_of 'sum(map(len, xs))')"
    expect_counters proxy2 accepted_udp=+1 accepted_fragment=+2
    wire "u = udp_socket('proxy1', VIP[i], 443); u.connect((GHOST[i], p)); send('director', 'proxy1', *pieces(2002))"
    expect_counters proxy1 accepted_udp_connected=+1 accepted_fragment=+2
    check "the socket has the whole" wire "same(b'x' * 200, u.recv(1000))"
    wire "send('director', 'proxy1', *pieces(2003)[1:])"
    expect_counters proxy1 accepted_fragment=+2
    check "nothing went on" wire "nothing('proxy2')"
    quietly_wire "reset()"
}

test_tcp() {
    about "TCP is what it was: a SYN stays, and an unknown ACK goes on."
    everywhere tcp_is_as_ever
}
tcp_is_as_ever() {
    wire "to1(of(tcp(port(), 443, 'S'))); x = by1(of(tcp(port(), 443, 'A'))); send('director', 'proxy1', x)"
    check "the ACK goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 accepted_syn=+1 forwarded_to_alternate=+1
    expect_counters proxy2 accepted_last_resort=+1
}

lab_main "$@"
