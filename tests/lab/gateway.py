#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""An appliance behind a gateway load balancer, whose part the kernel's own geneve device plays, in external mode.

     gateway                       appliance
    +--------------------+        +-----------------------------+
    | clients 198.51.100 |        | lo: servers 192.0.2.N       |
    | gnv0 (geneve)      |        |                             |
    |   routes with the  |        | eth0, role geneve: what     |
    |   three options    |        | comes is taken out, what    |
    | eth0               |        | leaves goes in the same way |
    +--||----------------+        +--||-------------------------+
    ===||============================||======
"""

import itertools
import os
import socket
import struct

from lab.captures import frame_for, nothing, recv, send_frame, settle, watch
from lab.geneve import (
    CLIENT4, CLIENT6, FIRST, THREE, Count, appliance, attach, gateway, geneve_device, is_geneve, parts, route, unfiltered,
)  # fmt: skip
from lab.hosts import guest, make
from lab.packets import icmp, ip, tcp, udp
from lab.run import main
from lab.settings import work
from lab.sockets import accepted, connect, hears, listener, says, udp_socket
from lab.story import about, check, context, holds, same, say
from lab.transfers import listens
from lab.waiting import eventually

SECOND = 0x0102030405060708
OTHER = ["0x0108:3:0badcafe", "0x0108:1:%016x" % SECOND, "0xffff:1:00112233", "0x0108:2:0000000000000000"]
idents = itertools.count(1)


def setup():
    make(gateway, appliance)
    geneve_device()
    unfiltered()
    route(1, THREE)
    route(2, OTHER)
    route(3, THREE, dst="dst fd01::20", kind="ip6")
    route(9, THREE)
    lines = ["address add 192.0.2.%d/32 dev lo\naddress add 2001:db8::%d/128 dev lo nodad" % (n, n) for n in (1, 2, 3)]
    # Neighbour discovery answers for the addresses of a device only.
    lines += ["route add %s via %s dev eth0 onlink" % way for way in ((CLIENT4, gateway.ipv4), (CLIENT6, gateway.ipv6))]
    appliance.ip("\n".join(lines))


def sends(number, transport, v6=False):
    """A client's packet leaves the gateway by its route."""
    if v6:
        packet = ip(CLIENT6, "2001:db8::%d" % number, transport)
        family, to = socket.AF_INET6, packet[24:40]
    else:
        packet = ip(CLIENT4, "192.0.2.%d" % number, transport, ident=next(idents))
        family, to = socket.AF_INET, packet[16:20]
    with gateway.inside(), socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(packet, (socket.inet_ntop(family, to), 0))
    return packet


def goes_back(what):
    """What came to the appliance last, and what went back: the header is the same one, turned round."""
    came, back = parts(recv(appliance, is_geneve)), parts(recv(gateway, is_geneve))
    with check("%s goes back with addresses exchanged, and ports and options as they came" % what):
        same(came[0][::-1], back[0])
        same(came[1].hex(), back[1].hex())
        same(came[2].hex(), back[2].hex())
    return came[3], back[3]


WAYS = [
    ("IPv4", 1, False),
    ("IPv4, options in another order and with others", 2, False),
    ("IPv4 over IPv6", 3, False),
    ("IPv6 over IPv4", 1, True),
    ("IPv6 over IPv6", 3, True),
]


def test_the_header_of_the_way_back():
    about("An answer leaves in the header that its flow came with: options byte for byte, outer addresses exchanged.")
    attach()
    for what, number, v6 in WAYS:
        with context(what + ": "):
            server, client = ("2001:db8::%d" % number, CLIENT6) if v6 else ("192.0.2.%d" % number, CLIENT4)
            count = Count()
            echo = udp_socket(appliance, server, 5353)
            asker = udp_socket(gateway, client, 40000 + number)
            watch()
            asker.sendto(b"question", (server, 5353))
            question, peer = echo.recvfrom(100)
            with check("the server gets the question, from the client"):
                same((b"question", client, 40000 + number), (question, peer[0], peer[1]))
            echo.sendto(b"the answer", peer)
            came, back = goes_back("the answer")
            with check("question and answer were inside"):
                same((b"question", b"the answer"), (came[-8:], back[-10:]))
            with check("the client gets the answer, from the server"):
                answer, peer = asker.recvfrom(100)
                same((b"the answer", server, 5353), (answer, peer[0], peer[1]))
            sends(number, icmp(128 if v6 else 8, 0, b"\0\1\0\1", b"ping"), v6)
            goes_back("the answer to a ping")
            with check("both are counted"):
                same((2, 2), (count.grew("came", "accepted_packets"), count.grew("left", "returned_packets")))
            count.is_sum()


