#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Forward mark: a packet goes on up the director's stack with the mark of its backend; rules and routes lead it there.

    client ---> director: mark 5000 ---> ip rule ---> route ---> proxy1
       ^                  mark 5001 ---> ip rule ---> route ---> proxy2
       +--------------------- answers directly ------------------+
"""

from lab.director import KEY, SEED, backend, begin, load, table_file
from lab.hosts import Host
from lab.marks import Marks
from lab.packets import ip, sctp, tcp, udp
from lab.run import main
from lab.settings import VIP4, VIP6
from lab.story import about, check, holds, same

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
proxy2 = Host("proxy2", "10.1.0.2", "fd01::2")
PROXIES = (proxy1, proxy2)
marks = Marks(client, director, PROXIES)
OFFSET = 5000
SOURCES = {VIP4: "10.11.12.13", VIP6: "fd11::1"}


def tables(states):
    """A table for both families, whose backends have these states."""
    binds = [
        {"ip": vip, "proto": proto, "port_start": 80, "port_end": 90} for vip in (VIP4, VIP6) for proto in ("tcp", "udp", "sctp")
    ]
    return {
        "name": "api",
        "select": {"kind": "maglev"},
        "forward": {"kind": "mark", "offset": OFFSET},
        "flows": False,
        "hash_key": KEY,
        "seed": SEED,
        "binds": binds,
        "backends": [backend(host.ipv4, state) for host, state in zip(PROXIES, states)],
    }


def setup():
    marks.make()
    director.run("glbctl config set --hash-fields src_addr,src_port")
    both = table_file("both.json", tables(("active", "active")))
    load(director, both)
    director.run("glbctl attach eth0")


def lead(first, second):
    """Marks lead to these hosts from here on."""
    marks.lead({OFFSET: first, OFFSET + 1: second})


def owner(vip, port):
    """The place of the backend that a client's port has."""
    form = "[%s]:%d [%s]:80" if ":" in vip else "%s:%d %s:80"
    words = form % (SOURCES[vip], port, vip)
    found = director.json("glbctl --json lookup --running", *words.split())
    return [host.ipv4 for host in PROXIES].index(found["hops"][0]["ip"])


def ports(vip):
    """A client's port for each backend."""
    found = {}
    for port in range(1024, 1100):
        found.setdefault(owner(vip, port), port)
        if len(found) == 2:
            return [found[0], found[1]]
    raise AssertionError("one backend has all ports: %r" % found)


def both(vip, transport, **more):
    """A packet to the VIP, and what it is behind a router."""
    return [ip(SOURCES[vip], vip, transport, ttl=ttl, **more) for ttl in (64, 63)]


def test_packets():
    about("TCP, UDP and SCTP of both families go where the mark of their backend leads, and to the other one if the rules say.")
    lead(proxy1, proxy2)
    count = begin(director)
    number = size = 0
    for vip in (VIP4, VIP6):
        found = ports(vip)
        for turned in (False, True):
            lead(*(reversed(PROXIES) if turned else PROXIES))
            for place, port in enumerate(found):
                host = PROXIES[place ^ turned]
                for name, transport in (
                    ("TCP", tcp(port, 80, "A", payload=b"x")),
                    ("UDP", udp(port, 80, b"x" * 30)),
                    ("SCTP", sctp(port, 80, b"\0\3\0\x10" + bytes(12))),
                ):
                    packet, after = both(vip, transport)
                    marks.goes("%s to %s with mark %d" % (name, vip, OFFSET + place), (packet, after), host)
                    number, size = number + 1, size + len(packet)
    count.exactly(marked_packets=number, encapsulated_bytes=size)


