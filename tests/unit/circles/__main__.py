#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""No circles between the files of a Rust crate.

    circles [DIRECTORY]

A file that uses another, which uses the first, can neither be read nor be tested without it. The parent of a module and the
module itself may use each other: the parent puts its parts together, and they use what it says for all of them. Tests may
use what they like.

It reads all crates below the directory, by default the whole tree, and tries itself on crates that it makes up. A line a check.
"""

import os
import sys

import graph
import selftest
from crates import Tree

ADVICE = """\
Move what one of them wants of the other into a file of its own, named by what it is, which both use;
or let the one that calls hand over what the other one fetches today."""


def check(what, found):
    """One check, which fails with what was found."""
    for line in found:
        print(f"#   {line}")
    print(f"{'not ok' if found else 'ok'} - {what}")
    return not found


def told(circle):
    """A circle as lines: who uses whom, and where."""
    lines = [f"{len(circle)} files use each other:"]
    for use in circle:
        lines.append(f"  {use.file}:{use.line} uses {use.used}: {use.path}")
    return lines


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../..")
    good = True
    for what, wrong in selftest.results():
        good &= check(what, wrong)
    crates = Tree(top).crates()
    missing = [line for crate in crates for line in crate.missing]
    good &= check("every module that is declared is found", missing)
    found = []
    for crate in crates:
        for circle in graph.circles(graph.uses(crate)):
            found += told(circle)
    files = sum(len(crate.files()) for crate in crates)
    if found:
        found += ADVICE.splitlines()
    if not files:
        found = ["there is no Rust file"]
    print(f"# {files} files in {len(crates)} crates")
    good &= check("no file of a crate uses another one that uses it, but parent and child", found)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