def test_connections():
    about("Programs behind the header: connections of TCP, with the aggregates that devices make of them.")
    attach()
    for what, number, v6 in WAYS:
        with context(what + ": "):
            server, client = ("2001:db8::%d" % number, CLIENT6) if v6 else ("192.0.2.%d" % number, CLIENT4)
            listening = listener(appliance, server, 443)
            one = connect(gateway, client, server, 443)
            with check("a connection is there, both ways"):
                other = accepted(listening)
                says(one, other, b"GET")
                says(other, one, b"200")
            watch()
            says(other, one, b"more")
            with check("what goes back is in the header"):
                holds(recv(gateway, is_geneve))
            listening.close()
    with check("flows are listed, with their endpoints"):
        flows = appliance.json("glbctl --json geneve flows")
        same({"0x%016x" % FIRST, "0x%016x" % SECOND}, {flow["endpoint"] for flow in flows})
        same(5, len([flow for flow in flows if flow["proto"] == 6]))
    with check("so are the endpoints, with what came and left"):
        endpoints = {one["endpoint"]: one for one in appliance.json("glbctl --json geneve endpoints")}
        same({"0x%016x" % FIRST, "0x%016x" % SECOND}, set(endpoints))
        holds(all(one["came_packets"] > 0 and one["left_packets"] > 0 for one in endpoints.values()))


def test_bulk():
    about("Megabytes both ways: aggregates are taken out and put in whole, and no checksum is wrong.")
    attach()
    data = work("data")
    with open(data, "wb") as file:
        file.write(os.urandom(2000000))
    for number, server, client in ((1, "192.0.2.1", CLIENT4), (3, "[2001:db8::3]", CLIENT6)):
        kind = "TCP6" if ":" in server else "TCP4"
        bind = "[%s]" % client if ":" in client else client
        for way in ("up", "down"):
            with context("%s, %s: " % (kind, way)):
                arrived = work("arrived")
                if os.path.exists(arrived):
                    os.remove(arrived)
                end, file = ("-u", "CREATE:" + arrived) if way == "up" else ("-U", "OPEN:" + data)
                program = appliance.spawn("socat", end, "%s-LISTEN:8080,reuseaddr,bind=%s" % (kind, server), file, told=False)
                eventually(listens, appliance, 8080)
                here = "OPEN:" + data if way == "up" else "CREATE:" + arrived
                status = gateway.status("socat", "-u" if way == "up" else "-U", here, "%s:%s:8080,bind=%s" % (kind, server, bind))
                with check("it ends in order"):
                    program.succeeds()
                    same(0, status)
                with check("what arrived is what was sent"):
                    guest.quietly("cmp", data, arrived)


def test_what_nobody_here_wants():
    about("Without a socket here a packet is dropped; with --pass it goes on to be routed.")
    attach()
    count = Count()
    watch()
    sends(1, tcp(41000, 81, "S"))
    sends(1, udp(41000, 81, b"nobody"))
    sends(9, icmp(8, 0, b"\0\1\0\1"))
    settle(appliance)
    with check("none of the three has a socket or an address here"):
        same(3, count.grew("came", "dropped_no_socket_packets"))
    with check("nothing goes back"):
        nothing(gateway, is_geneve)
    attach("--pass")
    sends(1, tcp(41000, 81, "S"))
    recv(appliance, is_geneve)
    with check("with --pass the stack refuses the connection, in the header of its flow"):
        back = parts(recv(gateway, is_geneve))
        same(0x14, back[3][33])
    count.is_sum()


