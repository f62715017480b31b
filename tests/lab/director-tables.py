#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0
"""Which packets go where, by the thousand: tables that are swapped under load, two directors with one file, a thousand
tables.

    client ---> director  ===GUE===> sink, which every proxy is behind
           ---> director2 ===GUE===>

What must arrive says `glbctl encap`, which is no kernel's; `glb-packets judge` holds every packet against it.
"""

import os

from lab.captures import expect, forget, send, watch
from lab.director import begin, config, load, load_module, sport, table, table_file
from lab.dumps import Dump, read
from lab.hosts import Host, behind, guest, make
from lab.packets import ip, tcp, tunnel
from lab.run import main
from lab.settings import VIP4, VIP6, work, work_json
from lab.story import Failed, about, at_least, check, detail, holds, same, say
from lab.trail import Trail
from lab.waiting import eventually

# Of a capture that goes round while tables are loaded, and how often it does at least, and at most.
PACKETS, TIMES, ENOUGH = 10000, 5, 50

client = Host("client", "10.2.0.1", "fd02::1")
director = Host("director", "65.65.65.65", "fd65::65")
director2 = Host("director2", "65.65.65.66", "fd65::66")
sink = Host("sink", "10.9.0.1", "fd09::1")
DIRECTORS = (director, director2)


def setup():
    make(client, *DIRECTORS, sink)
    for prefix in ("10.9.0.0/16", "fd09::/16", "172.16.0.0/16"):
        behind(sink, prefix)
    # A burst of the sender waits and is not lost on its way to the director.
    guest.run("sysctl -qw net.core.netdev_max_backlog=1000000")
    load_module()
    for host in DIRECTORS:
        host.run("glbctl attach eth0")
        # The kernel asks for a neighbour again after a while. Packets that wait for the answer are lost if it comes too late, and
        # it would stand in a queue behind thousands of packets.
        for address in (sink.ipv4, sink.ipv6):
            host.ip("neigh replace %s lladdr %s dev eth0 nud permanent" % (address, sink.mac))
    for version, address in (("4", "10.9.1.%d"), ("6", "fd09::1:%d")):
        table_file("a%s.json" % version, table(*(address % n for n in range(1, 9))))
        other = table(*(address % n for n in range(5, 13)), seed="00112233445566778899aabbccddeeff")
        table_file("b%s.json" % version, other)


def flows(name, host, count, number, to, *options):
    """A capture of a client's packets to these addresses, for this director."""
    path = work(name)
    command = "glb-packets flows --packets %d --flows %d --dst-mac %s" % (count, number, host.mac)
    guest.quietly(command, "--out", path, "--to", to, *options)
    return path


def makes(name, capture, settings, out):
    """What a director with this table must make of a capture."""
    guest.quietly("glbctl encap", capture, work(out), "--table", work(name + ".json"), "--config", settings)
    return work(out)


def replay(path):
    """The client sends a capture as fast as it can."""
    client.tell(["tcpreplay", path])
    said = client.output("tcpreplay -i eth0 --topspeed --preload-pcap", path, any_status=True)
    lines = [line.strip() for line in said.splitlines()]
    detail("\n".join(line for line in lines if line.startswith(("Actual", "Rated", "Failed"))))
    if not any(line.split() == ["Failed", "packets:", "0"] for line in lines):
        raise Failed("tcpreplay %s\n%s" % (path, said))


def judge(*words):
    """What arrived is what had to."""
    guest.quietly("glb-packets judge", *words)


def bytes_of(*paths):
    """Bytes of the packets of captures, without Ethernet headers: the files less their own headers."""
    return sum(os.stat(path).st_size - 24 - (16 + 14) * count for path, count in paths)


def generation():
    return director.json("glbctl --json status")["generation"]


def loaded_since(number):
    now = generation()
    holds(now >= number, "load %d is there: it is %d" % (number, now))


def test_swap_ipv4():
    about("Tables that are loaded in turns while packets flow lose none, and each packet goes whole by one or the other.")
    swap("4", director.ipv4)


def test_swap_ipv6():
    about("The same with an IPv6 underlay.")
    swap("6", director.ipv6)


# Loads the two tables in turns while the file $1 is there. Between two loads it writes down what the director has counted.
SWAPPER = """
    while [ -e "$1" ]; do
        for table in "$2" "$3"; do
            glbctl table load "$table" >/dev/null && glbctl --json stats >"$4.new" || exit
            sed -n 's/.*"encapsulated_packets": *\\([0-9]*\\).*/\\1/p' "$4.new" >>"$4" || exit
        done
    done
"""


