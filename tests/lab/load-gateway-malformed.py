#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Malformed packets of a gateway load balancer at the hooks of its appliance: each has a verdict, none leaves anything behind.

What must become of a packet is what `glbctl decap` says of the same capture: the same core, which has each packet at hand as a
whole there, and in pieces here.
"""

import os

from lab.dumps import replay
from lab.geneve import Count, appliance, gateway
from lab.hosts import guest, make
from lab.memory import Memory, kernel_is_quiet
from lab.run import main
from lab.settings import SLOWER, VIP4, VIP6, work
from lab.sockets import listener, udp_socket
from lab.story import about, check, detail, holds, same
from lab.waiting import eventually

# Of each of two modes. A slower kernel gets fewer: it looks at each one longer.
COUNT = int(os.environ.get("COUNT", 100000 // SLOWER // SLOWER))
# What depends on more than the packet's bytes.
OF_THE_MODULE = (
    "total_packets", "accepted_packets", "passed_not_geneve_packets", "passed_other_host_packets", "dropped_no_socket_packets",
    "dropped_no_room_packets",
)


def setup():
    make(gateway, appliance)
    # What goes back goes to nobody; clients are behind the same link.
    appliance.ip("""
        neigh replace 10.1.1.10 lladdr 02:00:00:00:00:03 dev eth0
        neigh replace fd01::10 lladdr 02:00:00:00:00:03 dev eth0
        neigh replace 10.1.1.11 lladdr 02:00:00:00:00:03 dev eth0
        neigh replace fd01::11 lladdr 02:00:00:00:00:03 dev eth0
        address add %s/32 dev lo
        address add %s/128 dev lo nodad
        route add 10.11.0.0/16 via 10.1.1.11 dev eth0 onlink
        route add 2001:db8::/32 via fd01::11 dev eth0 onlink
    """ % (VIP4, VIP6))
    for device in ("all", "eth0"):
        appliance.quietly("sysctl -qw", *("net.ipv4.conf.%s.%s=0" % (device, name) for name in ("rp_filter", "send_redirects")))
    appliance.quietly("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")
    # What waits for the rest of a packet is gone soon.
    appliance.quietly("sysctl -qw net.ipv4.ipfrag_time=1 net.ipv6.ip6frag_time=1")


def storm(family, seed, number):
    """The packets, and what was counted."""
    ends = (gateway.ipv4, appliance.ipv4) if family == 4 else (gateway.ipv6, appliance.ipv6)
    capture = work("%d.pcap" % seed)
    guest.quietly("glb-packets malform --inner --geneve --port 6081 --reachable 10.0.0.0/8 --director", ends[0], "--proxy",
                  ends[1], "--dst-mac", appliance.mac, "--seed", seed, "--count", number, "--out", capture)
    said = guest.output("glbctl decap", capture, work("inner.pcap"))
    expected = {name: int(count) for count, name in (line.split() for line in said.splitlines())}
    counted = Count()
    replay(gateway, capture)
    with check("all %d were seen" % number):
        eventually(lambda: holds(counted.grew("came", "total_packets") >= number))
    os.unlink(capture)
    counted.is_sum()
    with check("they are those of `glbctl decap`"):
        names = set(counted.before["came"]) - set(OF_THE_MODULE)
        same({name: expected.get(name, 0) for name in names}, {name: counted.grew("came", name) for name in names})
    with check("some of every kind were taken out"):
        accepted, returned = counted.grew("came", "accepted_packets"), counted.grew("left", "returned_packets")
        kinds = len([name for name in names if counted.grew("came", name) > 0])
        detail("%d accepted, %d returned, %d kinds of faults" % (accepted, returned, kinds))
        holds(accepted > number // 20 and kinds > 7, str(expected))
    with check("the kernel says nothing"):
        kernel_is_quiet()
    return returned


def mode(words, first_seed):
    for vip in (VIP4, VIP6):
        listener(appliance, vip, 80)
        udp_socket(appliance, vip, 443)
    appliance.run("glbctl attach eth0 --role geneve --max-flows 4096", words)
    returned = storm(4, first_seed, 3000)
    # Later there is no room left for new flows, and of a listener whose queue is full no answer comes.
    with check("some answers went back"):
        holds(returned > 30)
    memory = Memory()
    for number in range(4):
        storm(4 if number % 2 else 6, first_seed + 1 + number, COUNT // 4)
    with check("no memory was left behind"):
        memory.kept()
    appliance.run("glbctl detach eth0")


def test_terminate():
    about("Malformed packets at an appliance that answers itself.")
    mode("--local-only", 21)


def test_bump_in_the_wire():
    about("The same at one that forwards.")
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    mode("--pass", 31)


def test_the_module_goes():
    about("With all that it remembered, the module is unloaded, and loaded again.")
    appliance.run("glbctl attach eth0 --role geneve --pass")
    memory = Memory()
    for _ in range(3):
        guest.run("modprobe -r rust_glb_director")
        guest.run("modprobe rust_glb_director")
        appliance.run("glbctl attach eth0 --role geneve --pass")
    with check("no memory was left behind"):
        memory.kept()


main("rust_glb_director")
