#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The director's netlink family under messages that nobody should send, and at its limits."""

from lab.director import config
from lab.hosts import guest
from lab.memory import Memory
from lab.netlink import fresh, hops, nothing_under_way, one_table, running, shows, status
from lab.run import main
from lab.settings import SLOWER
from lab.story import about, check, same, say


def fill(options):
    guest.run("glb-packets fill " + options)


def found(to):
    """The table that packets to this bind go by."""
    return guest.json("glbctl --json lookup --running 1.2.3.4", to)["table"]


def test_fuzz():
    about("100,000 broken messages (a slower kernel gets fewer) from two threads: the director answers, and keeps what it has")
    fresh()
    tables = one_table("t.json", "api", 4)
    guest.run("glbctl table load", tables)
    before = hops("--running", "10.11.12.13")
    with check("the fuzz comes to its end"):
        guest.run("glb-packets netlink --seed 20260701 --threads 2 --count", 50000 // SLOWER)
    with check("no load is left"):
        nothing_under_way()
    if status()["generation"] == 1:
        config(guest, "--hash-fields src_addr --alt-hash-fields none")
        with check("packets go where they went"):
            same(before, hops("--running", "10.11.12.13"))
    else:
        say("a message loaded tables of its own: where packets go is not looked at")
    with check("a load works as before"):
        guest.run("glbctl table load", tables)


def test_thousand_tables():
    about("1,000 tables with 256 backends and 4,000 binds are loaded, found, replaced and given back")
    fresh()
    guest.run("rmmod rust_glb_director")
    memory = Memory()
    guest.run("modprobe rust_glb_director")
    with check("they are loaded"):
        fill("--tables 1000 --backends 256 --binds 4")
    with check("all are there"):
        shows(tables=1000, binds=4000, next_hops=256)
    with check("the last one is found"):
        same("t999", found("10.0.3.231:4"))
    with check("they are listed"):
        same(999, running("--table", "t999")[0]["index"])
    with check("others take their place"):
        fill("--tables 1000 --backends 255 --binds 4")
    with check("one stays of 65,536 binds"):
        fill("--tables 1 --binds 65535")
    with check("a bind at its end is found"):
        same("t0", found("10.0.0.0:65535"))
    with check("31 hops are loaded"):
        fill("--hops 31 --backends 256")
    guest.run("rmmod rust_glb_director")
    with check("memory is back after the module went"):
        memory.kept()


main("rust_glb_director")
