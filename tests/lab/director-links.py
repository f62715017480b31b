#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The director on links of other kinds: VLANs, bonds, virtio network cards.

    client ---> director ===GUE===> proxy1
"""

import itertools

from lab.captures import expect, frame_for, nothing, send, send_frame
from lab.director import ROW4, begin, config, load, load_module, sport, table, table_file
from lab.dumps import Dump, read
from lab.hosts import Host, fabric, guest, make
from lab.packets import ip, tcp, tunnel
from lab.proxies import takes_gue
from lab.run import main
from lab.settings import GUE_PORT, MTU, VIP4, work
from lab.story import about, at_least, check, detail, holds, same, say
from lab.transfers import Transfers
from lab.waiting import eventually

client = Host("client", "10.11.12.13", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "3.4.5.6", "fd01::1")
numbers = itertools.count(1)


def links():
    """The hosts, and a loaded director that is attached to nothing. Each test has its own."""
    make(client, director, proxy1)
    load_module()
    load(director, table_file("v4.json", table(proxy1.ipv4)))


def fresh():
    """A packet to the VIP, as no other."""
    return ip("10.11.12.13", VIP4, tcp(45678, 80, "A", seq=next(numbers)))


def send_tagged(packet, *tags):
    """It comes to the director in a frame with these VLAN tags."""
    frame = frame_for(client, director, packet)
    send_frame(client, frame[:12] + b"".join(bytes([0x81, 0, tag >> 8, tag & 255]) for tag in tags) + frame[12:])


def to1(packet):
    """What proxy1 gets of it."""
    return tunnel("3.4.5.6", packet, ["3.4.5.6"], sport=sport(ROW4, 45678))


def tunnelled(what, *tags):
    """A check: a packet with these tags comes to proxy1, without them."""
    x = fresh()
    send_tagged(x, *tags)
    with check(what):
        expect(proxy1, to1(x))


def test_vlan_on_the_device():
    about("An attached device takes the packets of all its VLANs: they leave without the tag.")
    links()
    director.run("glbctl attach eth0")
    count = begin(director)
    tunnelled("a tagged packet is tunnelled", 7)
    tunnelled("one that is only marked with a priority too", 0)
    count.exactly(encapsulated_bytes=160, encapsulated_packets=2)

    count = begin(director)
    send_tagged(fresh(), 7, 8)
    with check("one with two tags goes on up the stack"):
        nothing(proxy1)
    count.exactly()

    # The device of the outer VLAN has it with one tag left.
    director.ip("link add link eth0 name eth0.7 type vlan id 7\nlink set eth0.7 up")
    director.run("glbctl attach eth0.7")
    count = begin(director)
    tunnelled("attached to the outer VLAN's device it is taken", 7, 8)
    tunnelled("a packet of one tag is taken once, by the lower device", 7)
    with check("and once only"):
        nothing(proxy1)
    count.exactly(encapsulated_bytes=160, encapsulated_packets=2)


def test_vlan_device():
    about("A VLAN's device takes its packets and no others, and a route by it sends tagged ones.")
    links()
    director.ip("""
        link add link eth0 name eth0.7 type vlan id 7
        link set eth0.7 up
        addr add 10.7.0.1/32 dev eth0.7
    """)
    director.run("glbctl attach eth0.7")
    count = begin(director)
    tunnelled("its packet is tunnelled", 7)
    send_tagged(fresh(), 8)
    send_tagged(fresh())
    with check("those of VLAN 8 and of none are left alone"):
        nothing(proxy1)
    count.exactly(encapsulated_bytes=80, encapsulated_packets=1)

    config(director, "--source-v4 65.65.65.65 --gateway-mac " + proxy1.mac)
    director.ip("route add 3.4.5.6/32 dev eth0.7")
    got = work("got.pcap")
    dump = Dump(proxy1, got, "vlan 7 and udp port %d" % GUE_PORT)
    count = begin(director)
    tunnelled("by a route of the VLAN's device it arrives whole", 7)
    dump.end()
    with check("with the tag"):
        lines = [line for line in read(got, "-e") if "vlan 7" in line and "65.65.65.65" in line and "> 3.4.5.6" in line]
        same(1, len(lines))
    count.exactly(encapsulated_bytes=80, encapsulated_packets=1)


def active(link):
    """It is the bond's active link."""
    words = director.read("/proc/thread-self/net/bonding/bond0")
    holds("\nCurrently Active Slave: %s\n" % link in words, "%s is the active link: %s" % (link, words))


