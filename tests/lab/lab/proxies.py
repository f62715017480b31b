# SPDX-License-Identifier: GPL-2.0
"""Proxies: hosts that take GUE, have the VIPs, and the rule GLBREDIRECT.

    proxies(proxy1, proxy2)             these hosts, which are there already, are proxies from now on
    takes_gue(host), takes_gue6(host)   the tunnel's end alone, on an IPv4 underlay and on an IPv6 one
"""

from lab.settings import GUE_PORT, VIP4, VIP6

# What the README tells to do on a proxy with an IPv4 underlay, and with an IPv6 one (`ip -6 fou` comes to it). ip6tnl0 takes only
# IPv6 inside unless it is told to.
_GUE = """
    fou add port %d gue
    link set tunl0 up
    addr add %s/32 dev tunl0
    link set sit0 up
    addr add %s/128 dev sit0 nodad
""" % (GUE_PORT, VIP4, VIP6)
_GUE6 = """
    link change ip6tnl0 type ip6tnl mode any
    link set ip6tnl0 up
"""


def takes_gue(host):
    host.ip(_GUE)


def takes_gue6(host):
    host.run("ip -6 fou add port", GUE_PORT, "gue")
    host.ip(_GUE6)


def redirects(host, *options):
    """The rules, of both families."""
    for tool in ("iptables", "ip6tables"):
        host.run("%s -A INPUT -p udp -m udp --dport %d -j GLBREDIRECT" % (tool, GUE_PORT), *options)


def proxies(*hosts):
    for host in hosts:
        takes_gue(host)
        if host.ipv6:
            takes_gue6(host)
        redirects(host)
