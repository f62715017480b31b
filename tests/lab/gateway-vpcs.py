#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Two VPCs with the same addresses behind two endpoints of a gateway load balancer, and an appliance with nginx or nftables.

    VPC 1, VLAN 11   client1 198.51.100.7, server1 192.0.2.50 --+-- endpoint 1 --+
                                                                                 +-- gateway ==Geneve== appliance
    VPC 2, VLAN 12   client2 198.51.100.7, server2 192.0.2.50 --+-- endpoint 2 --+   gnv0               lo: 192.0.2.1

The gateway is the kernel's own geneve device in external mode. What comes from a VPC leaves with the options of the VPC's
endpoint; what comes back goes to the VPC that its options name.
"""

import itertools
import os

from lab.geneve import CLIENT4, CLIENT6, appliance, gateway, geneve_device
from lab.hosts import Host, make, unhurried
from lab.run import main
from lab.settings import work
from lab.sockets import udp_socket
from lab.story import about, at_least, check, context, holds, same
from lab.waiting import eventually
from lab.web import Connections, fetched, web

VPCS = (1, 2)
ENDPOINTS = {1: 0x2B8EE1D4DB0C51C4, 2: 0x0102030405060708}
COOKIES = {1: "deadbeef", 2: "0badcafe"}
SERVICE4, SERVICE6 = "192.0.2.1", "2001:db8::1"
SERVER4, SERVER6 = "192.0.2.50", "2001:db8::50"
# Ports of connections from each VPC: one appliance has one socket for addresses and ports.
PORTS = {1: "20000 29999", 2: "30000 39999"}
# A packet of this length fits with the header in front.
INNER_MTU = 1900

clients = {number: Host("client%d" % number) for number in VPCS}
servers = {number: Host("server%d" % number) for number in VPCS}
questions = itertools.count(1)


def member(host, number, addresses):
    """A host of a VPC: the gateway is its way to all else."""
    vlan = 10 + number
    four, six = addresses
    host.ip("""
        link add link eth0 name vpc type vlan id %d
        link set vpc mtu %d up
        addr add %s/32 dev vpc
        addr add %s/128 dev vpc nodad
        route add default via 10.1.1.10 dev vpc onlink src %s
        route add default via fd00:%d::1 dev vpc onlink src %s""" % (vlan, INNER_MTU, four, six, four, vlan, six))


def endpoint(number):
    """The gateway's half of an endpoint."""
    vlan = "eth0.%d" % (10 + number)
    words = ("%016x" % ENDPOINTS[number], "%016x" % 0, COOKIES[number])
    options = ",".join("0x0108:%d:%s" % (kind, data) for kind, data in enumerate(words, 1))
    lines = ["link add link eth0 name %s type vlan id %d" % (vlan, 10 + number),
             "link set %s mtu %d up" % (vlan, INNER_MTU),
             "addr add fd00:%d::1/128 dev %s nodad" % (10 + number, vlan)]
    for kind in ("0.0.0.0/0", "::/0"):
        way = "encap ip id 0 dst 10.1.2.20 geneve_opts %s dev gnv0" % options
        lines.append("route add %s table 10%d %s" % (kind, number, way))
        lines.append("route add %s table 20%d dev %s" % (kind, number, vlan))
    gateway.ip("\n".join(lines))
    for family in ("-4", "-6"):
        gateway.run("ip %s rule add iif %s lookup 10%d" % (family, vlan, number))
        gateway.run("ip %s rule add iif gnv0 fwmark %d lookup 20%d" % (family, number, number))
    gateway.run("tc filter add dev gnv0 ingress protocol all flower geneve_opts %s action skbedit mark %d"
                % (options.replace("0x0108:", "0108:0"), number))


