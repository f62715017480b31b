# SPDX-License-Identifier: GPL-2.0
"""The director's netlink family, as scenarios of it begin: with a director that knows nothing.

    fresh()                                     each test begins so
    path = one_table("t.json", "api", 4)        a file of one table, whose last backend is 1.1.1.4
    shows(tables=1, generation=1)               fails if `glbctl status` says something else
    hops("--running", "10.11.12.13")            the addresses that this client's packets to 1.1.1.1:80 go to
    refuses("not attached", "glbctl detach lo")     fails if the command goes well, or does not say so
    exits(2, "glbctl config set")               fails if it ends with another status
    event = Monitor(two)                        hears what happens from now on
    loader = Loader("--tables 2 --wait")        a loader that stands still in the middle
"""

import os

from lab.director import KEY, SEED
from lab.hosts import guest
from lab.settings import work, work_json
from lab.story import Failed, check, holds, same
from lab.waiting import eventually

_MODULE = "rust_glb_director"


def fresh():
    """A director that knows nothing."""
    if os.path.exists("/sys/module/" + _MODULE):
        guest.run("rmmod", _MODULE)
    guest.run("modprobe", _MODULE)


def one_table(name, table, last):
    """The path of a file of one table, whose last backend is 1.1.1.`last`."""
    states = (("1.1.1.1", "active"), ("1.1.1.2", "active"), ("1.1.1.3", "draining"), ("1.1.1.%d" % last, "active"))
    return work_json(name, {"tables": [{
        "name": table,
        "hash_key": KEY,
        "seed": SEED,
        "binds": [
            {"ip": "1.1.1.1", "proto": "tcp", "port": 80},
            {"ip": "1.1.2.0/24", "proto": "udp", "port_start": 10, "port_end": 20},
        ],
        "backends": [{"ip": ip, "state": state, "healthy": True} for ip, state in states],
    }]})


def status(host=guest):
    return host.json("glbctl --json status")


def shows(host=guest, config=None, **wanted):
    """The director's status has these values; `config` are some of its settings."""
    now = status(host)
    same(wanted, {name: now.get(name) for name in wanted})
    if config:
        same(config, {name: now["config"].get(name) for name in config})


def nothing_under_way():
    shows(loads_under_way=0, bytes_set_aside=0)


def running(*options):
    """The tables that the director shows."""
    return guest.json("glbctl --json table show --running", *options)


def hops(*where):
    """Where a client's packets to 1.1.1.1:80 go: `--running CLIENT`, or `--table FILE CLIENT`."""
    return [hop["ip"] for hop in guest.json("glbctl --json lookup", *where, "1.1.1.1:80")["hops"]]


def refuses(text, command, *words):
    """The command fails and says so."""
    status, said = guest.said(command, *words)
    if status == 0:
        raise Failed("it went well")
    holds(text in said, "it says %r; it said: %s" % (text, said))


def exits(wanted, command, *words):
    """The command ends with this status."""
    same(wanted, guest.status(command, *words))


class Monitor:
    """The first event that a host's listener hears. It listens when this is made."""

    def __init__(self, host=guest):
        self.path = work("event")
        self.host = host
        out = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self.program = host.spawn("glbctl monitor --json --count 1", stdout=out, told=False)
        finally:
            os.close(out)
        with check("a listener is there"):
            eventually(self._listens)

    def _listens(self):
        """A socket of generic netlink, protocol 16, is a member of a group by now: what comes, it hears."""
        lines = [line.split() for line in self.host.read("/proc/thread-self/net/netlink").splitlines()[1:]]
        holds(any(line[1] == "16" and int(line[3], 16) for line in lines), "somebody listens on %s" % self.host)

    def so_far(self):
        with open(self.path) as file:
            return file.read()

    def heard(self):
        """The event, when it has come."""
        import json

        self.program.succeeds()
        return json.loads(self.so_far())


class Loader:
    """`glb-packets fill`, which says a line in the middle and goes on when go_on() ends its standard input."""

    def __init__(self, options):
        its_input, self.input = os.pipe()
        self.output, its_output = os.pipe()
        try:
            files = {"stdin": its_input, "stdout": its_output, "stderr": its_output}
            self.program = guest.spawn("glb-packets fill " + options, told=False, **files)
        finally:
            os.close(its_input)
            os.close(its_output)
        self.lines = open(self.output, closefd=True)

    def line(self):
        """The next line that it says."""
        return self.lines.readline().removesuffix("\n")

    def go_on(self):
        os.close(self.input)
        self.input = None

    def close(self):
        """It has ended."""
        if self.input is not None:
            self.go_on()
        self.program.wait()
        self.lines.close()
