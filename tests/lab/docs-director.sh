#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Directors that are set up as the documents say, command by command in their order; and a whole fleet, up to a proxy that was taken
# out of service and came back.
#
#   client .40.2 --- router .1 --- director1 .6, director2 .7 --- proxy1 .10, proxy2 .11, proxy3 .12
#
# Each host has an /etc of its own, where it differs (`ip netns exec` lays /etc/netns/HOST over it). There is no systemd: what its
# units do for these services, the function `systemctl` below does, and `make test-packages` has the units themselves.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/docs.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/docs.sh"
# shellcheck source=tests/lab/nginx.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/nginx.sh"

test_readme() {
    about "The README's director."
    host director 192.168.50.6 fd00:50::6
    host proxy1 192.168.50.10 fd00:50::10
    host proxy2 192.168.50.11 fd00:50::11
    host proxy3 192.168.50.12 fd00:50::12
    host client 198.51.100.7 2001:db8::7
    if grep -q '^rust_glb_director ' /proc/modules; then rmmod rust_glb_director; fi
    mkdir -p /etc/glb
    block README.md "## A director" json >/etc/glb/forwarding_table.json
    local command first
    while IFS= read -r command; do
        [[ $command != *--watch ]] || break
        check "README.md: $command" on director bash -ec "$command" </dev/null
    done < <(documented README.md "## A director" | grep -E '^(modprobe|glbctl)')
    check "the last command shows what comes" is "glbctl stats --watch" "$command"
    ip netns exec director bash -c "exec $command" </dev/null >"$lab_work/watch" &
    # What the lookup says is what the packet does.
    first=$(quietly_on director glbctl --json lookup --running 198.51.100.7:40000 10.10.10.10:80 | jq -r '.hops[0].ip')
    wire "send('client', 'director', ip('198.51.100.7', '10.10.10.10', tcp(40000, 80, 'S')))"
    check "a packet to the VIP is tunnelled to the hop that the lookup says" wire "is_gue(recv('proxy$((${first##*.} - 9))'))"
    check "the counters show it" eventually grep -qE '^encapsulated_packets +1 ' "$lab_work/watch"
    wire "send('client', 'director', ip('2001:db8::7', 'fd00:10::10', tcp(40000, 80, 'S')))"
    check "so is one to the other VIP" eventually encapsulated 2
    on director glbctl detach eth0
}
encapsulated() { [ "$(quietly_on director glbctl --json stats | jq .encapsulated_packets)" = "$1" ]; }

# --- docs/production.md -----------------------------------------------------------------------------------

readonly DIRECTORS="director1 director2" PROXIES="proxy1 proxy2 proxy3"
guide=production.md

# own_etc HOST: its /etc/glb, /etc/bird and /etc/default are its own.
own_etc() {
    local dir
    rm -rf "/etc/netns/$1"
    for dir in glb bird default; do
        mkdir -p "/etc/$dir" "/etc/netns/$1/$dir"
        cp -a "/etc/$dir/." "/etc/netns/$1/$dir/"
    done
}

# What the units do, for the hosts of the lab. A director's service is the program of the unit, with the unit's settings.
make_systemctl() {
    cat >/usr/local/sbin/systemctl <<'END'
#!/bin/bash
host=$(ip netns identify $$)
run=/run/units-$host
director() { set -a; . /etc/default/glb-director; exec /usr/libexec/glb/glb-director "$1"; }
checker() {
    mkdir -p /run/glb-healthcheck
    setsid glb-healthcheck --config /etc/glb/healthcheck.conf </dev/null >>"$run.checker" 2>&1 &
    echo $! >"$run.pid"
}
announce() {
    . /etc/default/glb-announce
    local socket=/run/bird/$host.ctl
    # The place where birdc looks by itself: one has it in the lab, where all have the same /run.
    [ "$host" != director1 ] || socket=/run/bird/bird.ctl
    mkdir -p /run/bird
    setsid bird -c /etc/bird/bird.conf -s "$socket" </dev/null >>"$run.bird" 2>&1
    GLB_BIRDC="birdc -s $socket" setsid /tools/bird/glb-announce $GLB_ANNOUNCE </dev/null >>"$run.announce" 2>&1 &
}
case "$*" in
    'enable --now glb-director glb-healthcheck') (director start) && checker ;;
    'enable --now glb-healthcheck') checker ;;
    'enable --now glb-announce') announce ;;
    'enable --now glb-proxy') /usr/local/sbin/glb-proxy ;;
    'reload glb-director') director reload ;;
    'reload glb-healthcheck') kill -HUP "$(cat "$run.pid")" ;;
    *) echo "systemctl: not in the lab: $*" >&2; exit 1 ;;
