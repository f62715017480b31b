#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""The cookie: the timestamps of connections that begin on a proxy name it.

    client ---> proxy1      packets by hand are of clients behind the client, and no kernel resets what it does not know

What a packet has to say is computed here anew (docs/cookie.md): the real time in milliseconds, the id, and with a key
SipHash-1-3 of the connection.
"""

import errno
import itertools
import os
import socket
import struct
import time

from lab import traffic
from lab.captures import recv, send, watch
from lab.counters import counters, expect_counters, snapshot
from lab.hosts import Host, behind, guest, make
from lab.packets import answers, ip, packed, tcp, tcp_of
from lab.run import main
from lab.settings import work
from lab.sockets import accepted, connect, hears, listener, says, tcp_socket
from lab.story import about, check, context, holds, same, skipped
from lab.waiting import eventually
from lab.web import Connections, web

client = Host("client", "10.2.0.1", "fd02::1")
proxy1 = Host("proxy1", "10.1.0.1", "fd01::1")
GHOST = {4: "10.11.12.13", 6: "fd11::13"}
CLIENT = {4: client.ipv4, 6: client.ipv6}
P1 = {4: proxy1.ipv4, 6: proxy1.ipv6}
KEY = "000102030405060708090a0b0c0d0eff"
WRAP = 1 << 32
# Milliseconds by which the two clocks of the kernel that are read one after the other may be apart.
NEAR = 2
ports = itertools.count(20000)


def setup():
    make(client, proxy1)
    behind(client, "10.11.0.0/16")
    behind(client, "fd11::/16")
    watch()


def cookie(*words):
    proxy1.run("glbctl redirect cookie", *words)


def both(what, *words):
    for family in (4, 6):
        with context("IPv%d: " % family):
            what(family, *words)


# --- the model ---


def siphash13(key, data):
    """SipHash-1-3, by its definition."""
    mask = (1 << 64) - 1
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rotated(value, bits):
        return (value << bits | value >> (64 - bits)) & mask

    def sipround():
        for a, b, first, second in ((0, 1, 13, 32), (2, 3, 16, 0), (0, 3, 21, 0), (2, 1, 17, 32)):
            v[a] = (v[a] + v[b]) & mask
            v[b] = rotated(v[b], first) ^ v[a]
            v[a] = rotated(v[a], second) if second else v[a]

    data += b"\0" * (7 - len(data) % 8) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", data):
        v[3] ^= word
        sipround()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        sipround()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def offset(family, sport, number, bits, key=None):
    """What is added to the real time."""
    hashed = 0
    if key:
        flow = packed(GHOST[family]) + packed(P1[family]) + struct.pack("!HH", sport, 80)
        hashed = siphash13(bytes.fromhex(key), flow) % WRAP
    return (number << (32 - bits)) + hashed


def now():
    return int(time.time() * 1000)


# --- packets by hand ---


def stamps(packet):
    """TSval and TSecr of a packet, or None."""
    at = 40 if packet[0] >> 4 == 6 else (packet[0] & 15) * 4
    options = packet[at + 20 : at + (packet[at + 12] >> 4) * 4]
    while options and options[0]:
        if options[0] == 1:
            options = options[1:]
            continue
        if options[0] == 8:
            return struct.unpack("!II", options[2:10])
        options = options[options[1] :]
    return None


class Ghost:
    """A connection by hand, of a client that uses timestamps if it has a `clock`."""

    def __init__(self, family, clock=1000):
        self.family, self.clock, self.sport = family, clock, next(ports)
        self.ack = 0

    def sends(self, flags, seq, echo=0, payload=b""):
        options = b"\x01\x01" + struct.pack("!BBII", 8, 10, self.clock, echo) if self.clock else b""
        if "S" in flags:
            options = b"\x02\x04\x05\xb4" + options
        transport = tcp(self.sport, 80, flags, seq=seq, ack=self.ack, options=options, payload=payload)
        send(client, proxy1, ip(GHOST[self.family], P1[self.family], transport))

    def hears(self, flags):
        """The next such packet."""
        return recv(client, lambda packet: answers(packet, self.sport, flags))

    def begins(self):
        """The SYN/ACK, and between which two moments it was sent."""
        since = now()
        self.sends("S", 999)
        answer = self.hears("SA")
        self.ack = tcp_of(answer).seq + 1
        return answer, (since, now())


def is_from(value, added, since, until):
    """The clock of a packet shows a moment between the two."""
    clock = (value - added) % WRAP
    behind_it = (clock - since + NEAR) % WRAP
    holds(behind_it <= until - since + 2 * NEAR, "%d ms behind, of %d" % (behind_it, until - since))


# --- tests ---


def test_value():
    about("The SYN/ACK and all that follows show the real time, and the id; with a key also the hash of the connection.")
    for number, bits, key in ((0x5A, 8, None), (0, 8, KEY), (255, 8, KEY), (4095, 12, KEY), (0, 12, None)):
        words = ["--id", str(number), "--bits", str(bits)]
        if key:
            with open(work("cookie.key"), "w") as file:
                file.write(key + "\n")
            words += ["--key-file", work("cookie.key")]
        cookie("on", *words)
        with context("id %d of %d bits%s, " % (number, bits, " with a key" if key else "")):
            both(_value, number, bits, key)
    cookie("off")


def _value(family, number, bits, key):
    listening = listener(proxy1, P1[family], 80)
    ghost = Ghost(family)
    snapshot(proxy1)
    answer, times = ghost.begins()
    added = offset(family, ghost.sport, number, bits, key)
    with check("the SYN/ACK says so"):
        is_from(stamps(answer)[0], added, *times)
    expect_counters(proxy1, cookie_set_answers=1)
    ghost.sends("A", 1000, stamps(answer)[0])
    connection = accepted(listening)
    since = now()
    connection.send(b"hello")
    packet = ghost.hears("PA")
    with check("so does data"):
        is_from(stamps(packet)[0], added, since, now())
    with check("the client's echo is taken"):
        ghost.ack += 5
        ghost.sends("PA", 1000, stamps(packet)[0], b"world")
        hears(connection, b"world")
    expect_counters(proxy1, cookie_set_answers=0)
    traffic.close_kept()


def test_repeated():
    about("A SYN/ACK that is sent again shows a later time and the same offset; the echo of any of them makes the connection.")
    cookie("on", "--id", "7")
    both(_repeated, 0)
    both(_repeated, 1)
    cookie("off")


def _repeated(family, which):
    listening = listener(proxy1, P1[family], 80)
    ghost = Ghost(family)
    snapshot(proxy1)
    first, times = ghost.begins()
    again = ghost.hears("SA")
    times = [times[0], now()]
    values = [stamps(packet)[0] for packet in (first, again)]
    with check("both show the real time"):
        for value in values:
            is_from(value, offset(family, ghost.sport, 7, 8), *times)
        holds((values[1] - values[0]) % WRAP >= 500, "the kernel waits for a second: %d" % (values[1] - values[0]))
    with check("the echo of SYN/ACK %d makes a connection" % (which + 1)):
        ghost.sends("A", 1000, values[which])
        connection = accepted(listening)
        ghost.sends("PA", 1000, values[1], b"hello")
        hears(connection, b"hello")
    expect_counters(proxy1, cookie_set_answers=1)
    traffic.close_kept()


def test_changed_meanwhile():
    about("A SYN/ACK that was sent before cookies were set, or with another id, keeps its offset when it is sent again.")
    both(_changed)
    cookie("off")


def _changed(family):
    listening = listener(proxy1, P1[family], 80)
    cookie("on", "--id", "1")
    ghost = Ghost(family)
    snapshot(proxy1)
    first, times = ghost.begins()
    cookie("on", "--id", "2")
    again = ghost.hears("SA")
    with check("it has the old id"):
        is_from(stamps(again)[0], offset(family, ghost.sport, 1, 8), times[0], now())
    with check("it is counted"):
        eventually(_is_late)
    with check("the connection comes up"):
        ghost.sends("A", 1000, stamps(first)[0])
        connection = accepted(listening)
        ghost.sends("PA", 1000, stamps(first)[0], b"hello")
        hears(connection, b"hello")
    traffic.close_kept()


def _is_late():
    holds(counters(proxy1)["cookie_late_answers"] > 0)


def test_real_clients():
    about("Real clients and nginx: no connection breaks, no packet is refused for its timestamps, and idle ones go on.")
    refused = [stat(host, "PAWSEstab") + stat(host, "TSEcrRejected") for host in (client, proxy1)]
    cookie("on", "--id", "200", "--bits", "8")
    web(proxy1, "proxy1.example", port=8080)
    before = counters(proxy1)["cookie_set_answers"]
    for address in ("10.1.0.1:8080", "[fd01::1]:8080"):
        held = Connections(client, address, 300)
        held.all_from("proxy1.example")
    with check("each of them has got its cookie"):
        grew = counters(proxy1)["cookie_set_answers"] - before
        # A listener that is looked for is a connection too.
        holds(600 <= grew <= 610, str(grew))
    both(_talks)
    with check("nothing was refused for its timestamps"):
        same(refused, [stat(host, "PAWSEstab") + stat(host, "TSEcrRejected") for host in (client, proxy1)])
    cookie("off")


def _talks(family):
    listening = listener(proxy1, P1[family], 80)
    one = connect(client, CLIENT[family], P1[family], 80)
    two = accepted(listening)
    with check("both ends talk, switched off in between"):
        says(one, two, b"with")
        cookie("off")
        says(two, one, b"without")
        cookie("on", "--id", "201")
        says(one, two, b"again")
    traffic.close_kept()


def stat(host, name):
    lines = host.read("/proc/thread-self/net/netstat").splitlines()
    names, values = [line.split() for line in lines if line.startswith("TcpExt:")]
    return int(values[names.index(name)])


def test_skipped():
    about("What cannot have a cookie works as without, and is counted.")
    cookie("on", "--id", "9")
    both(_no_timestamps)
    both(_syn_cookie)
    both(_signed)
    both(_microseconds)
    both(_fast_open)
    cookie("off")


def _no_timestamps(family):
    listening = listener(proxy1, P1[family], 80)
    ghost = Ghost(family, clock=None)
    snapshot(proxy1)
    answer, _ = ghost.begins()
    with check("a client without timestamps gets an answer without"):
        same(None, stamps(answer))
    expect_counters(proxy1, cookie_no_timestamps_answers=1, cookie_set_answers=0)
    ghost.sends("A", 1000)
    connection = accepted(listening)
    ghost.sends("PA", 1000, payload=b"hello")
    hears(connection, b"hello")
    traffic.close_kept()


def _syn_cookie(family):
    proxy1.run("sysctl -qw net.ipv4.tcp_syncookies=2")
    snapshot(proxy1)
    _pair(family, "a SYN cookie makes a connection")
    expect_counters(proxy1, cookie_syn_cookie_answers=1, cookie_set_answers=0)
    proxy1.run("sysctl -qw net.ipv4.tcp_syncookies=1")


def _pair(family, what):
    """A connection of the client's kernel, both ends of which talk."""
    listening = listener(proxy1, P1[family], 80)
    with check(what):
        one = connect(client, CLIENT[family], P1[family], 80)
        two = accepted(listening)
        says(one, two)
        says(two, one)
    traffic.close_kept()


