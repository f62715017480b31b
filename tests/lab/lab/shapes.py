# SPDX-License-Identifier: GPL-2.0
"""Packets of every kind that a driver or GRO makes, through a director that changes them where they stand.

    devices(director, routes)           `in` and `out`, devices of testdev.py; made for shapes(), until devices_gone(director)
    shapes(director, lines(...), "encapsulated_packets", "--backend", "10.1.0.1")
"""

from lab.director import begin
from lab.dumps import Dump
from lab.hosts import guest
from lab.settings import work
from lab.story import check, holds, same
from lab.testdev import inject

BUFFERS = (
    "layout=linear heads=page",
    "layout=frags frag=4096",
    "layout=frags frag=4096 pull=128 heads=kmalloc",
    "layout=frag_list data=linear heads=page",
    "layout=frag_list data=linear heads=kmalloc first=3 per=5",
)
# Lists of whole packets, which are sent one by one.
LISTS = ("layout=fraglist data=linear heads=kmalloc csum=unnecessary", "layout=fraglist data=frags csum=unnecessary")
BESIDE = ("", "cloned=1", "headroom=0", "csum=complete", "csum=unnecessary", "vlan=5 cb=gro", "dodgy=1", "dodgy=1 cb=gro")
PACKETS = ("layout=linear", "layout=frags frag=512", "layout=frag_list data=linear heads=kmalloc size=300")


def lines(ends, proto):
    """All shapes, between these ends: pairs of a family and `src=ADDRESS dst=ADDRESS`."""
    for family, addresses in ends:
        start = "family=%d %s %s " % (family, addresses, proto)
        for words in BESIDE:
            if "udp" in proto and words.startswith("csum"):
                continue
            for buffer in BUFFERS:
                yield start + "%s size=1400 len=27900 %s" % (buffer, words)
        for words in ("", "headroom=0"):
            for buffer in LISTS:
                yield start + "%s size=1400 len=13900 %s" % (buffer, words)
        for layout in PACKETS:
            for csum in ("none", "unnecessary", "complete", "partial"):
                for words in ("", "cloned=1", "headroom=0"):
                    yield start + "%s gso=none len=1400 csum=%s %s" % (layout, csum, words)
        yield start + "gso=none len=1400 csum=none bad=1"


def devices(director, ends):
    """Packets come in on `in`, and leave for these addresses by `out`. What clients of other tests still say goes elsewhere."""
    director.ip("link add in type glbtest\nlink add out type glbtest\nlink set in up\nlink set out mtu 1500 up")
    for end in ends:
        source = director.ipv6 if ":" in end else director.ipv4
        director.ip("route replace %s dev out src %s" % (end, source))
        director.ip("neigh replace %s dev out lladdr 02:00:00:00:01:01 nud permanent" % end)
    director.run("ethtool -K out tx off sg off")
    director.run("glbctl detach eth0")


def devices_gone(director):
    director.run("glbctl attach eth0")
    director.ip("link del in\nlink del out")


def shapes(director, given, counter, *words, first=2000):
    """What leaves are the packets that these were made of, changed as `words` say, and each is counted."""
    own = "sport=%d id=%d seq=%d"
    given = [
        "%s %s" % (line.strip(), own % (first + number, number * 64 % 65536, number)) for number, line in enumerate(given)
    ]
    with open(work("want"), "w") as file:
        file.write("".join("same %s\n" % line for line in given))
    dump = Dump(director, work("shapes.pcap"), "ip or ip6", device="out")
    count = begin(director)
    inject(director, "in", given)
    dump.end()
    with check("what left is what must leave"):
        guest.quietly("glb-packets shapes", work("want"), work("shapes.pcap"), "--mtu", 1500, *words)
    deltas = count.deltas()
    with check("every one was counted"):
        same(len(given), deltas.get(counter))
    with check("and nothing else"):
        holds(not [name for name in deltas if name.startswith("dropped")], str(deltas))
