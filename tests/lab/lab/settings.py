# SPDX-License-Identifier: GPL-2.0
"""What the machine and the environment say about a run, and where its files are."""

import os


def _slower():
    """How many times slower than stock the kernel is (tests/vm/kernels.conf)."""
    try:
        with open("/run/lab/kernel") as file:
            return int(file.read().strip().removeprefix("LAB_SLOWER="))
    except FileNotFoundError:
        return 1


SLOWER = _slower()
# Seconds without any progress after which a step hangs; five times as many for a test.
HANG = int(os.environ.get("LAB_HANG", "120")) * SLOWER
# Whether the story is told always, or only where a test failed.
ALWAYS = os.environ.get("LAB_STORY", "always") == "always"
# Room for the tunnel around packets of 1500 bytes, as fabrics of fleets have.
MTU = int(os.environ.get("LAB_MTU", "2000"))

GUE_PORT = 19523
VIP4 = "1.1.1.1"
VIP6 = "fd91:79d3:d621::1"

_work = None


def work(name):
    """The path of a file of this run. The directory goes with the run."""
    global _work
    if _work is None:
        _work = "/tmp/lab.%d" % os.getpid()
        os.mkdir(_work, 0o700)
    return "%s/%s" % (_work, name)


def work_json(name, value):
    """The path of a file of this run with this in it. Who reads it meanwhile sees the old one or the new one."""
    import json

    path = work(name)
    with open(path + ".new", "w") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)
    return path


def read_json(path):
    """What a file has in it."""
    import json

    with open(path) as file:
        return json.load(file)


def remove_work():
    """Nothing of the run is left."""
    if _work is None:
        return
    for directory, directories, files in os.walk(_work, topdown=False):
        for name in files:
            os.remove(os.path.join(directory, name))
        for name in directories:
            os.rmdir(os.path.join(directory, name))
    os.rmdir(_work)
