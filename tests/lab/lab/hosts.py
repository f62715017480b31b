# SPDX-License-Identifier: GPL-2.0
"""Hosts: network namespaces with real programs, which a switch joins. Every address is on the link.

    client      director     proxy1      proxy2
   +------+     +------+     +------+    +------+
   | eth0 |     | eth0 |     | eth0 |    | eth0 |      02:00:00:00:00:NN, in the order they are made
   +--||--+     +--||--+     +--||--+    +--||--+
   ===||===========||===========||==========||====     bridge `fabric`, in a namespace of that name

    client = Host("client", "10.11.12.13", "fd11::13")     a host of the scenario
    make(client, director, proxy1)                         these are there from now on
    client.ip(lines)                                       `ip` commands, one a line, in one process
    client.run("glbctl attach", device)                    tell it, do it: it must succeed
    client.output("glbctl --json status")                  what it writes; not told
    client.spawn("socat -u UDP-RECV:1500 -")               in the background, until the test ends
    guest                                                  the machine itself, for what belongs to no host

The first argument of a command is cut at white space; further ones are words as they are.
"""

import os

from lab import programs, traffic
from lab.namespaces import Inside
from lab.programs import Program, finish, split
from lab.settings import MTU
from lab.story import Failed, say

# Those that are there, in the order they were made.
made = []
# Namespaces that are on no switch, and go with the network too (pods.py).
others = []
# Routes that hosts to come have too.
_behind = []


class Host:
    """A host: its addresses are on its link, or None. `lines` are more commands of `ip` there, when it is made."""

    def __init__(self, name, ipv4=None, ipv6=None, lines=""):
        self.name, self.ipv4, self.ipv6, self.lines = name, ipv4, ipv6, lines
        self.namespace = name
        self.mac = None
        # What arrives at it (captures.py).
        self.capture = None

    def __str__(self):
        return self.name

    @property
    def hardware(self):
        """The address of its eth0, as bytes."""
        return bytes.fromhex(self.mac.replace(":", ""))

    def inside(self):
        """With host.inside(): sockets that are made, and /proc/thread-self/net, are the host's."""
        return Inside(self.namespace)

    def read(self, path):
        """A file of /proc/thread-self/net, or another one that tells of a namespace."""
        with self.inside(), open(path) as file:
            return file.read()

    def ip(self, lines):
        """`ip` commands, one a line, in one process."""
        lines = [line.strip() for line in lines.splitlines() if line.strip()]
        for line in lines:
            say("%s: ip %s" % (self.name, line))
        text = os.memfd_create("ip")
        try:
            os.write(text, ("\n".join(lines) + "\n").encode())
            os.lseek(text, 0, os.SEEK_SET)
            status = finish(Program(["ip", "-batch", "-"], self.namespace, stdin=text))
        finally:
            os.close(text)
        if status != 0:
            raise Failed("ip on %s: ended with status %d" % (self.name, status))

    def tell(self, words):
        say("%s: %s" % (self.name, " ".join(words)) if self.namespace else " ".join(words))

    def status(self, command, *words):
        """Tell it and run it: its exit status, whatever that is."""
        words = split(command, words)
        self.tell(words)
        return finish(Program(words, self.namespace))

    def run(self, command, *words):
        """The same, and it must succeed."""
        status = self.status(command, *words)
        if status != 0:
            raise Failed("%s: ended with status %d" % (" ".join(split(command, words)), status))

    def quietly(self, command, *words):
        """The same, not told."""
        self.output(command, *words)

    def output(self, command, *words, any_status=False):
        """What a command writes, without the last end of line. It is not told, and must succeed unless `any_status`."""
        status, written = self.said(command, *words, errors=False)
        if status != 0 and not any_status:
            raise Failed("%s%s: ended with status %d" % (written, " ".join(split(command, words)), status))
        return written.removesuffix("\n")

    def said(self, command, *words, errors=True):
        """The exit status of a command and all that it says, its errors too. It is not told."""
        text = os.memfd_create("output")
        try:
            program = Program(split(command, words), self.namespace, stdout=text, stderr=text if errors else None)
            status = finish(program)
            with open(os.dup(text), errors="replace") as file:
                file.seek(0)
                return status, file.read()
        finally:
            os.close(text)

    def json(self, command, *words):
        """What a command says in JSON."""
        import json

        return json.loads(self.output(command, *words))

    def spawn(self, command, *words, told=True, **files):
        """Start a program in the background. It ends with the test, or, from setup, with the network. `files` are its stdin,
        stdout and stderr, if they are not nothing, the story and the story."""
        words = split(command, words)
        if told:
            self.tell(words + ["&"])
        program = Program(words, self.namespace, own_group=True, **files)
        programs.running.append(program)
        return program


