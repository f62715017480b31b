# SPDX-License-Identifier: GPL-2.0
"""Which file of a crate uses which, and the circles among them."""

from collections import deque
from typing import NamedTuple

from names import Names


class Use(NamedTuple):
    """A line by which a file uses another."""

    file: str
    line: int
    path: str
    used: str


def related(one, other):
    """Whether one of the modules contains the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def uses(crate):
    """For each file the others that it uses, each with the first line that does; parent and child may use each other."""
    names = Names(crate)
    whole = {place.file: place.name for place in crate.places.values() if place.whole}
    edges = {file: {} for file in whole}
    for place in crate.places.values():
        for path in place.module.paths:
            for target in names.modules(place, path):
                if related(whole[place.file], whole[target.file]):
                    continue
                use = Use(place.file, path.line, str(path), target.file)
                known = edges[place.file].get(target.file)
                if known is None or use.line < known.line:
                    edges[place.file][target.file] = use
    return edges


def way(edges, start, end):
    """The shortest way from one file to another, as uses; None if there is none."""
    came = {start: None}
    queue = deque([start])
    while queue:
        file = queue.popleft()
        for used, use in sorted(edges[file].items()):
            if used in came:
                continue
            came[used] = use
            queue.append(used)
    if end not in came:
        return None
    steps = []
    while came[end] is not None:
        steps.append(came[end])
        end = came[end].file
    return steps[::-1]


def circles(edges):
    """The shortest circle through each file that is in one; circles of the same files once."""
    found, known = [], set()
    for file in sorted(edges):
        through = []
        for used, use in sorted(edges[file].items()):
            back = way(edges, used, file)
            if back is not None:
                through.append([use] + back)
        if not through:
            continue
        shortest = min(through, key=len)
        files = frozenset(use.file for use in shortest)
        if files not in known:
            known.add(files)
            found.append(shortest)
    return found
