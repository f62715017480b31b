# SPDX-License-Identifier: GPL-2.0
"""Which modules a path leads to, through `use` declarations too: whoever uses a name that another module passes on depends on
the module that defines it."""


class Names:
    def __init__(self, crate):
        self.places = crate.places

    def modules(self, place, path):
        """The modules that a path, written in a module, depends on; of another crate none."""
        found = []
        self.follow(place, path.segments, found, set())
        return found

    def follow(self, place, segments, found, seen):
        """Where a path ends, or None if that is in another crate; what it depends on goes to `found`."""
        if (place.name, segments) in seen:
            return None
        seen.add((place.name, segments))
        start = self.start(place, segments, found, seen)
        if start is None:
            return None
        return self.descend(*start, found, seen)

    def start(self, place, segments, found, seen):
        """The module in which the path begins, and its names from there."""
        first = segments[0]
        if first == "crate":
            return self.places[()], segments[1:]
        if first in ("self", "super"):
            while segments and segments[0] in ("self", "super"):
                if segments[0] == "super":
                    if not place.name:
                        return None
                    place = self.places[place.name[:-1]]
                segments = segments[1:]
            return place, segments
        return (place, segments) if self.has(place, first, found, seen) else None

    def has(self, place, name, found, seen):
        """Whether a name at the beginning of a path is one of the module's, not another crate's."""
        module = place.module
        if name in place.children or name in module.imports:
            return True
        return self.by_glob(place, name, seen) is not None

    def by_glob(self, place, name, seen):
        """The module from which a `use ...::*` of this one brings the name."""
        if name in place.module.items:
            return None
        for glob in place.module.globs:
            if (place.name, glob.segments) in seen:
                continue
            target = self.follow(place, glob.segments, [], set(seen))
            if target is None or target is place:
                continue
            if name in target.children or name in target.module.imports or name in target.module.items:
                return target
        return None

    def descend(self, place, segments, found, seen):
        for at, name in enumerate(segments):
            child = place.children.get(name)
            if child is not None:
                place = child
                continue
            passed_on = place.module.imports.get(name)
            if passed_on is not None:
                found.append(place)
                return self.follow(place, passed_on.segments + segments[at + 1:], found, seen)
            source = self.by_glob(place, name, seen)
            if source is not None:
                found.append(place)
                return self.descend(source, segments[at:], found, seen)
            break
        found.append(place)
        return place
