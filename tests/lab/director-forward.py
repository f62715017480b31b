#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Forwards without a list of hops: what leaves is what `glbctl encap` says, and the kernel's own tunnel devices take it.

    client ---> director ===GRE, IP in IP===> proxy1: gre, ip6gre, tunl0, sit0, ip6tnl0
       ^                                       |
       +--------- answers directly ------------+
"""

import itertools
import struct

from lab.agree import flows, sends_the_same
from lab.captures import nothing, recv, send
from lab.director import backend, begin, config, load, table, table_file
from lab.hosts import Host, make
from lab.packets import ip, is_icmp, ones_sum, tcp, udp
from lab.run import main
from lab.settings import VIP4, VIP6, work
from lab.story import about, check, context, holds, same
from lab.transfers import Transfers

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
proxy2 = Host("proxy2", "10.1.0.2", "fd01::2")
VIPS = (VIP4, "[%s]" % VIP6)


class Way:
    """A kind of tunnel over an underlay, and the words of `ip` and tcpdump for it."""

    def __init__(self, kind, underlay):
        self.kind, self.underlay = kind, underlay
        four = underlay == "v4"
        self.family = "-4" if four else "-6"
        self.to, self.by = (host.ipv4 if four else host.ipv6 for host in (proxy1, proxy2))
        if kind == "gre":
            self.filter = "proto gre or ip6 proto 47"
        else:
            self.filter = "{0} proto 4 or {0} proto 41".format("ip" if four else "ip6")
        self.tables = "%s-%s.json" % (kind, underlay)
        self.protocols = (47,) if kind == "gre" else (4, 41)

    def forwarding(self):
        """Its table. proxy2 drains: it is the second hop of every row, which no packet names."""
        to = itertools.product((VIP4, VIP6), ("tcp", "udp"))
        binds = [{"ip": vip, "proto": proto, "port_start": 1, "port_end": 65535} for vip, proto in to]
        backends = [backend(self.to), backend(self.by, "draining")]
        forward = {"kind": self.kind}
        self.path = table_file(self.tables, table(*backends, name="web", version=3, hops=2, forward=forward, binds=binds))

    def is_outer(self, packet):
        """Whether it is one that left by this way."""
        four = packet[0] >> 4 == 4
        return four == (self.underlay == "v4") and packet[9 if four else 6] in self.protocols

    def ip(self, command):
        """A command of `ip` for the director, of the underlay's family."""
        director.run("ip %s %s" % (self.family, command))

    def neighbour(self, address, host):
        self.ip("neigh replace %s lladdr %s dev eth0 nud permanent" % (address, host.mac))


WAYS = [Way(kind, underlay) for kind in ("gre", "ipip") for underlay in ("v4", "v6")]


def setup():
    global transfers
    make(client, director, proxy1, proxy2)
    client.ip("""
        link set eth0 mtu 1500
        route add %s via 65.65.65.65 dev eth0 onlink
        route add %s via fd65::65 dev eth0 onlink
    """ % (VIP4, VIP6))
    # As docs/director.md tells to do. A device without a remote takes tunnels from every director.
    proxy1.ip("""
        link add gre1 type gre local 10.1.0.1
        link set gre1 up
        link add gre6 type ip6gre local fd01::1
        link set gre6 up
        link set tunl0 up
        link set sit0 up
        link change ip6tnl0 type ip6tnl mode any
        link set ip6tnl0 up
        addr add %s/32 dev lo
        addr add %s/128 dev lo nodad
    """ % (VIP4, VIP6))
    for way in WAYS:
        way.forwarding()
    config(director, "--source-v4 65.65.65.65 --source-v6 fd65::65")
    director.run("glbctl attach eth0")
    transfers = Transfers(client, director, proxy1)


def each(step):
    """It for each kind over each underlay."""
    for way in WAYS:
        load(director, way.path)
        with context("%s over %s: " % (way.kind, way.underlay)):
            step(way)


def test_connections():
    about("Both families' connections reach the proxy through its own tunnel devices; GSO packets leave whole, or are cut.")
    each(connections)


def connections(way):
    with check("the director says how packets leave"):
        same(way.kind, director.json("glbctl --json table show --running")[0]["forward"]["kind"])
    director.run("ethtool -K eth0 tx on tso on gso on")
    for address in VIPS:
        transfers.whole(address)
    director.run("ethtool -K eth0 tso off gso off tx off")
    for address in VIPS:
        transfers.cut(address)


def test_bytes():
    about("Each packet leaves as glbctl encap says: headers, DSCP and ECN of the client, lengths, flow labels.")
    # A capture has packets as they are on the wire.
    director.run("ethtool -K eth0 tso off gso off tx off")
    each(bytes_are_right)


def bytes_are_right(way):
    given = work("in.pcap")
    # Every DSCP and ECN field in turn.
    with open(flows(director, (VIP4, VIP6)), "rb") as file, open(given, "wb") as out:
        out.write(marked(file.read()))
    sends_the_same((client, director, proxy1), given, way.path, way.filter)


def marked(capture):
    """The frames of a capture with another TOS or traffic class each, IPv4 header checksums included."""
    data = bytearray(capture)
    at, number = 24, 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        head = at + 16 + 14
        tos = number * 7 & 255
        if data[head] >> 4 == 4:
            data[head + 1] = tos
            data[head + 10 : head + 12] = b"\0\0"
            struct.pack_into(">H", data, head + 10, ones_sum(bytes(data[head : head + 20])))
        else:
            data[head] = 0x60 | tos >> 4
            data[head + 1] = data[head + 1] & 15 | (tos & 15) << 4
        at += 16 + length
        number += 1
    return data


