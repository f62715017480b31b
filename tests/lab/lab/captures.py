# SPDX-License-Identifier: GPL-2.0
"""Packets on the wire: what a scenario sends byte for byte, and what arrives.

    send(host, to, packet, ...)           from host's eth0 to the link address of host `to`
    send_frame(host, frame, ...)          a frame as it is
    recv(host, match)                     next captured packet (from IP on) for which match(packet) holds
    expect(host, packet, ...)             next captured GUE packets of the host are exactly these, in this order
    nothing(host, match)                  no GUE packet was captured that was not looked at yet, nor is one under way
    settle(host)                          whatever was under way to the host is there
    watch()                               captures begin; the first send() begins them too

Captures see what arrives at the eth0 of every host, before iptables does. They are a test's own: none knows of the last test's.
All of these wait for what must come, and give up only when it hangs (traffic.PATIENCE).
"""

import collections
import itertools
import mmap
import socket
import struct

from lab import hosts, story, traffic
from lab.packets import describe, is_gue
from lab.story import Failed

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_RX_RING, PACKET_VERSION = 263, 5, 10
TPACKET_V2, TP_STATUS_USER = 1, 1
IPV4, IPV6, VLAN = b"\x08\0", b"\x86\xdd", b"\x81\0"
# A frame of no protocol (an experimental EtherType) that shows that all before it have arrived.
FENCE = b"\x88\xb5"
_fences = itertools.count()

# Those whose first argument is a host (wire.py).
OF_HOSTS = ("recv", "expect", "nothing", "settle", "plain_capture", "send_frame")


class Capture:
    """What arrives at a host: a ring that the kernel copies each packet into as it arrives. A plain packet socket shares the
    packet's memory with fou, which changes the outer length when it decapsulates."""

    FRAME, FRAMES = 4096, 256

    def __init__(self, host):
        self.packets = collections.deque(maxlen=4096)
        self.fences = set()
        with host.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        size = self.FRAME * self.FRAMES
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("IIII", size, 1, self.FRAME, self.FRAMES))
        self.ring = mmap.mmap(self.socket.fileno(), size)
        # A frame's status is written through this in one store. struct.pack_into would store twice, and in between the kernel
        # may have filled the frame of a full ring: its status would be lost, and nothing behind it would ever be taken.
        self.words = memoryview(self.ring).cast("I")
        self.at = 0
        self.socket.bind(("eth0", ETH_P_ALL))
        traffic.sources[self.socket] = self.drain

    def close(self):
        del traffic.sources[self.socket]
        self.words.release()
        self.ring.close()
        self.socket.close()

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
            self.words[start // 4] = 0
            self.at = (self.at + 1) % self.FRAMES
            if kind != PACKET_OUTGOING and frame[12:14] in (IPV4, IPV6):
                self.packets.append(frame[14:])
            elif kind != PACKET_OUTGOING and frame[12:14] == FENCE:
                self.fences.add(frame[14:18])

    def take(self, match):
        """The first packet that matches, or None."""
        for index, packet in enumerate(self.packets):
            if match(packet):
                del self.packets[index]
                return packet
        return None


def watch():
    """From now on what arrives at the hosts is captured."""
    traffic.pin()
    for host in hosts.made:
        if host.capture is None:
            host.capture = Capture(host)


def capture_of(host):
    if host.capture is None:
        raise Failed("nothing captured what arrived at %s: captures begin with send() or watch()" % host)
    return host.capture


def frame_for(host, to, packet):
    """The frame of a packet from host's eth0 to that of another."""
    return to.hardware + host.hardware + (IPV4 if packet[0] >> 4 == 4 else IPV6) + packet


def _tell(what, packet):
    if story.fd is not None:
        story.say("%s: %s" % (what, describe(packet)))


def send_frame(host, *frames):
    watch()
    for frame in frames:
        at, tags = 12, []
        while frame[at : at + 2] == VLAN:
            tags.append(" in VLAN %d" % (struct.unpack_from("!H", frame, at + 2)[0] & 0xFFF))
            at += 4
        _tell("%s sends to %s%s" % (host, frame[:6].hex(":"), "".join(tags)), frame[at + 2 :])
        host.capture.socket.send(frame)
        traffic.pump()


def send(host, to, *packets):
    watch()
    for packet in packets:
        _tell("%s sends to %s" % (host, to), packet)
        host.capture.socket.send(frame_for(host, to, packet))
        traffic.pump()


def recv(host, match=is_gue):
    capture, found = capture_of(host), []

    def look():
        packet = capture.take(match)
        if packet:
            found.append(packet)
        return bool(found)

    if not traffic.pump(until=look):
        raise Failed("no such packet came to %s" % host)
    _tell("%s gets" % host, found[0])
    return found[0]


def expect(host, *packets):
    for want in packets:
        packet = recv(host)
        if packet != want:
            raise Failed("expected: %s\nthere is: %s" % (want.hex(), packet.hex()))


def nothing(host, match=is_gue):
    settle(host)
    packet = capture_of(host).take(match)
    if packet:
        raise Failed("there is: %s\n%s" % (describe(packet), packet.hex()))


def forget():
    """What was captured is not looked at any more."""
    traffic.pump()
    for host in hosts.made:
        if host.capture:
            host.capture.packets.clear()


def settle(host):
    """Whatever was under way to the host when this was called has arrived. All processing of packets in the lab is in
    queues that are served in turns, and this process has one processor; so a frame that has gone between two hosts so many
    times has let each packet go through each queue on its way."""
    traffic.pump()
    other = next(each for each in hosts.made if each is not host)
    for trip in range(8):
        for source, target in ((other, host), (host, other)):
            mark = struct.pack("!I", next(_fences) & 0xFFFFFFFF)
            frame = b"\xff" * 6 + source.hardware + FENCE + mark + bytes(46)
            capture_of(source).socket.send(frame)
            fences = capture_of(target).fences
            if not traffic.pump(until=lambda: mark in fences):
                raise Failed("a frame from %s does not arrive at %s" % (source, target))
    for each in hosts.made:
        each.capture.fences.clear()


def plain_capture(host):
    """A packet socket without a ring: it shares the memory of packets until it is read."""
    with host.inside():
        made = traffic.keep(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    made.bind(("eth0", ETH_P_ALL))
    made.setblocking(False)
    return made


def frames(capture):
    """What a plain capture has."""
    found = []
    while True:
        try:
            found.append(capture.recv(65536))
        except BlockingIOError:
            return found
