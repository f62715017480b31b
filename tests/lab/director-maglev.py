#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Maglev tables: real packets through the module by ours over each forward, and by VPP's own test case.

    client ---> director ===GUE, GRE, IP in IP===> servers (one neighbour)      captured there
"""

import os

from lab.agree import flows, sends_the_same
from lab.captures import capture_of, forget, send, settle, watch
from lab.director import KEY, SEED, backend, begin, config, load, table_file
from lab.hosts import Host, guest, make
from lab.packets import icmp, ip, packed, raw, sctp, tcp, udp
from lab.run import main
from lab.settings import VIP4, VIP6, work
from lab.story import about, at_least, check, context, holds, same

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")

SERVERS4 = ["10.0.0.%d" % number for number in range(5)]
SERVERS6 = ["fd01::%d" % number for number in range(11, 16)]
IPPROTO_GRE = 47
# What stands in front of a packet in GRE over IPv4.
GRE4 = 20 + 4


def setup():
    make(client, director, proxy1)
    director.ip("\n".join("neigh add %s lladdr %s dev eth0 nud permanent" % (each, proxy1.mac) for each in SERVERS4 + SERVERS6))
    # A capture has packets as they are on the wire.
    director.run("ethtool -K eth0 tx off tso off gso off")
    config(director, "--source-v4 65.65.65.65 --source-v6 fd65::65")
    director.run("glbctl attach eth0")


def table(name, servers, forward="gre", select=None, binds=None, **states):
    """The path of a file with one Maglev table of these servers; `states` are those of the servers by their last digit. It
    remembers no flows: what is looked at are its rows."""
    binds = binds or [{"ip": vip, "proto": proto, "port_start": 1, "port_end": 65535}
                      for vip in (VIP4, VIP6) for proto in ("tcp", "udp")]
    backends = [backend(each, states.get("s" + each[-1], "active")) for each in servers]
    return table_file(name, {"name": "web", "hash_key": KEY, "seed": SEED, "select": {"kind": "maglev", **(select or {})},
                             "forward": {"kind": forward}, "flows": False, "binds": binds, "backends": backends})


# Of each kind, over each underlay where it goes: the select, the forward, the servers.
KINDS = (
    ("gue", {}, SERVERS4),
    ("gue", {"size": 1021, "hops": 3}, SERVERS6),
    ("gre", {}, SERVERS4),
    ("ipip", {"size": 1021}, SERVERS6),
    ("gre", {"size": 655373}, SERVERS6),
    ("gre", {"compat": "vpp"}, SERVERS4),
    ("ipip", {"compat": "vpp-sticky", "size": 64}, SERVERS6),
    ("gre", {"compat": "nfqlb", "size": 1000}, SERVERS4),
    ("gre", {"compat": "nfqlb-sctp-ports", "size": 97}, SERVERS4),
)


def each(step):
    for number, (forward, select, servers) in enumerate(KINDS):
        path = table("kind%d.json" % number, servers, forward, select)
        with context("%s over %s by %s: " % (forward, "IPv6" if ":" in servers[0] else "IPv4", select or "default")):
            load(director, path)
            step(path)


def test_rows():
    about("Each kind of table is loaded whole: what the director shows is what the file says, row by row, also after a restore.")
    each(rows_are_the_files)


def rows_are_the_files(path):
    running = director.json("glbctl --json table show --running --rows")[0]
    file = director.json("glbctl --json table show --rows", path)[0]
    for field in ("hops", "forward", "select", "binds", "rows"):
        with check("the director shows its " + field):
            same(file[field], running[field])
    with check("a restore proves it"):
        same(True, director.json("glbctl --json table restore", path)["proven"])
    for source, vip in (("10.11.12.13:4711", VIP4), ("192.0.2.77:1", VIP4), ("[fd11::13]:4711", "[%s]" % VIP6)):
        for proto in ("tcp", "udp"):
            words = "%s %s:80 --proto %s" % (source, vip, proto)
            with check("%s goes where the file says" % words):
                by_file, by_kernel = (director.json("glbctl --json lookup", *words.split(), *more)
                                      for more in (("--table", path), ("--running",)))
                for field in ("forward", "select"):
                    same(by_file[field], by_kernel[field])
                same([one["row"] for one in by_file["hashes"]], [one["row"] for one in by_kernel["hashes"]])
                same([hop["ip"] for hop in by_file["hops"]], [hop["ip"] for hop in by_kernel["hops"]])


def test_bytes():
    about("Each packet of both families leaves as glbctl encap says, and is counted once.")
    each(bytes_are_right)


def bytes_are_right(path):
    given = flows(director, (VIP4, VIP6), 400)
    sends_the_same((client, director, proxy1), given, path, "src host 65.65.65.65 or (src host fd65::65 and not ip6 proto 58)")


def arrived():
    """What the director has sent to the servers since the last look."""
    settle(proxy1)
    packets = [packet for packet in capture_of(proxy1).packets if packet[:1] == b"E" and packet[12:16] == packed("65.65.65.65")]
    forget()
    return packets


def test_second_chance():
    about("Over GUE a drained server is the second hop of the rows that it had; no other row's packets come to another server"
          " first than before, but for less than one in a hundred.")
    flows = [ip("10.20.%d.%d" % divmod(number, 250), VIP4, tcp(1000 + number, 80)) for number in range(500)]
    first = {}
    for state in ("active", "draining"):
        load(director, table("drain.json", SERVERS4, "gue", None, s2=state))
        count = begin(director)
        for flow in flows:
            send(client, director, flow)
        packets = arrived()
        with check("%s: each packet arrives" % state):
            same(flows, [packet[40:] for packet in packets])
        count.exactly(encapsulated_packets=500, encapsulated_bytes=500 * 80)
        first[state] = [(packet[16:20], packet[36:40]) for packet in packets]
    drained = packed("10.0.0.2")
    before, after = first["active"], first["draining"]
    with check("it had a fifth of the flows"):
        at_least(60, sum(owner == drained for owner, _ in before))
    with check("it gets no new flows"):
        same([], [owner for owner, _ in after if owner == drained])
    with check("each of its flows finds it behind its new owner"):
        same([drained] * sum(owner == drained for owner, _ in before),
             [second for (owner, _), (_, second) in zip(before, after) if owner == drained])
    moved = [(old, new) for old, new in zip(before, after) if old[0] != drained and old[0] != new[0]]
    with check("others did not move, or one in a hundred"):
        holds(len(moved) <= 5, "%d of 500" % len(moved))
    with check("and have their former owner behind the new one"):
        same([old[0] for old, _ in moved], [new[1] for _, new in moved])


def vectors():
    """VPP's test case: for each flow its addresses, its ports, the server, and the server by addresses alone."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "vpp-lb.tsv")) as file:
        lines = [line.rstrip("\n").split("\t") for line in file if line.startswith("flow4\t")]
    for _, _, addresses, ports, _, _, server, sticky in lines:
        source, destination = addresses.split(" -> ")
        sport, dport = (int(port) for port in ports.split("->"))
        yield source, destination, sport, dport, server, sticky.split(" ")[-1]


