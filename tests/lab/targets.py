#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""glb-targets: targets of a file get identifiers, rules and routes, and the packets with their marks.

    client ---> director: glb-targets, mark 5000 ---> its rule ---> its route ---> target1
       ^                               mark 5001 ---> ...       ---> target2
       +-------------------------- answers directly ----------------+
"""

import json
import os
import signal

from lab.director import KEY, SEED, backend, begin, table_file
from lab.hosts import Host
from lab.marks import Marks
from lab.packets import ip, tcp
from lab.run import main
from lab.settings import VIP4, VIP6, work, work_json
from lab.story import about, check, context, holds, same
from lab.waiting import eventually

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
hosts = [Host("target%d" % number, "10.1.0.%d" % number, "fd01::%d" % number) for number in (1, 2, 3)]
marks = Marks(client, director, hosts)
OFFSET, MOST = 5000, 4
SOURCES = {VIP4: "10.11.12.13", VIP6: "fd11::1"}
# Of rules and routes.
OURS = "71"


class Daemon:
    """glb-targets on the director."""

    def __init__(self):
        table = {
            "name": "api",
            "select": {"kind": "maglev"},
            "forward": {"kind": "mark", "offset": OFFSET},
            "flows": False,
            "hash_key": KEY,
            "seed": SEED,
            "binds": [{"ip": vip, "proto": "tcp", "port": 80} for vip in (VIP4, VIP6)],
        }
        self.log, self.targets = work("log"), work("targets")
        os.makedirs(self.targets, exist_ok=True)
        self.conf = work_json("targets.conf", {
            "forwarding_table": {"src": work_json("src.json", {"tables": [table]})},
            "targets": self.targets,
            "state": work("identifiers.json"),
            "services": [{"name": "api", "max_targets": MOST}],
        })
        self.program = None

    def has(self, *targets):
        """The file of targets has these from here on."""
        work_json("targets/all.json", {"targets": targets})

    def start(self):
        out = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.program = director.spawn("glb-targets --config", self.conf, stdout=out, stderr=out)
        finally:
            os.close(out)

    def ends(self, number):
        self.program.signal(number)
        return self.program.wait()

    def said(self):
        with open(self.log) as file:
            return file.read()

    def says(self, text):
        with check("it says: " + text):
            eventually(lambda: holds(text in self.said(), "the log is\n%s" % self.said()))

    def health(self):
        _, page = director.said("curl -s --max-time 60 http://127.0.0.1:19524/health", errors=False)
        holds(page.startswith("{"), "there is a page: %r" % page)
        return json.loads(page)

    def states(self):
        """The names of targets with their identifiers and states."""
        return {one["name"]: (one["id"], one["state"]) for one in self.health()["services"][0]["targets"]}

    def comes_to(self, what, **wanted):
        """The targets are these in the end."""
        with check(what):
            eventually(lambda: same(wanted, self.states()))

    def metric(self, sample):
        page = director.output("curl -s --max-time 60 http://127.0.0.1:19524/metrics")
        values = [line.split()[-1] for line in page.splitlines() if line.startswith(sample + " ")]
        same(1, len(values))
        return float(values[0])


daemon = None


def target(host, **more):
    return {"service": "api", "name": str(host), "addresses": [host.ipv4, host.ipv6], **more}


def setup():
    global daemon
    marks.make()
    # Without a default route, which would be a way to every gateway.
    prefixes = ("10.1.0.0/24", "10.2.0.0/24", "fd01::/64", "fd02::/64")
    director.ip("".join("route add %s dev eth0\n" % prefix for prefix in prefixes))
    director.run("ip -4 route del default")
    director.run("ip -6 route del default")
    daemon = Daemon()
    daemon.has(*(target(host) for host in hosts))
    daemon.start()
    director.run("glbctl config set --hash-fields src_addr,src_port")
    director.run("glbctl attach eth0")
    eventually(lambda: same(3, len(daemon.states())))


ALL = {"target1": (0, "active"), "target2": (1, "active"), "target3": (2, "active")}


def rules():
    """The marks of the daemon's rules, of both families, without the one that drops what nobody gets."""
    return {family: sorted(int(rule["fwmark"], 16) for rule in director.json("ip -d -j %s rule show" % family)
                           if str(rule.get("protocol")) == OURS and "table" in rule) for family in ("-4", "-6")}


def drops():
    """The marks of the daemon's rules that drop, of both families: behind those of the targets, and the one that nobody gets."""
    return {family: sorted(int(rule["fwmark"], 16) for rule in director.json("ip -d -j %s rule show" % family)
                           if str(rule.get("protocol")) == OURS and "table" not in rule) for family in ("-4", "-6")}


