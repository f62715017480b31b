#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Real connections through the director, with the aggregates that devices make of them: what a client's kernel sends in one
piece leaves in one piece, or is cut by the device, or by the kernel; every byte arrives.

    client ---> director ===GUE===> proxy1
       ^                               |
       +------- answers directly ------+
"""

from lab.director import begin, config, load, load_module, table, table_file
from lab.dumps import Dump, read
from lab.hosts import Host, make
from lab.proxies import takes_gue, takes_gue6
from lab.run import main
from lab.settings import MTU, VIP4, VIP6, work
from lab.story import about, at_least, check, context, holds, same
from lab.transfers import Transfers

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
VIPS = (VIP4, "[%s]" % VIP6)


def setup():
    global v4, v6, transfers
    make(client, director, proxy1)
    client.ip("""
        link set eth0 mtu 1500
        route add %s via 65.65.65.65 dev eth0 onlink
        route add %s via fd65::65 dev eth0 onlink
    """ % (VIP4, VIP6))
    takes_gue(proxy1)
    takes_gue6(proxy1)
    load_module()
    v4 = table_file("v4.json", table(proxy1.ipv4))
    v6 = table_file("v6.json", table(proxy1.ipv6))
    load(director, v4)
    director.run("glbctl attach eth0")
    transfers = Transfers(client, director, proxy1)


def device_cuts():
    director.run("ethtool -K eth0 tx on tso on gso on")


def kernel_cuts():
    director.run("ethtool -K eth0 tso off gso off tx off")


def test_device_cuts():
    about("Aggregates leave whole, for a device that segments tunnels.")
    device_cuts()
    for address in VIPS:
        transfers.whole(address)


def test_kernel_cuts():
    about("Where the device segments nothing and completes no checksum, the kernel does.")
    kernel_cuts()
    for address in VIPS:
        transfers.cut(address)


def test_checksum():
    about("The same with an outer UDP checksum, over both underlays; each packet of the wire has one, and it is right.")
    config(director, "--udp-checksum true")
    for name, tables in (("v4", v4), ("v6", v6)):
        load(director, tables)
        with context("%s: " % name):
            device_cuts()
            transfers.whole(VIPS[0])
            kernel_cuts()
            dump = Dump(proxy1, work("got.pcap"))
            transfers.cut(VIPS[0])
            dump.end()
            # tcpdump sums up itself.
            told = "\n".join(read(work("got.pcap"), "-vv"))
            with check("the wire's packets have a right checksum"):
                holds("udp sum ok" in told, "tcpdump says `udp sum ok`")
            with check("none has a wrong one or none"):
                holds("bad udp cksum" not in told and "no cksum" not in told, "tcpdump finds every checksum right")
    config(director, "--udp-checksum false")
    load(director, v4)


def test_told():
    about("On an underlay without room for the tunnel a connection goes on once the client was told what fits.")
    device_cuts()
    director.ip("link set eth0 mtu 1500")
    for address in VIPS:
        count = begin(director)
        transfers.upload(address)
        with check("the client was told"):
            at_least(1, count.grew("icmp_too_big_sent"))
        with check("nothing was fragmented"):
            same(0, count.grew("fragments_sent"))
    director.ip("link set eth0 mtu %d" % MTU)


def test_fragmented():
    about("On such an underlay packets that may be fragmented are, aggregates among them, and arrive.")
    director.ip("link set eth0 mtu 1500")
    client.quietly("ip route flush cache")
    client.run("sysctl -qw net.ipv4.ip_no_pmtu_disc=1")
    count = begin(director)
    transfers.upload(VIPS[0])
    with check("packets went as fragments"):
        at_least(2001, count.grew("fragments_sent"))
    with check("nobody was told"):
        same((0, 0), count.each("icmp_too_big_sent", "dropped_too_big_packets"))
    with check("a ping of 1,500 bytes is answered"):
        client.quietly("ping -c 3 -W 60 -s 1472 -M dont", VIP4)
    client.run("sysctl -qw net.ipv4.ip_no_pmtu_disc=0")
    director.ip("link set eth0 mtu %d" % MTU)


def test_segmented():
    about("With segment-tcp TCP packets that do not fit are cut into shorter ones, and no client is told.")
    director.ip("link set eth0 mtu 1500")
    config(director, "--segment-tcp true")
    for who, cuts in (("device", device_cuts), ("kernel", kernel_cuts)):
        cuts()
        for address in VIPS:
            with context("%s, cut by the %s: " % (address, who)):
                # What the client was told before is forgotten.
                client.quietly("ip route flush cache")
                client.quietly("ip -6 route flush cache")
                count = begin(director)
                transfers.upload(address)
                names = ("segmented_tcp", "icmp_too_big_sent", "dropped_too_big_packets", "fragments_sent")
                segmented, *others = count.each(*names)
                with check("packets were cut"):
                    at_least(31, segmented)
                with check("nobody was told, nothing dropped, nothing fragmented"):
                    same([0, 0, 0], others)
    config(director, "--segment-tcp false")
    director.ip("link set eth0 mtu %d" % MTU)


main()
