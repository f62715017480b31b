#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The lab's own captures: what a scenario believes has arrived.

    client ---> server      a flood, faster than the server's capture is read
"""

import select
import time

from lab import traffic
from lab.captures import capture_of, recv, send, settle, watch
from lab.hosts import Host, guest, make
from lab.packets import ip, udp
from lab.run import main
from lab.settings import work
from lab.story import about, at_least, check, same
from lab.waiting import eventually

client = Host("client", "10.2.0.1", "fd02::1")
server = Host("server", "10.1.0.1", "fd01::1")
PACKETS, TIMES = 10000, 20


def setup():
    make(client, server)


def slowly(drain):
    """The capture is read so slowly that its ring is full, and the kernel waits for each frame that is given back to it."""

    def drained():
        time.sleep(0.005)  # the flood overtakes
        drain()

    return drained


def test_full():
    about("A capture whose ring is full loses packets, but is never stuck: what comes after a flood is captured.")
    watch()
    flood = work("flood.pcap")
    words = "glb-packets flows --packets %d --flows %d --udp --to 10.1.0.1:80" % (PACKETS, PACKETS)
    guest.quietly(words, "--dst-mac", server.mac, "--out", flood)
    capture = capture_of(server)
    traffic.sources[capture.socket] = slowly(capture.drain)
    client.run("taskset -c 0 tcpreplay --intf1=eth0 --topspeed --no-flow-stats --preload-pcap --loop=%d" % TIMES, flood)
    traffic.sources[capture.socket] = capture.drain
    with check("packets of the flood were captured"):
        at_least(capture.FRAMES, len(capture.packets))

    def drained():
        capture.drain()
        same([], select.select([capture.socket], [], [], 0)[0])

    with check("its socket says that there is more only as long as there is"):
        eventually(drained)
    last = ip("10.2.0.1", "10.1.0.1", udp(1, 7, b"the last one"))
    send(client, server, last)
    with check("what comes after it is captured"):
        same(last, recv(server, lambda packet: packet == last))
        settle(server)


main()
