#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Counters of services and of their backends: what went where, what did not and why, over loads.

    client ---> director ===GRE, IP in IP, GUE, or with a DSCP===> servers (one neighbour)      captured there
"""

import collections
import os

from lab.captures import capture_of, forget, send, settle, watch
from lab.director import KEY, SEED, backend, begin, config, load, load_module, table_file
from lab.dumps import Dump
from lab.hosts import Host, guest, make
from lab.packets import icmp, ip, tcp, udp
from lab.run import main
from lab.settings import work
from lab.story import about, at_least, check, holds, same
from lab.waiting import eventually

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
servers = Host("servers", "10.1.0.1", "fd01::1")

# Table -> what makes it a service. The last one is as deployed directors have it.
TABLES = {
    "web": {"select": {"kind": "maglev", "size": 1021}, "forward": {"kind": "ipip"}, "flows": {"timeout_s": 3600}},
    "rows": {"version": 3, "hops": 2, "forward": {"kind": "gre"}, "flows": False},
    "maglev": {"select": {"kind": "maglev", "size": 1021}},
    "edge": {"select": {"kind": "maglev", "size": 1021}, "forward": {"kind": "l3dsr", "dscp": 7}, "flows": False},
    "plain": {"version": 3, "hops": 2},
}
NAMES = list(TABLES)
SERVICES = NAMES[:-1]
SENT = ("encapsulated_packets", "encapsulated_icmp_error_packets", "encapsulated_echo_packets", "encapsulated_fragment_packets")
CAUSES = ("fragment", "no_route", "too_big", "lro", "no_memory")
COUNTERS = ["sent_packets", "sent_bytes", "first_flow_packets", *("dropped_%s_packets" % cause for cause in CAUSES)]
PACKETS, FLOWS, TIMES = 5000, 500, 3


def vip(name):
    return "1.1.1.%d" % (1 + NAMES.index(name))


def backends(name, count=3):
    """Backends of a table, which no other one has."""
    return ["10.1.%d.%d" % (1 + NAMES.index(name), number) for number in range(1, count + 1)]


def setup():
    make(client, director, servers)
    addresses = [each for name in NAMES for each in backends(name, 4)]
    director.ip("\n".join("neigh add %s lladdr %s dev eth0 nud permanent" % (each, servers.mac) for each in addresses))
    guest.run("sysctl -qw net.core.netdev_max_backlog=1000000")
    load_module()
    director.run("ethtool -K eth0 tx off tso off gso off")
    config(director, "--source-v4 65.65.65.65 --hash-fields src_addr,src_port,dst_port")
    director.run("glbctl attach eth0")


def table(name, members=None):
    return {
        "name": name, "hash_key": KEY, "seed": SEED if name == "web" else name.encode().hex().zfill(32),
        "binds": [{"ip": vip(name), "proto": proto, "port_start": 1, "port_end": 65535} for proto in ("tcp", "udp")],
        "backends": [one if isinstance(one, dict) else backend(one) for one in members or backends(name)], **TABLES[name],
    }


def put(*tables):
    path = table_file("tables.json", *tables)
    load(director, path)
    return path


def fresh(*tables):
    """These tables, and no counter of an earlier test."""
    put(table("plain"))
    return put(*tables)


def counted(name=None):
    """(Service, backend) -> its counters."""
    found = collections.defaultdict(dict)
    for key, value in director.json("glbctl --json stats --backends").items():
        service, address, counter = key.split("/")
        if name in (None, service):
            found[service, address][counter] = value
    return dict(found)


def sent(counters):
    """Of each backend: packets and bytes."""
    return {who: (each["sent_packets"], each["sent_bytes"]) for who, each in counters.items()}


def more(before, now):
    """What has grown: (service, backend) -> counter -> by how much."""
    grown = {}
    for who, each in now.items():
        deltas = {name: value - before[who][name] for name, value in each.items() if value != before[who][name]}
        if deltas:
            grown[who] = deltas
    return grown


def owner(name, port):
    """The backend that a flow's row has."""
    return director.json("glbctl --json lookup --running 10.11.12.13:%d %s:80" % (port, vip(name)))["hops"][0]["ip"]


def port_of(name, wanted):
    """The client's port of a flow that goes to this backend."""
    return next(port for port in range(20000, 20200) if owner(name, port) == wanted)


def arrived():
    """(Service, backend) -> packets and bytes that came to the servers."""
    settle(servers)
    came = collections.defaultdict(lambda: (0, 0))
    for packet in list(capture_of(servers).packets):
        if packet[0] >> 4 == 4 and packet[16:18] == b"\x0a\1" and 1 <= packet[18] <= len(NAMES):
            who = NAMES[packet[18] - 1], "%d.%d.%d.%d" % tuple(packet[16:20])
            packets, size = came[who]
            came[who] = packets + 1, size + len(packet)
    forget()
    return dict(came)