def _signed(family):
    """MD5: struct tcp_md5sig, an address of any family and the key."""
    def key(made, address):
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        there = struct.pack("=HH", kind, 0) + (packed(address) if family == 4 else b"\0" * 4 + packed(address))
        text = there.ljust(128, b"\0") + struct.pack("=BBHI", 0, 0, 6, 0) + b"secret".ljust(80, b"\0")
        made.setsockopt(socket.IPPROTO_TCP, 14, text)  # TCP_MD5SIG

    listening = listener(proxy1, P1[family], 80)
    try:
        key(listening, CLIENT[family])
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
        skipped("this kernel has no TCP_MD5SIG")
        return
    one = tcp_socket(client, CLIENT[family])
    key(one, P1[family])
    snapshot(proxy1)
    with check("a signed connection comes up"):
        one.connect_ex((P1[family], 80))
        two = accepted(listening)
        says(one, two)
        says(two, one)
    expect_counters(proxy1, cookie_signed_answers=1, cookie_set_answers=0)
    traffic.close_kept()


def _microseconds(family):
    to = "%s dev eth0 features tcp_usec_ts" % CLIENT[family]
    if proxy1.said("ip route replace", *to.split())[0] != 0:
        skipped("this ip knows no route with tcp_usec_ts")
        return
    snapshot(proxy1)
    _pair(family, "a connection with microseconds comes up")
    expect_counters(proxy1, cookie_microseconds_answers=1, cookie_set_answers=0)
    proxy1.ip("route del " + CLIENT[family] + " dev eth0")


