#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The kernel's own tool for netlink drives the director, by nothing but spec/glb.yaml. It comes from the kernel's source
(tests/vm/ynl). One command is the program's, which takes seconds to start; the others are of the library that it is made of.
"""

import sys

from lab.hosts import guest
from lab.netlink import fresh, hops, one_table, running, shows
from lab.run import main
from lab.story import Failed, about, check, holds, same, say

PYYNL = "/ynl/tools/net/ynl/pyynl"
SPEC = "/ynl/Documentation/netlink/specs/glb.yaml"

sys.dont_write_bytecode = True
# The library needs python3-yaml; this program starts without `site`.
sys.path += [PYYNL, "/usr/lib/python3/dist-packages"]


def begin():
    """A director that knows nothing, and the tool's library with its family."""
    from lib import YnlFamily
    from lib.ynl import GenlProtocol

    global ynl
    fresh()
    # It keeps the numbers of all families, and a module that comes again has another one.
    GenlProtocol.genl_family_name_to_id = {}
    ynl = YnlFamily(SPEC, schema="")


def do(command, **attributes):
    """The answer. Attributes have `-` in their names where Python has `_`."""
    say("ynl --do %s %r" % (command, attributes))
    return ynl.do(command, {name.replace("_", "-"): value for name, value in attributes.items()})


def dump(command):
    say("ynl --dump " + command)
    return ynl.dump(command, {})


def refused(command, **attributes):
    """What the tool says of the refusal."""
    from lib import NlError

    try:
        do(command, **attributes)
    except NlError as refusal:
        return str(refusal)
    raise Failed("it went well")


def says(text, said):
    holds(text in said, "it says %r; it said: %s" % (text, said))


def test_commands():
    about("settings, devices, tables and look-ups by ynl agree with glbctl")
    begin()
    guest.run("glbctl table load", one_table("t.json", "api", 4))
    with check("settings are changed"):
        guest.run("python3 -B %s/cli.py --spec %s --no-schema --output-json --do config-set --json" % (PYYNL, SPEC),
                  '{"source-v4": "65.65.65.65", "gateway-mac": "02:00:00:00:00:09", "alt-hash-fields": ["src-port"]}')
    with check("glbctl sees them"):
        shows(config={"source_v4": "65.65.65.65", "alt_hash_fields": ["src_port"]})
    with check("ynl sees them"):
        config = do("config-get")
        same(["65.65.65.65", "02:00:00:00:00:09", 19523], [config[name] for name in ("source-v4", "gateway-mac", "udp-port")])
    with check("a device is attached"):
        do("attach", ifname="lo")
    with check("and listed"):
        same([{"ifindex": 1, "ifname": "lo"}], dump("device-get"))
    with check("a second time is refused, by name"):
        says("bad-attr", refused("attach", ifname="lo"))
    with check("a table by its name"):
        same(["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"], [each["address"] for each in do("table-get", name="api")["backend"]])
    with check("its binds"):
        same([["1.1.1.1", 80], ["1.1.2.0", 10]],
             [[bind["address"], bind["port-start"]] for part in dump("bind-get") for bind in part["bind"]])
    with check("where a packet would go"):
        answer = do("lookup", dst="1.1.1.1", src="10.11.12.13", proto="tcp", dst_port=80, src_port=9)
        same(hops("--running", "10.11.12.13:9"), [hop["address"] for hop in answer["hop"]])
    with check("counters"):
        same("total_packets", do("stats-get")["counter"][0]["name"])
    with check("what the module can"):
        can = do("features-get")
        same([["gue", "gre", "ipip"], 9, 4096, 65536], [can["forward"], len(can["setting"]), can["max-tables"], can["max-binds"]])
    with check("what is missing is named"):
        says("row-bytes", refused("table-begin", tables=1, binds=1))


def test_load():
    about("a whole transaction by ynl")
    begin()
    with check("it is the first load"):
        load = do("table-begin", tables=1, binds=1, row_bytes=131072)["transaction"]
        do("table-add", transaction=load, table=0, name="by-ynl", hash_key=b"k" * 16, hops=2,
           backend=[{"address": "10.0.0.1"}, {"address": "10.0.0.2", "state": "draining", "healthy": 0}],
           bind=[{"address": "192.0.2.0", "prefix-len": 24, "proto": "udp", "port-start": 53}])
        for first in range(0, 65536, 16384):
            ynl.do("row-set", {"transaction": load, "table": 0, "first-row": first, "rows": bytes([0, 1]) * 16384})
        same(1, do("table-commit", transaction=load)["generation"])
    load = do("table-begin", tables=1, binds=0, row_bytes=131072)["transaction"]
    refusal = refused("table-add", transaction=load, table=0, name="later", hash_key=b"k" * 16, hops=2, forward=200,
                      backend=[{"address": "10.0.0.1"}])
    with check("a forward that the module does not know is named"):
        says("knows no forward 200", refusal)
    with check("as not supported"):
        says("not supported", refusal.lower())
    with check("glbctl shows its table"):
        table = running()[0]
        same(["by-ynl", "udp 192.0.2.0/24 port 53"], [table["table"], table["binds"][0]])
    with check("packets go its way"):
        answer = guest.json("glbctl --json lookup --running 10.11.12.13 192.0.2.9:53 --proto udp")
        same(["10.0.0.1", "10.0.0.2"], [hop["ip"] for hop in answer["hops"]])


main("rust_glb_director")
