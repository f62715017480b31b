#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# SYN cookies: the ACK that answers one belongs to the proxy that sent it, which has no socket for it.
#
# Two of the tests may have to wait for the kernel's clock.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }
# The kernel has one switch for both families.
cookies() { on proxy1 sysctl -qw net.ipv4.tcp_syncookies="$1"; }

# A SYN of a new client port p, and the answer a.
syn_answered="p = port(); to1(of(tcp(p, 8090, 'S', seq=1000, options=b'\\x02\\x04\\x05\\xb4')))
a = tcp_of(recv('client', from_vip('SA', p))); same(1001, a.ack)"

test_always() {
    about "With tcp_syncookies=2 each answer is a cookie: the ACK to it stays and makes the connection, a forged one goes on."
    cookies 2
    everywhere always
}
always() {
    wire "l = listener('proxy1', VIP[i], 8090)
$syn_answered"
    check "proxy1 keeps no request" is '' "$(quietly_on proxy1 ss -Htan state syn-recv)"
    expect_counters proxy1 accepted_syn=+1
    wire "x = by1(of(tcp(p, 8090, 'A', seq=1001, ack=a.seq + 1 + 0x01234567))); send('director', 'proxy1', x)"
    check "a forged ACK goes on" wire "expect('proxy2', moved(x))"
    wire "x = by1(of(tcp(port(), 8090, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "the ACK from another port goes on" wire "expect('proxy2', moved(x))"
    wire "x = by1(of(tcp(p, 8090, 'A', seq=5001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "the ACK with another sequence goes on" wire "expect('proxy2', moved(x))"
    wire "x = by1(of(tcp(p, 8091, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "the ACK to another port goes on" wire "expect('proxy2', moved(x))"
    wire "x = by1(of(tcp(p, 8090, 'RA', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "a reset with the right numbers goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+5
    wire "to1(of(tcp(p, 8090, 'A', seq=1001, ack=a.seq + 1)))"
    check "the right ACK makes a connection" wire "s = accepted(l)"
    expect_counters proxy1 accepted_syn_cookie=+1
    wire "to1(of(tcp(p, 8090, 'PA', seq=1001, ack=a.seq + 1, payload=b'hello')))"
    check "and it takes data" wire "hears(s, b'hello')"
    expect_counters proxy1 accepted_established=+1
}

test_data_with_ack() {
    about "The ACK of a cookie may carry data, a FIN and options."
    cookies 2
    everywhere data_with_ack
}
data_with_ack() {
    wire "l = listener('proxy1', VIP[i], 8090)
$syn_answered
to1(of(tcp(p, 8090, 'FPA', seq=1001, ack=a.seq + 1, payload=b'hello', options=b'\\x01' * 8)))"
    check "the connection is there with its data and end" wire "s = accepted(l); hears(s, b'hello'); holds(pump(lambda: eof(s)))"
    expect_counters proxy1 accepted_syn=+1 accepted_syn_cookie=+1
}

test_overflow() {
    about "With tcp_syncookies=1 cookies count from the first overflow on, and then those only."
    cookies 1
    everywhere overflow
}
overflow() {
    wire "l = listener('proxy1', VIP[i], 8090, backlog=4)
$syn_answered
q, b = p, a"
    check "proxy1 keeps a request" is 1 "$(quietly_on proxy1 ss -Htan state syn-recv | wc -l)"
    wire "x = by1(of(tcp(port(), 8090, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "no overflow yet: what is no request goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 accepted_syn=+1 forwarded_to_alternate=+1
    # The queue is full with as many requests as the backlog, and one more; the next is answered by a cookie.
    wire "[to1(of(tcp(port(), 8090, 'S', seq=1000))) for _ in range(8)]
$syn_answered"
    check "the queue of requests is full" [ "$(quietly_on proxy1 ss -Htan state syn-recv | wc -l)" -lt 9 ]
    expect_counters proxy1 accepted_syn=+9
    wire "x = by1(of(tcp(p, 8090, 'A', seq=1001, ack=a.seq + 77))); send('director', 'proxy1', x)"
    check "a forged ACK goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    wire "to1(of(tcp(p, 8090, 'A', seq=1001, ack=a.seq + 1)))"
    check "the right ACK makes a connection" wire "s = accepted(l); same(p, s.getpeername()[1])"
    expect_counters proxy1 accepted_syn_cookie=+1
    wire "to1(of(tcp(q, 8090, 'A', seq=1001, ack=b.seq + 1)))"
    check "so does that of the first request, which is no cookie" wire "s = accepted(l); same(q, s.getpeername()[1])"
    expect_counters proxy1 accepted_established=+1
    wire "[to1(of(tcp(c, 8090, 'R', seq=1001))) for c in range(q, p)]; reset_captures()"
    snapshot proxy1 proxy2
}

# A listener that never overflowed has 0 as the time of its last overflow, and the kernel's 32-bit clock, which starts five
# minutes before 0, is within two minutes of that from five to seven minutes after boot: then the kernel takes it for
# overflowed, and so do we (tcp_synq_no_recent_overflow).
clock_is_past_zero() {
    local uptime
    uptime=$(cut -d . -f 1 /proc/uptime)
    # What follows takes a second; a minute before the time is early enough also for a machine that is very busy.
    [ "$uptime" -ge 240 ] && [ "$uptime" -lt 422 ] || return 0
    say "the kernel's clock is near 0: this waits $((422 - uptime)) s"
    eventually clock_reaches 422
}
clock_reaches() {
    cut -d . -f 1 /proc/uptime
    [ "$(cut -d . -f 1 /proc/uptime)" -ge "$1" ]
}

test_no_overflow() {
    clock_is_past_zero
    about "With tcp_syncookies=1 and no overflow of this listener even a valid cookie is none: nobody here sent it."
    everywhere no_overflow
}
no_overflow() {
    clock_is_past_zero
    cookies 2
    wire "l = listener('proxy1', VIP[i], 8090)
$syn_answered
l.close()
l = listener('proxy1', VIP[i], 8090)"
    cookies 1
    wire "x = by1(of(tcp(p, 8090, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "it goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 accepted_syn=+1 forwarded_to_alternate=+1
}

test_off() {
    about "With tcp_syncookies=0 there are no cookies."
    everywhere off
}
off() {
    cookies 2
    wire "l = listener('proxy1', VIP[i], 8090)
$syn_answered"
    cookies 0
    wire "x = by1(of(tcp(p, 8090, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "it goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 accepted_syn=+1 forwarded_to_alternate=+1
}

test_through_another_proxy() {
    clock_is_past_zero
    about "The ACK to a cookie of proxy2 that comes to proxy1 first goes on, and makes the connection at proxy2."
    # All namespaces of a kernel share the secret of the cookies; proxy1 knows by its own overflows.
    on proxy1 sysctl -qw net.ipv4.tcp_syncookies=1
    on proxy2 sysctl -qw net.ipv4.tcp_syncookies=2
    everywhere through_another_proxy
}
through_another_proxy() {
    clock_is_past_zero
    wire "l1 = listener('proxy1', VIP[i], 8090); l2 = listener('proxy2', VIP[i], 8090); p = port()
        send('director', 'proxy2', tunnel(P2[o], of(tcp(p, 8090, 'S', seq=1000)), [P1[o]]))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8090, 'A', seq=1001, ack=a.seq + 1)))"
    check "the connection is at proxy2" wire "s = accepted(l2)"
    expect_counters proxy1 forwarded_to_alternate=+1
    expect_counters proxy2 accepted_syn=+1 accepted_syn_cookie=+1
}

lab_main "$@"
