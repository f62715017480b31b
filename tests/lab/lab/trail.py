# SPDX-License-Identifier: GPL-2.0
"""Where packets were seen last, for a test that misses some.

    trail = Trail(client, count, sink)      counts from here: the devices of these hosts, in the order of the packets' way; for a
                                            director, its verdicts too (director.begin)
    str(trail)                              a line for each station, and what the kernel itself dropped
    passed(host, "eth0")                    packets that went through a device so far, in and out
"""

from lab.director import Count
from lab.hosts import guest
from lab.story import Failed

# Fields of /proc/net/dev that count packets: in, dropped as they came in, out, dropped on their way out.
_FIELDS = {"in": 1, "dropped in": 3, "out": 9, "dropped out": 11}


def _device(host, device):
    for line in host.read("/proc/thread-self/net/dev").splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == device:
            numbers = numbers.split()
            return {what: int(numbers[at]) for what, at in _FIELDS.items()}
    raise Failed("%s has no device %s" % (host, device))


def passed(host, device):
    now = _device(host, device)
    return now["in"], now["out"]


def _dropped_by_kernel():
    """Packets that no device counts: those that found the queue of a processor full (net.core.netdev_max_backlog), and those that
    waited for a neighbour in a queue that was full. Both counters are of all network namespaces together."""
    found = {"queues of processors": sum(int(line.split()[1], 16) for line in guest.read("/proc/net/softnet_stat").splitlines())}
    for cache in ("arp_cache", "ndisc_cache"):
        names, *lines = [line.split() for line in guest.read("/proc/net/stat/" + cache).splitlines()]
        # A number is of all processors, or of the one whose line it is.
        at = names.index("unresolved_discards")
        found["neighbours in " + cache] = sum(int(line[at], 16) for line in lines)
    return found


def _changes(before, now):
    deltas = {name: value - before.get(name, 0) for name, value in now.items()}
    return ", ".join("%s +%d" % (name, delta) for name, delta in deltas.items() if delta) or "nothing"


class Trail:
    def __init__(self, *stations):
        self.stations = stations
        self.devices = [_device(self._host(station), "eth0") for station in stations]
        self.kernel = _dropped_by_kernel()

    @staticmethod
    def _host(station):
        return station.host if isinstance(station, Count) else station

    def __str__(self):
        lines = []
        for station, before in zip(self.stations, self.devices):
            host = self._host(station)
            lines.append("eth0 of %s: %s" % (host, _changes(before, _device(host, "eth0"))))
            if isinstance(station, Count):
                lines.append("verdicts of %s: %s" % (host, _changes({}, station.deltas())))
        lines.append("dropped by the kernel: " + _changes(self.kernel, _dropped_by_kernel()))
        return "\n".join(lines)
