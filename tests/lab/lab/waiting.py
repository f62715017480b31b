# SPDX-License-Identifier: GPL-2.0
"""Waiting for what must come."""

import time

from lab import story, traffic
from lab.settings import HANG
from lab.story import Failed, Hopeless


def eventually(look, *words):
    """Call look(*words) again and again until it no longer fails; what it returns at last is returned.

    The text of its failure is how far things are: given up is only a wait in which that has not changed for HANG seconds,
    nor for so many tries, which take a slow machine longer."""
    since, tries, before = time.monotonic(), 0, None
    while True:
        try:
            return look(*words)
        except Hopeless:
            raise
        except Failed as failure:
            now = str(failure)
            if now != before:
                before, since, tries = now, time.monotonic(), 0
                story.alive()
            tries += 1
            if time.monotonic() - since >= HANG and tries >= HANG * 2:
                raise Failed("%s\nnothing new for %d s" % (now, HANG)) from None
        traffic.rest(0.1)  # between two tries
