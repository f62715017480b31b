#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Network address translation: packets go to the backend's own address and port; its answers come back by a device with the
role return, and go to the client from the VIP and its port.

    client ---- eth0 [director] eth0 ----> proxy1, proxy2     to 10.1.0.1 port 8080
       ^                                      |
       +-------- eth0 [director] back <-------+               the backends' way to clients leads there

Both services of a family have the same VIP: "web" gives packets another port, "rest" does not. What leaves is what
`glbctl encap` says, and what packets made anew look like.
"""

import contextlib
import os
import socket

from lab.agree import flows, sends_the_same
from lab.captures import IPV4, IPV6, recv, send, send_frame, watch
from lab.director import backend, begin, config, load, table, table_file
from lab.hosts import Host, fabric, guest, make
from lab.packets import icmp, ip, is_icmp, sctp, tcp, udp
from lab.programs import end_those_after, running
from lab.run import main
from lab.settings import VIP4, VIP6
from lab.shapes import devices, devices_gone, lines, shapes
from lab.sockets import accepted, connect, listener, poured, reset, says, udp_socket
from lab.story import Failed, about, check, context, holds, same, say
from lab.testdev import load_testdev
from lab.transfers import LONGEST, Transfers
from lab.waiting import eventually
from lab.web import fetched, page
from lab.web import web as serve

TARGET = 8080
# Of the director's device to the backends.
BACK = "02:00:00:00:99:01"
BACK4, BACK6 = "65.65.65.66", "fd65::66"

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
proxy2 = Host("proxy2", "10.1.0.2", "fd01::2")


class Way:
    """A family: what packets of it look like on each part of their way, and the words of `ip`."""

    def __init__(self, family):
        self.family, four = family, family == 4
        self.client, self.vip, self.back = (client.ipv4, VIP4, BACK4) if four else (client.ipv6, VIP6, BACK6)
        self.to, self.by, self.here = (
            (host.ipv4 if four else host.ipv6) for host in (proxy1, proxy2, director)
        )
        self.echo, self.reply = (8, 0) if four else (128, 129)
        self.too_big = (3, 4) if four else (2, 0)
        self.no_port = (3, 3) if four else (1, 4)
        self.expired = (11, 0) if four else (3, 0)
        self.head = 20 if four else 40
        self.url = self.vip if four else "[%s]" % self.vip
        self.ethertype = IPV4 if four else IPV6

    def ip(self, command, host=director):
        host.run("ip -%d %s" % (self.family, command))

    def tables(self, *backends, **more):
        bind = {"ip": self.vip, "proto": "tcp", "port": 80}
        rest = [{"ip": self.vip, "proto": proto, "port_start": 1000, "port_end": 30000} for proto in ("tcp", "udp")]
        return [
            table(
                *backends,
                name="%s%d" % (name, self.family),
                seed="%032x" % (self.family << 8 | len(name)),
                version=3,
                hops=2,
                forward=forward,
                binds=binds,
                **more,
            )
            for name, forward, binds in (
                ("web", {"kind": "nat", "target_port": TARGET}, [bind]),
                # Its ports are not those of "web" at the backend.
                ("rest", {"kind": "nat"}, [dict(one, port_start=9000) if one["proto"] == "tcp" else one for one in rest]),
            )
        ]

    def answer(self, host, packet):
        """A backend sends a packet to a client, by the director."""
        watch()
        send_frame(host, bytes.fromhex(BACK.replace(":", "")) + host.hardware + self.ethertype + packet)


WAYS = (Way(4), Way(6))
# ICMP errors and echoes go to the backend too, and first and later fragments by the ports.
FIELDS = "--hash-fields src_addr"


def setup():
    global transfers, tables
    load_testdev()
    make(client, director, proxy1, proxy2)
    # Both devices are on one link: each answers for its own addresses alone, or packets to the VIP come in by the wrong one.
    director.run("sysctl -qw net.ipv4.conf.all.arp_ignore=1")
    guest.ip("link add name back mtu 9000 netns fabric type veth peer name back mtu 9000 address %s netns director" % BACK)
    fabric("link set back master fabric up")
    director.ip("""
        link set back up
        addr add %s/32 dev back
        addr add %s/128 dev back nodad
    """ % (BACK4, BACK6))
    client.ip("""
        link set eth0 mtu 1500
        route add %s via 65.65.65.65 dev eth0 onlink
        route add %s via fd65::65 dev eth0 onlink
    """ % (VIP4, VIP6))
    for host in (proxy1, proxy2):
        host.ip("""
            link set eth0 mtu 1500
            neigh replace %s lladdr %s dev eth0 nud permanent
            neigh replace %s lladdr %s dev eth0 nud permanent
            route add 10.2.0.0/24 via %s dev eth0 onlink
            route add fd02::/64 via %s dev eth0 onlink
        """ % (BACK4, BACK, BACK6, BACK, BACK4, BACK6))
    # proxy2 drains: it is the second hop of every row, which no packet names.
    both = [way.tables(backend(way.to), backend(way.by, "draining")) for way in WAYS]
    tables = table_file("nat.json", *(one for of_way in both for one in of_way))
    config(director, "--source-v4 65.65.65.65 --source-v6 fd65::65 " + FIELDS)
    load(director, tables)
    director.run("glbctl attach eth0")
    director.run("glbctl attach back --role return")
    transfers = Transfers(client, director, proxy1, port=TARGET)


DEAF = """
    table netdev deaf {
        chain dropped {
            type filter hook ingress device eth0 priority 0
            icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
            meta protocol { ip, ip6 } drop
        }
    }
