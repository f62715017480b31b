#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The health checker against the kernel's own tunnels: the checks `gue` and `gue_vip`, and those through the forwards ipip, gre.

    director (glb-healthcheck)       proxy1, proxy2: fou, tunl0, sit0, gre1, with the VIPs
"""

import os

from lab.director import KEY, SEED, backend
from lab.hosts import Host, make
from lab.programs import end_those_after, running
from lab.run import main
from lab.settings import GUE_PORT, work, work_json
from lab.story import about, check, context, holds, same, say
from lab.waiting import eventually

VIP4, VIP6 = "10.10.10.10", "fd10::10"
director = Host("director", "192.168.50.6", "fd50::6")
proxies = [Host("proxy%d" % number, "192.168.50.1%d" % (number - 1), "fd50::1%d" % (number - 1)) for number in (1, 2)]


def setup():
    make(director, *proxies)
    for proxy in proxies:
        proxy.run("ip fou add port %d gue" % GUE_PORT)
        proxy.ip("""
            link set tunl0 up
            link set sit0 up
            addr add %s/32 dev tunl0
            addr add %s/128 dev sit0 nodad
            link add gre1 type gre local %s
            link set gre1 up
        """ % (VIP4, VIP6, proxy.ipv4))
        proxy.run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0 net.ipv4.conf.gre1.rp_filter=0")


class Checker:
    """glb-healthcheck on the director, with one table of both proxies."""

    def __init__(self, binds, checks, timeout, **more):
        source = work_json("src.json", {
            "healthchecks": {"interval_ms": 200, "timeout_ms": timeout, "trigger": 2},
            "tables": [{
                "name": "web", "hash_key": KEY, "seed": SEED, **more,
                "binds": [{"ip": ip, "proto": "tcp", "port": 80} for ip in binds],
                "backends": [{**backend(proxy.ipv4), "healthchecks": checks} for proxy in proxies],
            }],
        })
        self.published, self.log = work("dst.json"), work("log")
        if os.path.exists(self.published):
            os.remove(self.published)
        conf = work_json("conf.json", {
            "forwarding_table": {"src": source, "dst": self.published}, "reload_command": "", "reload_interval_ms": 0,
            "max_down_percent": 100,
        })
        out = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self.before = len(running)
            director.spawn("glb-healthcheck --config", conf, stdout=out, stderr=out)
        finally:
            os.close(out)

    def said(self):
        with open(self.log) as file:
            return file.read()

    def now(self):
        """Which proxies pass, as is published."""
        import json

        holds(os.path.exists(self.published), "a table is published")
        with open(self.published) as file:
            return [one["healthy"] for one in json.load(file)["tables"][0]["backends"]]

    def publishes(self, what, *wanted):
        with check(what):
            eventually(lambda: same(list(wanted), self.now()))

    def says(self, text):
        with check("it says why"):
            eventually(lambda: holds(text in self.said(), "the log has %r" % text))

    def end(self):
        with check("each check could be made"):
            holds("can not be made" not in self.said(), self.said())
        end_those_after(self.before)


def test_tunnel():
    about("A proxy without the tunnel, or without one of the VIPs, is found, and found again when it has them.")
    checker = Checker((VIP4, VIP6), {"gue": GUE_PORT, "gue_vip": True}, 3000)
    one, two = proxies
    checker.publishes("both proxies have tunnel and VIPs", True, True)
    two.ip("addr del %s/32 dev tunl0" % VIP4)
    checker.publishes("one has lost the IPv4 VIP", True, False)
    checker.says("gue_vip %s through %s:%d: fails" % (VIP4, two.ipv4, GUE_PORT))
    two.ip("addr add %s/32 dev tunl0" % VIP4)
    one.ip("addr del %s/128 dev sit0" % VIP6)
    checker.publishes("it has it again, and the other one has lost the IPv6 VIP", False, True)
    checker.says("gue_vip %s through %s:%d: fails" % (VIP6, one.ipv4, GUE_PORT))
    one.ip("addr add %s/128 dev sit0 nodad" % VIP6)
    two.run("ip fou del port %d" % GUE_PORT)
    checker.publishes("it has it again, and the other one has lost its tunnel", True, False)
    checker.says("gue %s:%d: fails: nothing listens on the tunnel's port" % (two.ipv4, GUE_PORT))
    two.run("ip fou add port %d gue" % GUE_PORT)
    checker.publishes("it has it again", True, True)
    checker.end()


def test_through():
    about("Through a forward the VIP of each server is asked: one without the VIP, or without the device, is found.")
    say("what goes to the VIP goes nowhere, but for what a check sends on")
    director.ip("link add nowhere type dummy\nlink set nowhere up\nroute add %s/32 dev nowhere" % VIP4)
    os.mkdir(work("www"))
    with open(work("www/up"), "w") as file:
        file.write("up\n")
    one, two = proxies
    quiet = os.open(os.devnull, os.O_WRONLY)
    for proxy in proxies:
        proxy.spawn("python3 -m http.server 80 --directory", work("www"), stdout=quiet, stderr=quiet)
    os.close(quiet)
    for kind, device in (("ipip", "tunl0"), ("gre", "gre1")):
        with context(kind + ": "):
            checks = {"http": 80, "http_uri": "/up", "through": True}
            checker = Checker((VIP4,), checks, 10000, select={"kind": "maglev", "size": 1021}, forward={"kind": kind})
            checker.publishes("both servers answer", True, True)
            two.ip("addr del %s/32 dev tunl0" % VIP4)
            checker.publishes("one has lost the VIP", True, False)
            checker.says("through http %s:80/up by %s through %s: fails" % (VIP4, kind, two.ipv4))
            two.ip("addr add %s/32 dev tunl0" % VIP4)
            checker.publishes("it has it again", True, True)
            one.ip("link set %s down" % device)
            checker.publishes("the other one has lost the tunnel device", False, True)
            one.ip("link set %s up" % device)
            checker.publishes("it has it again", True, True)
            checker.end()
    director.ip("link del nowhere")


main("fou ipip sit ip_gre dummy")
