#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# On what device a tunnel's payload arrives: the kernel's fallback devices, others of their kind whatever their names, or
# none that the module knows. A connection of this machine counts in each case.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"

# without_fallback: namespaces from now on have no tunl0, sit0 and ip6tnl0; with_fallback: they have them again.
without_fallback() { run sysctl -qw net.core.fb_tunnels_only_for_init_net=2; }
with_fallback() { run sysctl -qw net.core.fb_tunnels_only_for_init_net=0; }

# hosts_without_fallback: as redirect_hosts, but proxy1 gets devices of its own, which `own_devices` says.
hosts_without_fallback() {
    redirect_clients
    without_fallback
    host proxy1 10.1.0.1 fd01::1
    with_fallback
    check "proxy1 has no fallback device" fails ip -n proxy1 -o link show tunl0
    ip_on proxy1 <<<"fou add port $GUE_PORT gue"
    on proxy1 ip -6 fou add port "$GUE_PORT" gue
    "$1"
    ip_on proxy1 <<END
addr add $VIP4/32 dev lo
addr add $VIP6/128 dev lo nodad
END
    redirects proxy1
    proxy proxy2 10.1.0.2 fd01::2
    on proxy1 sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
}

# external_devices: devices that take every tunnel packet and leave the rest to programs.
external_devices() {
    ip_on proxy1 <<END
link add anyipip type ipip external
link add anysit type sit local 10.1.0.1
link add any6 type ip6tnl external
link set anyipip up
link set anysit up
link set any6 up
END
}

test_own_devices() {
    about "Without the fallback devices, with devices of the operator's own: connections come up and live, others' packets go on."
    hosts_without_fallback external_devices
    everywhere lives 8500
}

# lives PORT: a connection of proxy1, from its SYN to its data.
lives() {
    wire "l = listener('proxy1', VIP[i], $1); p = port(); to1(of(tcp(p, $1, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p)))"
    expect_counters proxy1 accepted_syn=+1
    wire "to1(of(tcp(p, $1, 'A', seq=1001, ack=a.seq + 1)))"
    check "the connection comes up" wire "s = accepted(l)"
    wire "to1(of(tcp(p, $1, 'PA', seq=1001, ack=a.seq + 1, payload=b'hello')))"
    check "it takes data" wire "hears(s, b'hello')"
    expect_counters proxy1 accepted_established=+2
    wire "x = by1(of(tcp(port(), $1, 'A'))); send('director', 'proxy1', x)"
    check "an unknown packet goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

# What else decapsulates is not for the module to know; here nothing does, and the connection came up without a tunnel.
no_devices() { :; }

test_no_devices() {
    about "Without any device of a tunnel, a connection of a socket that is bound to none counts, as it does for the deployed module."
    hosts_without_fallback no_devices
    everywhere counts_anyway
}
counts_anyway() {
    wire "l = listener('proxy1', VIP[i], 8501); p = port(); send('client', 'proxy1', of(tcp(p, 8501, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); send('client', 'proxy1', of(tcp(p, 8501, 'A', seq=1001, ack=a.seq + 1)))
        s = accepted(l)"
    wire "to1(of(tcp(p, 8501, 'A', seq=1001, ack=a.seq + 1)))"
    expect_counters proxy1 accepted_established=+1
    wire "x = by1(of(tcp(port(), 8501, 'A'))); send('director', 'proxy1', x)"
    check "an unknown packet goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

test_renamed() {
    about "A tunnel's device counts whatever it is called, from the packet on that follows its renaming."
    redirect_hosts
    everywhere renamed
}
renamed() {
    case $underlay$inner in
        44) device=tunl0 ;;
        46) device=sit0 ;;
        *) device=ip6tnl0 ;;
    esac
    ip_on proxy1 <<END
link set $device down name other0
link set other0 up
addr replace $VIP4/32 dev lo
addr replace $VIP6/128 dev lo nodad
END
    lives 8502
    ip_on proxy1 <<END
link set other0 down name $device
link set $device up
END
}

test_several_devices() {
    about "With a second device for one director, which is in a routing domain, a connection on either counts."
    redirect_hosts
    wire "$redirect_names
o, i = 4, 4
reset()"
    snapshot proxy1 proxy2
    ip_on proxy1 <<END
link add vrf1 type vrf table 10
link set vrf1 up
link add one type ipip local 10.1.0.1 remote 65.65.65.65
link set one master vrf1
link set one up
addr add $VIP4/32 dev one
route add default dev eth0 table 10
route add 10.11.0.0/16 via 10.2.0.1 dev eth0 onlink table 10
END
    # The kernel gives the director's packets to the device that is for it alone.
    wire "l = listener('proxy1', VIP[i], 8503, device='vrf1'); p = port(); to1(of(tcp(p, 8503, 'S', seq=1000)))
        a = tcp_of(recv('client', from_vip('SA', p))); to1(of(tcp(p, 8503, 'A', seq=1001, ack=a.seq + 1)))"
    check "a connection in the routing domain comes up" wire "s = accepted(l)"
    expect_counters proxy1 accepted_syn=+1 accepted_established=+1
    wire "x = by1(of(tcp(port(), 8503, 'A'))); send('director', 'proxy1', x)"
    check "an unknown packet goes on" wire "expect('proxy2', moved(x))"
    expect_counters proxy1 forwarded_to_alternate=+1
    quietly_wire "reset()"
}

lab_main "$@"
