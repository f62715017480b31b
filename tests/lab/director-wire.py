#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The director on the wire: what it makes of clients' packets, byte for byte, and what it leaves alone.

    client ---> director ===GUE===> proxy1, proxy2
"""

from lab.captures import expect, nothing, recv, send
from lab.director import ROW4, ROW6, begin, config, load, load_module, sport, table, table_file
from lab.hosts import Host, guest, make
from lab.packets import icmp, ip, is_gue, packed, raw, tcp, tunnel, udp
from lab.run import main
from lab.settings import VIP4, VIP6
from lab.story import about, check, same

CLIENT4, CLIENT6 = "10.11.12.13", "fd91:79d3:d621::1234"
SYN = bytes.fromhex("4500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000")
TUNNELLED = bytes.fromhex(
    "45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e"
    "0050000000000000000050022000c50a0000"
)

client = Host("client", CLIENT4, "fd11::13")
director = Host("director", "65.65.65.65", "fd65::65", "link set eth0 mtu 1500")
proxy1 = Host("proxy1", "3.4.5.6", "fd01::1")
proxy2 = Host("proxy2", "2.3.4.5", "fd01::2")


def setup():
    global v4, v6
    make(client, director, proxy1, proxy2)
    load_module()
    v4 = table_file("v4.json", table(proxy1.ipv4, proxy2.ipv4))
    v6 = table_file("v6.json", table(proxy1.ipv6, proxy2.ipv6))
    load(director, v4)
    director.run("glbctl attach eth0")


def by_proxy1(packet, port, **more):
    """What proxy1 gets of the vector's client, whose port this is."""
    return tunnel("3.4.5.6", packet, ["2.3.4.5"], sport=sport(ROW4, port), **more)


def by_proxy2(packet, port, **more):
    """What proxy2 gets of the IPv6 client."""
    return tunnel("2.3.4.5", packet, ["3.4.5.6"], sport=sport(ROW6, port), **more)


def test_vector():
    about("A SYN of the vector's client leaves as the deployed directors send it, and padding of the frame is not carried.")
    count = begin(director)
    send(client, director, SYN + bytes(6))
    with check("proxy1 gets the vector's bytes"):
        expect(proxy1, TUNNELLED)
    count.exactly(encapsulated_bytes=80, encapsulated_packets=1)


def test_left_alone():
    about("What matches no bind goes on up the stack, untouched.")
    count = begin(director)
    send(client, director, ip(CLIENT4, VIP4, tcp(1234, 81, "S")))
    send(client, director, ip(CLIENT4, VIP4, udp(1234, 999)))
    send(client, director, ip(CLIENT4, VIP4, raw(47, b"0123")))
    with check("nothing reached a proxy"):
        nothing(proxy1)
    count.exactly(passed_no_matching_bind_packets=2)
    with check("the director itself answers pings"):
        client.quietly("ping -c 1 -W 60 65.65.65.65")


def test_ipv6_client():
    about("An IPv6 client goes through the IPv4 underlay, with the source port of its hash.")
    count = begin(director)
    x = ip(CLIENT6, VIP6, tcp(4321, 80, "S"))
    send(client, director, x)
    with check("the row's primary gets it"):
        expect(proxy2, by_proxy2(x, 4321))
    count.exactly(encapsulated_bytes=100, encapsulated_packets=1)


def test_udp_and_options():
    about("UDP to a range of ports, and TCP behind IPv4 options, are tunnelled whole.")
    count = begin(director)
    x = ip(CLIENT4, VIP4, udp(53, 1500, b"hello"))
    y = ip(CLIENT4, VIP4, tcp(1024, 80, "A", payload=b"data"), options=bytes([7, 7, 4, 0, 0, 0, 0, 0]))
    send(client, director, x, y)
    with check("both arrive"):
        expect(proxy1, by_proxy1(x, 53), by_proxy1(y, 1024))
    count.exactly(encapsulated_bytes=165, encapsulated_packets=2)


def test_icmp():
    about("ICMP errors about a flow go where the flow goes, and so do echo requests to a bound address; other ICMP does not.")
    count = begin(director)
    # What a proxy sent to the vector's client, and a router could not pass on.
    sent = ip(VIP4, CLIENT4, tcp(80, 45678, "A"))
    error = ip("192.0.2.1", VIP4, icmp(3, 4, bytes(4), sent[:28]))
    echo = ip(CLIENT4, VIP4, icmp(8, 0, b"1234", b"ping"), ident=7)
    other = ip("192.0.2.1", VIP4, icmp(3, 3, bytes(4), sent[:28]))
    send(client, director, error, echo, other)
    with check("the error comes with the client's port, the echo with its identification"):
        expect(proxy1, by_proxy1(error, 45678), by_proxy1(echo, 7))
    count.exactly(encapsulated_bytes=168, encapsulated_echo_packets=1, encapsulated_icmp_error_packets=1)


def test_fragments():
    about("Later fragments take the first one's way, source port and all.")
    count = begin(director)
    whole = tcp(999, 80, "A", payload=bytes(range(200)))
    first = ip(CLIENT4, VIP4, whole, ident=77, df=False, fragment=(0, True, 0, 104))
    later = ip(CLIENT4, VIP4, whole, ident=77, df=False, fragment=(104, False, 104, 220))
    send(client, director, first, later)
    with check("both arrive alike"):
        expect(proxy1, by_proxy1(first, 999), by_proxy1(later, 999))
    count.exactly(encapsulated_bytes=340, encapsulated_fragment_packets=1, encapsulated_packets=1)


def is_icmp(packet):
    return packet[0] >> 4 == 4 and packet[9] == 1


def is_too_big6(packet):
    return packet[0] >> 4 == 6 and packet[6] == 58 and packet[40] == 2


def test_too_big():
    about("A client whose packet does not fit the tunnel is told so from the VIP, with the MTU that fits.")
    count = begin(director)
    x = ip(CLIENT4, VIP4, tcp(45678, 80, "A", payload=bytes(1460)))
    y = ip("fd11::13", VIP6, tcp(45678, 80, "A", payload=bytes(1440)))
    fits = 1460
    send(client, director, x)
    with check("IPv4: 1500 less 40 of headers"):
        p = recv(client, is_icmp)
        same(packed(VIP4) + bytes([3, 4]) + fits.to_bytes(2, "big") + x[:128], p[12:16] + p[20:22] + p[26:28] + p[28:156])
    send(client, director, y)
    with check("IPv6: the same"):
        p = recv(client, is_too_big6)
        same(packed(VIP6) + fits.to_bytes(4, "big") + y[:128], p[8:24] + p[44:48] + p[48:176])
    with check("nothing reached a proxy"):
        nothing(proxy1)
    count.exactly(dropped_too_big_packets=2, icmp_too_big_sent=2)


def test_udp_checksum():
    about("With a UDP checksum it is right, in both families, and by hardware's account as by the kernel's.")
    config(director, "--udp-checksum true")
    # The device completes no checksum: what is captured is what a wire would carry.
    director.run("ethtool -K eth0 tx off")
    count = begin(director)
    x = ip(CLIENT4, VIP4, tcp(45678, 80, "A", payload=b"odd"))
    y = ip(CLIENT6, VIP6, udp(4321, 1500, b"even"))
    send(client, director, x)
    with check("IPv4"):
        expect(proxy1, by_proxy1(x, 45678, check=True))
    send(client, director, y)
    with check("an IPv6 client"):
        expect(proxy2, by_proxy2(y, 4321, check=True))
    load(director, v6)
    send(client, director, x)
    with check("IPv6"):
        expect(proxy2, tunnel("fd01::2", x, ["fd01::1"], sport=sport(ROW4, 45678), check=True))
    count.exactly(encapsulated_bytes=40 + 43 + 40 + 52 + 72 + 43, encapsulated_packets=3)
    load(director, v4)
    config(director, "--udp-checksum false")
    director.run("ethtool -K eth0 tx on")


def test_may_be_fragmented():
    about("An IPv4 packet that does not fit and may be fragmented is, and its pieces take its way.")

    def piece(*place, **more):
        return by_proxy1(ip(CLIENT4, VIP4, whole, ident=78, fragment=place, **more), 999)

    def body(want):
        return lambda packet: is_gue(packet) and packet[40:] == want[40:]

    # 1460 bytes fit: 1440 of the payload, and the rest.
    count = begin(director)
    whole = tcp(999, 80, "A", payload=bytes(range(256)) * 5 + bytes(180))
    send(client, director, ip(CLIENT4, VIP4, whole, ident=78, df=False))
    with check("two pieces arrive"):
        expect(proxy1, piece(0, True, 0, 1440), piece(1440, False, 1440, 1480))
    count.exactly(encapsulated_bytes=1500 + 20 + 2 * 40, encapsulated_packets=1, fragments_sent=2)

    count = begin(director)
    send(client, director, ip(CLIENT4, VIP4, whole, ident=78, fragment=(1600, True, 0, 1480)))
    with check("so does a fragment, in its place"):
        recv(proxy1, body(piece(1600, True, 0, 1440)))
        recv(proxy1, body(piece(3040, True, 1440, 1480)))
    # Its first fragment was not seen: it goes by its addresses.
    count.exactly(encapsulated_bytes=1500 + 20 + 2 * 40, encapsulated_fragment_packets=1, fragments_sent=2)

    # Record route is for the first fragment, router alert for all.
    count = begin(director)
    whole = tcp(999, 80, "A", payload=bytes(1452))
    both, alert = bytes([7, 3, 4, 148, 4, 0, 0, 0]), bytes([1, 1, 1, 148, 4, 0, 0, 0])
    send(client, director, ip(CLIENT4, VIP4, whole, ident=78, df=False, options=both))
    with check("options are those that belong in each"):
        expect(proxy1, piece(0, True, 0, 1432, options=both), piece(1432, False, 1432, 1472, options=alert))
    count.exactly(encapsulated_bytes=1500 + 28 + 2 * 40, encapsulated_packets=1, fragments_sent=2)

    count = begin(director)
    send(client, director, ip(CLIENT4, VIP4, icmp(8, 0, b"1234", bytes(1472)), ident=7, df=False))
    recv(proxy1)
    recv(proxy1)
    with check("a ping too"):
        nothing(proxy1)
    count.exactly(encapsulated_bytes=1500 + 20 + 2 * 40, encapsulated_echo_packets=1, fragments_sent=2)