def loads_inside(path, before):
    """How many loads had packets of one burst before and after them. Between bursts the director has counted a multiple of a
    burst's packets. A load lies between two lines."""
    with open(path) as file:
        counted = [int(line) - before for line in file.read().split("\n")[:-1]]
    return sum(start % PACKETS > 0 and start // PACKETS == end // PACKETS for start, end in zip(counted, counted[1:]))


def encapsulated(count, number, trail):
    there = count.grew("encapsulated_packets")
    if there < number:
        raise Failed("the director encapsulated %d of %d packets\n%s" % (there, number, trail))


def swap(version, source):
    settings = work_json("conf", {"outbound_src_ip": source})
    director.run("glbctl config load", settings)
    packets = flows("in.pcap", director, PACKETS, 5000, "%s:80,[%s]:80" % (VIP4, VIP6))
    wanted, built = [], []
    for name in ("a" + version, "b" + version):
        wanted.append(makes(name, packets, settings, name + ".pcap"))
        built.append(work(name + ".bin"))
        guest.quietly("glbctl table build", work(name + ".json"), built[-1])
    load(director, built[0])
    before = generation()
    dump = Dump(sink, work("got.pcap"))
    count = begin(director)
    trail = Trail(client, count, sink)
    swapping, counted = work("swap"), work("counted")
    for path in (swapping, counted):
        open(path, "w").close()
    loader = director.spawn("sh -c", SWAPPER, "sh", swapping, built[1], built[0], counted, told=False)
    turn, inside = 0, 0
    # Packets may be so fast that no load meets a burst: there are more then.
    while turn < TIMES or not inside and turn < ENOUGH:
        turn += 1
        replay(packets)
        # The next burst waits until this one has gone through.
        eventually(encapsulated, count, turn * PACKETS, trail)
        with check("loads go on"):
            eventually(loaded_since, before + 2 * turn)
        inside = loads_inside(counted, count.before["encapsulated_packets"])
    os.remove(swapping)
    with check("every load went well"):
        loader.succeeds()
    dump.end(PACKETS * turn, trail)
    with check("loads met packets in the middle of a burst"):
        say("%d loads did, in %d bursts" % (inside, turn))
        at_least(1, inside)
    loads = generation() - before
    with check("there were loads enough: %d" % loads):
        at_least(10, loads)
    with check("each packet arrived once, as one of the tables says"):
        judge(*wanted, "--got", work("got.pcap"), "--times", turn, "--mixed")
    length = bytes_of((wanted[0], PACKETS))
    count.exactly(encapsulated_bytes=length * turn, encapsulated_packets=PACKETS * turn)


def test_agree():
    about("Two directors with the same file send the same packets, but for their own address.")
    agree({})


def test_agree_two_hashes():
    about("So do they while a fleet changes its hash fields: ports too, and four hops.")
    agree({
        "hash_fields": {"src_addr": True, "src_port": True, "dst_port": True},
        "alt_hash_fields": {"src_addr": True},
    })


def agree(fields):
    number, kinds = 4000, ("tcp", "udp")
    for host in DIRECTORS:
        packets = {
            "tcp": flows("tcp.pcap", host, number, 1000, "%s:80,[%s]:80" % (VIP4, VIP6)),
            "udp": flows("udp.pcap", host, number, 1000, "%s:1500,[%s]:1600" % (VIP4, VIP6), "--udp"),
        }
        settings = work_json("conf", {"outbound_src_ip": host.ipv4, **fields})
        host.run("glbctl config load", settings)
        load(host, work("a4.json"))
        count = begin(host)
        wanted = {}
        for kind in kinds:
            wanted[kind] = makes("a4", packets[kind], settings, "%s-%s.want" % (host, kind))
            dump = Dump(sink, work("%s-%s.pcap" % (host, kind)))
            trail = Trail(client, begin(host), sink)
            replay(packets[kind])
            dump.end(number, trail)
            with check("%s sends what the file says, %s" % (host, kind)):
                judge(wanted[kind], "--got", work("%s-%s.pcap" % (host, kind)))
        length = bytes_of(*((wanted[kind], number) for kind in kinds))
        count.exactly(encapsulated_bytes=length, encapsulated_packets=2 * number)
    for kind in kinds:
        both = [work("director-%s.pcap" % kind), "--got", work("director2-%s.pcap" % kind)]
        with check("both send the same, %s" % kind):
            judge(*both, "--ignore-source")
        with check("not byte for byte, since each has an address of its own"):
            holds(guest.status("glb-packets judge", *both) != 0, "they are the same")


def test_thousand_tables():
    about("1,000 tables with 256 backends and 4,000 binds, loaded and replaced under traffic to all binds: packets go where "
          "glbctl says.")
    number, fill = 16000, "glb-packets fill --tables 1000 --backends 256 --binds 4"
    config(director, "--source-v4 65.65.65.65 --hash-fields src_addr --alt-hash-fields none")
    with check("they are loaded"):
        director.run(fill)
    to = ["%s:%d" % (address_of(each), (each + turn) % 4 + 1) for turn in range(4) for each in range(1000)]
    packets = flows("in.pcap", director, number, number, ",".join(to))
    count = begin(director)
    got = work("got.pcap")
    dump = Dump(sink, got)
    trail = Trail(client, count, sink)
    loader = director.spawn(fill, told=False)
    replay(packets)
    with check("the load under traffic went well"):
        loader.succeeds()
    dump.end(number, trail)
    with check("every packet arrived"):
        same("%d packets" % number, read(got, "--count")[-1])
    count.exactly(encapsulated_bytes=bytes_of((got, number)), encapsulated_packets=number)
    watch()
    with check("each of 60 goes where glbctl lookup says"):
        for each in range(1, 61):
            goes_where_lookup_says(each)


def address_of(number):
    """The address of the table of this number."""
    return "10.0.%d.%d" % (number >> 8, number & 255)


def goes_where_lookup_says(number):
    """A packet to a bind of another table each."""
    which = number * 16 + 7
    src, dst, port, to = "10.11.7.%d" % number, address_of(which), number % 4 + 1, 5000 + number
    answer = director.json("glbctl --json lookup --running", "%s:%d" % (src, to), "%s:%d" % (dst, port))
    same("t%d" % which, answer["table"])
    primary, second = (hop["ip"] for hop in answer["hops"][:2])
    row = int(answer["hashes"][0]["hash"][-4:], 16)
    x = ip(src, dst, tcp(to, port, "A", payload=b"%d" % number))
    forget()
    send(client, director, x)
    expect(sink, tunnel(primary, x, [second], sport=sport(row, to)))


main()