def _fast_open(family):
    for host in (client, proxy1):
        # Client and server, without cookies of Fast Open, and for every listener.
        host.run("sysctl -qw net.ipv4.tcp_fastopen=1543")
    listening = listener(proxy1, P1[family], 80)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    one = tcp_socket(client, CLIENT[family])
    snapshot(proxy1)
    with check("data in a SYN makes a connection"):
        try:
            one.sendto(b"early", socket.MSG_FASTOPEN, (P1[family], 80))
        except BlockingIOError:
            pass
        two = accepted(listening)
        hears(two, b"early")
        says(two, one)
        says(one, two, b"late")
    expect_counters(proxy1, cookie_fast_open_answers=1, cookie_set_answers=0)
    traffic.close_kept()
    for host in (client, proxy1):
        host.run("sysctl -qw net.ipv4.tcp_fastopen=1")


def test_off():
    about("Off it does nothing, and it is off in each namespace until it is switched on there.")
    cookie("on", "--id", "3")
    with check("another namespace has none"):
        same("off", client.output("glbctl redirect cookie status"))
    with check("the settings are told, and the key is not"):
        same("on: id 3 of 8 bits, without a key; echoes are good for 15728 s", proxy1.output("glbctl redirect cookie status"))
        same({"enabled": True, "id": 3, "bits": 8, "keyed": False}, proxy1.json("glbctl --json redirect cookie status"))
    cookie("off")
    with check("it is off"):
        same("off", proxy1.output("glbctl redirect cookie status"))
        same({"enabled": False}, proxy1.json("glbctl --json redirect cookie status"))
    before = counters(proxy1)
    both(_pair, "connections are as ever")
    with check("nothing is counted"):
        same(before, counters(proxy1))
    with check("the redirect's own hook is another matter"):
        proxy1.run("glbctl redirect on")
        same("off", proxy1.output("glbctl redirect cookie status"))
        cookie("on", "--id", "3")
        proxy1.run("glbctl redirect off")
        same("off", proxy1.output("glbctl redirect status"))
        same(3, proxy1.json("glbctl --json redirect cookie status")["id"])
        cookie("off")


