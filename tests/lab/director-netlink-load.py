#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Loading tables into the director: all of a file or nothing of it."""

import signal

from lab.director import KEY, SEED, config, table_file
from lab.hosts import guest
from lab.netlink import Loader, Monitor, exits, fresh, hops, nothing_under_way, one_table, refuses, running, shows
from lab.run import main
from lab.settings import work
from lab.story import about, check, holds, same, say
from lab.waiting import eventually


def fails(command, *words):
    holds(guest.status(command, *words) != 0, "it fails: " + command)


def load(path):
    guest.run("glbctl table load", path)


def backends(table):
    return [[backend["ip"], backend["state"], backend["healthy"]] for backend in table["backends"]]


def test_load_and_inspect():
    about("what was loaded is what the running director shows, and where it sends packets is what the file says")
    fresh()
    tables = one_table("t.json", "api", 4)
    with check("a file is loaded"):
        load(tables)
    with check("one table, two binds, four backends"):
        shows(tables=1, binds=2, next_hops=4, generation=1)
    with check("backends are the file's"):
        same(backends(guest.json("glbctl --json table show", tables)[0]), backends(running()[0]))
    for client in ("10.11.12.13", "127.1.0.1", "192.0.2.77"):
        with check("%s goes where the file says" % client):
            same(hops("--table", tables, client), hops("--running", client))
    with check("no bind, no way"):
        fails("glbctl lookup --running 10.11.12.13 1.1.1.1:81")
    with check("the vector of the specification"):
        answer = guest.json("glbctl --json lookup --running 10.11.12.13 1.1.1.1:80")
        same("008972f1657a5cbd", answer["hashes"][0]["hash"])


def test_dry_run():
    about("a dry run has the director judge the tables, and leaves the loaded ones as they are")
    fresh()
    first, second = one_table("t.json", "api", 4), one_table("t2.json", "other", 5)
    with check("nothing is loaded by a dry run"):
        guest.run("glbctl table load --dry-run", first)
    with check("no table is there"):
        shows(tables=0, generation=0)
    load(first)
    with check("another file would be taken"):
        guest.run("glbctl table load --dry-run", second)
    with check("its JSON has no load"):
        same(None, guest.json("glbctl --json table load --dry-run", second).get("generation"))
    with check("the table is the old one"):
        same(["api"], [table["table"] for table in running()])
    with check("so is the load"):
        shows(tables=1, generation=1)
    with check("a load goes on as if there had been none"):
        load(second)


def test_replace():
    about("another load takes the place of all tables, and listeners hear of it")
    fresh()
    first, second = one_table("t.json", "api", 4), one_table("t2.json", "other", 5)
    load(first)
    event = Monitor()
    with check("another file is loaded"):
        load(second)
    with check("the event names the load"):
        event.heard()
        same('{"event":"tables","generation":2,"tables":1}\n', event.so_far())
    with check("the table is the new one"):
        same(["other"], [table["table"] for table in running()])
    with check("so is its backend"):
        same("1.1.1.5", running()[0]["backends"][3]["ip"])
    with check("an empty file unloads all"):
        load(table_file("none.json"))
    with check("no table is left"):
        shows(tables=0, generation=3)


def test_interrupted():
    about("a loader that is killed halfway leaves nothing behind, and the running tables as they were")
    fresh()
    tables = one_table("t.json", "api", 4)
    load(tables)
    loader = Loader("--tables 6 --stop-after 3")
    with check("the loader stands in the middle"):
        same("stopped", loader.line())
    with check("its load is under way"):
        now = guest.json("glbctl --json status")
        same(1, now["loads_under_way"])
        holds(now["bytes_set_aside"] > 0, "bytes are set aside: %r" % now)
    with check("packets still go by the old tables"):
        same(hops("--table", tables, "10.11.12.13"), hops("--running", "10.11.12.13"))
    say("kill -9 %d" % loader.program.id)
    loader.program.signal(signal.SIGKILL)
    loader.close()
    with check("nothing is left of it"):
        eventually(nothing_under_way)
    with check("the tables are the old ones"):
        shows(generation=1, tables=1)


