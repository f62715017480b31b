#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The demo's report, from logs with a known result: broken connections and failed attempts are counted separately, those failed
# attempts apart that a killed program had in its hands, each event is marked, and the report of a demo that captured no packet that was passed on says so and does not fail. Run in the build root.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '1000.5\t%s\tnone\n1030.0\t%s\theld\t1030.4\n1060.9\t%s\tnone\n' "nothing happens" "proxy2: nginx is killed" "the end" >"$work/marks.tsv"
for second in $(seq 1000 1090); do
    echo "sample $second.700 broken=0 oldest=$second.100 proxy1=$((50 + second % 7)) proxy2=40 proxy3=30"
    case $second in
        1031) printf 'broken %s.800 proxy2 192.168.41.7:40000 receive: reset\n' "$second" "$second" ;;
        # Begun before the program was gone, and after.
        1035) printf 'unopened %s.900 - 192.168.41.8:40001 begun=%s receive: reset\n' "$second" 1029.900 "$second" 1030.399 ;;
        1040) printf 'unopened %s.900 - 192.168.41.8:40001 begun=%s connect: refused\n' "$second" 1030.400 "$second" 1035.000 \
            "$second" 1040.800 ;;
        # So slow to begin that it cannot be the program's, which was not there yet: a failure before the event is another one's.
        1020) printf 'unopened %s.900 - 192.168.41.9:40001 begun=%s no connection in time\n' "$second" 1000.900 ;;
    esac
done >"$work/pages4.events"
sed -n 's/^sample/&/p' "$work/pages4.events" >"$work/files6.events"

last() { tail -n 1 "$work/timeline.tsv" | cut -f "$1"; }
at() { awk -F'\t' -v second="$1" -v column="$2" '$1 == second { print $column }' "$work/timeline.tsv"; }
check "a report is made where nothing was captured" tests/demo/report "$work"
check "and it says so" grep -q '^No packet came to proxy3' "$work/second-chance.txt"
check "two connections broke" [ "$(last 5)" = 2 ]
check "four tries to open one failed, one of them before anything was killed" [ "$(last 6)" = 4 ]
check "and two that the killed program held" [ "$(last 7)" = 2 ]
check "each in its second" [ "$(at 30 5) $(at 31 5) $(at 39 6) $(at 40 6) $(at 34 7) $(at 35 7)" = "0 2 1 4 0 2" ]
check "connections of all clients are added up" [ "$(last 3)" = 80 ]
for words in broken "not opened" "held" "nothing happens" "proxy2: nginx is killed" "the end"; do
    check "the picture names: $words" grep -qF ">$words<" "$work/connections.svg"
done
# The area of the first curve begins at 192 of 800 (connections.gnuplot); a label begins at its lower end.
below() { sed -n 's/.*translate([0-9.]*,\([0-9.]*\)) rotate(-40[.0]*).*/\1/p' "$work/connections.svg" | awk '$1 > 192 { n++ } END { exit NR != 3 || n > 0 }'; }
check "no event's name lies on a curve" below
check "pictures for all" [ -s "$work/connections.png" ]

# --- the packets of demo-gateway ------------------------------------------------------------------------

# The dissector runs as another user (tests/unit/shark).
chmod 755 "$work"
# exchange FILE [COOKIE]: a capture of a request in Geneve and its answer, which has this flow cookie.
exchange() {
    python3 - "$@" <<'END'
import struct, sys
def ip(source, destination, proto, data):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0x4000, 64, proto, 0) + bytes(source) + bytes(destination)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:] + data
def tcp(source, destination, data):
    return struct.pack("!HHIIBBHHH", source, destination, 1, 1, 0x50, 0x18, 500, 0, 0) + data
def geneve(source, destination, cookie, inner):
    options = bytes.fromhex("010801022b8ee1d4db0c51c4" "010802020000000000000000" "01080301" + cookie)
    data = struct.pack("!BBHI", len(options) // 4, 0, 0x0800, 0) + options + inner
    return ip(source, destination, 17, struct.pack("!HHHH", 40000, 6081, 8 + len(data), 0) + data)
balancer, appliance, client, server = (192, 168, 41, 1), (192, 168, 50, 20), (198, 51, 100, 7), (10, 10, 10, 10)
request = ip(client, server, 6, tcp(41001, 80, b"GET / HTTP/1.1\r\n\r\n"))
answer = ip(server, client, 6, tcp(80, 41001, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
packets = [geneve(balancer, appliance, "deadbeef", request), geneve(appliance, balancer, (sys.argv[2:] + ["deadbeef"])[0], answer)]
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    for packet in packets:
        frame = bytes(12) + b"\x08\0" + packet
        file.write(struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)
END
}
exchange "$work/good.pcap"
# shellcheck disable=SC2016 # For the inner shell.
check "the packets of demo-gateway are drawn" sh -c 'tests/demo/gateway-packets "$1/good.pcap" "$1/gateway.svg" >"$1/layers"' sh "$work"
for words in 'option 1     |    12 | class 0x0108, endpoint 0x2b8ee1d4db0c51c4' 'inner IPv4   |    20 | 198.51.100.7 -> 10.10.10.10' \
    'Unknown Option Data: deadbeef' 'ok: the Geneve header with its options is the one that came'; do
    check "they are told: $words" grep -qF "$words" "$work/layers"
done
check "the figure has both directions" [ "$(grep -cE '>(A request comes|Its answer goes back)<' "$work/gateway.svg")" = 2 ]
exchange "$work/bad.pcap" 0badcafe
check "another header on the way back is an error" \
    refused 'expected: the Geneve header with its options is the one that came' tests/demo/gateway-packets "$work/bad.pcap" "$work/bad.svg"
head -c 24 "$work/good.pcap" >"$work/empty.pcap"
check "so is a capture without packets" refused 'no request and answer in Geneve' \
    tests/demo/gateway-packets "$work/empty.pcap" "$work/bad.svg"
