#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Who may do what to the director, and in which network namespace."""

import os

from lab.hosts import Host, guest, make
from lab.netlink import Monitor, fresh, one_table, refuses, shows, status
from lab.run import main
from lab.story import about, check, same

# As a user without any capability, in this namespace.
NOBODY = "setpriv --reuid 65534 --clear-groups --inh-caps=-all "
NEEDED = "needs CAP_NET_ADMIN"

one = Host("one", "10.0.0.1")
two = Host("two", "10.0.0.2")


def test_privileges():
    about("changes need CAP_NET_ADMIN in the namespace; reading needs nothing")
    fresh()
    tables = one_table("t.json", "api", 4)
    os.chmod(os.path.dirname(tables), 0o755)
    os.chmod(tables, 0o644)
    with check("loading is refused"):
        refuses(NEEDED, NOBODY + "glbctl table load", tables)
    with check("attaching is refused"):
        refuses(NEEDED, NOBODY + "glbctl attach lo")
    with check("detaching is refused"):
        refuses(NEEDED, NOBODY + "glbctl detach lo")
    with check("settings are refused"):
        refuses(NEEDED, NOBODY + "glbctl config set --udp-port 1000")
    with check("the fuzz is refused too"):
        guest.run(NOBODY + "glb-packets netlink --seed 3 --count 500")
    with check("nothing happened"):
        shows(generation=0, devices=[], config={"udp_port": 19523})
    with check("status is for all"):
        guest.run(NOBODY + "glbctl status")
    with check("so are counters"):
        guest.run(NOBODY + "glbctl stats")
    with check("so is what the role geneve counts, but not whose flows it remembers"):
        guest.run(NOBODY + "glbctl geneve stats")
        guest.run(NOBODY + "glbctl geneve endpoints")
        refuses(NEEDED, NOBODY + "glbctl geneve flows")
    with check("root of a user namespace may load into its own"):
        guest.run("unshare -Urn sh -c", "glbctl table load " + tables)
    with check("but not into this one"):
        refuses(NEEDED, "unshare -Ur glbctl table load", tables)
    with check("still nothing happened here"):
        shows(generation=0)


def test_namespaces():
    about("each network namespace has tables, settings and devices of its own, which go with it")
    fresh()
    tables = one_table("t.json", "api", 4)
    make(one, two)
    with check("one loads"):
        one.run("glbctl table load", tables)
    with check("one attaches"):
        one.run("glbctl attach eth0")
    with check("one sets"):
        one.run("glbctl config set --source-v4 10.0.0.1")
    with check("two has none of it"):
        there = status(two)
        same([0, [], None], [there["generation"], there["devices"], there["config"]["source_v4"]])
    with check("nor has the guest itself"):
        shows(generation=0, devices=[])
    event = Monitor(two)
    one.run("glbctl table load", tables)
    with check("two does not hear of one's load"):
        same("", event.so_far())
    two.run("glbctl attach eth0")
    with check("it hears of its own device"):
        same("attached", event.heard()["event"])
    with check("a namespace that ends takes all with it"):
        guest.run("ip netns del one")
    with check("a module that is attached somewhere can go"):
        guest.run("rmmod rust_glb_director")
    with check("and come again"):
        guest.run("modprobe rust_glb_director")


def test_devices():
    about("devices are attached once, keep their attachment when renamed, and lose it when they go")
    fresh()
    guest.run("ip link add d0 type dummy")
    with check("attached"):
        guest.run("glbctl attach d0")
    with check("not twice"):
        refuses("attached already", "glbctl attach d0")
    with check("not one that is not there"):
        refuses("no such device", "glbctl attach nosuch")
    guest.run("ip link set d0 name d1")
    with check("the new name is shown"):
        shows(devices=["d1"])
    event = Monitor()
    guest.run("ip link del d1")
    with check("listeners hear that it went"):
        same("detached", event.heard()["event"])
    with check("it is attached no more"):
        shows(devices=[])
    with check("one that is not attached cannot be detached"):
        refuses("not attached", "glbctl detach lo")
    with check("without the module, glbctl says what to do"):
        guest.run("rmmod rust_glb_director")
        refuses("modprobe rust_glb_director", "glbctl status")


main("rust_glb_director")
