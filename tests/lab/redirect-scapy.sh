#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The scapy layer (tools/scapy/glb.py) against a real proxy: what scapy makes is passed on, and scapy reads what comes.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

setup() {
    host client 10.2.0.1 fd02::1
    host director 65.65.65.65 fd65::65
    proxy proxy1 10.1.0.1 fd01::1
    proxy proxy2 10.1.0.2 fd01::2
}

# scapy PYTHON: in a process of its own, with the layer, VECTOR and what a line or two need.
scapy() {
    PYTHONPATH=/tools/scapy python3 - <<END
from glb import GLB
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
VECTOR = bytes.fromhex("$VECTOR")
def same(want, have):
    assert want == have, "expected: %r, there is: %r" % (want, have)
$1
END
}
readonly VECTOR=45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000

test_layer() {
    about "The layer makes and reads the specification's packet, both types of hops, and what is malformed."
    check "in one process" scapy '
syn = IP(src="10.11.12.13", dst="1.1.1.1", ttl=64) / TCP(sport=45678, dport=80, flags="S", ack=0)
made = IP(src="65.65.65.65", dst="3.4.5.6", id=0, flags="DF") / UDP(sport=0xeed3, chksum=0) / GLB(hops=["2.3.4.5"]) / syn
same(VECTOR.hex(), bytes(made).hex())
read = IP(VECTOR)
same((0, 2, 4, 0, 0, 1, ["2.3.4.5"]), (read[GLB].version, read[GLB].hlen, read[GLB].proto, read[GLB].type, read[GLB].index, read[GLB].count, read[GLB].hops))
same(("10.11.12.13", 80), (read[GLB].payload.src, read[TCP].dport))
six = IPv6(src="fd65::65", dst="fd01::1") / UDP() / GLB(type=1, hops=["fd01::2", "fd01::3"]) / IPv6(src="::1", dst="::2") / TCP()
again = IPv6(bytes(six))
same((9, 41, 2, ["fd01::2", "fd01::3"]), (again[GLB].hlen, again[GLB].proto, again[GLB].count, again[GLB].hops))
same(bytes(six), bytes(again))
plain = GLB(bytes(GLB(hlen=0) / syn))
same((0, 4, None, "10.11.12.13"), (plain.hlen, plain.proto, plain.type, plain[IP].src))
lies = GLB(bytes(GLB(hlen=3, count=1, hops=["2.3.4.5"], rest=b"abcd") / syn))
same((["2.3.4.5"], b"abcd", "1.1.1.1"), (lies.hops, lies.rest, lies[IP].dst))
same(Raw, type(GLB(bytes(GLB(version=1, hlen=1) / Raw(b"1234"))).payload))'
}

test_proxy() {
    about "A proxy passes scapy's packets on, over IPv4 and IPv6, and scapy finds the index one up."
    local packet4 packet6 got4 got6
    scapy '
ack = IP(src="10.11.12.13", dst="'"$VIP4"'") / TCP(sport=1234, dport=80, flags="A", seq=1, ack=1)
print((IP(src="65.65.65.65", dst="10.1.0.1") / UDP(sport=0x8123) / GLB(hops=["10.1.0.2", "10.1.0.3"]) / ack).build().hex())
print((IPv6(src="fd65::65", dst="fd01::1") / UDP(sport=0x8123) / GLB(type=1, hops=["fd01::2"]) / ack).build().hex())' >"$lab_work/made"
    { read -r packet4 && read -r packet6; } <"$lab_work/made"
    snapshot proxy1
    wire "send('director', 'proxy1', bytes.fromhex('$packet4'))"
    got4=$(quietly_wire "print(recv('proxy2').hex())" | tr -d ' ')
    wire "send('director', 'proxy1', bytes.fromhex('$packet6'))"
    got6=$(quietly_wire "print(recv('proxy2').hex())" | tr -d ' ')
    expect_counters proxy1 forwarded_to_alternate=+2
    check "scapy reads what came to proxy2" scapy '
def what(packet):
    return packet.src, packet.dst, packet[GLB].type, packet[GLB].index, packet[GLB].hops, packet[GLB].payload.src, packet[TCP].flags
four, six = bytes.fromhex("'"$got4"'"), bytes.fromhex("'"$got6"'")
same(("10.1.0.1", "10.1.0.2", 0, 1, ["10.1.0.2", "10.1.0.3"], "10.11.12.13", "A"), what(IP(four)))
same(("fd01::1", "fd01::2", 1, 1, ["fd01::2"], "10.11.12.13", "A"), what(IPv6(six)))
# Checksums made anew are those that the proxy sent.
for packet in IP(four), IPv6(six):
    before = packet[UDP].chksum
    del packet[UDP].chksum
    same(before, type(packet)(bytes(packet))[UDP].chksum)'
}

lab_main "$@"