"""


@contextlib.contextmanager
def deaf():
    """What comes to clients and backends is captured and dropped, so that they do not answer what no socket of theirs sent."""
    for host in (client, proxy1, proxy2):
        host.run("nft", DEAF)
    yield
    for host in (client, proxy1, proxy2):
        host.run("nft delete table netdev deaf")


def each(step):
    for way in WAYS:
        with context("IPv%d: " % way.family):
            step(way)


def test_connections():
    about("Connections reach the server at its port, answered from the VIP; aggregates whole, or cut by the device's queue.")
    with check("the director says how packets leave"):
        shown = director.json("glbctl --json table show --running")
        same({"kind": "nat", "target_port": TARGET}, shown[0]["forward"])
        same({"kind": "nat"}, shown[1]["forward"])
    each(lambda way: transfers.by_all_devices(way.url))


def test_web():
    about("nginx at the backend's port sends a page of 3 MB to a client of the VIP, whole and in aggregates.")
    with open(large(), "wb") as file:
        file.write(os.urandom(3000000))
    serve(proxy1, "proxy1", port=TARGET)
    each(web)


def large():
    """A page of which aggregates are made."""
    return os.path.join(os.path.dirname(page()), "large")


def web(way):
    count = begin(director)
    with check("what arrives is the page"):
        fetched(client, "http://%s/large" % way.url, large())
    packets, length = count.each("returned_packets", "returned_bytes")
    say("the director returned %d packets, %d bytes" % (packets, length))
    with check("the director got aggregates, and sent them whole"):
        holds(length // packets > LONGEST, "%d > %d" % (length // packets, LONGEST))
    with check("nothing was dropped"):
        same([], [name for name in count.deltas() if name.startswith("dropped")])


def test_datagrams():
    about("A real UDP socket at the backend gets datagrams, with and without a checksum, and its answers come from the VIP.")
    each(datagrams)


NO_CHECK = 11  # SO_NO_CHECK


def datagrams(way):
    there = udp_socket(proxy1, way.to, 1500)
    here = udp_socket(client, way.client, 0)
    for what, option in (("with a checksum", 0), ("without one", 1)):
        if option and way.family == 6:
            continue  # IPv6 sockets send one
        here.setsockopt(1, NO_CHECK, option)
        there.setsockopt(1, NO_CHECK, option)
        here.sendto(b"hello", (way.vip, 1500))
        data, sender = there.recvfrom(100)
        there.sendto(b"answer", sender)
        answer, source = here.recvfrom(100)
        with check(what):
            same((b"hello", way.client, b"answer", way.vip, 1500), (data, sender[0], answer, source[0], source[1]))
    here.sendto(b"x" * 4000, (way.vip, 1500))
    data, sender = there.recvfrom(5000)
    there.sendto(b"y" * 5000, sender)
    answer, source = here.recvfrom(6000)
    with check("fragments both ways"):
        same((b"x" * 4000, b"y" * 5000, way.vip), (data, answer, source[0]))


def test_rules():
    about("A routing rule that names a port holds for the port that packets leave with: there the target port, back the VIP's.")
    each(rules)


def rules(way):
    there = ip(way.client, way.vip, tcp(4002, 80, "A"))
    at_the_backend = ip(way.client, way.to, tcp(4002, TARGET, "A"), ttl=63)
    back = ip(way.to, way.client, tcp(TARGET, 4002, "A"))
    at_the_client = ip(way.vip, way.client, tcp(80, 4002, "A"), ttl=63)
    way.ip("route add unreachable default table 66")
    for port, got in ((80, at_the_backend), (TARGET, None)):
        rule = "rule %%s to %s ipproto tcp dport %d table 66 pref 50" % (way.to, port)
        way.ip(rule % "add")
        count = begin(director)
        if got:
            arrives(proxy1, "a rule that names the bind's port", got, lambda: send(client, director, there))
        else:
            send(client, director, there)
            count.exactly(dropped_no_route_packets=1)
        way.ip(rule % "del")
    for port, got in ((TARGET, at_the_client), (80, None)):
        rule = "rule %%s to %s ipproto tcp sport %d table 66 pref 50" % (way.client, port)
        way.ip(rule % "add")
        count = begin(director)
        if got:
            arrives(client, "a rule that names the backend's port", got, lambda: way.answer(proxy1, back))
        else:
            way.answer(proxy1, back)
            count.exactly(dropped_no_route_packets=1)
        way.ip(rule % "del")
    way.ip("route del unreachable default table 66")


def test_fragments():
    about("Of a backend, a later fragment whose first one is not known is dropped; what is no answer passes whole.")
    each(fragments)


def fragments(way):
    last = (1000, False, 1000, 2020)
    answer = tcp(TARGET, 4000, "A", payload=b"x" * 2000)
    count = begin(director)
    way.answer(proxy1, ip(way.to, way.client, answer, fragment=last, ident=77))
    count.exactly(dropped_fragment_packets=1)
    other = tcp(TARGET + 1, 4000, "A", payload=b"x" * 2000)
    count = begin(director)
    for part in ((0, True, 0, 1000), last):
        way.answer(proxy1, ip(way.to, way.client, other, fragment=part, ident=78))
    count.exactly(passed_no_service_packets=2)


def test_errors_for_others():
    about("An ICMP error about a packet of one client passes if it is addressed to another one.")
    with deaf():
        each(errors_for_others)


def errors_for_others(way):
    count = begin(director)
    about_it = ip(way.client, way.to, tcp(4000, TARGET, "A"))
    error = icmp(*way.no_port, rest=b"\0\0\0\0", payload=about_it)
    way.answer(proxy1, ip(way.to, way.here, error))
    # Whatever is behind it is counted after it.
    packet = ip(way.to, way.client, tcp(TARGET, 4000, "A"))
    way.answer(proxy1, packet)
    count.exactly(returned_packets=1, returned_bytes=len(packet))


def test_echo():
    about("Echo requests are answered by the server, from the VIP.")
    each(echo)


def echo(way):
    count = begin(director)
    client.run("ping -c 3 -i 0.2 -W 20", way.vip)
    size = 3 * (84 if way.family == 4 else 104)
    count.exactly(encapsulated_echo_packets=3, encapsulated_bytes=size, returned_echo_packets=3, returned_bytes=size)


def arrives(host, what, want, start):
    start()
    with check(what):
        same(want, recv(host, lambda packet: packet[-4:] == want[-4:] and len(packet) == len(want)))
    return len(want)


def test_there():
    about("Every kind of packet leaves as if it were made anew for the backend and its port; TOS and data stay.")
    with deaf():
        each(there)


def there(way):
    count = begin(director)
    total = 0

    def goes(what, sent, want, **more):
        nonlocal total
        packet = ip(way.client, way.vip, sent, **more)
        want = ip(way.client, way.to, want, **dict(more, ttl=more.get("ttl", 64) - 1))
        total += arrives(proxy1, what, want, lambda: send(client, director, packet))

    def error(kind, source, port, cut=None):
        about_it = ip(source, way.client, tcp(port, 4000, "A", payload=b"inside"), ttl=50)
        return icmp(*kind, rest=b"\0\0\5\0", payload=about_it[:cut])

    goes("TCP", tcp(4000, 80, "A", payload=b"odd"), tcp(4000, TARGET, "A", payload=b"odd"), tos=0xBA)
    goes("UDP", udp(4000, 1500, b"hello"), udp(4000, 1500, b"hello"), tos=1)
    goes("UDP without a checksum", udp(4000, 1500, b"hell", False), udp(4000, 1500, b"hell", False))
    goes("a packet whose TTL just lasts", tcp(4001, 80, "A"), tcp(4001, TARGET, "A"), ttl=2)
    request = icmp(way.echo, 0, b"\0\1\0\2", b"data")
    goes("an echo request", request, request)
    for what, kind, cut in (
        ("an error that a packet was too long", way.too_big, None),
        ("an error that nobody listens", way.no_port, None),
        ("an error of a router that time ran out, with 8 bytes of the segment", way.expired, way.head + 8),
    ):
        goes(what, error(kind, way.vip, 80, cut), error(kind, way.to, TARGET, cut))
    for what, kind in (("an error that an echo reply was too long", way.too_big), ("an error that it expired", way.expired)):
        goes(what, *(icmp(*kind, payload=ip(source, way.client, reply(way), ttl=50)) for source in (way.vip, way.to)))
    whole, want = tcp(4000, 80, "A", payload=b"x" * 2000), tcp(4000, TARGET, "A", payload=b"x" * 2000)
    for what, part in (("the first fragment", (0, True, 0, 1000)), ("the last fragment", (1000, False, 1000, 2020))):
        goes(what, whole, want, fragment=part, ident=99, tos=2)
    count.exactly(
        encapsulated_packets=5,
        encapsulated_icmp_error_packets=5,
        encapsulated_echo_packets=1,
        encapsulated_fragment_packets=1,
        encapsulated_bytes=total,
    )


def reply(way):
    return icmp(way.reply, 0, b"\0\1\0\2", b"data")


def test_back():
    about("Every kind of answer leaves as if the VIP had made it; errors about packets to the backend come from the VIP.")
    with deaf():
        each(back)


def back(way):
    count = begin(director)
    total = 0

    def comes(what, sent, want, sender=way.to, host=proxy1, **more):
        nonlocal total
        packet = ip(sender, way.client, sent, **more)
        want = ip(way.vip, way.client, want, **dict(more, ttl=more.get("ttl", 64) - 1))
        total += arrives(client, what, want, lambda: way.answer(host, packet))

    def error(kind, to, port, cut=None):
        about_it = ip(way.client, to, tcp(4000, port, "A", payload=b"inside"), ttl=50)
        return icmp(*kind, rest=b"\0\0\5\0", payload=about_it[:cut])

    comes("TCP", tcp(TARGET, 4000, "A", payload=b"odd"), tcp(80, 4000, "A", payload=b"odd"), tos=0xBA)
    comes("UDP", udp(1500, 4000, b"hello"), udp(1500, 4000, b"hello"), tos=1)
    comes("UDP without a checksum", udp(1500, 4000, b"hell", False), udp(1500, 4000, b"hell", False))
    comes("an answer of a backend that drains", tcp(TARGET, 4001, "A"), tcp(80, 4001, "A"), sender=way.by, host=proxy2)
    comes("an echo reply", reply(way), reply(way))
    request = icmp(way.echo, 0, b"\0\1\0\2", b"data")
    for what, kind in (("an error that an echo request was too long", way.too_big), ("an error that it expired", way.expired)):
        about_it = (icmp(*kind, payload=ip(way.client, to, request, ttl=50)) for to in (way.to, way.vip))
        comes(what, *about_it, sender=way.by)
    for what, kind, cut, sender in (
        ("an error of the backend", way.no_port, None, way.to),
        ("an error of a router before it", way.too_big, None, way.by),
        ("the same, with 8 bytes of the segment", way.expired, way.head + 8, way.by),
    ):
        comes(what, error(kind, way.to, TARGET, cut), error(kind, way.vip, 80, cut), sender=sender)
    whole, want = tcp(TARGET, 4000, "A", payload=b"x" * 2000), tcp(80, 4000, "A", payload=b"x" * 2000)
    for what, part in (("the first fragment", (0, True, 0, 1000)), ("the last fragment", (1000, False, 1000, 2020))):
        comes(what, whole, want, fragment=part, ident=99, tos=2)
    count.exactly(
        returned_packets=5, returned_icmp_error_packets=5, returned_echo_packets=1, returned_fragment_packets=1,
        returned_bytes=total,
    )


def test_passes():
    about("What is no service's answer passes untouched, and so does what is for the director itself.")
    director.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0")
    director.run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.back.rp_filter=0")
    each(passes)
    director.run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")


def passes(way):
    count = begin(director)
    for what, port, payload in (("another port", TARGET + 1, b"one"), ("another protocol's port", 80, b"two")):
        packet = ip(way.to, way.client, tcp(port, 4000, "A", payload=payload))
        want = ip(way.to, way.client, tcp(port, 4000, "A", payload=payload), ttl=63)
        arrives(client, what, want, lambda packet=packet: way.answer(proxy1, packet))
    # A health check from this machine: whoever connects to the backend's own address hears from it.
    listening = listener(proxy1, way.to, TARGET)
    proxy1_route = "%s via %s dev eth0 onlink" % (way.here, way.back)
    way.ip("route add " + proxy1_route, proxy1)
    connection = connect(director, way.here, way.to, TARGET)
    there = accepted(listening)
    with check("a connection of the director to the backend's own port"):
        says(connection, there, b"hello")
        says(there, connection, b"answer")
    way.ip("route del " + proxy1_route, proxy1)
    passed, here, returned = count.each("passed_no_service_packets", "passed_answer_here_packets", "returned_packets")
    with check("they are counted"):
        holds(passed >= 2 and here >= 2 and returned == 0, "%d, %d, %d" % (passed, here, returned))


def test_mtu():
    about("An answer that is too long for the way to the client is fragmented, or the backend is told what fits.")
    with deaf():
        each(mtu)


def mtu(way):
    way.ip("route add %s dev eth0 mtu 1300" % way.client)
    overhead = way.head + 8
    fits, long = (udp(1500, 4000, b"m" * (length - overhead)) for length in (1300, 1301))
    count = begin(director)
    want = ip(way.vip, way.client, fits, ttl=63)
    arrives(client, "an answer of 1,300 bytes", want, lambda: way.answer(proxy1, ip(way.to, way.client, fits)))
    packet = ip(way.to, way.client, long)
    way.answer(proxy1, packet)
    told = recv(proxy1, lambda packet: is_icmp(packet, way.too_big))
    at = way.head
    with check("the backend is told 1,300"):
        same(1300, int.from_bytes(told[at + 4 : at + 8], "big"))
    with check("about the packet as it was"):
        same(packet[:64], told[at + 8 : at + 72])
    counted = {"returned_packets": 1, "returned_bytes": 1300, "dropped_too_big_packets": 1, "icmp_too_big_sent": 1}
    if way.family == 4:
        way.answer(proxy1, ip(way.to, way.client, long, df=False, ident=7))
        parts = []
        for part in ((0, True, 0, 1280), (1280, False, 1280, 1281)):
            want = ip(way.vip, way.client, long, df=False, ident=7, fragment=part, ttl=63)
            parts.append(want)
            with check("the fragment from byte %d" % part[0]):
                same(want, recv(client, lambda packet, want=want: len(packet) == len(want) and packet[9] == 17))
        counted["returned_packets"] += 1
        counted["returned_bytes"] += sum(map(len, parts))
        counted["fragments_sent"] = 2
    count.exactly(**counted)
    way.ip("route del %s dev eth0 mtu 1300" % way.client)


# --- SCTP ---------------------------------------------------------------------------------------------


def of_sctp(way):
    bind = {"ip": way.vip, "proto": "sctp", "port": 80}
    return [
        table(
            backend(way.to),
            backend(way.by, "draining"),
            name="%s%d" % (name, way.family),
            seed="%032x" % (way.family << 8 | len(name)),
            version=3,
            hops=2,
            forward=forward,
            binds=[dict(bind, port=port)],
        )
        for name, forward, port in (
            ("assoc", {"kind": "nat", "target_port": TARGET}, 80),
            ("same", {"kind": "nat"}, 3868),
        )
    ]


def with_sctp(step):
    load(director, table_file("sctp.json", *(one for way in WAYS for one in of_sctp(way))))
    each(step)
    load(director, tables)


def test_sctp():
    about("SCTP associations of the kernel's own sockets reach the server at its port; aggregates go whole.")
    with_sctp(associations)


def test_sctp_tools():
    about("The tools of the kernel's SCTP (lksctp-tools) have associations by the VIP: messages of all sizes, in order and not.")
    with_sctp(sctp_tools)


def sctp_tools(way):
    names = ("SctpPassiveEstabs", "SctpShutdowns", "SctpChecksumErrors", "SctpAborteds")
    before = [sctp_counter(proxy1, name) for name in names]
    proxy1.spawn("sctp_test -l -H %s -P %d" % (way.to, TARGET))
    eventually(lambda: holds(":%d" % TARGET in proxy1.output("ss --sctp -ln"), "it listens"))
    count = begin(director)
    # One byte to 32,768, which are many chunks.
    client.run("sctp_test -s -H %s -P 4001 -h %s -p 80 -c 4 -x 3 -o 2 -M 4" % (way.client, way.vip))
    with check("the server had one association, which ended in order, and no wrong checksum"):
        eventually(lambda: same([before[0] + 1, before[1] + 1, before[2], before[3]],
                                [sctp_counter(proxy1, name) for name in names]))
    with check("its packets went by the director, there and back"):
        there, back = count.each("encapsulated_packets", "returned_packets")
        holds(there > 30 and back > 10, "%d there, %d back" % (there, back))
    with check("nothing was dropped"):
        same([], [name for name in count.deltas() if name.startswith("dropped")])
    end_those_after(len(running) - 1)


def sctp_counter(host, name):
    """A counter of the host's SCTP."""
    for line in host.output("cat /proc/net/sctp/snmp").splitlines():
        if line.split()[0] == name:
            return int(line.split()[1])
    raise Failed("no " + name)


