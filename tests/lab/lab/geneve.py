# SPDX-License-Identifier: GPL-2.0
"""A gateway load balancer played by the kernel's own geneve device, in external mode, and the appliance behind it."""

import struct

from lab.captures import frame_for, send_frame
from lab.hosts import Host
from lab.packets import ip, udp
from lab.story import check, same

FIRST = 0x2B8EE1D4DB0C51C4
THREE = ["0x0108:1:%016x" % FIRST, "0x0108:2:0000000000000000", "0x0108:3:deadbeef"]
CLIENT4, CLIENT6 = "198.51.100.7", "2001:db8:1::7"

gateway = Host("gateway", "10.1.1.10", "fd01::10")
appliance = Host("appliance", "10.1.2.20", "fd01::20")


def geneve_device(with_clients=True):
    """gnv0 of the gateway, which has the clients' addresses unless they are hosts of their own."""
    gateway.ip("link add gnv0 type geneve external innerprotoinherit\nlink set gnv0 up")
    if with_clients:
        gateway.ip("address add %s/32 dev gnv0\naddress add %s/128 dev gnv0 nodad" % (CLIENT4, CLIENT6))


def unfiltered(*others):
    """None of the hosts asks whether a packet came by the way that an answer would take."""
    for host, devices in ((gateway, "all gnv0 eth0"), *((host, "all eth0") for host in (*others, appliance))):
        host.quietly("sysctl -qw", *("net.ipv4.conf.%s.rp_filter=0" % device for device in devices.split()))


def route(number, options, dst="dst 10.1.2.20", kind="ip"):
    """The routes of IPv4 and IPv6 to servers with this number, by a header with these options."""
    via = "encap %s id 0 %s geneve_opts %s dev gnv0" % (kind, dst, ",".join(options))
    gateway.ip("route add 192.0.2.%d/32 %s\nroute add 2001:db8::%d/128 %s" % (number, via, number, via))


def attach(words=""):
    """The role, from its start: what was remembered is not any more."""
    if "eth0" in appliance.json("glbctl --json status")["devices"]:
        appliance.run("glbctl detach eth0")
    appliance.run("glbctl attach eth0 --role geneve " + words)


def stats():
    return appliance.json("glbctl --json geneve stats")


def three(klass=0x0108, endpoint=FIRST):
    """The three options as bytes."""
    data = ((1, struct.pack("!Q", endpoint)), (2, bytes(8)), (3, b"\xde\xad\xbe\xef"))
    return b"".join(struct.pack("!HBB", klass, kind, len(each) // 4) + each for kind, each in data)


def wrapped(inner, options=None, port=6081, check=False, v6=False, to=None):
    """A packet of the load balancer, by hand; `to`: not to the appliance."""
    options = three() if options is None else options
    head = struct.pack("!BBHI", len(options) // 4, 0, 0x86DD if inner[0] >> 4 == 6 else 0x0800, 0)
    src, dst = (gateway.ipv6, appliance.ipv6) if v6 else (gateway.ipv4, appliance.ipv4)
    return ip(src, to or dst, udp(50000, port, head + options + inner, check), ident=77)


def comes(*inner, **words):
    """These come to the appliance in the header of the load balancer."""
    for packet in inner:
        send_frame(gateway, frame_for(gateway, appliance, wrapped(packet, **words)))


class Count:
    """What the appliance counted since this was made."""

    def __init__(self):
        self.before = stats()

    def grew(self, kind, name):
        return stats()[kind][name] - self.before[kind].get(name, 0)

    def is_sum(self):
        """Packets are the sum of their verdicts."""
        now = stats()
        with check("the totals are the sums of the verdicts"):
            for kind in ("came", "left"):
                values = dict(now[kind])
                total = values.pop("total_packets")
                same(total, sum(values.values()))


def is_geneve(packet):
    """Whether it is UDP to the port of Geneve, over either IP."""
    header = 20 if packet[0] >> 4 == 4 else 40
    return packet[9 if header == 20 else 6] == 17 and packet[header + 2 : header + 4] == b"\x17\xc1"


def parts(packet):
    """Outer addresses, UDP ports, Geneve header with its options, inner packet."""
    four = packet[0] >> 4 == 4
    at = 20 if four else 40
    addresses = packet[12:20] if four else packet[8:40]
    half = len(addresses) // 2
    end = at + 16 + ((packet[at + 8] & 0x3F) << 2)
    return (addresses[:half], addresses[half:]), packet[at : at + 4], packet[at + 8 : end], packet[end:]
