#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# ICMP inside: errors about the size of a packet go where its connection is, all other ICMP stays.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }

# A router between client and proxy: `too_big(x)` is its error about the packet x; `sent(transport)` a packet of the VIP.
router="ROUTER = {4: '10.11.0.254', 6: 'fd11::254'}
sent = lambda transport, **more: ip(VIP[i], GHOST[i], transport, **more)
too_big = lambda x: ip(ROUTER[i], VIP[i], icmp(*((3, 4) if i == 4 else (2, 0)), rest=struct.pack('!I', 1280), payload=x))"

test_size_of_local() {
    about "An error about a packet of a connection that is here stays, and the kernel learns the smaller MTU from it."
    everywhere size_of_local
}
size_of_local() {
    quietly_wire "$router"
    wire "l = listener('proxy1', VIP[i], 8100); p = port(); to1(of(tcp(p, 8100, 'S', seq=1000, options=b'\x02\x04\x05\xb4')))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8100, 'A', seq=1001, ack=a.seq + 1))); s = accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    # What is quoted must be in flight, or the kernel takes no notice.
    wire "s.send(b'x' * 400); recv('client', from_vip('PA', p))
        to1(too_big(sent(tcp(8100, p, 'PA', seq=a.seq + 1, ack=1001, payload=b'x' * 400))))"
    expect_counters proxy1 accepted_established=+1
    check "nothing went on to proxy2" wire "nothing('proxy2')"
    if [ "$inner" = 4 ]; then destination=10.11.12.13; else destination=fd11::13; fi
    check "the kernel has the MTU" mtu_is_known "$destination"
    quietly_on proxy1 ip route flush cache
    quietly_on proxy1 ip -6 route flush cache
    quietly_wire "reset()"
}
mtu_is_known() { quietly_on proxy1 ip route get "$1" | grep -w 'mtu 1280'; }

test_size_of_unknown() {
    about "An error about a connection that is not here goes on, however short its quote is."
    everywhere size_of_unknown
}
size_of_unknown() {
    quietly_wire "$router"
    local quote
    for quote in 40 28 24; do
        wire "k = $quote + (20 if i == 6 else 0)
            x = by1(too_big(sent(tcp(8100, port(), 'A', payload=b'x' * 900))[:k])); send('director', 'proxy1', x)"
        check "quote of $quote bytes (20 more in IPv6): proxy2 gets it" wire "expect('proxy2', moved(x))"
    done
    expect_counters proxy1 forwarded_to_alternate=+3
    expect_counters proxy2 accepted_last_resort=+3
    wire "k = 22 + (20 if i == 6 else 0); to1(too_big(sent(tcp(8100, port(), 'A'))[:k]))"
    expect_counters proxy1 dropped_truncated=+1
}

test_direction() {
    about "The quote is the proxy's own packet: its addresses and ports are looked up reversed."
    everywhere direction
}
direction() {
    quietly_wire "$router"
    wire "l = listener('proxy1', VIP[i], 8100); p = port(); to1(of(tcp(p, 8100, 'S', seq=1000, options=b'\x02\x04\x05\xb4')))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8100, 'A', seq=1001, ack=a.seq + 1))); accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    wire "x = by1(too_big(of(tcp(p, 8100, 'A')))); send('director', 'proxy1', x)"
    check "a quote of the client's packet is no connection: it goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

test_quoted_headers() {
    about "Options, extension headers and fragments of the quoted packet are understood; a later fragment has no ports and stays."
    everywhere quoted_headers
}
quoted_headers() {
    quietly_wire "$router"
    wire "more = dict(options=b'\\x01' * 12) if i == 4 else dict(extensions=[(0, bytes(8)), (60, bytes(16))])
        x = by1(too_big(sent(tcp(8100, port(), 'A'), **more))); send('director', 'proxy1', x)"
    check "with options: proxy2 gets it" wire "expect('proxy2', moved(x))"
    wire "x = by1(too_big(sent(tcp(8100, port(), 'A', payload=bytes(100)), fragment=(0, True, 0, 64)))); send('director', 'proxy1', x)"
    check "a first fragment: proxy2 gets it" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+2
    wire "to1(too_big(sent(tcp(8100, port(), 'A', payload=bytes(100)), fragment=(64, False, 64, 120))))"
    expect_counters proxy1 accepted_icmp=+1
    wire "to1(too_big(sent(udp(443, port(), bytes(100)))))"
    expect_counters proxy1 accepted_icmp=+1
}

test_other_icmp() {
    about "All other ICMP stays: echo, other errors, other codes. The kernel answers an echo request."
    everywhere other_icmp
}
other_icmp() {
    quietly_wire "$router"
    wire "to1(of(icmp(8 if i == 4 else 128, 0, rest=b'\\x12\\x34\\0\\1', payload=b'ping')))"
    check "the answer goes to the client" wire "recv('client', lambda x: x[-4:] == b'ping' and x[0] >> 4 == i)"
    wire "x = sent(tcp(8100, port(), 'A'))
        [to1(ip(ROUTER[i], VIP[i], icmp(*what, payload=x))) for what in \
            ([(3, 0), (3, 1), (3, 3), (11, 0), (12, 0), (4, 4), (0, 0)] if i == 4 else [(1, 0), (1, 4), (3, 0), (4, 1), (129, 0), (3, 4)])]"
    expect_counters proxy1 accepted_icmp=+$((inner == 4 ? 8 : 7))
    check "nothing went on to proxy2" wire "nothing('proxy2')"
}

test_broken_quote() {
    about "An error about size whose quote is no packet of the family is dropped."
    everywhere broken_quote
}
broken_quote() {
    quietly_wire "$router"
    wire "to1(too_big(b'\\xff' * 60)); to1(too_big(ip(*(('fd11::13', VIP[6]) if i == 4 else ('10.11.12.13', VIP[4])), tcp(1, 2))))"
    expect_counters proxy1 dropped_inner=+2
    wire "to1(too_big(b'')); to1(too_big(b'\\x45'))"
    expect_counters proxy1 dropped_truncated=+2
}

lab_main "$@"