def routes():
    """The tables of the daemon's routes, of both families."""
    return {family: sorted(int(route["table"]) for route in director.json("ip -j %s route show table all proto" % family, OURS))
            for family in ("-4", "-6")}


def both_families(*ids):
    numbers = [OFFSET + number for number in ids]
    return {"-4": numbers, "-6": numbers}


def stand(*ids):
    """Rules and routes of the daemon's are those of these identifiers, and no others."""
    with check("the rules and routes are those of %s" % (list(ids) or "nobody")):
        eventually(lambda: same((both_families(*ids), both_families(*ids)), (rules(), routes())))
    with check("a rule behind each drops what finds no route"):
        eventually(lambda: same(both_families(*ids, MOST), drops()))


def owner(vip, port):
    """The host that a client's port belongs to, by the running table."""
    form = "[%s]:%d [%s]:80" if ":" in vip else "%s:%d %s:80"
    found = director.json("glbctl --json lookup --running", *(form % (SOURCES[vip], port, vip)).split())
    ips = [hop["ip"] for hop in found["hops"]]
    return next((host for host in hosts if [host.ipv4] == ips), tuple(ips))


def arrive(wanted):
    """Packets of both families go to these hosts, each to the one that the table says, and to no other."""
    for vip in (VIP4, VIP6):
        found = {}
        for port in range(1024, 1100):
            found.setdefault(owner(vip, port), port)
            if len(found) == len(wanted):
                break
        with check("flows to %s belong to %s" % (vip, ", ".join(map(str, wanted)))):
            same(set(wanted), set(found))
        count = begin(director)
        size = 0
        for host in wanted:
            packet, after = (ip(SOURCES[vip], vip, tcp(found[host], 80, "A", payload=b"x"), ttl=ttl) for ttl in (64, 63))
            marks.goes("to %s" % vip, (packet, after), host)
            size += len(packet)
        count.exactly(marked_packets=len(wanted), encapsulated_bytes=size)


def test_targets():
    about("Each target of the file has an identifier, and gets the packets with its mark, of both families.")
    daemon.comes_to("all are active", **ALL)
    stand(0, 1, 2)
    arrive(hosts)
    with check("metrics"):
        same((3, 0, 14, 6), tuple(daemon.metric(name) for name in (
            'glb_targets_targets{service="api",state="active"}', 'glb_targets_targets{service="api",state="failed"}',
            "glb_targets_rules", "glb_targets_routes")))
    with check("/health"):
        same(("ok", []), (daemon.health()["status"], daemon.health()["problems"]))


def test_a_target_leaves():
    about("A target that leaves the file gets nothing, and nothing of it is left; the others keep their identifiers.")
    one, two, three = hosts
    daemon.has(target(one), target(three))
    daemon.comes_to("it is gone", target1=(0, "active"), target3=(2, "active"))
    stand(0, 2)
    arrive([one, three])
    daemon.has()
    daemon.comes_to("all are gone")
    stand()
    for vip in (VIP4, VIP6):
        count = begin(director)
        packet, after = (ip(SOURCES[vip], vip, tcp(1024, 80, "A"), ttl=ttl) for ttl in (64, 63))
        marks.stays("without a target, to %s" % vip, (packet, after))
        count.exactly(marked_packets=1, encapsulated_bytes=len(packet))
    with check("/health says so"):
        same(["service api: no target gets packets"], daemon.health()["problems"])
    daemon.has(*(target(host) for host in reversed(hosts)))
    daemon.comes_to("they return, each with the identifier that it had", **ALL)
    arrive(hosts)


def test_a_restart():
    about("A daemon that is killed leaves all as it is; the next one goes on from there, and takes away what nobody owns.")
    one, two, three = hosts
    with check("it is killed"):
        same(128 + signal.SIGKILL, daemon.ends(signal.SIGKILL))
    stand(0, 1, 2)
    arrive(hosts)
    daemon.has(target(three), target(two))
    director.ip("""
        rule add pref 900 fwmark 5003 lookup 5003 protocol %s
        route add default via %s table 5003 proto %s
        rule add pref 902 fwmark 5003 lookup 5009 protocol static
        route add default via %s table 5009 proto static
    """ % (OURS, one.ipv4, OURS, one.ipv4))
    daemon.start()
    daemon.comes_to("the ones that are left have their identifiers", target2=(1, "active"), target3=(2, "active"))
    stand(1, 2)
    with check("what somebody else made stays"):
        same(1, len(director.json("ip -j rule show pref 902")))
        same(1, len(director.json("ip -j route show table 5009")))
    director.ip("rule del pref 902\nroute flush table 5009")
    arrive([two, three])
    with check("it ends when it is told to"):
        same(0, daemon.ends(signal.SIGTERM))
    stand(1, 2)
    arrive([two, three])
    daemon.has(*(target(host) for host in hosts))
    daemon.start()
    daemon.comes_to("the third one is back", **ALL)


