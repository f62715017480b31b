# SPDX-License-Identifier: GPL-2.0
"""Captures in files, by tcpdump: for bursts, and for what is compared as a file.

    dump = Dump(sink, path)         what passes a host's eth0 is written to a file
    dump.end(10000)                 until now; a check says that it has everything, so many packets at least
    dump.end(10000, trail)          ... and if packets are missing, where they were seen last (trail.py)
    replay(client, path)            the packets of a file leave a host, as fast as it can
    read(path, "-e")                what tcpdump says about a file, a line a packet
"""

import os
import signal

from lab import traffic
from lab.hosts import guest
from lab.settings import GUE_PORT, work
from lab.story import Failed, Hopeless, check, detail, holds, say
from lab.trail import passed
from lab.waiting import eventually


def replay(host, path):
    """A frame that the device does not take is told, and is no failure."""
    words = "taskset -c 1 tcpreplay --intf1=eth0 --topspeed --no-flow-stats"
    host.tell(words.split())
    said = host.output(words, "--preload-pcap", path, any_status=True)
    detail("\n".join(line for line in said.splitlines() if line.startswith(("Actual", "Rated")) or "Failed" in line))


class Dump:
    """A capture of a host's device, in a buffer that has room for a burst."""

    def __init__(self, host, path, filter="udp port %d" % GUE_PORT, device="eth0"):
        self.host, self.device, self.said = host, device, work("tcpdump")
        self.log = os.open(self.said, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        command = "tcpdump -i %s -n -s 0 -B 65536 -U -w" % device
        self.program = host.spawn(command, path, *filter.split(), stdout=self.log, stderr=self.log)
        eventually(self._says, "listening on")
        # A socket of libpcap is bound to its device before it has its filter. What passes in between, such as neighbour
        # discovery, is received as the kernel counts, and is never captured: libpcap looks at it and throws it away.
        counts = self._counts()
        self.strangers = counts["received"] - counts["captured"]

    def _says(self, words):
        with open(self.said) as file:
            text = file.read()
        if words not in text and self._has_ended():
            raise Hopeless("tcpdump has ended; it said: " + text)
        holds(words in text, "tcpdump says %r; it said: %s" % (words, text))
        return text

    def _has_ended(self):
        return os.waitid(os.P_PID, self.program.id, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _counts(self):
        """What tcpdump has counted by now. It answers between two packets, with one line, of which the last number is written
        whole."""
        os.truncate(self.said, 0)
        self.program.signal(signal.SIGUSR1)
        return _numbers(eventually(self._says, "dropped by kernel"))

    def _settled(self, least, trail):
        """For half a second nothing passed the device, and tcpdump, which may have been kept waiting, has written all that its
        socket got: it says so when it is asked."""
        before = passed(self.host, self.device)
        traffic.rest(0.5)  # to see more than a test asked for; what it asked for is waited for by its number
        now = passed(self.host, self.device)
        holds(before == now, "packets pass %s of %s: %s" % (self.device, self.host, now))
        counts = self._counts()
        say("tcpdump: %s" % counts)
        written, received, dropped = counts["captured"], counts["received"] - self.strangers, counts["dropped"]
        if dropped:
            raise Hopeless("the buffer of tcpdump was full: %d packets dropped by kernel, %d captured" % (dropped, written))
        holds(written >= received, "tcpdump has %d of the %d packets that its socket got" % (written, received))
        if written < least:
            raise Failed("%d of %d packets arrived at %s of %s\n%s" % (written, least, self.device, self.host, trail))

    def end(self, least=0, trail=""):
        """What is under way arrives before, and tcpdump, which leaves at once with what it has read, has read it."""
        eventually(self._settled, least, trail)
        self.program.signal(signal.SIGINT)
        self.program.wait()
        with check("the capture has every packet"):
            with open(self.said) as file:
                text = file.read()
            holds("\n0 packets dropped by kernel" in text, "tcpdump said: " + text)
        os.close(self.log)


def _numbers(text):
    """Of `12 packets captured, 12 packets received by filter`: the numbers by the word behind."""
    words = text.split()
    return {words[at + 2].rstrip(","): int(words[at]) for at in range(len(words) - 2) if words[at + 1] in ("packet", "packets")}


def read(path, *options):
    return guest.output("sh -c", 'exec tcpdump -nr "$@" 2>/dev/null', "sh", path, *options).splitlines()
