#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The network around an appliance behind a gateway load balancer: a narrow way back, a routing domain, fragments, congestion
marks, aggregates, a queue that is full.

     gateway                 router                 appliance
    +--------------+        +------------+         +------------------------+
    | clients      |        |            |         | servers 192.0.2.N, on  |
    | gnv0         |        |            |         | lo, or in the domain   |
    | thin --------------------- thin    |         |                        |
    | eth0         |        | eth0       |         | eth0, role geneve      |
    +--||----------+        +--||--------+         +--||--------------------+
    ===||======================||=====================||======
"""

import os
import socket
import struct

from lab.captures import frame_for, send_frame, watch
from lab.geneve import CLIENT4, CLIENT6, FIRST, THREE, Count, appliance, attach, gateway, geneve_device, route, unfiltered
from lab.hosts import Host, guest, make
from lab.packets import ip, udp
from lab.run import main
from lab.settings import work
from lab.sockets import accepted, connect, hears, listener, says, udp_socket
from lab.story import about, check, context, holds, same, say
from lab.transfers import listens
from lab.waiting import eventually

router = Host("router", "10.1.3.30", "fd01::30")
OPTIONS = b"".join(
    struct.pack("!HBB", 0x108, kind, len(data) // 4) + data
    for kind, data in ((1, struct.pack("!Q", FIRST)), (2, bytes(8)), (3, b"\xde\xad\xbe\xef"))
)
# Inside and outside.
WAYS = [("IPv4", 1, False), ("IPv6 over IPv4", 1, True), ("IPv4 over IPv6", 3, False), ("IPv6 over IPv6", 3, True)]


def setup():
    make(gateway, router, appliance)
    geneve_device()
    unfiltered(router)
    route(1, THREE)
    route(3, THREE, dst="dst fd01::20", kind="ip6")
    servers("lo")
    clients()


def servers(device):
    lines = "address add 192.0.2.%d/32 dev %s\naddress add 2001:db8::%d/128 dev %s nodad\n"
    appliance.ip("".join(lines % (number, device, number, device) for number in (1, 3)))


def clients(words=""):
    # Neighbour discovery answers for the addresses of a device only.
    ways = ((CLIENT4, gateway.ipv4), (CLIENT6, gateway.ipv6))
    appliance.ip("\n".join("route replace %s via %s dev eth0 onlink %s" % (*way, words) for way in ways))


def ends(number, v6):
    return ("2001:db8::%d" % number, CLIENT6) if v6 else ("192.0.2.%d" % number, CLIENT4)


def in_geneve(inner, tos=0, outer_v6=False, fragment=None):
    """A packet of the load balancer, by hand."""
    protocol = 0x86DD if inner[0] >> 4 == 6 else 0x0800
    data = struct.pack("!BBHI", len(OPTIONS) // 4, 0, protocol, 0) + OPTIONS + inner
    src, dst = (gateway.ipv6, appliance.ipv6) if outer_v6 else (gateway.ipv4, appliance.ipv4)
    return ip(src, dst, udp(50000, 6081, data, check=False), tos=tos, ident=77, fragment=fragment)


def transfers(what, number, v6, device=None):
    """A connection, by which more comes than fits one packet."""
    server, client = ends(number, v6)
    listening = listener(appliance, server, 443, device=device)
    one = connect(gateway, client, server, 443)
    other = accepted(listening)
    says(one, other, b"GET")
    data = os.urandom(30000)
    other.send(data)
    with check("%s: all of it arrives" % what):
        hears(one, data)
    for made in (one, other, listening):
        made.close()


def mtu_to(address, words=""):
    said = appliance.output("ip route get %s %s" % (address, words))
    return int(said.split(" mtu ")[1].split()[0]) if " mtu " in said else None


def thin():
    """The way back goes through the router, which has a narrow link to the gateway."""
    guest.ip("link add thin mtu 1400 address 02:00:00:00:01:01 netns router type veth peer name thin mtu 1400 "
             "address 02:00:00:00:01:02 netns gateway")
    router.quietly("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 "
                   "net.ipv4.conf.eth0.send_redirects=0")
    gateway.ip("link set thin up")
    gateway.quietly("sysctl -qw net.ipv4.conf.thin.rp_filter=0")
    router.ip("""
        link set thin up
        neigh add 10.1.1.10 lladdr 02:00:00:00:01:02 dev thin nud permanent
        neigh add fd01::10 lladdr 02:00:00:00:01:02 dev thin nud permanent
        route add 10.1.1.10/32 dev thin src 10.1.3.30
        route add fd01::10/128 dev thin src fd01::30
    """)


def by_router(words=""):
    appliance.ip("""
        route replace 10.1.1.10/32 via 10.1.3.30 dev eth0 onlink %s
        route replace fd01::10/128 via fd01::30 dev eth0 onlink %s
    """ % (words, words))


def narrow(device=None, words="", domain=""):
    for what, number, v6 in WAYS:
        with context(what + ": "):
            count = Count()
            transfers("through the narrow link", number, v6, device)
            with check("what did not fit was told"):
                holds(count.grew("left", "dropped_too_big_packets") > 0)
        for address in (gateway.ipv4, gateway.ipv6)[number == 3 :][:1]:
            with check("%s: the path to the load balancer has the narrow link's MTU" % what):
                same(1400, mtu_to(address, domain))
        appliance.quietly("ip route flush cache")
        appliance.quietly("ip -6 route flush cache")


def test_a_narrow_way_back():
    about("A router on the way to the load balancer says that a packet in its header is too big: the flow gets a smaller MTU.")
    thin()
    by_router()
    attach()
    narrow()
    appliance.ip("route del 10.1.1.10/32\nroute del fd01::10/128")
    router.ip("link del thin")


def test_congestion_marks():
    about("A mark that a router puts on the header reaches the packet inside, or the packet is lost where it would mean nothing.")
    attach()
    marks = (  # outside, inside, what arrives; None: lost
        (0, 0, 0), (2, 0, 0), (1, 0, 0), (3, 0, None), (0, 2, 2), (2, 2, 2), (1, 2, 1), (3, 2, 3),
        (0, 1, 1), (2, 1, 1), (1, 1, 1), (3, 1, 3), (0, 3, 3), (2, 3, 3), (1, 3, 3), (3, 3, 3),
    )  # fmt: skip
    for what, number, v6 in WAYS:
        outer_v6 = number == 3
        server, client = ends(number, v6)
        taken = udp_socket(appliance, server, 5353)
        level, option, kind = (
            (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS)
            if v6
            else (socket.IPPROTO_IP, socket.IP_RECVTOS, socket.IP_TOS)
        )
        taken.setsockopt(level, option, 1)
        count, arrived = Count(), []
        watch()
        for outer, inner, becomes in marks:
            packet = ip(client, server, udp(40000, 5353, b"marked"), tos=0xB8 | inner)
            send_frame(gateway, frame_for(gateway, appliance, in_geneve(packet, tos=outer, outer_v6=outer_v6)))
            if becomes is not None:
                _, told, _, _ = taken.recvmsg(100, 100)
                arrived.append(next(data[0] for *of, data in told if of == [level, kind]))
        with check("%s: what arrives is what RFC 6040 says, with its own DSCP" % what):
            same([0xB8 | becomes for _, _, becomes in marks if becomes is not None], arrived)
        with check("%s: the one that would mean nothing is lost" % what):
            same((15, 1), (count.grew("came", "accepted_packets"), count.grew("came", "dropped_ecn_packets")))
        count.is_sum()
        taken.close()


def test_fragments():
    about("Fragments inside belong to the flow of the first; a datagram that is too long leaves in pieces, each in the header.")
    attach()
    for what, number, v6 in WAYS:
        with context(what + ": "):
            server, client = ends(number, v6)
            echo = udp_socket(appliance, server, 5353)
            asker = udp_socket(gateway, client, 41000)
            count, data = Count(), os.urandom(3000)
            whole = udp(41000, 5353, data)
            watch()
            for part in ((0, True, 0, 1600), (1600, False, 1600, 3008)):
                packet = ip(client, server, whole, ident=900 + number, fragment=part)
                send_frame(gateway, frame_for(gateway, appliance, in_geneve(packet, outer_v6=number == 3)))
            with check("the datagram arrives whole"):
                same((data, (client, 41000)), (lambda got: (got[0], got[1][:2]))(echo.recvfrom(4000)))
            with check("both fragments were accepted"):
                same(2, count.grew("came", "accepted_packets"))
            for _ in range(3 if v6 else 1):
                # Of IPv6 the first one is too long for the header, and the program's next ones are cut shorter.
                echo.sendto(data, (client, 41000))
            with check("so does the answer"):
                same(data, asker.recvfrom(4000)[0])
            count.is_sum()
            echo.close()
            asker.close()
    say("fragments of the packet in the header")
    count = Count()
    inner = ip(CLIENT4, "192.0.2.1", udp(41000, 5353, bytes(800)))
    length = len(in_geneve(inner)) - 20
    for part in ((0, True, 0, 400), (400, False, 400, length)):
        send_frame(gateway, frame_for(gateway, appliance, in_geneve(inner, fragment=part)))
    with check("they are left to the stack: no load balancer sends any"):
        eventually(lambda: holds(count.grew("came", "passed_not_geneve_packets") >= 2))
        same(0, count.grew("came", "accepted_packets"))


def waits_to_merge(nanoseconds):
    """How long GRO waits for the next packet: a processor of the lab handles one packet before it sends the next."""
    line = "echo %d >/sys/class/net/eth0/gro_flush_timeout" % nanoseconds
    guest.quietly("ip netns exec", appliance, "sh", "-c", line)


def test_aggregates():
    about("What GRO has merged, header and all, is taken out as a whole, and what goes back is segmented behind its header.")
    attach()
    data = work("data")
    with open(data, "wb") as file:
        file.write(os.urandom(500000))
    # A device of its own makes GRO look into Geneve; the sender's segments come one by one.
    appliance.ip("link add gro0 type geneve external\nlink set gro0 up")
    appliance.quietly("ethtool -K eth0 gro on")
    # A port that segments by itself needs no GRO behind it, says veth.
    guest.quietly("ip netns exec fabric ethtool -K appliance tso off")
    waits_to_merge(50000000)
    gateway.quietly("ethtool -K gnv0 tso off gso off")
    gateway.quietly("ethtool -K eth0 tso off gso off tx-udp_tnl-segmentation off")
    for number, server, client in ((1, "192.0.2.1", CLIENT4), (3, "[2001:db8::3]", CLIENT6)):
        kind = "TCP6" if ":" in server else "TCP4"
        bind = "[%s]" % client if ":" in client else client
        with context("%s: " % kind):
            count, arrived = Count(), work("arrived")
            listens_at = "%s-LISTEN:8080,reuseaddr,bind=%s" % (kind, server)
            program = appliance.spawn("socat", "-u", listens_at, "CREATE:" + arrived, told=False)
            eventually(listens, appliance, 8080)
            status = gateway.status("socat", "-u", "OPEN:" + data, "%s:%s:8080,bind=%s" % (kind, server, bind))
            with check("what arrived is what was sent"):
                program.succeeds()
                same(0, status)
                guest.quietly("cmp", data, arrived)
            with check("fewer packets came than were sent"):
                say("%d" % count.grew("came", "accepted_packets"))
                holds(count.grew("came", "accepted_packets") < 500000 // 1900)
            count.is_sum()
            os.remove(arrived)
    appliance.ip("link del gro0")
    waits_to_merge(0)
    guest.quietly("ip netns exec fabric ethtool -K appliance tso on")
    appliance.quietly("ethtool -K eth0 gro off")
    for device in ("gnv0", "eth0"):
        gateway.quietly("ethtool -K %s tso on gso on" % device)


def test_a_full_queue():
    about("Who sends a packet that is lost behind the header hears of it, as without the role.")
    attach()
    echo = udp_socket(appliance, "192.0.2.1", 5353)
    echo.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    asker = udp_socket(gateway, CLIENT4, 40000)
    asker.sendto(b"question", ("192.0.2.1", 5353))
    peer = echo.recvfrom(100)[1]
    count = Count()
    appliance.quietly("tc qdisc add dev eth0 root pfifo limit 0")
    errors = []
    try:
        for _ in range(3):
            try:
                echo.sendto(b"lost", peer)
            except OSError as error:
                errors.append(error.errno)
    finally:
        appliance.quietly("tc qdisc del dev eth0 root")
    with check("the program is told: no buffer space"):
        same([105] * 3, errors)
    with check("they are counted"):
        same((3, 0), (count.grew("left", "dropped_no_route_packets"), count.grew("left", "returned_packets")))
    echo.sendto(b"answer", peer)
    with check("the next one arrives"):
        same(b"answer", asker.recv(100))
    count.is_sum()


def test_changes():
    about("Routes and addresses are remembered; a change of either counts for the next packet.")
    attach()
    for what, number, v6 in WAYS:
        server, client = ends(number, v6)
        echo, asker = udp_socket(appliance, server, 5353), udp_socket(gateway, client, 40000)

        def asks(echo=echo, asker=asker, server=server):
            asker.sendto(b"question", (server, 5353))
            return echo.recvfrom(100)[1]

        def hears_answer(peer, echo=echo, asker=asker):
            echo.sendto(b"answer", peer)
            same(b"answer", asker.recv(100))

        with context(what + ": "):
            for _ in range(2):
                peer = asks()
                with check("an answer arrives"):
                    hears_answer(peer)
            count = Count()
            nowhere = "blackhole " + (gateway.ipv6 if number == 3 else gateway.ipv4)
            appliance.ip("route add " + nowhere)
            echo.sendto(b"lost", peer)
            with check("without a route to the load balancer it is lost"):
                same((1, 0), (count.grew("left", "dropped_no_route_packets"), count.grew("left", "returned_packets")))
            appliance.ip("route del " + nowhere)
            with check("with the route again it arrives"):
                hears_answer(peer)
            address = "%s/%d dev lo" % (server, 128 if v6 else 32)
            appliance.ip("address del " + address)
            asker.sendto(b"question", (server, 5353))
            with check("a question to an address that is no more here is dropped"):
                eventually(lambda count=count: same(1, count.grew("came", "dropped_no_socket_packets")))
            appliance.ip("address add %s%s" % (address, " nodad" if v6 else ""))
            # The kernel's work queue makes the local route of an IPv6 address (addrconf_dad_work), after `ip` has ended.
            local = "ip %s route show table local %s" % ("-6" if v6 else "-4", server)
            eventually(lambda local=local: holds(appliance.output(local), "the address has its route"))
            with check("with the address again it is taken"):
                hears_answer(asks())
            count.is_sum()
        echo.close()
        asker.close()
    say("the address that the load balancer knows")
    echo, asker = udp_socket(appliance, "192.0.2.1", 5353), udp_socket(gateway, CLIENT4, 40000)
    count, own = Count(), "local %s dev eth0 table local proto kernel scope host" % appliance.ipv4
    appliance.ip("route del " + own)
    asker.sendto(b"question", ("192.0.2.1", 5353))
    with check("where it is not here, the header stays on"):
        eventually(lambda: holds(count.grew("came", "passed_not_geneve_packets") >= 1))
        same(0, count.grew("came", "accepted_packets"))
    appliance.ip("route add %s src %s" % (own, appliance.ipv4))
    asker.sendto(b"again", ("192.0.2.1", 5353))
    with check("where it is here again, it comes off"):
        same(b"again", echo.recv(100))
    echo.close()
    asker.close()


def test_what_is_no_packet_of_a_flow():
    about("Frames with a VLAN tag and frames that are not IP leave as they are, and are counted.")
    attach("--strict")
    appliance.ip("link add link eth0 name eth0.5 type vlan id 5\nlink set eth0.5 up\naddress add 10.5.0.1/24 dev eth0.5\n"
                 "neigh add 10.5.0.2 lladdr 02:00:00:00:00:05 dev eth0.5")
    count = Count()
    tagged = udp_socket(appliance, "10.5.0.1", 7000)
    tagged.sendto(b"tagged", ("10.5.0.2", 7000))
    with check("the one with a tag is counted"):
        eventually(lambda: holds(count.grew("left", "passed_other_packets") >= 1))
    count.is_sum()
    appliance.ip("link del eth0.5")


def test_routing_domain():
    about("A device in a routing domain (VRF): sockets of the domain, its addresses and routes; in, back, and a narrow way back.")
    thin()
    appliance.ip("link add red type vrf table 10\nlink set red up\nlink set eth0 master red")
    appliance.ip("address flush dev lo scope global")
    appliance.ip("address replace fd01::20/128 dev eth0 nodad")
    servers("red")
    appliance.ip("address add 192.0.2.9/32 dev lo")
    for address in (appliance.ipv4, appliance.ipv6):
        appliance.ip("route replace default dev eth0 src %s table 10" % address)
    clients("table 10")
    attach()
    for what, number, v6 in WAYS:
        with context(what + ": "):
            count = Count()
            transfers("in the domain", number, v6, device="red")
            with check("in and back in the header"):
                holds(count.grew("came", "accepted_packets") > 2 and count.grew("left", "returned_packets") > 2)
    say("what is not the domain's")
    count = Count()
    outside = udp_socket(appliance, "192.0.2.9", 5353)
    watch()
    for number, port in ((9, 5353), (1, 5354)):
        packet = ip(CLIENT4, "192.0.2.%d" % number, udp(40000, port, b"whose"))
        send_frame(gateway, frame_for(gateway, appliance, in_geneve(packet)))
    with check("a socket outside the domain gets nothing, and neither does an address without a socket"):
        eventually(lambda: same(2, count.grew("came", "dropped_no_socket_packets")))
    outside.close()
    by_router("table 10")
    narrow(device="red", domain="vrf red")
    count.is_sum()
    say("the domain goes while packets come")
    gateway.spawn("ping -q -f -I", CLIENT4, "192.0.2.1")
    eventually(lambda: holds(count.grew("left", "returned_packets") > 100))
    appliance.ip("link set eth0 nomaster\nlink set eth0 master red\nlink set eth0 nomaster\nlink del red")
    with check("the role stays"):
        same(["geneve"], appliance.json("glbctl --json status")["roles"])
    guest.run("ip netns del appliance")
    guest.run("modprobe -r rust_glb_director")
    guest.run("modprobe rust_glb_director")


main("rust_glb_director")
