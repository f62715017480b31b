#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""One decision: what the module makes of random packets is what `glbctl encap` makes of the same capture, byte for byte and
verdict for verdict.

    client ---> director ===GUE, or as a service forwards===> proxies (one neighbour)      captured there
"""

import itertools
import json
import os
import random

from lab.director import KEY, SEED, UNCERTAIN, backend, begin, config, load, table_file
from lab.dumps import Dump
from lab.hosts import Host, guest, make
from lab.run import main
from lab.settings import SLOWER, VIP4, VIP6, work, work_json
from lab.story import Failed, about, at_least, check, context, same, say
from lab.waiting import eventually

# Of each of the rounds below; a slower kernel gets fewer.
COUNT = int(os.environ.get("COUNT", 1500 // SLOWER))

client = Host("client", "10.11.12.13", "fd11::13")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")


BACKENDS = {name: [address % number for number in range(1, 7)] for name, address in (("v4", "10.1.0.%d"), ("v6", "fd01::%d"))}


def setup():
    global tables
    make(client, director, proxy1)
    everyone = BACKENDS["v4"] + BACKENDS["v6"]
    director.ip("\n".join("neigh add %s lladdr %s dev eth0 nud permanent" % (each, proxy1.mac) for each in everyone))
    # A capture has outer checksums as they are on the wire.
    director.run("ethtool -K eth0 tx off")
    tables = {name: two_tables(name + ".json", addresses) for name, addresses in BACKENDS.items()}
    director.run("glbctl attach eth0")
    config(director, "--source-v4 65.65.65.65 --source-v6 fd65::65")


def two_tables(name, addresses):
    """Six backends in two tables, one with rows of three hops, one that echo requests and fragments find too."""

    def binds(proto, last):
        return [{"ip": vip, "proto": proto, "port_start": 1, "port_end": last} for vip in (VIP4, VIP6)]

    backends = [backend(address) for address in addresses]
    tcp = {"name": "tcp", "hash_key": KEY, "seed": SEED, "binds": binds("tcp", 40000), "backends": backends}
    udp = {"name": "udp", "hash_key": "0123456789abcdef0123456789abcdef", "seed": "00112233445566778899aabbccddeeff",
           "version": 3, "hops": 3, "binds": binds("udp", 50000), "backends": backends}
    return table_file(name, tcp, udp)


# The seed of the packets, and the settings.
ROUNDS = (
    (101, "--hash-fields src_addr --alt-hash-fields none --udp-checksum false --udp-port 19523"),
    (102, "--hash-fields src_addr,src_port --udp-checksum true"),
    (103, "--hash-fields src_addr,dst_addr --alt-hash-fields src_addr,src_port"),
    (104, "--hash-fields src_addr,dst_addr,src_port,dst_port --alt-hash-fields none --forward-icmp-ping-responses false"
          " --udp-port 6080"),
)


def test_agree():
    about("Random packets of both families, good and broken, fragments, ICMP, options, VLANs: the module and glbctl encap agree.")
    for name, path in tables.items():
        for seed, settings in ROUNDS:
            with context("%s, seed %d, %s: " % (name, seed, settings)):
                agrees(path, seed, settings)
        config(director, "--forward-icmp-ping-responses true")


# In front of the binds: by bytes, by sources, by ports, and SCTP in UDP.
CLASSES = [
    {"name": "syn", "service": "udp", "priority": 30, "proto": ["tcp"], "match": ["tcp[13:1] & 0x02 = 0x02"]},
    {"name": "even", "service": "tcp", "priority": 20, "src": ["0.0.0.0/2", "2000::/5"], "proto": ["udp", "sctp"]},
    {"name": "low", "service": "udp", "priority": 10, "proto": ["tcp", "udp"], "dst": [VIP4, VIP6], "dport": ["1-20000"]},
    {"name": "assoc", "service": "tcp", "priority": 40, "proto": ["sctp"], "sport": ["1-40000"], "udp_encap": 1000},
]


def test_classes():
    about("The same where classes have packets before binds do.")
    for name, path in tables.items():
        with open(path) as file:
            tree = json.load(file)
        for seed, settings in ((301, ROUNDS[1][1]), (302, ROUNDS[2][1])):
            with context("%s with classes, seed %d: " % (name, seed)):
                agrees(work_json("classes.json", {**tree, "classes": CLASSES}), seed, settings)


# A forward, and the family of its backends; None where it must be that of the bind.
FORWARDS = (
    ({"kind": "gre"}, "v4"),
    ({"kind": "gre"}, "v6"),
    ({"kind": "ipip"}, "v4"),
    ({"kind": "ipip"}, "v6"),
    ({"kind": "l3dsr", "dscp": 7}, None),
    ({"kind": "nat"}, None),
)


def services(forward, underlay):
    """A service for each family and protocol: Maglev's rows for TCP, rows of two hops for UDP."""
    kinds = (("tcp", {"select": {"kind": "maglev", "size": 1021}}), ("udp", {"version": 3, "hops": 2}))
    return table_file("services.json", *(
        {
            "name": proto + family, "hash_key": KEY, "seed": "%032x" % number, "forward": forward, **more,
            "binds": [{"ip": vip, "proto": proto, "port_start": 1, "port_end": 32000}],
            "backends": [backend(address) for address in BACKENDS[underlay or family]],
        }
        for number, ((proto, more), (family, vip)) in enumerate(itertools.product(kinds, (("v4", VIP4), ("v6", VIP6))))
    ))


