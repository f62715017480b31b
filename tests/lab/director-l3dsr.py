#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Layer 3 direct server return: packets go to the backend's own address, with a DSCP that says which VIP it was; the backend
maps it back to the VIP on its lo, and answers the client directly.

    client ---> director ---DSCP 7, to 10.1.0.1---> proxy1: nft makes it the VIP again; proxy2 likewise
       ^                                             |
       +--------------- answers directly ------------+

What leaves is what `glbctl encap` says, and what packets made anew look like.
"""

from lab.agree import flows, sends_the_same
from lab.captures import capture_of, forget, nothing, recv, send, settle, watch
from lab.director import backend, begin, config, load, table, table_file
from lab.hosts import Host, make
from lab.packets import icmp, ip, is_icmp, raw, tcp, udp
from lab.run import main
from lab.settings import VIP4, VIP6
from lab.shapes import devices, devices_gone, lines, shapes
from lab.sockets import accepted, connect, listener, says, udp_socket
from lab.story import about, check, context, same
from lab.testdev import load_testdev
from lab.transfers import Transfers
from lab.waiting import eventually

DSCP = 7
TOS = 0x1C  # VPP's own test has this pair

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
proxy2 = Host("proxy2", "10.1.0.2", "fd01::2")

# What a server does: the VIP is on its lo, and a packet with the DSCP is the VIP's again. No state is kept.
SERVER = (
    "add table inet l3dsr; "
    "add chain inet l3dsr in { type filter hook prerouting priority raw; }; "
    "add rule inet l3dsr in ip dscp %d ip daddr %%s ip daddr set %s; "
    "add rule inet l3dsr in ip6 dscp %d ip6 daddr %%s ip6 daddr set %s" % (DSCP, VIP4, DSCP, VIP6)
)


class Way:
    """A family: what a client's packet of it looks like, and the words of `ip`."""

    def __init__(self, family):
        self.family, four = family, family == 4
        self.client, self.vip = (client.ipv4, VIP4) if four else (client.ipv6, VIP6)
        self.to, self.by, self.here = (
            (host.ipv4 if four else host.ipv6) for host in (proxy1, proxy2, director)
        )
        self.echo = 8 if four else 128
        self.too_big = (3, 4) if four else (2, 0)
        self.expired = (11, 0) if four else (3, 0)
        self.url = self.vip if four else "[%s]" % self.vip

    def ip(self, command):
        director.run("ip -%d %s" % (self.family, command))

    def packet(self, transport, tos=0, ttl=64, **more):
        """What the client sends."""
        return ip(self.client, self.vip, transport, tos=tos, ttl=ttl, **more)

    def sent(self, transport, tos=0, ttl=64, to=None, **more):
        """What the backend must get for it, made anew."""
        return ip(self.client, to or self.to, transport, tos=TOS | tos & 3, ttl=ttl - 1, **more)

    def table(self, *backends, name="web"):
        binds = [{"ip": self.vip, "proto": proto, "port_start": 1, "port_end": 65535} for proto in ("tcp", "udp")]
        return table(
            *backends,
            name="%s%d" % (name, self.family),
            seed="%032x" % (self.family << 8 | len(name)),
            version=3,
            hops=2,
            forward={"kind": "l3dsr", "dscp": DSCP},
            binds=binds,
        )


WAYS = (Way(4), Way(6))
# ICMP errors and echoes go to the backend too, and first and later fragments by the ports.
FIELDS = "--hash-fields src_addr"


def server(host):
    host.run("nft", SERVER % (host.ipv4, host.ipv6))
    host.ip("addr add %s/32 dev lo\naddr add %s/128 dev lo nodad" % (VIP4, VIP6))


