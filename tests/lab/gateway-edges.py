#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""An appliance behind a gateway load balancer where something goes wrong: hooks that cannot be registered, half of an aggregate
lost, ICMP errors of its own and forged ones, a path that is narrower than IPv6 allows, Geneve in Geneve, Geneve for others,
fragments in another order, datagrams that a device merges.

     gateway                         appliance
    +--------------------+          +------------------------+
    | clients            |          | servers 192.0.2.N, on  |
    | gnv0               |          | lo, or in the domain   |
    | eth0               |          | eth0, role geneve      |
    +--||----------------+          +--||--------------------+
    ===||==============================||=====
"""

import os
import socket
import struct

from lab.captures import forget, frame_for, frames, nothing, plain_capture, recv, send_frame, settle, watch
from lab.geneve import (
    CLIENT4, CLIENT6, FIRST, THREE, Count, appliance, attach, gateway, geneve_device, is_geneve, parts, route, stats, unfiltered,
)  # fmt: skip
from lab.hosts import guest, make
from lab.packets import icmp, ip, udp
from lab.run import main
from lab.settings import work
from lab.sockets import accepted, connect, hears, listener, says, udp_socket
from lab.story import about, check, context, holds, same, say

OPTIONS = b"".join(
    struct.pack("!HBB", 0x108, kind, len(data) // 4) + data
    for kind, data in ((1, struct.pack("!Q", FIRST)), (2, bytes(8)), (3, b"\xde\xad\xbe\xef"))
)
ROUTER = "10.1.3.30"
# What the kernel counts at the same places, before the role does.
JUDGE = """
table netdev judge {
  counter came {}
  counter left {}
  chain came { type filter hook ingress device eth0 priority -10; meta protocol { ip, ip6 } counter name came; }
  chain left { type filter hook egress device eth0 priority -10; counter name left; }
}
"""


def setup():
    make(gateway, appliance)
    geneve_device()
    unfiltered()
    route(1, THREE)
    route(3, THREE, dst="dst fd01::20", kind="ip6")
    lines = "address add 192.0.2.%d/32 dev lo\naddress add 2001:db8::%d/128 dev lo nodad\n"
    appliance.ip("".join(lines % (number, number) for number in (1, 3)))
    # Neighbour discovery answers for the addresses of a device only.
    ways = ((CLIENT4, gateway.ipv4), (CLIENT6, gateway.ipv6))
    appliance.ip("\n".join("route replace %s via %s dev eth0 onlink" % way for way in ways))


def header(inner):
    return struct.pack("!BBHI", len(OPTIONS) // 4, 0, 0x86DD if inner[0] >> 4 == 6 else 0x0800, 0) + OPTIONS + inner


def sends(*inner):
    """Packets of the load balancer, by hand."""
    for packet in inner:
        outer = ip(gateway.ipv4, appliance.ipv4, udp(50000, 6081, header(packet), check=False), ident=77)
        send_frame(gateway, frame_for(gateway, appliance, outer))


def test_what_is_counted():
    about("Each packet that comes or leaves is counted once: as many as the kernel itself counts at the device.")
    attach()
    appliance.run("nft", JUDGE)

    def both():
        """The kernel's counters, and those of the role at a moment at which these stood still."""
        while True:
            first, ours = judge(), {kind: stats()[kind]["total_packets"] for kind in ("came", "left")}
            if first == judge():
                return first, ours

    def judge():
        said = appliance.json("nft -j list counters table netdev judge")["nftables"]
        return {each["counter"]["name"]: each["counter"]["packets"] for each in said if "counter" in each}

    kernel, ours = both()
    watch()
    for _ in range(5):
        sends(ip(CLIENT4, "192.0.2.1", icmp(8, 0, b"\0\1\0\1")), ip(CLIENT4, "192.0.2.8", udp(40000, 5354, b"nobody")))
    gateway.status("ping -q -c 5 -i 0.2 -W 20 -I", CLIENT4, "192.0.2.1")
    gateway.status("ping -q -c 2 -i 0.2 -W 20", appliance.ipv6)
    settle(appliance)
    then, now = both()
    for kind in ("came", "left"):
        grew = then[kind] - kernel[kind]
        say("%s: %d packets" % (kind, grew))
        with check("%s: the role has counted what the kernel has" % kind):
            holds(grew >= 12)
            same(grew, now[kind] - ours[kind])
    appliance.run("nft delete table netdev judge")