esac
END
    chmod +x /usr/local/sbin/systemctl
}

bgp_host() {
    host "$1" "192.168.50.$2" - "addr add 192.168.50.$2/24 dev eth0
addr add fd00:50::$2/64 dev eth0 nodad
route add ::/0 dev eth0"
}
# fleet: the machines before anything of GLB is on them.
fleet() {
    local name
    modprobe -a rust_glb_director
    # BGP wants its neighbours to be on a network of its own.
    bgp_host router 1
    bgp_host director1 6
    bgp_host director2 7
    host proxy1 192.168.50.10 fd00:50::10
    host proxy2 192.168.50.11 fd00:50::11
    host proxy3 192.168.50.12 fd00:50::12
    host client 192.168.40.2 fd00:40::2
    on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 \
        net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0 net.ipv4.fib_multipath_hash_policy=1
    ip_on client <<<"route add 10.10.10.10 via 192.168.50.1 dev eth0 onlink mtu 1400"
    spawn router bird -f -c /tools/bird/router.conf -s "$lab_work/router.ctl"
    for name in $DIRECTORS $PROXIES; do own_etc "$name"; done
    make_systemctl
}

running() { quietly_on "$1" glbctl --json table show --running | jq -r "$2"; }
# both COMMAND...: on both directors.
both() {
    local name
    for name in $DIRECTORS; do "$1" "$name" "${@:2}" || return; done
}
# has_state DIRECTOR STATE: it has loaded proxy2 as this.
has_state() { is "$2" "$(running "$1" '.[0].backends[] | select(.ip == "192.168.50.11") | .state')"; }
health_is_ok() { is ok "$(quietly_on "$1" curl -s --max-time 60 127.0.0.1:19520/health | jq -r .status)"; }
has_next_hops() { [ "$(ip -n router route show 10.10.10.10 | grep -o 'via [0-9.]*' | sort -u | wc -l)" = "$1" ]; }
# no_row_has DIRECTOR: no row names proxy2, the second backend. Tables of version 2 have one code for draining and inactive.
no_row_has() { is 0 "$(quietly_on "$1" glbctl --json table show --running --rows | jq '[.[0].rows[][] | select(. == 1)] | length')"; }
# step WORD SEEN...: the command of section 5 with this word, on one director after the other; then each director is SEEN to have it.
step() {
    local command name
    command=$(documented $guide "## 5. A proxy is taken out, and comes back" | grep -F "glbctl backend $1")
    for name in $DIRECTORS; do check "$guide: $name: $command" on "$name" bash -ec "$command" </dev/null; done
    for name in $DIRECTORS; do check "$name: $1" eventually "$2" "$name" "${@:3}"; done
}
answers() { quietly_on client curl -sS --max-time 60 http://10.10.10.10/; }

test_production() {
    about "docs/production.md: proxies, table, directors, announcement, a proxy that is taken out and comes back."
    local name number
    # Hosts of other scenarios have the same names.
    trap 'rm -rf /etc/netns /usr/local/sbin/systemctl /usr/local/sbin/glb-proxy /etc/glb' EXIT
    fleet

    # 1. The proxies.
    block $guide "## 1. The proxies" sh >/usr/local/sbin/glb-proxy
    chmod +x /usr/local/sbin/glb-proxy
    for name in $PROXIES; do
        nginx_conf "$name" "$lab_network/$name" >"$lab_network/$name.nginx" <<<"location / { return 200 \"$name\\n\"; }"
        spawn "$name" nginx -e stderr -c "$lab_network/$name.nginx" -p "$lab_network"
        follows "$name" $guide "## 1. The proxies" '^(systemctl enable --now glb-proxy|cp)'
        sed -i "s/192\.168\.50\.10/192.168.50.$((9 + ${name#proxy}))/" "/etc/netns/$name/glb/healthcheck.conf"
        follows "$name" $guide "## 1. The proxies" '^systemctl enable --now glb-healthcheck'
    done

    # 2. The table, 3. the directors. Intervals are for a machine of any speed: a check that is slow has not failed.
    for name in $DIRECTORS; do
        block $guide "## 2. The table" json |
            jq '. + {healthchecks: {interval_ms: 500, timeout_ms: 60000, trigger: 2}}' >"/etc/netns/$name/glb/forwarding_table.src.json"
        follows "$name" $guide '## 2. The table' '^glbctl table check'
        block $guide "## 3. The directors" json outbound_src_ip >"/etc/netns/$name/glb/director.conf"
        block $guide "## 3. The directors" json reload_command >"/etc/netns/$name/glb/healthcheck.conf"
        # shellcheck disable=SC2016 # The document's quotes.
        sed -i "s/^GLB_DEVICES=.*/$(grep -o '`GLB_DEVICES="[a-z0-9]*"`' /docs/$guide | tr -d '`')/" "/etc/netns/$name/default/glb-director"
    done
    sed -i s/192.168.50.6/192.168.50.7/ /etc/netns/director2/glb/director.conf
    for name in $DIRECTORS; do
        follows "$name" $guide "## 3. The directors" '^(glb|systemctl|curl)'
        check "$name: all proxies pass" eventually health_is_ok "$name"
        check "$name: tables and a device" quietly_on "$name" sh -c 'glbctl --json status | jq -e ".tables == 1 and .devices == [\"eth0\"]"'
    done
    check "the same answer on both directors" is "2 1" "$(both quietly_on glbctl --json lookup --running 198.51.100.7:40000 10.10.10.10:80 |
        jq -c .hops | sort | uniq -c | awk '{ answers += $1 } END { print answers + 0, NR }')"

    # 4. The announcement.
    number=0
    for name in $DIRECTORS; do
        number=$((number + 1))
        cp /tools/bird/director.conf "/etc/netns/$name/bird/bird.conf"
        [ "$name" = director1 ] || sed -i 's/^router id .*/router id 192.168.50.7;/' "/etc/netns/$name/bird/bird.conf"
        follows "$name" $guide '## 4. The announcement' '^systemctl'
        check "the router has $number next hops" eventually has_next_hops $number
    done
    follows director1 $guide '## 4. The announcement' '^birdc'
    check "a client is answered" on client bash -ec "$(documented $guide '## 4. The announcement' | grep '^curl') --max-time 60"

    # 5. A proxy is taken out, and comes back.
    step drain has_state draining
    check "the status tells when it may be deactivated" eventually status_says "may be deactivated"
    step deactivate no_row_has
    check "the client is answered all the same" answers
    step fill has_state filling
    step activate has_state active
    check "the client is answered" answers
    for name in $DIRECTORS; do
        follows "$name" $guide '## 5. A proxy is taken out, and comes back' '^glbctl table diff'
    done
}
status_says() {
    local command
    command=$(documented $guide "## 5. A proxy is taken out, and comes back" | grep '^glbctl backend status')
    quietly_on director1 bash -ec "$command" | grep -F "$1"
}

lab_main "$@"
