# SPDX-License-Identifier: GPL-2.0
"""Pods: network namespaces behind a host, where its programs are. They go with the network.

    web = pod(proxy1, "web", 2)         10.99.2.2 and fd99:2::2 there; the host is 10.99.2.1 and fd99:2::1
    has_vips(web)                       the VIPs are there, and the host sends their packets to it
    end(web)                            its name goes, and it ends with the last socket that is in it
"""

from lab import hosts
from lab.hosts import Host, guest
from lab.settings import VIP4, VIP6


def pod(host, name, number):
    """A new one, which sends its packets to the host, which forwards them."""
    made = Host(name, "10.99.%d.2" % number, "fd99:%d::2" % number)
    made.at, made.port = host, "to-" + name
    guest.ip("netns add %s" % name)
    hosts.others.append(made)
    host.quietly("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    host.ip("link add name %s type veth peer name eth0 netns %s" % (made.port, name))
    host.ip("""
        link set %(port)s up
        addr add 10.99.%(number)d.1/24 dev %(port)s
        addr add fd99:%(number)d::1/64 dev %(port)s nodad
    """ % {"port": made.port, "number": number})
    made.ip("""
        link set lo up
        link set eth0 up
        addr add 10.99.%(number)d.2/24 dev eth0
        addr add fd99:%(number)d::2/64 dev eth0 nodad
        route add default via 10.99.%(number)d.1
        route add default via fd99:%(number)d::1
    """ % {"number": number})
    return made


def has_vips(made):
    """The VIPs are the pod's."""
    made.ip("addr add %s/32 dev lo\naddr add %s/128 dev lo nodad" % (VIP4, VIP6))
    made.at.ip("""
        route replace %s via %s dev %s
        route replace %s via %s dev %s
    """ % (VIP4, made.ipv4, made.port, VIP6, made.ipv6, made.port))


def end(made):
    """Nobody but its sockets holds it any more."""
    hosts.others.remove(made)
    guest.ip("netns del %s" % made)