def test_frames_that_leave_as_they_are():
    about("Frames with a VLAN tag and frames that are not IP leave as they are, with --strict too, and are counted.")
    attach("--strict")
    appliance.ip("link add link eth0 name eth0.5 type vlan id 5\nlink set eth0.5 up\naddress add 10.5.0.1/24 dev eth0.5\n"
                 "neigh add 10.5.0.2 lladdr %s dev eth0.5" % gateway.mac)
    tagged = udp_socket(appliance, "10.5.0.1", 7000)
    watch()
    capture, count = plain_capture(gateway), Count()
    plain = [gateway.hardware + appliance.hardware + b"\x88\xb6not IP %02d" % number + bytes(50) for number in range(10)]
    for number, frame in enumerate(plain):
        send_frame(appliance, frame)
        tagged.sendto(b"tagged %02d" % number, ("10.5.0.2", 7000))
    settle(gateway)
    arrived = frames(capture)
    with check("those that are not IP arrive"):
        same(10, len([frame for frame in plain if frame in arrived]))
    with check("those with a tag arrive"):
        same(10, len([number for number in range(10) if any(b"tagged %02d" % number in frame for frame in arrived)]))
    with check("they are counted"):
        holds(count.grew("left", "passed_other_packets") >= 20)
        same(0, count.grew("left", "dropped_no_flow_packets"))
    appliance.ip("link del eth0.5")


def test_a_hook_that_cannot_be_registered():
    about("The device has as many egress hooks as there may be: the role is refused, whose other hook packets are in meanwhile.")
    if "eth0" in appliance.json("glbctl --json status")["devices"]:
        appliance.run("glbctl detach eth0")
    chains = work("chains")
    with open(chains, "w") as file:
        file.write("add table netdev full\n")
        chain = "add chain netdev full c%d { type filter hook egress device eth0 priority %d; }\n"
        file.write("".join(chain % (number, number + 1) for number in range(1024)))
    appliance.quietly("nft -f", chains)
    floods = [gateway.spawn("ping -q -f -I", CLIENT4, "192.0.2.1", told=False) for _ in range(2)]
    for _ in range(20):
        status, said = appliance.said("glbctl attach eth0 --role geneve")
        if status == 0 or "hooks" not in said:
            break
    with check("an error says why"):
        holds(status != 0 and "hooks" in said)
    with check("nothing is attached"):
        same([], appliance.json("glbctl --json status")["devices"])
    for flood in floods:
        flood.kill()
    appliance.run("nft delete table netdev full")
    attach()
    with check("with one hook less it is"):
        same(0, gateway.status("ping -q -c 1 -W 20 -I", CLIENT4, "192.0.2.1"))


def test_half_of_an_aggregate():
    about("A queue takes the first packets of an aggregate and no more: its sender is told of no loss, and sends nothing again.")
    attach()
    echo = udp_socket(appliance, "192.0.2.1", 5353)
    asker = udp_socket(gateway, CLIENT4, 40000)
    asker.sendto(b"question", ("192.0.2.1", 5353))
    peer = echo.recvfrom(100)[1]
    echo.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    echo.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
    echo.setsockopt(socket.IPPROTO_UDP, 103, 1472)  # UDP_SEGMENT: as long as the device's MTU, so too long for the header
    appliance.ip("link set eth0 mtu 1500")
    count = Count()
    # Each packet leaves in two pieces. Those of the first one may go at once; of the second, one waits for a minute.
    appliance.run("tc qdisc add dev eth0 root tbf rate 200bit burst 1900 limit 1600")
    try:
        error = None
        try:
            echo.sendto(os.urandom(8 * 1472), peer)
        except OSError as raised:
            error = raised.errno
        with check("the program is not told of a loss"):
            same(None, error)
        with check("the first packet arrives"):
            same(1472, len(asker.recv(4000)))
        with check("the aggregate is counted as one that was lost"):
            same((1, 0), (count.grew("left", "dropped_no_route_packets"), count.grew("left", "returned_packets")))
    finally:
        appliance.run("tc qdisc del dev eth0 root")
        appliance.ip("link set eth0 mtu 2000")
    echo.setsockopt(socket.IPPROTO_UDP, 103, 0)
    count.is_sum()


