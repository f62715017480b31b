# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the redirect scenarios share. Source it after lib.sh.
#
# shellcheck disable=SC2034 # Variables for lib.sh and for scenarios.
#
#   client ---> director ===GUE===> proxy1 ===GUE===> proxy2
#
# The client's kernel has 10.2.0.1 and fd02::1. 10.11.0.0/16 and fd11::/16 are behind it, and nobody has these:
# packets of such clients are made by hand, and no kernel resets what it does not know.

redirect_hosts() {
    redirect_clients
    proxy proxy1 10.1.0.1 fd01::1
    proxy proxy2 10.1.0.2 fd01::2
    unhurried proxy1 proxy2
}

redirect_clients() {
    host client 10.2.0.1 fd02::1
    behind client 10.11.0.0/16
    behind client fd11::/16
    host director 65.65.65.65 fd65::65
    unhurried client
    ip_on client <<END
route add $VIP4 via 65.65.65.65 dev eth0 onlink mtu 1500
route add $VIP6 via fd65::65 dev eth0 onlink mtu 1500
END
    on director sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    wire "director('director')"
    ip_on director <<END
link set glb0 mtu 1500 up
route add $VIP4 dev glb0
route add $VIP6 dev glb0
END
}

# Names for lines of Python, by the family of the underlay (o) and of the client's packet (i). `to1(x)` sends the packet x
# of a client through the tunnel to proxy1, which may pass it on to proxy2; a test takes new client ports with port().
redirect_names="P1 = {4: '10.1.0.1', 6: 'fd01::1'}
P2 = {4: '10.1.0.2', 6: 'fd01::2'}
VIP = {4: '$VIP4', 6: '$VIP6'}
CLIENT = {4: '10.2.0.1', 6: 'fd02::1'}
GHOST = {4: '10.11.12.13', 6: 'fd11::13'}
count = globals().get('count') or itertools.count(20000)
port = lambda: next(count)
by1 = lambda inner, **more: tunnel(P1[o], inner, [P2[o]], **more)
to1 = lambda inner, **more: send('director', 'proxy1', by1(inner, **more))
of = lambda transport, **more: ip(GHOST[i], VIP[i], transport, **more)
from_vip = lambda kind, dport: (lambda packet: answers(packet, dport, kind))"

# bytes_of PYTHON: a number that the packet program knows.
bytes_of() { quietly_wire "print($1)" | tr -d ' '; }

# everywhere FUNCTION: for both families of the underlay and both of the client's packets.
everywhere() {
    local o i
    for o in 4 6; do
        for i in 4 6; do
            underlay=$o inner=$i
            quietly_wire "$redirect_names
o, i = $o, $i
reset()"
            lab_context="IPv$i in IPv$o: "
            say "--- IPv$i in IPv$o"
            snapshot proxy1 proxy2
            "$@"
        done
    done
    lab_context=
}
underlay=4 inner=4

# for_underlays FUNCTION: the same, with the client's packet in IPv4 only.
for_underlays() {
    local o
    for o in 4 6; do
        underlay=$o
        quietly_wire "$redirect_names
o, i = $o, 4
reset()"
        lab_context="in IPv$o: "
        say "--- IPv4 in IPv$o"
        snapshot proxy1 proxy2
        "$@"
    done
    lab_context=
}
