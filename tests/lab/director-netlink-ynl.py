#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The kernel's own tool for netlink drives the director, by nothing but spec/glb.yaml. It comes from the kernel's source
(tests/vm/ynl). One command is the program's, which takes seconds to start; the others are of the library that it is made of.
"""

import socket
import struct
import sys

from lab.geneve import FIRST, three
from lab.hosts import guest
from lab.netlink import fresh, hops, one_table, running, shows
from lab.packets import ip, udp
from lab.run import main
from lab.story import about, check, holds, same, say
from lab.waiting import eventually

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
    """What the tool says of the refusal; None if there is none."""
    from lib import NlError

    try:
        do(command, **attributes)
    except NlError as refusal:
        return " ".join(str(refusal).split())
    return None


def says(text, said):
    said = said or "nothing"
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
        same([{"ifindex": 1, "ifname": "lo", "role": "director"}], dump("device-get"))
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
    with check("of a protocol that no packet is of it is refused, and said why"):
        for number in (0, 43, 44, 51, 60):
            refusal = refused("lookup", dst="fd00::1", src="fd00::2", proto=number)
            says("protocol %d: an extension header of IPv6" % number, refusal)
        says("no table has a bind", refused("lookup", dst="1.1.1.1", src="10.11.12.13", proto=51))
    with check("counters"):
        same("total_packets", do("stats-get")["counter"][0]["name"])
    with check("what the module can"):
        can = do("features-get")
        same([["gue", "gre", "ipip", "l3dsr", "nat", "mark"], 10, 4096, 65536, 1, 1],
             [can["forward"], len(can["setting"]), can["max-tables"], can["max-binds"], can["classes"], can["identifiers"]])
    with check("by what flows are remembered, and what devices can be for"):
        same([["flow", "source"], ["director", "return", "geneve"], 1], [can["flows-by"], can["role"], can["replace"]])
    with check("and which rows it can have"):
        same([["glb", "maglev"], ["own", "vpp", "vpp-sticky", "nfqlb", "nfqlb-sctp-ports"]], [can["select"], can["flow-hash"]])
    with check("what a table's rows are"):
        table = do("table-get", index=0)
        same(["glb", 65536, "own"], [table["select"], table["num-rows"], table["flow-hash"]])
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
        set_rows(load)
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
    with check("two backends of one identifier are refused, by the place of the second"):
        load = do("table-begin", tables=1, binds=0, row_bytes=7)["transaction"]
        pair = [{"address": "10.0.0.1", "identifier": 1}, {"address": "10.0.0.2"}]
        says("backend 1: another one has the identifier 1",
             refused("table-add", transaction=load, table=0, name="t", hash_key=b"k" * 16, hops=1, forward="gre", select="maglev",
                     num_rows=7, backend=pair))
    with check("words of classes come in order, as many as were promised"):
        load = do("table-begin", tables=0, binds=0, row_bytes=0, class_words=12)["transaction"]
        says("the next one is 0", refused("class-set", transaction=load, first_word=1, words=bytes(4)))
        load = do("table-begin", tables=0, binds=0, row_bytes=0, class_words=12)["transaction"]
        says("5 bytes are not whole words", refused("class-set", transaction=load, first_word=0, words=bytes(5)))
        load = do("table-begin", tables=0, binds=0, row_bytes=0, class_words=12)["transaction"]
        do("class-set", transaction=load, first_word=0, words=bytes(44))
        says("12 were promised", refused("class-set", transaction=load, first_word=11, words=bytes(8)))
        says("at most 33554432", refused("table-begin", tables=0, binds=0, row_bytes=0, class_words=1 << 25 | 1))
    with check("and are refused if they say nothing, or not all came"):
        load = do("table-begin", tables=0, binds=0, row_bytes=0, class_words=12)["transaction"]
        do("class-set", transaction=load, first_word=0, words=bytes(44))
        says("11 words of classes came, of 12", refused("table-commit", transaction=load))
        load = do("table-begin", tables=0, binds=0, row_bytes=0, class_words=12)["transaction"]
        says("does not know", refused("class-set", transaction=load, first_word=0, words=bytes(48)))
    with check("packets go its way"):
        answer = guest.json("glbctl --json lookup --running 10.11.12.13 192.0.2.9:53 --proto udp")
        same(["10.0.0.1", "10.0.0.2"], [hop["ip"] for hop in answer["hops"]])


def test_counters():
    about("the counters of services and of their backends by ynl: two services, and a table that is none")
    begin()
    tables = [("glb", dict(hops=2), b"\0\1" * 65536),
              ("one", dict(hops=1, forward="gre", select="maglev", num_rows=7), PAPERS_ROWS),
              ("two", dict(hops=2, forward="ipip"), b"\0\1" * 65536)]
    load = do("table-begin", tables=3, binds=0, row_bytes=sum(len(rows) for _, _, rows in tables))["transaction"]
    for index, (name, words, rows) in enumerate(tables):
        do("table-add", transaction=load, table=index, name=name, hash_key=b"k" * 16, **words,
           backend=[{"address": "10.0.%d.%d" % (index, n)} for n in (1, 2, 3)])
        size = 32768 // words["hops"]
        for first in range(0, len(rows) // words["hops"], size):
            part = rows[first * words["hops"] : (first + size) * words["hops"]]
            ynl.do("row-set", {"transaction": load, "table": index, "first-row": first, "rows": part})
    do("table-commit", transaction=load)
    with check("the services are listed, and the other one is not"):
        same([["one", 1], ["two", 2]], [[each["name"], each["table"]] for each in dump("stats-get")])
    with check("and their backends, each with its id and all its counters"):
        shown = dump("backend-stats-get")
        addresses = ["10.0.%d.%d" % (index, n) for index in (1, 2) for n in (1, 2, 3)]
        same(addresses, [each["address"] for each in shown])
        ids = [each["id"] for index in (1, 2) for each in do("table-get", index=index)["backend"]]
        same(ids, [each["id"] for each in shown])
        names = ["sent_packets", "sent_bytes", "first_flow_packets"]
        same(names, [counter["name"] for counter in shown[0]["counter"]][:3])
        same({0}, {counter["value"] for each in shown for counter in each["counter"]})
    with check("glbctl names the same counters"):
        keys = ["%s/%s/%s" % (each["name"], each["address"], counter["name"]) for each in shown for counter in each["counter"]]
        same(sorted(keys), sorted(guest.json("glbctl --json stats --backends")))


PAPERS_ROWS = bytes([1, 0, 1, 0, 2, 2, 0])


def maglev(row_bytes=7, **more):
    """A transaction that has a table of seven rows, but for `more`, and none of its rows."""
    load = do("table-begin", tables=1, binds=1, row_bytes=row_bytes)["transaction"]
    table = dict(name="nsdi", hash_key=b"k" * 16, hops=1, forward="gre", select="maglev", num_rows=7,
                 backend=[{"address": "10.0.0.%d" % n} for n in (1, 2, 3)],
                 bind=[{"address": "192.0.2.0", "prefix-len": 24, "proto": "udp", "port-start": 53}])
    table.update(more)
    given = {name: value for name, value in table.items() if value is not None}
    refusal = refused("table-add", transaction=load, table=0, **given)
    return load, refusal


def test_maglev():
    about("a Maglev table by ynl: the paper's rows, what cannot be, and what is said about it")
    begin()
    load, refusal = maglev()
    with check("it is the first load"):
        same(None, refusal)
        do("row-set", transaction=load, table=0, first_row=0, rows=PAPERS_ROWS[:3])
        do("row-set", transaction=load, table=0, first_row=3, rows=PAPERS_ROWS[3:])
        same(1, do("table-commit", transaction=load)["generation"])
    glb = dict(select=None, num_rows=None)
    for words, row_bytes, more in (
        ("knows no select 9", 7, dict(select=9)),
        ("knows no flow hash 9", 7, dict(flow_hash=9)),
        ("0 rows: must be 1 to 655373", 7, dict(num_rows=0)),
        ("655374 rows: must be 1 to 655373", 7, dict(num_rows=655374)),
        ("7 rows: must be a power of two", 7, dict(flow_hash="vpp")),
        ("7 rows: must be 65536", 7, dict(select=None)),
        ("only a Maglev table", 1 << 17, dict(glb, hops=2, flow_hash="vpp")),
        ("1 hops: at least 2", 7, dict(forward="gue")),
        ("more rows than table-begin spoke of", 6, {}),
        ("1 hops: at least 2", 65536, glb),
        ("4294967295 rows: must be 1 to 655373", 7, dict(num_rows=4294967295)),
    ):
        with check("refused: %r: %s" % (more, words)):
            says(words, maglev(row_bytes, **more)[1])
    for words, first, rows in (
        ("rows up to 8: the table has 7", 0, PAPERS_ROWS + b"\0"),
        ("row 0 names a backend that is not one of 3", 0, b"\3" + PAPERS_ROWS[1:]),
    ):
        load, refusal = maglev()
        with check("refused: " + words):
            same(None, refusal)
            says(words, refused("row-set", transaction=load, table=0, first_row=first, rows=rows))
    load, refusal = maglev()
    with check("refused: 6 rows came, of 7"):
        same(None, refusal)
        do("row-set", transaction=load, table=0, first_row=0, rows=PAPERS_ROWS[:6])
        says("6 rows came, of 7", refused("table-commit", transaction=load))
    with check("refused: row 7: the table has 7"):
        says("row 7: the table has 7", refused("row-get", table=0, row_number=7))
    for number, name in ((3, "nfqlb"), (4, "nfqlb-sctp-ports")):
        load, refusal = maglev(flow_hash=name, bind=[{"address": "192.0.2.0", "prefix-len": 24, "proto": "any"}])
        with check("refused: a bind for all protocols with the hash of %s" % name):
            same(None, refusal)
            do("row-set", transaction=load, table=0, first_row=0, rows=PAPERS_ROWS)
            says("bind 0 is for all protocols, of which %s hashes ports" % name, refused("table-commit", transaction=load))
    with check("the fifth row is the third backend's"):
        same("10.0.0.3", do("row-get", table=0, row_number=4)["hop"][0]["address"])
    with check("nothing of them is left"):
        shows(generation=1, loads_under_way=0, bytes_set_aside=0)
    with check("glbctl shows the paper's rows"):
        same(list(PAPERS_ROWS), guest.json("glbctl --json table show --running --rows")[0]["rows"])
    with check("a packet goes by them"):
        answer = guest.json("glbctl --json lookup --running 10.11.12.13 192.0.2.9:53 --proto udp")
        same([{"kind": "maglev", "size": 7}, True], [answer["select"], answer["hashes"][0]["row"] < 7])


def test_flows():
    about("flows by ynl: a table that remembers them, what cannot be, what is remembered, and forgotten; a device for answers")
    begin()
    vip = "192.0.2.1"
    for words, flows in (
        ("0 buckets of flows: must be 1 to 1048576", dict(buckets=0)),
        ("1048577 buckets of flows: must be 1 to 1048576", dict(buckets=1048577)),
        ("0 s: must be 1 to 43200", dict(timeout=0)),
        ("43201 s: must be 1 to 43200", dict(timeout=43201)),
        ("cannot remember flows by 9", dict(by=9)),
    ):
        with check("refused: %r" % flows):
            says(words, maglev(flows=flows)[1])
    with check("it is loaded"):
        flowing(vip, PAPERS_ROWS)
        same({"buckets": 16, "timeout": 60, "by": "flow"}, do("table-get", index=0)["flows"])
    with check("nothing is remembered yet"):
        same([16, []], [dump("flow-get")[0]["buckets"], remembered()])
    guest.ip("addr add %s/32 dev lo" % vip)
    try:
        do("attach", ifname="lo")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((vip, 4000))
            client.sendto(b"hello", (vip, 53))
        with check("a flow is, with its backend and the backend's id"):
            flow = eventually(only_one)
            backends = {each["address"]: each["id"] for each in do("table-get", index=0)["backend"]}
            same(["udp", vip, 4000, vip, 53], [flow[name] for name in ("proto", "src", "src-port", "dst", "dst-port")])
            same(backends[flow["backend"]], flow["id"])
            holds(flow["idle"] < 60 and flow["closing"] == 0, flow)
        others = [address for address in backends if address != flow["backend"]]
        with check("when all rows are another backend's, a look-up says that it is the flow's"):
            flowing(vip, bytes([list(backends).index(others[0])]) * 7)
            answer = do("lookup", dst=vip, src=vip, proto="udp", dst_port=53, src_port=4000)
            same([1, flow["backend"]], [answer["known-flow"], answer["hop"][0]["address"]])
            answer = do("lookup", dst=vip, src=vip, proto="udp", dst_port=53, src_port=4001)
            same([None, others[0]], [answer.get("known-flow"), answer["hop"][0]["address"]])
        with check("flows of another backend, or of another table, are others"):
            same(0, do("flow-flush", name="nsdi", backend=others[0])["flushed"])
            says("no such table", refused("flow-flush", name="other"))
            same([flow["src-port"]], [each["src-port"] for each in remembered()])
        with check("those of this backend are forgotten"):
            same(1, do("flow-flush", backend=flow["backend"])["flushed"])
            same([], remembered())
        with check("a device for answers"):
            do("attach", ifname="lo", role="return", replace=1)
            same(["return"], [each["role"] for each in dump("device-get")])
    finally:
        guest.ip("addr del %s/32 dev lo" % vip)
    with check("a role that the module does not know is named"):
        refusal = refused("attach", ifname="lo", role=9)
        says("knows no role 9", refusal)
        says("not supported", refusal.lower())


def flowing(vip, rows):
    """The table of seven rows with these rows is loaded. It remembers flows of UDP to port 53."""
    bind = {"address": vip, "prefix-len": 32, "proto": "udp", "port-start": 53}
    load, refusal = maglev(flows=dict(buckets=16, timeout=60, by="flow"), bind=[bind])
    same(None, refusal)
    do("row-set", transaction=load, table=0, first_row=0, rows=rows)
    do("table-commit", transaction=load)


def remembered():
    """All flows that are listed, by however many messages."""
    return [flow for part in dump("flow-get") for flow in part.get("flow", [])]


def only_one():
    found = remembered()
    same(1, len(found))
    return found[0]


def prefix(address, length):
    return {"address": address, "prefix-len": length}


def test_geneve():
    about("the role geneve by ynl: each attribute of attach, what is refused and why, and what is counted and remembered")
    begin()
    for words, attributes in (
        ("only with the role geneve", dict(port=6081)),
        ("only with the role geneve", dict(role="director", allow_from=[prefix("10.1.1.0", 24)])),
        ("1 to 6000 seconds", dict(role="geneve", idle=0)),
        ("1 to 6000 seconds", dict(role="geneve", tcp_idle=6001)),
        ("1 to 13000000 flows", dict(role="geneve", max_flows=0)),
        ("1 to 13000000 flows", dict(role="geneve", max_flows=13000001)),
        ("longer than its address", dict(role="geneve", allow_from=[prefix("10.1.1.0", 33)])),
        ("more than 16 prefixes", dict(role="geneve", allow_from=[prefix("10.1.%d.0" % n, 24) for n in range(17)])),
        ("port", dict(role="geneve", port=0)),
        ("pass", dict(role="geneve", **{"pass": 2})),
        ("prefix-len", dict(role="geneve", allow_from=[prefix("fd00::", 129)])),
    ):
        with check("refused: %r: %s" % (attributes, words)):
            says(words, refused("attach", ifname="lo", **attributes))
    with check("nothing is attached"):
        same([], dump("device-get"))
    allowed = [prefix("10.1.%d.0" % n, 24) for n in range(15)] + [prefix("fd00::", 8)]
    given = {"role": "geneve", "port": 7000, "class": 0x0167, "allow-from": allowed, "pass": 1, "strict": 1, "max-flows": 1000,
             "idle": 10, "tcp-idle": 6000}
    with check("each attribute is taken, and shown as it was given"):
        do("attach", ifname="lo", **given)
        shown = dump("device-get")
        same([dict(given, ifindex=1, ifname="lo")], shown)
    with check("other values take their place"):
        do("attach", ifname="lo", role="geneve", replace=1)
        shown = dump("device-get")[0]
        same([6081, 0x0108, 0, 0, 131072, 350, 350],
             [shown[name] for name in ("port", "class", "pass", "strict", "max-flows", "idle", "tcp-idle")])
        same(None, shown.get("allow-from"))
    guest.run("ip address add 192.0.2.1/32 dev lo")
    with guest.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("192.0.2.1", 5353))
        options = three()
        inner = ip("198.51.100.7", "192.0.2.1", udp(40000, 5353, b"by ynl"))
        head = struct.pack("!BBHI", len(options) // 4, 0, 0x0800, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("192.0.2.1", 50000))
            sender.sendto(head + options + inner, ("192.0.2.1", 6081))
        with check("flows are listed"):
            flows = [flow for part in dump("geneve-flow-get") for flow in part.get("flow", [])]
            same([{"endpoint": FIRST, "proto": 17, "src": "198.51.100.7", "src-port": 40000, "dst": "192.0.2.1", "dst-port": 5353,
                   "outer-src": "192.0.2.1", "outer-dst": "192.0.2.1", "udp-src-port": 50000, "udp-dst-port": 6081,
                   "options": options, "closing": 0}],
                 [{name: value for name, value in flow.items() if name != "idle"} for flow in flows])
    with check("so are endpoints"):
        same([{"id": FIRST, "came-packets": 1, "came-bytes": len(inner), "left-packets": 0, "left-bytes": 0}],
             dump("geneve-endpoint-get"))
    with check("and counters, as glbctl has them"):
        said, shown = do("geneve-stats-get"), guest.json("glbctl --json geneve stats")
        for kind, theirs in (("came", "came"), ("left", "left"), ("flow", "flows")):
            names = {counter["name"] for counter in said[kind]}
            holds(names <= set(shown[theirs]), "%s: %r" % (kind, names - set(shown[theirs])))
        came = {counter["name"]: counter["value"] for counter in said["came"]}
        same([1, 1], [came["accepted_packets"], {each["name"]: each["value"] for each in said["flow"]}["first_flow_packets"]])
        same([1, 157288], [said["in-use"], said["room"]])
    do("detach", ifname="lo")
    with check("without a device there are no flows, and no endpoints"):
        same([[], []], [dump("geneve-flow-get"), dump("geneve-endpoint-get")])
        same(None, do("geneve-stats-get").get("room"))
    guest.run("ip address del 192.0.2.1/32 dev lo")


def sharing(*flows):
    """Tables with one bind, each with these attributes; what the module says in the end."""
    load = do("table-begin", tables=len(flows), binds=len(flows), row_bytes=7 * len(flows))["transaction"]
    for number, more in enumerate(flows):
        do("table-add", transaction=load, table=number, name="t%d" % number, hash_key=b"k" * 16, hops=1, forward="gre",
           select="maglev", num_rows=7, backend=[{"address": "10.0.0.%d" % n} for n in (1, 2, 3)],
           bind=[{"address": "192.0.2.%d" % number, "prefix-len": 24, "proto": "udp", "port-start": 53}], **more)
        do("row-set", transaction=load, table=number, first_row=0, rows=PAPERS_ROWS)
    return refused("table-commit", transaction=load)


def test_flows_of_one_bind():
    about("tables by ynl that have one bind: with flow tables all of them, or none")
    begin()
    none, some = {}, dict(flows={"buckets": 16})
    for name, tables in (("none", (none, none)), ("all", (some, some))):
        with check("loaded: " + name):
            same(None, sharing(*tables))
    with check("refused: the second alone"):
        says("table 1: bind 0 is bind 0 of table 0 too: only one of them has flows", sharing(none, some))
    with check("refused: all but the third"):
        says("table 2: bind 0 is bind 0 of table 1 too: only one of them has flows", sharing(some, some, none))
    with check("the tables that were loaded stay, and nothing else is left"):
        shows(generation=2, loads_under_way=0, bytes_set_aside=0)


def l3dsr(vip="192.0.2.1", **more):
    """A transaction with a table of two backends, but for `more`; what the module says of it."""
    load = do("table-begin", tables=1, binds=1, row_bytes=131072)["transaction"]
    return load, refused("table-add", transaction=load, table=0, name="edge", hash_key=b"k" * 16, hops=2,
                         backend=[{"address": "10.0.0.1"}, {"address": "10.0.0.2"}],
                         bind=[{"address": vip, "proto": "udp", "port-start": 53}], **more)


def set_rows(load):
    """All rows of GLB's, of the first and the second backend."""
    for first in range(0, 65536, 16384):
        ynl.do("row-set", {"transaction": load, "table": 0, "first-row": first, "rows": bytes([0, 1]) * 16384})