def traffic(name):
    """Packets of all kinds that a service sends on."""
    to = vip(name)
    for number in range(12):
        yield ip("10.11.12.%d" % number, to, tcp(10000 + number, 80, "S"))
        yield ip("10.11.12.%d" % number, to, udp(10000 + number, 53, bytes(number)))
        yield ip("10.11.13.%d" % number, to, icmp(8, 0, b"\0\1\0\1", bytes(number)))
    embedded = ip(to, "10.11.12.1", tcp(80, 4711, payload=bytes(8)))
    yield ip("10.3.0.1", to, icmp(3, 4, b"\0\0\5\0", embedded[:28]))
    whole = udp(4000, 80, bytes(32))
    for part in ((0, True, 0, 24), (24, False, 24, 40)):
        yield ip("10.11.12.2", to, whole, ident=7, fragment=part)


def test_sums():
    about("Each packet that leaves for a backend of a service is counted there, whatever the select and the forward are.")
    watch()
    fresh(*(table(name) for name in NAMES))
    with check("all backends of the services have counters, and they are 0; those of GLB's own table have none"):
        first = counted()
        same(sorted((name, each) for name in SERVICES for each in backends(name)), sorted(first))
        same({(0,) * len(COUNTERS)}, {tuple(each[name] for name in COUNTERS) for each in first.values()})
        same({len(COUNTERS)}, {len(each) for each in first.values()})
    count = begin(director)
    packets = [packet for name in NAMES for packet in traffic(name)]
    forget()
    send(client, director, *packets)
    came, now = arrived(), counted()
    with check("all packets came"):
        same(len(packets), sum(number for number, _ in came.values()))
    with check("packets and bytes of each backend are what came for it"):
        plain = {who: came.pop(who) for who in list(came) if who[0] == "plain"}
        same(came, {who: each for who, each in sent(now).items() if each[0]})
    with check("all backends of all services have some"):
        same(len(first), len(came))
    with check("all of them together are what the director has counted, but for GLB's own table"):
        number, size = (sum(each[of] for each in [*came.values(), *plain.values()]) for of in (0, 1))
        same([number, size], [sum(count.each(*SENT)), count.grew("encapsulated_bytes")])
    with check("flows were given to the backends of the service that remembers them, and to no other"):
        service = director.json("glbctl --json stats --services")
        flows = {name: sum(each["first_flow_packets"] for who, each in now.items() if who[0] == name) for name in SERVICES}
        same({**dict.fromkeys(SERVICES, 0), "web": service["web/first_flow_packets"]}, flows)
        at_least(24, flows["web"])
    with check("no service was without a backend"):
        same([0] * len(SERVICES), [service[name + "/dropped_no_hop_packets"] for name in SERVICES])
    with check("and nothing was dropped"):
        same(set(), {name for each in now.values() for name, value in each.items() if value and name.startswith("dropped_")})


def test_drops():
    about("What does not leave is counted at its backend, by its cause; what leaves in pieces is one packet.")
    watch()
    fresh(*(table(name) for name in NAMES))
    away, narrow, good = backends("web")
    director.ip("""
        route add unreachable %s/32
        route add %s/32 dev eth0 mtu 600
        route add %s/32 dev eth0 mtu 600
    """ % (away, narrow, backends("edge")[1]))
    before, count = counted(), begin(director)
    forget()
    for where, times in ((away, 3), (narrow, 2), (good, 1)):
        port = port_of("web", where)
        large = tcp(port, 80, "A", payload=bytes(700))
        send(client, director, *[ip("10.11.12.13", vip("web"), large)] * times)
    # May be fragmented.
    send(client, director, ip("10.11.12.13", vip("web"), tcp(port_of("web", narrow), 80, "A", payload=bytes(700)), df=False))
    narrow_edge = port_of("edge", backends("edge")[1])
    send(client, director, ip("10.11.12.13", vip("edge"), tcp(narrow_edge, 80, "A", payload=bytes(700))))
    # A TCP header that ends before its checksum, which stands in another fragment.
    cut = tcp(port_of("edge", backends("edge")[2]), 80, "S")
    send(client, director, ip("10.11.12.13", vip("edge"), cut, ident=5, fragment=(0, True, 0, 8)))
    # The next router would be this one: it is left to the stack.
    send(client, director, ip("10.11.12.13", vip("edge"), tcp(narrow_edge, 80, "A"), ttl=1))
    came = arrived()
    grown = more(before, counted())
    with check("by cause"):
        causes = {}
        for who, each in grown.items():
            causes[who] = {name: value for name, value in each.items() if name.startswith("dropped_")}
        same({
            ("web", away): {"dropped_no_route_packets": 3},
            ("web", narrow): {"dropped_too_big_packets": 2},
            ("edge", backends("edge")[1]): {"dropped_too_big_packets": 1},
            ("edge", backends("edge")[2]): {"dropped_fragment_packets": 1},
        }, {who: each for who, each in causes.items() if each})
    with check("what was sent is one packet each, with the bytes of all its pieces"):
        at_least(2, came["web", narrow][0])
        same({("web", good): came["web", good], ("web", narrow): (1, came["web", narrow][1])},
             {who: (each["sent_packets"], each["sent_bytes"]) for who, each in grown.items() if "sent_packets" in each})
    with check("the director has counted the same"):
        deltas = count.deltas()
        same([3, 3, 1, 1, 2], [deltas.get(name, 0) for name in (
            "dropped_no_route_packets", "dropped_too_big_packets", "dropped_fragment_packets", "passed_ttl_packets",
            "encapsulated_packets")])
    director.ip("""
        route del unreachable %s/32
        route del %s/32 dev eth0
        route del %s/32 dev eth0
    """ % (away, narrow, backends("edge")[1]))


