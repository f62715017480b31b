#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# --syn-listener: a SYN stays only where a socket listens for it. redirect-door-syn-listener.sh is this file by another name, and
# is about the door.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() {
    redirect_clients
    proxy proxy1 10.1.0.1 fd01::1 --syn-listener
    proxy proxy2 10.1.0.2 fd01::2 --syn-listener
    unhurried proxy1 proxy2
}

# stays WHY: a SYN to port 8500 stays on proxy1.
stays() {
    wire "p = port(); to1(of(tcp(p, 8500, 'S', seq=1000)))"
    expect_counters proxy1 accepted_syn=+1
    check "$1: proxy2 gets nothing" wire "nothing('proxy2')"
}

# goes_on WHY: a SYN to port 8500 is passed on to proxy2, where the list ends.
goes_on() {
    wire "p = port(); x = by1(of(tcp(p, 8500, 'S', seq=1000))); send('director', 'proxy1', x)"
    check "$1: proxy2 gets it, moved" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_syn=+1 forwarded_bytes=+"$(bytes_of 'len(x)')"
    expect_counters proxy2 accepted_last_resort=+1
}

test_listening() {
    about "A SYN stays where a socket listens for its destination: for the address, or for any. Another port is another destination."
    everywhere listening
}
listening() {
    goes_on "nobody listens"
    wire "l = listener('proxy1', VIP[i], 8500)"
    stays "a socket listens on the VIP"
    check "it answers" wire "recv('client', from_vip('SA', p))"
    quietly_wire "reset()"
    wire "l = listener('proxy1', '0.0.0.0' if i == 4 else '::', 8500)"
    stays "a socket listens on any address"
    quietly_wire "reset()"
    wire "l = listener('proxy1', VIP[i], 8501); m = listener('proxy1', P1[i], 8500)"
    goes_on "sockets listen on another port, and on another address"
    quietly_wire "reset()"
}

test_dual_stack() {
    about "A socket of IPv6 that takes IPv4 too listens for both."
    everywhere dual_stack
}
dual_stack() {
    wire "l = tcp_socket('proxy1', '::'); l.setsockopt(41, 26, 0); l.bind(('::', 8500)); l.listen(16)"
    stays "a socket of both families listens"
    quietly_wire "reset()"
}

test_end_of_list() {
    about "At the end of the list a SYN stays, and is refused as ever. A hop that is the proxy itself is an end."
    everywhere end_of_list
}
end_of_list() {
    wire "p = port(); to1(of(tcp(p, 8500, 'S')), index=1)"
    check "the list is used up: reset" wire "recv('client', from_vip('RA', p))"
    expect_counters proxy1 accepted_last_resort=+1
    wire "p = port(); send('director', 'proxy1', tunnel(P1[o], of(tcp(p, 8500, 'S'))))"
    check "there is no list: reset" wire "recv('client', from_vip('RA', p))"
    expect_counters proxy1 accepted_last_resort=+1
    wire "p = port(); send('director', 'proxy1', tunnel(P1[o], of(tcp(p, 8500, 'S')), [P1[o], P2[o]]))"
    check "the next hop is this proxy: reset" wire "recv('client', from_vip('RA', p))"
    expect_counters proxy1 forwarded_to_self=+1
    check "nothing went on to proxy2" wire "nothing('proxy2')"
}

test_flags() {
    about "Whatever else a packet with SYN has; and a packet without SYN goes on as ever, listener or not."
    everywhere flags
}
flags() {
    wire "xs = [by1(of(tcp(port(), 8500, f))) for f in ('SA', 'SF', 'SR', 'SFRPAU')]; x = xs[0]; send('director', 'proxy1', *xs)"
    check "with any flags they go on" wire "expect('proxy2', *[moved(x) for x in xs])"
    expect_counters proxy1 forwarded_syn=+4 forwarded_bytes=+"$(bytes_of 'len(x) * 4')"
    expect_counters proxy2 accepted_last_resort=+4
    wire "l = listener('proxy1', VIP[i], 8500); x = by1(of(tcp(port(), 8500, 'A'))); send('director', 'proxy1', x)"
    check "an ACK goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1 forwarded_bytes=+"$(bytes_of 'len(x)')"
    expect_counters proxy2 accepted_last_resort=+1
    quietly_wire "reset()"
}