def refused(says_so, status, *words):
    with check("refused: %s" % " ".join(words)):
        there = proxy1.said("glbctl redirect cookie", *words)
        same(status, there[0])
        holds(says_so in there[1], there[1])


def test_refused():
    about("What cannot be is refused with a reason, and changes nothing.")
    cookie("on", "--id", "5")
    before = proxy1.output("glbctl redirect cookie status")
    refused("no id 256 of 8 bits: give a smaller id", 1, "on", "--id", "256")
    refused("4096", 2, "on", "--id", "4096", "--bits", "12")
    refused("13", 2, "on", "--id", "1", "--bits", "13")
    refused("7", 2, "on", "--id", "1", "--bits", "7")
    refused("--id", 2, "on")
    key = work("bad.key")
    refused("No such file", 1, "on", "--id", "1", "--key-file", work("nothing"))
    for text in ("", "00", KEY + "00", KEY[:-1] + "g"):
        with open(key, "w") as file:
            file.write(text)
        refused("a key is 32 hexadecimal digits: openssl rand -hex 16", 1, "on", "--id", "1", "--key-file", key)
    with check("nothing of it had an effect"):
        same(before, proxy1.output("glbctl redirect cookie status"))
    cookie("off")
    refused("the cookie is off", 1, "off")
    with check("who may not change the network is refused"):
        there = proxy1.said("setpriv --reuid 65534 --clear-groups --inh-caps=-all glbctl redirect cookie on --id 1")
        same(1, there[0])
        holds("needs CAP_NET_ADMIN" in there[1], there[1])


def test_end():
    about("The module goes while cookies are set and connections are open; so does a namespace.")
    guest.quietly("ip netns add brief")
    brief = Host("brief")
    brief.run("glbctl redirect cookie on --id 1")
    with check("a namespace goes"):
        guest.run("ip netns del brief")
    cookie("on", "--id", "77")
    pairs = []
    for family in (4, 6):
        listening = listener(proxy1, P1[family], 80)
        one = connect(client, CLIENT[family], P1[family], 80)
        pairs.append((one, accepted(listening)))
    with check("the module goes"):
        eventually(_gone)
    with check("open connections live on"):
        for one, two in pairs:
            says(one, two)
            says(two, one)
    with check("it comes back, and cookies are off"):
        guest.run("modprobe rust_glb_redirect")
        same("off", proxy1.output("glbctl redirect cookie status"))
    traffic.close_kept()


def _gone():
    """A namespace that is on its way out may still use it."""
    if os.path.exists("/sys/module/rust_glb_redirect"):
        guest.quietly("rmmod rust_glb_redirect")


main()
