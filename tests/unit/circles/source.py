# SPDX-License-Identifier: GPL-2.0
"""What a Rust file says about modules: those that it declares, and the paths by which it uses others.

What is compiled for tests only is left out: a test may look at whatever it wants.
"""

from dataclasses import dataclass, field

import lexer
from lexer import STRING, WORD

OPEN, CLOSE = frozenset("([{"), frozenset(")]}")

# What begins an item that ends with a block or a semicolon. Anything else, such as a field, may also end with a comma.
ITEMS = frozenset(
    "async const enum extern fn impl macro_rules mod pub static struct trait type union unsafe use".split()
)
NAMED = frozenset("const enum fn static struct trait type union".split())


@dataclass(frozen=True)
class Path:
    """A path as it is written, `crate::a::b` or `super::c`, and its line."""

    segments: tuple
    line: int

    def __str__(self):
        return "::".join(self.segments)


@dataclass
class Module:
    """A module: a whole file, or an inline module."""

    # Modules in it: those in place, and those in files of their own, each with the value of its attribute `path` or None.
    inline: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    # Names of `mod NAME;` for tests only.
    test_files: dict = field(default_factory=dict)
    # Names that `use` brings, each with its path, and the modules of which it brings all names.
    imports: dict = field(default_factory=dict)
    globs: list = field(default_factory=list)
    # Names that it defines; those in functions and implementations are among them, which does no harm.
    items: set = field(default_factory=set)
    paths: list = field(default_factory=list)


def read(text):
    """The module that a file is."""
    module = Module()
    Reader(lexer.tokens(text)).module(module)
    return module


class Reader:
    def __init__(self, tokens):
        self.tokens = tokens
        self.at = 0
        # Of the attributes in front of what comes: the value of `path`, and whether it is for tests only.
        self.path = None
        self.test = False

    def text(self, ahead=0):
        at = self.at + ahead
        return self.tokens[at].text if 0 <= at < len(self.tokens) and self.tokens[at].kind != STRING else ""

    def is_word(self, ahead=0):
        at = self.at + ahead
        return 0 <= at < len(self.tokens) and self.tokens[at].kind == WORD

    def module(self, module):
        """Reads on to the end of the module: that of the file, or the brace that closes it."""
        depth = 0
        while self.at < len(self.tokens):
            if self.text() == "#" and (self.text(1) == "[" or self.text(1) == "!" and self.text(2) == "["):
                self.attribute(module)
                continue
            if self.test and self.text() == "mod" and self.text(2) == ";":
                module.test_files[self.text(1)] = self.path
            if self.test:
                self.skip_item()
            elif self.text() == "mod" and self.is_word(1) and self.text(2) in ("{", ";"):
                self.declaration(module)
            elif self.text() == "use" and self.text(1) != "<":
                self.use(module)
            elif self.is_word():
                self.name(module)
            else:
                if self.text() in OPEN:
                    depth += 1
                elif self.text() in CLOSE:
                    depth -= 1
                self.at += 1
                if depth < 0:
                    return
            self.path, self.test = None, False

    def attribute(self, module):
        """An attribute. What it names counts too: clap's attributes call functions."""
        inner = self.text(1) == "!"
        self.at += 2 if inner else 1
        start, depth = self.at, 0
        while self.at < len(self.tokens):
            depth += (self.text() in OPEN) - (self.text() in CLOSE)
            if depth == 0:
                break
            self.at += 1
        end = self.at + 1
        words = [token.text for token in self.tokens[start + 1:end - 1]]
        if words[:1] == ["cfg"]:
            self.test = self.test or words == ["cfg", "(", "test", ")"] or words[:5] == ["cfg", "(", "all", "(", "test"]
        elif words[:2] == ["path", "="]:
            self.path = words[2]
        self.at = start
        while self.at < end and not self.test:
            if self.is_word():
                self.name(module)
            else:
                self.at += 1
        self.at = end

    def skip_item(self):
        """Passes over an item: to its semicolon or the end of its block; a field or a variant, to its comma."""
        ends = {";"} if self.text() in ITEMS else {";", ","}
        depth = 0
        while self.at < len(self.tokens):
            if self.text() in OPEN:
                depth += 1
            elif self.text() in CLOSE:
                depth -= 1
                if depth < 0:
                    return
            self.at += 1
            if depth == 0 and (self.text(-1) in ends or self.text(-1) == "}"):
                return

    def declaration(self, module):
        """`mod NAME;` or `mod NAME { ... }`."""
        name, in_place = self.text(1), self.text(2) == "{"
        path = self.path
        self.at += 3
        if in_place:
            self.path = None
            module.inline[name] = Module()
            self.module(module.inline[name])
        else:
            module.files[name] = path

    def use(self, module):
        self.at += 1
        self.tree(module, ())
        if self.text() == ";":
            self.at += 1

    def tree(self, module, prefix):
        """A tree of a use declaration: `a::b`, `a::{b, c::d}`, `a::*`, `a::b as c`."""
        segments = prefix
        line = self.tokens[self.at].line
        if self.text() == "::":
            # A path of another crate.
            segments = ("",)
            self.at += 1
        while self.at < len(self.tokens):
            if self.text() == "{":
                self.at += 1
                while self.text() not in ("}", ""):
                    self.tree(module, segments)
                    if self.text() == ",":
                        self.at += 1
                self.at += 1
                return
            if self.text() == "*":
                self.at += 1
                module.globs.append(Path(segments, line))
                module.paths.append(Path(segments, line))
                return
            if self.text() == "$":
                self.at += 1
            segments += (self.text(),)
            line = self.tokens[self.at].line
            self.at += 1
            if self.text() != "::":
                break
            self.at += 1
        if len(segments) > 1 and segments[-1] == "self":
            segments = segments[:-1]
        name = segments[-1]
        if self.text() == "as":
            name = self.text(1)
            self.at += 2
        path = Path(segments, line)
        module.imports[name] = path
        module.paths.append(path)

    def name(self, module):
        """A word: a path begins, or a name is defined, or neither."""
        foreign = self.text(-1) == "::"
        line = self.tokens[self.at].line
        if self.text() in NAMED and self.is_word(1):
            module.items.add(self.text(1))
        elif self.text() == "macro_rules" and self.text(1) == "!":
            module.items.add(self.text(2))
        segments = (self.text(),)
        self.at += 1
        while self.text() == "::" and self.is_word(1):
            segments += (self.text(1),)
            self.at += 2
        if len(segments) > 1 and not foreign:
            module.paths.append(Path(segments, line))
