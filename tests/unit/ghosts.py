#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Finds ghosts: paths in documents, comments and messages that are not in the repository, and tests that do not exist.

A path is checked if its first part is a directory at the top. `lab/NAME` and `lab/NAME/TEST` are tests of tests/lab. A word in
capitals stands for any name, as in docs/FILE.svg. Issue numbers are ghosts, too: no reader of the repository has the issues.
"""

import fnmatch
import os
import re
import sys

NOT_SOURCES = {"./.git", "./build", "./out", "./target", "./debian/build"}
# debian/ names what a build of the packages leaves; figures and seeds have no prose.
NOT_READ = ("debian/", "LICENSES/", "fuzz/seeds/", "tests/unit/ghosts.py")
NOT_TEXT = (".svg", ".png", ".pcap", ".bin", ".lock", ".gz")
# The copies from which kernel/kbuild/module.mk builds a module.
OF_A_BUILD = {"core/lib.rs", "core/lib.o"}
# The documents of github/glb-director.
DEPLOYED = "docs/development/"
ISSUE = re.compile(r"\b(?:spec|issues?) #?[0-9]+\b")


def tree():
    """Every file and directory of the repository, relative to its top directory."""
    for folder, folders, files in os.walk("."):
        folders[:] = [name for name in folders if f"{folder}/{name}" not in NOT_SOURCES and name != "__pycache__"]
        yield from (os.path.normpath(os.path.join(folder, name)) for name in folders + files)


def exists(path, here, known):
    if path in known or os.path.normpath(os.path.join(here, path)) in known or path in OF_A_BUILD or path.startswith(DEPLOYED):
        return True
    if re.search(r"(?:^|/)[A-Z]{2,}(?:[./]|$)", path):
        return True
    # A decision is cited by its number.
    return any(fnmatch.fnmatchcase(other, path if "*" in path else path + "-*") for other in known)


def test_exists(path, known):
    _, name, *test = path.split("/")
    for file in (f"tests/lab/{name}{end}" for end in (".sh", ".py", "")):
        if os.path.isfile(file):
            with open(file, encoding="utf-8") as text:
                return not test or f"test_{test[0]}" in text.read()
    return any(other.startswith(f"tests/lab/{name}-") for other in known)


def ghosts(text, here, pattern, known):
    for found in pattern.findall(text):
        path = found.rstrip(".")
        if path.startswith("lab/") and re.fullmatch(r"lab/[a-z0-9-]+(/[a-z0-9_]+)?", path):
            if not test_exists(path, known) and not exists(path, "tests", known):
                yield path
        elif not path.startswith("lab/") and not exists(path, here, known):
            yield path
    yield from ISSUE.findall(text)


def main():
    known = set(tree())
    tops = [re.escape(path) for path in known if "/" not in path and os.path.isdir(path) and not path.startswith(".")]
    pattern = re.compile(r"(?<![\w./~$})@*-])((?:%s|lab)/[\w.*/-]*[\w*])" % "|".join(tops))
    bad = False
    for file in sorted(known):
        if os.path.isdir(file) or file.startswith(NOT_READ) or file.endswith(NOT_TEXT):
            continue
        try:
            with open(file, encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    for ghost in ghosts(line, os.path.dirname(file), pattern, known):
                        print(f"{file}:{number}: {ghost} is not there")
                        bad = True
        except UnicodeDecodeError:
            continue
    sys.exit(bad)


main()
