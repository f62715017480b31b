#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Flow tables: a flow keeps its backend while the table changes around it.

    client ---> director ===IP in IP===> servers (one neighbour)      captured there
"""

import os
import struct

from lab.captures import capture_of, forget, send, settle, watch
from lab.director import KEY, SEED, backend, begin, config, load, load_module, table_file
from lab.dumps import Dump
from lab.hosts import Host, guest, make
from lab.packets import icmp, ip, packed, tcp, udp
from lab.run import main
from lab.settings import VIP4, VIP6, work, work_json
from lab.story import at_least, about, check, holds, same
from lab.waiting import eventually

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
servers = Host("servers", "10.1.0.1", "fd01::1")

ALL = ["10.1.1.%d" % number for number in range(1, 9)]
OTHER_VIP = "1.1.1.2"
# Flows of a test, half of them over IPv6.
FLOWS = 48
# Packets of a capture of many flows, and how often it goes round while tables are loaded.
PACKETS, MANY, TIMES = 10000, 5000, 3
# Most flows of a test, each with two packets under loads.
MOST = 100000
# How often a flow table may be made anew until all flows have room: of 16 tables one has a bucket that is full.
ATTEMPTS = 8


def setup():
    make(client, director, servers)
    director.ip("\n".join("neigh add %s lladdr %s dev eth0 nud permanent" % (each, servers.mac) for each in ALL))
    guest.run("sysctl -qw net.core.netdev_max_backlog=1000000")
    load_module()
    director.run("ethtool -K eth0 tx off tso off gso off")
    config(director, "--source-v4 65.65.65.65 --hash-fields src_addr,src_port,dst_port")
    director.run("glbctl attach eth0")


def service(backends, name="web", flows=None, vips=(VIP4, VIP6), **more):
    """A Maglev table; a backend is an address, or what backend() says."""
    # Each table has a seed of its own.
    seed = SEED if name == "web" else name.encode().hex().zfill(32)
    return {
        "name": name, "hash_key": KEY, "seed": seed, "select": {"kind": "maglev", "size": 1021}, "forward": {"kind": "ipip"},
        "flows": {"timeout_s": 3600} if flows is None else flows,
        "binds": [{"ip": vip, "proto": proto, "port_start": 1, "port_end": 65535} for vip in vips for proto in ("tcp", "udp")],
        "backends": [one if isinstance(one, dict) else backend(one) for one in backends], **more,
    }


def fresh(*tables):
    """These tables, and no flow of an earlier test."""
    load(director, table_file("none.json", service(ALL[:1], name="none", flows={"buckets": 1}, vips=("9.9.9.9",))))
    return put(*tables)


def put(*tables):
    path = table_file("tables.json", *tables)
    load(director, path)
    return path


def flow(number, kind="A", vip=None):
    """A packet of the flow with this number."""
    if vip is None and number % 2:
        return ip("fd11::%x" % number, VIP6, tcp(10000 + number, 80, kind))
    return ip("10.11.12.%d" % number, vip or VIP4, tcp(10000 + number, 80, kind))


def go(*packets):
    """The packets go; the backend of each, None if it has not come."""
    forget()
    send(client, director, *packets)
    settle(servers)
    found = {}
    for outer in list(capture_of(servers).packets):
        if outer[0] >> 4 == 4 and outer[9] in (4, 41) and outer[12:16] == packed("65.65.65.65"):
            found[outer[20:]] = "%d.%d.%d.%d" % tuple(outer[16:20])
    forget()
    return [found.get(packet) for packet in packets]


def events(name="web"):
    """The counters of a service."""
    said = director.json("glbctl --json stats --services")
    return [said["%s/%s_flow_packets" % (name, word)] for word in ("known", "first", "untracked", "no_backend")]


def since(before, name="web"):
    return [now - then for now, then in zip(events(name), before)]


def rows_say(path, number):
    """The backend that the row of a flow has in a file."""
    if number % 2:
        words = "[fd11::%x]:%d [%s]:80" % (number, 10000 + number, VIP6)
    else:
        words = "10.11.12.%d:%d %s:80" % (number, 10000 + number, VIP4)
    hashed = {"src_addr": True, "src_port": True, "dst_port": True}
    fields = work_json("fields.conf", {"outbound_src_ip": "65.65.65.65", "hash_fields": hashed})
    return director.json("glbctl --json lookup", *words.split(), "--table", path, "--config", fields)["hops"][0]["ip"]


def ids():
    return {one["ip"]: one["id"] for one in director.json("glbctl --json table show --running --table web")[0]["backends"]}


def listed(*more):
    shown = director.json("glbctl --json flows", *more)
    return [one for each in shown if each["service"] == "web" for one in each["flows"]]


def test_changes():
    about("A drained backend keeps its flows, a removed one gives them up, and all others stay where they are.")
    watch()
    numbers = range(FLOWS)
    fresh(service(ALL[:4]))
    before, known_ids = events(), ids()
    owners = go(*(flow(number, "S") for number in numbers))
    with check("each flow has a backend, and all backends have flows"):
        same(sorted(ALL[:4]), sorted(set(owners)))
    with check("each packet was a first one"):
        same([0, FLOWS, 0, 0], since(before))

    drained = put(service([backend(ALL[0], "draining"), *ALL[1:6]]))
    with check("the rows of some flows lead elsewhere now, those of the drained backend's among them"):
        elsewhere = [number for number in numbers if rows_say(drained, number) != owners[number]]
        at_least(len([each for each in owners if each == ALL[0]]) + 1, len(elsewhere))
    before = events()
    with check("no flow has moved, of the drained backend or of another"):
        same(owners, go(*(flow(number) for number in numbers)))
    with check("each packet was of a known flow"):
        same([FLOWS, 0, 0, 0], since(before))
    with check("backends that stay have the ids that they had"):
        same(known_ids, {each: number for each, number in ids().items() if each in known_ids})
    with check("glbctl flows names each with its backend and its id"):
        shown = listed()
        same(FLOWS, len(shown))
        same(sorted(owners), sorted(one["backend"] for one in shown))
        same({(each, known_ids[each]) for each in owners}, {(one["backend"], one["id"]) for one in shown})
        clients = {"10.11.12.%d:%d" % (number, 10000 + number) for number in numbers if number % 2 == 0}
        same(clients, {one["client"] for one in shown if "client" in one})
        same(FLOWS // 2, len([one for one in shown if "fingerprint" in one]))
    with check("and of one backend only those"):
        same(owners.count(ALL[0]), len(listed("--backend", ALL[0])))
        same(owners.count(ALL[0]), len(listed("--backend", ALL[0], "--service", "web")))

    removed = put(service(ALL[1:6]))
    before = events()
    now = go(*(flow(number) for number in numbers))
    moved = [number for number in numbers if owners[number] == ALL[0]]
    with check("flows of the removed backend go where their rows say"):
        same([rows_say(removed, number) for number in moved], [now[number] for number in moved])
    with check("all others stay"):
        same([each for each in owners if each != ALL[0]], [each for each, was in zip(now, owners) if was != ALL[0]])
    with check("only the moved ones were first packets"):
        same([FLOWS - len(moved), len(moved), 0, 0], since(before))
    put(service(ALL[:6]))
    with check("who comes back is another"):
        holds(ids()[ALL[0]] not in known_ids.values(), "the id is one of the old: %r" % ids())
    with check("and has no flow"):
        same([], listed("--backend", ALL[0]))
        same(now, go(*(flow(number) for number in numbers)))


def test_health():
    about("A backend that the health checks have given up keeps no flow: a client that goes on would never get another one.")
    watch()
    fresh(service(ALL[:4]))
    owners = go(*(flow(number) for number in range(FLOWS)))
    ill = {**backend(ALL[0]), "healthy": False}
    path = put(service([ill, *ALL[1:4]]))
    now = go(*(flow(number) for number in range(FLOWS)))
    with check("its flows go where their rows say, the others stay"):
        same([rows_say(path, number) if was == ALL[0] else was for number, was in enumerate(owners)], now)
    put(service(ALL[:4]))
    with check("and do not come back when it does"):
        same(now, go(*(flow(number) for number in range(FLOWS))))


def test_followers():
    about("What is about a flow goes where the flow goes: ICMP errors and later fragments. A question of lookup leaves no trace.")
    watch()
    fresh(service(ALL[:1]))
    packet = ip("10.11.12.1", VIP4, tcp(4711, 80, "S"))
    same([ALL[0]], go(packet))
    path = put(service([backend(ALL[0], "draining"), ALL[1]]))
    embedded = ip(VIP4, "10.11.12.1", tcp(80, 4711, payload=bytes(8)))
    error = ip("10.3.0.1", VIP4, icmp(3, 4, b"\0\0\5\0", embedded[:28]))
    with check("an ICMP error about it"):
        same([ALL[0]], go(error))
    start = udp(4000, 80, bytes(32))
    first, later = (ip("10.11.12.2", VIP4, start, ident=7, fragment=part) for part in ((0, True, 0, 24), (24, False, 24, 40)))
    before = events()
    with check("a later fragment goes with the first one, which alone is counted"):
        same([ALL[1]] * 2, go(first, later))
        same([0, 1, 0, 0], since(before))
    words = "10.11.12.1:4711 %s:80" % VIP4
    with check("lookup knows where the flow goes"):
        same(ALL[1], director.json("glbctl --json lookup", *words.split(), "--table", path)["hops"][0]["ip"])
        answer = director.json("glbctl --json lookup --running", *words.split())
        same((ALL[0], True), (answer["hops"][0]["ip"], answer["known_flow"]))
        text = director.output("glbctl lookup --running", *words.split())
        holds("hops: of the flow, which the table remembers\n" in text, text)
    with check("a shell is offered the service"):
        asked = "env COMPLETE=bash _CLAP_COMPLETE_INDEX=3 glbctl -- glbctl flows --service"
        same("web", director.output(asked, "").strip())
    with check("and of one that is new, that it goes by its row"):
        new = ("10.11.12.78:1", "%s:80" % VIP4)
        answer = director.json("glbctl --json lookup --running", *new)
        same((ALL[1], False), (answer["hops"][0]["ip"], answer["known_flow"]))
        text = director.output("glbctl lookup --running", *new)
        holds("hops: of the row; the table remembers no other backend of this flow\n" in text, text)
    with check("who may not list flows is not told which are known: the hops are those of the row"):
        nobody = "setpriv --reuid 65534 --clear-groups --inh-caps=-all glbctl --json lookup --running"
        answer = director.json(nobody, *words.split())
        same((ALL[1], False), (answer["hops"][0]["ip"], answer["known_flow"]))
    count = len(listed())
    director.json("glbctl --json lookup --running 10.11.12.77:1 %s:80" % VIP4)
    with check("and remembers nothing"):
        same(count, len(listed()))
    with check("flows are forgotten"):
        same({"flushed": 1}, director.json("glbctl --json flows --flush --backend", ALL[0]))
        same([ALL[1]], go(packet))
        same({"flushed": 2}, director.json("glbctl --json flows --flush --service web"))
        same([], listed())


def test_by_source():
    about("By source, all flows of a client have one backend, whatever their ports and VIPs; echo requests too.")
    watch()
    vips = (VIP4, OTHER_VIP)
    fresh(service(ALL[:8], flows={"by": "source", "timeout_s": 3600}, vips=vips))
    packets = [ip("10.11.13.%d" % who, vip, tcp(port, to, "S")) for who in (1, 2, 3) for port in (1000, 2000, 3000)
               for vip, to in ((VIP4, 80), (OTHER_VIP, 443))]
    found = go(*packets)
    with check("three clients have a backend each"):
        same([found[0]] * 6 + [found[6]] * 6 + [found[12]] * 6, found)
        same(3, len(listed()))
    with check("an echo request goes with its client"):
        same([found[0]], go(ip("10.11.13.1", VIP4, icmp(8, 0, b"\0\1\0\1"))))


def replay(path):
    client.run("tcpreplay -i eth0 --topspeed --preload-pcap", path)


def generation():
    return director.json("glbctl --json status")["generation"]


# Loads the tables in turns while the file $1 is there.
SWAPPER = 'while [ -e "$1" ]; do for table in "$2" "$3"; do glbctl table load "$table" >/dev/null || exit; done; done'


def repeated(path, times):
    """A capture with the packets of another, so many times."""
    with open(path, "rb") as file:
        header, packets = file.read(24), file.read()
    with open(path + ".repeated", "wb") as file:
        file.write(header + packets * times)
    return path + ".repeated"


def test_reload():
    about("%d flows of both families, tables that are loaded in turns under traffic: not one flow changes its backend." % MANY)
    reloaded(PACKETS, MANY, TIMES, buckets=65536)


def test_reload_most():
    about("The same of %d flows." % MOST)
    reloaded(MOST, MOST, 2, buckets=1048576)


def reloaded(packets, many, times, buckets):
    """So many flows, of which each packet goes to one backend while tables are loaded and the packets come so often."""
    flows = {"timeout_s": 36000, "buckets": buckets}
    settings = work_json("conf", {"outbound_src_ip": "65.65.65.65",
                                  "hash_fields": {"src_addr": True, "src_port": True, "dst_port": True}})
    first = table_file("tables.json", service(ALL[:4], flows=flows))
    built = []
    for name, backends in (("b", [backend(ALL[0], "draining"), *ALL[1:8]]), ("c", [ALL[7], *ALL[:4], ALL[5]])):
        path = table_file(name + ".json", service(backends, flows=flows))
        built.append(work(name + ".bin"))
        guest.quietly("glbctl table build", path, built[-1])
    given, want, got = (work(name) for name in ("in.pcap", "want.pcap", "got.pcap"))
    guest.quietly("glb-packets flows --packets %d --flows %d" % (packets, many), "--out", given, "--to",
                  "%s:80,[%s]:80" % (VIP4, VIP6), "--dst-mac", director.mac)
    guest.quietly("glbctl encap", given, want, "--table", first, "--config", settings)
    # Who finds a full bucket is not remembered. Which do depends on a secret of the table, so another one may have room.
    for _ in range(ATTEMPTS):
        fresh(service(ALL[:4], flows=flows))
        before = events()
        dump = Dump(servers, got, "src host 65.65.65.65")
        replay(given)
        dump.end(packets)
        counted = since(before)
        if counted[2] == 0:
            break
    with check("the first packets go where their rows say"):
        guest.quietly("glb-packets diff --ignore-ethernet", want, got)
    with check("all flows are known after one packet each"):
        same([packets - many, many, 0, 0], counted)
    before, loads = events(), generation()
    dump = Dump(servers, got, "src host 65.65.65.65")
    swapping = work("swap")
    open(swapping, "w").close()
    loader = director.spawn("sh -c", SWAPPER, "sh", swapping, *built, told=False)
    for turn in range(1, times + 1):
        replay(given)
        with check("loads go on"):
            eventually(lambda: holds(generation() >= loads + 2 * turn, "load %d of %d" % (generation(), loads + 2 * turn)))
    os.remove(swapping)
    loader.succeeds()
    dump.end(packets * times)
    with check("each packet of each flow went to the flow's backend"):
        guest.quietly("glb-packets diff --ignore-ethernet", repeated(want, times), got)
    with check("each packet was of a known flow"):
        same([packets * times, 0, 0, 0], since(before))


def addressed(path):
    """Of each IP-in-IP packet of a capture the client's address with both ports, and the backend."""
    with open(path, "rb") as file:
        data = file.read()
    at = 24
    while at < len(data):
        frame = at + 16
        # Behind 14 bytes of Ethernet stand an outer and an inner IPv4 header of 20 bytes each.
        yield data[frame + 46:frame + 50] + data[frame + 54:frame + 58], data[frame + 30:frame + 34]
        at = frame + struct.unpack_from("<I", data, at + 8)[0]


