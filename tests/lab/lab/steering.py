# SPDX-License-Identifier: GPL-2.0
"""A director in user space, for scenarios of the proxies alone.

    director(host)         what the host routes to its device glb0 goes to the proxies: see steer
    steer(hop, ...)        ... to the first hop, the others in the list
"""

import fcntl
import os
import socket
import struct

from lab import traffic
from lab.packets import tunnel

TUNSETIFF = 0x400454CA
_path = []  # hops

# Those whose first argument is a host (wire.py).
OF_HOSTS = ("director",)


def director(host):
    with host.inside():
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"glb0", 0x1001))
        four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    traffic.sources[tun] = lambda: _direct(tun, four, six)


def steer(*hops):
    _path[:] = hops


def _direct(tun, four, six):
    while True:
        try:
            packet = os.read(tun, 65536)
        except BlockingIOError:
            return
        multicast = packet[24] == 0xFF if packet[0] >> 4 == 6 else packet[16] >> 4 == 14
        if multicast or not _path:
            continue  # what the device's own kernel tells its neighbours is no client's
        first = _path[0]
        out = tunnel(first, packet, _path[1:])
        (six if ":" in first else four).sendto(out, (first, 0))
