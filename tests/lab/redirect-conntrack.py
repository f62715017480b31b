#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""A program that is reached by DNAT (--conntrack): the connection tracking of the proxy knows its connections.

    client ---> director ===GUE===> proxy1 ===GUE===> proxy2
                                      | decapsulates; DNAT of the VIP, port 80, to
                                     web   10.99.1.2 and fd99:1::2, port 8080
"""

import os
import socket

from lab.captures import recv, send, watch
from lab.counters import expect_counters
from lab.hosts import guest, unhurried
from lab.packets import answers, icmp, ip, tcp, tcp_of, udp
from lab.pods import pod
from lab.run import main
from lab.settings import GUE_PORT, VIP4, VIP6
from lab.sockets import accepted, eof, hears, listener, udp_socket
from lab.story import about, at_least, check, holds, same
from lab.traffic import close_kept, pump
from lab.waiting import eventually
from lab.ways import begins, client, everywhere, moves, no_rules, ports, proxy1, proxy2, rules, two_proxies

RULE = "INPUT -p udp -m udp --dport %d -j GLBREDIRECT" % GUE_PORT
# An address of the pods' link that nobody has.
NOBODY = {4: "10.99.1.77", 6: "fd99:1::77"}


def setup():
    global web, AT
    two_proxies()
    rules(proxy2)
    web = pod(proxy1, "web", 1)
    AT = {4: web.ipv4, 6: web.ipv6}
    unhurried(web)


# --- DNAT, as tools of operators make it -----------------------------------------------------------------


def by_iptables(to, tools=("iptables", "ip6tables")):
    for tool, vip, target in zip(tools, (VIP4, VIP6), ("%s:8080" % to[4], "[%s]:8080" % to[6])):
        for protocol in ("tcp", "udp"):
            proxy1.run("%s -t nat -A PREROUTING -d %s -p %s --dport 80" % (tool, vip, protocol),
                       "-j", "DNAT", "--to-destination", target)


def by_legacy(to):
    by_iptables(to, ("iptables-legacy", "ip6tables-legacy"))


def by_nft(to):
    proxy1.run("nft", """
        table inet pods {
            chain pre {
                type nat hook prerouting priority dstnat;
                ip daddr %s meta l4proto { tcp, udp } th dport 80 dnat ip to %s:8080
                ip6 daddr %s meta l4proto { tcp, udp } th dport 80 dnat ip6 to [%s]:8080
            }
        }""" % (VIP4, to[4], VIP6, to[6]))


def no_nat():
    for tool in ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"):
        proxy1.quietly(tool + " -t nat -F")
    proxy1.output("nft delete table inet pods", any_status=True)
    forget_connections()


def forget_connections():
    """The connection tracking of proxy1 is empty."""
    proxy1.output("conntrack -F", any_status=True)


# --- connections by hand ----------------------------------------------------------------------------------


def comes_up(way):
    """A connection with the program, in whose handshake only the SYN is a SYN."""
    listening = listener(web, AT[way.inner], 8080)
    sport, ack = begins(way, 80)
    expect_counters(proxy1, accepted_syn=1)
    with check("the acknowledgement of the handshake stays"):
        way.stays(tcp(sport, 80, "A", seq=1001, ack=ack))
        connection = accepted(listening)
    expect_counters(proxy1, accepted_conntrack=1)
    return connection, sport, ack


def state_of(sport):
    """How the connection tracking shows the client's connection."""
    for family in ("ipv4", "ipv6"):
        for line in proxy1.output("conntrack -L -f %s -p tcp --orig-port-src %d" % (family, sport), any_status=True).splitlines():
            if line.startswith("tcp"):
                return line
    return ""


def test_without():
    about("Without the option, only SYNs of a program behind DNAT stay.")
    by_iptables(AT)
    rules(proxy1)
    everywhere(_without)
    no_rules(proxy1)
    no_nat()


