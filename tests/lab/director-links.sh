#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The director on links of other kinds: VLANs, bonds, virtio network cards.
#
#   client ---> director ===GUE===> proxy1
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/director.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/director.sh"

# links: the hosts, and a loaded director that is attached to nothing. Each test has its own.
links() {
    host client 10.11.12.13 fd02::1
    host director 65.65.65.65 fd65::65
    host proxy1 3.4.5.6 fd01::1
    modprobe rust_glb_director
    proxies "$lab_work/v4.json" "$SEED" 3.4.5.6
    on director glbctl table load "$lab_work/v4.json"
    # tagged(packet, tag...): a frame for the director. to1(packet, port): what proxy1 gets.
    wire "number = itertools.count(1)
fresh = lambda: ip('10.11.12.13', '$VIP4', tcp(45678, 80, 'A', seq=next(number)))
tagged = lambda packet, *tags: hosts['director'].mac + hosts['client'].mac + b''.join(bytes([0x81, 0, t >> 8, t & 255]) for t in tags) + b'\x08\0' + packet
frame = lambda packet, *tags: hosts['client'].socket.send(tagged(packet, *tags))
to1 = lambda packet: tunnel('3.4.5.6', packet, ['3.4.5.6'], sport=0x8000 | ((0x5cbd ^ 45678) & 0x7fff))"
}

test_vlan_on_the_device() {
    about "An attached device takes the packets of all its VLANs: they leave without the tag."
    links
    on director glbctl attach eth0
    begin
    wire "x = fresh()
frame(x, 7)"
    check "a tagged packet is tunnelled" wire "expect('proxy1', to1(x))"
    wire "x = fresh()
frame(x, 0)"
    check "one that is only marked with a priority too" wire "expect('proxy1', to1(x))"
    counted encapsulated_bytes=+160 encapsulated_packets=+2
    begin
    wire "frame(fresh(), 7, 8)"
    check "one with two tags goes on up the stack" wire "nothing('proxy1')"
    counted ""
    # The device of the outer VLAN has it with one tag left.
    ip_on director <<END
link add link eth0 name eth0.7 type vlan id 7
link set eth0.7 up
END
    on director glbctl attach eth0.7
    begin
    wire "x = fresh()
frame(x, 7, 8)"
    check "attached to the outer VLAN's device it is taken" wire "expect('proxy1', to1(x))"
    wire "x = fresh()
frame(x, 7)"
    check "a packet of one tag is taken once, by the lower device" wire "expect('proxy1', to1(x))"
    check "and once only" wire "nothing('proxy1')"
    counted encapsulated_bytes=+160 encapsulated_packets=+2
}

test_vlan_device() {
    about "A VLAN's device takes its packets and no others, and a route by it sends tagged ones."
    links
    ip_on director <<END
link add link eth0 name eth0.7 type vlan id 7
link set eth0.7 up
addr add 10.7.0.1/32 dev eth0.7
END
    on director glbctl attach eth0.7
    begin
    wire "x = fresh()
frame(x, 7)"
    check "its packet is tunnelled" wire "expect('proxy1', to1(x))"
    wire "frame(fresh(), 8)
frame(fresh())"
    check "those of VLAN 8 and of none are left alone" wire "nothing('proxy1')"
    counted encapsulated_bytes=+80 encapsulated_packets=+1
    on director glbctl config set --gateway-mac "$(mac proxy1)" --source-v4 65.65.65.65
    ip_on director <<<'route add 3.4.5.6/32 dev eth0.7'
    capture proxy1 "$lab_work/got.pcap" vlan 7 and udp port "$GUE_PORT"
    begin
    wire "x = fresh()
frame(x, 7)"
    check "by a route of the VLAN's device it arrives whole" wire "expect('proxy1', to1(x))"
    captured 0
    check "with the tag" is 1 "$(tcpdump -enr "$lab_work/got.pcap" 2>/dev/null | grep -c 'vlan 7.*65\.65\.65\.65.*> 3\.4\.5\.6')"
    counted encapsulated_bytes=+80 encapsulated_packets=+1
}