def ids(name):
    shown = director.json("glbctl --json table show --running --table", name)
    return {one["ip"]: one["id"] for one in shown[0]["backends"]}


def test_loads():
    about("A backend's counters live as long as its address stays in tables of one name.")
    watch()
    fresh(table("web"), table("plain"))
    send(client, director, *traffic("web"))
    arrived()
    before, known = counted("web"), ids("web")
    first, second, third, fourth = backends("web", 4)
    put(table("plain"), table("web", [fourth, third, backend(first, "draining"), second]))
    now = counted()
    with check("those that stay have all that they had, in another order and with another state"):
        same(before, {who: now[who] for who in before})
        at_least(3 * 4, sum(each["sent_packets"] for each in now.values()))
    with check("who is new begins with 0"):
        same([0] * len(COUNTERS), list(now["web", fourth].values()))
    put(table("web", [second, third]))
    with check("who was removed is gone"):
        same({who: before[who] for who in (("web", second), ("web", third))}, counted())
    put(table("web"))
    with check("who comes back is another, and begins with 0"):
        holds(ids("web")[first] != known[first], "the id is the old one: %r" % ids("web"))
        same([0] * len(COUNTERS), list(counted()["web", first].values()))
        same({who: before[who] for who in (("web", second), ("web", third))},
             {who: each for who, each in counted().items() if who[1] != first})
    put({**table("web"), "name": "shop"})
    with check("a table of another name is another service"):
        same({("shop", each): (0, 0) for each in backends("web")}, sent(counted()))
    without = {name: value for name, value in table("web").items() if name not in TABLES["web"]}
    put({**without, "name": "shop", "version": 3, "hops": 2})
    with check("one that is no service any more has no counters"):
        same([{}, {}], [director.json("glbctl --json stats --backends"), director.json("glbctl --json stats --services")])
    put({**table("web"), "name": "shop"})
    with check("and one that becomes one begins with 0"):
        same({("shop", each): (0, 0) for each in backends("web")}, sent(counted()))


# Loads the tables in turns while the file $1 is there.
SWAPPER = 'while [ -e "$1" ]; do for table in "$2" "$3"; do glbctl table load "$table" >/dev/null || exit; done; done'


def test_under_load():
    about("Tables are loaded in turns under traffic: of what was sent to backends that stay, not one packet or byte is lost.")
    fresh(table("maglev"))
    built = []
    for word, members in (("b", [*reversed(backends("maglev"))]), ("c", backends("maglev", 4))):
        path = table_file(word + ".json", table("maglev", members))
        built.append(work(word + ".bin"))
        guest.quietly("glbctl table build", path, built[-1])
    given, got, swapping = (work(name) for name in ("in.pcap", "got.pcap", "swap"))
    guest.quietly("glb-packets flows --packets %d --flows %d" % (PACKETS, FLOWS), "--out", given, "--to", vip("maglev") + ":80",
                  "--dst-mac", director.mac)
    stays = [("maglev", each) for each in backends("maglev")]
    comes = backends("maglev", 4)[3]
    before, count = counted(), begin(director)
    loads = director.json("glbctl --json status")["generation"]
    open(swapping, "w").close()
    loader = director.spawn("sh -c", SWAPPER, "sh", swapping, *built, told=False)
    dump = Dump(servers, got, "src host 65.65.65.65 and not dst host " + comes)
    for turn in range(1, TIMES + 1):
        client.run("tcpreplay -i eth0 --topspeed --preload-pcap", given)
        with check("loads go on"):
            eventually(lambda: at_least(loads + 2 * turn, director.json("glbctl --json status")["generation"]))
    os.remove(swapping)
    loader.succeeds()
    with check("all is sent"):
        eventually(lambda: same(PACKETS * TIMES, count.grew("encapsulated_packets")))
    now = counted()
    total = sum(now[who]["sent_packets"] - before[who]["sent_packets"] for who in stays)
    dump.end(total)
    with check("the counters of those that stay are what came for them"):
        with open(got, "rb") as file:
            size = os.fstat(file.fileno()).st_size
        sizes = sum(now[who]["sent_bytes"] - before[who]["sent_bytes"] for who in stays)
        # Of each packet the file has 16 bytes before its frame, whose header has 14, and 24 before all of them.
        same(size, 24 + total * (16 + 14) + sizes)


main()
