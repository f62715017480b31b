#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Machines that are two things at once: a director that is itself a proxy, and proxies and directors that are clients.
#
#   client ---> director ===GUE===> proxy1
#               is a proxy too ===> itself
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"
readonly OTHER4=1.1.1.2 OTHER6=fd91:79d3:d621::2

setup() {
    host client 10.2.0.1 fd02::1
    proxy director 65.65.65.65 fd65::65
    proxy proxy1 10.1.0.1 fd01::1
    unhurried client director proxy1
    local name number lines=''
    for number in {2..17}; do lines+="addr add 10.2.0.$number/32 dev eth0"$'\n'"addr add fd02::$number/128 dev eth0 nodad"$'\n'; done
    ip_on client <<<"$lines"
    for name in client proxy1; do
        ip_on $name <<END
route add $OTHER4 via 65.65.65.65 dev eth0 onlink
route add $OTHER6 via fd65::65 dev eth0 onlink
END
    done
    ip_on client <<END
link set eth0 mtu 1500
route add $VIP4 via 65.65.65.65 dev eth0 onlink
route add $VIP6 via fd65::65 dev eth0 onlink
END
    ip_on director <<END
addr add $OTHER4/32 dev tunl0
addr add $OTHER6/128 dev sit0 nodad
END
    modprobe rust_glb_director
    on director glbctl attach eth0
    # In the second the director's own share drains, in the third proxy1's.
    table "$lab_work/both.json" active active
    table "$lab_work/away.json" draining active
    table "$lab_work/home.json" active draining
    table "$lab_work/both6.json" active active fd65::65 fd01::1
    wire "HERE = {'65.65.65.65': 'director', 'fd65::65': 'director', '10.1.0.1': 'proxy1', 'fd01::1': 'proxy1'}
def meet(client, vip, who): global one, two; one = connect('client', client, vip, 80); two = accepted(listeners[who, vip])"
}

# table FILE STATE STATE [ADDRESS ADDRESS]: the director and proxy1 are proxies of the VIPs; of the other address the director is.
table() {
    proxies "$1.all" "$SEED" "${4:-65.65.65.65}" "${5:-10.1.0.1}"
    jq --arg a "$2" --arg b "$3" --arg v4 $OTHER4 --arg v6 $OTHER6 '.tables[0].backends[0].state = $a | .tables[0].backends[1].state = $b
        | .tables += [.tables[0] | .name = "other" | .seed = "00112233445566778899aabbccddeeff"
            | .binds = [{ip: $v4, proto: "tcp", port: 80}, {ip: $v6, proto: "tcp", port: 80}]
            | .backends = [.backends[0] | .state = "active"]]' "$1.all" >"$1"
}

# listen: both machines serve the VIPs.
listen() {
    wire "listeners = {(who, vip): listener(who, vip, 80) for who in ('director', 'proxy1') for vip in ('$VIP4', '$VIP6')}"
}

# primary CLIENT VIP: the host that glbctl says its packets go to first.
primary() {
    case $(quietly_on director glbctl --json lookup --running "$1" "$(endpoint "$2")" | jq -r '.hops[0].ip') in
        65.65.65.65 | fd65::65) echo director ;;
        *) echo proxy1 ;;
    esac
}
endpoint() { if [[ $1 = *:* ]]; then echo "[$1]:80"; else echo "$1:80"; fi; }

test_both() {
    about "Connections go to the director itself or to the other proxy, as the table says, and to nobody else."
    both both
}

test_both_ipv6() {
    about "The same with an IPv6 underlay, from a source that is no address of the machine: ip6tnl0 takes nothing from its own."
    on director glbctl config set --source-v6 fd65::66
    both both6
}

both() {
    local client vip who home=0 away=0
    on director glbctl table load "$lab_work/$1.json"
    listen
    begin
    snapshot director proxy1
    for client in 10.2.0.{1..8} fd02::{1..8}; do
        if [[ $client = *:* ]]; then vip=$VIP6; else vip=$VIP4; fi
        who=$(primary "$client" "$vip")
        [ "$who" = director ] && home=$((home + 1)) || away=$((away + 1))
        quietly_wire "meet('$client', '$vip', '$who')
says(one, two)
says(two, one, b'and back')" || not_ok "$client talks to $who"
    done
    check "some went to each: $home to the director itself, $away to proxy1" test $home -gt 0 -a $away -gt 0
    ok "each was answered by the proxy that glbctl names"
    # A SYN, its answer's acknowledgement, the data, and one more.
    expect_counters director accepted_syn=+$home accepted_established=+$((3 * home))
    expect_counters proxy1 accepted_syn=+$away accepted_established=+$((3 * away))
    check "each packet was tunnelled" is $((4 * (home + away))) "$(stats | sed -n 's/^encapsulated_packets //p' | awk -v old="$(sed -n 's/^encapsulated_packets //p' "$lab_work/before")" '{ print $1 - old }')"
}

test_second_chance() {
    about "A connection outlives its way being changed: from the director's own proxy to the other one, and the other way round."
    local client who table
    on director glbctl table load "$lab_work/both.json"
    listen
    for who in director proxy1; do
        lab_context="$who has it: "
        for client in 10.2.0.{1..16}; do
            if [ "$(primary "$client" "$VIP4")" = $who ]; then break; fi
        done
        wire "meet('$client', '$VIP4', '$who')"
        check "it talks" wire "says(one, two)"
        if [ $who = director ]; then table=away other=proxy1; else table=home other=director; fi
        on director glbctl table load "$lab_work/$table.json"
        check "its packets go to the other one first" is "$other" "$(primary "$client" "$VIP4")"
        snapshot director proxy1
        check "it still talks, by its second chance" wire "says(one, two, b'again')"
        # The data, and the acknowledgement of the answer.
        expect_counters $other forwarded_to_alternate=+1..2
        expect_counters $who accepted_established=+1..2
        check "and ends in order" wire "one.close()
holds(pump(lambda: eof(two)))"
        on director glbctl table load "$lab_work/both.json"
    done
    lab_context=
}

test_proxy_is_a_client() {
    about "A proxy that connects to the VIP gets its own service, without the director; to an address that is not its own it is a client."
    on director glbctl table load "$lab_work/both.json"
    listen
    begin
    wire "one = connect('proxy1', '10.1.0.1', '$VIP4', 80)
two = accepted(listeners['proxy1', '$VIP4'])"
    check "its own service answers" wire "says(one, two)
says(two, one, b'and back')"
    counted ""
    wire "there = listener('director', '$OTHER4', 80)
one = connect('proxy1', '10.1.0.1', '$OTHER4', 80)
two = accepted(there)"
    check "another proxy answers by way of the director" wire "says(one, two)
says(two, one, b'and back')"
    check "each packet was tunnelled" test "$(stats | sed -n 's/^encapsulated_packets //p')" -ge $(($(sed -n 's/^encapsulated_packets //p' "$lab_work/before") + 3))
    wire "there = listener('director', '$OTHER6', 80)
one = connect('proxy1', 'fd01::1', '$OTHER6', 80)
two = accepted(there)"
    check "so it does over IPv6" wire "says(one, two)"
}

test_director_is_a_client() {
    about "A director that is a proxy and connects to the VIP gets its own service: its packets never come in on a device."
    on director glbctl table load "$lab_work/both.json"
    listen
    begin
    wire "one = connect('director', '65.65.65.65', '$VIP4', 80)
two = accepted(listeners['director', '$VIP4'])"
    check "it talks to itself" wire "says(one, two)
says(two, one, b'and back')"
    counted ""
}

lab_main "$@"
