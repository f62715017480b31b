#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Classes: which table a packet has by protocol, addresses, ports and bytes of its header. Each table has a mark and a proxy.

    client ---> director: class -> table "one": mark 5000 ---> proxy1
                                   table "two": mark 6000 ---> proxy2
                          bind  -> table "rest": mark 7000 ---> proxy3
"""

from lab.director import KEY, SEED, backend, begin, load
from lab.hosts import Host
from lab.marks import Marks
from lab.packets import ip, raw, sctp, tcp, udp
from lab.run import main
from lab.settings import VIP4, VIP6, work_json
from lab.story import about, check, holds, same

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
proxy2 = Host("proxy2", "10.1.0.2", "fd01::2")
proxy3 = Host("proxy3", "10.1.0.3", "fd01::3")
marks = Marks(client, director, (proxy1, proxy2, proxy3))
OFFSETS = {5000: proxy1, 6000: proxy2, 7000: proxy3}
NEAR = {VIP4: "10.11.12.13", VIP6: "fd11::1"}
FAR = {VIP4: "10.99.0.1", VIP6: "fd99::1"}

CLASSES = [
    {"name": "syn", "service": "two", "priority": 30, "proto": ["tcp"], "dport": ["81"], "match": ["tcp[13:1] & 0x02 = 0x02"]},
    {"name": "far", "service": "two", "priority": 20, "src": ["10.99.0.0/16", "fd99::/16"]},
    {"name": "web", "service": "one", "priority": 10, "proto": ["tcp", "udp"], "dst": [VIP4, VIP6], "dport": ["80-89"]},
    {"name": "assoc", "service": "two", "priority": 10, "proto": ["sctp"], "dport": ["4000"], "udp_encap": 9899},
]


def file(name, classes):
    def one(table, offset, binds, host):
        return {"name": table, "select": {"kind": "maglev", "size": 1021}, "forward": {"kind": "mark", "offset": offset},
                "flows": False, "hash_key": KEY, "seed": SEED[:-4] + str(offset), "binds": binds,
                "backends": [backend(host.ipv4)]}

    rest = [{"ip": vip, "proto": proto, "port_start": 1, "port_end": 90} for vip in (VIP4, VIP6) for proto in ("tcp", "udp")]
    tables = [one("one", 5000, [], proxy1), one("two", 6000, [], proxy2), one("rest", 7000, rest, proxy3)]
    return work_json(name, {"tables": tables, "classes": classes})


def setup():
    marks.make()
    marks.lead(OFFSETS)
    load(director, file("classes.json", CLASSES))
    director.run("glbctl attach eth0")


def in_udp(port, payload):
    """SCTP to this port in UDP, whose addresses its checksum does not cover."""
    _, packet = sctp(1024, port, payload).build(b"", b"")
    return udp(5, 9899, packet)


def both(src, vip, transport, **more):
    """A packet as it is sent, and as it is behind a router."""
    return [ip(src[vip], vip, transport, ttl=ttl, **more) for ttl in (64, 63)]


def counted(count, **more):
    """All that went had a mark, and this besides."""
    packets, size = marks.sent
    marks.sent = (0, 0)
    went = {"marked_packets": packets, "encapsulated_bytes": size} if packets else {}
    count.exactly(**went, **more)


def test_packets():
    about("Each packet goes to the table of the first class that has it, and where there is none, to that of its bind.")
    count = begin(director)
    for vip in (VIP4, VIP6):
        for what, src, transport, host in (
            ("TCP to port 80", NEAR, tcp(1024, 80, "A", payload=b"x"), proxy1),
            ("UDP to port 89", NEAR, udp(1024, 89, b"x" * 30), proxy1),
            ("TCP to port 90", NEAR, tcp(1024, 90, "A"), proxy3),
            ("a SYN to port 81", NEAR, tcp(1024, 81, "S"), proxy2),
            ("an ACK to port 81", NEAR, tcp(1024, 81, "A"), proxy1),
            ("TCP to port 80 from far away", FAR, tcp(1024, 80, "A"), proxy2),
            ("GRE from far away", FAR, raw(47, b"\0\0\x08\0" + bytes(20)), proxy2),
            ("SCTP to port 4000", NEAR, sctp(1024, 4000, b"\0\3\0\x10" + bytes(12)), proxy2),
            ("SCTP to port 4000 in UDP", NEAR, in_udp(4000, b"\0\3\0\x10" + bytes(12)), proxy2),
        ):
            marks.goes("%s of %s" % (what, vip), both(src, vip, transport), host)
    counted(count)


def test_no_class():
    about("What no class and no bind has passes.")
    count = begin(director)
    for vip in (VIP4, VIP6):
        marks.stays("TCP to port 91", both(NEAR, vip, tcp(1024, 91, "A")))
        marks.stays("SCTP to port 4001 in UDP", both(NEAR, vip, in_udp(4001, bytes(16))))
    counted(count, passed_no_matching_bind_packets=4)


def test_fragments():
    about("Later fragments go where the first one's class led, by bytes too; before it they cannot.")
    count = begin(director)
    for vip in (VIP4, VIP6):
        for ident, transport, host in (
            (7, udp(1024, 80, bytes(range(200))), proxy1),
            (8, in_udp(4000, bytes(188)), proxy2),
        ):
            for part in ((0, True, 0, 104), (104, False, 104, 208)):
                packet = both(NEAR, vip, transport, ident=ident, fragment=part)
                marks.goes("bytes from %d of datagram %d to %s" % (part[0], ident, vip), packet, host)
        late = both(NEAR, vip, udp(1024, 80, bytes(range(200))), ident=9, fragment=(104, False, 104, 208))
        marks.stays("a later fragment alone", late)
    counted(count, dropped_fragment_packets=2)


def test_lookup():
    about("The running director and the file say the same of a packet.")
    path = file("classes.json", CLASSES)
    for vip in (VIP4, VIP6):
        for src, port, index, table in ((NEAR, 80, 2, "one"), (FAR, 80, 1, "two"), (NEAR, 90, None, "rest")):
            words = [("[%s]:%d" if ":" in one[0] else "%s:%d") % one for one in ((src[vip], 1024), (vip, port))]
            with check("from %s to %s" % tuple(words)):
                running = director.json("glbctl --json lookup --running", *words)
                of_file = director.json("glbctl --json lookup --table", path, *words)
                same([(table, index)] * 2, [(one["table"], one.get("class", {}).get("index")) for one in (running, of_file)])


def test_reload():
    about("Other classes take the place of these at once; without classes binds have all.")
    load(director, file("turned.json", [dict(CLASSES[2], service="two")]))
    count = begin(director)
    marks.goes("port 80", both(NEAR, VIP4, tcp(1024, 80, "A")), proxy2)
    counted(count)
    load(director, file("none.json", []))
    count = begin(director)
    marks.goes("port 80", both(NEAR, VIP4, tcp(1024, 80, "A")), proxy3)
    counted(count)
    bad = work_json("bad.json", {"tables": [], "classes": [{"name": "c", "service": "none"}]})
    refused = director.status("glbctl table load", bad)
    with check("a class of no table is refused, and all is as it was"):
        holds(refused != 0, "it was loaded")
    marks.goes("port 80", both(NEAR, VIP4, tcp(1024, 80, "A")), proxy3)
    load(director, file("classes.json", CLASSES))


main("rust_glb_director")