test_opened() {
    about "A client opens a connection although the program of the first proxy is dead; the connection is the second one's."
    everywhere opened
}
opened() {
    wire "steer(P1[o], P2[o]); l = listener('proxy2', VIP[i], 8500); c = connect('client', CLIENT[i], VIP[i], 8500)"
    check "the connection is there" wire "s = accepted(l)"
    expect_counters proxy1 forwarded_syn=+1 forwarded_to_alternate=+1 forwarded_bytes=+60..500
    expect_counters proxy2 accepted_syn=+1 accepted_established=+1
    check "data in both directions" wire "says(c, s); says(s, c)"
    expect_counters proxy1 forwarded_to_alternate=+1..4 forwarded_bytes=+60..900
    expect_counters proxy2 accepted_established=+1..4
    check "the program of the first one is back: new connections are its" wire "m = listener('proxy1', VIP[i], 8500)
        d = connect('client', CLIENT[i], VIP[i], 8500); t = accepted(m); says(d, t); says(t, d); says(c, s)"
    quietly_wire "reset()"
    snapshot proxy1 proxy2
}

# The device that the packet comes out of, by the families.
tunnel_device() {
    case $underlay$inner in
        44) device=tunl0 ;;
        46) device=sit0 ;;
        *) device=ip6tnl0 ;;
    esac
}

test_device() {
    about "A socket that is bound to the tunnel's device listens; one that is bound to another device does not."
    everywhere on_device
}
on_device() {
    tunnel_device
    wire "l = listener('proxy1', VIP[i], 8500, device='eth0')"
    goes_on "a socket listens on the underlay's device"
    wire "m = listener('proxy1', VIP[i], 8500, device='$device')"
    stays "a socket listens on the tunnel's device"
    quietly_wire "reset()"
}

test_vrf() {
    about "With the tunnel in a VRF, the sockets of that VRF listen, and others only where tcp_l3mdev_accept lets them."
    everywhere in_vrf
}
in_vrf() {
    tunnel_device
    ip_on proxy1 <<END
link add vrf1 type vrf table 10
link set vrf1 up
link set $device master vrf1
route replace default dev eth0 table 10
route replace ::/0 dev eth0 table 10
END
    # Enslaving takes IPv6 addresses away.
    ip_on proxy1 <<END
addr replace $VIP4/32 dev $device
addr replace $VIP6/128 dev $device nodad
END
    wire "l = listener('proxy1', '0.0.0.0' if i == 4 else '::', 8500)"
    goes_on "a socket listens outside of the VRF"
    on proxy1 sysctl -qw net.ipv4.tcp_l3mdev_accept=1
    stays "it listens for all VRFs"
    on proxy1 sysctl -qw net.ipv4.tcp_l3mdev_accept=0
    quietly_wire "reset()"
    wire "l = listener('proxy1', VIP[i], 8500, device='vrf1')"
    stays "a socket listens in the VRF"
    quietly_wire "reset()"
    ip_on proxy1 <<END
link set $device nomaster
link del vrf1
addr replace $VIP4/32 dev tunl0
addr replace $VIP6/128 dev sit0 nodad
END
}

test_group() {
    about "A group of sockets (SO_REUSEPORT) listens, with a program that chooses among them and without; also if it chooses none."
    everywhere group
}
group() {
    wire "g = [tcp_socket('proxy1', VIP[i]) for n in range(2)]
        [(l.setsockopt(1, 15, 1), l.bind((VIP[i], 8500)), l.listen(16)) for l in g]"
    stays "a group"
    # SO_ATTACH_REUSEPORT_CBPF: programs of one instruction, `ret 1`, and one that says a place that is not there.
    wire "import ctypes
        code = lambda value: ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, value))
        attach = lambda made: g[0].setsockopt(1, 51, struct.pack('@HP', 1, ctypes.addressof(made)))"
    wire "attach(code(1))"
    stays "a group with a program"
    wire "attach(code(7))"
    stays "a group whose program chooses nobody"
    quietly_wire "reset()"
}