def test_l3dsr():
    about("a table by ynl whose packets get a DSCP: what cannot be, and what is said about it")
    begin()
    load, refusal = l3dsr(forward="l3dsr", dscp=63)
    with check("it is loaded"):
        same(None, refusal)
        set_rows(load)
        same(1, do("table-commit", transaction=load)["generation"])
    for name, words, more in (
        ("a table without its DSCP", "forward l3dsr needs the attribute dscp", dict(forward="l3dsr")),
        ("a DSCP that is none", "dscp 64: at most 63", dict(forward="l3dsr", dscp=64)),
        ("a DSCP with GRE", "forward gre gives packets no dscp", dict(forward="gre", dscp=1)),
        ("a DSCP with GUE", "forward gue gives packets no dscp", dict(dscp=1)),
    ):
        with check(name):
            says(words, l3dsr(**more)[1])
    with check("a bind of the other family"):
        load, refusal = l3dsr(forward="l3dsr", dscp=1, vip="fd00::1")
        same(None, refusal)
        set_rows(load)
        says("bind 0 is not of the backends' family", refused("table-commit", transaction=load))
    with check("the table that was loaded stays"):
        table = do("table-get", index=0)
        same(["l3dsr", 63, 1], [table["forward"], table["dscp"], table["generation"]])
    with check("a packet gets its DSCP"):
        answer = do("lookup", dst="192.0.2.1", src="10.11.12.13", proto="udp", dst_port=53, src_port=9)
        same(["l3dsr", 63], [answer["forward"], answer["dscp"]])