def test_two_loaders():
    about("two loaders at once do not see each other's parts")
    fresh()
    loader = Loader("--tables 2 --wait")
    with check("one has sent all"):
        same("ready", loader.line())
    with check("the other commits before it"):
        guest.run("glb-packets fill --tables 3")
    with check("its tables are there"):
        shows(tables=3, generation=1)
    loader.go_on()
    loader.line()
    with check("then the first one's are"):
        shows(tables=2, generation=2)
    loader.close()


def test_invalid():
    about("a file with a fault is refused by name, and one that the kernel refuses changes nothing")
    fresh()
    tables = one_table("t.json", "api", 4)
    load(tables)
    with open(tables) as good, open(work("bad.json"), "w") as bad:
        bad.write(good.read().replace('"port": 80,', '"port": 80000,').replace('"port": 80}', '"port": 80000}'))
    with check("glbctl refuses a port"):
        fails("glbctl table load", work("bad.json"))
    with check("the kernel refuses what it has no memory for"):
        refuses("MiB", "glb-packets fill --tables 4096 --hops 31")
    with check("too many tables are refused"):
        refuses("4097 tables: at most 4096", "glb-packets fill --tables 4097 --binds 0")
    with check("too many binds are refused"):
        refuses("at most 65536", "glb-packets fill --tables 2 --binds 40000")
    with check("more backends with counters than there may be are refused, before there are any"):
        refuses("131328 backends of services in all tables, which have counters: at most 131072",
                "glb-packets fill --services --hops 1 --binds 0 --tables 513 --backends 256")
    with check("one hop is refused, by name"):
        refuses("hops", "glb-packets fill --hops 1")
    with check("the old tables are there"):
        shows(generation=1, tables=1, loads_under_way=0)
    with check("a usage error is 2"):
        exits(2, "glbctl table load")
    with check("a refusal is 1"):
        exits(1, "glbctl attach nosuchdevice")


def test_two_rows():
    about("a second set of hash fields and rows that are too long for two in one header refuse each other, whichever comes last")
    fresh()
    setting, sixteen = "glbctl config set --alt-hash-fields src_port", "glb-packets fill --hops 16 --backends 32"
    guest.run(sixteen)
    with check("the setting is refused, by its name"):
        refuses("alt-hash-fields", setting)
    with check("and why"):
        refuses("16 hops, at most 15", setting)
    with check("it is as it was"):
        shows(config={"alt_hash_fields": None})
    loader = Loader("--hops 16 --backends 32 --wait")
    with check("a load is sent that has not been committed"):
        same("ready", loader.line())
    guest.run("glb-packets fill --hops 15 --backends 32")
    with check("with 15 hops it goes"):
        guest.run(setting)
    with check("16 hops are refused, by their name"):
        refuses("hops", sixteen)
    with check("and why"):
        refuses("16 hops: at most 15 while alt-hash-fields is set", sixteen)
    loader.go_on()
    with check("so is the load from before, at its commit"):
        line = loader.line()
        holds("16 hops, at most 15" in line, line)
    loader.close()
    with check("the tables are those with 15 hops"):
        shows(generation=2, loads_under_way=0)
    four, five = hops_v6(4), hops_v6(5)
    with check("4 hops of IPv6 backends go"):
        load(four)
    with check("5 do not"):
        refuses("5 hops: at most 4 with IPv6 backends while alt-hash-fields is set", "glbctl table load", five)
    config(guest, "--alt-hash-fields none")
    with check("without the setting they do"):
        load(five)
    with check("then the setting is refused"):
        refuses("5 hops, at most 4", setting)


def hops_v6(number):
    """The path of a table of version 3 with so many IPv6 hops a row."""
    return table_file("v6-%d.json" % number, {
        "name": "six",
        "version": 3,
        "hops": number,
        "hash_key": KEY,
        "seed": SEED,
        "binds": [{"ip": "1.1.1.1", "proto": "tcp", "port": 80}],
        "backends": [{"ip": "fd00::%d" % each, "state": "active", "healthy": True} for each in range(1, 10)],
    })


main("rust_glb_director")