test_program() {
    about "A program that says which socket a packet is for (BPF_SK_LOOKUP) is asked before all sockets: what it drops, nobody listens for."
    everywhere program
}
program() {
    wire "l = listener('proxy1', VIP[i], 8500)"
    stays "a socket listens"
    # bpf(2): BPF_PROG_LOAD (5) of a BPF_PROG_TYPE_SK_LOOKUP (30), and BPF_LINK_CREATE (28) to the namespace, at BPF_SK_LOOKUP (36).
    # The program is `r0 = answer; exit`; a link lasts as long as its file descriptor.
    wire "import ctypes, os
        call = lambda command, attr: ctypes.CDLL(None).syscall(321, command, attr, len(attr))
        code = lambda answer: ctypes.create_string_buffer(struct.pack('=BBhiBBhi', 0xb7, 0, 0, answer, 0x95, 0, 0, 0))
        gpl = ctypes.create_string_buffer(b'GPL')
        load = lambda made: call(5, struct.pack('=IIQQIIQII16sII', 30, 2, ctypes.addressof(made), ctypes.addressof(gpl), 0, 0, 0, 0, 0, b'', 0, 36))
        link = lambda loaded: call(28, struct.pack('=IIII', loaded, os.open('/run/netns/proxy1', 0), 36, 0))
        attached = lambda answer: link(load(code(answer)))"
    check "the program drops (SK_DROP)" wire "k = attached(0); assert k > 0, k"
    goes_on "a program drops what a socket listens for"
    check "the program leaves it to the sockets (SK_PASS)" wire "os.close(k); k = attached(1); assert k > 0, k"
    stays "a program leaves it to the sockets"
    wire "l.close()"
    goes_on "it leaves it to the sockets, of which none listens"
    quietly_wire "os.close(k); reset()"
}

test_backlog() {
    about "A listener whose backlog is full listens: what it does not take is not another proxy's."
    everywhere backlog
}
backlog() {
    wire "l = listener('proxy1', VIP[i], 8500, backlog=0); p = port(); to1(of(tcp(p, 8500, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8500, 'A', seq=1001, ack=a.seq + 1)))"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    check "the backlog is full" eventually backlog_is_full
    stays "a full backlog"
    check "it does not answer" wire "nothing('client', from_vip('SA', p))"
    quietly_wire "reset()"
}
backlog_is_full() { [ "$(quietly_on proxy1 ss -Htln 'sport = 8500' | awk '{ print $2 }')" = 1 ]; }

test_existing() {
    about "A repeated SYN of a connection that is here stays without a listener too. One into TIME_WAIT stays only if a socket listens."
    everywhere existing
}
existing() {
    wire "l = listener('proxy1', VIP[i], 8500); p = port(); to1(of(tcp(p, 8500, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8500, 'A', seq=1001, ack=a.seq + 1)))
        s = accepted(l); l.close()"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    wire "to1(of(tcp(p, 8500, 'S', seq=1000)))"
    expect_counters proxy1 accepted_syn=+1
    wire "s.close(); recv('client', from_vip('FA', p)); to1(of(tcp(p, 8500, 'FA', seq=1001, ack=a.seq + 2)))
        recv('client', from_vip('A', p))"
    expect_counters proxy1 accepted_established=+1
    check "nothing went on to proxy2" wire "nothing('proxy2')"
    wire "x = by1(of(tcp(p, 8500, 'S', seq=900000))); send('director', 'proxy1', x)"
    check "a connection in TIME_WAIT keeps no SYN" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_syn=+1 forwarded_bytes=+"$(bytes_of 'len(x)')"
    expect_counters proxy2 accepted_last_resort=+1
    wire "l = listener('proxy1', VIP[i], 8500); send('director', 'proxy1', x)"
    check "a listener reuses it" wire "recv('client', from_vip('SA', p))"
    expect_counters proxy1 accepted_syn=+1
    check "and nothing goes on" wire "nothing('proxy2')"
    quietly_wire "l.close()"
    goes_on "another client's SYN"
    quietly_wire "reset()"
}

test_fragments() {
    about "The later fragments of a SYN follow the first one, on and here."
    everywhere in_fragments
}
in_fragments() {
    wire "pieces = lambda t, n: [by1(of(t, ident=n + 100 * o, fragment=part)) for part in ((0, True, 0, 64), (64, False, 64, 220))]
        long = lambda: tcp(port(), 8500, 'S', payload=bytes(200)); xs = pieces(long(), 51); send('director', 'proxy1', *xs)"
    check "both go on" wire "expect('proxy2', *[moved(x) for x in xs])"
    expect_counters proxy1 forwarded_syn=+1 forwarded_to_alternate=+1 forwarded_bytes=+"$(bytes_of 'sum(map(len, xs))')"
    expect_counters proxy2 accepted_last_resort=+1 accepted_fragment=+1
    wire "l = listener('proxy1', VIP[i], 8500); send('director', 'proxy1', *pieces(long(), 52))"
    expect_counters proxy1 accepted_syn=+1 accepted_fragment=+1
    check "both stay" wire "nothing('proxy2')"
    quietly_wire "reset()"
}

lab_main "$@"