def wrong_sums(host):
    """SCTP packets that the host has found to have a wrong checksum."""
    return sctp_counter(host, "SctpChecksumErrors")


def associations(way):
    # Bound to one address, neither end tells the other one of further ones.
    listening = listener(proxy1, way.to, TARGET, proto=socket.IPPROTO_SCTP)
    data = os.urandom(400000)
    before = [wrong_sums(host) for host in (client, proxy1)]
    for who, words in (("their devices sum up", "on"), ("they sum up themselves", "off")):
        for host in (client, proxy1):
            host.run("ethtool -K eth0 tx-checksum-sctp %s gso %s" % (words, words))
        count = begin(director)
        here = connect(client, way.client, way.vip, 80, proto=socket.IPPROTO_SCTP)
        there = accepted(listening)
        with check("%s: the server sees the client, and the client the VIP" % who):
            same((way.client, way.vip), (there.getpeername()[0], here.getpeername()[0]))
        with check("%s: 400 kB to the server" % who):
            poured(here, there, data)
        packets, length = count.each("encapsulated_packets", "encapsulated_bytes")
        with check("%s: 400 kB to the client" % who):
            poured(there, here, data)
        say("the director sent %d packets there, %d bytes" % (packets, length))
        if words == "on":
            # The client's device has an MTU of 1500.
            with check("the director got aggregates, and sent them whole"):
                holds(packets < len(data) // 1500, "%d < %d" % (packets, len(data) // 1500))
        with check("%s: nothing was dropped" % who):
            same([], [name for name in count.deltas() if name.startswith("dropped")])
        reset(here, there)
    with check("no checksum was wrong"):
        same(before, [wrong_sums(host) for host in (client, proxy1)])
    for host in (client, proxy1):
        host.run("ethtool -K eth0 tx-checksum-sctp on gso on")
    listening.close()


def test_sctp_packets():
    about("SCTP packets, errors about them and their fragments leave as if they were made anew.")
    with deaf():
        with_sctp(sctp_packets)


def sctp_packets(way):
    count = begin(director)
    lengths = {"encapsulated": 0, "returned": 0}

    def goes(what, sent, want, **more):
        packet, want = ip(way.client, way.vip, sent, **more), ip(way.client, way.to, want, **dict(more, ttl=63))
        lengths["encapsulated"] += arrives(proxy1, what, want, lambda: send(client, director, packet))

    def comes(what, sent, want, sender=way.to, **more):
        packet, want = ip(sender, way.client, sent, **more), ip(way.vip, way.client, want, **dict(more, ttl=63))
        lengths["returned"] += arrives(client, what, want, lambda: way.answer(proxy1, packet))

    goes("there", sctp(4000, 80, b"chunks"), sctp(4000, TARGET, b"chunks"), tos=0xBA)
    goes("there, without a checksum", sctp(4000, 80, b"chunk", check=False), sctp(4000, TARGET, b"chunk", check=False))
    goes("there, the port stays", sctp(4000, 3868, b"chunks"), sctp(4000, 3868, b"chunks"))
    comes("back", sctp(TARGET, 4000, b"chunks"), sctp(80, 4000, b"chunks"), tos=0xBA)
    comes("back, the port stays", sctp(3868, 4000, b"chunks"), sctp(3868, 4000, b"chunks"))
    for what, kind in (("too long", way.too_big), ("expired", way.expired)):
        for cut in (way.head + 8, None):
            words = "an error of %s bytes that one %s" % (cut or "all", what)
            ends = ((way.vip, 80), (way.to, TARGET))
            vip, to = (about_sctp(kind, cut, end, way.client, sctp(port, 4000, b"it")) for end, port in ends)
            goes("there, " + words, vip, to)
            vip, to = (about_sctp(kind, cut, way.client, end, sctp(4000, port, b"it")) for end, port in ends)
            comes("back, " + words, to, vip, sender=way.by)
    # Where the port stays no fragment's checksum changes.
    whole = sctp(4000, 3868, b"x" * 2000)
    for what, part in (("the first fragment", (0, True, 0, 1000)), ("the last fragment", (1000, False, 1000, 2012))):
        goes(what, whole, whole, fragment=part, ident=99)
    # The checksum is of all fragments, whose length the first one does not say.
    send(client, director, ip(way.client, way.vip, sctp(4000, 80, b"x" * 2000), fragment=(0, True, 0, 1000), ident=98))
    # A port that no bind names: like any protocol of the address.
    send(client, director, ip(way.client, way.vip, sctp(4000, 81, b"chunks")))
    count.exactly(
        encapsulated_packets=4,
        encapsulated_icmp_error_packets=4,
        encapsulated_fragment_packets=1,
        encapsulated_bytes=lengths["encapsulated"],
        returned_packets=2,
        returned_icmp_error_packets=4,
        returned_bytes=lengths["returned"],
        dropped_fragment_packets=1,
    )
    if way.family == 4:
        cut_here(way)


def about_sctp(kind, cut, *packet):
    return icmp(*kind, payload=ip(*packet, ttl=50)[:cut])


def cut_here(way):
    """What the director cuts itself has the checksum of the whole in its first fragment."""
    way.ip("route add %s dev eth0 mtu 1300" % way.client)
    count = begin(director)
    sent, want = sctp(TARGET, 4000, b"m" * 1400), sctp(80, 4000, b"m" * 1400)
    way.answer(proxy1, ip(way.to, way.client, sent, df=False, ident=7))
    for part in ((0, True, 0, 1280), (1280, False, 1280, 1412)):
        piece = ip(way.vip, way.client, want, df=False, ident=7, fragment=part, ttl=63)
        with check("cut here: the fragment from byte %d" % part[0]):
            same(piece, recv(client, lambda packet, piece=piece: len(packet) == len(piece) and packet[9] == 132))
    count.exactly(returned_packets=1, returned_bytes=1412 + 2 * 20, fragments_sent=2)
    way.ip("route del %s dev eth0 mtu 1300" % way.client)


# --- other addresses of the director, and other directors -------------------------------------------------

NODE4, NODE6, NODE_PORT = "65.65.65.67", "fd65::67", 30964


def test_node_port():
    about("A service is asked by an address of the director too: a table of its own, with another port of the same backend.")
    director.ip("addr add %s/32 dev eth0\naddr add %s/128 dev eth0 nodad" % (NODE4, NODE6))
    each(node_port)
    director.ip("addr del %s/32 dev eth0\naddr del %s/128 dev eth0" % (NODE4, NODE6))
    load(director, tables)


def node_port(way):
    node = NODE4 if way.family == 4 else NODE6
    web, rest = way.tables(backend(way.to), backend(way.by, "draining"))
    bind = {"ip": node, "proto": "tcp", "port": NODE_PORT}
    own = dict(web, name="node", seed="%032x" % 99, forward={"kind": "nat", "target_port": TARGET + 1}, binds=[bind])
    load(director, table_file("node.json", web, rest, own))
    by_vip, by_node = (listener(proxy1, way.to, port) for port in (TARGET, TARGET + 1))
    # One port of the client's for both: at one port of the backend they would be one connection.
    first = connect(client, way.client, way.vip, 80, sport=4444)
    second = connect(client, way.client, node, NODE_PORT, sport=4444)
    there, other = accepted(by_vip), accepted(by_node)
    for what, one, end in (("by the VIP", first, there), ("by the director's own address", second, other)):
        with check("asked " + what):
            says(one, end, b"hello")
            says(end, one, b"answer")
    # Whatever else is said to this address is the director's.
    own_listener = listener(director, node, 7000)
    third = connect(client, way.client, node, 7000)
    with check("another port of the address is the director's own"):
        says(third, accepted(own_listener), b"hello")
    reset(first, second, third, there, other)


def test_return_except():
    about("What a backend answers another director, which has asked its own address, passes untouched; other answers do not.")
    director.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0")
    director.run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.back.rp_filter=0")
    with deaf():
        each(return_except)
    director.run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")


def return_except(way):
    answer = ip(way.to, way.client, tcp(TARGET, 4000, "SA"))
    from_vip = ip(way.vip, way.client, tcp(80, 4000, "SA"), ttl=63)
    arrives(client, "to a client, from the VIP", from_vip, lambda: way.answer(proxy1, answer))
    director.run("glbctl config set --return-except 192.0.2.0/24,10.2.0.0/24,fd02::/64")
    with check("the director says so"):
        same(["192.0.2.0/24", "10.2.0.0/24", "fd02::/64"], director.json("glbctl --json config show")["return_except"])
    count = begin(director)
    untouched = ip(way.to, way.client, tcp(TARGET, 4000, "SA"), ttl=63)
    arrives(client, "to one that is excepted, as it is", untouched, lambda: way.answer(proxy1, answer))
    passed, returned = count.each("passed_no_service_packets", "returned_packets")
    with check("it is counted"):
        holds(passed >= 1 and returned == 0, "%d, %d" % (passed, returned))
    director.run("glbctl config set --return-except none")
    with check("nothing is excepted"):
        same(None, director.json("glbctl --json config show")["return_except"])
    arrives(client, "to a client again", from_vip, lambda: way.answer(proxy1, answer))


# --- what is refused ------------------------------------------------------------------------------------


def test_refused():
    about("Tables whose answers nobody could tell apart are refused, and the old ones stay.")
    way = WAYS[0]
    web, rest = way.tables(backend(way.to))
    other = [{"ip": "9.9.9.9", "proto": "tcp", "port": 81}]
    ambiguous = dict(rest, forward={"kind": "nat", "target_port": TARGET}, binds=other)
    for what, wrong, reason in (
        ("two services of one port", [web, ambiguous], "does not say which of the two was asked"),
        ("a prefix", [dict(web, binds=[{"ip": "9.9.9.0/24", "proto": "tcp", "port": 80}])], "needs whole addresses"),
        ("ports of the backends' own connections", [dict(rest, binds=[dict(rest["binds"][1], port_end=60000)])], "above 32767"),
        ("a backend that is bound", [web, dict(rest, binds=[{"ip": way.to, "proto": "tcp", "port": 81}])], "not bound"),
        ("a node port", [dict(web, forward={"kind": "nat", "node_port": 30000})], "node_port"),
    ):
        status, said = director.said("glbctl table load", table_file("wrong.json", *wrong))
        with check(what):
            holds(status != 0 and reason in said, said)
    with check("the old ones are loaded"):
        same(4, len(director.json("glbctl --json table show --running")))


def test_drain():
    about("A connection keeps its backend, which drains, as long as its flow is remembered.")
    each(drain)
    load(director, tables)


def drain(way):
    flows = {"flows": {"timeout_s": 600}}
    load(director, table_file("before.json", *way.tables(backend(way.to), backend(way.by, "draining"), **flows)))
    listening = listener(proxy1, way.to, TARGET)
    connection = connect(client, way.client, way.vip, 80)
    there = accepted(listening)
    with check("it says something"):
        says(connection, there, b"hello")
    load(director, table_file("after.json", *way.tables(backend(way.to, "draining"), backend(way.by), **flows)))
    with check("it goes on after its backend was drained"):
        says(connection, there, b"still here")
        says(there, connection, b"so am I")
    other = listener(proxy2, way.by, TARGET)
    second = connect(client, way.client, way.vip, 80)
    with check("a new one has the other backend"):
        says(second, accepted(other), b"new")
    reset(connection, there, second)


def test_bytes():
    about("What leaves is what glbctl encap says, byte for byte.")
    director.run("ethtool -K eth0 tso off gso off tx off")
    to = "tcp and ( dst host %s or dst host %s )" % (proxy1.ipv4, proxy1.ipv6)
    with deaf():
        sends_the_same((client, director, proxy1), flows(director, (VIP4, VIP6)), tables, to)
    director.run("ethtool -K eth0 tx on tso on gso on")


def test_shapes():
    about("Packets and aggregates of every shape, in every state of their checksum, leave as the packets that they were made of.")
    devices(director, [way.to for way in WAYS] + ["10.2.0.9", "fd02::9"])
    there = ((4, "src=10.2.0.9 dst=" + VIP4), (6, "src=fd02::9 dst=" + VIP6))
    back = ((4, "src=10.1.0.1 dst=10.2.0.9"), (6, "src=fd01::1 dst=fd02::9"))
    director.run("glbctl attach in")
    to = ("encapsulated_packets", "--backend", proxy1.ipv4, "--backend", proxy1.ipv6)
    with context("TCP there: "):
        shapes(director, lines(there, "proto=tcp dport=80"), *to, "--target-port", TARGET)
    with context("UDP there: "):
        shapes(director, lines(there, "proto=udp dport=1500"), *to)
    director.run("glbctl detach in")
    director.run("glbctl attach in --role return")
    to = ("returned_packets", "--vip", VIP4, "--vip", VIP6)
    with context("TCP back: "):
        shapes(director, lines(back, "proto=tcp dport=4000"), *to, first=9000)
    with context("UDP back: "):
        shapes(director, lines(back, "proto=udp dport=4000"), *to)
    director.run("glbctl detach in")
    devices_gone(director)


main("rust_glb_director sctp")
