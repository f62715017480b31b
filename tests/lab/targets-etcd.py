#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""glb-targets with etcd, over TLS with client certificates: targets register themselves, leave, and die; etcd goes and returns.

    store: etcd      target1, target2: glbctl target register --keep
      |                   |
      +---- fabric -------+---- director: glb-targets, one: glb-targets too
"""

import json
import os
import signal

from lab.director import load_module
from lab.hosts import Host, guest, make
from lab.run import main
from lab.settings import work, work_json
from lab.story import about, check, holds, same
from lab.targeting import Daemon
from lab.waiting import eventually

store = Host("store", "10.1.0.9", "fd01::9")
director = Host("director", "65.65.65.65", "fd65::65")
other = Host("other", "65.65.65.66", "fd65::66")
hosts = [Host("target%d" % number, "10.1.0.%d" % number, "fd01::%d" % number) for number in (1, 2, 3)]
daemons = []
server = None
CONF = None


class Server:
    """etcd on the host store."""

    def start(self):
        out = os.open(work("etcd.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        url, peer = "https://%s:2379" % store.ipv4, "http://127.0.0.1:2380"
        tls = work("tls")
        try:
            self.program = store.spawn(
                "etcd --name one --unsafe-no-fsync --data-dir", work("etcd"),
                "--listen-client-urls", url, "--advertise-client-urls", url,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "one=" + peer,
                "--client-cert-auth", "--trusted-ca-file", tls + "/ca.pem", "--cert-file", tls + "/cert.pem",
                "--key-file", tls + "/key.pem", stdout=out, stderr=out)
        finally:
            os.close(out)

    def end(self):
        self.program.signal(signal.SIGTERM)
        self.program.wait()


def etcd(tls):
    return {"etcd": {
        "endpoints": ["https://%s:2379" % store.ipv4],
        "ca_file": work("tls/ca.pem"),
        "cert_file": tls + "/cert.pem",
        "key_file": tls + "/key.pem",
    }}


def glbctl(host, words, *more):
    """Exit status and output of a command about targets."""
    return host.said("glbctl target " + words, *more, "--config", CONF)


def setup():
    global server, CONF, daemons
    make(store, director, other, *hosts)
    load_module()
    guest.run("glb-packets cert", work("tls"), "--name", store.ipv4)
    CONF = work_json("etcd.conf", etcd(work("tls")))
    server = Server()
    server.start()
    eventually(lambda: same((0, ""), glbctl(director, "list")))
    daemons = [Daemon(host, etcd(work("tls"))) for host in (director, other)]
    for daemon in daemons:
        daemon.start()
    come_to("no target is there")


def come_to(what, **wanted):
    for daemon in daemons:
        daemon.comes_to("%s: %s" % (daemon.director, what), **wanted)


def register(host, *more):
    addresses = "%s,%s" % (host.ipv4, host.ipv6)
    return host.spawn("glbctl target register api", str(host), "--address", addresses, "--keep", "--config", CONF, *more)


def test_targets_register():
    about("Targets that register themselves have identifiers, the same on all directors, until they leave or their lease ends.")
    one, two, three = hosts
    first = register(one)
    come_to("the first one is there", target1=(0, "active"))
    second = register(two, "--id", "2")
    come_to("so is the second one, with the identifier that it asked for", target1=(0, "active"), target2=(2, "active"))
    with check("an identifier that somebody has is refused"):
        status, said = glbctl(three, "register api target3 --id 2 --address", "%s,%s" % (three.ipv4, three.ipv6))
        same((1, "glbctl: identifier 2 of service api is target target2's: ask for another one, or for none\n"), (status, said))
    with check("so is a name that another one has"):
        status, said = glbctl(three, "register api target2 --address", three.ipv4)
        same(1, status)
        holds("target target2 of service api is registered with other addresses" in said, said)
    with check("the list"):
        targets = json.loads(glbctl(director, "list --json")[1])["targets"]
        same([("target1", 0), ("target2", 2)], [(one["name"], one["id"]) for one in targets])
    first.signal(signal.SIGTERM)
    with check("one that is told to end leaves"):
        same(0, first.wait())
    come_to("it is gone", target2=(2, "active"))
    second.kill()
    come_to("one that dies is gone when its lease ends")
    with check("what is not registered cannot be unregistered"):
        same(1, glbctl(director, "unregister api target2")[0])


def test_etcd_goes_away():
    about("While etcd is away the last known targets stay, also over a restart of a daemon; when it returns, all goes on.")
    one, two, _ = hosts
    first = register(one)
    come_to("one target is there", target1=(0, "active"))
    server.end()
    for daemon in daemons:
        daemon.says("the last known targets stay")
    come_to("the target stays", target1=(0, "active"))
    with check("it is shown"):
        same(0, daemons[0].metric("glb_targets_etcd_connected"))
        same("degraded", daemons[0].health()["status"])
    with check("a daemon is killed"):
        same(128 + signal.SIGKILL, daemons[1].ends(signal.SIGKILL))
    daemons[1].start()
    daemons[1].says("rules, routes and the table stay as they are until it is there")
    with check("its rules stay: the one that leads, and the one that drops behind it"):
        same(2, len(other.json("ip -j rule show fwmark 5000")))
    server.start()
    for daemon in daemons:
        daemon.says("etcd is there again")
    come_to("all goes on", target1=(0, "active"))
    second = register(two)
    come_to("a new target comes", target1=(0, "active"), target2=(1, "active"))
    with check("etcd is shown"):
        same(1, daemons[0].metric("glb_targets_etcd_connected"))
    for program in (first, second):
        program.signal(signal.SIGTERM)
        program.wait()
    come_to("they leave")


main("rust_glb_director")
