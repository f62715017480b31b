#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# glbctl doctor on a real director and a real proxy: each fault is made, found, and goes when it is mended as doctor says.
#
#   director, director2 (rust_glb_director, glb-healthcheck)     proxy1 (fou, GLBREDIRECT, the VIPs)
#   10.0.0.1, 10.0.0.2                                           10.0.0.11
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
export LAB_MODULES='rust_glb_director rust_glb_redirect fou fou6 ipip sit ip6_tunnel'

setup() {
    host director 10.0.0.1 -
    host director2 10.0.0.2 -
    host proxy1 10.0.0.11 - "$lab_gue"
    on proxy1 iptables -A INPUT -p udp --dport "$GUE_PORT" ! -s 10.0.0.0/24 -j DROP
    on proxy1 iptables -A INPUT -p udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops 10.0.0.0/24
    on proxy1 sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0
    source_table 1
    local name
    for name in director director2; do
        on "$name" glbctl table load "$lab_network/t1.json"
        on "$name" glbctl config set --source-v4 "$(address "$name")"
        on "$name" glbctl attach eth0
    done
}

address() { case $1 in director) echo 10.0.0.1 ;; director2) echo 10.0.0.2 ;; esac; }

# source_table N: $lab_network/tN.json, with a seed of its own.
source_table() {
    cat >"$lab_network/t$1.json" <<END
{ "healthchecks": {"interval_ms": 500, "timeout_ms": 400},
  "tables": [ { "name": "web", "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f$1",
  "binds": [ {"ip": "$VIP4", "proto": "tcp", "port": 80}, {"ip": "$VIP6", "proto": "tcp", "port": 80} ],
  "backends": [ {"ip": "10.0.0.11", "state": "active", "healthy": true}, {"ip": "10.0.0.12", "state": "active", "healthy": true} ] } ] }
END
}

# doctor HOST [OPTION...]: what it says, into $lab_work/said; its exit status is the function's.
doctor() {
    case $1 in
        proxy1) quietly_on "$1" glbctl --json doctor --table "$lab_network/t1.json" "${@:2}" ;;
        *)
            # It may be named once.
            local none=(--checker none)
            [[ " $* " != *' --checker '* ]] || none=()
            quietly_on "$1" glbctl --json doctor "${none[@]}" "${@:2}"
            ;;
    esac >"$lab_work/said"
}

# well HOST: for check: nothing is a warning or an error, and the exit status is 0.
well() {
    local status=0
    doctor "$@" || status=$?
    [ $status = 0 ] && jq -e '.errors == 0 and .warnings == 0' "$lab_work/said" >/dev/null && return
    echo "exit status $status"
    jq -c '.sections[].findings[] | select(.severity != "ok")' "$lab_work/said"
    return 1
}

# finds HOST CHECK SEVERITY TEXT [OPTION...]: for check: a finding of this kind says so and what to do; the exit status
# is 3 if it is an error.
finds() {
    local status=0 want=0
    [ "$3" != error ] || want=3
    doctor "$1" "${@:5}" || status=$?
    # shellcheck disable=SC2016 # For jq.
    jq -e --arg check "$2" --arg severity "$3" --arg text "$4" '[.sections[].findings[]
        | select(.check == $check and .severity == $severity and (.found | contains($text)) and (.what_to_do | length > 5))] | length > 0' \
        "$lab_work/said" >/dev/null && [ $status = $want ] && return
    echo "exit status $status, $want expected"
    jq -c '.sections[].findings[] | select(.severity != "ok")' "$lab_work/said"
    return 1
}

# mended HOST COMMAND...: the command mends it.
mended() {
    on "$@"
    check "mended, it goes" well "$1"
}

test_director() {
    about "A director: VIPs, devices, routes, MTU, tables."
    check "as documented it is well" well director
    check "it knows what it is" is director "$(jq -r '.sections[].about' "$lab_work/said")"
    on director ip addr add "$VIP4/32" dev lo
    check "a VIP on the director" finds director vips error "$VIP4 is an address of this director, on lo"
    mended director ip addr del "$VIP4/32" dev lo
    on director ip link set eth0 mtu 1500
    check "an MTU without room for the tunnel" finds director mtu warning "need 1540"
    mended director ip link set eth0 mtu 2000
    on director ip link add other type dummy
    on director glbctl attach other
    check "an attached device that is down" finds director devices error "other is attached and down"
    mended director ip link del other
    on director ip route add unreachable 10.0.0.12
    check "no route to a proxy" finds director routes error "no route to 10.0.0.12"
    mended director ip route del unreachable 10.0.0.12
    on director glbctl detach eth0
    check "no device" finds director devices error "no device is attached"
    mended director glbctl attach eth0
    on director glbctl table load <(echo '{"tables": []}')
    check "no table" finds director tables error "no table is loaded"
    mended director glbctl table load "$lab_network/t1.json"
    check "for people it says the same" says_in_words director
}

