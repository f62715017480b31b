# SPDX-License-Identifier: GPL-2.0
"""Whether a test left memory or messages of the kernel behind.

    memory = Memory()           what the kernel has now
    memory.kept()               a check's block: it has no more now, but for the slack
    kernel_is_quiet()           a check's block: no warning and no error since the guest began to run commands
"""

import os
import re

from lab import story
from lab.hosts import guest
from lab.story import Failed, detail, skipped

# How much may differ, in kB: caches of the kernel breathe, a leak of one object a packet is far more than this.
SLACK = {"Slab": 3072, "SUnreclaim": 3072, "Percpu": 64, "KernelStack": 256}
# Looks at memory before it counts as lost.
ROUNDS = 20

COMPLAINS = re.compile(
    "WARNING|BUG:|Oops|KFENCE|KASAN|UBSAN|ODEBUG|ref_tracker|refcount_t|suspicious RCU|unregister_netdevice|lockup|"
    "blocked for more|table overflow"
)


class Memory:
    def __init__(self):
        self.kinds, self.slabs = _kinds(), _slabs()

    def kept(self):
        """None of the kernel's kinds of memory grew since this was made, but for the slack."""
        if os.path.exists("/sys/kernel/debug/kmemleak"):
            # Freed memory waits in KASAN's quarantine and says nothing; leaks are looked for by name, at the end of the run.
            skipped("how much memory there is, which says nothing on this kernel; kmemleak looks at the end")
            return
        for _ in range(ROUNDS):
            now = _kinds()
            grew = [kind for kind, slack in SLACK.items() if now[kind] - self.kinds[kind] > slack]
            if not grew:
                break
            story.alive()
        words = ["%s: %d kB, then %d kB" % (kind, self.kinds[kind], now[kind]) for kind in SLACK]
        # Where it is, for who has to look.
        words += ["%s: %d kB, then %d kB" % (name, self.slabs[name], size) for name, size in _slabs().items()
                  if name in self.slabs and size > self.slabs[name] + 64]
        if grew:
            raise Failed("\n".join(words))
        detail("\n".join(words))


def _kinds():
    """Kinds of memory and how many kB each has. What can be given back is no leak, nor what waits for a grace period: to drop
    caches also has the kernel begin to free that, and a device that goes waits until what was begun is done."""
    os.sync()
    for number in range(2):
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
        guest.quietly("ip link add grace%d type veth peer name ecarg%d" % (number, number))
        guest.quietly("ip link del grace%d" % number)
    with open("/proc/meminfo") as file:
        lines = [line.split() for line in file]
    return {line[0].removesuffix(":"): int(line[1]) for line in lines}


def _slabs():
    """Kinds of objects and how many kB each has."""
    with open("/proc/slabinfo") as file:
        lines = [line.split() for line in file.readlines()[2:]]
    return {line[0]: int(line[3]) * int(line[2]) // 1024 for line in lines}


def _said(*options):
    """The kernel's log since the guest began to run commands (tests/vm/lib/stage2). What the kernel says of its own boot, such as
    a report of KASAN about an interrupt that comes before KASAN is ready, is no fault of a module."""
    return re.split(r"lab: command starts(?:\n|$)", guest.output("dmesg --notime", *options))[-1].splitlines()


def kernel_is_quiet():
    """No warning and no error since then."""
    lines = [line for line in _said("--level=emerg,alert,crit,err,warn") if COMPLAINS.search(line)]
    if lines:
        # The first report as a whole: its stack says where.
        said = _said()
        first = next((at for at, line in enumerate(said) if COMPLAINS.search(line)), 0)
        raise Failed("\n".join(lines[:20] + said[first : first + 60]))
