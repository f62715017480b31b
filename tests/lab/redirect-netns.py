#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""A program in a namespace of its own (--netns): its sockets are asked after those of the proxy.

    client ---> director ===GUE===> proxy1 ===GUE===> proxy2
                                      | decapsulates, and sends on to
                                     web   which has the VIPs and the program
"""

import os

from lab.captures import forget, recv
from lab.counters import counters, expect_counters, snapshot
from lab.hosts import guest, unhurried
from lab.packets import answers, icmp, ip, tcp, tcp_of
from lab.pods import end, has_vips, pod
from lab.run import main
from lab.settings import GUE_PORT
from lab.sockets import accepted, eof, hears, listener
from lab.story import about, check, context, holds, same
from lab.traffic import close_kept, pump
from lab.waiting import eventually
from lab.ways import (P1, VIP, WAYS, begins, client, director, everywhere, moves, no_rules, ports, proxy1, proxy2, rules,
                      two_proxies)

RULE = "INPUT -p udp -m udp --dport %d -j GLBREDIRECT" % GUE_PORT
BOTH = ("iptables", "ip6tables")


def setup():
    global web, web2
    two_proxies()
    rules(proxy2)
    proxy1.ip("addr flush dev tunl0\naddr flush dev sit0")
    web = pod(proxy1, "web", 1)
    has_vips(web)
    unhurried(web)


def comes_up(way, name, port=80):
    """A connection by hand with a program, whose later packets count as `name`."""
    listening = listener(web, way.vip, port)
    sport, ack = begins(way, port)
    expect_counters(proxy1, accepted_syn=1)
    with check("the acknowledgement of the handshake stays"):
        way.stays(tcp(sport, port, "A", seq=1001, ack=ack))
        connection = accepted(listening)
    expect_counters(proxy1, **{name: 1})
    with check("data stays"):
        way.stays(tcp(sport, port, "PA", seq=1001, ack=ack, payload=b"hello"))
        hears(connection, b"hello")
    expect_counters(proxy1, **{name: 1})
    return connection, sport, ack


def test_without():
    about("Without the option, only SYNs of a program in another namespace stay.")
    rules(proxy1)
    everywhere(_without)
    no_rules(proxy1)


def _without(way):
    listener(web, way.vip, 80)
    sport, ack = begins(way, 80)
    expect_counters(proxy1, accepted_syn=1)
    with check("the acknowledgement of the handshake goes on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=ack))
    expect_counters(proxy1, forwarded_to_alternate=1)
    close_kept()


def test_rule():
    about("A rule names the namespace: connections of its program stay, and others go on.")
    rules(proxy1, "--netns", "web")
    everywhere(_named)
    no_rules(proxy1)


def test_door():
    about("The same with the door that needs no iptables.")
    proxy1.run("glbctl redirect on --netns web")
    everywhere(_named)
    proxy1.run("glbctl redirect off")


def _named(way):
    connection, sport, ack = comes_up(way, "accepted_netns")
    with check("a packet of another connection goes on"):
        way.goes_on(tcp(next(ports), 80, "A", seq=1001, ack=77))
    expect_counters(proxy1, forwarded_to_alternate=1)
    with check("an error about a packet of the connection stays"):
        inside = ip(way.vip, way.ghost, tcp(80, sport, "A", seq=ack, ack=1006))
        kind = icmp(3, 4, b"\0\0\x05\0", inside) if way.inner == 4 else icmp(2, 0, b"\0\0\x05\0", inside)
        way.stays(kind)
    expect_counters(proxy1, accepted_netns=1)
    with check("the end stays, and what comes later"):
        way.stays(tcp(sport, 80, "FA", seq=1006, ack=ack))
        holds(pump(lambda: eof(connection)), "the program hears of the end")
    connection.close()
    recv(client, lambda packet: answers(packet, sport, "FA"))
    expect_counters(proxy1, accepted_netns=1)
    with check("the last acknowledgement stays"):
        way.stays(tcp(sport, 80, "A", seq=1007, ack=ack + 1))
    expect_counters(proxy1, accepted_netns=1)
    close_kept()


def test_cookie():
    about("The answer to a SYN cookie of the other namespace stays, and a forged one goes on.")
    web.run("sysctl -qw net.ipv4.tcp_syncookies=2")
    rules(proxy1, "--netns", "web")
    everywhere(_cookie)
    no_rules(proxy1)
    web.run("sysctl -qw net.ipv4.tcp_syncookies=1")


def _cookie(way):
    listening = listener(web, way.vip, 80)
    sport, ack = begins(way, 80)
    expect_counters(proxy1, accepted_syn=1)
    with check("a forged acknowledgement goes on"):
        way.goes_on(tcp(sport, 80, "A", seq=1001, ack=ack + 0x01234567))
    expect_counters(proxy1, forwarded_to_alternate=1)
    with check("the right one makes a connection"):
        way.stays(tcp(sport, 80, "A", seq=1001, ack=ack))
        accepted(listening)
    expect_counters(proxy1, accepted_netns=1)
    close_kept()


def test_own_first():
    about("The own sockets are asked first, and count as they do without the option.")
    address = {4: "10.98.0.1", 6: "fd98::1"}
    proxy1.ip("addr add %s/32 dev lo\naddr add %s/128 dev lo nodad" % (address[4], address[6]))
    rules(proxy1, "--netns", "web")
    for way in WAYS:
        with context("IPv%d in IPv%d: " % (way.inner, way.outer)):
            snapshot(proxy1, proxy2)
            _own_first(way, address[way.inner])
    no_rules(proxy1)


def _own_first(way, address):
    listening = listener(proxy1, address, 80)
    sport = next(ports)

    def sends(transport):
        way.send(transport, dst=address)

    sends(tcp(sport, 80, "S", seq=1000))
    ack = tcp_of(recv(client, lambda packet: answers(packet, sport, "SA"))).seq + 1
    sends(tcp(sport, 80, "A", seq=1001, ack=ack))
    with check("the connection comes up"):
        accepted(listening)
    expect_counters(proxy1, accepted_syn=1, accepted_established=1)
    close_kept()


def test_several():
    about("Several namespaces are asked in their order; sixteen may be named.")
    names = ["n%d" % number for number in range(15)]
    guest.ip("\n".join("netns add %s" % name for name in names))
    rules(proxy1, "--netns", ",".join(names + ["web"]))
    with check("the rule is shown as it was given"):
        holds(proxy1.output("iptables -S INPUT").endswith("-j GLBREDIRECT --netns " + ",".join(names + ["web"])))
    way = WAYS[0]
    snapshot(proxy1, proxy2)
    comes_up(way, "accepted_netns")
    close_kept()
    no_rules(proxy1)
    with check("more are refused"):
        says_no("--netns", ",".join(names + ["web", "client"]), why="16")
    guest.ip("\n".join("netns del %s" % name for name in names))


def says_no(*options, why, host=proxy1, tools=("iptables", "iptables-legacy")):
    """The rule is refused, and nothing is left of it."""
    for tool in tools:
        before = host.output(tool + " -S INPUT")
        text = host.output("sh -c", "%s -A %s %s 2>&1 && echo it is taken; true" % (tool, RULE, " ".join(options)))
        holds(why in text and "it is taken" not in text, "%s says %r, not %r" % (tool, text, why))
        same(before, host.output(tool + " -S INPUT"))


def door_says_no(*options, why, host=proxy1):
    text = host.output("sh -c", "glbctl redirect on %s 2>&1 && echo it is taken; true" % " ".join(options))
    holds(why in text and "it is taken" not in text, "glbctl says %r, not %r" % (text, why))


def test_refused():
    about("What is no other namespace is refused, with its reason, and leaves nothing behind.")
    proxy1.run("iptables-legacy -A INPUT -p udp --dport 1 -j ACCEPT")
    with check("an unknown name"):
        says_no("--netns", "nobody", why="Invalid argument")
        door_says_no("--netns nobody", why="no network namespace of this name")
    with check("the own one"):
        says_no("--netns", "proxy1", why="Invalid argument")
        door_says_no("--netns proxy1", why="own one")
    with check("a good one before a bad one"):
        says_no("--netns", "web,nobody", why="Invalid argument")
        door_says_no("--netns web,nobody", why="no network namespace of this name")
    with check("a file that is none"):
        open("/run/netns/file", "w").close()
        says_no("--netns", "file", why="Invalid argument")
        door_says_no("--netns file", why="is no network namespace")
        os.unlink("/run/netns/file")
    with check("another kind of namespace"):
        open("/run/netns/uts", "w").close()
        guest.run("mount --bind /proc/self/ns/uts /run/netns/uts")
        says_no("--netns", "uts", why="Invalid argument")
        door_says_no("--netns uts", why="is no network namespace")
        guest.run("umount /run/netns/uts")
        os.unlink("/run/netns/uts")
    with check("two names of one namespace"):
        open("/run/netns/alias", "w").close()
        guest.run("mount --bind /run/netns/web /run/netns/alias")
        says_no("--netns", "web,alias", why="Invalid argument")
        door_says_no("--netns web,alias", why="named twice")
        guest.run("umount /run/netns/alias")
        os.unlink("/run/netns/alias")
    for name in ("''", ".", "..", "a/b", "x" * 64, "web,web", "web,"):
        with check("the name %s" % name[:16]):
            says_no("--netns", name, why="GLBREDIRECT")
            door_says_no("--netns", name, why="netns")
    with check("the kernel's log says why a rule is refused"):
        holds("GLBREDIRECT: no network namespace of this name" in guest.output("dmesg"))
    with check("the door is off"):
        same("off", proxy1.output("glbctl redirect status"))
    proxy1.run("iptables-legacy -F INPUT")


def test_user_namespace():
    about("Who administers no more than a user namespace may name no namespace, and neither may others for it.")
    inside = "unshare --user --map-root-user --net sh -c"
    for what in ("iptables", "iptables-legacy"):
        with check("%s in a user namespace: without the option" % what):
            guest.run(inside, "%s -A %s" % (what, RULE))
        with check("%s: with it" % what):
            text = guest.output(inside, "%s -A %s --netns web 2>&1; %s -S INPUT" % (what, RULE, what))
            holds("ermi" in text and "-j GLBREDIRECT" not in text, text)
    with check("glbctl in a user namespace"):
        text = guest.output(inside, "glbctl redirect on && glbctl redirect on --netns web 2>&1; glbctl redirect status")
        holds("initial user namespace" in text, text)
        holds(text.endswith("on: UDP port %d, any hop" % GUE_PORT), text)
    other = guest.spawn("unshare --user --map-root-user --net tail -f /dev/null")
    entered = "nsenter --net=/proc/%d/ns/net " % other.id
    with check("root of the machine, for the network namespace of another user namespace"):
        eventually(lambda: holds(os.readlink("/proc/%d/ns/net" % other.id) != os.readlink("/proc/self/ns/net")))
        text = guest.output(entered + "sh -c", "iptables -A %s --netns web 2>&1; iptables -S INPUT" % RULE)
        holds("ermi" in text and "-j GLBREDIRECT" not in text, text)
    other.kill()


def no_sockets():
    """Nothing holds the pod: a connection whose client never answers would, until its kernel gives up."""
    web.output("ss --tcp --kill --no-header state all", any_status=True)
    close_kept()


def asked_ended():
    return counters(proxy1)["ended_netns_lookups"]


def until_ended(way, sport):
    """Packets ask the namespace, until it has ended."""
    before = asked_ended()

    def look():
        way.send(tcp(sport, 80, "A", seq=1006, ack=77))
        holds(asked_ended() > before, "no packet asks in vain")

    eventually(look)


def test_ends():
    about("A namespace ends while packets ask it: they go by the verdicts of old. Other rules can be changed; and made anew, it "
          "is found when its rule comes again.")
    global web
    way = WAYS[0]
    for tools in (("iptables-legacy", "ip6tables-legacy"), BOTH):
        with context(tools[0] + ": "):
            for tool in tools:
                proxy1.run(tool + " -A " + RULE, "--netns", "web")
            snapshot(proxy1, proxy2)
            _, sport, ack = comes_up(way, "accepted_netns")
            no_sockets()
            end(web)
            with check("it ends, though a rule names it"):
                until_ended(way, sport)
            snapshot(proxy1, proxy2)
            ended = asked_ended()
            forget()
            with check("its packets go on"):
                way.goes_on(tcp(sport, 80, "A", seq=1006, ack=ack))
            expect_counters(proxy1, forwarded_to_alternate=1)
            with check("each is counted"):
                same(ended + 1, asked_ended())
            with check("another rule can be made"):
                proxy1.run(tools[0] + " -A INPUT -p udp --dport 1 -j ACCEPT")
            with check("and the rule is what it was"):
                holds("-j GLBREDIRECT --netns web" in proxy1.output(tools[0] + " -S INPUT"))
            eventually(lambda: same("", proxy1.output("ip -o link show type veth dev to-web", any_status=True)))
            web = pod(proxy1, "web", 1)
            has_vips(web)
            unhurried(web)
            for tool in tools:
                proxy1.run(tool + " -R INPUT 1 -p udp -m udp --dport %d -j GLBREDIRECT --netns web" % GUE_PORT)
            with check("made anew, it is asked"):
                snapshot(proxy1, proxy2)
                comes_up(way, "accepted_netns")
            no_sockets()
            for tool in tools:
                proxy1.run(tool + " -F INPUT")


# A sender of one packet, as fast as it can, on the director.
FLOOD = """
import socket, sys
made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
packet = bytes.fromhex(sys.argv[1])
while True:
    try:
        made.sendto(packet, (sys.argv[2], 0))
    except OSError:
        pass
