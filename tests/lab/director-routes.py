#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The director's way to a proxy. It remembers routes, so what matters is that nothing old is remembered: settings, routes and
neighbours change between one packet and the next.

    client ---> director ===GUE===> proxy1, proxy2
"""

from lab.captures import expect, nothing, recv, send
from lab.director import ROW4, begin, config, load, load_module, sport, table, table_file
from lab.dumps import Dump, read
from lab.hosts import Host, guest, make
from lab.packets import ip, outer, tcp, tunnel
from lab.run import main
from lab.settings import GUE_PORT, VIP4, work
from lab.story import Failed, about, check, context, same, skip

client = Host("client", "10.11.12.13", "fd11::13")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "3.4.5.6", "fd01::2")
proxy2 = Host("proxy2", "2.3.4.5", "fd01::1")
x = ip(client.ipv4, VIP4, tcp(45678, 80, "A"))


class Underlay:
    """What is meant by the words of a test, over IPv4 or IPv6. The packet's row begins with proxy1, whose address is `to`."""

    def __init__(self, version, family, to, other, own, another, length, bytes):
        self.version, self.family, self.to, self.other, self.own = version, family, to, other, own
        # Another source, how long an address is, and how long the packet is with its tunnel.
        self.another, self.length, self.bytes = another, length, bytes

    def prefix(self, address):
        return "%s/%d" % (address, self.length)

    def ip(self, command):
        """A command of `ip` for the director, of this family."""
        director.run("ip %s %s" % (self.family, command))

    def tunnelled(self, src=None):
        return tunnel(self.to, x, [self.other], sport=sport(ROW4, 45678), src=src)

    def goes(self, what, host, src=None):
        """A check: the packet reaches this host's device, sent to proxy1's address."""
        with check(what):
            send(client, director, x)
            expect(host, self.tunnelled(src))


def setup():
    global underlays
    make(client, director, proxy1, proxy2)
    load_module()
    v4 = Underlay("IPv4", "-4", proxy1.ipv4, proxy2.ipv4, director.ipv4, "65.65.65.99", 32, 80)
    v6 = Underlay("IPv6", "-6", proxy1.ipv6, proxy2.ipv6, director.ipv6, "fd65::99", 128, 112)
    underlays = [(each, table_file(each.version + ".json", table(each.to, each.other))) for each in (v4, v6)]
    director.run("glbctl attach eth0")


def both(step):
    """It with an IPv4 underlay, then with an IPv6 one."""
    for underlay, tables in underlays:
        load(director, tables)
        with context("in %s: " % underlay.version):
            step(underlay)


def test_source():
    about("The source address is the settings', at once, and the route's own where the settings have none.")
    both(source_changes)


def source_changes(way):
    way.goes("the route's own", proxy1)
    config(director, "--source-v4 65.65.65.99 --source-v6 fd65::99")
    way.goes("the settings'", proxy1, way.another)
    way.goes("and of the next packet", proxy1, way.another)
    config(director, "--source-v4 none --source-v6 none")
    way.goes("the route's own again", proxy1)
    way.ip("addr add %s dev eth0 nodad" % way.prefix(way.another))
    way.ip("route replace %s dev eth0 src %s" % (way.prefix(way.to), way.another))
    way.goes("another source of the route", proxy1, way.another)
    way.ip("route del %s" % way.prefix(way.to))
    way.ip("addr del %s dev eth0" % way.prefix(way.another))
    way.goes("and the first one", proxy1)


def test_route():
    about("A changed route is taken with the next packet: another gateway, none, and back.")
    both(route_changes)


def route_changes(way):
    count = begin(director)
    way.goes("straight to proxy1", proxy1)
    way.ip("route replace %s via %s dev eth0 onlink" % (way.prefix(way.to), way.other))
    way.goes("by way of proxy2", proxy2)
    way.goes("the next one too", proxy2)
    way.ip("route replace unreachable %s" % way.prefix(way.to))
    send(client, director, x, x)
    # IPv6 keeps both.
    way.ip("route flush %s" % way.prefix(way.to))
    way.goes("straight to proxy1 again", proxy1)
    with check("nothing else came"):
        nothing(proxy1)
        nothing(proxy2)
    count.exactly(dropped_no_route_packets=2, encapsulated_bytes=4 * way.bytes, encapsulated_packets=4)


def test_neighbour():
    about("A neighbour's new link address is taken with the next packet.")
    both(neighbour_changes)


def neighbour_changes(way):
    def becomes(host):
        way.ip("neigh replace %s lladdr %s dev eth0 nud permanent" % (way.to, host.mac))

    way.goes("to proxy1", proxy1)
    becomes(proxy2)
    way.goes("to proxy2's link address", proxy2)
    becomes(proxy1)
    way.goes("to proxy1's", proxy1)


def test_ipsec():
    about("What an IPsec policy wants encrypted is encrypted, whether it names ports or not, and is sent plainly again when the "
          "policy goes.")
    try:
        director.quietly("ip xfrm policy")
    except Failed:
        skip("this kernel has no IPsec")
    both(ipsec)


