# SPDX-License-Identifier: GPL-2.0
"""Making packets: addresses are text, results are bytes.

    tcp(sport, dport, flags='A', seq, ack, payload, options)    flags: letters of SFRPAU
    udp(sport, dport, payload)
    sctp(sport, dport, payload, tag)                            a header and what chunks are given
    icmp(type, code, rest, payload)                             ICMP or ICMPv6, by the packet around it
    raw(proto, payload)
    ip(src, dst, transport, ...)                                IPv4 or IPv6, by the addresses; see there
    gue(inner, hops, index, ...)                                the tunnel header and the packet inside
    tunnel(dst, inner, hops, index, ...)                        the whole packet of a director, from IP on
    moved(packet)                                               what a proxy must make of it (own model)
"""

import collections
import socket
import struct

from lab.settings import GUE_PORT as PORT
from lab.story import Failed


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


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


def crc32c(data):
    """CRC32c, bit by bit (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sctp(sport, dport, payload=b"", tag=0x01020304, check=True):
    """Its checksum covers no addresses."""
    head = struct.pack("!HHI", sport, dport, tag)
    crc = crc32c(head + b"\0\0\0\0" + payload) if check else 0
    return raw(132, head + struct.pack("<I", crc) + payload)


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


def outer_src(packet):
    return packet[8:24] if packet[0] >> 4 == 6 else packet[12:16]


_NAMES = {1: "ICMP", 4: "IPv4", 6: "TCP", 17: "UDP", 41: "IPv6", 47: "GRE", 50: "ESP", 58: "ICMPv6", 132: "SCTP"}


def describe(packet):
    """A packet in a few words, for the story. It may be broken in any way."""
    size = "%d bytes" % len(packet)
    six = packet[:1] and packet[0] >> 4 == 6
    if len(packet) < (40 if six else 20):
        return size
    start, width, family = (8, 16, socket.AF_INET6) if six else (12, 4, socket.AF_INET)
    src, dst = (socket.inet_ntop(family, packet[at : at + width]) for at in (start, start + width))
    proto, at = (packet[6], 40) if six else (packet[9], (packet[0] & 15) * 4)
    words = "%s > %s %s" % (src, dst, _NAMES.get(proto, "protocol %d" % proto))
    if proto in (6, 17) and len(packet) >= at + 4:
        words += " %d > %d" % struct.unpack_from("!HH", packet, at)
        if proto == 6 and len(packet) >= at + 14:
            words += " " + "".join(letter for letter, bit in FLAGS.items() if packet[at + 13] & bit)
    elif proto in (1, 58) and len(packet) >= at + 2:
        words += " %d/%d" % (packet[at], packet[at + 1])
    return "%s, %s" % (words, size)
