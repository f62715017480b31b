# SPDX-License-Identifier: GPL-2.0
"""The loop in which everything waits: packets that arrive meanwhile are taken in.

No wait depends on how fast the machine is. It ends when what is awaited is there, or when nothing goes on any more.
"""

import os
import select
import time

from lab import settings

# So many rounds without a packet, and so long at least: a machine that does not get to its work does not get to
# these rounds either.
ROUND = 0.05
PATIENCE = int(settings.HANG / ROUND)

# What is looked at (a socket or a descriptor) -> what to do when something is there.
sources = {}
# Sockets that a test made.
kept = []

_processors = os.sched_getaffinity(0)
_pinned = False


def pin():
    """This process stays on one processor: frames that it sends one after the other go through the same queues (see
    captures.settle)."""
    global _pinned
    _pinned = True
    os.sched_setaffinity(0, {max(_processors)})


class Unpinned:
    """With Unpinned(): programs that are started may run on every processor."""

    def __enter__(self):
        if _pinned:
            os.sched_setaffinity(0, _processors)

    def __exit__(self, *_):
        if _pinned:
            pin()


def serve(ready):
    """Do what there is to do for those that are ready."""
    for source in ready:
        if source in sources:
            sources[source]()


def pump(until=None):
    """Let packets flow: those that are there, or until something holds, for as long as PATIENCE has. Says whether it did."""
    start, silent = time.monotonic(), 0
    while True:
        if until and until():
            return True
        ready = select.select(list(sources), [], [], ROUND if until else 0)[0]
        serve(ready)
        if ready:
            silent = 0
            continue
        silent += 1
        if not until:
            return True
        if silent >= PATIENCE and time.monotonic() - start >= PATIENCE * ROUND:
            return until()


def rest(seconds):
    """Let packets flow for a while. Nobody waits like this for what must come; it is between two looks at it."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return
        serve(select.select(list(sources), [], [], left)[0])


def until_ready(descriptor):
    """Let packets flow until the descriptor is ready, however long that takes."""
    while True:
        ready = select.select([descriptor, *sources], [], [])[0]
        serve(ready)
        if descriptor in ready:
            return


def close_sources():
    """Nothing is looked at any more: the network goes."""
    for source in sources:
        if isinstance(source, int):
            os.close(source)
        else:
            source.close()
    sources.clear()


def keep(made):
    """The socket lives until the test ends."""
    kept.append(made)
    return made


def close_kept():
    for made in kept:
        made.close()
    kept.clear()
