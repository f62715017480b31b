#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The flow cache of an appliance behind a gateway load balancer: full, forgotten, and one for each network namespace.

     gateway                     appliance               neighbour
    +-----------------+         +------------------+    +--------------------+
    | clients         |         | 192.0.2.1, on lo |    | 192.0.2.2, on lo   |
    | gnv0            |         | eth0, role       |    | eth0, role geneve, |
    | eth0            |         | geneve           |    | another class      |
    +--||-------------+         +--||--------------+    +--||----------------+
    ===||==========================||======================||=====
"""

import os
import struct

from lab import captures
from lab.captures import frame_for, recv, send_frame, settle, watch
from lab.geneve import (
    CLIENT4, FIRST, THREE, Count, appliance, attach, comes, gateway, geneve_device, is_geneve, parts, route, stats, three,
    unfiltered, wrapped,
)  # fmt: skip
from lab.hosts import Host, make
from lab.packets import ip, udp
from lab.run import main
from lab.settings import SLOWER
from lab.sockets import accepted, connect, listener, says, udp_socket
from lab.story import about, check, holds, same, say
from lab.traffic import pump
from lab.waiting import eventually

# A slower kernel gets fewer: it looks at each packet longer.
FLOWS = int(os.environ.get("FLOWS", 10000 // SLOWER))
neighbour = Host("neighbour", "10.1.2.21")


def setup():
    make(gateway, appliance, neighbour)
    geneve_device()
    unfiltered(neighbour)
    route(1, THREE)
    for host, server in ((appliance, "192.0.2.1"), (neighbour, "192.0.2.2")):
        host.ip("address add %s/32 dev lo\nroute replace %s via %s dev eth0 onlink" % (server, CLIENT4, gateway.ipv4))
    appliance.ip("route replace 192.0.2.9 via %s dev eth0 onlink" % gateway.ipv4)
    appliance.quietly("sysctl -qw net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.all.send_redirects=0")


def flood(server, port, times):
    """Packets of false clients, each so many times: nobody answers them."""
    say("gateway sends packets of %d clients to %s port %d, %d times each" % (FLOWS, server, port, times))
    watch()
    taken = captures.capture_of(gateway).socket
    for number in range(FLOWS):
        client = "203.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)
        frame = frame_for(gateway, appliance, wrapped(ip(client, server, udp(1000, port, b"flood"))))
        for _ in range(times):
            taken.send(frame)
        if number % 50 == 0:
            pump()
    settle(appliance)


def flows(name):
    return stats()["flows"][name]


def test_a_full_cache_of_an_appliance_that_answers():
    about("Thousands of false senders fill a cache of 64 flows: they give way to each other, and a living connection goes on.")
    attach("--strict --max-flows 64")
    udp_socket(appliance, "192.0.2.1", 5353)
    listening = listener(appliance, "192.0.2.1", 443)
    one = connect(gateway, CLIENT4, "192.0.2.1", 443)
    other = accepted(listening)
    says(one, other, b"before")
    says(other, one, b"before")
    says(one, other, b"and after")
    count = Count()
    flood("192.0.2.1", 5353, 1)
    with check("they were let in, each in the place of another"):
        holds(flows("replaced_flow_packets") > FLOWS * 9 // 10)
        same((0, 0), (flows("refused_flow_packets"), count.grew("came", "dropped_no_room_packets")))
    with check("the connection goes on, both ways"):
        says(other, one, b"to the client")
        says(one, other, b"to the server")
        same(0, count.grew("left", "dropped_no_flow_packets"))
    with check("a new one can begin"):
        again = connect(gateway, CLIENT4, "192.0.2.1", 443)
        says(again, accepted(listening), b"new")
    count.is_sum()


def test_a_full_cache_of_an_appliance_that_forwards():
    about("False senders whom nobody answers send again and again through an appliance that forwards: their flows give way.")
    attach("--pass --strict --max-flows 64")
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=1")
    living = ip(CLIENT4, "192.0.2.9", udp(40000, 5353, b"there"))
    answer = ip("192.0.2.9", CLIENT4, udp(5353, 40000, b"and back"))
    comes(living, answer, living, answer)
    settle(appliance)
    count = Count()
    flood("192.0.2.9", 5354, 2)
    with check("they give way to each other"):
        holds(flows("replaced_flow_packets") > FLOWS * 9 // 10)
        same(0, flows("refused_flow_packets"))
    for packet in (living, answer):
        known = flows("known_flow_packets")
        comes(packet)
        settle(appliance)
        with check("a flow that lives is known"):
            same(1, flows("known_flow_packets") - known)
    with check("all that came went back"):
        same((2 * FLOWS + 2, 0), (count.grew("left", "returned_packets"), count.grew("left", "dropped_no_flow_packets")))
    say("flows that are answered, more than there is room for")
    attach("--pass --strict --max-flows 64")
    count = Count()
    for port in range(20000, 20200):
        there, back = ip(CLIENT4, "192.0.2.9", udp(port, 5353, b"x")), ip("192.0.2.9", CLIENT4, udp(5353, port, b"y"))
        comes(there, back, there, back)
    settle(appliance)
    with check("what finds no room is refused, counted and not let in"):
        refused = flows("refused_flow_packets")
        holds(refused > 0)
        same(refused, count.grew("came", "dropped_no_room_packets"))
    with check("all that was let in went back"):
        came = count.grew("came", "accepted_packets")
        same((4 * 200 - refused, came), (came, count.grew("left", "returned_packets")))
    count.is_sum()
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=0")


def test_options_that_are_not_kept():
    about("A header with more options than an entry keeps: its packet is not let in: its answer would have no way back.")
    attach()
    udp_socket(appliance, "192.0.2.1", 5353)
    count = Count()
    fits = three() + struct.pack("!HBB", 0xFFFF, 1, 11) + bytes(44)
    packet = ip(CLIENT4, "192.0.2.1", udp(40000, 5353, b"long"))
    comes(packet, options=fits)
    comes(packet, options=fits + struct.pack("!HBB", 0xFFFF, 2, 0))
    settle(appliance)
    with check("80 bytes are kept, 84 are not"):
        same((1, 1), (count.grew("came", "accepted_packets"), count.grew("came", "dropped_no_room_packets")))
        same(1, flows("too_long_flow_packets"))
    count.is_sum()


def test_a_flow_that_is_forgotten():
    about("A flow without a packet is forgotten after --idle: what answers it then leaves as it is, or is dropped with --strict.")
    for words, name in (("", "passed_no_flow_packets"), ("--strict", "dropped_no_flow_packets")):
        attach("--idle 2 --tcp-idle 2 " + words)
        echo = udp_socket(appliance, "192.0.2.1", 5353)
        watch()
        comes(ip(CLIENT4, "192.0.2.1", udp(40000, 5353, b"soon")))
        peer = echo.recvfrom(100)[1]
        echo.sendto(b"at once", peer)
        with check("it is known at first"):
            same(b"at once", parts(recv(gateway, is_geneve))[3][-7:])
        with check("it is forgotten"):
            eventually(lambda: same([], appliance.json("glbctl --json geneve flows")))
        count = Count()
        echo.sendto(b"too late", peer)
        with check("the answer is %s" % name):
            eventually(lambda: holds(count.grew("left", name) >= 1))
            same(0, count.grew("left", "returned_packets"))
        echo.close()


def test_two_namespaces():
    about("Two network namespaces have the role, each with its own class, counters and flows.")
    attach()
    neighbour.run("glbctl attach eth0 --role geneve --class 0x0167")

    def came(host):
        return host.json("glbctl --json geneve stats")["came"]

    sockets = [udp_socket(host, address, 5353) for host, address in ((appliance, "192.0.2.1"), (neighbour, "192.0.2.2"))]
    before = [came(host) for host in (appliance, neighbour)]
    watch()
    other = three(0x0167, FIRST + 1)
    for host, server, options in (
        (appliance, "192.0.2.1", three()), (appliance, "192.0.2.1", other),
        (neighbour, "192.0.2.2", other), (neighbour, "192.0.2.2", other), (neighbour, "192.0.2.2", three()),
    ):  # fmt: skip
        packet = wrapped(ip(CLIENT4, server, udp(40000, 5353, b"mine")), options=options, to=host.ipv4)
        send_frame(gateway, frame_for(gateway, host, packet))
    for host in (appliance, neighbour):
        settle(host)
    with check("each takes what has its class"):
        for number, (host, accepted_there) in enumerate(((appliance, 1), (neighbour, 2))):
            now = came(host)
            grew = {name: now[name] - before[number][name] for name in ("accepted_packets", "dropped_missing_option_packets")}
            same({"accepted_packets": accepted_there, "dropped_missing_option_packets": 1}, grew)
    with check("each has its flow, of its endpoint"):
        for host, endpoint in ((appliance, FIRST), (neighbour, FIRST + 1)):
            same(["0x%016x" % endpoint], [flow["endpoint"] for flow in host.json("glbctl --json geneve flows")])
    for taken in sockets:
        taken.sendto(b"yours", (CLIENT4, 40000))
    with check("each answers in its header"):
        back = {parts(recv(gateway, is_geneve))[2][8:] for _ in sockets}
        same({three().hex(), other.hex()}, {each.hex() for each in back})
    neighbour.run("glbctl detach eth0")
    with check("one goes, the other stays"):
        same(["geneve"], appliance.json("glbctl --json status")["roles"])
        same([], neighbour.json("glbctl --json status")["devices"])


main("rust_glb_director")