test_bond() {
    about "On an active-backup bond packets are tunnelled before and after one link is lost."
    links
    ip_on root <<<"link add name director2 mtu $LAB_MTU netns fabric type veth peer name eth1 mtu $LAB_MTU netns director"
    ip_on fabric <<<'link set director2 master fabric up'
    ip_on director <<END
link add bond0 type bond mode active-backup miimon 50
link set eth0 down
link set eth0 master bond0
link set eth1 master bond0
link set bond0 mtu $LAB_MTU up
addr add 65.65.65.65/32 dev bond0
route add default dev bond0 src 65.65.65.65
END
    check "eth0 is the active link" eventually active eth0
    on director glbctl attach bond0
    begin
    wire "x = fresh()
send('client', 'director', x)"
    check "a packet is tunnelled" wire "expect('proxy1', to1(x))"
    ip_on fabric <<<'link set director down'
    check "eth1 takes over" eventually active eth1
    wire "x = fresh()
send('client', 'director', x)"
    check "a packet is tunnelled" wire "expect('proxy1', to1(x))"
    check "and nothing twice" wire "nothing('proxy1')"
    counted encapsulated_bytes=+160 encapsulated_packets=+2
    # The link that is left is taken out of the bond, and the bond goes, with the director attached.
    ip_on director <<<'link del bond0'
    check "the device is gone from the director" is 0 "$(quietly_on director glbctl --json status | jq '.devices | length')"
}
active() { [ "$(quietly_on director cat /sys/class/net/bond0/bonding/active_slave)" = "$1" ]; }

# cards: the guest's two virtio cards, the one in the namespace $1, the other in the director's; both are called v0.
cards() {
    local path name
    modprobe virtio_net
    for path in /sys/class/net/*; do
        name=${path##*/}
        case $(cat "$path/address") in
            02:00:00:01:00:00) ip_on root <<<"link set $name netns $1 name v0" ;;
            02:00:00:01:00:01) ip_on root <<<"link set $name netns director name v0" ;;
        esac
    done
    ip_on "$1" <<<"link set v0 mtu $2 up"
    ip_on director <<<'link set v0 mtu 9000 up'
    quietly_on director ethtool -k v0 | grep -E '^(rx|tx)-checksumming|^(tcp-segmentation|generic-receive|generic-segmentation)-offload|large-receive' | sed 's/^/    /'
}
offloads() { quietly_on director ethtool -k v0 | grep -q '^tx-checksumming: on'; }
# A namespace that goes takes its devices along unless they are real ones: those come back, with the name that they have.
uncards() {
    local host
    for host in "$@"; do ip_on "$host" <<<"link set v0 netns 1 name card-$host"; done
}

test_virtio_in() {
    about "Clients' aggregates with unfinished checksums, from a virtio card, are tunnelled whole."
    links
    takes_gue proxy1
    cards client 1500
    ip_on client <<END
addr add 10.3.0.1/24 dev v0
route add $VIP4/32 via 10.3.0.2 dev v0 src 10.11.12.13
END
    ip_on director <<END
addr add 10.3.0.2/24 dev v0
END
    on director glbctl attach v0
    if offloads; then
        bulk "$VIP4" whole
    else
        ok "this machine's cards offload nothing: packets are merged by the driver's GRO, or not"
        begin
        upload "$VIP4"
        check "all went to a proxy" test "$(grew encapsulated_packets)" -gt 50
    fi
    check "what is no bind's goes on up the stack" quietly_on client ping -c 1 -W 2 10.3.0.2
    check "no packet was dropped" is "0 0" "$(grew dropped_too_big_packets) $(grew dropped_no_memory_packets)"
    uncards client director
}

test_virtio_out() {
    about "Aggregates leave by a virtio card, which segments no tunnels but completes checksums; with an outer checksum too."
    links
    takes_gue proxy1
    cards proxy1 9000
    ip_on client <<END
link set eth0 mtu 1500
route add $VIP4 via 65.65.65.65 dev eth0 onlink
END
    ip_on director <<END
addr add 10.3.0.2/24 dev v0
route add 3.4.5.6/32 dev v0
END
    ip_on proxy1 <<END
addr add 10.3.0.1/24 dev v0
route add 10.3.0.2/32 dev v0
END
    on proxy1 sysctl -qw net.ipv4.conf.all.rp_filter=0
    on director glbctl attach eth0
    # Each packet as it comes, so that GRO of the receiver is no riddle.
    on proxy1 ethtool -K v0 gro off
    sink_device=v0
    bulk "$VIP4" cut
    on director glbctl config set --udp-checksum true
    bulk "$VIP4" cut
    sink_device=
    uncards proxy1 director
}

lab_main "$@"
