# SPDX-License-Identifier: GPL-2.0
"""The crates of a directory tree, as their files say: a file that no `mod` declares is the root of a crate."""

import os
from dataclasses import dataclass, field

import source

# Directories of the top that have no sources: what was built.
BUILT = frozenset(("build", "out", "target"))
# Cargo marks its own like this, wherever they are.
MARK = "CACHEDIR.TAG"


@dataclass
class Place:
    """A module in its crate."""

    # Its path from the root, as names.
    name: tuple
    file: str
    # Whether it is the file, not a module inside.
    whole: bool
    module: source.Module
    # The modules in it, by name.
    children: dict = field(default_factory=dict)


@dataclass
class Crate:
    root: str
    # All its modules, by their names.
    places: dict = field(default_factory=dict)
    # What a `mod` declares and nobody has.
    missing: list = field(default_factory=list)

    def files(self):
        return {place.file for place in self.places.values()}


def sources(top):
    """The Rust files below a directory, relative to it."""
    for directory, below, names in os.walk(top):
        if MARK in names:
            below.clear()
            continue
        built = BUILT if os.path.samefile(directory, top) else ()
        below[:] = sorted(name for name in below if name not in built and not name.startswith("."))
        for name in sorted(names):
            if name.endswith(".rs"):
                yield os.path.relpath(os.path.join(directory, name), top)


def candidates(file, inside, name, path):
    """Where the file of a module may be that is declared in a file, in these inline modules of it."""
    directory, base = os.path.split(file)
    if path is not None and not inside:
        return [os.path.normpath(os.path.join(directory, path))]
    stem = base.removesuffix(".rs")
    # A root may have any name; a module with one of its own has its modules in a directory of that name.
    homes = [directory] if stem in ("lib", "main", "mod") else [os.path.join(directory, stem), directory]
    found = []
    for home in homes:
        home = os.path.join(home, *inside)
        if path is not None:
            found.append(os.path.normpath(os.path.join(home, path)))
        else:
            found += [os.path.join(home, f"{name}.rs"), os.path.join(home, name, "mod.rs")]
    return found


def declared(module, inside=()):
    """The declarations of files in a module and its inline modules: where, what, its path, and whether it is for tests."""
    for name, path in module.files.items():
        yield inside, name, path, False
    for name, path in module.test_files.items():
        yield inside, name, path, True
    for name, inner in module.inline.items():
        yield from declared(inner, inside + (name,))


class Tree:
    """The Rust files of a directory tree."""

    def __init__(self, top):
        self.modules = {}
        for file in sources(top):
            with open(os.path.join(top, file), encoding="utf-8") as opened:
                self.modules[file] = source.read(opened.read())

    def find(self, file, inside, name, path):
        for candidate in candidates(file, inside, name, path):
            if candidate in self.modules and candidate != file:
                return candidate
        return None

    def crates(self):
        claimed = set()
        for file, module in self.modules.items():
            for inside, name, path, _ in declared(module):
                claimed.add(self.find(file, inside, name, path))
        return [self.crate(file) for file in self.modules if file not in claimed]

    def crate(self, root):
        crate = Crate(root)
        self.enter(crate, Place((), root, True, self.modules[root]), ())
        return crate

    def enter(self, crate, place, inside):
        crate.places[place.name] = place
        for name, inner in place.module.inline.items():
            child = Place(place.name + (name,), place.file, False, inner)
            place.children[name] = child
            self.enter(crate, child, inside + (name,))
        for name, path in place.module.files.items():
            file = self.find(place.file, inside, name, path)
            if file is None:
                crate.missing.append(f"{place.file}: mod {name};")
                continue
            child = Place(place.name + (name,), file, True, self.modules[file])
            place.children[name] = child
            self.enter(crate, child, ())
