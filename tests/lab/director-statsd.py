#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The director's counters at a statsd, in the names of deployed directors.

    client ---> director ===GUE===> proxy1, proxy2
                glbctl statsd ---> a UDP socket on 127.0.0.1:28125
"""

import os
import signal

from lab.director import begin, load, load_module, table, table_file
from lab.hosts import Host, make
from lab.proxies import proxies
from lab.run import main
from lab.settings import VIP4, work, work_json
from lab.story import about, at_least, check, holds, same
from lab.waiting import eventually

client = Host("client", "10.2.0.1")
director = Host("director", "10.0.0.1")
proxy1 = Host("proxy1", "10.0.0.11")
proxy2 = Host("proxy2", "10.0.0.12")
PORT = 28125


def setup():
    make(client, director, proxy1, proxy2)
    proxies(proxy1, proxy2)
    client.ip("route add %s via 10.0.0.1 dev eth0 onlink" % VIP4)
    load_module()
    load(director, table_file("t.json", table(proxy1.ipv4, proxy2.ipv4)))
    director.run("glbctl attach eth0")


def reports_to(port):
    """director.conf, which glbctl reads anew for each report."""
    return work_json("conf", {"outbound_src_ip": "10.0.0.1", "statsd_port": port})


class Statsd:
    """A statsd, which writes all that it gets to a file, and the director's reporter. Both end with the test."""

    def __init__(self, port):
        self.got, self.said = work("got"), work("said")
        open(self.got, "w").close()
        address = "UDP4-RECV:%d,bind=127.0.0.1" % PORT
        self.server = director.spawn("socat -u", address, "OPEN:%s,append" % self.got)
        eventually(self._listens)
        told = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self.reporter = director.spawn("glbctl statsd --interval 0.2 --config", reports_to(port), stderr=told)
        os.close(told)

    def _listens(self):
        holds(director.output("ss -Hlun", "sport = %d" % PORT), "socat listens on UDP port %d" % PORT)

    def lines(self):
        with open(self.got) as file:
            return file.read().splitlines()

    def reports(self, least=0):
        """How many reports there were."""
        number = sum(line.startswith("glb.director.packets.processed:") for line in self.lines())
        at_least(least, number)
        return number

    def sent(self, metric, tags, number):
        """So many of the metric with these tags were sent altogether."""
        total = 0
        for line in self.lines():
            name, _, rest = line.partition(":")
            if name == metric and rest.partition("|c|#")[2] == tags:
                total += int(rest.partition("|")[0])
        same(number, total)

    def says(self, words):
        """The reporter said so."""
        with open(self.said) as file:
            text = file.read()
        holds(words in text, "glbctl says %r; it said: %s" % (words, text))


def test_counts():
    about("What the kernel counts is sent as differences, each once, where director.conf names a port.")
    statsd = Statsd("28125")
    with check("there is a report without a packet"):
        eventually(statsd.reports, 1)
    count = begin(director)
    # No server is there: what counts is that the director takes them. 81 is no port of the table.
    for port in (80, 81):
        client.status("socat -u -", "TCP:%s:%d,connect-timeout=1" % (VIP4, port))
    client.status("ping -c 5 -i 0.05 -W 1", VIP4)
    matched = count.grew("encapsulated_packets") + count.grew("encapsulated_echo_packets")
    with check("the director has taken packets"):
        at_least(6, matched)
    with check("they are reported"):
        eventually(statsd.sent, "glb.director.packets.encapsulated", "glb_engine:kernel", matched)
    with check("as matched"):
        eventually(statsd.sent, "glb.director.packets.results", "glb_engine:kernel,result:Matched", matched)
    others = count.grew("passed_no_matching_bind_packets")
    with check("those of no bind"):
        eventually(statsd.sent, "glb.director.packets.results", "glb_engine:kernel,result:NoMatchingBind", others)
    with check("there were some"):
        at_least(1, others)
    with check("their bytes"):
        length = count.grew("encapsulated_bytes")
        eventually(statsd.sent, "glb.director.packets.encapsulated_bytes", "glb_engine:kernel", length)
    with check("an error that did not happen is a 0"):
        line = "glb.director.packets.internal_errors:0|c|#glb_engine:kernel,error:ErrorMissingRow"
        holds(line in statsd.lines(), line)
    reports_to(0)
    with check("without a port it says so, and sends nothing"):
        eventually(statsd.says, "no statsd_port")
    statsd.server.signal(signal.SIGTERM)
    reports_to(PORT)
    with check("that nobody listens is said"):
        eventually(statsd.says, "Connection refused")


def test_module_gone():
    about("Counters of a module that was loaded anew begin at 0, and that is no difference below 0.")
    statsd = Statsd(PORT)
    with check("it reports"):
        eventually(statsd.reports, 1)
    director.run("rmmod rust_glb_director")
    with check("a module that is gone is said"):
        eventually(statsd.says, "rust_glb_director")
    director.run("modprobe rust_glb_director")
    before = statsd.reports()
    with check("it reports again"):
        eventually(statsd.reports, before + 2)
    with check("no number is below 0 or wraps"):
        numbers = [int(line.partition(":")[2].partition("|")[0]) for line in statsd.lines() if ":" in line]
        same([], [number for number in numbers if not 0 <= number < 10**11])


main("rust_glb_director fou fou6 ipip sit ip6_tunnel")
