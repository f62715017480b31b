#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Which connections depend on second chance: what glbctl counts is what there is, to the last one.

    client ---> director ===GUE===> proxy1, proxy2 (glb-healthcheck, which counts their connections)
                is a proxy too
"""

import os

from lab.director import backend, config, load, load_module, table, table_file
from lab.hosts import Host, make, unhurried
from lab.proxies import proxies
from lab.run import MODULES, main
from lab.settings import VIP4, VIP6, work, work_json
from lab.sockets import accepted, connect, listener, says
from lab.story import about, check, context, holds, same
from lab.waiting import eventually

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "10.0.0.1", "fd00::1")
proxy1 = Host("proxy1", "10.0.0.11", "fd00::11")
proxy2 = Host("proxy2", "10.0.0.12", "fd00::12")
PROXIES = (proxy1, proxy2)
HAVING = {host.ipv4: host for host in (director, *PROXIES)}
FILE = "tables.json"


def setup():
    make(client, director, *PROXIES)
    proxies(director, *PROXIES)
    unhurried(client, director, *PROXIES)
    numbers = range(2, 26)
    client.ip("\n".join("addr add 10.2.0.%d/32 dev eth0\naddr add fd02::%d/128 dev eth0 nodad" % (n, n) for n in numbers))
    for vip, via in ((VIP4, director.ipv4), (VIP6, director.ipv6)):
        client.ip("route add %s via %s dev eth0 onlink" % (vip, via))
    load_module()
    director.run("glbctl attach eth0")
    # As the operator's tools do: all machines have the file of the table.
    none = work_json("none.json", {"tables": []})
    use()
    for host in PROXIES:
        conf = {
            "forwarding_table": {"src": none, "dst": work(host.name + ".json")},
            "reload_command": "",
            "listen": "0.0.0.0:19520",
            "redirect_flows": {"table": work(FILE)},
        }
        host.spawn("glb-healthcheck --log error --config", work_json(host.name + ".conf", conf))


def use(one="active", two="active", hosts=PROXIES):
    """The table has these two in these states, at the director and in the file that everybody has."""
    first, second = hosts
    load(director, table_file(FILE, table(backend(first.ipv4, one), backend(second.ipv4, two))))


def connections(count, hosts=PROXIES):
    """So many connections over each of IPv4 and IPv6: both ends, by the proxy that has them. Each is where the table says."""
    listeners = {(host, vip): listener(host, vip, 80) for host in hosts for vip in (VIP4, VIP6)}
    found = {host: [] for host in hosts}
    addresses = ["10.2.0.%d" % n for n in range(2, 2 + count)] + ["fd02::%d" % n for n in range(2, 2 + count)]
    for address in addresses:
        vip = VIP6 if ":" in address else VIP4
        to = "[%s]:80" % vip if ":" in vip else vip + ":80"
        host = HAVING[director.json("glbctl --json lookup --running", address, to)["hops"][0]["ip"]]
        one = connect(client, address, vip, 80)
        found[host].append((one, accepted(listeners[host, vip])))
    for listening in listeners.values():
        listening.close()
    return found


def flows(host, *words):
    """What the host counts."""
    return host.json("glbctl --json redirect flows --table", work(FILE), *words)


def counted(host, *words):
    """Connections that come to the host first, and the others by the proxy that they come to first."""
    answer = flows(host, *words)
    same(0, answer["unreachable"])
    (found,) = answer["tables"]
    same(host.ipv4, found["backend"])
    same(answer["dependent"] == 0, answer["safe"])
    return found["first"], {HAVING[hop["ip"]]: hop["connections"] for hop in found["first_hops"]}


def counts(host, first, others):
    """It counts this, once connections of another test are gone."""
    same((first, others), counted(host))


def dependent(host, number):
    same(number, flows(host)["dependent"])


def status():
    """What glbctl says of the table, on the director."""
    words = "glbctl --json backend status --checker none --interval 0.1 --file"
    (answer,) = director.json(words, work(FILE))["tables"]
    return answer


def told(wanted):
    """All proxies are known, and this is what is left: their connections, those of others that wait for them, the advice."""
    answer = status()
    same([], answer["unknown"])
    fields = ("dependent_connections", "held_by_others", "advice")
    same(wanted, [tuple(one.get(field) for field in fields) for one in answer["backends"]])
    left = sum(one[0] for one in wanted)
    same((left, left == 0), (answer["dependent_connections"], answer["safe"]))


def ordered(listed):
    return sorted(listed, key=lambda one: one["client"])


def end(pair):
    for one in pair:
        one.close()


def both_talk(found):
    for one, two in [pair for pairs in found.values() for pair in pairs]:
        says(one, two)
        says(two, one, b"and back")


def test_drain():
    about("A proxy is drained: all of its connections depend on second chance then, until the last one ends.")
    use()
    found = connections(8)
    here, there = (len(found[host]) for host in PROXIES)
    with check("each has some: %d and %d" % (here, there)):
        holds(here > 1 and there > 1)
    with check("none depends on second chance"):
        eventually(counts, proxy1, here, {})
        eventually(counts, proxy2, there, {})
    with check("and it is safe to go on"):
        eventually(told, [(0, 0, None)] * 2)
    use("draining")
    with check("of the draining one all depend on the other one, of that none"):
        eventually(counts, proxy1, 0, {proxy2: here})
        eventually(counts, proxy2, there, {})
    with check("a row that is named is the row that lookup names"):
        for one in flows(proxy1, "--list")["connections"]:
            address = one["client"].rsplit(":", 1)[0].strip("[]")
            asked = director.json("glbctl --json lookup --running", address, one["vip"])
            same((asked["hashes"][0]["row"], asked["hops"][0]["ip"]), (one["row"], one["first_hop"]))
            same(([proxy2.ipv4, proxy1.ipv4], True), ([hop["ip"] for hop in asked["hops"]], one["reachable"]))
    with check("they still work"):
        both_talk(found)
    with check("status tells how many are left"):
        eventually(told, [(here, 0, "%d left: wait" % here), (0, here, None)])
    with check("that is an exit status"):
        same(3, proxy1.status("glbctl redirect flows --exit-code --table", work(FILE)))
        same(0, proxy2.status("glbctl redirect flows --exit-code --table", work(FILE)))
    said = os.open(work("said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    waiting = proxy1.spawn("glbctl redirect flows --wait --exit-code --table", work(FILE), stdout=said, stderr=said)
    os.close(said)
    with check("with each that ends there is one less"):
        left = here
        for pair in found[proxy1]:
            end(pair)
            left -= 1
            eventually(dependent, proxy1, left)
    with check("one that waits ends with the last"):
        waiting.succeeds()
        with open(work("said")) as file:
            same("0 left by %s: safe to go on" % work(FILE), file.read().splitlines()[-1])
    with check("status says so"):
        eventually(told, [(0, 0, "0 left: safe to go on"), (0, 0, None)])
    with check("those of the other one are where they were"):
        eventually(counts, proxy2, there, {})
        both_talk({proxy2: found[proxy2]})


def test_fill():
    about("A proxy fills: the connections of its rows are at the other one, until the last one ends.")
    use("inactive")
    found = connections(8)
    with check("the other one has all"):
        eventually(counts, proxy2, 16, {})
    use("filling")
    first, others = counted(proxy2)
    with check("some of them are now of rows of the one that fills: %s" % others.get(proxy1)):
        same({proxy1: 16 - first}, others)
        holds(0 < first < 16)
    with check("they still work"):
        both_talk(found)
    with check("status tells how many are left on the other one"):
        eventually(told, [(0, 16 - first, "%d left on the others: wait" % (16 - first)), (16 - first, 0, None)])
    for pair in found[proxy2]:
        end(pair)
    with check("when they have ended, it is safe to go on"):
        eventually(told, [(0, 0, "0 left on the others: safe to go on"), (0, 0, None)])


def test_unknown():
    about("A proxy that does not say, or that counts by another table, has never none left.")
    use()
    with check("both are known"):
        eventually(told, [(0, 0, None)] * 2)
    other = table_file("other.json", table(backend(proxy1.ipv4, "draining"), proxy2.ipv4))
    words = "glbctl --json backend status --checker none --interval 0.1 --file"
    with check("neither counts by that table"):
        (answer,) = director.json(words, other)["tables"]
        same(([proxy1.ipv4, proxy2.ipv4], False), (answer["unknown"], answer["safe"]))
        same(None, answer["backends"][0].get("dependent_connections"))
    with check("nobody is at another port"):
        (answer,) = director.json(words.replace("--file", "--metrics http://{}:1/ --file"), work(FILE))["tables"]
        same(([proxy1.ipv4, proxy2.ipv4], False), (answer["unknown"], answer["safe"]))
    with check("a proxy counts its own connections without an exporter"):
        found = connections(4)
        use("draining")
        here = len(found[proxy1])
        words = "glbctl --json backend status --checker none --metrics none --file"
        (answer,) = proxy1.json(words, work(FILE))["tables"]
        same([here, None], [one.get("dependent_connections") for one in answer["backends"]])
        same(([proxy2.ipv4], False), (answer["unknown"], answer["safe"]))


def test_running():
    about("A director that is a proxy too knows its tables: it says what the file says, with two sets of hash fields too.")
    hosts = (director, proxy1)
    use(hosts=hosts)
    found = connections(8, hosts)
    here = len(found[director])
    running = ("glbctl --json redirect flows --list --running",)
    for alt, conf in [("none", {}), ("src_addr,src_port", {"alt_hash_fields": {"src_addr": True, "src_port": True}})]:
        config(director, "--alt-hash-fields " + alt)
        conf = work_json("director.conf", {"outbound_src_ip": director.ipv4, **conf})
        for state, expected in [("active", 0), ("draining", here)]:
            use(state, hosts=hosts)
            with context("alternative fields %s, %s: " % (alt, state)):
                by_table, by_kernel = flows(director, "--list", "--config", conf), director.json(*running)
                with check("%d depend on second chance" % expected):
                    same((expected, expected), (by_table["dependent"], by_kernel["dependent"]))
                with check("both say the same"):
                    same(ordered(by_table["connections"]), ordered(by_kernel["connections"]))
                    same(by_table["tables"], by_kernel["tables"])
    config(director, "--alt-hash-fields none")
    with check("a proxy that is no director has no tables, and is told so"):
        said = proxy2.output("glbctl --json redirect flows --running", any_status=True)
        holds("there are no tables" in said, said)


main(MODULES + " tcp_diag")
