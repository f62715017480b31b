#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""`glbctl decap` reads what a peer sends that nobody here wrote: the kernel's own geneve device, in external mode.

     gateway                      appliance
    +-------------------+        +------+
    | gnv0 (geneve)     |        |      |
    |   routes with the |        |      |
    |   three options   |        |      |
    | eth0              |        | eth0 |   what arrives here is captured
    +--||---------------+        +--||--+
    ===||===========================||===
"""

import itertools
import json
import socket
import struct

from lab.captures import recv, watch
from lab.geneve import appliance, gateway, geneve_device, route
from lab.hosts import make
from lab.packets import icmp, ip, tcp, udp
from lab.run import main
from lab.settings import work
from lab.story import about, check, same, say

numbers = itertools.count(1)

THREE = ["0x0108:1:2b8ee1d4db0c51c4", "0x0108:2:0000000000000000", "0x0108:3:deadbeef"]
ACCEPTED = "accepted_packets"


def setup():
    make(gateway, appliance)
    geneve_device()
    route(1, THREE)
    route(2, THREE[::-1])
    route(3, THREE[:2] + ["0x0108:4:0badcafe", "0xffff:1:00112233"] + THREE[2:])
    route(4, THREE + ["0x0108:0x84:00000001"])
    route(5, THREE[:2])
    route(6, [option.replace("0x0108", "0x0167") for option in THREE])
    route(7, THREE, dst="dst fd01::20", kind="ip6")


def is_geneve(packet):
    """Whether it is UDP to the port, over either IP."""
    header = 20 if packet[0] >> 4 == 4 else 40
    return packet[9 if header == 20 else 6] == 17 and packet[header + 2 : header + 4] == b"\x17\xc1"


def inner(number, transport, v6=False):
    """A client's packet to a server."""
    if v6:
        return ip("2001:db8:1::7", "2001:db8::%d" % number, transport)
    return ip("198.51.100.7", "192.0.2.%d" % number, transport, ident=next(numbers))


def arrives(*packets):
    """The clients' packets leave the gateway by its routes: what comes to the appliance."""
    watch()
    found = []
    for packet in packets:
        family, to = (socket.AF_INET6, packet[24:40]) if packet[0] >> 4 == 6 else (socket.AF_INET, packet[16:20])
        with gateway.inside(), socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
            sender.sendto(packet, (socket.inet_ntop(family, to), 0))
        found.append(recv(appliance, is_geneve))
    return found


def decap(packets, options=""):
    """The verdicts of `glbctl decap`, and what it takes out."""
    source, result = work("in.pcap"), work("out.pcap")
    with open(source, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for packet in packets:
            file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    said = json.loads(appliance.output("glbctl --json decap %s" % options, source, result))
    same(list(range(1, len(packets) + 1)), [line["packet"] for line in said])
    with open(result, "rb") as file:
        rest = file.read()[24:]
    found = []
    while rest:
        length = struct.unpack_from("<I", rest, 8)[0]
        found.append(rest[16 : 16 + length])
        rest = rest[16 + length :]
    return [line["verdict"] for line in said], found


def clients(number):
    return [
        inner(number, tcp(45678, 443, "S")),
        inner(number, udp(45678, 53, b"odd")),
        inner(number, icmp(8, 0)),
        inner(number, tcp(45678, 443, "S"), v6=True),
        inner(number, udp(45678, 53, b""), v6=True),
    ]


def test_options_in_any_order():
    about("What the kernel puts into Geneve comes out as it was: options in any order, with others between, and over IPv6.")
    kinds = [(1, 68, "as AWS sends it"), (2, 68, "in another order"), (3, 84, "with others"), (7, 88, "over IPv6")]
    for number, length, what in kinds:
        sent = clients(number)
        got = arrives(*sent)
        verdicts, found = decap(got)
        with check("%s: all are accepted" % what):
            same([ACCEPTED] * len(sent), verdicts)
        with check("%s: they are what was sent" % what):
            same([packet.hex() for packet in sent], [packet.hex() for packet in found])
        with check("%s: %d bytes are taken off" % (what, length)):
            same({length}, {len(outer) - len(packet) for outer, packet in zip(got, found)})


def test_what_is_refused():
    about("A critical option that nobody knows, a missing one, another class, another sender: each has its verdict.")
    got = arrives(*(inner(number, tcp(45678, 443, "S")) for number in (1, 4, 5, 6)))
    say("the header with a critical option: %s" % got[1][28:36].hex())
    missing = "dropped_missing_option_packets"
    verdicts, found = decap(got)
    with check("each has its own"):
        same([ACCEPTED, "dropped_critical_option_packets", missing, missing], verdicts)
    with check("only what is accepted is taken out"):
        same(1, len(found))
    with check("the class is a setting"):
        same(ACCEPTED, decap(got, "--class 0x0167")[0][3])
    with check("so are the senders"):
        same(["dropped_sender_packets"] * 4, decap(got, "--allow-from 10.1.2.0/24,fd00::/8")[0])
    with check("which may be a network"):
        same(ACCEPTED, decap(got, "--allow-from 10.1.1.0/24")[0][0])


main()