test_versions() {
    about "The modules are of the same version as the tools, and say so."
    local module
    for module in rust_glb_director rust_glb_redirect; do
        check "$module" is "$(quietly_on director glbctl --version | cut -d ' ' -f 2)" "$(cat "/sys/module/$module/version")"
    done
}

says_in_words() { quietly_on "$1" glbctl doctor --checker none | tee "$lab_work/words" | tail -n 1 | grep -qx '0 errors, 0 warnings' || { cat "$lab_work/words"; return 1; }; }

test_proxy() {
    about "A proxy: rp_filter, VIPs, the tunnel's port and devices, MTU."
    check "as documented it is well" well proxy1
    check "it knows what it is" is proxy "$(jq -r '.sections[].about' "$lab_work/said")"
    on proxy1 sysctl -qw net.ipv4.conf.all.rp_filter=1
    check "strict reverse path filtering" finds proxy1 rp-filter error "strict on tunl0"
    mended proxy1 sysctl -qw net.ipv4.conf.all.rp_filter=0
    on proxy1 ip addr del "$VIP4/32" dev tunl0
    check "a VIP that is missing" finds proxy1 vips error "$VIP4, of $lab_network/t1.json, is no address of this machine"
    mended proxy1 ip addr add "$VIP4/32" dev tunl0
    on proxy1 ip link set tunl0 down
    check "a tunnel device that is down" finds proxy1 tunnel-devices error "tunl0 is down"
    on proxy1 ip link set tunl0 up
    check "mended, it goes" well proxy1
    on proxy1 ip link set eth0 mtu 1500
    check "an MTU that has no room to pass packets on" finds proxy1 mtu warning "eth0 has an MTU of 1500"
    mended proxy1 ip link set eth0 mtu 2000
    on proxy1 ip fou del port "$GUE_PORT"
    on proxy1 ip fou add port 6080 gue
    check "the tunnel on another port" finds proxy1 tunnel-port error "listens on port 6080, not on $GUE_PORT"
    on proxy1 ip fou del port 6080
    check "no tunnel" finds proxy1 tunnel-port error "nothing listens on UDP port $GUE_PORT" --role proxy
    spawn proxy1 socat -u "UDP4-RECV:$GUE_PORT" /dev/null
    check "somebody else on the port" eventually finds proxy1 tunnel-port error "somebody else's: socat" --role proxy
    # socat alone: spawn's own process is `ip`, which has become socat.
    kill "$spawned"
    wait "$spawned"
    mended proxy1 ip fou add port "$GUE_PORT" gue
}

