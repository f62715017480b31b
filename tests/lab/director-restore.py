#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""What runs in the kernel is saved as a source, and restored when it has gone or other tables are there."""

import os

from lab.director import table_file
from lab.hosts import guest
from lab.netlink import exits, fresh, one_table, refuses
from lab.run import main
from lab.settings import read_json, work, work_json
from lab.story import about, check, holds, same

# A table of each rule, with all states.
SOURCE = """
{ "tables": [
  { "name": "web", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
    "binds": [ {"ip": "1.1.1.1", "proto": "tcp", "port": 80},
               {"ip": "1.1.2.0/24", "proto": "udp", "port_start": 10, "port_end": 20} ],
    "backends": [ {"ip": "1.1.1.1", "state": "active", "healthy": true, "healthchecks": {"http": 80}},
                  {"ip": "1.1.1.2", "state": "draining", "healthy": true},
                  {"ip": "1.1.1.3", "state": "inactive", "healthy": true},
                  {"ip": "1.1.1.4", "state": "active", "healthy": true} ] },
  { "name": "api", "version": 3, "hops": 4, "hash_key": "22345678901234561234567890123456",
    "seed": "00a3d861d661ae5ab06ed9326871a2f5", "binds": [ {"ip": "fd00::1", "proto": "tcp", "port": 80} ],
    "backends": [ {"ip": "1.1.1.1", "state": "active", "healthy": true, "weight": 5, "domain": "a"},
                  {"ip": "1.1.1.2", "state": "active", "healthy": false, "domain": "b"},
                  {"ip": "1.1.1.4", "state": "active", "healthy": true} ] } ] }
"""

# Restores compare all that runs, but for the number of the load. (Python would take long over the rows in this guest.)
ROWS = "glbctl --json table show --running --rows | sed -E 's/\"generation\": ?[0-9]+//g' >\"$1\""


def written(name, text):
    """The path of a file with this text."""
    with open(work(name), "w") as file:
        file.write(text)
    return work(name)


def sources():
    """The source, and another table."""
    return written("src.json", SOURCE), one_table("other.json", "other", 5)


def load(path):
    guest.run("glbctl table load", path)


def build(source, name):
    guest.run("glbctl table build", source, work(name))
    return work(name)


def rows(name):
    """The path of a file with what runs."""
    guest.quietly("sh -c", ROWS, "sh", work(name))
    return work(name)


def the_same(one, other):
    guest.run("cmp", one, other)


def nothing_runs():
    with open(rows("now")) as file:
        same("[]", file.read().strip())


def export(keys, name):
    guest.run("glbctl table export --running --keys", keys, "-o", work(name))
    return work(name)


def test_export_and_restore():
    about("what runs is exported with its keys and comes back whole, after an unload and after another load")
    fresh()
    source, other = sources()
    load(source)
    before = rows("before")
    with check("without keys the kernel tells too little, and that is said"):
        refuses("neither keys nor seeds", "glbctl table export --running")
    with check("it is exported"):
        export(source, "saved.json")
    saved = work("saved.json")
    binary = build(source, "src.bin")
    again = build(saved, "saved.bin")
    with check("what was exported builds to the same bytes"):
        the_same(binary, again)
    with check("health checks of the source are kept"):
        same(80, read_json(saved)["tables"][0]["backends"][0]["healthchecks"]["http"])
    load(table_file("none.json"))
    with check("after an unload nothing runs"):
        nothing_runs()
    with check("a dry run restores nothing"):
        guest.run("glbctl table restore --dry-run", saved)
    with check("nothing runs still"):
        nothing_runs()
    with check("it is restored"):
        guest.run("glbctl table restore", saved)
    after = rows("after")
    with check("every row is as before"):
        the_same(before, after)
    load(other)
    with check("it is restored from the binary file too, in the place of another table"):
        guest.run("glbctl table restore", binary)
    after = rows("after")
    with check("every row is as before again"):
        the_same(before, after)
    with check("its JSON says that it is proven"):
        same(True, guest.json("glbctl --json table restore", saved)["proven"])
    with check("the exported file is no roll-out"):
        guest.run("glbctl table diff --running --exit-code", saved)
    with check("another file is one that breaks connections, and the exit status says so"):
        exits(3, "glbctl table diff --running --exit-code", other)
    with check("so does its JSON"):
        same(False, guest.json("glbctl --json table diff --running", other)["safe"])


def test_wrong_keys():
    about("keys that the tables were not made from are found out, and nothing is written")
    fresh()
    source, other = sources()
    load(source)
    wrong = {
        "key": (("22345678901234561234567890123456", "32345678901234561234567890123456"), "its hash_key is another"),
        "seed": (("00a3d861d661ae5ab06ed9326871a2f5", "99a3d861d661ae5ab06ed9326871a2f5"), "rows are others"),
        "weight": (('"weight": 5', '"weight": 6'), "rows are others"),
    }
    for name, (change, words) in wrong.items():
        out = work(name + ".out")
        with check("another %s" % name):
            keys = written(name + ".json", SOURCE.replace(*change))
            refuses(words, "glbctl table export --running --keys", keys, "-o", out)
        with check("nothing was written"):
            holds(not os.path.exists(out), "there is no " + out)
    with check("a file without the table"):
        refuses("there is none of this name", "glbctl table export --running --keys", other)


def test_all_or_nothing():
    about("a file that cannot be restored leaves what runs; one without names is found by what it makes")
    fresh()
    source, other = sources()
    load(other)
    before = rows("before")
    binary = build(source, "src.bin")
    with open(binary, "rb") as whole, open(work("short.bin"), "wb") as short:
        short.write(whole.read(100000))
    with check("half a file is refused"):
        holds(guest.status("glbctl table restore", work("short.bin")) != 0, "it fails")
    after = rows("after")
    with check("what ran runs"):
        the_same(before, after)
    one = work_json("one.json", {"tables": read_json(source)["tables"][:1]})
    guest.run("glb-director-cli build-config", one, work("one.bin"))
    with check("a binary file of version 2 is restored as it is"):
        guest.run("glbctl table restore", work("one.bin"))
    with check("what runs without a name gets its source back"):
        export(source, "saved.json")
    with check("with name and states"):
        same(read_json(one)["tables"][0], read_json(work("saved.json"))["tables"][0])


main("rust_glb_director")
