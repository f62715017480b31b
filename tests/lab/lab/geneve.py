# SPDX-License-Identifier: GPL-2.0
"""A gateway load balancer played by the kernel's own geneve device, in external mode, and the appliance behind it."""

from lab.hosts import Host

CLIENT4, CLIENT6 = "198.51.100.7", "2001:db8:1::7"

gateway = Host("gateway", "10.1.1.10", "fd01::10")
appliance = Host("appliance", "10.1.2.20", "fd01::20")


def geneve_device(with_clients=True):
    """gnv0 of the gateway, which has the clients' addresses unless they are hosts of their own."""
    gateway.ip("link add gnv0 type geneve external innerprotoinherit\nlink set gnv0 up")
    if with_clients:
        gateway.ip("address add %s/32 dev gnv0\naddress add %s/128 dev gnv0 nodad" % (CLIENT4, CLIENT6))


def route(number, options, dst="dst 10.1.2.20", kind="ip"):
    """The routes of IPv4 and IPv6 to servers with this number, by a header with these options."""
    via = "encap %s id 0 %s geneve_opts %s dev gnv0" % (kind, dst, ",".join(options))
    gateway.ip("route add 192.0.2.%d/32 %s\nroute add 2001:db8::%d/128 %s" % (number, via, number, via))