def test_the_kernel_refuses():
    about("A target whose route the kernel refuses gets nothing, until it is taken; the others have theirs.")
    one, two, three = hosts
    new = {"service": "api", "name": "new", "addresses": [three.ipv4, three.ipv6], "id": 3}
    daemon.has(target(one), target(two))
    daemon.comes_to("two are there", target1=(0, "active"), target2=(1, "active"))
    director.ip("route add default via %s table 5003 proto static" % one.ipv4)
    daemon.has(target(one), target(two), new)
    daemon.comes_to("the new one fails", target1=(0, "active"), target2=(1, "active"), new=(3, "failed"))
    daemon.says("target new of service api: the IPv4 default route of table 5003: somebody else made one, which stays")
    arrive([one, two])
    director.ip("route flush table 5003")
    daemon.comes_to("it is tried again", target1=(0, "active"), target2=(1, "active"), new=(3, "active"))
    daemon.says("target new of service api: no longer fails")
    arrive([one, two, three])
    daemon.has(target(one), target(two), {**new, "addresses": [three.ipv4, director.ipv6]})
    daemon.comes_to("a gateway that is this machine is refused", target1=(0, "active"), target2=(1, "active"), new=(3, "failed"))
    arrive([one, two])
    daemon.has(*(target(host) for host in hosts))
    daemon.comes_to("all are there again", **ALL)
    stand(0, 1, 2)


def test_a_device_goes_down():
    about("A target whose device goes down gets nothing until it is up again; one with two gateways goes on with the other.")
    one, two, three = hosts
    director.ip("""
        link add far type dummy
        addr add 10.3.0.1/24 dev far
        addr add fd03::1/64 dev far nodad
        link set far up
    """)
    far = {"service": "api", "name": "far", "addresses": ["10.3.0.2", "fd03::2"], "id": 3}
    split = {**target(two), "addresses": [two.ipv4, "10.3.0.3", two.ipv6, "fd03::3"]}
    everything = {"target1": (0, "active"), "target2": (1, "active"), "far": (3, "active")}
    daemon.has(target(one), split, far)
    daemon.comes_to("all are active", **everything)
    with check("the route has both gateways"):
        same(2, len(director.json("ip -j route show table 5001")[0]["nexthops"]))
    director.ip("link set far down")
    daemon.comes_to("one fails", **{**everything, "far": (3, "failed")})
    arrive([one, two])
    director.ip("link set far up\naddr replace fd03::1/64 dev far nodad")
    daemon.comes_to("it is back", **everything)
    with check("so is the second gateway"):
        eventually(lambda: same(2, len(director.json("ip -j route show table 5001")[0].get("nexthops", []))))
    daemon.has(*(target(host) for host in hosts))
    daemon.comes_to("all are there again", **ALL)
    director.ip("link del far")


def test_bad_files():
    about("Files with errors change nothing; the error is said, and goes with the next good file.")
    path = work("targets/bad.json")
    for text, error in (
        ("{", "not JSON"),
        ('{"targets": [{"service": "api", "name": "x", "adresses": []}]}',
         'targets[0].adresses: unknown field; did you mean "addresses"?'),
        ('{"targets": [{"service": "api", "name": "target1", "addresses": ["10.1.0.9"]}]}',
         "target target1 of service api is there twice"),
    ):
        with context("%s: " % error):
            with open(path + ".new", "w") as file:
                file.write(text)
            os.replace(path + ".new", path)
            daemon.says(error)
            with check("the targets stay"):
                same(ALL, daemon.states())
            with check("and it is shown"):
                eventually(lambda: same(0, daemon.metric("glb_targets_source_valid")))
                same("degraded", daemon.health()["status"])
    os.remove(path)
    with check("the file is good again"):
        eventually(lambda: same(1, daemon.metric("glb_targets_source_valid")))
    arrive(hosts)


def test_others_change_things():
    about("Rules that somebody deletes, and tables that somebody else loads, are put right.")
    director.ip("rule del fwmark 5001 lookup 5001\nroute flush table 5002")
    stand(0, 1, 2)
    daemon.comes_to("all are active", **ALL)
    director.run("glbctl table load", table_file("other.json", {
        "name": "api", "hash_key": KEY, "seed": SEED, "binds": [{"ip": VIP4, "proto": "tcp", "port": 80}],
        "backends": [backend(host.ipv4) for host in hosts],
    }))
    daemon.says("the director has tables that somebody else loaded: the table with the targets is loaded again")
    with check("the table is back"):
        eventually(lambda: same({"kind": "mark", "offset": OFFSET},
                                director.json("glbctl --json table show --running")[0].get("forward")))
    arrive(hosts)


main("rust_glb_director dummy")