def is_esp(packet):
    return packet[9 if packet[0] >> 4 == 4 else 6] == 50


def ipsec(way):
    def policy(ports):
        return "src %s dst %s proto udp %s dir out" % (way.prefix(way.own), way.prefix(way.to), ports)

    template = "tmpl src %s dst %s proto esp mode transport" % (way.own, way.to)
    state = "src %s dst %s proto esp spi 0x100" % (way.own, way.to)
    for ports in ("", "dport %d" % GUE_PORT):
        way.goes("plain", proxy1)
        director.ip("""
            xfrm state add %s mode transport enc ecb(cipher_null) "" auth hmac(sha1) 0x0123456789012345678901234567890123456789
            xfrm policy add %s %s
        """ % (state, policy(ports), template))
        send(client, director, x)
        with check("policy for %s: in ESP, which hides nothing here" % (ports or "udp")):
            packet, plain = recv(proxy1, is_esp), way.tunnelled()
            at = outer(plain)
            want = plain[at:]
            same(want, packet[at + 8 : at + 8 + len(want)])
        with check("and not plain"):
            nothing(proxy1)
        director.ip("xfrm policy delete %s\nxfrm policy add %s %s" % (policy(ports), policy("dport 9"), template))
        way.goes("a policy for another port does not concern it", proxy1)
        director.ip("xfrm policy delete %s\nxfrm state delete %s" % (policy("dport 9"), state))
    way.goes("plain again", proxy1)


def by_proxy2(number):
    """The routes of this table lead to proxy2, in both families."""
    director.ip("""
        route replace default via %s dev eth0 onlink table %d
        route replace default via %s dev eth0 onlink table %d
    """ % (proxy2.ipv4, number, proxy2.ipv6, number))


def test_rules():
    about("A routing rule that names the tunnel's ports, protocol or mark, or the namespace's root, is followed.")
    by_proxy2(77)
    both(rules)


FOLLOWED = (
    "ipproto udp dport %d" % GUE_PORT,
    "ipproto udp sport 32768-65534",
    "iif lo sport 32768-65534",
    "ipproto udp",
    "uidrange 0-0",
)
OF_OTHERS = ("ipproto udp dport 9", "ipproto udp sport 1-32767", "ipproto tcp", "uidrange 1-9999", "fwmark 7")


def rules(way):
    for rule in FOLLOWED:
        way.goes("straight to proxy1", proxy1)
        way.ip("rule add pref 100 %s table 77" % rule)
        way.goes("%s: by way of proxy2" % rule, proxy2)
        way.goes("the next one too", proxy2)
        way.ip("rule del pref 100")
    for rule in OF_OTHERS:
        way.ip("rule add pref 100 %s table 77" % rule)
        way.goes("%s does not concern it" % rule, proxy1)
        way.ip("rule del pref 100")


def test_mark():
    about("A packet that has a mark when it comes in is routed by it, and those without are not.")
    by_proxy2(77)
    both(mark)


MARKS = (
    "add table netdev marks; "
    "add chain netdev marks in { type filter hook ingress device eth0 priority -10; }; "
    "add rule netdev marks in meta mark set 7"
)


def mark(way):
    way.ip("rule add pref 100 fwmark 7 table 77")
    way.goes("without a mark, straight to proxy1", proxy1)
    director.run("nft", MARKS)
    way.goes("with the mark, by way of proxy2", proxy2)
    director.run("nft delete table netdev marks")
    way.goes("without it again", proxy1)
    way.ip("rule del pref 100")


def test_vrf():
    about("A director in a routing domain (VRF) uses the domain's routes.")
    director.ip("""
        link add vrf1 type vrf table 10
        link set vrf1 up
        link set eth0 master vrf1
        addr replace fd65::65/128 dev eth0 nodad
    """)
    by_proxy2(10)
    both(domain)
    director.ip("""
        link set eth0 nomaster
        link del vrf1
        addr replace fd65::65/128 dev eth0 nodad
        route replace default dev eth0 src 65.65.65.65
        route replace default dev eth0 src fd65::65
    """)


def domain(way):
    way.goes("by the domain's gateway", proxy2)
    way.goes("the next one too", proxy2)


def test_encapsulating_routes():
    about("A route that wants a label or a segment header in front gets it: packets take the IP layer's way out.")
    try:
        guest.quietly("modprobe mpls_iptunnel")
    except Failed:
        skip("this kernel has no MPLS")
    path = work("mpls.pcap")
    dump = Dump(proxy1, path, "mpls")
    both(labelled)
    dump.end()
    lines = read(path)
    with check("each packet had its label"):
        same((4, 4), (sum("MPLS (label 100," in line for line in lines), sum(str(GUE_PORT) in line for line in lines)))


def labelled(way):
    way.goes("plain", proxy1)
    way.ip("route replace %s encap mpls 100 via %s dev eth0 onlink" % (way.prefix(way.to), way.to))
    send(client, director, x, x)
    with check("and none came without"):
        nothing(proxy1)
    way.ip("route del %s dev eth0" % way.prefix(way.to))
    way.goes("plain again", proxy1)


main()
