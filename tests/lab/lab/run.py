# SPDX-License-Identifier: GPL-2.0
"""Running the tests of a scenario.

A scenario is a file that defines functions and ends with `main()`; it runs in the guest, as root:

    tests/vm/run -- /tests/lab/director-wire.py [PATTERN]

    setup()        makes the network; once a file, and again after a test that failed. Without it each test makes its own
    test_NAME()    one test. PATTERN (a regular expression) picks tests by their names, lab/FILE/NAME

Output is one line `ok - ...` or `not ok - ...` a check; what was done is told too (LAB_STORY=always), or only where a test failed
(LAB_STORY=failed). The exit status is 3 if there was no test, and 4 if a check failed: with 1 Python itself says that it could
not run the file.
"""

import re
import signal
import sys
import time

from lab import counters, hosts, programs, settings, story, traffic
from lab.story import Failed, Hangs, Skipped, not_ok, tell_error

# What a scenario of proxies needs.
MODULES = "rust_glb_redirect fou fou6 ipip sit ip6_tunnel tun"
NO_TEST, FAILED = 3, 4
# Between two looks at whether the test goes on.
_LOOK = 5


def main(modules=MODULES):
    """Run the tests of the scenario that is the program, in its order."""
    scenario = sys.modules["__main__"]
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else ".")
    tests = {name.removeprefix("test_"): what for name, what in vars(scenario).items() if name.startswith("test_")}
    chosen = {name: what for name, what in tests.items() if pattern.search("%s/%s" % (story.file, name))}
    if not chosen:
        sys.exit(NO_TEST)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    signal.signal(signal.SIGALRM, _look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
    try:
        hosts.guest.quietly("modprobe -a", *modules.split())
        _run(chosen, getattr(scenario, "setup", None))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        end_network()
        settings.remove_work()
        # Python no longer answers when it comes to its end.
        signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(FAILED if story.failures else 0)


def _run(tests, setup):
    there = False
    for name, test in tests.items():
        story.begin(name)
        before = story.failures
        if setup and not there:
            there = _part(setup)
        if there or not setup:
            # What setup started stays as long as the network.
            background = len(programs.running)
            _part(test)
            programs.end_those_after(background)
            hosts.end_captures()
            traffic.close_kept()
        if story.failures > before:
            story.tell_again()
            # The next test gets a network that nothing happened to.
            there = False
        if not there:
            end_network()


def _part(function):
    """Run setup or a test; says whether it came to its end."""
    try:
        function()
        return True
    except Skipped:
        pass
    except Hangs:
        not_ok("nothing new for %d s" % (settings.HANG * 5))
    except Exception as error:
        tell_error(error)
        where = story.places(error)
        not_ok("this step worked: %s" % (where[-1] if where else error))
    return False


def end_network():
    counters.forget()
    try:
        hosts.end_network()
    except Failed as error:
        not_ok("the network goes: %s" % error)


def _look(*_):
    """Whether the test does nothing new any more: it is ended from within, wherever it stands."""
    if time.monotonic() - story.last_alive >= settings.HANG * 5:
        story.alive()
        raise Hangs