def test_bond():
    about("On an active-backup bond packets are tunnelled before and after one link is lost.")
    links()
    guest.ip("link add name director2 mtu %d netns fabric type veth peer name eth1 mtu %d netns director" % (MTU, MTU))
    fabric("link set director2 master fabric up")
    director.ip("""
        link add bond0 type bond mode active-backup miimon 50
        link set eth0 down
        link set eth0 master bond0
        link set eth1 master bond0
        link set bond0 mtu %d up
        addr add 65.65.65.65/32 dev bond0
        route add default dev bond0 src 65.65.65.65
    """ % MTU)
    with check("eth0 is the active link"):
        eventually(active, "eth0")
    director.run("glbctl attach bond0")
    count = begin(director)
    x = fresh()
    send(client, director, x)
    with check("a packet is tunnelled"):
        expect(proxy1, to1(x))
    fabric("link set director down")
    with check("eth1 takes over"):
        eventually(active, "eth1")
    x = fresh()
    send(client, director, x)
    with check("a packet is tunnelled"):
        expect(proxy1, to1(x))
    with check("and nothing twice"):
        nothing(proxy1)
    count.exactly(encapsulated_bytes=160, encapsulated_packets=2)
    # The link that is left is taken out of the bond, and the bond goes, with the director attached.
    director.ip("link del bond0")
    with check("the device is gone from the director"):
        same([], director.json("glbctl --json status")["devices"])


class Cards:
    """The guest's two virtio cards, one on a host, the other on the director; both are called v0.

    A namespace that goes takes its devices along unless they are real ones: those come back, with the name that they have."""

    def __init__(self, host, mtu):
        self.hosts = {"02:00:00:01:00:00": host, "02:00:00:01:00:01": director}
        self.mtu = mtu

    def __enter__(self):
        guest.run("modprobe virtio_net")
        for device in guest.json("ip -json link show"):
            if host := self.hosts.get(device["address"]):
                guest.ip("link set %s netns %s name v0" % (device["ifname"], host))
        next(iter(self.hosts.values())).ip("link set v0 mtu %d up" % self.mtu)
        director.ip("link set v0 mtu 9000 up")
        self.features = director.output("ethtool -k v0").splitlines()
        told = ("rx-checksumming", "tx-checksumming", "tcp-seg", "generic-", "large-receive")
        detail("\n".join(line for line in self.features if line.startswith(told)))
        return self

    def __exit__(self, *_):
        for host in self.hosts.values():
            host.ip("link set v0 netns 1 name card-%s" % host)

    def offload(self):
        return any(line.startswith("tx-checksumming: on") for line in self.features)


def test_virtio_in():
    about("Clients' aggregates with unfinished checksums, from a virtio card, are tunnelled whole.")
    links()
    takes_gue(proxy1)
    with Cards(client, 1500) as cards:
        client.ip("addr add 10.3.0.1/24 dev v0\nroute add %s/32 via 10.3.0.2 dev v0 src 10.11.12.13" % VIP4)
        director.ip("addr add 10.3.0.2/24 dev v0")
        director.run("glbctl attach v0")
        count = begin(director)
        transfers = Transfers(client, director, proxy1)
        if cards.offload():
            transfers.whole(VIP4)
        else:
            say("this machine's cards offload nothing: packets are merged by the driver's GRO, or not")
            transfers.upload(VIP4)
            with check("all went to a proxy"):
                at_least(51, count.grew("encapsulated_packets"))
        with check("what is no bind's goes on up the stack"):
            client.quietly("ping -c 1 -W 60 10.3.0.2")
        with check("no packet was dropped"):
            same((0, 0), count.each("dropped_too_big_packets", "dropped_no_memory_packets"))


def test_virtio_out():
    about("Aggregates leave by a virtio card, which segments no tunnels but completes checksums; with an outer checksum too.")
    links()
    takes_gue(proxy1)
    with Cards(proxy1, 9000):
        client.ip("link set eth0 mtu 1500\nroute add %s via 65.65.65.65 dev eth0 onlink" % VIP4)
        director.ip("addr add 10.3.0.2/24 dev v0\nroute add 3.4.5.6/32 dev v0")
        proxy1.ip("addr add 10.3.0.1/24 dev v0\nroute add 10.3.0.2/32 dev v0")
        proxy1.run("sysctl -qw net.ipv4.conf.all.rp_filter=0")
        director.run("glbctl attach eth0")
        # Each packet as it comes, so that GRO of the receiver is no riddle.
        proxy1.run("ethtool -K v0 gro off")
        transfers = Transfers(client, director, proxy1, device="v0")
        transfers.cut(VIP4)
        config(director, "--udp-checksum true")
        transfers.cut(VIP4)


main()
