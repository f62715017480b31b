# SPDX-License-Identifier: GPL-2.0
"""What the director sends beside what `glbctl encap` says of the same packets, byte for byte.

    given = flows(director, [VIP4, VIP6])                     a capture of 400 packets of 100 clients
    sends_the_same((client, director, proxy1), given, tables, "dst host 10.1.0.1")
"""

import os

from lab.director import begin
from lab.dumps import Dump
from lab.hosts import guest
from lab.settings import work
from lab.story import check, same

PACKETS = 400


def flows(director, vips, number=100):
    """Packets of TCP to port 80 of each of these in turn, of so many flows, in frames to the director."""
    path = work("flows.pcap")
    to = ",".join("%s:80" % ("[%s]" % vip if ":" in vip else vip) for vip in vips)
    guest.quietly("glb-packets flows --packets", PACKETS, "--flows", number, "--out", path, "--to", to, "--dst-mac", director.mac)
    return path


def sends_the_same(hosts, given, tables, filter):
    """`hosts`: who sends the packets, the director, and who gets what the filter takes."""
    client, director, proxy = hosts
    want, got, settings = (work(name) for name in ("want.pcap", "got.pcap", "director.conf"))
    if os.path.exists(settings):
        os.remove(settings)
    director.run("glbctl config show --file", settings)
    model = director.json("glbctl --json encap", given, want, "--table", tables, "--config", settings)
    with check("encap sends all"):
        same(PACKETS, model["encapsulated_packets"])
    count = begin(director)
    dump = Dump(proxy, got, filter)
    client.run("tcpreplay -i eth0 --topspeed --preload-pcap", given)
    dump.end(PACKETS)
    with check("what was sent is the same, byte for byte"):
        guest.quietly("glb-packets diff --ignore-ethernet", want, got)
    count.exactly(encapsulated_packets=PACKETS, encapsulated_bytes=model["encapsulated_bytes"])
