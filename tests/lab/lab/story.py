# SPDX-License-Identifier: GPL-2.0
"""Telling: the story of a test, and its checks.

    about("A SYN stays.")                 what the test is about
    with check("it is accepted"):         a check: its line is `ok - lab/FILE/TEST: it is accepted`
        same(1, len(found))               ... or `not ok`, if the block fails; the test goes on
    with context("in IPv6: "):            the checks in this block have that in front
    say("proxy1: nginx ends")             a line of the story

Whatever fails outside of a check ends the test: what follows would say nothing.
"""

import os
import sys
import time

from lab.settings import ALWAYS


class Failed(Exception):
    """What a test wants does not hold. The text says what is there instead."""


class Hopeless(Failed):
    """The same, where nothing that may still come can help: nobody waits any longer."""


class Skipped(BaseException):
    """The test cannot be run here."""


class Hangs(BaseException):
    """The test does nothing new any more."""


file = "lab/" + os.path.splitext(os.path.basename(sys.argv[0]))[0]
test = ""
failures = 0
last_alive = 0.0
# Where the lines of checks go, and where the story goes, which programs write to as well.
_out = 1
fd = 1
_context = ""


def begin(name):
    """From now on it is this test that is told of."""
    global test, fd
    test = name
    alive()
    if not ALWAYS:
        if fd != _out:
            os.close(fd)
        fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_APPEND)


def silent():
    """Nothing is told: the packet program of the scenarios in bash, which tell themselves."""
    global fd
    fd = None


def tell_again():
    """The story of a test that failed, if it was not told yet."""
    if fd == _out:
        return
    os.lseek(fd, 0, os.SEEK_SET)
    with open(os.dup(fd), errors="replace") as told:
        _write(_out, "".join("#   %s\n" % line.rstrip("\n") for line in told))


def _write(target, text):
    data = text.encode()
    while data:
        data = data[os.write(target, data):]


def alive():
    """The test goes on. Whoever does something new says so; what does nothing new is ended."""
    global last_alive
    last_alive = time.monotonic()


def say(text):
    """A line of the story."""
    if fd is not None:
        _write(fd, "[+] %s\n" % text)
        alive()


def detail(text):
    """What belongs to the last line."""
    if fd is not None:
        _write(fd, "".join("    %s\n" % line for line in text.splitlines()))


def about(sentence):
    """What the test is about; its checks stand under this name."""
    say("%s/%s: %s" % (file, test, sentence))


def _line(text):
    _write(_out, text + "\n")
    if fd != _out:
        _write(fd, text + "\n")
    alive()


def ok(what):
    _line("ok - %s/%s: %s%s" % (file, test, _context, what))


def not_ok(what):
    global failures
    failures += 1
    _line("not ok - %s/%s: %s%s" % (file, test, _context, what))


def skip(why):
    """The test cannot be run here: that is said aloud, and it ends."""
    skipped(why)
    raise Skipped


def skipped(what):
    """A part of the test cannot be run here: that is said aloud."""
    _line("# skipped - %s/%s: %s" % (file, test, what))


class check:
    """A block that is one check. What fails in it is told with its line; the test goes on behind it."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            ok(self.what)
        elif isinstance(error, Exception):
            tell_error(error)
            not_ok(self.what)
            return True
        return False


class context:
    """A block whose checks have this in front, for what runs more than once."""

    def __init__(self, words):
        self.words = words

    def __enter__(self):
        global _context
        self.outer, _context = _context, _context + self.words

    def __exit__(self, *_):
        global _context
        _context = self.outer


def places(error):
    """Where in the scenario it went wrong: `FILE:LINE: CODE`, the outermost call first. A check may stand in this package, with
    the scenario's line on the way to it."""
    import linecache

    frames, trace = [], error.__traceback__
    while trace:
        frames.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    inner = [frame for frame, _ in frames]
    frame = sys._getframe(1)
    while frame:
        if frame not in inner:
            frames.insert(0, (frame, frame.f_lineno))
        frame = frame.f_back
    found, scenario = [], os.path.abspath(sys.argv[0])
    for frame, line in frames:
        path = os.path.abspath(frame.f_code.co_filename)
        if path == scenario and frame.f_code.co_name != "<module>":
            found.append("%s:%d: %s" % (os.path.basename(path), line, linecache.getline(path, line).strip()))
    return found


def tell_error(error):
    """Why a check or a step failed. An error that is no `Failed` is one of the scenario or of this package."""
    for place in places(error):
        say(place)
    if isinstance(error, Failed):
        detail(str(error))
    else:
        import traceback

        detail("".join(traceback.format_exception(error)))


def same(want, have):
    """Both are the same."""
    if want != have:
        raise Failed("expected: %s\nthere is: %s" % (_shown(want), _shown(have)))


def _shown(value):
    return value.hex() if isinstance(value, bytes) else repr(value)


def at_least(want, have):
    """It is so many, or more."""
    if have < want:
        raise Failed("expected: %s or more\nthere is: %s" % (want, have))


def holds(value, what=""):
    """It is true, or not empty."""
    if not value:
        raise Failed("it does not hold: %s" % (what or _shown(value)))
