#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that the stack itself would drop, and frames for others: the director sees them before the stack does, and leaves
# them to it.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"

setup() {
    host client 10.11.12.13 fd02::1
    host director 65.65.65.65 fd65::65
    host proxy1 3.4.5.6 fd01::1
    modprobe rust_glb_director
    proxies "$lab_work/v4.json" "$SEED" 3.4.5.6
    on director glbctl table load "$lab_work/v4.json"
    on director glbctl attach eth0
    wire "number = itertools.count(1)
fresh = lambda src='10.11.12.13', **more: ip(src, '$VIP6' if ':' in src else '$VIP4', tcp(45678, 80, 'A', seq=next(number)), **more)
frame = lambda mac, packet: hosts['client'].socket.send(mac + hosts['client'].mac + (b'\x86\xdd' if packet[0] >> 4 == 6 else b'\x08\0') + packet)
DIRECTOR_MAC = hosts['director'].mac
to1 = lambda packet: tunnel('3.4.5.6', packet, ['3.4.5.6'], sport=0x8000 | ((0x5cbd ^ 45678) & 0x7fff))"
}

test_frames_for_others() {
    about "A promiscuous device takes frames for other machines, for many and for all: none of them is tunnelled, none answered."
    on director ip link set eth0 promisc on
    begin
    wire "frame(b'\x02\x00\x00\x00\x99\x99', fresh())
frame(b'\x02\x00\x00\x00\x99\x99', fresh('fd02::7'))
frame(b'\xff' * 6, fresh())
frame(b'\x01\x00\x5e\x01\x01\x01', fresh())
frame(b'\x33\x33\x00\x00\x00\x01', fresh('fd02::7'))"
    check "nothing was sent on" wire "nothing('proxy1')"
    # Neighbour discovery is for many, too.
    check "all five were left to the stack" test "$(grew passed_other_host_packets)" -ge 5
    counted ""
    begin
    # Too long for the path: an answer would be the kernel's limit for messages about frames to all.
    ip_on director <<<'route add 3.4.5.6/32 dev eth0 mtu 1200'
    wire "frame(b'\xff' * 6, ip('10.11.12.13', '$VIP4', tcp(45678, 80, 'A', payload=b'x' * 1300)))"
    check "nobody is told anything" wire "nothing('client', lambda p: p[9] == 1)"
    ip_on director <<<'route del 3.4.5.6/32 dev eth0'
    check "it was left to the stack" test "$(grew passed_other_host_packets)" -ge 1
    counted ""
    on director ip link set eth0 promisc off
    begin
    wire "x = fresh(); frame(DIRECTOR_MAC, x)"
    check "a frame for the director is tunnelled" wire "expect('proxy1', to1(x))"
    counted encapsulated_bytes=+80 encapsulated_packets=+1
}

test_sources_that_nobody_has() {
    about "Packets from loopback, multicast, broadcast and unspecified addresses are left to the stack."
    begin
    wire "for src in ('127.0.0.1', '0.0.0.0', '0.1.2.3', '224.0.0.1', '239.1.2.3', '255.255.255.255'): frame(DIRECTOR_MAC, fresh(src))"
    wire "for src in ('::', '::1', '::ffff:10.0.0.1', 'ff02::1', 'ff0e::1'): frame(DIRECTOR_MAC, fresh(src))"
    check "nothing was sent on" wire "nothing('proxy1')"
    counted passed_martian_packets=+11
    begin
    wire "for src in ('240.0.0.1', '223.255.255.255', '1.0.0.1', '128.0.0.1', '::2', '::10.0.0.1', 'fe80::1'): frame(DIRECTOR_MAC, fresh(src))"
    counted encapsulated_bytes=+620 encapsulated_packets=+7
}

test_headers_that_are_wrong() {
    about "A wrong header checksum, an option that names a way, and a routing header with stops left are left to the stack."
    begin
    wire "def broken(packet): return packet[:10] + bytes([packet[10] ^ 1]) + packet[11:]
def summed(packet): n = (packet[0] & 15) * 4; packet = packet[:10] + b'\0\0' + packet[12:]; return packet[:10] + struct.pack('!H', ones_sum(packet[:n])) + packet[12:]
lsrr = bytes([131, 7, 4, 10, 0, 0, 1, 0]); ssrr = bytes([137, 7, 4, 10, 0, 0, 1, 0]); rr = bytes([7, 7, 4, 0, 0, 0, 0, 0])
frame(DIRECTOR_MAC, broken(fresh()))
frame(DIRECTOR_MAC, broken(summed(fresh(options=rr))))
frame(DIRECTOR_MAC, summed(fresh(options=lsrr)))
frame(DIRECTOR_MAC, summed(fresh(options=ssrr)))
frame(DIRECTOR_MAC, fresh('fd02::7', extensions=[(43, bytes([0, 2, 2, 1, 0, 0, 0, 0]) + packed('fd02::9'))]))"
    check "nothing was sent on" wire "nothing('proxy1')"
    counted ""
    begin
    wire "x = summed(fresh(options=rr)); frame(DIRECTOR_MAC, x)"
    check "one that only records its way is tunnelled" wire "expect('proxy1', to1(x))"
    wire "frame(DIRECTOR_MAC, fresh('fd02::7', extensions=[(43, bytes([0, 2, 2, 0, 0, 0, 0, 0]) + packed('fd02::9'))]))"
    counted encapsulated_bytes=+212 encapsulated_packets=+2
}

lab_main "$@"
