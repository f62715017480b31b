#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Headers of every form: what of them is understood, what is dropped and under which name, and that what goes on is
# changed where it must be and nowhere else.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }

# passes WHAT PYTHON: the packet goes on to proxy2, as the model says.
passes() {
    wire "x = $2
        send('director', 'proxy1', x)"
    check "$1: proxy2 gets it, moved" wire "expect('proxy2', moved(x))"
}
ack="of(tcp(port(), 80, 'A', payload=b'0123456789abc'))"

test_udp_checksum() {
    about "A UDP checksum of 0 stays 0; any other is updated, and is right for the new header."
    everywhere udp_checksum
}
udp_checksum() {
    passes "checksum 0" "by1($ack)"
    check "it is still 0" wire "same(b'\\0\\0', moved(x)[outer(x) + 6:outer(x) + 8])"
    passes "a checksum" "by1($ack, check=True)"
    passes "a checksum, odd length" "by1(of(tcp(port(), 80, payload=b'12345')), check=True)"
    expect_counters proxy1 forwarded_to_alternate=+3
    # Every value of the sum comes by: the carry, and the sum that is written as ffff because 0 says something else.
    wire "xs = [by1(of(tcp(port(), 80, 'A', seq=n * 2731, payload=b'ab')), check=True, sport=n * 331 & 0xffff) for n in range(200)]
        send('director', 'proxy1', *xs)"
    check "200 of them" wire "expect('proxy2', *[moved(x) for x in xs])"
    wire "z = sum_is(by1(of(tcp(port(), 80, 'A')), check=True), 0xffff); y = sum_becomes(by1(of(tcp(port(), 80, 'A')), check=True), 0xffff)
        send('director', 'proxy1', z, y)"
    check "one whose checksum is ffff, and one whose checksum becomes ffff" wire "expect('proxy2', moved(z), moved(y))"
    expect_counters proxy1 forwarded_to_alternate=+202
}

test_tcpdump_agrees() {
    about "tcpdump, which is not ours, finds the checksums of what goes on right."
    for_underlays tcpdump_agrees
}
tcpdump_agrees() {
    local pcap=$lab_work/moved$underlay.pcap
    spawn proxy2 tcpdump -Z root -U -n -i eth0 -w "$pcap" udp dst port "$GUE_PORT"
    check "tcpdump runs" eventually test -s "$pcap"
    wire "[to1(of(tcp(port(), 80, payload=bytes(n))), check=True) for n in range(20)]"
    expect_counters proxy1 forwarded_to_alternate=+20
    check "it has all 20" eventually pcap_has 20 "$pcap"
    kill "$spawned"
    tcpdump -n -vv -r "$pcap" 2>/dev/null | tee "$lab_work/text" | head -n 3
    check "all are right" is 20 "$(grep -c 'udp sum ok' "$lab_work/text")"
    check "no header checksum is bad" fails grep -q 'bad cksum' "$lab_work/text"
}

pcap_has() { [ "$(tcpdump -n -r "$2" 2>/dev/null | wc -l)" = "$1" ]; }

test_outer_options() {
    about "Options and extension headers of the outer packet are stepped over, and stay as they are."
    for_underlays outer_options
}
outer_options() {
    if [ "$underlay" = 4 ]; then
        passes "4 bytes of options" "by1($ack, options=b'\\x01' * 4)"
        passes "40 bytes of options" "by1($ack, options=b'\\x01' * 39 + b'\\0', check=True)"
        expect_counters proxy1 forwarded_to_alternate=+2
    else
        passes "hop-by-hop options" "by1($ack, extensions=[(0, b'\\0\\0\\1\\4\\0\\0\\0\\0')])"
        passes "destination options of 24 bytes" "by1($ack, extensions=[(60, b'\\0\\2\\1\\x14' + bytes(20))], check=True)"
        passes "both, in every place" "by1($ack, extensions=[(0, b'\\0\\0\\1\\4\\0\\0\\0\\0'), (60, b'\\0\\0\\1\\4\\0\\0\\0\\0'), (60, b'\\0\\0\\1\\4\\0\\0\\0\\0')])"
        expect_counters proxy1 forwarded_to_alternate=+3
    fi
}

test_outer_fragments() {
    about "A tunnel packet in fragments is put together by IPv4 before the rule sees it; of IPv6's, the rule drops the first."
    for_underlays outer_fragments
}
outer_fragments() {
    wire "t = udp(0x8123, PORT, gue(of(tcp(port(), 80, 'A', payload=bytes(400))), [P2[o]])); n = len(t.data)
        f = [ip(DIRECTOR[o], P1[o], t, ident=77, fragment=part) for part in ((0, True, 0, 200), (200, False, 200, n))]
        send('director', 'proxy1', *f)"
    if [ "$underlay" = 4 ]; then
        # The kernel sends the whole on in fragments of the size that they came in.
        check "proxy2 gets it, moved" wire "g = recv('proxy2'); same(packed(P1[o]), outer_src(g)); same(1, g[outer(g) + 14])"
        expect_counters proxy1 forwarded_to_alternate=+1
        expect_counters proxy2 accepted_last_resort=+1
    else
        # The later fragment has no UDP header, so the match for the port does not hold, and IPv6 puts nothing together.
        expect_counters proxy1 dropped_outer=+1
    fi
}

