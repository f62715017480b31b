#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Malformed and truncated packets of clients at the director's hook: each has a verdict, none leaves anything behind.

What must become of each packet is the business of the core's tests; here the kernel's checks look on.
"""

import os

from lab.director import adds_up, begin, load, stats, table, table_file
from lab.dumps import replay
from lab.hosts import Host, guest, make
from lab.memory import Memory, kernel_is_quiet
from lab.run import main
from lab.settings import SLOWER, VIP4, VIP6, work
from lab.story import Failed, about, check, holds
from lab.waiting import eventually

client = Host("client", "10.11.12.13", "fd11::13")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "3.4.5.6", "fd01::1")

# A slower kernel gets fewer: it looks at each one longer.
COUNT = int(os.environ.get("COUNT", 30000 // SLOWER // SLOWER))


def setup():
    make(client, director, proxy1)
    director.ip("""
        neigh add 3.4.5.6 lladdr 02:00:00:00:00:03 dev eth0
        neigh add fd01::1 lladdr 02:00:00:00:00:03 dev eth0
    """)
    # Both VIPs, TCP and UDP, to one proxy.
    binds = [{"ip": vip, "proto": proto, "port": port} for proto, port in (("tcp", 80), ("udp", 443)) for vip in (VIP4, VIP6)]
    table_file("v4.json", table(proxy1.ipv4, binds=binds))
    table_file("v6.json", table(proxy1.ipv6, binds=binds))
    director.run("glbctl attach eth0")


def storm(family, seed, number):
    """The packets, and the sum of what was counted."""
    load(director, work(family + ".json"))
    capture = work("%d.pcap" % seed)
    guest.quietly("glb-packets malform --inner --director 65.65.65.65 --proxy 3.4.5.6 --reachable 10.0.0.0/8",
                  "--dst-mac", "02:00:00:00:00:02", "--seed", seed, "--count", number, "--out", capture)
    count = begin(director)
    replay(client, capture)
    with check("all %d were seen" % number):
        eventually(seen, count, number)
    with check("each had one verdict"):
        adds_up(stats(director))
    with check("some went on to the proxy"):
        encapsulated = count.grew("encapsulated_packets")
        holds(encapsulated > number // 20, "%d of them" % encapsulated)
    with check("the kernel says nothing"):
        kernel_is_quiet()


def seen(count, number):
    """Neighbour discovery comes in too, so there may be a few more."""
    there = count.grew("total_packets")
    if there < number:
        raise Failed("%d packets" % there)


def test_ipv4():
    about("Malformed packets of clients with an IPv4 underlay.")
    storm("v4", 11, 5000)
    memory = Memory()
    storm("v4", 12, COUNT)
    with check("no memory was left behind"):
        memory.kept()


def test_ipv6():
    about("The same with an IPv6 underlay.")
    storm("v6", 13, COUNT)


main("rust_glb_director")