"""


def test_ends_under_load():
    about("Namespaces come and go, and rules with them, while packets ask them all the time.")
    way = WAYS[0]
    packet = way.by1(tcp(next(ports), 80, "A", seq=1, ack=1))
    flood = director.spawn("python3 -SE -c", FLOOD, packet.hex(), P1[4])
    before, ended = counters(proxy1)["forwarded_to_alternate_packets"], asked_ended()
    for number in range(24):
        guest.ip("netns add short%d" % number)
        if number % 2:
            proxy1.run("glbctl redirect on --netns short%d,web" % number)
        else:
            proxy1.run("iptables -F INPUT")
            proxy1.run("iptables -A " + RULE, "--netns", "short%d,web" % number)
        guest.ip("netns del short%d" % number)
    with check("packets of nobody went on all the time"):
        eventually(lambda: holds(counters(proxy1)["forwarded_to_alternate_packets"] > before))
    with check("namespaces that had ended were asked"):
        eventually(lambda: holds(asked_ended() > ended))
    flood.kill()
    proxy1.run("iptables -F INPUT")
    proxy1.run("glbctl redirect off")


def test_moves():
    about("Connections of the program live on while their proxy drains and fills again, and another one takes new ones.")
    rules(proxy1, "--netns", "web")
    moves(web, VIP, 80, "accepted_netns_packets")
    no_rules(proxy1)


main()