test_inner_options() {
    about "Options and extension headers inside are stepped over, and the connection behind them is found."
    everywhere inner_options
}
inner_options() {
    if [ "$inner" = 4 ]; then
        headers=("options=b'\\x01' * 4" "options=b'\\x01' * 39 + b'\\0'")
    else
        headers=("extensions=[(0, b'\\0\\0\\1\\4\\0\\0\\0\\0')]" "extensions=[(60, b'\\0\\1\\1\\x0c' + bytes(12))]"
            "extensions=[(0, b'\\0\\0\\1\\4\\0\\0\\0\\0'), (60, b'\\0\\0\\1\\4\\0\\0\\0\\0'), (44, bytes(8)), (60, b'\\0\\0\\1\\4\\0\\0\\0\\0')]")
    fi
    wire "l = listener('proxy1', VIP[i], 8200); p = port(); to1(of(tcp(p, 8200, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8200, 'A', seq=1001, ack=a.seq + 1))); s = accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    local header
    for header in "${headers[@]}"; do
        passes "unknown, $header" "by1(of(tcp(port(), 80, 'A'), $header))"
        expect_counters proxy1 forwarded_to_alternate=+1
        wire "to1(of(tcp(port(), 80, 'S'), $header))"
        expect_counters proxy1 accepted_syn=+1
        wire "to1(of(tcp(p, 8200, 'A', seq=1001, ack=a.seq + 1), $header))"
        expect_counters proxy1 accepted_established=+1
    done
    quietly_wire "reset()"
}

test_inner_fragments() {
    about "Fragments inside: the first has the ports and decides, later ones follow it; without a first they stay."
    everywhere inner_fragments
}
inner_fragments() {
    # A first fragment is remembered longer than a round takes, so each underlay has identifications of its own.
    wire "t = tcp(port(), 80, 'A', payload=bytes(200)); parts = lambda n: \
            [by1(of(t, ident=n + 100 * o, fragment=part)) for part in ((0, True, 0, 64), (64, True, 64, 128), (128, False, 128, 220))]
        xs = parts(1001); send('director', 'proxy1', *xs)"
    check "an unknown connection: all of them go on" wire "expect('proxy2', *[moved(x) for x in xs])"
    expect_counters proxy1 forwarded_to_alternate=+3
    wire "xs = parts(1002); send('director', 'proxy1', *xs[1:])"
    expect_counters proxy1 accepted_fragment=+2
    check "later ones alone: nothing went on" wire "nothing('proxy2')"
    wire "send('director', 'proxy1', xs[0], xs[2])"
    check "after the first they go on" wire "expect('proxy2', moved(xs[0]), moved(xs[2]))"
    expect_counters proxy1 forwarded_to_alternate=+2

    wire "l = listener('proxy1', VIP[i], 8200); p = port(); to1(of(tcp(p, 8200, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8200, 'A', seq=1001, ack=a.seq + 1))); s = accepted(l)
        t = tcp(p, 8200, 'PA', seq=1001, ack=a.seq + 1, payload=b'x' * 200)
        send('director', 'proxy1', *parts(1003))"
    check "a connection that is here gets the whole" wire "hears(s, b'x' * 200)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+2 accepted_fragment=+2
    wire "t = udp(port(), 443, bytes(200)); send('director', 'proxy1', *parts(1004))"
    expect_counters proxy1 accepted_udp=+3
    quietly_wire "reset()"
}

test_not_gue() {
    about "GUE of another kind is dropped: version, control, flags, type of data, lengths that contradict each other."
    everywhere not_gue
}
not_gue() {
    wire "x = $ack; bad = lambda **what: to1(x, **what)
        bad(version=1); bad(version=2); bad(version=3); bad(control=1); bad(flags=1); bad(flags=0x8000)
        bad(kind=1 if o == 4 else 0); bad(kind=2); bad(kind=0x100); bad(count=0); bad(count=2); bad(hlen=0); bad(hlen=3); bad(hlen=31)"
    expect_counters proxy1 dropped_gue=+14
    wire "[bad(proto=n) for n in (0, 1, 6, 17, 47, 50, 59, 255)]"
    expect_counters proxy1 dropped_inner=+8
    check "nothing went on to proxy2" wire "nothing('proxy2')"
}