def vpp(name, more=""):
    """The table of VPP's own lines."""
    lines = "lb vip 90.0.0.0/8 encap gre4 new_len 1024%s\nlb as 90.0.0.0/8 %s\n" % (more, " ".join(SERVERS4))
    with open(work(name + ".vpp"), "w") as file:
        file.write(lines)
    path = work(name + ".json")
    guest.quietly("glbctl table import-vpp", work(name + ".vpp"), "-o", path)
    load(director, path)


def test_vpp():
    about("VPP's own test case: a hundred flows, each to the server that VPP chooses, by addresses and ports and by addresses.")
    watch()
    for name, more in (("flow", ""), ("sticky", " src_ip_sticky")):
        vpp(name, more)
        flows = list(vectors())
        sent = [ip(source, destination, udp(sport, dport, b"x" * 20)) for source, destination, sport, dport, _, _ in flows]
        count = begin(director)
        for packet in sent:
            send(client, director, packet)
        packets = arrived()
        with check("%s: each flow goes to VPP's server" % name):
            wanted = [flow[4 if name == "flow" else 5] for flow in flows]
            same([packed(server) for server in wanted], [packet[16:20] for packet in packets])
        with check("%s: in GRE, unchanged" % name):
            same([(IPPROTO_GRE, b"\0\0\x08\0", packet) for packet in sent],
                 [(packet[9], packet[20:24], packet[24:]) for packet in packets])
        count.exactly(encapsulated_packets=100, encapsulated_bytes=sum(GRE4 + len(packet) for packet in sent))