def _without(way):
    listener(web, AT[way.inner], 8080)
    sport, ack = begins(way, 80)
    expect_counters(proxy1, accepted_syn=1)
    with check("the acknowledgement of the handshake goes on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=ack))
    expect_counters(proxy1, forwarded_to_alternate=1)
    close_kept()


def test_iptables():
    about("With the option, connections that iptables sends to another address stay, and others go on.")
    behind_dnat(by_iptables)


def test_legacy():
    about("The same with the iptables that is older than nftables.")
    behind_dnat(by_legacy)


def test_nft():
    about("The same with nft.")
    behind_dnat(by_nft)


def behind_dnat(dnat):
    dnat(AT)
    rules(proxy1, "--conntrack")
    everywhere(_connection)
    no_rules(proxy1)
    no_nat()


def test_door():
    about("The same with the door that needs no iptables.")
    by_nft(AT)
    proxy1.run("modprobe nf_conntrack")
    proxy1.run("glbctl redirect on --conntrack")
    everywhere(_connection)
    proxy1.run("glbctl redirect off")
    no_nat()


def _connection(way):
    connection, sport, ack = comes_up(way)
    with check("data stays"):
        way.stays(tcp(sport, 80, "PA", seq=1001, ack=ack, payload=b"hello"))
        hears(connection, b"hello")
    expect_counters(proxy1, accepted_conntrack=1)
    with check("a packet of another connection goes on"):
        way.goes_on(tcp(next(ports), 80, "A", seq=1001, ack=77))
    expect_counters(proxy1, forwarded_to_alternate=1)
    with check("an error about a packet of the connection stays"):
        inside = ip(way.vip, way.ghost, tcp(80, sport, "A", seq=ack, ack=1006))
        way.stays(icmp(3, 4, b"\0\0\x05\0", inside) if way.inner == 4 else icmp(2, 0, b"\0\0\x05\0", inside))
    expect_counters(proxy1, accepted_conntrack=1)
    with check("the end stays, and what comes later"):
        way.stays(tcp(sport, 80, "FA", seq=1006, ack=ack))
        holds(pump(lambda: eof(connection)), "the program hears of the end")
        connection.close()
        recv(client, lambda packet: answers(packet, sport, "FA"))
        way.stays(tcp(sport, 80, "A", seq=1007, ack=ack + 1))
        way.stays(tcp(sport, 80, "A", seq=1007, ack=ack + 1))
    expect_counters(proxy1, accepted_conntrack=3)
    close_kept()


def test_reset():
    about("After a reset nobody is there any more.")
    by_iptables(AT)
    rules(proxy1, "--conntrack")
    everywhere(_reset)
    no_rules(proxy1)
    no_nat()


def _reset(way):
    connection, sport, ack = comes_up(way)
    way.stays(tcp(sport, 80, "RA", seq=1001, ack=ack))
    with check("the reset stays"):
        eventually(lambda: holds(" CLOSE " in state_of(sport), state_of(sport)))
    expect_counters(proxy1, accepted_conntrack=1)
    with check("what comes later goes on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=ack))
    expect_counters(proxy1, forwarded_to_alternate=1)
    connection.close()
    close_kept()


def test_forgotten():
    about("A connection in its middle that the connection tracking does not know goes on.")
    by_iptables(AT)
    rules(proxy1, "--conntrack")
    everywhere(_forgotten)
    no_rules(proxy1)
    no_nat()


def _forgotten(way):
    _, sport, ack = comes_up(way)
    forget_connections()
    with check("its packets go on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=ack))
    expect_counters(proxy1, forwarded_to_alternate=1)
    close_kept()


def test_no_proof():
    about("A SYN that nobody has answered is no proof of a connection, and neither is a packet from its middle.")
    by_iptables(NOBODY)
    rules(proxy1, "--conntrack")
    everywhere(_no_proof)
    no_rules(proxy1)
    no_nat()


def _no_proof(way):
    sport = next(ports)
    way.stays(tcp(sport, 80, "S", seq=1000))
    with check("a SYN that nobody answers is there"):
        holds("SYN_SENT" in state_of(sport), state_of(sport))
    expect_counters(proxy1, accepted_syn=1)
    with check("what follows it goes on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=77))
    expect_counters(proxy1, forwarded_to_alternate=1)
    sport = next(ports)
    way.stays(tcp(sport, 80, "A", seq=1001, ack=77), hops=0)
    with check("one from the middle, taken as the last resort, is there"):
        holds("ESTABLISHED" in state_of(sport) and "UNREPLIED" in state_of(sport), state_of(sport))
    expect_counters(proxy1, accepted_last_resort=1)
    with check("what follows it goes on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=77))
    expect_counters(proxy1, forwarded_to_alternate=1)


def test_direction():
    about("The answer to a connection that the proxy itself has sent on is no client's packet.")
    for tool, vip, net in (("iptables", VIP4, "10.99.1.0/24"), ("ip6tables", VIP6, "fd99:1::/64")):
        proxy1.run("%s -t nat -A POSTROUTING -s %s -o eth0 -j SNAT --to-source %s" % (tool, net, vip))
    rules(proxy1, "--conntrack")
    everywhere(_direction)
    no_rules(proxy1)
    no_nat()


def _direction(way):
    sport = next(ports)
    # The pod opens a connection to somebody behind the client, whose answer is made by hand.
    watch()
    with web.inside():
        made = socket.socket(socket.AF_INET if way.inner == 4 else socket.AF_INET6)
        made.setblocking(False)
        made.bind((AT[way.inner], sport))
        made.connect_ex((way.ghost, 90))
    syn = tcp_of(recv(client, lambda packet: answers(packet, 90, "S")))
    send(client, proxy1, ip(way.ghost, way.vip, tcp(90, syn.sport, "SA", seq=5000, ack=syn.seq + 1)))
    with check("the connection is there, and answered"):
        eventually(lambda: holds("ESTABLISHED" in state_of(sport) and "UNREPLIED" not in state_of(sport), state_of(sport)))
    with check("a packet in the direction of its answers goes on"):
        way.goes_on(tcp(90, syn.sport, "A", seq=5001, ack=syn.seq + 1))
    expect_counters(proxy1, forwarded_to_alternate=1)
    made.close()


def test_zone():
    about("Connections are looked for in the default zone.")
    for tool in ("iptables", "ip6tables"):
        proxy1.run(tool + " -t raw -A PREROUTING ! -i eth0 -j CT --zone 5")
    by_iptables(AT)
    rules(proxy1, "--conntrack")
    everywhere(_zone)
    for tool in ("iptables", "ip6tables"):
        proxy1.run(tool + " -t raw -F")
    no_rules(proxy1)
    no_nat()


def _zone(way):
    listener(web, AT[way.inner], 8080)
    sport, ack = begins(way, 80)
    expect_counters(proxy1, accepted_syn=1)
    with check("one of another zone goes on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=ack))
    expect_counters(proxy1, forwarded_to_alternate=1)
    close_kept()


def test_udp():
    about("With --udp, a datagram stays whose flow the connection tracking knows, if somebody has answered.")
    by_iptables(AT)
    rules(proxy1, "--conntrack", "--udp")
    everywhere(_udp)
    no_rules(proxy1)
    no_nat()


def _udp(way):
    sport = next(ports)
    server = udp_socket(web, AT[way.inner], 8080)
    server.setblocking(False)
    with check("a new flow goes on"):
        way.goes_on(udp(sport, 80, b"first"))
    expect_counters(proxy1, forwarded_udp=1)
    with check("at the end of the list it stays"):
        way.stays(udp(sport, 80, b"first"), hops=0)
    expect_counters(proxy1, accepted_udp=1)
    with check("nobody has answered yet: what follows it goes on"):
        way.goes_on(udp(sport, 80, b"again"))
    expect_counters(proxy1, forwarded_udp=1)
    with check("the program has it, and answers"):
        same(b"first", hears_datagram(server, b"answer"))
        recv(client, lambda packet: packet.endswith(b"answer"))
    with check("now what follows stays"):
        way.stays(udp(sport, 80, b"second"))
    expect_counters(proxy1, accepted_conntrack=1)
    server.close()


def hears_datagram(server, answer):
    """What came; the sender is answered."""
    found = []

    def look():
        try:
            found.append(server.recvfrom(2048))
        except BlockingIOError:
            pass
        return bool(found)

    holds(pump(until=look), "nothing came")
    data, sender = found[0]
    server.sendto(answer, sender)
    return data


def test_contradiction():
    about("DNAT hides who listens, so --syn-listener and --conntrack exclude each other.")
    before = proxy1.output("iptables -S INPUT")
    for tool in ("iptables", "iptables-legacy"):
        with check(tool + " refuses them together"):
            holds(proxy1.status(tool + " -A " + RULE, "--conntrack", "--syn-listener") != 0)
    same(before, proxy1.output("iptables -S INPUT"))
    with check("glbctl refuses them together, and says why"):
        text = proxy1.output("sh -c", "glbctl redirect on --conntrack --syn-listener 2>&1; glbctl redirect status")
        holds("exclude" in text or "cannot be used with" in text, text)
        holds(text.endswith("off"), text)


# --- the module that is asked -------------------------------------------------------------------------------


def users():
    """How many hold nf_conntrack; None if it is not loaded."""
    try:
        with open("/sys/module/nf_conntrack/refcnt") as file:
            return int(file.read())
    except FileNotFoundError:
        return None


def unload(module):
    """It goes, with the modules that need it."""
    holders = "/sys/module/%s/holders" % module
    if not os.path.isdir(holders):
        return
    for holder in os.listdir(holders):
        unload(holder)
    guest.output("rmmod " + module, any_status=True)


def test_modules():
    about("The module works without nf_conntrack. A rule of iptables-legacy loads it; a rule holds it, and lets it go.")
    with check("the module needs x_tables alone"):
        same("x_tables", guest.output("modinfo -F depends rust_glb_redirect"))
    no_nat()
    for tool in ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"):
        for table in ("nat", "raw"):
            proxy1.output("%s -t %s -F" % (tool, table), any_status=True)
    proxy1.run("nft flush ruleset")
    proxy2.run("nft flush ruleset")
    for table in ("nat", "raw", "mangle"):
        unload("iptable_" + table)
        unload("ip6table_" + table)
    unload("nf_conntrack")
    with check("nf_conntrack is not loaded"):
        same(None, users())
    with check("the door says what is missing, and stays shut"):
        text = proxy1.output("sh -c", "glbctl redirect on --conntrack 2>&1; glbctl redirect status")
        holds("modprobe nf_conntrack" in text and text.endswith("off"), text)
    rules(proxy2)
    rules(proxy1)
    everywhere(_passes_on)
    with check("without the option, rules do not need it"):
        same(None, users())
    no_rules(proxy1)
    with check("iptables, which holds locks of nf_tables, loads nothing"):
        holds(proxy1.status("iptables -A %s --conntrack" % RULE) != 0)
        same(None, users())
    proxy1.run("iptables-legacy -A %s --conntrack" % RULE)
    with check("iptables-legacy loads it"):
        holds(users(), users())
    held = users()
    proxy1.run("glbctl redirect on --conntrack")
    with check("the door holds it"):
        at_least(held + 1, users())
    with check("who holds it is not robbed of it"):
        holds(guest.status("rmmod nf_conntrack") != 0)
    proxy1.run("glbctl redirect off")
    with check("the door has let it go"):
        same(held, users())
    proxy1.run("iptables-legacy -F INPUT")
    with check("the rule has let it go"):
        eventually(lambda: same(0, users()))
    with check("iptables takes the rule now"):
        holds(proxy1.status("iptables -A %s --conntrack" % RULE) == 0)
        at_least(1, users())
    no_rules(proxy1)
    guest.ip("netns add short")
    guest.run("ip netns exec short iptables -A %s --conntrack" % RULE)
    guest.run("ip netns exec short iptables-legacy -A %s --conntrack" % RULE)
    guest.run("ip netns exec short glbctl redirect on --conntrack")
    guest.ip("netns del short")
    with check("a namespace that ends lets it go"):
        eventually(lambda: same(0, users()))
    with check("and it can be unloaded"):
        unload("nf_conntrack")
        same(None, users())


def _passes_on(way):
    way.goes_on(tcp(next(ports), 80, "A", seq=1, ack=1))
    expect_counters(proxy1, forwarded_to_alternate=1)


def test_moves():
    about("Connections behind DNAT live on while their proxy drains and fills again, and another one takes new ones.")
    by_nft(AT)
    rules(proxy1, "--conntrack")
    moves(web, AT, 8080, "accepted_conntrack_packets")
    no_rules(proxy1)
    no_nat()


main()