def test_dscp_rules():
    about("A routing rule that names a DSCP holds for what leaves with the client's DSCP, and for nothing else.")
    each(dscp_rules)


def dscp_rules(way):
    way.ip("rule add pref 100 tos 0x10 table 100")
    way.ip("route replace default via %s dev eth0 onlink table 100" % way.by)
    way.neighbour(way.by, proxy2)
    way.neighbour(way.to, proxy1)
    goes_to("without a DSCP", proxy1, tos=0x00)
    goes_to("with it", proxy2, tos=0x10)
    goes_to("without it again", proxy1, tos=0x00)
    goes_to("with ECN alone", proxy1, tos=0x02)
    way.ip("rule del pref 100")
    goes_to("the rule is gone", proxy1, tos=0x10)


def test_protocol_rules():
    about("A routing rule that names the outer protocol holds for the packets that leave by it, and for no others to that proxy.")
    each(protocol_rules)


def protocol_rules(way):
    protocol, other = (4, 41) if way.kind == "ipip" else (47, 17)
    way.ip("route replace default via %s dev eth0 onlink table 100" % way.by)
    way.neighbour(way.by, proxy2)
    way.ip("rule add pref 100 ipproto %d table 100" % protocol)
    goes_to("IPv4 by the rule's protocol", proxy2)
    if way.kind == "ipip":
        goes_to("IPv6 by another", proxy1, src="fd11::1", vip=VIP6)
        goes_to("IPv4 again", proxy2)
    way.ip("rule del pref 100")
    way.ip("rule add pref 100 ipproto %d table 100" % other)
    goes_to("the rule names another protocol", proxy1)
    way.ip("rule del pref 100")


def test_marks():
    about("DSCP (RFC 2983) and ECN (RFC 6040) of a client's packet stand in the header in front, whatever they are.")
    each(marks)


def marks(way):
    with check("every TOS and traffic class, of both families inside"):
        for src, vip in (("10.11.12.13", VIP4), ("fd11::13", VIP6)):
            for tos in range(256):
                send(client, director, ip(src, vip, tcp(1234, 80, "A"), tos=tos))
                outer = recv(proxy1, way.is_outer)
                same(tos, tos_of(outer))


def tos_of(packet):
    return packet[1] if packet[0] >> 4 == 4 else (packet[0] << 4 | packet[1] >> 4) & 255


def test_mtu():
    about("What does not fit with the headers in front: its sender is told how long it may be, or it leaves in fragments.")
    # A client's own kernel has nothing to do with it.
    each(mtu)


def mtu(way):
    way.ip("route replace %s dev eth0 mtu 1400" % way.to)
    way.neighbour(way.to, proxy1)
    room = 1400 - (20 if way.underlay == "v4" else 40) - (4 if way.kind == "gre" else 0)
    for family, src, vip, head, kind in (
        (4, "10.2.0.1", VIP4, 28, (3, 4)),
        (6, "fd02::1", VIP6, 48, (2, 0)),
    ):
        with context("IPv%d inside: " % family):
            count = begin(director)
            fits, long = (ip(src, vip, udp(4000, 1500, b"m" * (length - head))) for length in (room, room + 1))
            send(client, director, fits)
            with check("a packet of %d bytes goes" % room):
                same(fits, recv(proxy1, way.is_outer)[1400 - room :])
            send(client, director, long)
            told = recv(client, lambda packet: is_icmp(packet, kind))
            at = 20 if family == 4 else 40
            with check("the sender of a longer one is told %d" % room):
                same(room, int.from_bytes(told[at + 4 : at + 8], "big"))
            with check("about the packet as it was"):
                same(long[:64], told[at + 8 : at + 72])
            counted = {"encapsulated_packets": 1, "encapsulated_bytes": 1400}
            counted.update(dropped_too_big_packets=1, icmp_too_big_sent=1)
            if family == 4:
                parts = fragments(way, ip(src, vip, udp(4000, 1500, b"m" * 1450), df=False, ident=7), room)
                counted["encapsulated_packets"] += 1
                counted["encapsulated_bytes"] += sum(map(len, parts))
                counted["fragments_sent"] = len(parts)
            count.exactly(**counted)
    way.ip("route del %s dev eth0 mtu 1400" % way.to)


def fragments(way, packet, room):
    """It leaves in two fragments, each in headers of its own, of which it is put together again."""
    send(client, director, packet)
    parts = [recv(proxy1, way.is_outer) for _ in range(2)]
    inner = [part[1400 - room :] for part in parts]
    with check("each fragment fits"):
        holds(all(len(part) <= 1400 for part in parts))
    with check("together they are the packet"):
        offsets = [(int.from_bytes(part[6:8], "big") & 0x1FFF) * 8 for part in inner]
        same([0, len(inner[0]) - 20], offsets)
        same([0x20, 0], [part[6] & 0x20 for part in inner])
        same(packet[20:], b"".join(part[20:] for part in inner))
    return parts


def goes_to(what, host, tos=0, src="10.11.12.13", vip=VIP4):
    """Two checks: a client's packet reaches this host, and not the other one."""
    x = ip(src, vip, tcp(1234, 80, "A"), tos=tos)

    def is_x(packet):
        return packet.endswith(x)

    send(client, director, x)
    with check("%s: it reaches %s" % (what, host)):
        recv(host, is_x)
    other = proxy1 if host is proxy2 else proxy2
    with check("%s: and %s not" % (what, other)):
        nothing(other, is_x)


main("rust_glb_director ip_gre ip6_gre ipip sit ip6_tunnel")
