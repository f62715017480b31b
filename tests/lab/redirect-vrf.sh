#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Which sockets count: those that the decapsulated packet will reach, by namespace, VRF and device.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

setup() { redirect_hosts; }

# The device that the packet comes out of, by the families.
tunnel_device() {
    case $underlay$inner in
        44) device=tunl0 ;;
        46) device=sit0 ;;
        *) device=ip6tnl0 ;;
    esac
}

# comes_up PORT DEVICE: a handshake by hand with a listener on that device; the socket is s, the client's port p.
comes_up() {
    wire "l = listener('proxy1', VIP[i], $1, device='$2'); p = port(); to1(of(tcp(p, $1, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p)))"
    expect_counters proxy1 accepted_syn=+1
    wire "to1(of(tcp(p, $1, 'A', seq=1001, ack=a.seq + 1)))"
    check "a listener on $2: the connection comes up" wire "s = accepted(l)"
    expect_counters proxy1 accepted_established=+1
    wire "to1(of(tcp(p, $1, 'PA', seq=1001, ack=a.seq + 1, payload=b'hello')))"
    check "it takes data" wire "hears(s, b'hello')"
    expect_counters proxy1 accepted_established=+1
}

# a_cookie PORT DEVICE: the same with a cookie.
a_cookie() {
    on proxy1 sysctl -qw net.ipv4.tcp_syncookies=2
    wire "l = listener('proxy1', VIP[i], $1, device='$2'); p = port(); to1(of(tcp(p, $1, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, $1, 'A', seq=1001, ack=a.seq + 1)))"
    check "a listener on $2: the connection comes up by a cookie" wire "s = accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_syn_cookie=+1
    on proxy1 sysctl -qw net.ipv4.tcp_syncookies=1
}

test_bound_to_tunnel() {
    about "A socket that is bound to the tunnel's device counts."
    everywhere bound_to_tunnel
}
bound_to_tunnel() {
    tunnel_device
    # Its answers leave by the tunnel too, to nobody; but it has a request for the connection.
    if [ "$inner" = 4 ]; then route=10.11.0.0/16; else route=fd11::/16; fi
    ip_on proxy1 <<<"route add $route dev $device metric 4000"
    wire "l = listener('proxy1', VIP[i], 8400, device='$device'); p = port(); to1(of(tcp(p, 8400, 'S', seq=1000)))"
    check "the listener on $device has a request" [ -n "$(quietly_on proxy1 ss -Htan state syn-recv)" ]
    expect_counters proxy1 accepted_syn=+1
    wire "to1(of(tcp(p, 8400, 'A', seq=1001, ack=77)))"
    expect_counters proxy1 accepted_established=+1
    wire "x = by1(of(tcp(port(), 8400, 'A', seq=1001, ack=77))); send('director', 'proxy1', x)"
    check "an ACK of another client goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    ip_on proxy1 <<<"route del $route dev $device metric 4000"
    quietly_wire "reset()"
}

test_bound_to_underlay() {
    about "A socket that is bound to the underlay's device does not count: the packet comes out of the tunnel, not from there."
    everywhere bound_to_underlay
}
bound_to_underlay() {
    # By hand and without a tunnel, so that there is a connection on eth0.
    wire "l = listener('proxy1', VIP[i], 8402, device='eth0'); p = port(); send('client', 'proxy1', of(tcp(p, 8402, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); send('client', 'proxy1', of(tcp(p, 8402, 'A', seq=1001, ack=a.seq + 1)))
        s = accepted(l)"
    wire "x = by1(of(tcp(p, 8402, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "its packet in the tunnel goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

test_vrf() {
    about "With the tunnel in a VRF, the sockets of that VRF count, and no others."
    everywhere vrf
}
vrf() {
    tunnel_device
    ip_on proxy1 <<END
link add vrf1 type vrf table 10
link set vrf1 up
link set $device master vrf1
route replace default dev eth0 table 10
route replace ::/0 dev eth0 table 10
route replace 10.11.0.0/16 via 10.2.0.1 dev eth0 onlink table 10
route replace fd11::/16 via fd02::1 dev eth0 onlink table 10
END
    # Enslaving takes IPv6 addresses away.
    ip_on proxy1 <<END
addr replace $VIP4/32 dev $device
addr replace $VIP6/128 dev $device nodad
END
    comes_up 8403 vrf1
    a_cookie 8404 vrf1
    wire "x = by1(of(tcp(port(), 8403, 'A'))); send('director', 'proxy1', x)"
    check "an unknown ACK goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    # A connection of the default VRF with the very addresses of a packet of the tunnel.
    ip_on proxy1 <<<"addr replace $([ "$inner" = 4 ] && echo "$VIP4/32 dev lo" || echo "$VIP6/128 dev lo nodad")"
    wire "l2 = listener('proxy1', VIP[i], 8405); p = port(); send('client', 'proxy1', of(tcp(p, 8405, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); send('client', 'proxy1', of(tcp(p, 8405, 'A', seq=1001, ack=a.seq + 1)))
        s2 = accepted(l2); x = by1(of(tcp(p, 8405, 'A', seq=1001, ack=a.seq + 1))); send('director', 'proxy1', x)"
    check "a connection outside of the VRF does not count" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    on proxy1 sysctl -qw net.ipv4.tcp_l3mdev_accept=1
    wire "send('director', 'proxy1', x)"
    expect_counters proxy1 accepted_established=+1
    on proxy1 sysctl -qw net.ipv4.tcp_l3mdev_accept=0
    quietly_wire "reset()"
    ip_on proxy1 <<END
link set $device nomaster
link del vrf1
addr del $([ "$inner" = 4 ] && echo "$VIP4/32" || echo "$VIP6/128") dev lo
addr replace $VIP4/32 dev tunl0
addr replace $VIP6/128 dev sit0 nodad
END
}

test_other_namespace() {
    about "Sockets of another namespace do not count, nor do its packets in the counters."
    everywhere other_namespace
}
other_namespace() {
    wire "l = listener('proxy2', VIP[i], 8406); p = port(); send('director', 'proxy2', tunnel(P2[o], of(tcp(p, 8406, 'S', seq=1000)), [P1[o]]))
        a = tcp_of(recv('client', from_vip('SA', p)))"
    expect_counters proxy1
    expect_counters proxy2 accepted_syn=+1
    wire "to1(of(tcp(p, 8406, 'A', seq=1001, ack=a.seq + 1)))"
    check "proxy1 sends it to proxy2, which has the connection" wire "s = accepted(l)"
    expect_counters proxy1 forwarded_to_alternate=+1
    expect_counters proxy2 accepted_established=+1
    quietly_wire "reset()"
}

lab_main "$@"
