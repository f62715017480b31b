#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Services as VPP's load balancer has them: each row of its plugin's list of features, by the lines that an operator of it has.

    client ---> director ===GRE, L3DSR===> servers (one neighbour)      captured there

docs/migration.md has the list, and the test of each row.
"""

import json
import os

from lab.captures import capture_of, forget, send, settle, watch
from lab.director import KEY, SEED, backend, begin, config, load, table_file
from lab.hosts import Host, guest, make
from lab.packets import icmp, ip, packed, raw, tcp, udp
from lab.run import main
from lab.settings import work
from lab.story import about, at_least, check, context, holds, same

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
second = Host("second", "65.65.65.66", "fd65::66")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")

SERVERS4 = ["10.0.0.%d" % number for number in range(5)]
SERVERS6 = ["fd01::%d" % number for number in range(11, 16)]
IPPROTO_GRE, IPPROTO_ESP, IPPROTO_SCTP = 47, 50, 132
IPPROTO_AH, IPPROTO_OSPF, IPPROTO_PIM, IPPROTO_HIP = 51, 89, 103, 139
GRE4, GRE6 = 20 + 4, 40 + 4
# A slow guest takes longer than VPP's 40 seconds.
LONG = "lb conf timeout 3600\n"


def setup():
    make(client, director, second, proxy1)
    for host in (director, second):
        host.ip("\n".join("neigh add %s lladdr %s dev eth0 nud permanent" % (each, proxy1.mac) for each in SERVERS4 + SERVERS6))
        # A capture has packets as they are on the wire.
        host.run("ethtool -K eth0 tx off tso off gso off")
    config(director, "--source-v4 65.65.65.65 --source-v6 fd65::65 --hash-fields src_addr,src_port,dst_port")
    director.run("glbctl attach eth0")


def imported(name, lines, *words):
    """The path of the table file that VPP's lines become, and what is said about them."""
    with open(work(name + ".vpp"), "w") as file:
        file.write(lines)
    path = work(name + ".json")
    said = guest.output("glbctl table import-vpp", *words, work(name + ".vpp"), "-o", path)
    return path, said


def lines(lb, *more):
    """The path of the file of VPP's lines, which is loaded; no flow of an earlier test is left."""
    nothing, _ = imported("nothing", "lb vip 9.9.9.9/32 encap gre4\nlb as 9.9.9.9/32 10.0.0.1\n")
    load(director, nothing)
    path, _ = imported("lines", LONG + "\n".join((lb,) + more) + "\n")
    load(director, path)
    return path


def go(*packets):
    """The packets go; what the servers got for each."""
    watch()
    forget()
    send(client, director, *packets)
    settle(proxy1)
    got = list(capture_of(proxy1).packets)
    forget()
    return got


def in_gre(packet):
    """Server and inner packet of a GRE packet of the director; nothing of another packet."""
    if packet[0] >> 4 == 4 and packet[9] == IPPROTO_GRE and packet[12:16] == packed("65.65.65.65"):
        return packet[16:20], packet[GRE4:]
    if packet[0] >> 4 == 6 and packet[6] == IPPROTO_GRE and packet[8:24] == packed("fd65::65"):
        return packet[24:40], packet[GRE6:]
    return None


def servers_of(*packets):
    """The server that each packet is sent to by GRE; None if it has not come."""
    found = {inner: server for server, inner in filter(None, map(in_gre, go(*packets)))}
    return [found.get(packet) for packet in packets]


