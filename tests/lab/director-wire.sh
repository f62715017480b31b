#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The director on the wire: what it makes of clients' packets, byte for byte, and what it leaves alone.
#
#   client ---> director ===GUE===> proxy1, proxy2
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"

readonly CLIENT6=fd91:79d3:d621::1234

setup() {
    host client 10.11.12.13 fd11::13
    host director 65.65.65.65 fd65::65
    host proxy1 3.4.5.6 fd01::1
    host proxy2 2.3.4.5 fd01::2
    ip_on director <<END
link set eth0 mtu 1500
END
    modprobe rust_glb_director
    proxies "$lab_work/v4.json" "$SEED" 3.4.5.6 2.3.4.5
    proxies "$lab_work/v6.json" "$SEED" fd01::1 fd01::2
    on director glbctl table load "$lab_work/v4.json"
    on director glbctl attach eth0
    # What wire's own model needs to say which packet is right: the row's low bits, the client's port.
    wire "sport = lambda row, port: 0x8000 | ((row ^ port) & 0x7fff)"
}

readonly SYN=4500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000
readonly TUNNELLED=45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050022000c50a0000

test_vector() {
    about "A SYN of the vector's client leaves as the deployed directors send it, and padding of the frame is not carried."
    begin
    wire "send('client', 'director', bytes.fromhex('$SYN') + bytes(6))"
    check "proxy1 gets the vector's bytes" wire "expect('proxy1', bytes.fromhex('$TUNNELLED'))"
    counted encapsulated_bytes=+80 encapsulated_packets=+1
}

test_left_alone() {
    about "What matches no bind goes on up the stack, untouched."
    begin
    wire "send('client', 'director', ip('10.11.12.13', '$VIP4', tcp(1234, 81, 'S')))"
    wire "send('client', 'director', ip('10.11.12.13', '$VIP4', udp(1234, 999)))"
    wire "send('client', 'director', ip('10.11.12.13', '$VIP4', raw(47, b'0123')))"
    check "nothing reached a proxy" wire "nothing('proxy1')"
    counted passed_no_matching_bind_packets=+2
    check "the director itself answers pings" quietly_on client ping -c 1 -W 2 65.65.65.65
}

test_ipv6_client() {
    about "An IPv6 client goes through the IPv4 underlay, with the source port of its hash."
    begin
    wire "x = ip('$CLIENT6', '$VIP6', tcp(4321, 80, 'S'))"
    wire "send('client', 'director', x)"
    check "the row's primary gets it" wire "expect('proxy2', tunnel('2.3.4.5', x, ['3.4.5.6'], sport=sport(0x198d, 4321)))"
    counted "encapsulated_bytes=+100 encapsulated_packets=+1"
}

test_udp_and_options() {
    about "UDP to a range of ports, and TCP behind IPv4 options, are tunnelled whole."
    begin
    wire "x = ip('10.11.12.13', '$VIP4', udp(53, 1500, b'hello'))
y = ip('10.11.12.13', '$VIP4', tcp(1024, 80, 'A', payload=b'data'), options=bytes([7, 7, 4, 0, 0, 0, 0, 0]))"
    wire "send('client', 'director', x)"
    wire "send('client', 'director', y)"
    check "both arrive" wire "expect('proxy1', tunnel('3.4.5.6', x, ['2.3.4.5'], sport=sport(0x5cbd, 53)), tunnel('3.4.5.6', y, ['2.3.4.5'], sport=sport(0x5cbd, 1024)))"
    counted encapsulated_bytes=+165 encapsulated_packets=+2
}

test_icmp() {
    about "ICMP errors about a flow go where the flow goes, and so do echo requests to a bound address; other ICMP does not."
    begin
    # What a proxy sent to the vector's client, and a router could not pass on.
    wire "sent = ip('$VIP4', '10.11.12.13', tcp(80, 45678, 'A'))
error = ip('192.0.2.1', '$VIP4', icmp(3, 4, bytes(4), sent[:28]))
echo = ip('10.11.12.13', '$VIP4', icmp(8, 0, b'1234', b'ping'), ident=7)
other = ip('192.0.2.1', '$VIP4', icmp(3, 3, bytes(4), sent[:28]))"
    wire "send('client', 'director', error)"
    wire "send('client', 'director', echo)"
    wire "send('client', 'director', other)"
    check "the error comes with the client's port, the echo with its identification" wire \
        "expect('proxy1', tunnel('3.4.5.6', error, ['2.3.4.5'], sport=sport(0x5cbd, 45678)), tunnel('3.4.5.6', echo, ['2.3.4.5'], sport=sport(0x5cbd, 7)))"
    counted encapsulated_bytes=+168 encapsulated_echo_packets=+1 encapsulated_icmp_error_packets=+1
}

