#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A director that is a proxy too, behind a network card with GRO: what GRO left in the buffer is no concern of the IP layer, to
# which the director hands its own share.
#
#             director, is a proxy too
#   ---> in (glbtest) ===GUE===> lo ---> GLBREDIRECT
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"
# shellcheck source=tests/lab/testdev.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/testdev.sh"

setup() {
    testdev_load || return
    proxy director 65.65.65.65 fd65::65
    ip_on director <<<$'link add in type glbtest\nlink set in up'
    modprobe rust_glb_director
    on director glbctl attach in
    proxies "$lab_work/v4.json" "$SEED" 65.65.65.65
    proxies "$lab_work/v6.json" "$SEED" fd65::65
    # ip6tnl0 takes nothing from an address of its own machine.
    on director glbctl config set --source-v6 fd65::66
}

# The buffer's private bytes: as GRO leaves them, garbage, nothing.
readonly -a LEFT=(cb=gro cb=255 cb=0x05 cb=0)

# everywhere FUNCTION LEFT...: over both underlays, from both families of clients, with this left in the buffer.
everywhere() {
    local step=$1 underlay family left
    shift
    for underlay in v4 v6; do
        on director glbctl table load "$lab_work/$underlay.json"
        for family in 4 6; do
            for left; do
                lab_context="IPv$family over IP$underlay, $left: "
                addresses="src=10.2.0.1 dst=$VIP4"
                [ $family = 4 ] || addresses="src=fd02::1 dst=$VIP6"
                words="family=$family $addresses $left"
                begin
                snapshot director
                "$step"
            done
        done
    done
    lab_context=
}

test_syn() {
    about "A SYN reaches this machine's own proxy."
    everywhere syn "${LEFT[@]}"
}
syn() {
    inject director in <<<"$words syn=1 len=0 gso=none csum=none"
    expect_counters director accepted_syn=+1
    tunnelled 1
}

test_data() {
    about "Packets and aggregates reach it, with what may not be fragmented and what may."
    everywhere data cb=gro cb=255
}
data() {
    inject director in <<END
$words sport=3000 len=1400 gso=none csum=unnecessary layout=frags
$words sport=3001 len=1400 gso=none csum=unnecessary df=0
$words sport=3002 len=20000 size=1400 layout=frags
$words sport=3003 len=50000 size=1400 layout=frag_list data=linear heads=page
$words sport=3004 len=50000 size=1400 layout=frag_list data=frags first=17 per=17
END
    expect_counters director forwarded_to_self=+89
    tunnelled 5
}

# tunnelled COUNT: so many packets were sent, and nothing else became of any.
tunnelled() {
    stats >"$lab_work/now"
    check "$1 tunnelled, nothing else" is "encapsulated_packets=+$1 " "$(join "$lab_work/before" "$lab_work/now" |
        awk '$2 != $3 && $1 ~ /^(encapsulated|dropped|passed_no).*_packets$/ { printf "%s=+%d ", $1, $3 - $2 }')"
}

test_bytes_arrive() {
    about "What a program gets is what was sent: a UDP service behind this machine's own share."
    local byte
    on director glbctl table load "$lab_work/v4.json"
    spawn director socat -u UDP-RECV:1500 "CREATE:$lab_work/udp"
    eventually bound 1500 || not_ok "socat listens"
    inject director in <<<"family=4 src=10.2.0.1 dst=$VIP4 proto=udp sport=3000 dport=1500 len=1400 gso=none csum=unnecessary layout=frags cb=gro"
    check "1,400 bytes arrive" eventually arrived 1400
    # The pattern of tests/kmod/shape.c.
    for byte in 0 1 700 1399; do
        check "byte $byte is right" is $((((3000 << 16 | byte) * 0x9e3779b1 & 0xffffffff) >> 24)) \
            "$(od -An -tu1 -j "$byte" -N 1 "$lab_work/udp" | tr -d ' ')"
    done
}
bound() { [ -n "$(quietly_on director ss -Hlun "sport = $1")" ]; }
arrived() { [ "$(stat -c %s "$lab_work/udp")" = "$1" ]; }

test_untracked() {
    about "Connection tracking knows nothing of the tunnel to this machine itself (decision 5), with the rule that a proxy has."
    on director iptables -t raw -A PREROUTING -p udp --dport "$GUE_PORT" -j CT --notrack
    on director ip6tables -t raw -A PREROUTING -p udp --dport "$GUE_PORT" -j CT --notrack
    on director iptables -A INPUT -m conntrack --ctstate INVALID -j ACCEPT
    on director ip6tables -A INPUT -m conntrack --ctstate INVALID -j ACCEPT
    # That connections are tracked at all must be seen.
    on director ping -c 1 -W 5 65.65.65.65
    check "this machine tracks connections" test "$(tracked icmp)" -gt 0
    everywhere untracked cb=gro
    on director iptables -t raw -F
    on director ip6tables -t raw -F
    on director iptables -D INPUT -m conntrack --ctstate INVALID -j ACCEPT
    on director ip6tables -D INPUT -m conntrack --ctstate INVALID -j ACCEPT
}
untracked() {
    inject director in <<<"$words sport=3100 len=1400 gso=none csum=unnecessary"
    expect_counters director forwarded_to_self=+1
    check "the tunnel is not tracked" is 0 "$(tracked udp)"
}
# tracked PROTOCOL: connections of it that are known, of both families.
# shellcheck disable=SC2016 # For the shell there.
tracked() {
    quietly_on director sh -c 'conntrack -f ipv4 -L -p "$0"; conntrack -f ipv6 -L -p "$0"' "$1" 2>/dev/null | grep -c "^$1 "
}

lab_main "$@"
