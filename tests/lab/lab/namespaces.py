# SPDX-License-Identifier: GPL-2.0
"""Network namespaces: what is opened inside one stays there."""

import os

_CLONE_NEWNET = 0x40000000
_home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Inside:
    """With Inside(name): sockets that are made, files of /proc/thread-self/net and programs that are started are those of this
    namespace. None is the guest's own."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        if self.name is not None:
            namespace = os.open("/run/netns/" + self.name, os.O_RDONLY)
            try:
                os.setns(namespace, _CLONE_NEWNET)
            finally:
                os.close(namespace)

    def __exit__(self, *_):
        if self.name is not None:
            os.setns(_home, _CLONE_NEWNET)
