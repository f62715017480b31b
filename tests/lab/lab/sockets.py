# SPDX-License-Identifier: GPL-2.0
"""Real sockets on the hosts.

    listener(host, address, port, ...)    a listening TCP socket on the host
    accepted(listening)                   the next connection of a listener
    connect(host, src, dst, port)         a TCP connection through the kernel of the host
    says(one, other, data)                what one end of a connection sends comes out at the other
    hears(connection, data)               this comes out next
    reset(connection, ...)                they end at once, and none of them sends anything again
    eof(connection)                       whether the other end said its last
    poured(one, other, data)              the same for what takes many packets
    udp_socket(host, address, port, ...)  a UDP socket; `shared`: others may have the port too

They live until the test ends, or forget_sockets().
"""

import os
import select
import socket
import struct

from lab.story import Failed, holds, same, say
from lab.traffic import PATIENCE, ROUND, keep, pump

# Those whose first argument is a host (wire.py).
OF_HOSTS = ("tcp_socket", "listener", "connect", "udp_socket")


def tcp_socket(host, address, device=None, proto=socket.IPPROTO_TCP):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with host.inside():
        made = keep(socket.socket(family, socket.SOCK_STREAM, proto))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if device:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    made.setblocking(False)
    return made


def listener(host, address, port, backlog=16, device=None, proto=socket.IPPROTO_TCP):
    say("%s listens on %s port %d" % (host, address, port))
    made = tcp_socket(host, address, device, proto)
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


def connect(host, src, dst, port, sport=0, proto=socket.IPPROTO_TCP):
    say("%s connects from %s to %s port %d" % (host, src, dst, port))
    made = tcp_socket(host, src, proto=proto)
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


def reset(*connections):
    for each in connections:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.close()


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


def poured(sender, receiver, data):
    """What one end of a connection says comes out at the other end, however many packets it is."""
    left, got = memoryview(data), bytearray()

    def look():
        nonlocal left
        while left:
            try:
                left = left[sender.send(left[:65536]) :]
            except BlockingIOError:
                break
        try:
            while len(got) < len(data):
                got.extend(receiver.recv(65536))
        except BlockingIOError:
            pass
        return len(got) >= len(data)

    pump(until=look)
    same(len(data), len(got))
    holds(data == bytes(got), "the same bytes")


def eof(connection):
    """Whether the other end of a connection said its last (what came before is read and dropped)."""
    try:
        while connection.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False


def udp_socket(host, address, port, shared=False):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with host.inside():
        made = keep(socket.socket(family, socket.SOCK_DGRAM))
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((address, port))
    made.settimeout(PATIENCE * ROUND)
    return made
