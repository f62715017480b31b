#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Machines that are two things at once: a director that is itself a proxy, and proxies and directors that are clients.

    client ---> director ===GUE===> proxy1
                is a proxy too ===> itself
"""

from lab.counters import expect_counters, sent_again, snapshot
from lab.director import backend, begin, config, load, load_module, table, table_file
from lab.hosts import Host, make, unhurried
from lab.proxies import proxies
from lab.run import main
from lab.settings import VIP4, VIP6
from lab.sockets import accepted, connect, eof, listener, says
from lab.story import about, at_least, check, context, holds, same, tell_error
from lab.traffic import pump

OTHER4, OTHER6 = "1.1.1.2", "fd91:79d3:d621::2"

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
HAVING = {address: host for host in (director, proxy1) for address in (host.ipv4, host.ipv6)}


def setup():
    global tables
    make(client, director, proxy1)
    proxies(director, proxy1)
    unhurried(client, director, proxy1)
    numbers = range(2, 18)
    client.ip("\n".join("addr add 10.2.0.%d/32 dev eth0\naddr add fd02::%d/128 dev eth0 nodad" % (n, n) for n in numbers))
    for host in (client, proxy1):
        by_director(host, OTHER4, OTHER6)
    client.ip("link set eth0 mtu 1500")
    by_director(client, VIP4, VIP6)
    director.ip("addr add %s/32 dev tunl0\naddr add %s/128 dev sit0 nodad" % (OTHER4, OTHER6))
    load_module()
    director.run("glbctl attach eth0")
    tables = {
        "both": shared("both.json", backend(director.ipv4), backend(proxy1.ipv4)),
        # The director's own share drains, and proxy1's.
        "away": shared("away.json", backend(director.ipv4, "draining"), backend(proxy1.ipv4)),
        "home": shared("home.json", backend(director.ipv4), backend(proxy1.ipv4, "draining")),
        "both6": shared("both6.json", backend(director.ipv6), backend(proxy1.ipv6)),
    }


def by_director(host, address4, address6):
    """The host sends packets for these to the director."""
    host.ip("""
        route add %s via %s dev eth0 onlink
        route add %s via %s dev eth0 onlink
    """ % (address4, director.ipv4, address6, director.ipv6))


def shared(name, home, away):
    """The director and proxy1 are proxies of the VIPs; of the other address the director is."""
    binds = [{"ip": ip, "proto": "tcp", "port": 80} for ip in (OTHER4, OTHER6)]
    own = table(home["ip"], seed="00112233445566778899aabbccddeeff", name="other", binds=binds)
    return table_file(name, table(home, away), own)


def talk(one, two):
    """Both ends of a connection hear each other."""
    says(one, two)
    says(two, one, b"and back")


def listen():
    """Both machines serve the VIPs."""
    return {(host, vip): listener(host, vip, 80) for host in (director, proxy1) for vip in (VIP4, VIP6)}


def primary(address, vip):
    """The host that glbctl says its packets go to first."""
    found = director.json("glbctl --json lookup --running", address, "[%s]:80" % vip if ":" in vip else vip + ":80")
    return HAVING[found["hops"][0]["ip"]]


def test_both():
    about("Connections go to the director itself or to the other proxy, as the table says, and to nobody else.")
    both("both")


def test_both_ipv6():
    about("The same with an IPv6 underlay, from a source that is no address of the machine: ip6tnl0 takes nothing from its own.")
    config(director, "--source-v6 fd65::66")
    both("both6")


def both(name):
    load(director, tables[name])
    listeners = listen()
    count = begin(director)
    snapshot(director, proxy1)
    went, silent = {director: 0, proxy1: 0}, []
    for address in ["10.2.0.%d" % n for n in range(1, 9)] + ["fd02::%d" % n for n in range(1, 9)]:
        vip = VIP6 if ":" in address else VIP4
        host = primary(address, vip)
        went[host] += 1
        try:
            one = connect(client, address, vip, 80)
            two = accepted(listeners[host, vip])
            talk(one, two)
        except Exception as error:
            tell_error(error)
            silent.append((address, host.name))
    home, away = went[director], went[proxy1]
    with check("some went to each: %d to the director itself, %d to proxy1" % (home, away)):
        holds(home > 0 and away > 0)
    with check("each was answered by the proxy that glbctl names"):
        same([], silent)
    # A SYN, its answer's acknowledgement, the data, and one more.
    expect_counters(director, accepted_syn=home, accepted_established=3 * home)
    expect_counters(proxy1, accepted_syn=away, accepted_established=3 * away)
    with check("each packet was tunnelled"):
        least, grew = 4 * (home + away), count.grew("encapsulated_packets")
        at_least(least, grew)
        holds(grew <= least + 2 * sent_again(), "no more than was sent: %d" % grew)


def test_second_chance():
    about("A connection outlives its way being changed: from the director's own proxy to the other one, and the other way round.")
    load(director, tables["both"])
    listeners = listen()
    for host, other, name in ((director, proxy1, "away"), (proxy1, director, "home")):
        with context("%s has it: " % host):
            address = next(found for found in ("10.2.0.%d" % n for n in range(1, 17)) if primary(found, VIP4) is host)
            one = connect(client, address, VIP4, 80)
            two = accepted(listeners[host, VIP4])
            with check("it talks"):
                says(one, two)
            load(director, tables[name])
            with check("its packets go to the other one first"):
                same(other.name, primary(address, VIP4).name)
            snapshot(director, proxy1)
            with check("it still talks, by its second chance"):
                says(one, two, b"again")
            # The data, and the acknowledgement of the answer.
            expect_counters(other, forwarded_to_alternate=(1, 2))
            expect_counters(host, accepted_established=(1, 2))
            with check("and ends in order"):
                one.close()
                holds(pump(lambda: eof(two)), "the other end is closed")
            load(director, tables["both"])


def test_proxy_is_a_client():
    about("A proxy that connects to the VIP gets its own service, without the director; to an address that is not its own it is "
          "a client.")
    load(director, tables["both"])
    listeners = listen()
    count = begin(director)
    one = connect(proxy1, proxy1.ipv4, VIP4, 80)
    two = accepted(listeners[proxy1, VIP4])
    with check("its own service answers"):
        talk(one, two)
    count.exactly()
    there = listener(director, OTHER4, 80)
    one = connect(proxy1, proxy1.ipv4, OTHER4, 80)
    two = accepted(there)
    with check("another proxy answers by way of the director"):
        talk(one, two)
    with check("each packet was tunnelled"):
        at_least(3, count.grew("encapsulated_packets"))
    there = listener(director, OTHER6, 80)
    one = connect(proxy1, proxy1.ipv6, OTHER6, 80)
    two = accepted(there)
    with check("so it does over IPv6"):
        says(one, two)


def test_director_is_a_client():
    about("A director that is a proxy and connects to the VIP gets its own service: its packets never come in on a device.")
    load(director, tables["both"])
    listeners = listen()
    count = begin(director)
    one = connect(director, director.ipv4, VIP4, 80)
    two = accepted(listeners[director, VIP4])
    with check("it talks to itself"):
        talk(one, two)
    count.exactly()


main()
