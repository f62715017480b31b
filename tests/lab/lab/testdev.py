# SPDX-License-Identifier: GPL-2.0
"""A network device on which packets of any shape come in (tests/kmod): its type is `glbtest`. tests/run builds the module for
scenarios that import this; for one alone it is

    tests/vm/build -- tests/kmod/build
    tests/vm/run --file build/stock/kmod/glb_testdev.ko:/kmod/glb_testdev.ko -- /tests/lab/director-aggregates.py

    load_testdev()                      before the first device
    inject(host, "in", lines)           packets come in, each as a line of text says
    held(host, "in")                    what became of the clone of the packet that came in last
"""

import os

from lab.hosts import guest
from lab.settings import work
from lab.story import Failed, say

_MODULE = "/kmod/glb_testdev.ko"
# A line is one write. The device's files are those of its namespace, which needs a /sys of its own.
_IN = 'while read -r line; do echo "$line" >"/sys/class/net/$0/glbtest/inject" || { echo "not this: $line"; exit 1; }; done <"$1"'


def load_testdev():
    if os.path.exists("/sys/module/glb_testdev"):
        return
    if not os.path.exists(_MODULE):
        raise Failed("there is no %s: tests/lab/lab/testdev.py says how to make it" % _MODULE)
    guest.run("insmod", _MODULE)


def inject(host, device, lines):
    path = work("inject")
    with open(path, "w") as file:
        file.write("".join(line + "\n" for line in lines))
    say("%s: %d packets come in on %s; the first: %s" % (host, len(lines), device, lines[0]))
    guest.quietly("ip netns exec", host, "sh", "-c", _IN, device, path)


def held(host, device):
    return guest.output("ip netns exec", host, "cat", "/sys/class/net/%s/glbtest/held" % device)
