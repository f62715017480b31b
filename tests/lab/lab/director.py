# SPDX-License-Identifier: GPL-2.0
"""The kernel's director: its tables, and its counters, which are exact.

    load(director, table_file("v4.json", table("3.4.5.6", "2.3.4.5")))  a table for the VIPs, all backends active and healthy
    count = begin(director)                             what is counted from here on ...
    count.exactly(encapsulated_packets=1, ...)          ... is exactly this
    count.grew("fragments_sent")                        by how much one went up
    count.each("fragments_sent", "segmented_tcp")       by how much each of these did
"""

from lab import counters
from lab.hosts import guest
from lab.settings import VIP4, VIP6, work_json
from lab.story import Hopeless, check, same
from lab.waiting import eventually

# Vectors of the packet hash: with this key 10.11.12.13 has row 0x5cbd, fd91:79d3:d621::1234 row 0x198d.
KEY = "12345678901234561234567890123456"
SEED = "49a3d861d661ae5ab06ed9326871a2f5"
ROW4, ROW6 = 0x5CBD, 0x198D


def sport(row, port):
    """The source port of a tunnel: the low bits of the packet's row, mixed with the client's port."""
    return 0x8000 | ((row ^ port) & 0x7FFF)


def backend(ip, state="active"):
    return {"ip": ip, "state": state, "healthy": True}


def table(*backends, seed=SEED, **more):
    """A table `api` for the VIPs. A backend is an address, or what backend() says."""
    return {
        "name": "api",
        "hash_key": KEY,
        "seed": seed,
        "binds": [
            {"ip": VIP4, "proto": "tcp", "port": 80},
            {"ip": VIP6, "proto": "tcp", "port": 80},
            {"ip": VIP4, "proto": "udp", "port_start": 1000, "port_end": 2000},
            {"ip": VIP6, "proto": "udp", "port_start": 1000, "port_end": 2000},
        ],
        "backends": [one if isinstance(one, dict) else backend(one) for one in backends],
        **more,
    }


def table_file(name, *tables):
    """The path of a file with these tables."""
    return work_json(name, {"tables": tables})


def load(host, path):
    host.run("glbctl table load", path)


def load_module():
    guest.run("modprobe rust_glb_director")


def config(host, words):
    """Set settings."""
    host.run("glbctl config set " + words)


def stats(host):
    return host.json("glbctl --json stats")


# Neighbour discovery and the like come in on the device too, so what is left to the stack as no concern of a director's, and
# frames for others, are only held to the sum.
UNCERTAIN = ("total_packets", "passed_unknown_format_packets", "passed_other_host_packets")


class Count:
    """What a director counted since this was made."""

    def __init__(self, host):
        self.host, self.before = host, stats(host)

    def deltas(self):
        """All that changed by now."""
        return {name: value - self.before[name] for name, value in stats(self.host).items() if value != self.before[name]}

    def grew(self, name):
        """By how much this one went up."""
        return self.each(name)[0]

    def each(self, *names):
        """By how much each of these went up, at one look."""
        now = stats(self.host)
        return tuple(now[name] - self.before[name] for name in names)

    def exactly(self, **wanted):
        """Since then exactly these verdicts of packets to the VIPs, and the total is the sum of all verdicts."""
        with check("counters of %s: %s" % (self.host, counters.words(wanted))):
            eventually(self._are, wanted)
        total_is_sum(stats(self.host))

    def _are(self, wanted):
        """What is missing may still come; what is too much stays."""
        deltas = {name: delta for name, delta in self.deltas().items() if name not in UNCERTAIN}
        if any(delta > wanted.get(name, 0) for name, delta in deltas.items()):
            raise Hopeless("expected: %r\nthere is: %r" % (wanted, deltas))
        same(wanted, deltas)


def total_is_sum(now):
    """A check of the counters themselves."""
    with check("the total is the sum of the verdicts"):
        adds_up(now)


def adds_up(now):
    same(now["total_packets"], sum(value for name, value in now.items() if name.endswith("_packets")) - now["total_packets"])


def begin(host):
    return Count(host)
