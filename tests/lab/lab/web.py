# SPDX-License-Identifier: GPL-2.0
"""nginx on a host, and many connections to it.

    web(appliance, "server.example")             it listens on port 80 of all addresses, and names itself in each answer
    held = Connections(client1, "192.0.2.1", 500)    so many connections, 50 at a time, each with an answer
    held.all_from("server.example")                  none broke, and all answers are from this server
"""

import os
import resource

from lab.hosts import guest
from lab.settings import HANG, work
from lab.story import check, holds, same
from lab.transfers import listens
from lab.waiting import eventually

# Connections of a program: two descriptors each, and some.
_DESCRIPTORS = 16384
_CONF = """daemon off;
master_process off;
pid %(prefix)s.pid;
error_log %(prefix)s.log warn;
worker_rlimit_nofile %(descriptors)d;
events { worker_connections 8192; multi_accept on; }
http {
    access_log off;
    keepalive_requests 100000;
    keepalive_timeout 300;
    send_timeout 600;
    add_header X-Proxy %(name)s;
    server {
        listen %(port)d backlog=4096;
        listen [::]:%(port)d backlog=4096;
        root %(root)s;
        %(more)s
    }
}
"""


def page():
    """The page that every server has: text whose lines all differ."""
    root = work("www")
    path = root + "/page"
    if not os.path.exists(path):
        os.makedirs(root, exist_ok=True)
        os.chmod(os.path.dirname(root), 0o755)
        with open(path, "w") as file:
            file.write("".join("line %d of the page\n" % number for number in range(100)))
        with open(root + "/big", "wb") as file:
            file.write(os.urandom(400000))
    return path


def web(host, name, more="", port=80):
    """nginx on a host; `more` are lines of its server."""
    prefix = work("nginx-%s" % host)
    with open(prefix + ".conf", "w") as file:
        file.write(_CONF % {"prefix": prefix, "descriptors": _DESCRIPTORS, "name": name,
                            "root": os.path.dirname(page()), "port": port, "more": more})
    host.spawn("nginx -e stderr -c", prefix + ".conf", "-p", os.path.dirname(prefix))
    with check("nginx of %s listens" % host):
        eventually(listens, host, port)


class Connections:
    """Connections over HTTP: each is opened, asks once, and must get the page; then all end."""

    def __init__(self, host, address, number):
        self.host, self.number = host, number
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_DESCRIPTORS, hard), hard))
        self.said = work("held-%s" % host)
        text = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self.program = host.spawn(
                "glb-packets http-hold %s --once --burst 50 --turns 10 --path /page" % address,
                "--stall", HANG, "--connections", number, "--body", page(), stdout=text)
        finally:
            os.close(text)

    def all_from(self, server):
        status = self.program.wait()
        with open(self.said) as file:
            told = dict(line.rstrip("\n").rsplit(": ", 1) for line in file if ": " in line)
        with check("%s: %d connections, 0 broken" % (self.host, self.number)):
            same((0, str(self.number), "0"), (status, told.get("connections"), told.get("broken")))
        with check("%s: all answers are from %s" % (self.host, server)):
            same(str(self.number), told.get("server " + server))
            holds(int(told["responses"]) >= self.number, told["responses"])


def fetched(host, url, same_as):
    """What curl gets at this address is the same, byte for byte."""
    got = work("got-%s" % host)
    host.run("curl -sS --max-time", HANG, "-o", got, url)
    guest.quietly("cmp", same_as, got)