test_fragments() {
    about "Later fragments take the first one's way, source port and all."
    begin
    wire "whole = tcp(999, 80, 'A', payload=bytes(range(200)))
first = ip('10.11.12.13', '$VIP4', whole, ident=77, df=False, fragment=(0, True, 0, 104))
later = ip('10.11.12.13', '$VIP4', whole, ident=77, df=False, fragment=(104, False, 104, 220))"
    wire "send('client', 'director', first)"
    wire "send('client', 'director', later)"
    check "both arrive alike" wire \
        "expect('proxy1', tunnel('3.4.5.6', first, ['2.3.4.5'], sport=sport(0x5cbd, 999)), tunnel('3.4.5.6', later, ['2.3.4.5'], sport=sport(0x5cbd, 999)))"
    counted encapsulated_bytes=+340 encapsulated_fragment_packets=+1 encapsulated_packets=+1
}

test_too_big() {
    about "A client whose packet does not fit the tunnel is told so from the VIP, with the MTU that fits."
    begin
    wire "x = ip('10.11.12.13', '$VIP4', tcp(45678, 80, 'A', payload=bytes(1460)))
y = ip('fd11::13', '$VIP6', tcp(45678, 80, 'A', payload=bytes(1440)))"
    wire "send('client', 'director', x)"
    check "IPv4: 1500 less 40 of headers" wire \
        "p = recv('client', lambda p: p[0] >> 4 == 4 and p[9] == 1); same(p[12:16] + p[20:22] + p[26:28] + p[28:156], packed('$VIP4') + bytes([3, 4]) + (1460).to_bytes(2, 'big') + x[:128])"
    wire "send('client', 'director', y)"
    check "IPv6: the same" wire \
        "p = recv('client', lambda p: p[0] >> 4 == 6 and p[6] == 58 and p[40] == 2); same(p[8:24] + p[44:48] + p[48:176], packed('$VIP6') + (1460).to_bytes(4, 'big') + y[:128])"
    check "nothing reached a proxy" wire "nothing('proxy1')"
    counted dropped_too_big_packets=+2 icmp_too_big_sent=+2
}

test_udp_checksum() {
    about "With a UDP checksum it is right, in both families, and by hardware's account as by the kernel's."
    on director glbctl config set --udp-checksum true
    # The device completes no checksum: what is captured is what a wire would carry.
    on director ethtool -K eth0 tx off
    begin
    wire "x = ip('10.11.12.13', '$VIP4', tcp(45678, 80, 'A', payload=b'odd'))
y = ip('$CLIENT6', '$VIP6', udp(4321, 1500, b'even'))"
    wire "send('client', 'director', x)"
    check "IPv4" wire "expect('proxy1', tunnel('3.4.5.6', x, ['2.3.4.5'], sport=sport(0x5cbd, 45678), check=True))"
    wire "send('client', 'director', y)"
    check "an IPv6 client" wire "expect('proxy2', tunnel('2.3.4.5', y, ['3.4.5.6'], sport=sport(0x198d, 4321), check=True))"
    on director glbctl table load "$lab_work/v6.json"
    wire "send('client', 'director', x)"
    check "IPv6" wire "expect('proxy2', tunnel('fd01::2', x, ['fd01::1'], sport=sport(0x5cbd, 45678), check=True))"
    counted encapsulated_bytes=+$((40 + 43 + 40 + 52 + 72 + 43)) encapsulated_packets=+3
    on director glbctl table load "$lab_work/v4.json"
    on director glbctl config set --udp-checksum false
    on director ethtool -K eth0 tx on
}

test_may_be_fragmented() {
    about "An IPv4 packet that does not fit and may be fragmented is, and its pieces take its way."
    begin
    # 1460 bytes fit: 1440 of the payload, and the rest.
    wire "whole = tcp(999, 80, 'A', payload=bytes(range(256)) * 5 + bytes(180))
of = lambda *place, **more: tunnel('3.4.5.6', ip('10.11.12.13', '$VIP4', whole, ident=78, fragment=place, **more), ['2.3.4.5'], sport=sport(0x5cbd, 999))"
    wire "send('client', 'director', ip('10.11.12.13', '$VIP4', whole, ident=78, df=False))"
    check "two pieces arrive" wire "expect('proxy1', of(0, True, 0, 1440), of(1440, False, 1440, 1480))"
    counted encapsulated_bytes=+$((1500 + 20 + 2 * 40)) encapsulated_packets=+1 fragments_sent=+2
    begin
    wire "send('client', 'director', ip('10.11.12.13', '$VIP4', whole, ident=78, fragment=(1600, True, 0, 1480)))"
    check "so does a fragment, in its place" wire "recv('proxy1', lambda p: is_gue(p) and p[40:] == of(1600, True, 0, 1440)[40:])
recv('proxy1', lambda p: is_gue(p) and p[40:] == of(3040, True, 1440, 1480)[40:])"
    # Its first fragment was not seen: it goes by its addresses.
    counted encapsulated_bytes=+$((1500 + 20 + 2 * 40)) encapsulated_fragment_packets=+1 fragments_sent=+2
    begin
    # Record route is for the first fragment, router alert for all.
    wire "whole = tcp(999, 80, 'A', payload=bytes(1452))
send('client', 'director', ip('10.11.12.13', '$VIP4', whole, ident=78, df=False, options=bytes([7, 3, 4, 148, 4, 0, 0, 0])))"
    check "options are those that belong in each" wire "expect('proxy1', of(0, True, 0, 1432, options=bytes([7, 3, 4, 148, 4, 0, 0, 0])), of(1432, False, 1432, 1472, options=bytes([1, 1, 1, 148, 4, 0, 0, 0])))"
    counted encapsulated_bytes=+$((1500 + 28 + 2 * 40)) encapsulated_packets=+1 fragments_sent=+2
    begin
    wire "send('client', 'director', ip('10.11.12.13', '$VIP4', icmp(8, 0, b'1234', bytes(1472)), ident=7, df=False))"
    wire "recv('proxy1'), recv('proxy1')"
    check "a ping too" wire "nothing('proxy1')"
    counted encapsulated_bytes=+$((1500 + 20 + 2 * 40)) encapsulated_echo_packets=+1 fragments_sent=+2
}