def test_bump_in_the_wire():
    about("An appliance that forwards: what it passes on leaves in the header that it came with.")
    attach("--pass")
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    appliance.quietly("sysctl -qw net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.all.send_redirects=0")
    for server, via in (("192.0.2.9", gateway.ipv4), ("2001:db8::9", gateway.ipv6)):
        appliance.ip("route replace %s via %s dev eth0 onlink" % (server, via))
    count = Count()
    watch()
    for what, v6 in (("IPv4", False), ("IPv6", True)):
        with context(what + ": "):
            sends(9, tcp(42000, 443, "S"), v6)
            came, back = goes_back("the client's packet")
            ttl = 7 if v6 else 8
            with check("only its TTL is another"):
                same(came[ttl] - 1, back[ttl])
                same(came[-20:].hex(), back[-20:].hex())
    with check("both are counted"):
        same((2, 2), (count.grew("came", "accepted_packets"), count.grew("left", "returned_packets")))
    appliance.quietly("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
    appliance.ip("route del 192.0.2.9\nroute del 2001:db8::9")


def test_strict():
    about("A packet without a header leaves as it is; with --strict only what the device itself sends does.")
    attach()
    count = Count()
    watch()
    stray = udp_socket(appliance, "192.0.2.1", 7000)
    own = udp_socket(appliance, appliance.ipv4, 7000)
    here = udp_socket(gateway, gateway.ipv4, 7000)
    stray.sendto(b"stray", (gateway.ipv4, 7000))
    with check("it leaves as it is"):
        same(b"stray", here.recv(100))
    attach("--strict")
    stray.sendto(b"stray", (gateway.ipv4, 7000))
    own.sendto(b"own", (gateway.ipv4, 7000))
    with check("with --strict only what has the device's own address does"):
        same(b"own", here.recv(100))
        same(1, count.grew("left", "dropped_no_flow_packets"))
    count.is_sum()


def test_endpoints_with_the_same_addresses():
    about("Two networks behind two endpoints have the same addresses: no answer leaves in the other one's header.")
    attach()
    count = Count()
    echo = udp_socket(appliance, "192.0.2.1", 5353)
    watch()
    # The same server behind the second endpoint, for other ports of the same client.
    for port, options in ((43000, THREE), (43001, OTHER)):
        gateway.ip("route replace 192.0.2.1/32 encap ip id 0 dst 10.1.2.20 geneve_opts %s dev gnv0" % ",".join(options))
        sends(1, udp(port, 5353, b"which"))
    peers = [echo.recvfrom(100)[1] for _ in range(2)]
    for peer, endpoint in reversed(list(zip(peers, (FIRST, SECOND)))):
        echo.sendto(b"yours", peer)
        with check("the answer to port %d is for its endpoint" % peer[1]):
            holds(struct.pack("!Q", endpoint) in parts(recv(gateway, is_geneve))[2])
    say("the same ports too, by both endpoints")
    sends(1, udp(43000, 5353, b"again"))
    peer = echo.recvfrom(100)[1]
    echo.sendto(b"whose", peer)
    settle(gateway)
    with check("where either could be meant, nothing leaves"):
        nothing(gateway, is_geneve)
        same(1, count.grew("left", "dropped_several_endpoints_packets"))
    gateway.ip("route replace 192.0.2.1/32 encap ip id 0 dst 10.1.2.20 geneve_opts %s dev gnv0" % ",".join(THREE))


SEEN = """table inet judge {
    counter seen { }
    chain prerouting {
        type filter hook prerouting priority raw
        iifname eth0 meta l4proto tcp counter name seen
    }
}"""


def tcp_seen():
    """Packets of TCP that the stack got from eth0."""
    said = appliance.json("nft -j list counter inet judge seen")["nftables"]
    return next(each["counter"]["packets"] for each in said if "counter" in each)


def test_vectors():
    about("Packets of an independent model: each has its verdict and no other, and the stack gets what is accepted.")
    attach("--pass --allow-from 10.1.1.0/24")
    with open("/tests/vectors/geneve.tsv") as file:
        vectors = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    holds(len(vectors) > 10)
    appliance.run("nft", SEEN)
    watch()
    # What else comes (neighbour discovery, for all or for one) has these alone.
    others = ("total_packets", "passed_not_geneve_packets", "passed_other_host_packets")
    for name, _, verdict, packet in vectors:
        count, before = Count(), tcp_seen()
        send_frame(gateway, frame_for(gateway, appliance, bytes.fromhex(packet)))
        settle(appliance)
        with check("%s: %s" % (name, verdict)):
            holds(count.grew("came", verdict) >= 1)
            grew = {each: count.grew("came", each) for each in count.before["came"] if each not in others}
            same({verdict: 1} if verdict not in others else {}, {each: value for each, value in grew.items() if value})
            same(1 if verdict == "accepted_packets" else 0, tcp_seen() - before)
    appliance.run("nft delete table inet judge")
    count.is_sum()


def test_path_mtu():
    about("What does not fit with the header in front: its sender is told, and connections go on with shorter packets.")
    attach()
    appliance.ip("link set eth0 mtu 1400")
    try:
        count = Count()
        listening = listener(appliance, "192.0.2.1", 443)
        one = connect(gateway, CLIENT4, "192.0.2.1", 443)
        other = accepted(listening)
        data = os.urandom(20000)
        other.send(data)
        with check("all of it arrives"):
            hears(one, data)
        with check("something did not fit, and was told so"):
            holds(count.grew("left", "dropped_too_big_packets") > 0)
    finally:
        appliance.ip("link set eth0 mtu 2000")
        appliance.ip("route flush cache")


def test_options_of_the_command():
    about("What the command refuses: each with a clear error, and nothing attached.")
    if "eth0" in appliance.json("glbctl --json status")["devices"]:
        appliance.run("glbctl detach eth0")
    for words, said in (
        ("eth0 --port 6081", "--port: only with --role geneve"),
        ("nowhere --role geneve", "no such device"),
        ("eth0 --role nobody", "invalid value 'nobody'"),
        ("eth0 --role geneve --pass --local-only", "cannot be used with"),
        ("eth0 --role geneve --class 65536", "class"),
        ("eth0 --role geneve --max-flows 13000001", "13000000"),
    ):
        status, text = appliance.said("glbctl attach " + words)
        with check("glbctl attach %s" % words):
            holds(status != 0 and said in text, text)
    with check("nothing is attached"):
        same([], appliance.json("glbctl --json status")["devices"])
    appliance.run("glbctl attach eth0 --role geneve --max-flows 1000 --idle 10")
    with check("the role is shown"):
        same(["geneve"], appliance.json("glbctl --json status")["roles"])
    appliance.run("glbctl detach eth0")
    with check("the memory goes with the last device"):
        same([], appliance.json("glbctl --json geneve flows"))


def test_the_end_under_traffic():
    about("The role is taken, the namespace goes, the module is unloaded: all while packets come and leave.")
    attach("--pass")
    # Each port that nobody listens on has its answer.
    appliance.quietly("sysctl -qw net.ipv4.icmp_ratelimit=0")
    flood = (
        "import socket,struct\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        "s.bind(('%s',0))\n"
        "n=0\n"
        "while True:\n"
        "    n+=1\n"
        "    try: s.sendto(b'x'*100,('192.0.2.1',1000+n%%1000))\n"
        "    except OSError: pass\n" % CLIENT4
    )
    gateway.spawn("python3", "-c", flood)
    count = Count()
    with check("packets come, and the refusals of the stack leave"):
        eventually(lambda: holds(count.grew("left", "returned_packets") > 100))
    for _ in range(10):
        appliance.quietly("glbctl detach eth0")
        appliance.quietly("glbctl attach eth0 --role geneve --pass")
    with check("it was taken and given ten times"):
        same(["geneve"], appliance.json("glbctl --json status")["roles"])
    guest.run("modprobe -r rust_glb_director")
    with check("the module goes"):
        holds(not os.path.exists("/sys/module/rust_glb_director"))
    guest.run("modprobe rust_glb_director")
    appliance.run("glbctl attach eth0 --role geneve --pass")
    guest.run("ip netns del appliance")
    guest.run("modprobe -r rust_glb_director")
    guest.run("modprobe rust_glb_director")
    with check("the namespace went, and the module can"):
        holds(os.path.exists("/sys/module/rust_glb_director"))


main("rust_glb_director")
