#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""An appliance behind a gateway load balancer: kinds of headers, of packets in them, and of sockets.

     gateway                     appliance
    +-----------------+         +------------------------+
    | clients         |         | servers 192.0.2.N and  |
    | gnv0            |         | 2001:db8::N, on lo     |
    | eth0            |         | eth0, role geneve      |
    +--||-------------+         +--||--------------------+
    ===||==========================||=====
"""

import os
import socket
import struct

from lab.captures import capture_of, forget, recv, settle, watch
from lab.geneve import (
    CLIENT4, CLIENT6, THREE, Count, appliance, attach, comes, gateway, geneve_device, is_geneve, parts, route, three, unfiltered,
)  # fmt: skip
from lab.hosts import fabric, make
from lab.packets import ip, ones_sum, pseudo, raw, sctp, tcp, udp
from lab.run import main
from lab.sockets import accepted, connect, hears, listener, says, udp_socket
from lab.story import about, check, context, holds, same

# Inside and outside: client, server, whether the header is IPv6.
WAYS = [
    ("IPv4", CLIENT4, "192.0.2.1", False),
    ("IPv6 over IPv4", CLIENT6, "2001:db8::1", False),
    ("IPv4 over IPv6", CLIENT4, "192.0.2.1", True),
    ("IPv6 over IPv6", CLIENT6, "2001:db8::1", True),
]


def setup():
    make(gateway, appliance)
    geneve_device()
    unfiltered()
    route(1, THREE)
    appliance.ip("address add 192.0.2.1/32 dev lo\naddress add 2001:db8::1/128 dev lo nodad")
    # Neighbour discovery answers for the addresses of a device only.
    ways = ((CLIENT4, gateway.ipv4), (CLIENT6, gateway.ipv6), ("192.0.2.9", gateway.ipv4), ("2001:db8::9", gateway.ipv6))
    appliance.ip("\n".join("route replace %s via %s dev eth0 onlink" % way for way in ways))
    appliance.quietly("sysctl -qw net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.all.send_redirects=0")


def forwards(on):
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=%d net.ipv6.conf.all.forwarding=%d" % (on, on))


def is_to(port):
    """Whether it is UDP to this port, over either IP."""
    def matches(packet):
        header = 20 if packet[0] >> 4 == 4 else 40
        return packet[9 if header == 20 else 6] == 17 and packet[header + 2 : header + 4] == struct.pack("!H", port)

    return matches


def sum_is_right(packet):
    """Whether the outer UDP checksum is there and right."""
    four = packet[0] >> 4 == 4
    at = 20 if four else 40
    src, dst = (packet[12:16], packet[16:20]) if four else (packet[8:24], packet[24:40])
    datagram = packet[at:]
    return datagram[6:8] != b"\0\0" and ones_sum(pseudo(src, dst, 17, len(datagram)) + datagram) == 0


def test_another_class_and_port():
    about("Another cloud's class and another port: packets are taken, and answers leave in the same header.")
    attach("--class 0x0167 --port 7000 --strict")
    for what, client, server, v6 in WAYS:
        with context(what + ": "):
            echo, count = udp_socket(appliance, server, 5353), Count()
            options = three(0x0167)
            watch()
            question = ip(client, server, udp(40000, 5353, b"question"))
            comes(question, options=options, port=7000, v6=v6)
            taken, peer = echo.recvfrom(100)
            with check("the server gets the question, from the client"):
                same((b"question", client), (taken, peer[0]))
            echo.sendto(b"answer", peer)
            back = parts(recv(gateway, is_to(7000)))
            with check("the answer is in the header"):
                same((struct.pack("!HH", 50000, 7000), options.hex()), (back[1], back[2][8:].hex()))
                same(b"answer", back[3][-6:])
            comes(question, options=three(), port=7000, v6=v6)
            settle(appliance)
            with check("the usual class is not taken, nor is the usual port"):
                same(1, count.grew("came", "dropped_missing_option_packets"))
                comes(question, options=options, v6=v6)
                settle(appliance)
                same(1, count.grew("came", "accepted_packets"))
            count.is_sum()
            echo.close()


def test_checksums_of_the_header():
    about("Who sends the header with a UDP checksum gets one that is right: of a packet, of each of an aggregate, of a piece.")
    attach()
    for what, client, server, v6 in WAYS:
        with context(what + ": "):
            echo, count = udp_socket(appliance, server, 5353), Count()
            watch()
            comes(ip(client, server, udp(40000, 5353, b"question")), check=True, v6=v6)
            peer = echo.recvfrom(100)[1]
            # What arrives is complete then, as from a device that sums.
            appliance.quietly("ethtool -K eth0 tx off")
            echo.sendto(b"the answer", peer)
            with check("of a packet"):
                holds(sum_is_right(recv(gateway, is_geneve)))
            option = (socket.IPPROTO_IPV6, 23) if ":" in server else (socket.IPPROTO_IP, 10)  # MTU_DISCOVER
            echo.setsockopt(*option, 0)
            # IPv6 is cut by its sender, as soon as that knows what fits.
            for _ in range(2):
                echo.sendto(os.urandom(1940 - (48 if ":" in server else 28)), peer)
            with check("of a piece"):
                pieces = [recv(gateway, is_geneve) for _ in range(2)]
                holds(all(sum_is_right(piece) for piece in pieces))
            appliance.quietly("ethtool -K eth0 tx on")
            count.is_sum()
            echo.close()


def test_checksums_of_an_aggregate():
    about("A program's aggregate leaves in a header with a UDP checksum: each of its packets has a right one.")
    attach()
    via = "dev gnv0 encap ip id 0 dst 10.1.2.20 csum geneve_opts " + ",".join(THREE)
    gateway.ip("route replace 192.0.2.1/32 %s\nroute replace 2001:db8::1/128 %s" % (via, via))
    for what, client, server, v6 in WAYS[:2]:
        with context(what + ": "):
            listening = listener(appliance, server, 443)
            one = connect(gateway, client, server, 443)
            other = accepted(listening)
            says(one, other, b"GET")
            watch()
            settle(gateway)
            # The connection has learnt what the device can: from now on it is done without it.
            appliance.quietly("ethtool -K eth0 tx off")
            forget()
            data, count = os.urandom(20000), Count()
            other.send(data)
            hears(one, data)
            with check("each packet has a right checksum"):
                found = [recv(gateway, is_geneve) for _ in range(5)]
                holds(all(sum_is_right(each) for each in found))
            with check("they left as aggregates"):
                # What is sent again, where the guest stood still for a while, leaves by itself: then once more.
                for _ in range(5):
                    left = count.grew("left", "returned_packets")
                    if 0 < left < 20000 // 1800:
                        break
                    count = Count()
                    other.send(data)
                    hears(one, data)
                holds(0 < left < 20000 // 1800)
            appliance.quietly("ethtool -K eth0 tx on tso on gso on sg on")
            for made in (one, other, listening):
                made.close()


def test_senders():
    about("Prefixes of senders, of IPv6 too.")
    udp_socket(appliance, "192.0.2.1", 5353)
    packet = ip(CLIENT4, "192.0.2.1", udp(40000, 5353, b"who"))
    for allowed, six, four in (("fd01::/64", 1, 0), ("fd01::10", 1, 0), ("fd02::/16,10.1.1.0/24", 0, 1), ("fd02::/16", 0, 0)):
        attach("--allow-from " + allowed)
        count = Count()
        comes(packet, v6=True)
        comes(packet)
        settle(appliance)
        with check("%s: %d" % (allowed, six + four)):
            same((six + four, 2 - six - four),
                 (count.grew("came", "accepted_packets"), count.grew("came", "dropped_sender_packets")))


def test_sockets():
    about("What no socket wants is dropped, of IPv6 too; a connected UDP socket wants what is from its peer.")
    attach()
    for what, client, server, v6 in WAYS[:2]:
        with context(what + ": "):
            count = Count()
            taken = udp_socket(appliance, server, 5353)
            taken.connect((client, 40000))
            comes(ip(client, server, udp(40001, 5353, b"another")), ip(client, server, udp(40000, 5354, b"no socket")),
                  ip(client, server, tcp(40000, 81, "S")), ip(client, server, udp(40000, 5353, b"the peer")))
            with check("the peer's packet arrives"):
                same(b"the peer", taken.recv(100))
            settle(appliance)
            with check("the others are dropped"):
                same((1, 3), (count.grew("came", "accepted_packets"), count.grew("came", "dropped_no_socket_packets")))
            watch()
            taken.send(b"answer")
            with check("the answer is in the header"):
                same(b"answer", parts(recv(gateway, is_geneve))[3][-6:])
            count.is_sum()
            taken.close()


def test_strict():
    about("With --strict, what has no header is dropped but for what is the device's own, or for its link alone: of IPv6.")
    attach("--strict")
    appliance.ip("neigh replace fe80::1234 lladdr %s dev eth0 nud permanent" % gateway.mac)
    with appliance.inside():
        index = socket.if_nametoindex("eth0")
    count = Count()
    watch()
    stray, own = udp_socket(appliance, "2001:db8::1", 7000), udp_socket(appliance, appliance.ipv6, 7000)
    for number, (from_, to) in enumerate(((stray, gateway.ipv6), (own, gateway.ipv6), (stray, "ff02::1"), (stray, "fe80::1234"))):
        from_.sendto(b"strict %d" % number, (to, 7000, 0, index if to[:2] in ("ff", "fe") else 0))
    settle(gateway)
    arrived = [capture_of(gateway).take(lambda packet: packet[-8:] == b"strict %d" % number) for number in range(4)]
    with check("one is dropped, three leave"):
        same([False, True, True, True], [packet is not None for packet in arrived])
        same(1, count.grew("left", "dropped_no_flow_packets"))
        holds(count.grew("left", "passed_no_flow_packets") >= 3)
    count.is_sum()


DSCP = """table inet mangle {
    chain forward {
        type filter hook forward priority mangle
        ip dscp set ef
        ip6 dscp set ef
    }
}"""


def test_bump_in_the_wire_changes_packets():
    about("An appliance that forwards changes the DSCP: the packet and its header have the new one.")
    attach("--pass --strict")
    forwards(True)
    appliance.run("nft", DSCP)
    for what, client, server, v6 in WAYS:
        server = server[:-1] + "9"
        with context(what + ": "):
            count = Count()
            watch()
            comes(ip(client, server, udp(40000, 5353, b"marked"), tos=2), v6=v6)
            back = recv(gateway, is_geneve)
            inner = parts(back)[3]
            with check("EF, and the congestion mark as it was"):
                same([0xBA, 0xBA], [struct.unpack_from("!H", each)[0] >> (4 if each[0] >> 4 == 6 else 0) & 0xFF
                                    for each in (back, inner)])
            with check("the IP header is right"):
                holds(inner[0] >> 4 == 6 or ones_sum(inner[:20]) == 0)
            with check("it is counted"):
                same(1, count.grew("left", "returned_packets"))
    appliance.run("nft delete table inet mangle")
    forwards(False)


def test_protocols_without_ports():
    about("GRE and SCTP through an appliance that forwards: they have a header on their way back.")
    attach("--pass --strict")
    forwards(True)
    for what, client, server, v6 in WAYS[:2]:
        server = server[:-1] + "9"
        for transport in (raw(47, b"\0\0\x08\0" + bytes(20)), sctp(1000, 2000, bytes(16))):
            with context("%s, protocol %d: " % (what, transport.proto)):
                count = Count()
                watch()
                comes(ip(client, server, transport))
                back = parts(recv(gateway, is_geneve))
                with check("it is in its header, and is what came"):
                    same((three().hex(), transport.data.hex()), (back[2][8:].hex(), back[3][-len(transport.data) :].hex()))
                    same((1, 1), (count.grew("came", "accepted_packets"), count.grew("left", "returned_packets")))
                count.is_sum()
    forwards(False)


def test_the_longest_packets():
    about("Packets of 8,500 bytes, the longest that a load balancer takes: there and back on a device with an MTU of 8,568.")
    attach()
    fabric("link set gateway mtu 9000\nlink set appliance mtu 9000\nlink set fabric mtu 9000")
    gateway.ip("link set eth0 mtu 9000\nlink set gnv0 mtu 8500")
    appliance.ip("link set eth0 mtu 8568\nroute flush cache")
    appliance.quietly("ip -6 route flush cache")
    count = Count()
    for what, server, header in (("IPv4", "192.0.2.1", 28), ("IPv6", "2001:db8::1", 48)):
        with check("%s: a ping of 8,500 bytes is answered" % what):
            client = CLIENT6 if ":" in server else CLIENT4
            gateway.run("ping -q -c 2 -i 0.2 -W 20 -M do -s %d -I %s %s" % (8500 - header, client, server))
    with check("all were taken, and went back"):
        same((4, 4, 0), (count.grew("came", "accepted_packets"), count.grew("left", "returned_packets"),
                         count.grew("left", "dropped_too_big_packets")))
    count.is_sum()
    appliance.ip("link set eth0 mtu 2000")


main("rust_glb_director")