def test_vpp_fragments():
    about("By VPP's hash a later fragment goes where its first one went, and is dropped if that was not seen: it has no ports.")
    vpp("flow")
    source, destination, sport, dport, server, _ = next(vectors())
    whole = udp(sport, dport, b"y" * 1000)

    def part(number, *what):
        return ip(source, destination, whole, ident=number, fragment=what)

    first, last = part(7, 0, True, 0, 504), part(7, 504, False, 504, 1008)
    count = begin(director)
    send(client, director, first, last, part(8, 504, False, 504, 1008))
    packets = arrived()
    with check("both parts of the one datagram arrive at its server"):
        same([(packed(server), first), (packed(server), last)], [(packet[16:20], packet[24:]) for packet in packets])
    count.exactly(encapsulated_packets=1, encapsulated_fragment_packets=1, dropped_fragment_packets=1,
                  encapsulated_bytes=2 * GRE4 + len(first) + len(last))
    error = ip("40.9.9.9", destination, icmp(3, 4, b"\0\0\x05\xdc", ip(destination, source, udp(dport, sport, b"z" * 8))))
    count = begin(director)
    send(client, director, error)
    with check("an ICMP error goes to the server of the flow that it is about"):
        same([packed(server)], [packet[16:20] for packet in arrived()])
    count.exactly(encapsulated_icmp_error_packets=1, encapsulated_bytes=GRE4 + len(error))
    other = ip("40.9.9.9", destination, raw(50, b"esp"))
    count = begin(director)
    send(client, director, other)
    with check("another protocol goes by its addresses, as the VIP takes all"):
        same([other], [packet[24:] for packet in arrived()])
    count.exactly(encapsulated_packets=1, encapsulated_bytes=GRE4 + len(other))


def peers():
    """nfqlb's flows: client, port, VIP, port, protocol, the target, and the one by the ports of SCTP alone."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "maglev-peers.tsv")
    with open(path) as file:
        lines = [line.rstrip("\n").split("\t") for line in file if line.startswith("nfqlb-hash\t")]
    for fields in lines:
        client, _, vip, _, proto = fields[1].split(" ")
        (source, sport), (destination, dport) = (end.rsplit(":", 1) for end in (client, vip))
        by_ports = fields[5].rsplit("target=", 1)[1] if len(fields) > 5 else None
        yield source, int(sport), destination, int(dport), int(proto), int(fields[4].split("=")[1]), by_ports and int(by_ports)


def test_nfqlb():
    about("nfqlb's table of 997 rows and 32 targets, of which four are active: each flow of its vectors goes to nfqlb's target,"
          " those of SCTP also by their ports alone.")
    watch()
    targets = ["10.9.0.%d" % number for number in range(1, 33)]
    director.ip("\n".join("neigh replace %s lladdr %s dev eth0 nud permanent" % (each, proxy1.mac) for each in targets[:4]))
    director.ip("route replace 10.9.0.0/24 dev eth0")
    binds = [{"ip": vip, "proto": proto, "port_start": 1, "port_end": 65535}
             for vip in ("10.0.0.0", "1000::") for proto in ("tcp", "udp", "sctp")]
    flows = list(peers())
    with check("six flows, two of them of SCTP"):
        same((6, 2), (len(flows), sum(flow[6] is not None for flow in flows)))
    data = b"x" * 20
    kinds = {6: lambda *ports: tcp(*ports, "S"), 17: lambda *ports: udp(*ports, data), 132: lambda *ports: sctp(*ports, data)}
    sent = [ip(source, destination, kinds[proto](sport, dport)) for source, sport, destination, dport, proto, _, _ in flows]
    for compat in ("nfqlb", "nfqlb-sctp-ports"):
        backends = [backend(each, "active" if number < 4 else "inactive") for number, each in enumerate(targets)]
        load(director, table_file("peers.json", {
            "name": "web", "select": {"kind": "maglev", "compat": compat, "size": 997}, "forward": {"kind": "gre"},
            "flows": False, "binds": binds, "backends": backends}))
        count = begin(director)
        for packet in sent:
            send(client, director, packet)
        packets = arrived()
        ports_alone = compat == "nfqlb-sctp-ports"
        wanted = [flow[6] if ports_alone and flow[6] is not None else flow[5] for flow in flows]
        with check("%s: each flow goes to nfqlb's target" % compat):
            same([packed(targets[target]) for target in wanted], [packet[16:20] for packet in packets])
        with check("%s: in GRE, unchanged" % compat):
            same(sent, [packet[24:] for packet in packets])
        count.exactly(encapsulated_packets=6, encapsulated_bytes=sum(GRE4 + len(packet) for packet in sent))


def test_weights():
    about("Shares are by weight, and a server without a weight gets none.")
    weights = [0, 1, 2, 3, 4]
    servers = [dict(backend(each), weight=weight) for each, weight in zip(SERVERS4, weights)]
    path = table_file("weights.json", {"name": "web", "hash_key": KEY, "seed": SEED, "select": {"kind": "maglev"},
                                       "forward": {"kind": "gre"}, "flows": False,
                                       "binds": [{"ip": VIP4, "proto": "tcp", "port": 80}],
                                       "backends": servers})
    load(director, path)
    rows = director.json("glbctl --json table show --running --rows")[0]["rows"]
    with check("65,537 rows"):
        same(65537, len(rows))
    for index, weight in enumerate(weights):
        with check("server %d: %d tenths, to a row or two" % (index, weight)):
            holds(abs(rows.count(index) - 65537 * weight / 10) <= 3, "%d rows" % rows.count(index))


main("rust_glb_director")