def setup():
    make(gateway, appliance, *clients.values(), *servers.values())
    geneve_device(with_clients=False)
    gateway.ip("link set gnv0 mtu %d" % INNER_MTU)
    gateway.run("tc qdisc add dev gnv0 ingress")
    gateway.quietly("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0")
    for number in VPCS:
        endpoint(number)
        member(clients[number], number, (CLIENT4, CLIENT6))
        member(servers[number], number, (SERVER4, SERVER6))
        clients[number].quietly("sysctl -qw", "net.ipv4.ip_local_port_range=" + PORTS[number])
    # A name with a full stop is written with a slash, as all else then is.
    for device in ("eth0", "gnv0", "eth0.11", "eth0.12"):
        gateway.quietly("sysctl -qw net/ipv4/conf/%s/rp_filter=0" % device)
    for name in ("all.rp_filter", "eth0.rp_filter", "all.send_redirects", "eth0.send_redirects"):
        appliance.quietly("sysctl -qw net.ipv4.conf.%s=0" % name)
    lines = ["addr add %s/32 dev lo" % SERVICE4, "addr add %s/128 dev lo nodad" % SERVICE6]
    lines += ["route add %s via 10.1.1.10 dev eth0 onlink" % address for address in (CLIENT4, SERVER4)]
    lines += ["route add %s via fd01::10 dev eth0 onlink" % address for address in (CLIENT6, SERVER6)]
    appliance.ip("\n".join(lines))
    # What is sent again would come when its socket is gone, and be counted.
    unhurried(appliance, *clients.values(), *servers.values())
    for number in VPCS:
        web(servers[number], "vpc%d" % number)


def forwards(on):
    """Whether the appliance routes."""
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=%d net.ipv6.conf.all.forwarding=%d" % (on, on))


def attach(words=""):
    """The role, from its start."""
    if "eth0" in appliance.json("glbctl --json status")["devices"]:
        appliance.run("glbctl detach eth0")
    appliance.run("glbctl attach eth0 --role geneve --allow-from 10.1.1.10", *words.split())


class Count:
    """What the role counted since this was made."""

    def __init__(self):
        self.before = appliance.json("glbctl --json geneve stats")

    def dropped(self):
        """The verdicts that dropped packets."""
        now = appliance.json("glbctl --json geneve stats")
        grew = {
            (way, name): now[way][name] - self.before[way].get(name, 0)
            for way in ("came", "left") for name in now[way] if name.startswith("dropped_")
        }
        return {name: value for name, value in grew.items() if value}

    def nothing_dropped(self):
        with check("the role dropped nothing, and packets are the sum of their verdicts"):
            same({}, self.dropped())
            for way in ("came", "left"):
                values = dict(appliance.json("glbctl --json geneve stats")[way])
                same(values.pop("total_packets"), sum(values.values()))


def endpoints_are_told_apart():
    """Each flow of TCP is of the endpoint of its VPC."""
    with check("each flow has the endpoint of its VPC"):
        wrong, seen = [], set()
        for flow in appliance.json("glbctl --json geneve flows"):
            ports = [int(end.rsplit(":", 1)[1]) for end in (flow["client"], flow["server"])]
            number = max(ports) // 10000 - 1
            if flow["proto"] == 6 and number in VPCS:
                seen.add(number)
                if flow["endpoint"] != "0x%016x" % ENDPOINTS[number]:
                    wrong.append(flow)
        same(([], set(VPCS)), (wrong, seen))
    with check("packets came from both endpoints, and went back to both"):
        endpoints = {one["endpoint"]: one for one in appliance.json("glbctl --json geneve endpoints")}
        same({"0x%016x" % endpoint for endpoint in ENDPOINTS.values()}, set(endpoints))
        holds(all(one["came_packets"] and one["left_packets"] for one in endpoints.values()))


def pings_of_both(server):
    """Pings have no ports: once those of one VPC are known, the same ones of another could be either's."""
    count = Count()
    with check("pings of VPC 1 pass"):
        clients[1].run("ping -q -c 3 -i 0.2", server)
    count.nothing_dropped()
    with check("the same ones of VPC 2 go to nobody: they are dropped, and counted"):
        status = clients[2].status("ping -q -c 3 -i 0.2 -W 1", server)
        same((1, {("left", "dropped_several_endpoints_packets"): 3}), (status, count.dropped()))


def asks(number, port, server, question):
    """A question over UDP from a client to a socket, and its answer."""
    asker = udp_socket(clients[number], CLIENT4 if ":" not in server else CLIENT6, 40000 + number)
    asker.sendto(question, (server, port))
    return asker


