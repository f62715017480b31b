#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Packets that the stack itself would drop, and frames for others: the director sees them before the stack does, and leaves
them to it."""

import itertools
import struct

from lab.captures import expect, frame_for, nothing, send_frame
from lab.director import ROW4, begin, load, load_module, sport, table, table_file
from lab.hosts import Host, make
from lab.packets import ip, ones_sum, packed, tcp, tunnel
from lab.run import main
from lab.settings import VIP4, VIP6
from lab.story import about, at_least, check

client = Host("client", "10.11.12.13", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "3.4.5.6", "fd01::1")
numbers = itertools.count(1)


def setup():
    make(client, director, proxy1)
    load_module()
    load(director, table_file("v4.json", table(proxy1.ipv4)))
    director.run("glbctl attach eth0")


def fresh(src="10.11.12.13", **more):
    """A packet to the VIP, as no other."""
    return ip(src, VIP6 if ":" in src else VIP4, tcp(45678, 80, "A", seq=next(numbers)), **more)


def arrives(*packets):
    """They come to the director, in frames for it."""
    send_frame(client, *(frame_for(client, director, packet) for packet in packets))


def arrives_for(mac, packet):
    """It comes to the director, in a frame for somebody else."""
    send_frame(client, bytes.fromhex(mac.replace(":", "")) + frame_for(client, director, packet)[6:])


def to1(packet):
    """What proxy1 gets of it."""
    return tunnel("3.4.5.6", packet, ["3.4.5.6"], sport=sport(ROW4, 45678))


def is_icmp(packet):
    return packet[9] == 1


def test_frames_for_others():
    about("A promiscuous device takes frames for other machines, for many and for all: none of them is tunnelled, none answered.")
    director.run("ip link set eth0 promisc on")
    count = begin(director)
    arrives_for("02:00:00:00:99:99", fresh())
    arrives_for("02:00:00:00:99:99", fresh("fd02::7"))
    arrives_for("ff:ff:ff:ff:ff:ff", fresh())
    arrives_for("01:00:5e:01:01:01", fresh())
    arrives_for("33:33:00:00:00:01", fresh("fd02::7"))
    with check("nothing was sent on"):
        nothing(proxy1)
    # Neighbour discovery is for many, too.
    with check("what was for others was left to the stack"):
        at_least(5, count.grew("passed_other_host_packets"))
    count.exactly()

    # Too long for the path: an answer would be the kernel's limit for messages about frames to all.
    count = begin(director)
    director.ip("route add 3.4.5.6/32 dev eth0 mtu 1200")
    arrives_for("ff:ff:ff:ff:ff:ff", ip("10.11.12.13", VIP4, tcp(45678, 80, "A", payload=b"x" * 1300)))
    with check("nobody is told anything"):
        nothing(client, is_icmp)
    director.ip("route del 3.4.5.6/32 dev eth0")
    with check("it was left to the stack"):
        at_least(1, count.grew("passed_other_host_packets"))
    count.exactly()

    director.run("ip link set eth0 promisc off")
    count = begin(director)
    x = fresh()
    arrives(x)
    with check("a frame for the director is tunnelled"):
        expect(proxy1, to1(x))
    count.exactly(encapsulated_bytes=80, encapsulated_packets=1)


def test_sources_that_nobody_has():
    about("Packets from loopback, multicast, broadcast and unspecified addresses are left to the stack.")
    count = begin(director)
    for src in ("127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.2.3", "255.255.255.255"):
        arrives(fresh(src))
    for src in ("::", "::1", "::ffff:10.0.0.1", "ff02::1", "ff0e::1"):
        arrives(fresh(src))
    with check("nothing was sent on"):
        nothing(proxy1)
    count.exactly(passed_martian_packets=11)

    count = begin(director)
    for src in ("240.0.0.1", "223.255.255.255", "1.0.0.1", "128.0.0.1", "::2", "::10.0.0.1", "fe80::1"):
        arrives(fresh(src))
    count.exactly(encapsulated_bytes=620, encapsulated_packets=7)


def broken(packet):
    """With a wrong header checksum."""
    return packet[:10] + bytes([packet[10] ^ 1]) + packet[11:]


def summed(packet):
    """With its header checksum made anew, over its options too."""
    length = (packet[0] & 15) * 4
    packet = packet[:10] + b"\0\0" + packet[12:]
    return packet[:10] + struct.pack("!H", ones_sum(packet[:length])) + packet[12:]


def test_headers_that_are_wrong():
    about("A wrong header checksum, an option that names a way, and a routing header with stops left are left to the stack.")
    loose = bytes([131, 7, 4, 10, 0, 0, 1, 0])
    strict = bytes([137, 7, 4, 10, 0, 0, 1, 0])
    record = bytes([7, 7, 4, 0, 0, 0, 0, 0])

    def routed(left):
        """Behind a routing header with so many stops left."""
        return fresh("fd02::7", extensions=[(43, bytes([0, 2, 2, left, 0, 0, 0, 0]) + packed("fd02::9"))])

    count = begin(director)
    arrives(broken(fresh()))
    arrives(broken(summed(fresh(options=record))))
    arrives(summed(fresh(options=loose)))
    arrives(summed(fresh(options=strict)))
    arrives(routed(1))
    with check("nothing was sent on"):
        nothing(proxy1)
    count.exactly()

    count = begin(director)
    x = summed(fresh(options=record))
    arrives(x)
    with check("one that only records its way is tunnelled"):
        expect(proxy1, to1(x))
    arrives(routed(0))
    count.exactly(encapsulated_bytes=212, encapsulated_packets=2)


main()