def vectors():
    """VPP's test case: for each flow addresses, ports, the entry of the table, the server, the server by addresses alone."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "vpp-lb.tsv")) as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.startswith("flow4\t")]
    for _, _, addresses, ports, _, entry, server, sticky in rows:
        source, destination = addresses.split(" -> ")
        sport, dport = (int(port) for port in ports.split("->"))
        yield source, destination, sport, dport, int(entry), server, sticky.split(" ")[-1]


def flow(vector):
    source, destination, sport, dport = vector[:4]
    return ip(source, destination, udp(sport, dport, b"x" * 20))


FLOWS = list(vectors())
# A packet of TCP and one of UDP, of these ports.
KINDS = (lambda *ports: tcp(*ports, "S"), udp)


def test_vips():
    about("A VIP without protocol and port takes all protocols of its prefix, whole flows by their addresses; a narrower one"
          " comes first.")
    lines("lb vip 90.0.0.0/8 encap gre4", "lb as 90.0.0.0/8 " + " ".join(SERVERS4),
          "lb vip 90.0.0.1/32 protocol tcp port 80 encap gre4", "lb as 90.0.0.1/32 protocol tcp port 80 10.0.0.9")
    director.ip("neigh replace 10.0.0.9 lladdr %s dev eth0 nud permanent" % proxy1.mac)
    esp = [ip("40.0.0.%d" % number, "90.1.2.3", raw(IPPROTO_ESP, b"esp %d" % number)) for number in range(20)]
    count = begin(director)
    owners = servers_of(*esp)
    with check("ESP goes to servers, to more than one"):
        holds(None not in owners and len(set(owners)) > 1, repr(owners))
    count.exactly(encapsulated_packets=20, encapsulated_bytes=sum(GRE4 + len(packet) for packet in esp))
    with check("other protocols of the same addresses go to the same servers"):
        for proto in (IPPROTO_SCTP, IPPROTO_GRE, 255):
            same(owners, servers_of(*(ip("40.0.0.%d" % number, "90.1.2.3", raw(proto, b"other %d" % number))
                                      for number in range(20))))
    parts = [ip("40.0.0.1", "90.1.2.3", raw(IPPROTO_ESP, bytes(range(200))), ident=9, fragment=part)
             for part in ((0, True, 0, 104), (104, False, 104, 200))]
    count = begin(director)
    with check("fragments go whole, the later one without the first, too"):
        same([owners[1]] * 2, servers_of(*reversed(parts))[::-1])
    count.exactly(encapsulated_packets=1, encapsulated_fragment_packets=1,
                  encapsulated_bytes=sum(GRE4 + len(packet) for packet in parts))
    echo = ip("40.0.0.1", "90.1.2.3", icmp(8, 0, b"\0\1\0\1"))
    error = ip("10.3.0.1", "90.1.2.3", icmp(3, 4, b"\0\0\5\0", ip("90.1.2.3", "40.0.0.1", raw(IPPROTO_ESP, b"e" * 8))))
    count = begin(director)
    with check("an echo request, and an ICMP error about ESP, go where the client's packets go"):
        same([owners[1]] * 2, servers_of(echo, error))
    count.exactly(encapsulated_echo_packets=1, encapsulated_icmp_error_packets=1,
                  encapsulated_bytes=2 * GRE4 + len(echo) + len(error))
    narrow, other = (ip("40.0.0.7", "90.0.0.1", tcp(1000, port, "S")) for port in (80, 81))
    with check("the narrower VIP has its port, the wider one the others"):
        first, rest = servers_of(narrow, other)
        same(packed("10.0.0.9"), first)
        holds(rest in map(packed, SERVERS4), repr(rest))
    outside = ip("40.0.0.1", "91.1.2.3", raw(IPPROTO_ESP, b"esp"))
    count = begin(director)
    with check("outside of the prefix it is left to the stack, and counted as before"):
        same([None], servers_of(outside))
        at_least(1, count.deltas().get("passed_unknown_format_packets", 0))
    for proto, number in (("esp", 50), ("icmp", 1), ("132", 132)):
        with check("lookup says so of protocol %d" % number):
            answer = director.json("glbctl --json lookup --running --proto", proto, "40.0.0.1", "90.1.2.3")
            same([owners[1]], [packed(hop["ip"]) for hop in answer["hops"]])


def rows():
    return director.json("glbctl --json table show --running --rows")[0]["rows"]


def test_encap_gre():
    about("VPP's own test case by gre4 and gre6: a hundred flows of IPv4, each to its server; IPv6 inside both too.")
    for encap, servers, header in (("gre4", SERVERS4, GRE4), ("gre6", SERVERS6, GRE6)):
        with context(encap + ": "):
            lines("lb vip 90.0.0.0/8 encap %s new_len 1024" % encap, "lb as 90.0.0.0/8 " + " ".join(servers))
            table = rows()
            sent = [flow(vector) for vector in FLOWS]
            count = begin(director)
            got = [in_gre(packet) for packet in go(*sent)]
            with check("each goes to the server of its entry, in GRE, unchanged"):
                same([(packed(servers[table[vector[4]]]), packet) for vector, packet in zip(FLOWS, sent)],
                     list(filter(None, got)))
            if encap == "gre4":
                with check("which is VPP's"):
                    same([vector[5] for vector in FLOWS], [servers[table[vector[4]]] for vector in FLOWS])
            count.exactly(encapsulated_packets=100, encapsulated_bytes=sum(header + len(packet) for packet in sent))
            lines("lb vip 2003::/16 encap %s new_len 2048" % encap, "lb as 2003::/16 " + " ".join(servers))
            six = [ip("2001:db8::%x" % number, "2003::%x" % number, udp(1000 + number, 53, b"6")) for number in range(1, 20)]
            with check("a VIP of IPv6"):
                holds(None not in servers_of(*six), "not all have come")


def test_encap_l3dsr():
    about("VPP's own test case by l3dsr: each flow's destination becomes VPP's server, its DSCP 7; the rest stays.")
    lines("lb vip 90.0.0.0/8 encap l3dsr dscp 7 new_len 1024", "lb as 90.0.0.0/8 " + " ".join(SERVERS4))
    count = begin(director)
    got = [packet for packet in go(*(flow(vector) for vector in FLOWS)) if packet[:1] == b"E" and packet[9] == 17]
    with check("each goes to its server as it is, but for destination, DSCP and TTL"):
        wanted = [ip(source, server, udp(sport, dport, b"x" * 20), tos=0x1C, ttl=63)
                  for source, _, sport, dport, _, server, _ in FLOWS]
        same(wanted, got)
    count.exactly(encapsulated_packets=100, encapsulated_bytes=sum(len(flow(vector)) for vector in FLOWS))
    lines("lb vip 90.0.0.0/8 encap l3dsr dscp 7", "lb as 90.0.0.0/8 10.0.0.1")
    kept = [ip("40.0.0.1", "90.1.2.3", raw(number, bytes(24))) for number in (IPPROTO_AH, IPPROTO_HIP)]
    ospf = ip("40.0.0.1", "90.1.2.3", raw(IPPROTO_OSPF, bytes(24)))
    count = begin(director)
    with check("what covers its addresses, and is not updated, is left to the stack; OSPF of IPv4 does not"):
        sent = ip("40.0.0.1", "10.0.0.1", raw(IPPROTO_OSPF, bytes(24)), tos=0x1C, ttl=63)
        same([sent], [packet for packet in go(*kept, ospf) if packet[:1] == b"E" and packet[16:20] == packed("10.0.0.1")])
    count.exactly(passed_covered_packets=2, encapsulated_packets=1, encapsulated_bytes=len(ospf))
    # VPP has l3dsr of IPv4 alone.
    load(director, table_file("six.json", {
        "name": "six", "hash_key": KEY, "seed": SEED, "select": {"kind": "maglev"}, "forward": {"kind": "l3dsr", "dscp": 7},
        "binds": [{"ip": "2003::/16", "proto": "any"}], "backends": [backend(SERVERS6[0])]}))
    kept = [ip("2001:db8::1", "2003::1", raw(number, bytes(24))) for number in (IPPROTO_OSPF, IPPROTO_PIM, IPPROTO_HIP)]
    count = begin(director)
    with check("of IPv6 OSPF, PIM and HIP"):
        same([], [packet for packet in go(*kept) if packet[24:40] == packed(SERVERS6[0])])
    count.exactly(passed_covered_packets=3)


def test_encap_nat():
    about("encap nat4 and nat6, node ports and SNAT interfaces become tables of the forward nat, or are named one by one.")
    text = ("lb vip 90.1.2.1/32 encap nat4 port 3306 target_port 3307 node_port 30964 new_len 1024\n"
            "lb as 90.1.2.1/32 10.0.0.1\n"
            "lb set interface nat4 in host-vpp1\n")
    path, said = imported("nat", text)
    with check("the device's role is told"):
        holds("line 3: " in said and "glbctl attach host-vpp1 --role return" in said, said)
    with check("the table is there"):
        shown = director.json("glbctl --json table show", path)[0]
        same(({"kind": "nat", "target_port": 3307}, ["tcp 90.1.2.1 port 3306", "udp 90.1.2.1 port 3306"]),
             (shown["forward"], shown["binds"]))
    load(director, path)
    sent = [ip("40.0.0.1", "90.1.2.1", each(4000, 3306)) for each in KINDS]
    count = begin(director)
    with check("packets go to the server and its port"):
        wanted = [ip("40.0.0.1", "10.0.0.1", each(4000, 3307), ttl=63) for each in KINDS]
        same(wanted, [packet for packet in go(*sent) if packet[:1] == b"E" and packet[16:20] == packed("10.0.0.1")])
    count.exactly(encapsulated_packets=2, encapsulated_bytes=sum(map(len, sent)))


def test_flows_nat():
    about("VPP's own test case by nat4: each flow's destination becomes VPP's server and a target port, the rest stays.")
    path, said = imported("nat", LONG + "lb vip 90.0.0.0/8 protocol udp port 20000 encap nat4 type clusterip target_port 3307 "
                          "new_len 1024\nlb as 90.0.0.0/8 %s\nlb set interface nat4 in eth1\n" % " ".join(SERVERS4))
    with check("a VIP of several addresses, and the SNAT interface, are named one by one"):
        holds("line 2: " in said and "line 4: " in said and "glbctl attach eth1 --role return" in said, said)
    with open(path) as file:
        tables = json.load(file)
    # An answer does not say which address of a prefix was asked: each has a table, and a target port of its own.
    whole, = tables["tables"]
    bind, = whole["binds"]
    tables["tables"] = [
        dict(whole, name=vector[1], binds=[dict(bind, ip=vector[1])], forward={"kind": "nat", "target_port": 3307 + number},
             flows={"buckets": 16})
        for number, vector in enumerate(FLOWS)
    ]
    with open(path, "w") as file:
        json.dump(tables, file)
    load(director, path)
    count = begin(director)
    got = [packet for packet in go(*(flow(vector) for vector in FLOWS)) if packet[:1] == b"E" and packet[9] == 17]
    with check("each goes to its server as it is, but for destination, port and TTL"):
        wanted = [ip(source, server, udp(sport, 3307 + number, b"x" * 20), ttl=63)
                  for number, (source, _, sport, _, _, server, _) in enumerate(FLOWS)]
        same(wanted, got)
    count.exactly(encapsulated_packets=100, encapsulated_bytes=sum(len(flow(vector)) for vector in FLOWS))


def test_conf():
    about("lb conf: the source of tunnel packets is a setting of the director; buckets and timeout go with each table.")
    path, said = imported("conf", "lb conf ip4-src-address 65.65.65.65 buckets 4096 timeout 600\n"
                          "lb vip 90.0.0.0/8 encap gre4\nlb as 90.0.0.0/8 10.0.0.1\n")
    with check("the source address is told"):
        holds("glbctl config set --source-v4 65.65.65.65" in said, said)
    load(director, path)
    with check("the director has the rest"):
        same({"buckets": 4096, "timeout_s": 600, "by": "flow"}, director.json("glbctl --json table show --running")[0]["flows"])


def test_changes():
    about("Later lines change earlier ones: new_len, weights, del.")
    path = lines("lb vip 90.0.0.0/8 encap gre4 new_len 512", "lb as 90.0.0.0/8 " + " ".join(SERVERS4),
                 "lb as_set_weight 90.0.0.0/8 10.0.0.0 50", "lb as 90.0.0.0/8 10.0.0.4 del",
                 "lb vip 91.0.0.0/8 encap gre4", "lb vip 91.0.0.0/8 del")
    shown = director.json("glbctl --json table show --rows", path)
    with check("one VIP of 512 rows and four servers"):
        same((1, 512, 4), (len(shown), len(shown[0]["rows"]), len(shown[0]["backends"])))
    with check("the one of half the weight has half the rows, or so"):
        own = [shown[0]["rows"].count(server) for server in range(4)]
        holds(own[0] < min(own[1:]) * 0.7, repr(own))


def drained(path, servers):
    """Its table with these servers draining."""
    for server in servers:
        guest.run("glbctl backend drain --force --checker none --metrics none --file", path, "#0", server)
    return path


def test_established():
    about("Established flows keep their server when others come; those of a removed one move, and no other flow does.")
    lines("lb vip 90.0.0.0/8 encap gre4 new_len 1024", "lb as 90.0.0.0/8 " + " ".join(SERVERS4))
    packets = [flow(vector) for vector in FLOWS]
    before = servers_of(*packets)
    more, _ = imported("more", LONG + "lb vip 90.0.0.0/8 encap gre4 new_len 1024\n"
                       "lb as 90.0.0.0/8 %s 10.0.0.9\n" % " ".join(SERVERS4))
    director.ip("neigh replace 10.0.0.9 lladdr %s dev eth0 nud permanent" % proxy1.mac)
    load(director, more)
    with check("a server comes: no flow moves"):
        same(before, servers_of(*packets))
    load(director, drained(more, ["10.0.0.1"]))
    with check("one drains: no flow moves"):
        same(before, servers_of(*packets))
    less, _ = imported("less", LONG + "lb vip 90.0.0.0/8 encap gre4 new_len 1024\n"
                       "lb as 90.0.0.0/8 10.0.0.0 10.0.0.1 10.0.0.3 10.0.0.4\n")
    load(director, less)
    after = servers_of(*packets)
    gone = packed("10.0.0.2")
    with check("one is removed: its flows have another, and nobody else's"):
        same([was for was in before if was != gone], [now for was, now in zip(before, after) if was != gone])
        holds(all(now not in (None, gone) for now in after), repr(after))
    flushed = director.json("glbctl --json flows --flush --service 90.0.0.0/8")["flushed"]
    with check("lb flush vip: all are forgotten"):
        same(100, flushed)


def test_sticky():
    about("src_ip_sticky: VPP's server by addresses, and a client keeps its server.")
    lines("lb vip 90.0.0.0/8 encap gre4 new_len 1024 src_ip_sticky", "lb as 90.0.0.0/8 " + " ".join(SERVERS4))
    with check("each client has VPP's server"):
        same([packed(vector[6]) for vector in FLOWS], servers_of(*(flow(vector) for vector in FLOWS)))
    with check("a hundred clients are remembered, and no flow"):
        shown = director.json("glbctl --json flows")[0]["flows"]
        same(100, len(shown))
        same([], [one for one in shown if "vip" in one])


def test_monitoring():
    about("show lb, show lb vip verbose, show node counters: status, table show, flows, stats.")
    lines("lb vip 90.0.0.0/8 encap gre4 new_len 1024", "lb as 90.0.0.0/8 " + " ".join(SERVERS4))
    servers_of(*(flow(vector) for vector in FLOWS))
    with check("one table of five servers"):
        shown = director.json("glbctl --json table show --running")[0]
        same(("90.0.0.0/8", 5, ["any 90.0.0.0/8"]), (shown["table"], len(shown["backends"]), shown["binds"]))
    with check("a hundred flows"):
        same(100, len(director.json("glbctl --json flows")[0]["flows"]))
    with check("and their counters"):
        stats = director.json("glbctl --json stats --services")
        same(100, stats["90.0.0.0/8/first_flow_packets"])


def test_same_table():
    about("Directors of the same lines have the same table, whatever the order of the servers, so that ECMP may move flows.")
    path = lines("lb vip 90.0.0.0/8 encap gre4 new_len 1024", "lb as 90.0.0.0/8 " + " ".join(SERVERS4))
    other, _ = imported("other", "lb vip 90.0.0.0/8 encap gre4 new_len 1024\n"
                        "lb as 90.0.0.0/8 %s\n" % " ".join(reversed(SERVERS4)))
    load(second, other)
    for vector in FLOWS[:20]:
        words = "%s:%d %s:%d --proto udp" % (vector[0], vector[2], vector[1], vector[3])
        there, here = (host.json("glbctl --json lookup --running", *words.split())["hops"][0]["ip"]
                       for host in (second, director))
        with check("flow %s" % words):
            same((vector[5], vector[5]), (there, here))
    with check("which is that of the file"):
        same(director.json("glbctl --json table show --rows", path)[0]["rows"], rows())


main("rust_glb_director")
