#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The verdicts one by one, for every pair of families: what goes where, byte for byte, and what is counted.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }

test_unknown() {
    about "What belongs to no connection of proxy1 goes to proxy2, which is the last and answers with a reset."
    everywhere unknown
}
unknown() {
    local flags
    for flags in A PA FA R RA F '' PU; do
        wire "p = port(); x = by1(of(tcp(p, 80, '$flags', seq=77, ack=99, payload=b'data')), ttl=7, sport=0xffff)
              send('director', 'proxy1', x)"
        check "flags '$flags': proxy2 gets it, moved" wire "expect('proxy2', moved(x))"
    done
    check "the unknown ACK with data is answered with a reset" wire "to1(of(tcp(4444, 80, 'A', ack=99)))
        expect('proxy2', moved(by1(of(tcp(4444, 80, 'A', ack=99)))))
        recv('client', from_vip('R', 4444))"
    expect_counters proxy1 forwarded_to_alternate=+9 forwarded_bytes=+"$(bytes_of 'len(x) * 8 + len(by1(of(tcp(4444, 80))))')"
    expect_counters proxy2 accepted_last_resort=+9
}

test_syn() {
    about "Every packet with SYN stays, whatever else it has; without a listener the kernel answers with a reset."
    everywhere syn
}
syn() {
    wire "p = port(); to1(of(tcp(p, 80, 'S')))"
    check "nobody listens: reset" wire "recv('client', from_vip('RA', p))"
    expect_counters proxy1 accepted_syn=+1
    wire "to1(of(tcp(port(), 80, 'SA'))); to1(of(tcp(port(), 80, 'SF'))); to1(of(tcp(port(), 80, 'SR')))
        to1(of(tcp(port(), 80, 'SFRPAU')))"
    expect_counters proxy1 accepted_syn=+4
    check "nothing went on to proxy2" wire "nothing('proxy2')"
    expect_counters proxy2
}

test_established() {
    about "A connection that the client's kernel made through the director stays where it is, wherever its packets go first."
    everywhere established
}
established() {
    wire "steer(P1[o], P2[o]); l = listener('proxy1', VIP[i], 8080); c = connect('client', CLIENT[i], VIP[i], 8080)"
    check "the connection is there" wire "s = accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    check "data to the proxy" wire "says(c, s)"
    check "data to the client" wire "says(s, c)"
    expect_counters proxy1 accepted_established=+1..4
    # From here on the director sends everything to proxy2 first.
    wire "reset_captures(); steer(P2[o], P1[o]); says(c, s, b'more')"
    check "proxy1 gets it from proxy2" wire "g = recv('proxy1'); same(packed(P2[o]), outer_src(g)); same(1, g[outer(g) + 14])"
    expect_counters proxy2 forwarded_to_alternate=+1..3 forwarded_bytes=+60..500
    expect_counters proxy1 accepted_established=+1..3
    check "a second connection is proxy2's" wire "l2 = listener('proxy2', VIP[i], 8080)
        c2 = connect('client', CLIENT[i], VIP[i], 8080); s2 = accepted(l2); says(c2, s2); says(s2, c2)"
    expect_counters proxy2 accepted_syn=+1 accepted_established=+2..4 forwarded_to_alternate=+0..1
    expect_counters proxy1 accepted_established=+0..1
    check "the first one still works" wire "says(c, s, b'still here'); says(s, c, b'me too')"
    check "the first one ends in order" wire "c.close(); pump(lambda: eof(s))"
    quietly_wire "reset()"
}

