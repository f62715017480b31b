#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Settings of the director: each is set, shown, written to director.conf, and there again after the next boot."""

from lab.hosts import guest
from lab.netlink import exits, fresh, refuses
from lab.run import main
from lab.settings import read_json, work_json
from lab.story import about, check, same

# Another value than the default for every setting, as glbctl takes it.
OTHERS = {
    "source-v4": "10.0.0.9",
    "source-v6": "fd00::9",
    "gateway-mac": "02:00:00:00:00:09",
    "hash-fields": "src_addr,dst_port",
    "alt-hash-fields": "src_port",
    "forward-icmp-ping-responses": "false",
    "udp-port": "19524",
    "udp-checksum": "true",
    "segment-tcp": "true",
    "return-except": "10.0.9.0/24,fd00:9::/64",
}
CONF = "director.conf"


def config():
    """What the director has: names and values, in the order in which they are shown."""
    return [tuple(line.split(None, 1)) for line in guest.output("glbctl config show").splitlines()]


def changed(settings, name, value):
    """These settings with another value of one."""
    return [(each, value if each == name else old) for each, old in settings]


def test_each():
    about("each setting is set alone, is told to listeners, and goes back")
    fresh()
    default = config()
    with check("there is a value for every setting"):
        same([name for name, _ in default], list(OTHERS))
    for name, value in OTHERS.items():
        with check("%s is set" % name):
            guest.run("glbctl config set --" + name, value)
        with check("the others stay"):
            same(changed(default, name, value), config())
        with check("and back"):
            guest.run("glbctl config set --" + name, dict(default)[name])
        with check("all is as it was"):
            same(default, config())


def test_boot():
    about("what config show --file writes is there again after the module was gone; what a file does not name is at its default")
    fresh()
    default, others = config(), list(OTHERS.items())
    guest.run("glbctl config set", *(word for name, value in others for word in ("--" + name, value)))
    with check("all are set"):
        same(others, config())
    conf = work_json(CONF, {"outbound_src_ip": "10.9.9.9", "statsd_port": 28125})
    with check("they are written to a file"):
        guest.run("glbctl config show --file", conf)
    with check("what is no setting of the kernel's stays"):
        same(28125, read_json(conf)["statsd_port"])
    with check("to standard output, too"):
        same(19524, guest.json("glbctl config show --file -")["udp_port"])
    with check("the file is judged good"):
        guest.run("glbctl config check", conf)
    fresh()
    with check("a new module has none of it"):
        same(default, config())
    with check("the file is loaded"):
        guest.run("glbctl config load", conf)
    with check("all is there again"):
        same(others, config())
    work_json(CONF, {"source_v4": None})
    with check("a file that names nothing"):
        guest.run("glbctl config load", conf)
    with check("is all defaults"):
        same(default, config())
    work_json(CONF, {"outbound_src_ip": "10.9.9.9", "udp_port": 0})
    with check("a bad file is refused"):
        refuses("udp_port: 0: must be", "glbctl config load", conf)
    with check("and changes nothing"):
        same(default, config())


def test_refused():
    about("the kernel itself refuses what no setting can be, whoever asks")
    fresh()
    with check("no source is a loopback address"):
        refuses("not the address of a host", "glbctl config set --source-v4 127.0.0.1")
    with check("none is a multicast address"):
        refuses("not the address of a host", "glbctl config set --source-v6 ff02::1")
    with check("nor a gateway's"):
        refuses("multicast address is no gateway's", "glbctl config set --gateway-mac 01:00:00:00:00:01")
    with check("nothing to set is a usage error"):
        exits(2, "glbctl config set")


main("rust_glb_director")