def test_reload_full():
    about("Three flows to a bucket, of which a tenth find no room; a backend drains, one is removed, others come, under traffic:"
          " no known flow changes its backend but those of the removed one.")
    flows = {"timeout_s": 3600, "buckets": MANY // 3}
    fresh(service(ALL[:4], flows=flows, vips=(VIP4,)))
    built = []
    for name, backends in (("d", [backend(ALL[0], "draining"), *ALL[1:3]]), ("e", [ALL[5], *ALL[1:3], ALL[4], ALL[0]])):
        path = table_file(name + ".json", service(backends, flows=flows, vips=(VIP4,)))
        built.append(work(name + ".bin"))
        guest.quietly("glbctl table build", path, built[-1])
    given, got = work("in.pcap"), work("got.pcap")
    guest.quietly("glb-packets flows --packets %d --flows %d" % (PACKETS, MANY), "--out", given, "--to", VIP4 + ":80",
                  "--dst-mac", director.mac)
    before = events()
    dump = Dump(servers, got, "src host 65.65.65.65 and ip proto 4")
    replay(given)
    dump.end(PACKETS)
    known, first, untracked, none = since(before)
    with check("each packet is counted once, and some flows find their bucket full"):
        same((PACKETS, 0), (known + first + untracked, none))
        holds(MANY * 0.02 < MANY - first < MANY * 0.3, "%d flows of %d have room" % (first, MANY))
    owners = dict(addressed(got))
    shown = {packed(host) + struct.pack("!HH", int(port), 80): packed(one["backend"])
             for one in listed() for host, port in [one["client"].rsplit(":", 1)]}
    with check("what is remembered is what was sent"):
        same(first, len(shown))
        same([], [client for client, owner in shown.items() if owners[client] != owner][:3])
    load(director, built[0])
    gone = packed(ALL[3])
    stays = {client: owner for client, owner in shown.items() if owner != gone}
    dump, loads, swapping = Dump(servers, got, "src host 65.65.65.65 and ip proto 4"), generation(), work("swap")
    open(swapping, "w").close()
    loader = director.spawn("sh -c", SWAPPER, "sh", swapping, *built, told=False)
    replay(given)
    with check("loads go on"):
        eventually(lambda: holds(generation() >= loads + 2, "load %d of %d" % (generation(), loads + 2)))
    os.remove(swapping)
    loader.succeeds()
    dump.end(PACKETS)
    packets = list(addressed(got))
    with check("no packet is lost, and none goes to the removed backend"):
        same((PACKETS, 0), (len(packets), sum(owner == gone for _, owner in packets)))
    with check("no packet of a known flow goes to another backend"):
        same([], [client for client, owner in packets if stays.get(client, owner) != owner][:3])
    at_least(MANY // 2, len(stays))


def test_flood():
    about("New flows without number fill their own service's table, are counted, and push out no flow of it or of another.")
    watch()
    small = {"buckets": 64, "timeout_s": 3600}
    tables = [service(ALL[:4]), service(ALL[:4], name="edge", flows=small, vips=(OTHER_VIP,))]
    fresh(*tables)
    web = [flow(number) for number in range(FLOWS)]
    edge = [flow(number, vip=OTHER_VIP) for number in range(0, FLOWS, 4)]
    owners = go(*web), go(*edge)
    before = events("web"), events("edge")
    given = work("flood.pcap")
    guest.quietly("glb-packets flows --packets %d --flows %d --udp" % (PACKETS, PACKETS), "--out", given, "--to",
                  OTHER_VIP + ":80", "--dst-mac", director.mac)
    count = begin(director)
    replay(given)
    with check("all of it is sent"):
        eventually(lambda: same(PACKETS, count.grew("encapsulated_packets")))
    known, first, untracked, none = since(before[1], "edge")
    with check("each packet of the flood is counted once"):
        same([0, 0, PACKETS], [known, none, first + untracked])
    with check("its table is full, and no more than full"):
        shown = director.json("glbctl --json flows --service edge")[0]["flows"]
        same(first + len(edge), len(shown))
        same(64 * 4, len(shown))
    with check("the other service has counted nothing"):
        same([0] * 4, since(before[0], "web"))
    tables[0]["backends"][0]["state"] = tables[1]["backends"][0]["state"] = "draining"
    put(*tables)
    with check("no flow of before the flood has moved, though rows have"):
        same(owners, (go(*web), go(*edge)))


def test_refused():
    about("What cannot be is refused with its table and its field, and the old tables and flows stay.")
    watch()
    fresh(service(ALL[:4]))
    owners = go(*(flow(number) for number in range(FLOWS)))

    def refused(what, path, *wanted):
        with check(what):
            said = director.output("glbctl --json table load", path, any_status=True)
            for word in wanted:
                holds(word in said, "there is no %r in: %s" % (word, said))

    buckets, timeout = "1 to 1048576", "1 to 43200"
    for field, value, wanted in (("buckets", 0, buckets), ("buckets", 1048577, buckets), ("timeout_s", 0, timeout),
                                 ("timeout_s", 43201, timeout), ("by", "port", "must be")):
        path = table_file("bad.json", service(ALL[:4], flows={field: value}))
        refused("%s %s" % (field, value), path, "web", "flows." + field, wanted)
    huge = [service(ALL[:1], name="t%d" % number, flows={"buckets": 1048576}, vips=("10.20.0.%d" % number,))
            for number in range(17)]
    refused("more memory than all tables may take", table_file("bad.json", *huge), "t16",
            "flows of all tables up to this one need 1088 MiB")
    refused("more memory than there is", table_file("bad.json", *huge[:16]), "no memory for its flows")
    with check("the flows are where they were"):
        same(owners, go(*(flow(number) for number in range(FLOWS))))


main()
