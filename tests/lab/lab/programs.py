# SPDX-License-Identifier: GPL-2.0
"""Programs that run on a host.

A program is started by posix_spawn, which takes no copy of this process, and in the host's network namespace without `ip netns
exec`, which would be a program more. What it sees below /sys/class/net is therefore the guest's own.
"""

import os
import signal

from lab import story, traffic
from lab.namespaces import Inside
from lab.story import Failed

# Those that were started in the background and not waited for.
running = []


def split(command, words):
    """The words of a command: the first argument is cut at white space, the others are words as they are."""
    return command.split() + [str(word) for word in words]


class Program:
    """A program that was started; `words` are its command."""

    def __init__(self, words, namespace=None, stdin=None, stdout=None, stderr=None, own_group=False):
        self.words, self.status = words, None
        told = story.fd if story.fd is not None else 2
        files = [
            (os.POSIX_SPAWN_DUP2, stdin, 0) if stdin is not None else (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, told if stdout is None else stdout, 1),
            (os.POSIX_SPAWN_DUP2, told if stderr is None else stderr, 2),
        ]
        # Python ignores these, and a program would inherit that.
        more = {"setsigdef": (signal.SIGPIPE, signal.SIGXFSZ)}
        if own_group:
            more["setpgroup"] = 0
        with Inside(namespace), traffic.Unpinned():
            try:
                self.id = os.posix_spawnp(words[0], words, os.environ, file_actions=files, **more)
            except OSError as error:
                raise Failed("%s: %s" % (words[0], error.strerror)) from None

    def wait(self):
        """Its exit status, when it has ended: 128 and the signal, if one ended it."""
        if self.status is None:
            if traffic.sources:
                ended = os.pidfd_open(self.id)
                try:
                    traffic.until_ready(ended)
                finally:
                    os.close(ended)
            code = os.waitstatus_to_exitcode(os.waitpid(self.id, 0)[1])
            self.status = code if code >= 0 else 128 - code
            if self in running:
                running.remove(self)
        return self.status

    def succeeds(self):
        """It ends with status 0."""
        status = self.wait()
        if status != 0:
            raise Failed("%s: ended with status %d" % (" ".join(self.words), status))

    def signal(self, number):
        os.kill(self.id, number)

    def kill(self):
        """It and what it started are gone."""
        if self.status is None:
            try:
                os.killpg(self.id, signal.SIGKILL)
            except ProcessLookupError:
                self.signal(signal.SIGKILL)
            self.wait()


def finish(program):
    """Wait for a program in the foreground, which does not outlive the wait."""
    try:
        return program.wait()
    except BaseException:
        program.signal(signal.SIGKILL)
        program.wait()
        raise


def end_those_after(number):
    """Kill what was started in the background since there were so many."""
    for program in running[number:]:
        program.kill()