def drawn(seed):
    """Settings by chance."""
    draw = random.Random(seed)
    fields = [field for field in ("dst_addr", "src_port", "dst_port") if draw.random() < 0.5]
    words = ("--hash-fields", ",".join(["src_addr"] + fields), "--alt-hash-fields none --udp-port", draw.randrange(1, 65536),
             "--udp-checksum", draw.choice(("true", "false")), "--forward-icmp-ping-responses", draw.choice(("true", "false")))
    return " ".join(map(str, words))


def test_forwards():
    about("So do they about services, by whatever forward, with settings by chance.")
    for seed, (forward, underlay) in enumerate(FORWARDS, 201):
        settings = drawn(seed)
        with context("%s%s, seed %d, %s: " % (forward["kind"], " over " + underlay if underlay else "", seed, settings)):
            agrees(services(forward, underlay), seed, settings)


def agrees(path, seed, settings):
    """With these settings, over this underlay."""
    given, want, got, file = (work(name) for name in ("in.pcap", "want.pcap", "got.pcap", "director.conf"))
    load(director, path)
    config(director, settings)
    if os.path.exists(file):
        os.remove(file)
    director.run("glbctl config show --file", file)
    guest.quietly("glb-packets malform --inner --vlan --director 65.65.65.65 --proxy 10.1.0.1 --reachable 10.0.0.0/8",
                  "--seed", seed, "--count", COUNT, "--dst-mac", director.mac, "--out", given)
    model = director.json("glbctl --json encap", given, want, "--table", path, "--config", file)
    # The module remembers a first fragment for a second; where this machine stood still for as long between two packets, the
    # later fragment is dropped. That, and no other difference, is a reason to try again.
    for _ in range(5):
        differences = differing(one_round(given, got, model), model)
        if not stalled(differences):
            break
    with check("what was sent is the same, byte for byte"):
        guest.quietly("glb-packets diff --ignore-ethernet", want, got)
    with check("and so are the verdicts"):
        same({}, differences)
    with check("most were sent"):
        at_least(COUNT // 4 + 1, model["encapsulated_packets"])


SENT = ("encapsulated_packets", "encapsulated_icmp_error_packets", "encapsulated_echo_packets", "encapsulated_fragment_packets")


def one_round(given, got, model):
    """The packets go through the director once: what it counted."""
    count = begin(director)
    # What the stack itself answers goes to the client, but for neighbour discovery (ICMPv6 135 and 136).
    found = "ip6 proto 58 and ip6[40] >= 135 and ip6[40] <= 136"
    dump = Dump(proxy1, got, "ether src %s and ether dst %s and ( ip or ip6 ) and not ( %s )" % (director.mac, proxy1.mac, found))
    client.run("taskset -c 1 tcpreplay --intf1=eth0 --pps=4000 --no-flow-stats --preload-pcap", given)
    # What comes in beside them is neighbour discovery, which is not among the verdicts that are counted here.
    deltas = eventually(all_counted, count, model)
    dump.end(sum(deltas.get(name, 0) for name in SENT))
    return deltas


def verdicts(model):
    """The counters that are compared. Neighbour discovery comes in too, and a frame without an IP packet is nobody's."""
    return [name for name in model if name.endswith("_packets") and name not in UNCERTAIN]


def all_counted(count, model):
    """As many packets have a verdict as encap gave one, whichever it is."""
    deltas, names = count.deltas(), verdicts(model)
    want, have = sum(model[name] for name in names), sum(deltas.get(name, 0) for name in names)
    if have < want:
        raise Failed("the director has counted %d of %d" % (have, want))
    return deltas


def differing(deltas, model):
    """By how much more each counter rose than encap says."""
    more = {name: deltas.get(name, 0) - model[name] for name in verdicts(model)}
    return {name: number for name, number in more.items() if number}


def stalled(differences):
    """The module dropped as many later fragments as it sent fewer of, and nothing else differs."""
    if any("fragment" not in name for name in differences):
        return False
    dropped, sent = (differences.get(name, 0) for name in ("dropped_fragment_packets", "encapsulated_fragment_packets"))
    say("later fragments: %d more sent than by encap, %d more dropped" % (sent, dropped))
    return dropped > 0 and dropped == -sent


main("rust_glb_director")