def test_its_own_icmp_errors():
    about("Who sends an appliance that forwards a packet that is too big for the header hears of it, in the header of the flow.")
    attach("--pass --strict")
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    appliance.quietly("sysctl -qw net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.all.send_redirects=0")
    appliance.ip("""
        route add 192.0.2.9 via %s dev eth0 onlink
        route add 2001:db8::9 via %s dev eth0 onlink
        route add 10.1.1.10/32 dev eth0 mtu 1400
    """ % (gateway.ipv4, gateway.ipv6))
    for what, client, server, kind in (
        ("IPv4", CLIENT4, "192.0.2.9", (3, 4)),
        ("IPv6", CLIENT6, "2001:db8::9", (2, 0)),
    ):
        with context(what + ": "):
            packet = ip(client, server, udp(40000, 5353, bytes(1360)), ident=5)
            count = Count()
            sends(packet)
            came = parts(recv(appliance, is_geneve))
            back = parts(recv(gateway, is_geneve))
            inner = back[3]
            at = 20 if what == "IPv4" else 40
            with check("the sender hears what fits"):
                same(kind, tuple(inner[at : at + 2]))
                same(1400 - 68, struct.unpack_from("!I", inner, at + 4)[0])
                same(*((packet[8:24], inner[24:40]) if at == 40 else (packet[12:16], inner[16:20])))
            with check("in the header of the flow"):
                same(came[0][::-1], back[0])
                same(came[1].hex(), back[1].hex())
                # The protocol is that of the error, which is of the same family.
                same(came[2].hex(), back[2].hex())
            with check("one was too big, and one left in the header"):
                same((1, 1), (count.grew("left", "dropped_too_big_packets"), count.grew("left", "returned_packets")))
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
    appliance.ip("route del 192.0.2.9\nroute del 2001:db8::9\nroute del 10.1.1.10/32\nroute flush cache")
    appliance.quietly("ip -6 route flush cache")


def forwards(on):
    """Whether the appliance routes: to servers behind the load balancer."""
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=%d net.ipv6.conf.all.forwarding=%d" % (on, on))
    appliance.quietly("sysctl -qw net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.all.send_redirects=0")
    for address, via in (("192.0.2.9", gateway.ipv4), ("2001:db8::9", gateway.ipv6), ("10.1.9.9", gateway.ipv4)):
        appliance.ip("route %s %s via %s dev eth0 onlink" % ("replace" if on else "del", address, via))


def test_geneve_in_geneve():
    about("A client's own Geneve packet comes back in the header of its flow, and not as if the appliance had sent it.")
    attach("--pass --strict")
    forwards(True)
    for what, client, server, own in (
        ("IPv4", CLIENT4, "192.0.2.9", appliance.ipv4),
        ("IPv6", CLIENT6, "2001:db8::9", appliance.ipv6),
    ):
        with context(what + ": "):
            inside = header(ip(client, server, udp(40000, 53, b"inside")))
            count = Count()
            watch()
            forget()
            sends(ip(client, server, udp(50001, 6081, inside), ident=9))
            came, back = parts(recv(appliance, is_geneve)), parts(recv(gateway, is_geneve))
            with check("it is in the header that it came with"):
                same((came[0][::-1], came[1], came[2]), (back[0], back[1], back[2]))
                same(inside.hex(), back[3][-len(inside) :].hex())
                same(1, count.grew("left", "returned_packets"))
            sends(ip(own, server, udp(50001, 6081, inside), ident=9))
            settle(appliance)
            with check("one that says that it is from the appliance is dropped"):
                same(1, count.grew("came", "dropped_inner_packets"))
                nothing(gateway, is_geneve)
            count.is_sum()
    forwards(False)