test_not_ip() {
    about "What is no IP packet inside is dropped: another version than the tunnel says, a header that is too short."
    everywhere not_ip
}
not_ip() {
    wire "x = $ack; bad = lambda *at: to1(b''.join([x[:k] + bytes([v]) + x[k + 1:] for k, v in at]), proto=4 if i == 4 else 41)
        bad((0, 0x15)); bad((0, x[0] ^ 0x20)); bad((0, 0))"
    if [ "$inner" = 4 ]; then
        wire "bad((0, 0x44)); bad((0, 0x40)); bad((3, 19))"
        expect_counters proxy1 dropped_inner=+6
    else
        wire "to1(of(tcp(1, 2), extensions=[(60, bytes(8))] * 9))"
        expect_counters proxy1 dropped_inner=+4
    fi
    check "nothing went on to proxy2" wire "nothing('proxy2')"
}

test_truncated() {
    about "A packet that ends before a header that is needed is dropped, wherever it ends."
    everywhere truncated
}
truncated() {
    wire "x = of(tcp(port(), 80, 'A')); h = len(x) - 20; [to1(x[:n], proto=4 if i == 4 else 41) for n in range(h + 14)]"
    expect_counters proxy1 dropped_truncated=+$((inner == 4 ? 34 : 54))
    passes "with the TCP header up to its flags" "by1(of(tcp(port(), 80, 'A'))[:h + 14])"
    expect_counters proxy1 forwarded_to_alternate=+1
    # The lengths of the headers count, not the bytes that are there.
    wire "y = by1(x); short = y[:outer(y) + 4] + struct.pack('!H', 15) + y[outer(y) + 6:]; send('director', 'proxy1', short)"
    expect_counters proxy1 dropped_truncated=+1
    wire "short = y[:outer(y) + 4] + struct.pack('!H', 7) + y[outer(y) + 6:]; long = y[:outer(y) + 4] + struct.pack('!H', len(y)) + y[outer(y) + 6:]
        send('director', 'proxy1', short, long)"
    expect_counters proxy1 dropped_outer=+2
    check "nothing went on to proxy2" wire "nothing('proxy2')"
}

test_no_route() {
    about "A hop that there is no route to is counted and dropped: unreachable, blackhole, prohibit."
    for_underlays no_route
}
no_route() {
    local kind hop
    for kind in unreachable blackhole prohibit; do
        if [ "$underlay" = 4 ]; then hop=10.1.0.99; else hop=fd01::99; fi
        ip_on proxy1 <<<"route add $kind $hop"
        wire "send('director', 'proxy1', tunnel(P1[o], $ack, ['$hop', P2[o]]))"
        expect_counters proxy1 dropped_no_route=+1
        ip_on proxy1 <<<"route del $kind $hop"
    done
    check "nothing went anywhere" wire "nothing('proxy2'); nothing('client'); nothing('director')"
}

test_too_big() {
    about "A packet that does not fit the path to the hop is counted and dropped; one that just fits goes on."
    for_underlays too_big
}
too_big() {
    ip_on proxy1 <<<"route add $([ "$underlay" = 4 ] && echo 10.1.0.2 || echo fd01::2) dev eth0 mtu 1400"
    wire "sized = lambda n: by1(of(tcp(port(), 80, payload=bytes(n - len(by1(of(tcp(1, 2))))))))
        send('director', 'proxy1', sized(1401), sized(1900))"
    expect_counters proxy1 dropped_too_big=+2
    check "nothing went on to proxy2" wire "nothing('proxy2')"
    passes "1400 bytes" "sized(1400)"
    expect_counters proxy1 forwarded_to_alternate=+1 forwarded_bytes=+1400
    ip_on proxy1 <<<"route del $([ "$underlay" = 4 ] && echo 10.1.0.2 || echo fd01::2) dev eth0 mtu 1400"
}

test_hop_of_the_other_type() {
    about "Hops that nothing can be sent to end as a route to nowhere, and break nothing: zero, loopback, multicast, broadcast."
    for_underlays strange_hops
}
strange_hops() {
    local hop hops=(0.0.0.0 127.0.0.1 224.0.0.1 255.255.255.255)
    [ "$underlay" = 4 ] || hops=(:: ::1 ff02::1 ::ffff:1.2.3.4)
    for hop in "${hops[@]}"; do
        wire "send('director', 'proxy1', tunnel(P1[o], $ack, ['$hop']))"
    done
    # What becomes of them is the routing table's matter; each is counted once, or twice if it comes back by loopback.
    wire "settle('proxy1')"
    expect_counters proxy1 forwarded_to_alternate=+0..4 dropped_no_route=+0..4 accepted_last_resort=+0..4
    check "the packet after them goes on" wire "x = by1($ack); send('director', 'proxy1', x)
        recv('proxy2', lambda packet: packet == moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
}

test_capture_on_the_proxy() {
    about "A capture on proxy1 itself shows the packet as it came: writing waits for a private copy."
    everywhere capture_on_the_proxy
}
capture_on_the_proxy() {
    wire "s = plain_capture('proxy1'); x = by1($ack, check=True); send('director', 'proxy1', x); expect('proxy2', moved(x))"
    check "the plain socket has the old bytes" wire "same([x], [f[14:] for f in frames(s) if f[14:] and is_gue(f[14:]) and f[6:12] == hosts['director'].mac])"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

lab_main "$@"
