# SPDX-License-Identifier: GPL-2.0
"""The lint on crates that are made up: which circles it finds, and what it takes for none."""

import os
import tempfile

import graph
from crates import Tree

LIB = "mod a;\nmod b;\nmod c;\n"
# What leads back from b.rs in most cases.
BACK = "use crate::a::A;\npub struct B;\n"
A_B = [{"a.rs", "b.rs"}]

# What it is about, the files of the crate beside lib.rs, and the files of each circle.
CASES = [
    ("a circle through a group of names", {"a.rs": "use crate::{c, b::{B}};\npub struct A;\n", "b.rs": BACK}, A_B),
    ("a circle through super", {"a.rs": "use super::b::B;\npub struct A;\n", "b.rs": "use super::a::A;\n"}, A_B),
    ("a circle through full paths", {"a.rs": "pub fn a() { crate::b::b(); }\n", "b.rs": "fn b() { super::a::a() }\n"}, A_B),
    ("a circle of three files",
     {"a.rs": "use crate::b::B;\npub struct A;\n", "b.rs": "use crate::c::C;\npub struct B;\n", "c.rs": "use crate::a::A;\n"},
     [{"a.rs", "b.rs", "c.rs"}]),
    ("a circle through a name that the parent passes on",
     {"lib.rs": LIB + "pub use b::B as Thing;\n", "a.rs": "use crate::Thing;\npub struct A;\n", "b.rs": BACK}, A_B),
    ("a circle through all names of another file",
     {"a.rs": "use crate::c::*;\npub struct A;\nfn a() { b::b() }\n", "b.rs": BACK, "c.rs": "pub use crate::b;\n"},
     A_B + [{"a.rs", "b.rs", "c.rs"}]),
    ("a circle through an attribute", {"a.rs": "#[arg(add = crate::b::b)]\npub struct A;\n", "b.rs": BACK}, A_B),
    ("a circle through a module inside a file",
     {"a.rs": "pub struct A;\nmod inner {\n    use crate::b::B;\n}\n", "b.rs": BACK}, A_B),
    ("a circle between files of two rooms",
     {"a/mod.rs": "mod low;\n", "a/low.rs": "use crate::b::low::B;\npub struct A;\n",
      "b.rs": "mod low;\n", "b/low.rs": "use crate::a::low::A;\npub struct B;\n"}, [{"a/low.rs", "b/low.rs"}]),
    ("no circle: a module inside a file that has another file's name",
     {"a.rs": "pub mod b {\n    pub const N: u8 = 0;\n}\nconst M: u8 = b::N;\n", "b.rs": "use crate::a::b;\n"}, []),
    ("no circle: parent and child", {"a.rs": "mod low;\nuse low::Low;\npub struct A;\n", "a/low.rs": "use super::A;\n"}, []),
    ("no circle: two rooms of which no file uses one that uses it",
     {"a.rs": "mod low;\npub struct A;\n", "a/low.rs": "use crate::b::B;\n",
      "b.rs": "mod low;\npub struct B;\n", "b/low.rs": "use crate::a::low::Low;\nuse crate::b::B;\n"}, []),
    ("no circle: tests",
     {"a.rs": "pub struct A;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n#[cfg(test)]\nuse crate::b::B;\n",
      "b.rs": BACK}, []),
    ("no circle: tests in a file of their own",
     {"a.rs": "pub struct A;\n#[cfg(test)]\nmod tests;\n", "a/tests.rs": "use crate::b::B;\n", "b.rs": BACK}, []),
    ("no circle: what comments and texts say",
     {"a.rs": "//! [`crate::b::B`]\n/* /* */ use crate::b; */\nconst A: &str = r#\"\"crate::b::B\"#;\n", "b.rs": BACK}, []),
    ("no circle: a name of another crate", {"a.rs": "use other::b::B;\nfn a() { b::b() }\n", "b.rs": BACK}, []),
]

TOLD = [("a.rs", 1, "crate::b::B", "b.rs"), ("b.rs", 1, "crate::a::A", "a.rs")]


def tree(files):
    """The Rust files of a directory that has these."""
    with tempfile.TemporaryDirectory() as top:
        for name, text in files.items():
            path = os.path.join(top, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return Tree(top)


def crate(files):
    """A crate of these files, whose root declares three modules if it is not among them."""
    empty = {f"{name}.rs": "" for name in "abc" if f"{name}/mod.rs" not in files}
    crates = tree({"lib.rs": LIB, **empty, **files}).crates()
    assert len(crates) == 1, [one.root for one in crates]
    return crates[0]


def found(files):
    return graph.circles(graph.uses(crate(files)))


def judged(files, expected):
    """What is wrong with what is found in a crate."""
    circles = [{use.file for use in circle} for circle in found(files)]
    return [] if circles == expected else [f"found {circles}"]


def results():
    """What each case is about, and what is wrong with its result."""
    for what, files, expected in CASES:
        yield f"made up: {what}", judged(files, expected)
    told = [tuple(use) for use in found(CASES[0][1])[0]]
    yield "made up: a circle is told by the line of each use", [] if told == TOLD else [f"told {told}"]
    missing = crate({"a.rs": "mod low;\n"}).missing
    yield "made up: a module that nobody has", [] if missing == ["a.rs: mod low;"] else [f"missing {missing}"]
    roots = [one.root for one in tree({"x/lib.rs": "mod a;", "x/a.rs": "", "y/main.rs": "", "z/tests/t.rs": ""}).crates()]
    yield "made up: the crates of a tree", [] if roots == ["x/lib.rs", "y/main.rs", "z/tests/t.rs"] else [f"found {roots}"]
