# SPDX-License-Identifier: GPL-2.0
"""Captures in files, by tcpdump: for bursts, and for what is compared as a file.

    dump = Dump(sink, path)         what passes a host's eth0 is written to a file
    dump.end(10000)                 until now; a check says that it has everything, so many packets at least
    read(path, "-e")                what tcpdump says about a file, a line a packet
"""

import os
import signal

from lab import traffic
from lab.hosts import guest
from lab.settings import GUE_PORT, work
from lab.story import Failed, check, holds, say
from lab.waiting import eventually


class Dump:
    """A capture of a host's device, in a buffer that has room for a burst."""

    def __init__(self, host, path, filter="udp port %d" % GUE_PORT, device="eth0"):
        self.host, self.device, self.said = host, device, work("tcpdump")
        self.log = os.open(self.said, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        command = "tcpdump -i %s -n -s 0 -B 65536 -U -w" % device
        self.program = host.spawn(command, path, *filter.split(), stdout=self.log, stderr=self.log)
        eventually(self._says, "listening on")

    def _says(self, words):
        with open(self.said) as file:
            text = file.read()
        holds(words in text, "tcpdump says %r; it said: %s" % (words, text))
        return text

    def _passed(self):
        """Packets that went through the device so far, in and out."""
        for line in self.host.read("/proc/thread-self/net/dev").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == self.device:
                numbers = numbers.split()
                return int(numbers[1]), int(numbers[9])
        raise Failed("%s has no device %s" % (self.host, self.device))

    def _settled(self, least):
        """For half a second nothing passed the device, and tcpdump, which may have been kept waiting, has written all that its
        socket got: it says so when it is asked."""
        before = self._passed()
        traffic.rest(0.5)  # to see more than a test asked for; what it asked for is waited for by its number
        now = self._passed()
        holds(before == now, "nothing passes %s of %s: %s" % (self.device, self.host, now))
        os.truncate(self.said, 0)
        self.program.signal(signal.SIGUSR1)
        counts = _numbers(eventually(self._says, "dropped by kernel"))  # the end of what it says
        say("tcpdump: %s" % counts)
        written, received = counts["captured"], counts["received"]
        holds(written == received and written >= least, "tcpdump has all that came: %d of %d" % (written, received))

    def end(self, least=0):
        """What is under way arrives before, and tcpdump, which leaves at once with what it has read, has read it."""
        eventually(self._settled, least)
        self.program.signal(signal.SIGINT)
        self.program.wait()
        with check("the capture has every packet"):
            self._says("\n0 packets dropped by kernel")
        os.close(self.log)


def _numbers(text):
    """Of `12 packets captured, 12 packets received by filter`: the numbers by the word behind."""
    words = text.split()
    return {words[at + 2].rstrip(","): int(words[at]) for at in range(len(words) - 2) if words[at + 1] in ("packet", "packets")}


def read(path, *options):
    return guest.output("sh -c", 'exec tcpdump -nr "$@" 2>/dev/null', "sh", path, *options).splitlines()