def setup():
    global transfers, tables, tables_here
    load_testdev()
    make(client, director, proxy1, proxy2)
    client.ip("""
        link set eth0 mtu 1500
        route add %s via 65.65.65.65 dev eth0 onlink
        route add %s via fd65::65 dev eth0 onlink
    """ % (VIP4, VIP6))
    for host in (proxy1, proxy2):
        server(host)
    for tool in ("iptables", "ip6tables"):
        proxy1.run(tool + " -t mangle -A PREROUTING -m dscp --dscp %d" % DSCP)
    # proxy2 drains: it is the second hop of every row, which no packet names.
    tables = table_file("l3dsr.json", *(way.table(backend(way.to), backend(way.by, "draining")) for way in WAYS))
    config(director, "--source-v4 65.65.65.65 --source-v6 fd65::65 " + FIELDS)
    load(director, tables)
    director.run("glbctl attach eth0")
    transfers = Transfers(client, director, proxy1)


def each(step):
    for way in WAYS:
        with context("IPv%d: " % way.family):
            step(way)


def test_connections():
    about("Connections reach the server and are answered by it. Aggregates reach it whole, or are cut by the device's queue.")
    with check("the director says how packets leave"):
        same({"kind": "l3dsr", "dscp": DSCP}, director.json("glbctl --json table show --running")[0]["forward"])
    each(lambda way: transfers.by_all_devices(way.url))


def test_datagrams():
    about("A real UDP socket on the VIP gets datagrams, with and without a checksum, and its answers come from the VIP.")
    each(datagrams)


NO_CHECK = 11  # SO_NO_CHECK


def datagrams(way):
    there = udp_socket(proxy1, way.vip, 1500)
    here = udp_socket(client, way.client, 0)
    for what, option in (("with a checksum", 0), ("without one", 1)):
        if option and way.family == 6:
            continue  # IPv6 sockets send one
        here.setsockopt(1, NO_CHECK, option)
        here.sendto(b"hello", (way.vip, 1500))
        data, sender = there.recvfrom(100)
        there.sendto(b"answer", sender)
        answer, source = here.recvfrom(100)
        with check(what):
            same((b"hello", way.client, b"answer", way.vip), (data, sender[0], answer, source[0]))


def test_echo():
    about("Echo requests are answered by the server, from the VIP.")
    each(echo)


def echo(way):
    count = begin(director)
    client.run("ping -c 3 -i 0.2 -W 20", way.vip)
    count.exactly(encapsulated_echo_packets=3, encapsulated_bytes=3 * (84 if way.family == 4 else 104))


def test_packets():
    about("Every kind of packet leaves as if it were made anew for the backend: addresses, DSCP, ECN, TTL, checksums.")
    each(packets)


def packets(way):
    marks = counted_by_rule(way)
    error = icmp(*way.too_big, rest=b"\0\0\5\0", payload=ip(way.vip, way.client, tcp(80, 4000, "A")))
    count = begin(director)
    total = 0
    for what, transport, more in (
        ("TCP", tcp(4000, 80, "A", payload=b"odd"), {"tos": 0xBA}),
        ("UDP", udp(4000, 1500, b"hello"), {"tos": 0x01}),
        ("UDP without a checksum", udp(4000, 1500, b"hello", check=False), {"tos": 0xFF}),
        ("an echo request", icmp(way.echo, 0, b"\0\1\0\2", b"data"), {}),
        ("an ICMP error about the VIP's packet", error, {}),
        ("a packet whose TTL just lasts", tcp(4000, 80, "A"), {"ttl": 2}),
    ):
        total += arrives(way, what, transport, more)
    whole = udp(4000, 1500, b"x" * 2000)
    for what, part in (("the first fragment", (0, True, 0, 1000)), ("the last fragment", (1000, False, 1000, 2008))):
        total += arrives(way, what, whole, {"fragment": part, "ident": 99, "tos": 2})
    count.exactly(
        encapsulated_packets=5,
        encapsulated_icmp_error_packets=1,
        encapsulated_echo_packets=1,
        encapsulated_fragment_packets=1,
        encapsulated_bytes=total,
    )
    with check("the server's rule for the DSCP saw all of them"):
        eventually(lambda: same(marks + 8, counted_by_rule(way)))


def counted_by_rule(way):
    """Packets that the server's rule of iptables has seen."""
    rule = proxy1.output("%s -t mangle -nvxL PREROUTING" % ("iptables" if way.family == 4 else "ip6tables")).splitlines()[2]
    return int(rule.split()[0])