def test_nginx_terminates():
    about("nginx on the appliance answers 1,000 connections of two VPCs with the same addresses; none breaks.")
    attach("--strict")
    web(appliance, "appliance")
    count = Count()
    held = [Connections(clients[number], SERVICE4 + ":80", 500) for number in VPCS]
    for one in held:
        one.all_from("appliance")
    endpoints_are_told_apart()
    held = [Connections(clients[number], "[%s]:80" % SERVICE6, 20) for number in VPCS]
    with context("IPv6: "):
        for one in held:
            one.all_from("appliance")
    with check("pings pass, as long as they may be"):
        clients[1].run("ping -q -c 3 -i 0.2 -M do -s %d %s" % (INNER_MTU - 28, SERVICE4))
        clients[1].run("ping -q -c 3 -i 0.2 -M do -s %d %s" % (INNER_MTU - 48, SERVICE6))
    count.nothing_dropped()


RULES = """table inet firewall {
    counter web { }
    counter asked { }
    counter blocked { }
    chain forward {
        type filter hook forward priority 0
        udp dport 5454 counter name blocked drop
        udp dport 5353 counter name asked
        tcp dport 80 counter name web
    }
}"""


def packets(counter):
    """What a counter of the appliance's firewall has."""
    said = appliance.json("nft -j list counter inet firewall", counter)
    return next(one["counter"]["packets"] for one in said["nftables"] if "counter" in one)


def test_nftables_bump_in_the_wire():
    about("The appliance routes; nftables drops one port and counts others. Each VPC reaches its own server by it, and no other.")
    attach("--pass --strict")
    forwards(True)
    appliance.run("nft", RULES)
    count = Count()
    held = [Connections(clients[number], SERVER4 + ":80", 100) for number in VPCS]
    for number, one in zip(VPCS, held):
        one.all_from("vpc%d" % number)
    endpoints_are_told_apart()
    with check("nftables saw them"):
        at_least(2 * 100 * 4, packets("web"))
    with context("IPv6: "):
        for number in VPCS:
            Connections(clients[number], "[%s]:80" % SERVER6, 10).all_from("vpc%d" % number)
    for server in (SERVER4, SERVER6):
        for number in VPCS:
            with context("client%d to %s: " % (number, server)):
                allowed, blocked = (udp_socket(servers[number], server, port) for port in (5353, 5454))
                blocked.settimeout(None)
                blocked.setblocking(False)
                before = {name: packets(name) for name in ("asked", "blocked")}
                question = b"question %d" % next(questions)
                refused = asks(number, 5454, server, question)
                refused.close()
                asker = asks(number, 5353, server, question)
                got, peer = allowed.recvfrom(100)
                allowed.sendto(b"answer to " + got, peer)
                with check("a question over UDP is answered"):
                    same((question, b"answer to " + question), (got, asker.recv(100)))
                with check("one packet was counted, and one was blocked"):
                    eventually(lambda: same((1, 1), tuple(packets(name) - was for name, was in before.items())))
                with check("what is blocked does not arrive"):
                    try:
                        same(None, blocked.recv(100))
                    except BlockingIOError:
                        pass
                for one in (allowed, blocked, asker):
                    one.close()
    count.nothing_dropped()
    for server in (SERVER4, SERVER6):
        with context("%s: " % server):
            pings_of_both(server)
    appliance.run("nft delete table inet firewall")
    forwards(False)


def test_path_mtu():
    about("The way to the load balancer is narrow: who sends through the appliance is told what fits, and all arrives.")
    attach("--pass")
    forwards(True)
    appliance.ip("route add 10.1.1.10/32 dev eth0 src 10.1.2.20 mtu 1400")
    # Here something is lost.
    for server in servers.values():
        server.quietly("sysctl -qw net.ipv4.tcp_rto_min_us=200000 net.ipv4.tcp_early_retrans=3")
    count = Count()
    for number in VPCS:
        with check("a download from server%d arrives whole" % number):
            fetched(clients[number], "http://%s/big" % SERVER4, os.path.join(work("www"), "big"))
    with check("something did not fit, and nothing else was dropped"):
        same({("left", "dropped_too_big_packets")}, set(count.dropped()))
    with check("the senders know what fits"):
        for number in VPCS:
            holds("mtu 1332" in servers[number].output("ip route get", CLIENT4), servers[number].output("ip route get", CLIENT4))
    appliance.ip("route del 10.1.1.10/32 dev eth0")
    forwards(False)


main("rust_glb_director geneve cls_flower act_skbedit sch_ingress 8021q")
