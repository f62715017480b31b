# SPDX-License-Identifier: GPL-2.0
"""Two proxies, and the ways to them: packets made by hand, or real connections.

    client ---> director ===GUE===> proxy1 ===GUE===> proxy2

    two_proxies()                           these hosts; neither has a rule yet
    way.stays(tcp(...)), way.goes_on(...)   a client's packet comes to proxy1, and stays or goes on to proxy2
    everywhere(what, word...)               what(way, word...) with both families outside and inside
    begins(way, port)                       a SYN by hand that is answered: the client's port, and the number of the answer
    rules(host, option...)                  the rule of both families, with these options
    connections(vip, count, listening)      real connections of the client, as pairs of their ends, by the hops of `steer`
    moves(host, at, port, counter)          they live on while proxy1, whose program is on that host, drains and fills again

The client's kernel has 10.2.0.1 and fd02::1. Clients made by hand are behind it, and no kernel resets what it does not know.
"""

import itertools

from lab.captures import expect, nothing, recv, send
from lab.counters import counters, snapshot
from lab.hosts import Host, behind, make, unhurried
from lab.packets import answers, ip, moved, tcp, tcp_of, tunnel
from lab.proxies import redirects, takes_gue, takes_gue6
from lab.settings import VIP4, VIP6
from lab.sockets import accepted, connect, listener, says
from lab.steering import director as steered, steer
from lab.story import at_least, check, context, same, say
from lab.traffic import close_kept

VIP = {4: VIP4, 6: VIP6}
GHOST = {4: "10.11.12.13", 6: "fd11::13"}

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
proxy2 = Host("proxy2", "10.1.0.2", "fd01::2")
CLIENT = {4: client.ipv4, 6: client.ipv6}
P1 = {4: proxy1.ipv4, 6: proxy1.ipv6}
P2 = {4: proxy2.ipv4, 6: proxy2.ipv6}
ports = itertools.count(20000)


def two_proxies():
    make(client, director, proxy1, proxy2)
    behind(client, "10.11.0.0/16")
    behind(client, "fd11::/16")
    for host in (proxy1, proxy2):
        takes_gue(host)
        takes_gue6(host)
    unhurried(client, proxy1, proxy2)
    client.ip("""
        route add %s via %s dev eth0 onlink mtu 1500
        route add %s via %s dev eth0 onlink mtu 1500
    """ % (VIP4, director.ipv4, VIP6, director.ipv6))
    director.quietly("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    steered(director)
    director.ip("""
        link set glb0 mtu 1500 up
        route add %s dev glb0
        route add %s dev glb0
    """ % (VIP4, VIP6))


def rules(host, *options):
    redirects(host, *options)


def no_rules(*hosts):
    for host in hosts:
        for tool in ("iptables", "ip6tables"):
            host.run(tool + " -F INPUT")


class Way:
    """How a client's packets come: the family outside, and inside."""

    def __init__(self, outer, inner):
        self.outer, self.inner = outer, inner
        self.vip, self.ghost = VIP[inner], GHOST[inner]

    def by1(self, transport, hops=1, src=None, dst=None):
        """A packet to proxy1, which may pass it on to proxy2, unless there are no `hops`."""
        inside = ip(src or self.ghost, dst or self.vip, transport)
        return tunnel(P1[self.outer], inside, [P2[self.outer]][:hops])

    def send(self, transport, **more):
        packet = self.by1(transport, **more)
        send(director, proxy1, packet)
        return packet

    def stays(self, transport, **more):
        self.send(transport, **more)
        nothing(proxy2)

    def goes_on(self, transport, **more):
        expect(proxy2, moved(self.send(transport, **more)))


WAYS = [Way(outer, inner) for outer in (4, 6) for inner in (4, 6)]


def everywhere(what, *words):
    for way in WAYS:
        with context("IPv%d in IPv%d: " % (way.inner, way.outer)):
            say("--- IPv%d in IPv%d" % (way.inner, way.outer))
            snapshot(proxy1, proxy2)
            what(way, *words)


def begins(way, port):
    sport = next(ports)
    way.send(tcp(sport, port, "S", seq=1000, options=b"\x02\x04\x05\xb4"))
    answer = tcp_of(recv(client, lambda packet: answers(packet, sport, "SA")))
    same(1001, answer.ack)
    return sport, answer.seq + 1


def connections(family, count, listening):
    made = []
    for _ in range(count):
        one = connect(client, CLIENT[family], VIP[family], 80)
        made.append((one, accepted(listening)))
    return made


def all_talk(pairs, data):
    """Both ends of every connection hear each other."""
    for one, two in pairs:
        says(one, two, data)
        says(two, one, data)


def moves(host, at, port, counter):
    """With every family outside and inside. Packets that stay on proxy1 for the program's sake are counted there."""
    for outer in (4, 6):
        for family in (4, 6):
            with context("IPv%d in IPv%d: " % (family, outer)):
                _moves(outer, family, (host, at[family], port), counter)


def _moves(outer, family, program, counter):
    steer(P1[outer])
    here = listener(*program)
    there = listener(proxy2, VIP[family], 80)
    first = connections(family, 20, here)
    before = counters(proxy1)
    steer(P2[outer], P1[outer])
    with check("proxy1 drains: its connections live, and new ones are proxy2's"):
        all_talk(first, b"drain")
        second = connections(family, 20, there)
        all_talk(second, b"new")
    steer(P1[outer], P2[outer])
    with check("proxy1 fills: all live, and new ones are proxy1's"):
        third = connections(family, 20, here)
        all_talk(first + second + third, b"fill")
    with check("packets of proxy1's connections stayed for that reason"):
        grew = {name: value - before[name] for name, value in counters(proxy1).items()}
        at_least(80, grew[counter])
        same(0, grew["accepted_last_resort_packets"])
    close_kept()
    steer()
    snapshot(proxy1)