def test_geneve_for_others():
    about("Geneve of another kind, from one machine to another, is routed through the appliance: it is theirs.")
    attach("--pass")
    forwards(True)
    data = struct.pack("!BBHI", 0, 0, 0x6558, 0x12300) + bytes(60)
    count = Count()
    watch()
    for to in ("10.1.9.9", appliance.ipv4):
        send_frame(gateway, frame_for(gateway, appliance, ip(gateway.ipv4, to, udp(50000, 6081, data), ident=7)))
    with check("it goes on to the other machine as it is"):
        same(data.hex(), recv(gateway, is_geneve)[28:].hex())
    settle(appliance)
    with check("the same one to the appliance is dropped"):
        same(1, count.grew("came", "dropped_protocol_packets"))
        holds(count.grew("came", "passed_not_geneve_packets") >= 1)
        nothing(gateway, is_geneve)
    count.is_sum()
    forwards(False)


def test_fragments_in_another_order():
    about("A later fragment comes before the first one, which has the ports: the datagram is put together nevertheless.")
    attach()
    for what, client, server, nobody in (
        ("IPv4", CLIENT4, "192.0.2.1", "192.0.2.8"),
        ("IPv6", CLIENT6, "2001:db8::1", "2001:db8::8"),
    ):
        with context(what + ": "):
            echo, count, data = udp_socket(appliance, server, 5353), Count(), os.urandom(3000)
            whole = udp(41000, 5353, data)
            first, later = (0, True, 0, 1600), (1600, False, 1600, 3008)
            sends(*(ip(client, server, whole, ident=901, fragment=part) for part in (later, first)))
            with check("it arrives"):
                same(data, echo.recv(4000))
                same((2, 0), (count.grew("came", "accepted_packets"), count.grew("came", "dropped_no_socket_packets")))
            sends(ip(client, nobody, whole, ident=902, fragment=later))
            sends(*(ip(client, server, udp(41000, 5354, data), ident=903, fragment=part) for part in (first, later)))
            settle(appliance)
            with check("those to another address, and those to a port without a socket, do not"):
                same(3, count.grew("came", "dropped_no_socket_packets"))
            count.is_sum()
            echo.close()


def test_merging_of_datagrams():
    about("A device that merges UDP datagrams for whoever forwards does so no more when it gets the role.")
    merging = ("rx-udp-gro-forwarding", "rx-gro-list")
    for name in merging:
        appliance.quietly("ethtool -K eth0", name, "on")
    attach()
    with check("it is switched off"):
        said = appliance.output("ethtool -k eth0").splitlines()
        same(["%s: off" % name for name in sorted(merging)], sorted(line for line in said if line.split(":")[0] in merging))
    echo, count = udp_socket(appliance, "192.0.2.1", 5353), Count()
    sends(*(ip(CLIENT4, "192.0.2.1", udp(40000, 5353, b"one by one"), ident=n) for n in range(4)))
    settle(appliance)
    with check("packets are taken"):
        same((4, 0), (count.grew("came", "accepted_packets"), count.grew("came", "dropped_aggregate_packets")))
    echo.close()


def is_cut(packet):
    """Whether it is a fragment."""
    return packet[6] == 44 if packet[0] >> 4 == 6 else packet[6] & 0x3F | packet[7] != 0


def test_a_path_narrower_than_ipv6():
    about("A path to the load balancer has less room than IPv6 must have (1280): such packets leave in a header that is cut.")
    attach("--strict")
    appliance.ip("route add 10.1.1.10/32 dev eth0 mtu 800\nroute add fd01::10/128 dev eth0 mtu 1290")
    for what, number in (("over IPv4", 1), ("over IPv6", 3)):
        with context("IPv6 %s: " % what):
            count = Count()
            watch()
            server = "2001:db8::%d" % number
            listening = listener(appliance, server, 443)
            one = connect(gateway, CLIENT6, server, 443)
            other = accepted(listening)
            says(one, other, b"GET")
            data = os.urandom(20000)
            other.send(data)
            with check("all of it arrives"):
                hears(one, data)
            with check("in fragments"):
                recv(gateway, is_cut)
            with check("which are counted as what is in a header already"):
                holds(count.grew("left", "passed_geneve_packets") > count.grew("left", "returned_packets"))
                same(0, count.grew("left", "dropped_no_flow_packets"))
            count.is_sum()
            for made in (one, other, listening):
                made.close()
        appliance.quietly("ip -6 route flush cache")
    appliance.ip("route del 10.1.1.10/32\nroute del fd01::10/128")