test_rules() {
    about "The order of a proxy's rules."
    on proxy1 iptables -I INPUT 1 -p udp --dport "$GUE_PORT" -j GLBREDIRECT
    check "an open rule before the restricted one" finds proxy1 rules error "stands behind one that does not"
    mended proxy1 iptables -D INPUT 1
    on proxy1 iptables -I INPUT 1 -p udp -j ACCEPT
    check "a rule that takes the packets first" finds proxy1 rules error "before GLBREDIRECT sees them"
    mended proxy1 iptables -D INPUT 1
    on proxy1 iptables -D INPUT 1
    check "nobody says who may send" finds proxy1 rules warning "from whom"
    mended proxy1 iptables -I INPUT 1 -p udp --dport "$GUE_PORT" ! -s 10.0.0.0/24 -j DROP
    on proxy1 iptables -P INPUT DROP
    check "what stays is dropped by the policy" finds proxy1 rules error "by the policy of INPUT"
    mended proxy1 iptables -P INPUT ACCEPT
    on proxy1 iptables -I INPUT 1 -m conntrack --ctstate ESTABLISHED -j ACCEPT
    check "a rule about connections first" finds proxy1 rules warning "the state of connections"
    on proxy1 iptables -t raw -A PREROUTING -p udp --dport "$GUE_PORT" -j CT --notrack
    check "mended by no tracking, it goes" well proxy1
    on proxy1 iptables -D INPUT 1
    # What accepts some, or of connections that are known, does not accept the rest.
    on proxy1 iptables -P INPUT DROP
    on proxy1 iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    check "known connections alone are accepted" finds proxy1 rules error "by the policy of INPUT"
    on proxy1 iptables -D INPUT 3
    on proxy1 iptables -A INPUT -i eth0 -p udp --dport "$GUE_PORT" -j ACCEPT
    check "some are accepted" finds proxy1 rules warning "may not be accepted"
    on proxy1 iptables -D INPUT 3
    mended proxy1 iptables -A INPUT -p udp --dport "$GUE_PORT" -j ACCEPT
    on proxy1 iptables -P INPUT ACCEPT
    on proxy1 iptables -D INPUT 3
    # A list of who may send, as a chain.
    on proxy1 iptables -D INPUT 1
    on proxy1 iptables -N fence
    on proxy1 iptables -I INPUT 1 -p udp --dport "$GUE_PORT" -j fence
    on proxy1 iptables -A fence -s 10.0.0.0/24 -j RETURN
    check "a list that leaves nobody out" finds proxy1 rules warning "from whom"
    mended proxy1 iptables -A fence -j DROP
    on proxy1 iptables -D INPUT 1
    on proxy1 iptables -F fence
    # A rule for some does not vouch for one for all.
    on proxy1 iptables -I INPUT 1 -s 10.0.0.0/24 -p udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops 10.0.0.0/24
    on proxy1 iptables -R INPUT 2 -p udp --dport "$GUE_PORT" -j GLBREDIRECT
    check "an open rule behind one for some" finds proxy1 rules error "passes packets on to any address"
    on proxy1 iptables -F INPUT
    on proxy1 iptables -A INPUT -p udp --dport "$GUE_PORT" ! -s 10.0.0.0/24 -j DROP
    # Where no tunnel packet comes.
    on proxy1 iptables -A fence -p udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops 10.0.0.0/24
    check "a rule in a chain that nobody jumps to" finds proxy1 rules error "comes to chain fence"
    mended proxy1 iptables -A INPUT -j fence
    on proxy1 iptables -F fence
    on proxy1 iptables -F INPUT
    on proxy1 iptables -X fence
    on proxy1 iptables -A FORWARD -p udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops 10.0.0.0/24
    check "a rule in FORWARD alone" finds proxy1 rules error "comes to chain FORWARD"
    on proxy1 iptables -F FORWARD
    check "no rule at all" finds proxy1 rules error "no GLBREDIRECT rule"
    on proxy1 glbctl redirect on
    check "the hook without a limit" finds proxy1 rules error "glbctl redirect passes packets on to any address"
    mended proxy1 glbctl redirect on --allow-hops 10.0.0.0/24
    on proxy1 iptables -P INPUT DROP
    check "the hook is behind the rules" finds proxy1 rules error "are dropped by the policy of INPUT"
    mended proxy1 iptables -P INPUT ACCEPT
}

# checker HOST N: glb-healthcheck there, with table N.
checker() {
    printf '{ "forwarding_table": {"src": "%s"}, "publish": "kernel", "listen": "%s:19520" }\n' \
        "$lab_network/t$2.json" "$(address "$1")" >"$lab_work/$1.conf"
    spawn "$1" glb-healthcheck --config "$lab_work/$1.conf"
    eventually published "$(address "$1")" || lab_step_failed "glb-healthcheck on $1"
}
published() { quietly_on director curl -s --max-time "$LAB_HANG" "http://$1:19520/metrics" | grep -qx 'glb_healthcheck_published 1'; }

test_checker() {
    about "What the health checker of a director says, by its /health."
    local ask=(--checker http://10.0.0.1:19520/health)
    check "one that does not answer is told" finds director checker warning "does not answer" "${ask[@]}"
    checker director 1
    # The table names no check, so that its proxies are as the file has them.
    check "one that has nothing to say is well" eventually well director "${ask[@]}"
    check "it was asked" jq -e '[.sections[].findings[] | select(.check == "checker" and .severity == "ok")] | length == 1' "$lab_work/said"
}

test_fleet() {
    about "Directors with different tables or settings are told apart by their metrics."
    local fleet=(--fleet http://10.0.0.1:19520/metrics http://10.0.0.2:19520/metrics)
    check "who does not answer is told" finds director fleet error "http://10.0.0.2:19520/metrics: " "${fleet[@]}"
    checker director 1
    checker director2 1
    local second=$spawned
    check "two equal directors are well" well director "${fleet[@]}"
    source_table 2
    kill "$second"
    wait "$second"
    checker director2 2
    check "another seed is found" finds director fleet error "table web: directors differ" "${fleet[@]}"
    kill "$spawned"
    wait "$spawned"
    checker director2 1
    check "mended, it goes" well director "${fleet[@]}"
    on director2 glbctl config set --hash-fields src_addr,src_port
    check "other hash fields are found" finds director fleet error "settings: directors differ" "${fleet[@]}"
    on director2 glbctl config set --hash-fields src_addr
    check "mended, it goes" well director "${fleet[@]}"
    on director2 glbctl detach eth0
    check "a director that takes nothing is found from here" finds director fleet error "no device is attached there" "${fleet[@]}"
}

lab_main "$@"