class _Guest(Host):
    def __init__(self):
        super().__init__("root")
        self.namespace = None


guest = _Guest()


def make(*hosts):
    """Make these hosts, and the switch before the first one."""
    root, fabric = [], []
    if not made:
        guest.ip("netns add fabric")
        _fabric.ip("link add name fabric type bridge forward_delay 0 mcast_snooping 0\nlink set fabric up")
    for number, host in enumerate(hosts, len(made) + 1):
        host.mac = "02:00:00:00:%02x:%02x" % (number >> 8, number & 255)
        root += [
            "netns add %s" % host,
            "link add name %s mtu %d netns fabric type veth peer name eth0 mtu %d address %s netns %s"
            % (host, MTU, MTU, host.mac, host),
        ]
        fabric.append("link set %s master fabric up" % host)
    # Known before they are there: what was made of them goes with the network even if the rest fails.
    made.extend(hosts)
    guest.ip("\n".join(root))
    _fabric.ip("\n".join(fabric))
    for host in hosts:
        lines = ["link set lo up", "link set eth0 up"]
        if host.ipv4:
            lines += ["addr add %s/32 dev eth0" % host.ipv4, "route add default dev eth0 src %s" % host.ipv4]
        if host.ipv6:
            lines += ["addr add %s/128 dev eth0 nodad" % host.ipv6, "route add default dev eth0 src %s" % host.ipv6]
        host.ip("\n".join(lines + _behind + [host.lines]))


_fabric = Host("fabric")


def fabric(lines):
    """`ip` commands at the switch, whose port to a host has the host's name."""
    _fabric.ip(lines)


def behind(host, prefix):
    """Every other host sends packets for this prefix to the host, those that are there and those to come."""
    line = "route add %s via %s dev eth0 onlink" % (prefix, host.ipv6 if ":" in prefix else host.ipv4)
    for other in made:
        if other is not host:
            other.ip(line)
    _behind.append(line)


def unhurried(*hosts):
    """No kernel there sends anything again, or probes, for lack of a quick answer; so packets can be counted, also where a
    machine takes a second for what it else does at once. (Nothing is lost in the lab that a test does not lose.) But a SYN and
    its answer, whose second is fixed: counters.py."""
    for host in hosts:
        host.quietly("sysctl -qw net.ipv4.tcp_rto_min_us=60000000 net.ipv4.tcp_early_retrans=0")


def end_captures():
    """Nothing of what arrived is known any more."""
    for host in made:
        if host.capture:
            host.capture.close()
            host.capture = None


# Of a machine without IPv6 there is only one.
_TCP = [name for name in ("tcp", "tcp6") if os.path.exists("/proc/net/" + name)]


def end_network():
    """All hosts go, with what runs there."""
    if not made:
        return
    end_captures()
    traffic.close_kept()
    traffic.close_sources()
    programs.end_those_after(0)
    _kill_those_inside([*made, *others, _fabric])
    there = [host for host in [*made, *others, _fabric] if os.path.exists("/run/netns/" + host.name)]
    for host in there:
        # A connection that nobody has any more would hold the namespace, and its rules the module, until it gives up.
        if any(host.read("/proc/thread-self/net/" + name).count("\n") > 1 for name in _TCP):
            host.output("ss --tcp --kill --no-header state all", any_status=True)
    made.clear()
    others.clear()
    _behind.clear()
    guest.ip("\n".join("netns del %s" % host for host in there))


def _kill_those_inside(hosts):
    """Kill every process that is in one of these namespaces."""
    numbers = set()
    for host in hosts:
        try:
            numbers.add(os.stat("/run/netns/" + host.name).st_ino)
        except FileNotFoundError:
            pass  # it has gone already
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat("/proc/%s/ns/net" % name).st_ino in numbers:
                os.kill(int(name), 9)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile
