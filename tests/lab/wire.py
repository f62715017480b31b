#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The packet program of the lab: makes, sends, captures and compares packets, on every host of the lab.

lib.sh starts it once a file (`wire` in the scenarios), because starting Python takes up to a second in the guest.
It reads lines of Python from standard input and runs them one by one; after each it prints `done` or
`failed`. Names that a line sets are there for the next ones.

Making packets (addresses are text, results are bytes):

    tcp(sport, dport, flags='A', seq, ack, payload, options)    flags: letters of SFRPAU
    udp(sport, dport, payload)
    icmp(type, code, rest, payload)                             ICMP or ICMPv6, by the packet around it
    raw(proto, payload)
    ip(src, dst, transport, ...)                                IPv4 or IPv6, by the addresses; see there
    gue(inner, hops, index, ...)                                the tunnel header and the packet inside
    tunnel(dst, inner, hops, index, ...)                        the whole packet of a director, from IP on
    moved(packet)                                               what a proxy must make of it (own model)

Doing:

    send(host, to, packet, ...)           from host's eth0 to the MAC address of host `to`
    recv(host, match)                     next captured packet (from IP on) for which match(packet) holds
    expect(host, packet, ...)             next captured GUE packets of the host are exactly these, in this order
    nothing(host, match)                  no GUE packet was captured that was not looked at yet, nor is one under way
    settle(host)                          whatever was under way to the host is there
    pump(until)                           packets flow until something holds
    listener(host, address, port, ...)    a listening TCP socket on the host
    accepted(listening)                   the next connection of a listener
    connect(host, src, dst, port)         a TCP connection through the kernel of the host; returns the socket
    says(one, other, data)                what one end of a connection sends comes out at the other
    hears(connection, data)               this comes out next
    eof(connection)                       whether the other end said its last
    udp_socket(host, address, port)
    director(host)                        what the host routes to its device glb0 goes to the proxies: see steer
    steer(hop, ...)                       ... to the first hop, the others in the list

Captures see what arrives at a host, before iptables does.

All of these wait for what must come, and give up only when it hangs (PATIENCE): no line depends on how fast the machine is.
"""

import collections
import fcntl
import ipaddress
import itertools  # noqa: F401 (for the lines)
import mmap
import os
import select
import socket
import struct
import sys
import time
import traceback

PORT = 19523
ETH_P_ALL = 3
TUNSETIFF = 0x400454CA
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_RX_RING, PACKET_VERSION = 263, 5, 10
TPACKET_V2, TP_STATUS_USER = 1, 1
# So many rounds of 50 ms without a packet, and so long at least: a machine that does not get to its work does not get to
# these rounds either.
PATIENCE = 600
# A frame of no protocol (an experimental EtherType) that shows that all before it have arrived.
FENCE = b"\x88\xb5"


# --- making packets ---------------------------------------------------------------------------------


def packed(address):
    return ipaddress.ip_address(address).packed


def text(address):
    return str(ipaddress.ip_address(address))


def ones_sum(data):
    """The Internet checksum of data."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(src, dst, proto, length):
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, proto, length)
    return src + dst + struct.pack("!IHBB", length, 0, 0, proto)


class Transport:
    """A transport header with its payload; the checksum is made when the addresses are known."""

    def __init__(self, proto, data, check_at, proto6=None):
        self.proto, self.data, self.check_at, self.proto6 = proto, data, check_at, proto6

    def build(self, src, dst):
        proto = self.proto6 if self.proto6 and len(src) == 16 else self.proto
        data = self.data
        if self.check_at is not None:
            plain = proto == 1
            head = b"" if plain else pseudo(src, dst, proto, len(data))
            check = ones_sum(head + data)
            if proto == 17 and check == 0:
                check = 0xFFFF
            data = data[: self.check_at] + struct.pack("!H", check) + data[self.check_at + 2 :]
        return proto, data


FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}


def tcp(sport, dport, flags="A", seq=1, ack=1, payload=b"", options=b"", window=8192):
    bits = sum(FLAGS[letter] for letter in flags)
    words = 5 + len(options) // 4
    data = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words << 4, bits, window, 0, 0)
    return Transport(6, data + options + payload, 16)


def udp(sport, dport, payload=b"", check=True):
    return Transport(17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload, 6 if check else None)


def icmp(kind, code, rest=b"\0\0\0\0", payload=b""):
    return Transport(1, struct.pack("!BBH", kind, code, 0) + rest + payload, 2, 58)


def raw(proto, payload=b""):
    return Transport(proto, payload, None)


def ip(src, dst, transport, ttl=64, ident=0, df=True, options=b"", fragment=None, extensions=(), tos=0):
    """A packet. `fragment` is (offset in bytes, more, first byte of the payload, its end): that part of it.
    `extensions` (IPv6) is a list of (protocol number, bytes); the first of the bytes is filled in."""
    src, dst = packed(src), packed(dst)
    proto, data = transport.build(src, dst)
    offset, more = 0, False
    if fragment:
        offset, more, start, end = fragment
        data = data[start:end]
    if len(src) == 4:
        bits = (0x2000 if more else 0) | (0x4000 if df and not fragment else 0) | offset // 8
        words = 5 + len(options) // 4
        head = struct.pack("!BBHHHBBH", 0x40 | words, tos, words * 4 + len(data), ident, bits, ttl, proto, 0)
        head += src + dst + options
        return head[:10] + struct.pack("!H", ones_sum(head)) + head[12:] + data
    extensions = list(extensions)
    if fragment:
        extensions.append((44, struct.pack("!BBHI", 0, 0, offset | more, ident)))
    chain, following = b"", proto
    for kind, body in reversed(extensions):
        chain = bytes([following]) + body[1:] + chain
        following = kind
    head = struct.pack("!IHBB", 6 << 28 | tos << 20, len(chain) + len(data), following, ttl) + src + dst
    return head + chain + data


def gue(inner, hops=(), index=0, proto=None, kind=None, first=None, flags=0, count=None, version=0, control=0, hlen=None):
    """The GUE header with the list of hops. Everything that can be wrong can be given."""
    hops = [packed(hop) for hop in hops]
    wide = bool(hops) and len(hops[0]) == 16
    words = len(hops) * (4 if wide else 1)
    proto = proto if proto is not None else {4: 4, 6: 41}[inner[0] >> 4]
    kind = kind if kind is not None else int(wide)
    hlen = hlen if hlen is not None else 1 + words
    first = first if first is not None else version << 6 | control << 5 | hlen
    head = struct.pack("!BBHHBB", first, proto, flags, kind, index, len(hops) if count is None else count)
    return head + b"".join(hops) + inner


DIRECTOR = {4: "65.65.65.65", 6: "fd65::65"}


def tunnel(
    dst, inner, hops=(), index=0, src=None, sport=None, check=False, options=b"", extensions=(), ttl=64, ident=0, **header
):
    """A director's packet, from the outer IP header on. `check`: with a UDP checksum."""
    six = ":" in dst
    src = src or DIRECTOR[6 if six else 4]
    if six and not hops:
        header.setdefault("kind", 1)
    sport = sport if sport is not None else 0x8123
    body = gue(inner, hops, index, **header)
    return ip(src, dst, udp(sport, PORT, body, check), ttl=ttl, ident=ident, options=options, extensions=extensions)


def outer(packet):
    """Offset of the outer UDP header."""
    if packet[0] >> 4 == 4:
        return (packet[0] & 15) * 4
    at, proto = 40, packet[6]
    while proto in (0, 43, 60):
        proto, at = packet[at], at + (packet[at + 1] + 1) * 8
    return at


def is_gue(packet):
    six = packet[0] >> 4 == 6
    if not six and packet[9] != 17:
        return False
    at = outer(packet)
    return len(packet) >= at + 8 and packet[at + 2 : at + 4] == struct.pack("!H", PORT)


def moved(packet):
    """What the next proxy must get: source = old destination, destination = the hop, the index one up; checksums
    made anew."""
    at = outer(packet)
    size, start = (16, 8) if packet[0] >> 4 == 6 else (4, 12)
    out = bytearray(packet)
    index = out[at + 14]
    hop = bytes(out[at + 16 + index * size : at + 16 + (index + 1) * size])
    out[start : start + size] = out[start + size : start + 2 * size]
    out[start + size : start + 2 * size] = hop
    out[at + 14] = index + 1
    if size == 4:
        out[10:12] = b"\0\0"
        out[10:12] = struct.pack("!H", ones_sum(bytes(out[:at])))
    if out[at + 6 : at + 8] != b"\0\0":
        out[at + 6 : at + 8] = b"\0\0"
        body = bytes(out[at:])
        check = ones_sum(pseudo(bytes(out[start : start + size]), hop, 17, len(body)) + body)
        out[at + 6 : at + 8] = struct.pack("!H", check or 0xFFFF)
    return bytes(out)


def with_source_port(packet, port):
    """The packet from another source port, with its checksum made for it."""
    at = outer(packet)
    out = packet[:at] + struct.pack("!H", port) + packet[at + 2 : at + 6] + b"\0\0" + packet[at + 8 :]
    size, start = (16, 8) if packet[0] >> 4 == 6 else (4, 12)
    src, dst = out[start : start + size], out[start + size : start + 2 * size]
    check = ones_sum(pseudo(src, dst, 17, len(out) - at) + out[at:]) or 0xFFFF
    return out[: at + 6] + struct.pack("!H", check) + out[at + 8 :]


def sum_is(packet, want):
    """The packet from that source port with which its checksum is `want`."""
    at = outer(packet)
    port, check = struct.unpack_from("!H", packet, at)[0], struct.unpack_from("!H", packet, at + 6)[0]
    # The sum of port and checksum stays, in ones' complement.
    out = with_source_port(packet, (port + check - want) % 65535)
    if out[at + 6 : at + 8] != struct.pack("!H", want):
        raise Failed("no source port makes the checksum %x" % want)
    return out


def sum_becomes(packet, want):
    """The same for the checksum that the packet has when it was moved."""
    at, (plain,) = outer(packet), struct.unpack("!H", moved(packet)[outer(packet) + 6 : outer(packet) + 8])
    old = struct.unpack_from("!H", packet, at)[0]
    port = (old + plain - want) % 65535
    out = with_source_port(packet, port)
    if moved(out)[at + 6 : at + 8] != struct.pack("!H", want):
        raise Failed("no source port makes the checksum become %x" % want)
    return out


def tcp_of(packet):
    """The TCP header of a packet (or None): .sport .dport .seq .ack .flags (letters)."""
    six = packet[0] >> 4 == 6
    at = 40 if six else (packet[0] & 15) * 4
    if (packet[6] if six else packet[9]) != 6:
        return None
    sport, dport, seq, ack, _, bits = struct.unpack_from("!HHIIBB", packet, at)
    names = "".join(letter for letter, bit in FLAGS.items() if bits & bit)
    return collections.namedtuple("Tcp", "sport dport seq ack flags")(sport, dport, seq, ack, names)


def answers(packet, dport, flags):
    """Whether it is TCP to that port with exactly those flags (any order)."""
    found = tcp_of(packet)
    return bool(found) and found.dport == dport and set(found.flags) == set(flags)


# --- hosts ------------------------------------------------------------------------------------------

hosts = {}
home = os.open("/proc/self/ns/net", os.O_RDONLY)


class Inside:
    """With Inside(host): sockets and files are those of the host's namespace."""

    def __init__(self, host):
        self.path = "/run/netns/" + host

    def __enter__(self):
        namespace = os.open(self.path, os.O_RDONLY)
        os.setns(namespace, 0x40000000)
        os.close(namespace)

    def __exit__(self, *_):
        os.setns(home, 0x40000000)


class Host:
    """A host, and what arrives at it. Captures are a ring that the kernel copies each packet into as it arrives: a
    plain packet socket shares the packet's memory with fou, which changes the outer length when it decapsulates."""

    FRAME, FRAMES = 4096, 256

    def __init__(self, name, mac):
        self.name, self.mac = name, bytes.fromhex(mac.replace(":", ""))
        self.packets = collections.deque(maxlen=4096)
        with Inside(name):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        size = self.FRAME * self.FRAMES
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("IIII", size, 1, self.FRAME, self.FRAMES))
        self.ring = mmap.mmap(self.socket.fileno(), size)
        self.at = 0
        self.fences = set()
        self.socket.bind(("eth0", ETH_P_ALL))

    def drain(self):
        # A device that goes down leaves an error at its socket, which stays ready until somebody asks for it.
        self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        while True:
            start = self.at * self.FRAME
            status, _, snaplen, mac = struct.unpack_from("IIIH", self.ring, start)
            if not status & TP_STATUS_USER:
                return
            kind = self.ring[start + 32 + 10]  # sll_pkttype, behind struct tpacket2_hdr
            frame = self.ring[start + mac : start + mac + snaplen]
            struct.pack_into("I", self.ring, start, 0)
            self.at = (self.at + 1) % self.FRAMES
            if kind != PACKET_OUTGOING and frame[12:14] in (b"\x08\0", b"\x86\xdd"):
                self.packets.append(frame[14:])
            elif kind != PACKET_OUTGOING and frame[12:14] == FENCE:
                self.fences.add(frame[14:18])


def look_for_hosts(path):
    try:
        lines = open(path).read().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        name, mac = line.split()[:2]
        if name not in hosts:
            hosts[name] = Host(name, mac)


# --- doing ------------------------------------------------------------------------------------------

kept = []  # sockets that a test made
tuns = {}  # of directors: file -> raw sockets
path_of_flows = []  # hops
fences = itertools.count()


class Failed(Exception):
    pass


def pump(until=None):
    """Let packets flow: those that are there, or until something holds, for as long as PATIENCE has; says whether it did."""
    start, silent = time.monotonic(), 0
    while True:
        if until and until():
            return True
        waiting = [host.socket for host in hosts.values()] + list(tuns)
        ready = select.select(waiting, [], [], 0.05 if until else 0)[0]
        step(ready)
        if ready:
            silent = 0
            continue
        silent += 1
        if not until:
            return True
        if silent >= PATIENCE and time.monotonic() - start >= PATIENCE * 0.05:
            return until()


def settle(host):
    """Whatever was under way to the host when this was called has arrived. All processing of packets in the lab is in
    queues that are served in turns, and this process has one processor; so a frame that has gone between two hosts so many
    times has let each packet go through each queue on its way."""
    pump()
    if host not in hosts:
        return
    other = next(name for name in hosts if name != host)
    for trip in range(8):
        for source, target in ((other, host), (host, other)):
            mark = struct.pack("!I", next(fences) & 0xFFFFFFFF)
            frame = b"\xff" * 6 + hosts[source].mac + FENCE + mark + bytes(46)
            hosts[source].socket.send(frame)
            if not pump(until=lambda: mark in hosts[target].fences):
                raise Failed("a frame from %s does not arrive at %s" % (source, target))
    for each in hosts.values():
        each.fences.clear()


def step(ready):
    for host in hosts.values():
        if host.socket in ready:
            host.drain()
    for tun in list(tuns):
        if tun in ready:
            direct(tun)


def send(host, to, *packets):
    for packet in packets:
        kind = b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd"
        hosts[host].socket.send(hosts[to].mac + hosts[host].mac + kind + packet)
        pump()


def take(host, match):
    for index, packet in enumerate(hosts[host].packets):
        if match(packet):
            del hosts[host].packets[index]
            return packet
    return None


def recv(host, match=is_gue):
    found = []

    def look():
        packet = take(host, match)
        if packet:
            found.append(packet)
        return bool(found)

    if not pump(until=look):
        raise Failed("no such packet came to %s" % host)
    return found[0]


def expect(host, *packets):
    for want in packets:
        packet = recv(host)
        if packet != want:
            raise Failed("expected: %s\nthere is: %s" % (want.hex(), packet.hex()))


def nothing(host, match=is_gue):
    settle(host)
    packet = take(host, match)
    if packet:
        raise Failed("there is: %s" % packet.hex())


def same(want, have):
    if want != have:
        raise Failed("expected: %r\nthere is: %r" % (want, have))


def holds(value, what=""):
    if not value:
        raise Failed("it does not hold " + what)


def keep(something):
    kept.append(something)
    return something


def tcp_socket(host, address, device=None):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with Inside(host):
        made = keep(socket.socket(family, socket.SOCK_STREAM))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if device:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    made.setblocking(False)
    return made


def listener(host, address, port, backlog=16, device=None):
    made = tcp_socket(host, address, device)
    made.bind((address, port))
    made.listen(backlog)
    return made


def accepted(listening):
    """The next connection of a listener."""
    found = []

    def look():
        try:
            found.append(keep(listening.accept()[0]))
        except BlockingIOError:
            pass
        return bool(found)

    if not pump(until=look):
        raise Failed("nobody connected")
    found[0].setblocking(False)
    return found[0]


def connect(host, src, dst, port, sport=0):
    made = tcp_socket(host, src)
    made.bind((src, sport))
    try:
        made.connect((dst, port))
    except BlockingIOError:
        pass
    if not pump(until=lambda: bool(select.select([], [made], [], 0)[1])):
        raise Failed("no connection")
    error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise Failed("no connection: " + os.strerror(error))
    return made


def says(sender, receiver, data=b"hello"):
    """What one end of a connection says comes out at the other end."""
    sender.send(data)
    hears(receiver, data)


def hears(receiver, data):
    """This comes out of the connection next."""
    got = bytearray()

    def look():
        try:
            got.extend(receiver.recv(65536))
        except BlockingIOError:
            pass
        return len(got) >= len(data)

    pump(until=look)
    same(data, bytes(got))


def director(host):
    """A director in user space: what is routed to its device goes to the proxies of steer()."""
    with Inside(host):
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"glb0", 0x1001))
        four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    tuns[tun] = (four, six)


def steer(*hops):
    path_of_flows[:] = hops


def direct(tun):
    while True:
        try:
            packet = os.read(tun, 65536)
        except BlockingIOError:
            return
        multicast = packet[24] == 0xFF if packet[0] >> 4 == 6 else packet[16] >> 4 == 14
        if multicast or not path_of_flows:
            continue  # what the device's own kernel tells its neighbours is no client's
        first = path_of_flows[0]
        out = tunnel(first, packet, path_of_flows[1:])
        four, six = tuns[tun]
        if ":" in first:
            six.sendto(out, (first, 0))
        else:
            four.sendto(out, (first, 0))


def udp_socket(host, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with Inside(host):
        made = keep(socket.socket(family, socket.SOCK_DGRAM))
    made.bind((address, port))
    made.settimeout(PATIENCE * 0.05)
    return made


def plain_capture(host):
    """A packet socket without a ring: it shares the memory of packets until it is read."""
    with Inside(host):
        made = keep(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    made.bind(("eth0", ETH_P_ALL))
    made.setblocking(False)
    return made


def frames(capture):
    found = []
    while True:
        try:
            found.append(capture.recv(65536))
        except BlockingIOError:
            return found


def eof(connection):
    """Whether the other end of a connection said its last (what came before is read and dropped)."""
    try:
        while connection.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False


def outer_src(packet):
    return packet[8:24] if packet[0] >> 4 == 6 else packet[12:16]


def counters_to(path, host):
    with Inside(host), open("/proc/thread-self/net/glb_redirect") as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text)


def reset_captures():
    pump()
    for host in hosts.values():
        host.packets.clear()


def reset():
    """Between tests: captures and sockets of the last one are gone."""
    for made in kept:
        made.close()
    kept.clear()
    reset_captures()


# --- the lines --------------------------------------------------------------------------------------


def main():
    # See settle().
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    names = globals()
    buffered = b""
    while True:
        ready = select.select([0] + [host.socket for host in hosts.values()] + list(tuns), [], [])[0]
        step([one for one in ready if one != 0])
        if 0 not in ready:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        buffered += data
        while b"\n" in buffered:
            line, buffered = buffered.split(b"\n", 1)
            look_for_hosts(sys.argv[1])
            try:
                exec(line.decode(), names)
                answer = "done"
            except Failed as error:
                answer = "%s\nfailed" % error
            except Exception:
                answer = traceback.format_exc().strip() + "\nfailed"
            sys.stdout.write(answer + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
