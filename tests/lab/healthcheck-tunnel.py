#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The health checker against the kernel's own tunnels: the checks `gue` and `gue_vip`, and those through the forwards ipip, gre
and l3dsr, which nginx answers, over HTTP and TLS.

    director (glb-healthcheck)       proxy1, proxy2: fou, tunl0, sit0, gre1, nft for a DSCP, with the VIPs
"""

import os

from lab.director import KEY, SEED, backend
from lab.hosts import Host, guest, make
from lab.programs import end_those_after, running
from lab.run import main
from lab.settings import GUE_PORT, work, work_json
from lab.story import about, check, context, holds, same, say
from lab.waiting import eventually
from lab.web import web

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
    """glb-healthcheck on the director, with one table of both proxies, by their addresses of IPv4 or IPv6."""

    def __init__(self, binds, checks, timeout, ports=(80,), family=4, **more):
        source = work_json("src.json", {
            "healthchecks": {"interval_ms": 200, "timeout_ms": timeout, "trigger": 2},
            "tables": [{
                "name": "web", "hash_key": KEY, "seed": SEED, **more,
                "binds": [{"ip": ip, "proto": "tcp", "port": port} for ip in binds for port in ports],
                "backends": [{**backend(proxy.ipv4 if family == 4 else proxy.ipv6), "healthchecks": checks} for proxy in proxies],
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


NAME = "www.example.net"
# A server of virtual hosts: it answers nobody who does not name this one, by Host and, over TLS, by SNI.
VIRTUAL = """
    listen 443 ssl; listen [::]:443 ssl;
    ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem;
    set $named "$scheme $host $ssl_server_name";
    if ($named !~ "^(http {1} |https {1} {1})$") {{ return 421; }}
"""
DSCP = 7
# What a server does for l3dsr: a packet with the DSCP is the VIP's.
NFT = (
    "add table inet l3dsr; "
    "add chain inet l3dsr in {{ type filter hook prerouting priority raw; }}; "
    "add rule inet l3dsr in ip dscp {0} ip daddr {1} ip daddr set {2}; "
    "add rule inet l3dsr in ip6 dscp {0} ip6 daddr {3} ip6 daddr set {4}"
)


def map_dscp(proxy):
    proxy.run("nft", NFT.format(DSCP, proxy.ipv4, VIP4, proxy.ipv6, VIP6))


def map_no_dscp(proxy):
    proxy.run("nft delete table inet l3dsr")


def down(device):
    return lambda proxy: proxy.ip("link set %s down" % device)


def up(device):
    return lambda proxy: proxy.ip("link set %s up" % device)


# A forward, the VIPs behind it, the family of the backends' addresses, and how a server loses what it needs for it, and gets it
# again.
THROUGH = (
    ({"kind": "ipip"}, (VIP4,), 4, down("tunl0"), up("tunl0")),
    ({"kind": "ipip"}, (VIP6,), 4, down("sit0"), up("sit0")),
    ({"kind": "gre"}, (VIP4,), 4, down("gre1"), up("gre1")),
    ({"kind": "l3dsr", "dscp": DSCP}, (VIP4,), 4, map_no_dscp, map_dscp),
    ({"kind": "l3dsr", "dscp": DSCP}, (VIP6,), 6, map_no_dscp, map_dscp),
)


def test_through():
    about("Through a forward the VIP of each server is asked, by Host and SNI: one that lost it, or what it takes, is found.")
    say("what goes to the VIPs goes nowhere, but for what a check sends on")
    director.ip("link add nowhere type dummy\nlink set nowhere up")
    director.ip("route add %s/32 dev nowhere\nroute add %s/128 dev nowhere" % (VIP4, VIP6))
    guest.run("glb-packets cert", work("tls"), "--name", NAME)
    for proxy in proxies:
        web(proxy, str(proxy), VIRTUAL.format(work("tls"), NAME.replace(".", "[.]")))
        map_dscp(proxy)
    checks = {"http": 80, "http_host": NAME, "http_uri": "/page", "https": 443, "https_host": NAME, "https_uri": "/page"}
    for forward, vips, family, lose, mend in THROUGH:
        with context("%s to %s: " % (forward["kind"], vips[0])):
            rows = {"select": {"kind": "maglev", "size": 1021}, "forward": forward}
            checker = Checker(vips, {**checks, "through": True}, 3000, (80, 443), family, **rows)
            through(checker, vips[0], family, (lose, mend))
    with context("another host: "):
        wrong = {**checks, "https_host": "other.example.net", "through": True}
        checker = Checker((VIP4,), wrong, 3000, (80, 443), forward={"kind": "gre"}, select={"kind": "maglev", "size": 1021})
        checker.publishes("no server answers to another name over TLS", False, False)
        checker.says("status 421")
        checker.end()
    director.ip("link del nowhere")


def through(checker, vip, family, step):
    one, two = proxies
    lose, mend = step
    asked = "%s:80/page as %s by" % (vip if "." in vip else "[%s]" % vip, NAME)
    device, bits = ("tunl0", 32) if vip == VIP4 else ("sit0", 128)
    checker.publishes("both servers answer", True, True)
    two.ip("addr del %s/%d dev %s" % (vip, bits, device))
    checker.publishes("one has lost the VIP", True, False)
    checker.says("through http " + asked)
    checker.says("through %s: fails" % (two.ipv4 if family == 4 else two.ipv6))
    two.ip("addr add %s/%d dev %s%s" % (vip, bits, device, "" if bits == 32 else " nodad"))
    checker.publishes("it has it again", True, True)
    lose(one)
    checker.publishes("the other one has lost what the forward needs", False, True)
    mend(one)
    if device == "sit0":
        # A device that goes down loses its addresses of IPv6.
        one.ip("addr replace %s/128 dev sit0 nodad" % vip)
    checker.publishes("it has it again", True, True)
    checker.end()


main("fou ipip sit ip_gre dummy nf_tables")