def test_fragments():
    about("Fragments go where their first one went.")
    lead(proxy1, proxy2)
    count = begin(director)
    size = 0
    for vip in (VIP4, VIP6):
        for place, port in enumerate(ports(vip)):
            transport = udp(port, 80, bytes(range(200)))
            for part in ((0, True, 0, 104), (104, False, 104, 208)):
                packet, after = both(vip, transport, ident=7 + place, fragment=part)
                marks.goes("bytes from %d of a datagram to %s" % (part[0], vip), (packet, after), PROXIES[place])
                size += len(packet)
    count.exactly(marked_packets=8, encapsulated_bytes=size)


def test_a_backend_leaves():
    about("Of a backend that is inactive nobody has its mark; the others keep theirs.")
    lead(proxy1, proxy2)
    found = ports(VIP4)
    load(director, table_file("one.json", tables(("inactive", "active"))))
    count = begin(director)
    size = 0
    for port in found:
        packet, after = both(VIP4, tcp(port, 80, "A"))
        marks.goes("port %d" % port, (packet, after), proxy2)
        size += len(packet)
    count.exactly(marked_packets=2, encapsulated_bytes=size)
    load(director, table_file("again.json", tables(("active", "active"))))


def test_identifiers():
    about("A backend with an id has the mark of that, wherever it stands in the list; tools and module say which.")
    table = tables(("active", "active"))
    table["backends"] = [dict(backend(proxy2.ipv4), id=7), dict(backend(proxy1.ipv4), id=0)]
    path = table_file("ids.json", table)
    load(director, path)
    lead(proxy1, proxy1)
    marks.lead({OFFSET + 7: proxy2})
    wanted = [(proxy2.ipv4, 7, OFFSET + 7), (proxy1.ipv4, 0, OFFSET)]
    for command in ("glbctl --json table show --running", "glbctl --json table show " + path):
        with check(command):
            shown = director.json(command)[0]["backends"]
            same(wanted, [(one["ip"], one["identifier"], one["mark"]) for one in shown])
    count = begin(director)
    size = 0
    for vip in (VIP4, VIP6):
        for place, port in enumerate(ports(vip)):
            packet, after = both(vip, tcp(port, 80, "A", payload=b"x"))
            marks.goes("port %d to %s" % (port, vip), (packet, after), PROXIES[place])
            size += len(packet)
    count.exactly(marked_packets=4, encapsulated_bytes=size)
    words = "%s:%d %s:80" % (SOURCES[VIP4], ports(VIP4)[1], VIP4)
    with check("glbctl lookup --running says the mark"):
        hop = director.json("glbctl --json lookup --running", *words.split())["hops"][0]
        same(wanted[0], (hop["ip"], hop["identifier"], hop["mark"]))
    with check("glbctl lookup --table says that of the backend which it has by the default hash fields"):
        hop = director.json("glbctl --json lookup --table", path, *words.split())["hops"][0]
        holds((hop["ip"], hop["identifier"], hop["mark"]) in wanted, hop)
    load(director, table_file("again.json", tables(("active", "active"))))
    with check("without ids they are the places again"):
        shown = director.json("glbctl --json table show --running")[0]["backends"]
        same([(0, OFFSET), (1, OFFSET + 1)], [(one["identifier"], one["mark"]) for one in shown])


def test_what_is_shown():
    about("The running director says what the file said.")
    with check("forward and offset"):
        same({"kind": "mark", "offset": OFFSET}, director.json("glbctl --json table show --running")[0]["forward"])
    count = begin(director)
    lead(proxy1, proxy2)
    before = sent()
    packet, after = both(VIP4, tcp(ports(VIP4)[1], 80, "A"))
    marks.goes("one more", (packet, after), proxy2)
    with check("the backend has what was marked for it, the other one nothing"):
        same([0, 1], [now - then for now, then in zip(sent(), before)])
    count.exactly(marked_packets=1, encapsulated_bytes=len(packet))


def sent():
    """Packets of each backend."""
    counters = director.json("glbctl --json stats --backends")
    sent = {key: value for key, value in counters.items() if key.endswith("/sent_packets")}
    return [sum(value for key, value in sent.items() if host.ipv4 in key) for host in PROXIES]


main("rust_glb_director")