test_segment_tcp() {
    about "With segment-tcp a TCP packet that does not fit goes as two that do; one that must not be cut has its client told."
    on director glbctl config set --segment-tcp true
    on director ethtool -K eth0 tx off
    begin
    wire "body = bytes(range(256)) * 5 + bytes(180)
part = lambda a, b, ident, flags: ip('10.11.12.13', '$VIP4', tcp(999, 80, flags, seq=1 + a, payload=body[a:b]), ident=ident)
part6 = lambda a, b: ip('$CLIENT6', '$VIP6', tcp(999, 80, 'A', seq=1 + a, payload=body[a:b]))"
    # The kernel counts the outer packets up, though the number says nothing where DF is set (RFC 6864).
    wire "send('client', 'director', part(0, 1460, 78, 'PA'))"
    check "IPv4: each with its numbers and checksums, the last one is pushed" wire "expect('proxy1', *(tunnel('3.4.5.6', x, ['2.3.4.5'], sport=sport(0x5cbd, 999), ident=i) for i, x in enumerate((part(0, 1420, 78, 'A'), part(1420, 1460, 79, 'PA')))))"
    wire "send('client', 'director', part6(0, 1440))"
    check "IPv6: the same" wire "expect('proxy2', *(tunnel('2.3.4.5', x, ['3.4.5.6'], sport=sport(0x198d, 999), ident=i) for i, x in enumerate((part6(0, 1400), part6(1400, 1440)))))"
    counted encapsulated_bytes=+$((2 * 1540)) encapsulated_packets=+2 segmented_tcp=+2
    begin
    wire "wrong = bytearray(part(0, 1460, 80, 'A')); wrong[100] ^= 1
send('client', 'director', bytes(wrong))
send('client', 'director', part(0, 1460, 81, 'S'))
send('client', 'director', ip('10.11.12.13', '$VIP4', udp(53, 1500, bytes(1472))))"
    check "not one with a wrong checksum, no SYN, no UDP" wire "nothing('proxy1')"
    counted dropped_too_big_packets=+3 icmp_too_big_sent=+3
    on director ethtool -K eth0 tx on
    on director glbctl config set --segment-tcp false
}

test_ipv6_underlay() {
    about "A table of IPv6 proxies, loaded in place of the other, tunnels over IPv6."
    on director glbctl table load "$lab_work/v6.json"
    begin
    wire "send('client', 'director', bytes.fromhex('$SYN'))"
    check "the primary gets it, hops of 16 bytes" wire \
        "expect('proxy2', tunnel('fd01::2', bytes.fromhex('$SYN'), ['fd01::1'], sport=sport(0x5cbd, 45678)))"
    counted encapsulated_bytes=+112 encapsulated_packets=+1
    on director glbctl table load "$lab_work/v4.json"
}

test_lookup() {
    about "glbctl says where a packet goes: in the file and in the running kernel alike."
    quietly_on director glbctl --json lookup --table "$lab_work/v4.json" 10.11.12.13:45678 "$VIP4:80" >"$lab_work/file"
    quietly_on director glbctl --json lookup --running 10.11.12.13:45678 "$VIP4:80" >"$lab_work/running"
    check "the file has the vector's hash and row" grep -q 008972f1657a5cbd "$lab_work/file"
    check "so has the kernel" grep -q 008972f1657a5cbd "$lab_work/running"
    check "the hops are the same" is "$(jq -c '[.hops[].ip]' "$lab_work/file")" "$(jq -c '[.hops[].ip]' "$lab_work/running")"
    check "and they are the vector's" is '["3.4.5.6","2.3.4.5"]' "$(jq -c '[.hops[].ip]' "$lab_work/file")"
}

test_detached() {
    about "A detached device is left alone, one that is removed is detached, and the module can go while devices are attached."
    on director glbctl detach eth0
    wire "send('client', 'director', bytes.fromhex('$SYN'))"
    check "nothing reaches a proxy" wire "nothing('proxy1')"
    on director glbctl attach eth0
    ip_on director <<END
link add gone type dummy
link set gone up
END
    on director glbctl attach gone
    ip_on director <<END
link del gone
END
    check "one device is left" is 1 "$(quietly_on director glbctl --json status | jq '.devices | length')"
    check "rmmod" rmmod rust_glb_director
    modprobe rust_glb_director
}

lab_main "$@"