def arrives(way, what, transport, more):
    want = way.sent(transport, **more)
    send(client, director, way.packet(transport, **more))
    with check(what):
        same(want, recv(proxy1, lambda packet: packet[-4:] == want[-4:] and is_marked(packet)))
    return len(want)


def is_marked(packet):
    tos = packet[1] if packet[0] >> 4 == 4 else (packet[0] << 4 | packet[1] >> 4) & 255
    return tos >> 2 == DSCP


def test_bytes():
    about("What leaves is what glbctl encap says, byte for byte.")
    director.run("ethtool -K eth0 tso off gso off tx off")
    to = "tcp and ( dst host %s or dst host %s )" % (proxy1.ipv4, proxy1.ipv6)
    sends_the_same((client, director, proxy1), flows(director, (VIP4, VIP6)), tables, to)
    director.run("ethtool -K eth0 tx on tso on gso on")


def test_mtu():
    about("Nothing is added: a packet of the path's MTU goes; a longer one is fragmented, or its sender told the MTU itself.")
    each(mtu)


def mtu(way):
    way.ip("route add %s dev eth0 mtu 1300" % way.to)
    head = 28 if way.family == 4 else 48
    fits, long = (udp(4000, 1500, b"m" * (length - head)) for length in (1300, 1301))
    count = begin(director)
    arrives(way, "a packet of 1,300 bytes", fits, {})
    send(client, director, way.packet(long))
    told = recv(client, lambda packet: is_icmp(packet, way.too_big))
    at = 20 if way.family == 4 else 40
    with check("the sender is told 1,300"):
        same(1300, int.from_bytes(told[at + 4 : at + 8], "big"))
    with check("about the packet as it was"):
        same(way.packet(long)[:64], told[at + 8 : at + 72])
    counted = {"encapsulated_packets": 1, "encapsulated_bytes": 1300, "dropped_too_big_packets": 1, "icmp_too_big_sent": 1}
    if way.family == 4:
        send(client, director, way.packet(long, df=False, ident=7))
        parts = []
        for part in ((0, True, 0, 1280), (1280, False, 1280, 1281 + 0)):
            want = way.sent(long, df=False, ident=7, fragment=part)
            parts.append(want)
            with check("the fragment from byte %d" % part[0]):
                same(want, recv(proxy1, lambda packet: len(packet) == len(want) and is_marked(packet)))
        counted["encapsulated_packets"] += 1
        counted["encapsulated_bytes"] += sum(map(len, parts))
        counted["fragments_sent"] = 2
    count.exactly(**counted)
    way.ip("route del %s dev eth0 mtu 1300" % way.to)


def test_ttl():
    about("A packet whose TTL ends at the director is left to the stack, which answers as a router.")
    director.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    # Forwarding takes away the routes that came with it; and redirects are no answer.
    director.run("sysctl -qw net.ipv4.conf.all.send_redirects=0")
    each(ttl)
    director.run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")


def ttl(way):
    count = begin(director)
    send(client, director, way.packet(tcp(4000, 80, "A"), ttl=1))
    with check("it hears that time has run out"):
        recv(client, lambda packet: is_icmp(packet, way.expired))
    with check("and no server gets it"):
        nothing(proxy1, is_marked)
    count.exactly(passed_ttl_packets=1)


def test_strange():
    about("Packets that cannot be changed are dropped or left to the stack, and counted.")
    watch()
    count = begin(director)
    # A TCP header in two fragments: the checksum is in the second.
    whole = tcp(4000, 80, "S")
    send(client, director, ip(client.ipv4, VIP4, whole, fragment=(0, True, 0, 8), ident=5))
    # A TCP header that ends before its checksum.
    send(client, director, ip(client.ipv4, VIP4, raw(6, b"\x0f\xa0\0\x50" + bytes(8))))
    with check("no server gets them"):
        nothing(proxy1, is_marked)
    count.exactly(dropped_fragment_packets=1)


def test_routes():
    about("A routing rule that names a client holds for its packets, and one that names the DSCP; no route is kept wrongly.")
    each(routes)