test_time_wait() {
    about "A connection in TIME_WAIT is still the proxy's: its last packets stay."
    everywhere time_wait
}
time_wait() {
    wire "l = listener('proxy1', VIP[i], 8081); p = port(); to1(of(tcp(p, 8081, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8081, 'A', seq=1001, ack=a.seq + 1)))
        accepted(l).close(); recv('client', from_vip('FA', p))
        to1(of(tcp(p, 8081, 'FA', seq=1001, ack=a.seq + 2))); recv('client', from_vip('A', p))"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+2
    check "proxy1 has it in TIME_WAIT" is TIME-WAIT "$(states proxy1 "8081 and dport = $(bytes_of p)")"
    wire "to1(of(tcp(p, 8081, 'FA', seq=1001, ack=a.seq + 2)))"
    check "the last packet again is acknowledged again" wire "recv('client', from_vip('A', p))"
    expect_counters proxy1 accepted_established=+1
    wire "to1(of(tcp(port(), 8081, 'FA', seq=1001, ack=a.seq + 2)))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}
# states HOST PORT: the states of the TCP sockets of the port, but for the listener.
states() { quietly_on "$1" ss -Htan "sport = $2" | awk '$1 != "LISTEN" { print $1 }' | sort | tr '\n' ' ' | sed 's/ $//'; }
in_state() { [ -n "$(quietly_on "$1" ss -Htan state "$2")" ]; }

test_request_socket() {
    about "The ACK that ends a handshake finds the request socket, and the connection comes up."
    everywhere request_socket
}
request_socket() {
    wire "l = listener('proxy1', VIP[i], 8082); p = port(); to1(of(tcp(p, 8082, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); same(1001, a.ack)"
    check "proxy1 has a request" in_state proxy1 syn-recv
    expect_counters proxy1 accepted_syn=+1
    wire "to1(of(tcp(p + 1, 8082, 'A', seq=1001, ack=a.seq + 1)))"
    expect_counters proxy1 forwarded_to_alternate=+1
    wire "to1(of(tcp(p, 8082, 'A', seq=1001, ack=a.seq + 1)))"
    check "the connection is there" wire "s = accepted(l); port()"
    expect_counters proxy1 accepted_established=+1
    wire "to1(of(tcp(p, 8082, 'PA', seq=1001, ack=a.seq + 1, payload=b'hello')))"
    check "and takes data" wire "hears(s, b'hello')"
    expect_counters proxy1 accepted_established=+1
    quietly_wire "reset()"
}

test_listener_alone() {
    about "A listener alone keeps no ACK: without a SYN cookie that is no connection."
    everywhere listener_alone
}
listener_alone() {
    wire "l = listener('proxy1', VIP[i], 8083); p = port(); x = by1(of(tcp(p, 8083, 'A'))); send('director', 'proxy1', x)"
    check "it goes on to proxy2" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

test_last_resort() {
    about "With no hop left the packet stays: no list, a list that is used up, an index beyond it."
    everywhere last_resort
}
last_resort() {
    wire "x = of(tcp(port(), 80, 'A'))
        send('director', 'proxy1', tunnel(P1[o], x)); send('director', 'proxy1', by1(x, index=1))
        send('director', 'proxy1', by1(x, index=2)); send('director', 'proxy1', by1(x, index=255))"
    expect_counters proxy1 accepted_last_resort=+4
    check "nothing went on to proxy2" wire "nothing('proxy2')"
}

test_self() {
    about "A hop that is the packet's own destination is this proxy: it stays. Any other address of the proxy is a hop."
    everywhere to_self
}
to_self() {
    wire "x = of(tcp(port(), 80, 'A')); send('director', 'proxy1', tunnel(P1[o], x, [P1[o], P2[o]]))"
    expect_counters proxy1 forwarded_to_self=+1
    check "nothing went on to proxy2" wire "nothing('proxy2')"
    if [ "$underlay" = 4 ]; then other=10.1.0.111; else other=fd01::111; fi
    ip_on proxy1 <<<"addr add $other dev eth0$([ "$underlay" = 4 ] || echo ' nodad')"
    wire "t = tunnel(P1[o], x, ['$other', P2[o]]); send('director', 'proxy1', t)"
    check "by way of its other address it goes on to proxy2" wire "expect('proxy2', moved(moved(t)))"
    expect_counters proxy1 forwarded_to_alternate=+2
    ip_on proxy1 <<<"addr del $other dev eth0"
}

test_udp_inside() {
    about "UDP inside stays and reaches its socket."
    everywhere udp_inside
}
udp_inside() {
    wire "u = udp_socket('proxy1', VIP[i], 443); to1(of(udp(port(), 443, b'quic')))"
    check "the socket has it" wire "same(b'quic', u.recv(100))"
    expect_counters proxy1 accepted_udp=+1
    quietly_wire "reset()"
}

test_other_protocols() {
    about "What is neither TCP, UDP nor ICMP of its family is dropped."
    everywhere other_protocols
}
other_protocols() {
    wire "to1(of(raw(47, bytes(40)))); to1(of(raw(132, bytes(40)))); to1(of(raw(4, bytes(40))))
        to1(of(raw(58 if i == 4 else 1, bytes(40)))); to1(of(raw(59)))"
    expect_counters proxy1 dropped_inner_protocol=+5
    check "nothing went on to proxy2" wire "nothing('proxy2')"
}

test_no_conntrack() {
    about "Nothing of this depends on connection tracking: with NOTRACK, and with tracking of everything."
    on proxy1 iptables -t raw -A PREROUTING -p udp --dport "$GUE_PORT" -j CT --notrack
    on proxy1 ip6tables -t raw -A PREROUTING -p udp --dport "$GUE_PORT" -j CT --notrack
    everywhere listener_alone
    on proxy1 iptables -t raw -F
    on proxy1 ip6tables -t raw -F
    on proxy1 iptables -I INPUT -m conntrack --ctstate INVALID -j DROP
    on proxy1 ip6tables -I INPUT -m conntrack --ctstate INVALID -j DROP
    on proxy1 iptables -A OUTPUT -m conntrack --ctstate INVALID -j DROP
    on proxy1 ip6tables -A OUTPUT -m conntrack --ctstate INVALID -j DROP
    everywhere listener_alone
    everywhere established
    on proxy1 iptables -D INPUT 1
    on proxy1 ip6tables -D INPUT 1
    on proxy1 iptables -F OUTPUT
    on proxy1 ip6tables -F OUTPUT
}

lab_main "$@"
