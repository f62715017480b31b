#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The packet program of the scenarios that are in bash: what the package `lab` can do, a line at a time.

lib.sh starts it once a file (`wire` in the scenarios), because starting Python takes up to a second in the guest.
It reads lines of Python from standard input and runs them one by one; after each it prints `done` or
`failed`. Names that a line sets are there for the next ones.

The lines have the names of lab/packets.py, captures.py, sockets.py and steering.py, which say what there is. A host is its name:
`send('client', 'director', packet)`. hosts['client'] has .mac (as bytes) and .socket, which sends frames.
"""

import itertools
import os
import struct
import sys

from lab import captures, hosts, packets, sockets, steering, story, traffic
from lab.story import Failed, holds, same


class Wired(hosts.Host):
    """A host that lib.sh made."""

    @property
    def hardware(self):
        return self.mac

    @property
    def socket(self):
        return self.capture.socket


known = {}


def look_for_hosts(path):
    """The file has a line `NAME MAC ...` for each host that is there."""
    try:
        lines = open(path).read().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        name, mac = line.split()[:2]
        if name not in known:
            known[name] = host = Wired(name)
            host.mac = bytes.fromhex(mac.replace(":", ""))
            hosts.made.append(host)
            captures.watch()


def of_host(function):
    """The function, with the name of a host in the place of the host."""
    return lambda host, *rest, **more: function(known[host], *rest, **more)


def send(host, to, *some):
    captures.send(known[host], known[to], *some)


def counters_to(path, host):
    """A copy of a host's counters, a program less to start."""
    with open(path, "w") as file:
        file.write(known[host].read("/proc/thread-self/net/glb_redirect"))


def reset():
    """Between tests: captures and sockets of the last one are gone."""
    traffic.close_kept()
    captures.forget()


def names():
    """What the lines can say."""
    found = {"itertools": itertools, "struct": struct, "hosts": known, "same": same, "holds": holds, "Failed": Failed}
    found.update((name, value) for name, value in vars(packets).items() if not name.startswith("_"))
    for module in (captures, sockets, steering):
        for name in module.OF_HOSTS:
            found[name] = of_host(getattr(module, name))
    found.update((function.__name__, function) for function in (
        sockets.accepted, sockets.says, sockets.hears, sockets.eof, captures.frames, steering.steer,
        traffic.pump, traffic.keep, send, counters_to, reset))
    found["reset_captures"] = captures.forget
    return found


def run(line, there):
    """Run a line: what is answered."""
    try:
        exec(line, there)
        return "done"
    except Failed as error:
        return "%s\nfailed" % error
    except Exception:
        import traceback

        return traceback.format_exc().strip() + "\nfailed"


def main():
    # What is done is told in bash.
    story.silent()
    # See captures.settle().
    traffic.pin()
    there, buffered = names(), b""
    while True:
        traffic.until_ready(0)
        data = os.read(0, 65536)
        if not data:
            return
        buffered += data
        while b"\n" in buffered:
            line, buffered = buffered.split(b"\n", 1)
            look_for_hosts(sys.argv[1])
            sys.stdout.write(run(line.decode(), there) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
