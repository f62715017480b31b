#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""A director that is a proxy too, behind a network card with GRO: what GRO left in the buffer is no concern of the IP layer, to
which the director hands its own share.

              director, is a proxy too
    ---> in (glbtest) ===GUE===> lo ---> GLBREDIRECT
"""

import os

from lab.counters import expect_counters, snapshot
from lab.director import begin, config, load, load_module, table, table_file
from lab.hosts import Host, make
from lab.proxies import proxies
from lab.run import main
from lab.settings import GUE_PORT, VIP4, VIP6, work
from lab.story import about, at_least, check, context, holds, same
from lab.testdev import inject, load_testdev
from lab.waiting import eventually

director = Host("director", "65.65.65.65", "fd65::65")

# The buffer's private bytes: as GRO leaves them, garbage, nothing.
LEFT = ("cb=gro", "cb=255", "cb=0x05", "cb=0")
ADDRESSES = {4: "src=10.2.0.1 dst=" + VIP4, 6: "src=fd02::1 dst=" + VIP6}


def setup():
    global tables
    load_testdev()
    make(director)
    proxies(director)
    director.ip("link add in type glbtest\nlink set in up")
    load_module()
    director.run("glbctl attach in")
    tables = {"v4": table_file("v4.json", table(director.ipv4)), "v6": table_file("v6.json", table(director.ipv6))}
    # ip6tnl0 takes nothing from an address of its own machine.
    config(director, "--source-v6 fd65::66")


def everywhere(step, *left):
    """Over both underlays, from both families of clients, with this left in the buffer. The step gets the words of a packet, and
    what the director counts from then on."""
    for underlay, path in tables.items():
        load(director, path)
        for family, addresses in ADDRESSES.items():
            for words in left:
                with context("IPv%d over IP%s, %s: " % (family, underlay, words)):
                    count = begin(director)
                    snapshot(director)
                    step("family=%d %s %s" % (family, addresses, words), count)


def tunnelled(count, number):
    """So many packets were sent, and nothing else became of any."""
    with check("%d tunnelled, nothing else" % number):
        became = ("encapsulated", "dropped", "passed_no")
        deltas = {name: delta for name, delta in count.deltas().items() if name.startswith(became) and name.endswith("_packets")}
        same({"encapsulated_packets": number}, deltas)


def test_syn():
    about("A SYN reaches this machine's own proxy.")
    everywhere(syn, *LEFT)


def syn(words, count):
    inject(director, "in", [words + " syn=1 len=0 gso=none csum=none"])
    expect_counters(director, accepted_syn=1)
    tunnelled(count, 1)


def test_data():
    about("Packets and aggregates reach it, with what may not be fragmented and what may.")
    everywhere(data, "cb=gro", "cb=255")


PACKETS = (
    "sport=3000 len=1400 gso=none csum=unnecessary layout=frags",
    "sport=3001 len=1400 gso=none csum=unnecessary df=0",
    "sport=3002 len=20000 size=1400 layout=frags",
    "sport=3003 len=50000 size=1400 layout=frag_list data=linear heads=page",
    "sport=3004 len=50000 size=1400 layout=frag_list data=frags first=17 per=17",
)


def data(words, count):
    inject(director, "in", ["%s %s" % (words, packet) for packet in PACKETS])
    expect_counters(director, forwarded_to_self=89)
    tunnelled(count, 5)


def test_bytes_arrive():
    about("What a program gets is what was sent: a UDP service behind this machine's own share.")
    load(director, tables["v4"])
    got = work("udp")
    director.spawn("socat -u UDP-RECV:1500", "CREATE:" + got)
    eventually(bound, 1500)
    packet = "proto=udp sport=3000 dport=1500 len=1400 gso=none csum=unnecessary layout=frags cb=gro"
    inject(director, "in", ["family=4 %s %s" % (ADDRESSES[4], packet)])
    with check("1,400 bytes arrive"):
        eventually(arrived, got, 1400)
    with open(got, "rb") as file:
        found = file.read()
    # The pattern of tests/kmod/shape.c.
    for byte in (0, 1, 700, 1399):
        with check("byte %d is right" % byte):
            same(((3000 << 16 | byte) * 0x9E3779B1 & 0xFFFFFFFF) >> 24, found[byte])


def bound(port):
    holds(director.output("ss -Hlun", "sport = %d" % port), "a program has UDP port %d" % port)


def arrived(path, length):
    holds(os.path.exists(path), "%s is there" % path)
    same(length, os.stat(path).st_size)


def test_untracked():
    about("Connection tracking knows nothing of the tunnel to this machine itself (decision 5), with the rule that a proxy has.")
    for tool in ("iptables", "ip6tables"):
        director.run("%s -t raw -A PREROUTING -p udp --dport %d -j CT --notrack" % (tool, GUE_PORT))
        director.run("%s -A INPUT -m conntrack --ctstate INVALID -j ACCEPT" % tool)
    # That connections are tracked at all must be seen.
    director.run("ping -c 1 -W 60 65.65.65.65")
    with check("this machine tracks connections"):
        at_least(1, tracked("icmp"))
    everywhere(untracked, "cb=gro")
    for tool in ("iptables", "ip6tables"):
        director.run("%s -t raw -F" % tool)
        director.run("%s -D INPUT -m conntrack --ctstate INVALID -j ACCEPT" % tool)


def untracked(words, count):
    inject(director, "in", [words + " sport=3100 len=1400 gso=none csum=unnecessary"])
    expect_counters(director, forwarded_to_self=1)
    with check("the tunnel is not tracked"):
        same(0, tracked("udp"))


def tracked(protocol):
    """Connections of it that are known, of both families."""
    known = [director.output("conntrack -L -f", family, "-p", protocol) for family in ("ipv4", "ipv6")]
    return sum(line.startswith(protocol + " ") for lines in known for line in lines.splitlines())


main()
