# SPDX-License-Identifier: GPL-2.0
"""The words of a Rust file, without comments, each with its line."""

import re
from typing import NamedTuple

WORD, STRING, SIGN = "word", "string", "sign"

PATTERNS = re.compile(
    r"""
    (?P<blank>\s+|//[^\n]*)
  | (?P<comment>/\*)
  | (?P<raw>(?:b|c)?r(?P<fence>\#*)"(?P<body>.*?)"(?P=fence))
  | (?P<string>(?:b|c)?"(?:[^"\\]|\\.)*")
  | (?P<char>b?'(?:[^'\\]|\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.))')
  | (?P<lifetime>'\w+)
  | (?P<word>(?:r\#)?\w+)
  | (?P<sign>::|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    kind: str
    # Of a string what is between its quotation marks, as written.
    text: str
    line: int


def end_of_comment(text, at):
    """The place behind the block comment that begins at `at`. Such comments nest."""
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def tokens(text):
    """All tokens of a file, in order."""
    found = []
    at, line = 0, 1
    while at < len(text):
        match = PATTERNS.match(text, at)
        end = match.end()
        if match.lastgroup == "comment":
            end = end_of_comment(text, at)
        elif match["raw"] is not None:
            found.append(Token(STRING, match["body"], line))
        elif match["string"] is not None:
            found.append(Token(STRING, match["string"].split('"', 1)[1][:-1], line))
        elif match["word"] is not None:
            found.append(Token(WORD, match["word"].removeprefix("r#"), line))
        elif match["sign"] is not None:
            found.append(Token(SIGN, match["sign"], line))
        line += text.count("\n", at, end)
        at = end
    return found
