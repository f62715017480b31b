#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""A machine that was booted without IPv6 (ipv6.disable=1): there is nothing to look an address or a route of IPv6 up in, and
frames of IPv6 come in all the same.

    client ---> director ---> proxy1
"""

import os

from lab.captures import recv, send
from lab.director import KEY, SEED, backend, begin, config, load, load_module, table, table_file
from lab.geneve import three
from lab.hosts import Host, make
from lab.packets import ip, tcp, udp
from lab.run import main
from lab.settings import VIP4, VIP6
from lab.story import about, check, context, same, skip
from lab.waiting import eventually

client = Host("client", "10.2.0.1")
director = Host("director", "65.65.65.65")
proxy1 = Host("proxy1", "10.1.0.1")


def setup():
    if os.path.exists("/proc/sys/net/ipv6"):
        return
    make(client, director, proxy1)
    load_module()
    director.run("glbctl attach eth0")
    config(director, "--source-v4 65.65.65.65 --source-v6 fd65::65 --hash-fields src_addr")


def only_without():
    if os.path.exists("/proc/sys/net/ipv6"):
        skip("this machine has IPv6: tests/run boots another one for it")


def test_tables():
    about("Tables of IPv4 work; packets for backends of IPv6 have no route, by whatever forward, and the machine stays up.")
    only_without()
    load(director, table_file("v4.json", table("10.1.0.1")))
    x = ip("10.11.12.13", VIP4, tcp(1234, 80, "A"))
    with check("IPv4 goes to its proxy"):
        send(client, director, x)
        recv(proxy1, lambda packet: packet.endswith(x))
    rows = {"version": 3, "hops": 2}
    for forward in ({"kind": "gue"}, {"kind": "gre"}, {"kind": "ipip"}, {"kind": "l3dsr", "dscp": 7}, {"kind": "nat"}):
        with context(forward["kind"] + ": "):
            load(director, table_file("v6.json", {
                "name": "six", "hash_key": KEY, "seed": SEED, "forward": forward, **rows,
                "binds": [{"ip": VIP6, "proto": "tcp", "port": 80}], "backends": [backend("fd01::1"), backend("fd01::2")],
            }))
            counted(dropped_no_route_packets=1, packet=ip("fd02::1", VIP6, tcp(1234, 80, "A")))


def counted(packet, **counters):
    count = begin(director)
    send(client, director, packet)
    count.exactly(**counters)


def test_answers():
    about("An answer of a backend of IPv6 has no route.")
    only_without()
    director.run("glbctl attach eth0 --replace --role return")
    counted(ip("fd01::1", "fd02::1", tcp(80, 1234, "SA")), dropped_no_route_packets=1)


def test_geneve():
    about("Geneve over IPv6, and IPv6 in Geneve, is for nobody here.")
    only_without()
    director.run("glbctl attach eth0 --replace --role geneve --pass")
    ends = (("IPv4", "10.9.0.1", "192.0.2.1"), ("IPv6", "fd09::1", "fd0a::1"))
    for name, inner in ((name, ip(src, dst, tcp(1, 80, "S"))) for name, src, dst in ends):
        header = b"\x08\0\x08\0" if inner[0] >> 4 == 4 else b"\x08\0\x86\xdd"
        payload = header + bytes(4) + three() + inner
        before = seen()
        for src, dst in (("10.2.0.1", "65.65.65.65"), ("fd02::1", "fd65::65")):
            send(client, director, ip(src, dst, udp(50000, 6081, payload)))
        with check("%s inside: both are counted" % name):
            eventually(lambda: same(before + 2, seen()))
    x = ip("10.11.12.13", VIP4, tcp(1234, 80, "A"))
    director.run("glbctl attach eth0 --replace")
    load(director, table_file("v4.json", table("10.1.0.1")))
    with check("and IPv4 still goes to its proxy"):
        send(client, director, x)
        recv(proxy1, lambda packet: packet.endswith(x))


def seen():
    """Packets that came in and got a verdict of the role."""
    return director.json("glbctl --json geneve stats")["came"]["total_packets"]


main("rust_glb_director")