def routes(way):
    way.ip("route replace default via %s dev eth0 onlink table 100" % way.by)
    for address, host in ((way.by, proxy2), (way.to, proxy1)):
        way.ip("neigh replace %s lladdr %s dev eth0 nud permanent" % (address, host.mac))
    goes(way, "by the main table", proxy1)
    way.ip("rule add pref 100 from %s table 100" % way.client)
    goes(way, "the rule names the client", proxy2)
    goes(way, "another client is not meant", proxy1, sender="10.2.0.9" if way.family == 4 else "fd02::9")
    way.ip("rule del pref 100")
    goes(way, "the rule is gone", proxy1)
    way.ip("rule add pref 100 tos 0x%02x table 100" % TOS)
    goes(way, "the rule names the DSCP", proxy2)
    way.ip("rule del pref 100")
    goes(way, "that rule is gone too", proxy1)


def test_multipath():
    about("Of two equal ways to a server all packets take one; by the client's ports, if the machine's hash policy has ports.")
    watch()
    each(multipath)


def multipath(way):
    bits, other = (32, "10.1.0.9") if way.family == 4 else (128, "fd01::9")
    for address, host in ((way.by, proxy2), (other, proxy1)):
        way.ip("neigh replace %s lladdr %s dev eth0 nud permanent" % (address, host.mac))
    way.ip("route replace %s/%d nexthop via %s dev eth0 onlink nexthop via %s dev eth0 onlink" % (way.to, bits, way.by, other))
    for policy, ways in ((0, 1), (1, 2)):
        director.run("sysctl -qw net.ipv%d.fib_multipath_hash_policy=%d" % (way.family, policy))
        # A route that was kept by the policy before is not.
        way.ip("route flush cache")
        forget()
        send(client, director, *(way.packet(tcp(5000 + number, 80, "A")) for number in range(40)))
        taken = []
        for host in (proxy1, proxy2):
            settle(host)
            taken.append(sum(is_marked(packet) for packet in capture_of(host).packets))
        with check("policy %d: %d way(s), and no packet is lost" % (policy, ways)):
            same((40, ways), (sum(taken), sum(number > 0 for number in taken)))
    forget()
    director.run("sysctl -qw net.ipv%d.fib_multipath_hash_policy=0" % way.family)
    way.ip("route del %s/%d" % (way.to, bits))
    way.ip("neigh replace %s lladdr %s dev eth0 nud permanent" % (way.to, proxy1.mac))


def goes(way, what, host, sender=None):
    sender = sender or way.client
    want = ip(sender, way.to, tcp(4001, 80, "A"), ttl=63, tos=TOS)
    send(client, director, ip(sender, way.vip, tcp(4001, 80, "A")))
    with check("%s: it reaches %s" % (what, host)):
        same(want, recv(host, lambda packet: packet == want))


def test_here():
    about("A backend that is the director itself gets its share, through its own rules, and answers.")
    own = [way.table(backend(way.here), backend(way.by, "draining"), name="self") for way in WAYS]
    load(director, table_file("here.json", *own))
    server(director)
    each(here)
    director.run("nft delete table inet l3dsr")
    director.ip("addr del %s/32 dev lo\naddr del %s/128 dev lo" % (VIP4, VIP6))
    load(director, tables)


def here(way):
    listening = listener(director, way.vip, 8080)
    connection = connect(client, way.client, way.vip, 8080)
    server_end = accepted(listening)
    with check("it says something"):
        says(connection, server_end, b"hello")
    with check("and is answered"):
        says(server_end, connection, b"answer")


def test_shapes():
    about("Packets and aggregates of every shape, in every state of their checksum, leave as the packets that they were made of.")
    devices(director, [way.to for way in WAYS])
    director.run("glbctl attach in")
    ends = ((4, "src=10.2.0.1 dst=" + VIP4), (6, "src=fd02::1 dst=" + VIP6))
    given = [line for proto in ("proto=tcp", "proto=udp dport=1500") for line in lines(ends, proto)]
    shapes(director, given, "encapsulated_packets", "--dscp", DSCP, "--backend", proxy1.ipv4, "--backend", proxy1.ipv6)
    director.run("glbctl detach in")
    devices_gone(director)


main("rust_glb_director")