def test_caches_that_go():
    about("A flow cache is free before the next one is made: to attach a device again needs no room for two.")
    if "eth0" in appliance.json("glbctl --json status")["devices"]:
        appliance.run("glbctl detach eth0")

    def used():
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmallocUsed"))

    before, most, size = used(), 0, 300000 * 1548 // 10000  # kB: 154.8 bytes a flow
    for _ in range(4):
        appliance.run("glbctl attach eth0 --role geneve --max-flows 300000")
        most = max(most, used() - before)
        appliance.run("glbctl detach eth0")
    say("a cache has about %d kB; %d kB were in use at most" % (size, most))
    with check("there is never more than one"):
        holds(size * 9 // 10 < most < size * 3 // 2)


def told(to=appliance.ipv4, about=(appliance.ipv4, gateway.ipv4), ports=(50000, 6081), client=40000, length=96):
    """A router says that 1000 bytes of a packet in its header would have passed. `length`: so much of it is given back."""
    inner = ip("192.0.2.1", CLIENT4, udp(5353, client, bytes(1300)))
    packet = ip(*about, udp(*ports, header(inner), check=False))
    return ip(ROUTER, to, icmp(3, 4, struct.pack("!HH", 0, 1000), packet[:length]))


def spoilt(packet):
    return packet[:22] + bytes([packet[22] ^ 1]) + packet[23:]


def test_forged_icmp_errors():
    about("In a routing domain, an ICMP error is believed only from who has seen a packet in the header of its flow.")
    appliance.ip("""
        link add red type vrf table 10
        link set red up
        link set eth0 master red
        address flush dev lo scope global
        address add 192.0.2.1/32 dev red
        route replace default dev eth0 src 10.1.2.20 table 10
        route replace %s via %s dev eth0 onlink table 10
    """ % (CLIENT4, gateway.ipv4))
    attach("--pass --allow-from 10.1.1.0/24")

    def narrowed():
        """The load balancer and others to which the path has a smaller MTU."""
        found = []
        for address in (gateway.ipv4, "10.9.9.9"):
            if " mtu " in appliance.output("ip route get", address, "vrf", "red"):
                found.append(address)
        return found

    def tell(error):
        send_frame(gateway, frame_for(gateway, appliance, error))
        settle(appliance)

    watch()
    sends(ip(CLIENT4, "192.0.2.1", udp(40000, 5353, b"known")))
    settle(appliance)
    for what, error in (
        ("its sum is wrong", spoilt(told())),
        ("it is sent to another machine", told(to="10.1.9.9")),
        ("the packet is another machine's", told(about=("10.1.9.9", gateway.ipv4))),
        ("the packet went to no load balancer", told(about=(appliance.ipv4, "10.9.9.9"))),
        ("the packet has another source port", told(ports=(50001, 6081))),
        ("the packet is of no flow", told(client=40001)),
        ("too little of the packet is given back", told(length=28)),
    ):
        tell(error)
        with check("not believed: " + what):
            same([], narrowed())
    appliance.quietly("sysctl -qw net.ipv4.ip_no_pmtu_disc=1")
    tell(told())
    with check("not believed: who switched it off (ip_no_pmtu_disc) means it"):
        same([], narrowed())
    appliance.quietly("sysctl -qw net.ipv4.ip_no_pmtu_disc=0")
    tell(told())
    with check("believed otherwise"):
        same([gateway.ipv4], narrowed())
    guest.run("ip netns del appliance")


main("rust_glb_director")