def nat(*tables):
    """Tables of one bind (address, prefix, ports) and one target port each, to one backend; what the module says in the end."""
    load = do("table-begin", tables=len(tables), binds=len(tables), row_bytes=131072 * len(tables))["transaction"]
    for number, ((vip, bits, first, last), port) in enumerate(tables):
        more = {"target-port": port} if port else {}
        ynl.do("table-add", {
            "transaction": load, "table": number, "name": "nat%d" % number, "hash-key": b"k" * 16, "hops": 2, "forward": "nat",
            "backend": [{"address": "10.0.0.1"}], **more,
            "bind": [{"address": vip, "prefix-len": bits, "proto": "tcp", "port-start": first, "port-end": last}],
        })
        for row in range(0, 65536, 16384):
            rows = {"transaction": load, "table": number, "first-row": row, "rows": bytes(2) * 16384}
            ynl.do("row-set", rows)
    return refused("table-commit", transaction=load)


def test_nat():
    about("tables by ynl whose packets get another address and port: what cannot be, and what is said about it")
    begin()
    web, other = ("192.0.2.1", 32, 80, 80), ("192.0.2.2", 32, 80, 80)
    with check("two services of one backend are loaded"):
        same(None, nat((web, 8080), (other, 8081)))
    for name, words, tables in (
        ("two of one port", "table 1: bind 0 and bind 0 of table 0 send to one port", ((web, 8080), (other, 8080))),
        ("a prefix", "bind 0 has several addresses", ((("192.0.2.0", 24, 80, 80), 8080),)),
        ("several ports", "bind 0 has several ports", ((("192.0.2.1", 32, 80, 81), 8080),)),
        ("ports of the backends' own", "bind 0 has ports up from 32768", ((("192.0.2.1", 32, 1000, 40000), 0),)),
        ("port 0", "bind 0 has port 0", ((("192.0.2.1", 32, 0, 0), 8080),)),
        ("a backend that is bound", "table 0: bind 0 sends to an address of bind 0 of table 1",
         ((web, 8080), (("10.0.0.1", 32, 81, 81), 8081))),
    ):
        with check(name):
            says(words, nat(*tables))
    with check("a port with GRE"):
        refusal = l3dsr(forward="gre", target_port=8080)[1]
        says("forward gre gives packets no port", refusal)
    with check("the tables that were loaded stay"):
        table = do("table-get", index=1)
        same(["nat", 8081], [table["forward"], table["target-port"]])
    with check("a packet gets its port"):
        answer = do("lookup", dst="192.0.2.1", src="10.11.12.13", proto="tcp", dst_port=80, src_port=9)
        same(["nat", 8080], [answer["forward"], answer["target-port"]])


main("rust_glb_director")
