#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Aggregates of every shape that drivers and GRO make, in the director: what leaves are the packets that an aggregate was made
of, or where they do not fit, what the settings say; byte for byte.

              director
    ---> in (glbtest)    out (glbtest) ---> 10.1.0.1, 10.1.0.2, fd01::1, fd01::2      captured at out
"""

from lab import counters
from lab.director import begin, config, load, load_module, table, table_file
from lab.dumps import Dump
from lab.hosts import Host, guest, make
from lab.run import main
from lab.settings import VIP4, VIP6, work
from lab.story import about, at_least, check, context, holds, same
from lab.testdev import held, inject, load_testdev

director = Host("director", "65.65.65.65", "fd65::65")

# What the headers in front are.
FORWARDS = {
    "gue": {},
    "gre": {"version": 3, "hops": 2, "forward": {"kind": "gre"}},
    "ipip": {"version": 3, "hops": 2, "forward": {"kind": "ipip"}},
}


def setup():
    global tables
    load_testdev()
    make(director)
    proxies = [address % number for number in (1, 2) for address in ("10.1.0.%d", "fd01::%d")]
    neighbours = ["neigh add %s dev out lladdr 02:00:00:00:01:0%s nud permanent" % (each, each[-1]) for each in proxies]
    director.ip("""
        link add in type glbtest
        link add out type glbtest
        link set in up
        link set out mtu 2000 up
        route add 10.1.0.0/24 dev out src 65.65.65.65
        route add fd01::/64 dev out src fd65::65
        route add 10.2.0.0/16 via inet 10.1.0.1 dev out onlink
        route add fd02::/64 via fd01::1 dev out onlink
        %s
    """ % "\n".join(neighbours))
    load_module()
    director.run("glbctl attach in")
    proxies = {"v4": ("10.1.0.1", "10.1.0.2"), "v6": ("fd01::1", "fd01::2")}
    tables = {
        (tunnel, underlay): table_file("%s-%s.json" % (tunnel, underlay), table(*addresses, **forward))
        for tunnel, forward in FORWARDS.items()
        for underlay, addresses in proxies.items()
    }
    config(director, "--source-v6 fd65::65")


# --- lines of what comes in, each with what must become of it (glb-packets shapes --help) ------------

ADDRESSES = {4: "src=10.2.0.1 dst=" + VIP4, 6: "src=fd02::1 dst=" + VIP6}

# The buffers that an aggregate's payload lies in, and how many segments it has. 37 are more than a buffer has fragments for.
BUFFERS = (
    ("layout=linear heads=page", 20),
    ("layout=linear heads=kmalloc", 20),
    ("layout=frags", 16),
    ("layout=frags frag=4096", 37),
    ("layout=frags frag=4096 pull=128 heads=kmalloc", 20),
    ("layout=frag_list data=linear heads=page", 37),
    ("layout=frag_list data=linear heads=kmalloc", 37),
    ("layout=frag_list data=frags first=17 per=17", 37),
    ("layout=frag_list data=frags first=17 per=1", 37),
    ("layout=frag_list data=linear heads=page first=18 per=18", 37),
    ("layout=frag_list data=linear heads=kmalloc first=3 per=5", 20),
)
# And what a list of packets lies in, of ten segments.
LISTS = (
    "layout=fraglist data=linear heads=page",
    "layout=fraglist data=linear heads=kmalloc",
    "layout=fraglist data=frags",
)
UDP = "proto=udp dport=1500"


def sized(words, size, segments):
    """The last segment is 100 bytes shorter."""
    return "%s size=%d len=%d" % (words, size, segments * size - 100)


class Lines:
    """What comes in, and what must become of it. Each line has a source port and identifications of its own."""

    def __init__(self):
        self.lines, self.wanted = [], []

    def __len__(self):
        return len(self.lines)

    def add(self, want, words, families=(4, 6)):
        """Of both families of the inner packet, if nothing is said."""
        for family in families:
            number = len(self.lines) + 1
            own = "sport=%d id=%d seq=%d" % (2000 + number, number * 64 % 65536, 4294960000 + number)
            self.lines.append("family=%d %s %s %s" % (family, ADDRESSES[family], own, words))
            self.wanted.append(want)

    def wanting(self, want):
        """How many of them must become this."""
        return self.wanted.count(want)

    def aggregates(self, size, tcp, udp):
        """Aggregates of every shape with segments of this size: what must become of TCP, and of UDP."""
        for buffer, segments in BUFFERS:
            words = sized(buffer, size, segments)
            self.add(tcp, words)
            self.add(udp, "%s %s" % (words, UDP))
        for buffer in LISTS:
            words = sized(buffer, size, 10) + " csum=unnecessary"
            self.add(tcp, words)
            self.add(udp, "%s %s" % (words, UDP))
        # What may stand beside, once for each kind of buffer.
        for kind in (1, 3, 5, 7):
            words = sized(BUFFERS[kind][0], size, 20)
            for beside in BESIDE:
                self.add(tcp, "%s %s" % (words, beside))
            self.add(udp, "%s %s dodgy=1 cb=gro" % (words, UDP))

    def packets(self, length, tcp, udp):
        """Single packets with so many bytes of payload."""
        for words in PACKETS:
            for csum in ("none", "unnecessary", "complete", "partial"):
                single = "%s len=%d gso=none csum=%s" % (words, length, csum)
                self.add(tcp, single)
                self.add(udp, "%s %s" % (single, UDP))
        self.add(tcp, "layout=linear len=%d gso=none csum=none headroom=0 cloned=1" % length)
        self.add(tcp, "layout=linear len=%d gso=none csum=none headroom=512 cb=255" % length)


BESIDE = (
    "dodgy=1",
    "ecn=1",
    "options=12",
    "headroom=0",
    "headroom=512 cb=255 mark=7 priority=6",
    "vlan=5 cb=gro",
    "csum=unnecessary",
    "csum=complete",
    "cloned=1",
)
PACKETS = (
    "layout=linear",
    "layout=frags frag=512",
    "layout=frag_list data=linear heads=kmalloc size=300",
    "layout=frag_list data=linear heads=page size=300",
    "layout=frag_list data=frags size=500",
)

# --- judging ----------------------------------------------------------------------------------------

# Each underlay, memory shared with the device or copied, whether there is an outer checksum, and what it is. Two of them have
# all of it once.
TWO_WAYS = (("v4", "copied", "true", "right"), ("v6", "shared", "true", "device"))
ALL_WAYS = (("v4", "shared", "false", "none"), *TWO_WAYS, ("v6", "copied", "false", "none"))
# Sums of bytes, and messages that have a rate; and what is cut, which is counted apart.
UNCOUNTED = (
    "total_packets",
    "passed_unknown_format_packets",
    "encapsulated_bytes",
    "icmp_too_big_sent",
    "fragments_sent",
    "segmented_tcp",
)


def come_in(what, lines, mtu, ways=ALL_WAYS, segmented=0, tunnel="gue", **counted):
    """The lines come in; what leaves, over each underlay and with each setting of the outer checksum and the device, is what
    they want, and these counters are exact."""
    director.ip("link set out mtu %d" % mtu)
    with open(work("want"), "w") as file:
        file.write("".join("%s %s\n" % pair for pair in zip(lines.wanted, lines.lines)))
    # With SG the kernel cuts by references into the aggregate's memory and leaves an outer checksum to the device; without, it
    # copies and sums up itself.
    for underlay, memory, checksum, outer in ways:
        load(director, tables[tunnel, underlay])
        config(director, "--udp-checksum " + checksum)
        director.run("ethtool -K out " + ("tx on sg on" if memory == "shared" else "tx off sg off"))
        with context("%s, over IP%s, outer checksum %s, memory is %s: " % (what, underlay, outer, memory)):
            dump = Dump(director, work("got.pcap"), "ip or ip6", device="out")
            count = begin(director)
            inject(director, "in", lines.lines)
            dump.end()
            with check("what left is what must leave"):
                words = "--tunnel %s --mtu %d --outer-checksum %s" % (tunnel, mtu, outer)
                guest.quietly("glb-packets shapes", work("want"), work("got.pcap"), *words.split())
            exactly(count.deltas(), counted, segmented)


def exactly(deltas, counted, segmented):
    """These counters, and no others. segmented_tcp is one for each aggregate that is cut as a whole, and one for each packet of
    an aggregate that is taken apart first: `segmented` is the least."""
    with check("counters: " + counters.words(counted)):
        same(counted, {name: delta for name, delta in deltas.items() if name not in UNCOUNTED})
    grown = deltas.get("segmented_tcp", 0)
    if segmented == 0:
        with check("nothing was cut into shorter TCP packets"):
            same(0, grown)
    else:
        with check("%d or more were cut into shorter TCP packets" % segmented):
            at_least(segmented, grown)


def clone_of(words):
    """Such a packet comes in: what became of its clone."""
    inject(director, "in", ["src=10.2.0.1 dst=%s sport=1999 cloned=1 %s" % (VIP4, words)])
    return held(director, "in")


# --- tests ------------------------------------------------------------------------------------------


def test_fits():
    about("Aggregates of packets that fit leave as the packets that they were made of.")
    lines = Lines()
    lines.aggregates(1400, "same", "same")
    come_in("fitting aggregates", lines, 2000, encapsulated_packets=len(lines))
    with check("a clone is what it was"):
        same("same", clone_of("layout=frag_list data=linear heads=page size=1400 len=20000"))


def test_packets():
    about("Single packets in buffers of every kind leave as they are.")
    lines = Lines()
    lines.packets(1400, "same", "same")
    lines.add("same", "len=1400 gso=none csum=none bad=1")
    lines.add("same", "proto=udp dport=1500 len=1400 gso=none csum=none bad=1")
    come_in("fitting packets", lines, 2000, TWO_WAYS, encapsulated_packets=len(lines))


def test_other_tunnels():
    about("The same in GRE and IP in IP, which have DSCP and ECN of what they carry.")
    ways = (("v4", "copied", "false", "none"), ("v6", "shared", "true", "none"))
    for tunnel in ("gre", "ipip"):
        fit = Lines()
        fit.aggregates(1400, "same", "same")
        fit.packets(1400, "same", "same")
        come_in("what fits in " + tunnel, fit, 2000, ways, tunnel=tunnel, encapsulated_packets=len(fit))
        long = Lines()
        long.aggregates(1458, "nothing", "nothing")
        come_in("what does not fit in " + tunnel, long, 1500, ways, tunnel=tunnel, dropped_too_big_packets=len(long))
        cut = Lines()
        for buffer, segments in BUFFERS:
            words = sized(buffer, 1458, segments) + " df=0"
            cut.add("fragments", words, families=(4,))
            cut.add("fragments", "%s %s" % (words, UDP), families=(4,))
        come_in("what may be fragmented in " + tunnel, cut, 1500, ways, tunnel=tunnel, encapsulated_packets=len(cut))


def test_too_long():
    about("Aggregates of packets that do not fit are dropped, or fragmented if they may be.")
    lines = Lines()
    lines.aggregates(1443, "nothing", "nothing")
    come_in("packets that are too long", lines, 1500, TWO_WAYS, dropped_too_big_packets=len(lines))
    lines = Lines()
    for buffer, segments in BUFFERS:
        words = sized(buffer, 1443, segments) + " df=0"
        lines.add("fragments", words, families=(4,))
        lines.add("fragments", "%s %s" % (words, UDP), families=(4,))
    for buffer in LISTS:
        words = sized(buffer, 1443, 10) + " csum=unnecessary df=0"
        lines.add("fragments", words, families=(4,))
        lines.add("fragments", "%s %s" % (words, UDP), families=(4,))
    come_in("packets that may be fragmented", lines, 1500, TWO_WAYS, encapsulated_packets=len(lines))


def test_segment_tcp():
    about("With segment-tcp TCP packets that do not fit leave as shorter ones; UDP packets do not.")
    config(director, "--segment-tcp true")
    # What made the kernel stop once: gso_size lowered over a list of buffers that hold whole segments.
    lines = Lines()
    lines.add("cut", "layout=frag_list data=linear heads=page size=1443 len=53391")
    come_in("37 segments of 1,443 bytes", lines, 1500, segmented=2, encapsulated_packets=2)
    lines = Lines()
    lines.aggregates(1443, "cut", "nothing")
    lines.packets(1475, "cut", "nothing")
    cut = lines.wanting("cut")
    left = lines.wanting("nothing")
    come_in("segment-tcp", lines, 1500, segmented=cut, dropped_too_big_packets=left, encapsulated_packets=cut)
    with check("a clone is what it was"):
        same("same", clone_of("layout=frag_list data=linear heads=page size=1443 len=20000"))
    with check("a clone of a packet too"):
        same("same", clone_of("layout=frags frag=500 len=1475 gso=none csum=none"))
    config(director, "--segment-tcp false")


def lro(state):
    features = director.output("ethtool -k in")
    holds("\nlarge-receive-offload: " + state in features, features)


def test_lro():
    about("LRO is off where a director is attached; an aggregate that nobody can cut again does not leave.")
    director.run("glbctl detach in")
    director.run("ethtool -K in lro on")
    with check("the device has LRO"):
        lro("on")
    director.run("glbctl attach in")
    with check("it has none any more"):
        lro("off")
    lines = Lines()
    for buffer in ("layout=linear", "layout=frags", "layout=frag_list"):
        lines.add("nothing", buffer + " gso=lro size=1400 len=14000 csum=unnecessary")
    come_in("LRO", lines, 2000, dropped_lro_packets=len(lines))


def test_other_hosts():
    about("Frames that are not for this machine alone are left to the stack.")
    lines = Lines()
    for to in ("other", "broadcast", "multicast"):
        lines.add("nothing", "to=%s gso=none csum=none" % to)
        lines.add("nothing", "to=%s layout=frags size=1400 len=14000" % to)
        lines.add("nothing", "to=%s gso=none len=1475 csum=none" % to)
    come_in("for others", lines, 1500, TWO_WAYS, passed_other_host_packets=len(lines))


def test_no_headroom():
    about("Lists of packets whose buffers have less room than the tunnel's headers: nothing is written in front of a buffer.")
    lines = Lines()
    for headroom in (0, 16, 64):
        for buffer in LISTS:
            words = "%s size=1400 len=13900 csum=unnecessary headroom=%d" % (buffer, headroom)
            lines.add("same", words)
            lines.add("same", "%s %s" % (words, UDP))
    come_in("without headroom", lines, 2000, encapsulated_packets=len(lines))


main()
