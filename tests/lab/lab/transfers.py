# SPDX-License-Identifier: GPL-2.0
"""Real connections through the director, with the aggregates that devices make of them.

    transfer = Transfers(client, director, proxy1)
    transfer.upload(VIP4)               3 MB go to port 80 of the address, and arrive
    transfer.whole(VIP4)                the same; proxy1's device gets aggregates
    transfer.cut(VIP4)                  the same; it gets packets that were cut before
"""

import os

from lab.director import begin
from lab.hosts import guest
from lab.settings import work
from lab.story import check, holds, same, say
from lab.waiting import eventually

# No packet of a client is longer than this with its tunnel; what is, is an aggregate.
LONGEST = 1700
# What counts a packet that was not sent on, or a client that was told so.
LOST = ("dropped_too_big_packets", "dropped_no_memory_packets", "icmp_too_big_sent")
SIZE = 3000000


def listens(host, port):
    """Somebody listens on this TCP port."""
    holds(host.output("ss -Hltn", "sport = %d" % port), "a program of %s listens on port %d" % (host, port))


class Transfers:
    """From a client by a director to a proxy. `device` is the proxy's device, `port` where it listens."""

    def __init__(self, client, director, proxy, device="eth0", port=80):
        self.client, self.director, self.proxy, self.device, self.port = client, director, proxy, device, port
        self.data = work("data")
        if not os.path.exists(self.data):
            with open(self.data, "wb") as file:
                file.write(os.urandom(SIZE))

    def upload(self, address):
        """The data over a connection to port 80 of it."""
        arrived = work("arrived")
        if os.path.exists(arrived):
            os.remove(arrived)
        server = self.proxy.spawn("socat -u TCP6-LISTEN:%d,reuseaddr,ipv6only=0" % self.port, "CREATE:" + arrived, told=False)
        eventually(listens, self.proxy, self.port)
        say("%s: socat sends 3 MB to %s" % (self.client, address))
        status = self.client.status("socat -u", "OPEN:" + self.data, "TCP:%s:80" % address)
        with check("the upload ends in order"):
            server.succeeds()
        with check("the client's end too"):
            same(0, status)
        with check("what arrived is what was sent"):
            guest.quietly("cmp", self.data, arrived)
        with check("no checksum was wrong"):
            same(0, self._bad_checksums())

    def _bad_checksums(self):
        names = "TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors IpExtInCsumErrors"
        lines = self.proxy.output("nstat -asz", *names.split()).splitlines()[1:]
        # A name that there is none of has no line.
        same(set(names.split()), {line.split()[0] for line in lines})
        return sum(int(line.split()[1]) for line in lines)

    def _received(self):
        """Frames and bytes that came in on the proxy's device."""
        for line in self.proxy.read("/proc/thread-self/net/dev").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == self.device:
                length, frames = numbers.split()[:2]
                return int(frames), int(length)
        raise LookupError(self.device)

    def whole(self, address):
        mean = self._mean(address)
        with check("they reached the device whole"):
            holds(mean > LONGEST, "%d > %d" % (mean, LONGEST))
        self._all_went()

    def cut(self, address):
        mean = self._mean(address)
        with check("they were cut before the device"):
            holds(mean <= LONGEST, "%d <= %d" % (mean, LONGEST))
        self._all_went()

    def _mean(self, address):
        """An upload: how long what the proxy's device got was in the mean."""
        frames, length = self._received()
        self.count = begin(self.director)
        self.upload(address)
        frames, length = (now - before for now, before in zip(self._received(), (frames, length)))
        packets, sent, *self.lost = self.count.each("encapsulated_packets", "encapsulated_bytes", *LOST)
        say("the director sent %d packets, %d bytes" % (packets, sent))
        say("%s received %d bytes in the mean" % (self.proxy, length // frames))
        with check("the director got aggregates"):
            holds(sent // packets > LONGEST, "%d > %d" % (sent // packets, LONGEST))
        return length // frames

    def _all_went(self):
        with check("nothing was dropped, no client told"):
            same([0] * len(LOST), self.lost)