def test_segment_tcp():
    about("With segment-tcp a TCP packet that does not fit goes as two that do; one that must not be cut has its client told.")
    body = bytes(range(256)) * 5 + bytes(180)

    def part(start, end, ident, flags):
        return ip(CLIENT4, VIP4, tcp(999, 80, flags, seq=1 + start, payload=body[start:end]), ident=ident)

    def part6(start, end):
        return ip(CLIENT6, VIP6, tcp(999, 80, "A", seq=1 + start, payload=body[start:end]))

    config(director, "--segment-tcp true")
    director.run("ethtool -K eth0 tx off")
    count = begin(director)
    # The kernel counts the outer packets up, though the number says nothing where DF is set (RFC 6864).
    send(client, director, part(0, 1460, 78, "PA"))
    with check("IPv4: each with its numbers and checksums, the last one is pushed"):
        expect(proxy1, by_proxy1(part(0, 1420, 78, "A"), 999, ident=0), by_proxy1(part(1420, 1460, 79, "PA"), 999, ident=1))
    send(client, director, part6(0, 1440))
    with check("IPv6: the same"):
        expect(proxy2, by_proxy2(part6(0, 1400), 999, ident=0), by_proxy2(part6(1400, 1440), 999, ident=1))
    count.exactly(encapsulated_bytes=2 * 1540, encapsulated_packets=2, segmented_tcp=2)

    count = begin(director)
    wrong = bytearray(part(0, 1460, 80, "A"))
    wrong[100] ^= 1
    send(client, director, bytes(wrong))
    send(client, director, part(0, 1460, 81, "S"))
    send(client, director, ip(CLIENT4, VIP4, udp(53, 1500, bytes(1472))))
    with check("not one with a wrong checksum, no SYN, no UDP"):
        nothing(proxy1)
    count.exactly(dropped_too_big_packets=3, icmp_too_big_sent=3)
    director.run("ethtool -K eth0 tx on")
    config(director, "--segment-tcp false")


def test_ipv6_underlay():
    about("A table of IPv6 proxies, loaded in place of the other, tunnels over IPv6.")
    load(director, v6)
    count = begin(director)
    send(client, director, SYN)
    with check("the primary gets it, hops of 16 bytes"):
        expect(proxy2, tunnel("fd01::2", SYN, ["fd01::1"], sport=sport(ROW4, 45678)))
    count.exactly(encapsulated_bytes=112, encapsulated_packets=1)
    load(director, v4)


def test_lookup():
    about("glbctl says where a packet goes: in the file and in the running kernel alike.")
    flow = (CLIENT4 + ":45678", VIP4 + ":80")
    file = director.json("glbctl --json lookup --table", v4, *flow)
    running = director.json("glbctl --json lookup --running", *flow)
    with check("the file has the vector's hash and row"):
        same("008972f1657a5cbd", file["hashes"][0]["hash"])
    with check("so has the kernel"):
        same("008972f1657a5cbd", running["hashes"][0]["hash"])
    with check("the bind is named alike"):
        same(["tcp %s port 80" % VIP4] * 2, [answer["bind"] for answer in (file, running)])
        same(file["bind_index"], running["bind_index"])
    with check("the hops are the same"):
        same([hop["ip"] for hop in file["hops"]], [hop["ip"] for hop in running["hops"]])
    with check("and they are the vector's"):
        same(["3.4.5.6", "2.3.4.5"], [hop["ip"] for hop in file["hops"]])


def test_detached():
    about("A detached device is left alone, one that is removed is detached, and the module can go while devices are attached.")
    director.run("glbctl detach eth0")
    send(client, director, SYN)
    with check("nothing reaches a proxy"):
        nothing(proxy1)
    director.run("glbctl attach eth0")
    director.ip("link add gone type dummy\nlink set gone up")
    director.run("glbctl attach gone")
    director.ip("link del gone")
    with check("one device is left"):
        same(1, len(director.json("glbctl --json status")["devices"]))
    with check("rmmod"):
        guest.run("rmmod rust_glb_director")
    load_module()


main()
