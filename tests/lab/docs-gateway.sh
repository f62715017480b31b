#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# An appliance that is set up as docs/gateway.md says, command by command: by hand, at boot, in both modes; what its files refuse; its
# health checks, metrics and captures.
#
#   balancer 192.168.40.5 (geneve device, client 198.51.100.7) ====Geneve==== appliance 192.168.50.20 (service 10.10.10.10)
#
# There is no systemd: what its units do, the function `make_systemctl` has.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/docs.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/docs.sh"
export LAB_MODULES='rust_glb_director geneve'

guide=gateway.md
readonly ENDPOINT=2b8ee1d4db0c51c4
etc=/etc/netns/appliance

make_systemctl() {
    cat >/usr/local/sbin/systemctl <<'END'
#!/bin/bash
director() { set -a; . /etc/default/glb-director; exec /usr/libexec/glb/glb-director "$1"; }
case "$*" in
    'enable --now glb-director') director start ;;
    'reload glb-director') director reload ;;
    'restart glb-director') (director stop) && director start ;;
    'enable --now glb-healthcheck')
        mkdir -p /run/glb-healthcheck
        setsid glb-healthcheck --config /etc/glb/healthcheck.conf </dev/null >>/run/glb-healthcheck/log 2>&1 &
        ;;
    *) echo "systemctl: not in the lab: $*" >&2; exit 1 ;;
esac
END
    chmod +x /usr/local/sbin/systemctl
}

network() {
    host balancer 192.168.40.5 -
    host appliance 192.168.50.20 - 'route add 198.51.100.7 via 192.168.40.5 dev eth0 onlink'
    ip_on balancer <<END
link add gnv0 type geneve external innerprotoinherit
link set gnv0 up
addr add 198.51.100.7/32 dev gnv0
route add 10.10.10.10 src 198.51.100.7 encap ip id 0 dst 192.168.50.20 geneve_opts 0x0108:1:$ENDPOINT,0x0108:2:0000000000000000,0x0108:3:deadbeef dev gnv0
END
    on balancer sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.gnv0.rp_filter=0
    on appliance sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    local dir
    for dir in glb default; do
        mkdir -p "/etc/$dir" "$etc/$dir"
        cp -a "/etc/$dir/." "$etc/$dir/"
    done
    make_systemctl
}

# told: what devices with the role were told, in one line.
told() { quietly_on appliance glbctl --json geneve devices | jq -c .; }
# as_told [JSON]: as the document attaches it by hand, with these options changed.
as_told() {
    local more=${1:-}
    jq -cn --argjson more "${more:-null}" '[{device: "eth0", port: 6081, class: "0x0108",
        allow_from: ["192.168.40.0/24", "192.168.41.0/24"], pass: false, strict: false, max_flows: 131072, idle: 350, tcp_idle: 350} + $more]'
}
reload() { on appliance systemctl reload glb-director; }
# conf JQ: director.conf of the document, changed.
conf() { jq "$1" "$lab_work/director.conf" >"$etc/glb/director.conf"; }

# refuses WHAT JQ SAID: a reload with a file that is changed so fails with this one error, and the device stays as it is.
refuses() {
    local before
    before=$(told)
    conf "$2"
    check "$1 is refused" fails reload_says
    check "$1: it says what is wrong" grep -F "$3" "$lab_work/said"
    check "$1: nothing else" is 1 "$(wc -l <"$lab_work/said")"
    check "$1: the device is as it was" is "$before" "$(told)"
}
reload_says() { quietly_on appliance systemctl reload glb-director >"$lab_work/said" 2>&1; }

test_boot() {
    about "docs/gateway.md: attached by hand, and at boot by director.conf; a wrong value changes nothing."
    trap 'rm -rf /etc/netns /usr/local/sbin/systemctl' EXIT
    network
    follows appliance $guide "## Attach" '^glbctl'
    check "the device has the options" is "$(as_told)" "$(told)"
    on appliance glbctl detach eth0
    check "no device has the role any more" is '[]' "$(told)"

    block $guide "## At boot" json >"$lab_work/director.conf"
    # shellcheck disable=SC2016 # The document's quotes.
    sed -i "s/^GLB_DEVICES=.*/$(grep -o '`GLB_DEVICES="[a-z0-9:]*"`' /docs/$guide | head -n 1 | tr -d '`')/" "$etc/default/glb-director"
    # At boot nothing is attached where a value is wrong.
    conf '.geneve[0].port = 0'
    check "a wrong value: the service does not start" fails quietly_on appliance systemctl enable --now glb-director
    check "and nothing is attached" is '[]' "$(told)"
    conf .
    follows appliance $guide "## At boot" '^(glbctl|systemctl)'
    check "the device has what the file says" is "$(as_told '{"strict": true, "tcp_idle": 6000}')" "$(told)"
    check "it is the only one" is '["eth0"]' "$(quietly_on appliance glbctl --json status | jq -c .devices)"

    refuses "a port 0" '.geneve[0].port = 0' '/etc/glb/director.conf: geneve[0].port: 0: must be a whole number from 1 to 65535'
    refuses "a class out of range" '.geneve[0].class = "0x10000"' 'geneve[0].class: "0x10000": must be a class of options'
    refuses "a sender that is no prefix" '.geneve[0].allow_from = ["subnet"]' 'geneve[0].allow_from[0]: "subnet": must be an IPv4 or IPv6'
    refuses "a flag that is none" '.geneve[0].pass = "yes"' 'geneve[0].pass: "yes": must be true or false'
    refuses "too many flows" '.geneve[0].max_flows = 13000001' 'geneve[0].max_flows: 13000001: must be a whole number from 1 to 13000000'
    refuses "another device" '.geneve[0].device = "eht0"' 'geneve: has eht0, and not eth0: add it'
    refuses "no sender" 'del(.geneve[0].allow_from)' 'geneve[0].allow_from: is missing: name the subnets of the load balancer'
    refuses "a field with a wrong name" '.geneve[0].strikt = true' 'geneve[0].strikt: unknown field; did you mean "strict"?'
    refuses "a list with a wrong name" '{source_v4: null, genev: .geneve}' 'genev: unknown field; did you mean "geneve"?'
    refuses "a device that GLB_DEVICES has not" '.geneve += [.geneve[0] + {device: "eth9"}]' 'geneve: has eth9, which GLB_DEVICES does not name'

    conf '.geneve[0] += {strict: false, pass: true, class: "0x0167", max_flows: 4096}'
    check "a reload with other options" reload
    check "they are there" is "$(as_told '{"pass": true, "class": "0x0167", "max_flows": 4096, "tcp_idle": 6000}')" "$(told)"
    check "a reload without a change" reload
    check "changes nothing" is "$(as_told '{"pass": true, "class": "0x0167", "max_flows": 4096, "tcp_idle": 6000}')" "$(told)"
    # Whoever has attached by hand keeps that: a file that says nothing of the role opens no device.
    on appliance glbctl attach eth0 --role geneve --replace --strict --max-flows 4096 --tcp-idle 6000 --allow-from 192.168.40.0/24
    local by_hand
    by_hand=$(told)
    check "the device is as by hand" is '[["192.168.40.0/24"],true]' "$(jq -c '.[0] | [.allow_from, .strict]' <<<"$by_hand")"
    echo '{"source_v4": null}' >"$etc/glb/director.conf"
    check "a reload without geneve in the file" reload
    check "leaves it so" is "$by_hand" "$(told)"
    rm "$etc/glb/director.conf"
    check "a reload without the file fails" fails reload_says
    check "it says so" grep -F '/etc/glb/director.conf: No such file' "$lab_work/said"
    check "it leaves the device so, too" is "$by_hand" "$(told)"
    echo '{"source_v4": null}' >"$etc/glb/director.conf"
    on appliance glbctl detach eth0
    check "at boot the device is refused" fails reload_says
    check "the service says what to write" grep -F 'eth0: /etc/glb/director.conf has no "geneve": add {"geneve": [{"device": "eth0"' "$lab_work/said"
    check "nothing is attached" is '[]' "$(told)"
}

test_replaced() {
    about "Options that change without the device being detached: flows and counters stay; several devices, all or none."
    trap 'rm -rf /etc/netns /usr/local/sbin/systemctl' EXIT
    network
    ip_on appliance <<'END'
link add glb8 type dummy
link add glb9 type dummy
link property add dev eth0 altname uplink0
END
    ip_on appliance <<<'addr add 10.10.10.10/32 dev lo'
    spawn appliance socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:'echo ok'
    check "a server listens" eventually listens 80
    on appliance glbctl attach eth0 --role geneve
    check "a client is answered" eventually answered
    check "its flow is remembered" test "$(flow_count)" -ge 1
    local known came
    known=$(counted first_flow_packets)
    came=$(endpoint_packets)
    check "other options" on appliance glbctl attach uplink0 --role geneve --replace --strict --allow-from 192.168.40.0/24
    check "they are there" is '[["192.168.40.0/24"],true]' "$(told | jq -c '.[0] | [.allow_from, .strict]')"
    check "the flow is still remembered" test "$(flow_count)" -ge 1
    # The end of the connection may still be counted.
    check "its counters too" test "$(counted first_flow_packets)" -ge "$known" -a "$(endpoint_packets)" -ge "$came"
    check "which there were" test "$known" -ge 1 -a "$came" -ge 1
    check "and the next client is answered" answered
    check "another size makes another cache" on appliance glbctl attach eth0 --role geneve --replace --max-flows 1000
    check "which is empty" is 0 "$(flow_count)"
    on appliance glbctl detach eth0
    jq -n '{geneve: [{device: "eth0", allow_from: ["0.0.0.0/0"], max_flows: 1000}, {device: "glb8", allow_from: ["0.0.0.0/0"], max_flows: 1000}]}' \
        >"$etc/glb/director.conf"
    all() { quietly_on appliance glbctl assign --config /etc/glb/director.conf "$@" >"$lab_work/said" 2>&1; }
    check "one of two that is not there: nothing is attached" fails all glb8:geneve eth9:geneve
    check "it says which" grep -F 'eth9: no such device' "$lab_work/said"
    check "nothing is attached" is '[]' "$(told)"
    check "an entry too many: nothing is attached" fails all eth0:geneve
    check "nothing is attached still" is '[]' "$(told)"
    check "--check" all --check eth0:geneve glb8:geneve
    check "changes nothing" is '[]' "$(told)"
    check "both" all eth0:geneve glb8:geneve
    check "are attached" is '["eth0","glb8"]' "$(told | jq -c '[.[].device] | sort')"
    jq '.geneve[].max_flows = 2000' "$etc/glb/director.conf" >"$lab_work/larger.conf"
    cp "$lab_work/larger.conf" "$etc/glb/director.conf"
    check "another size for both needs a restart" fails all eth0:geneve glb8:geneve
    check "it says so" grep -F 'systemctl restart glb-director' "$lab_work/said"
    check "both are as they were" is '[1000,1000]' "$(told | jq -c '[.[].max_flows]')"
    jq '.geneve[0].device = "glb9" | del(.geneve[1])' "$lab_work/larger.conf" >"$etc/glb/director.conf"
    check "another device and another size at once" all glb9:geneve
    check "it alone is attached" is '["glb9 2000"]' "$(told | jq -c '[.[] | "\(.device) \(.max_flows)"]')"
    jq '.geneve[0].device = "eth0"' "$etc/glb/director.conf" >"$lab_work/eth0.conf"
    cp "$lab_work/eth0.conf" "$etc/glb/director.conf"
    check "by its other name" all uplink0:geneve
    check "it is attached once, and stays" is '["eth0"]' "$(told | jq -c '[.[].device]')"
    check "a director's settings are not in this file" fails quietly_on appliance glbctl config load /etc/glb/director.conf
}
answered() { [ "$(quietly_on balancer socat -t 60 - TCP:10.10.10.10:80,bind=198.51.100.7 </dev/null)" = ok ]; }
flow_count() { quietly_on appliance glbctl --json geneve flows | jq length; }
counted() { quietly_on appliance glbctl --json geneve stats | jq ".flows.$1"; }
endpoint_packets() { quietly_on appliance glbctl --json geneve endpoints | jq '[.[].came_packets] | add'; }

asks() { quietly_on balancer curl -sS --max-time 60 http://10.10.10.10/health; }
accepted() { quietly_on appliance glbctl --json geneve stats | jq .came.accepted_packets; }

test_modes() {
    about "docs/gateway.md: terminate with nginx, health checks, metrics, statsd, captures; then bump in the wire."
    trap 'rm -rf /etc/netns /usr/local/sbin/systemctl' EXIT
    network
    on appliance glbctl attach eth0 --role geneve
    follows appliance $guide "### Terminate" '^(ip|glbctl)'
    {
        printf 'daemon off; master_process off; pid %s; error_log stderr; events { } http { access_log off;\n' "$lab_work/pid"
        block $guide "## Health check" nginx
        echo '}'
    } >"$lab_work/nginx.conf"
    spawn appliance nginx -e stderr -c "$lab_work/nginx.conf" -p "$lab_work"
    check "nginx listens" eventually listens 80
    echo '{"tables": []}' >"$etc/glb/no-tables.json"
    block $guide "## Health check" json >"$etc/glb/healthcheck.conf"
    follows appliance $guide "## Health check" '^systemctl'
    check "glb-healthcheck is there" eventually quietly_on appliance curl -sf http://192.168.50.20:19520/health
    follows appliance $guide "## Health check" '^curl'

    # A capture of what the next client's connection is.
    local tcpdump decap
    tcpdump=$(documented $guide "## Captures" | grep ^tcpdump)
    decap=$(documented $guide "## Captures" | grep '^glbctl decap')
    (cd "$lab_work" && exec ip netns exec appliance bash -c "exec ${tcpdump/tcpdump/tcpdump -U -Z root}" </dev/null >"$lab_work/tcpdump" 2>&1) &
    local capture=$!
    check "$guide: $tcpdump" eventually grep -q 'listening on' "$lab_work/tcpdump"
    check "a client is answered by nginx, through Geneve" is ok "$(asks)"
    check "packets were accepted" test "$(accepted)" -ge 4
    check "and went back" test "$(quietly_on appliance glbctl --json geneve stats | jq .left.returned_packets)" -ge 4
    check "the request is captured" eventually grep -aq 'GET /health' "$lab_work/in.pcap"
    kill -INT $capture
    wait $capture
    check "$guide: $decap" sh -ec "cd '$lab_work' && $decap >decapped"
    check "the request was in it" grep -aq 'GET /health' "$lab_work/out.pcap"

    quietly_on appliance curl -sf http://192.168.50.20:19520/metrics >"$lab_work/metrics"
    check "the metrics have the verdict" grep -E '^glb_geneve_packets_total\{direction="came",verdict="accepted"\} [1-9]' "$lab_work/metrics"
    check "the endpoint" grep -E "^glb_geneve_endpoint_packets_total\{endpoint=\"0x$ENDPOINT\",direction=\"left\"\} [1-9]" "$lab_work/metrics"
    check "the flows" grep -E '^glb_geneve_flows [1-9]' "$lab_work/metrics"
    # 131,072 flows and a fifth more, in buckets of eight.
    check "and their room" grep -x 'glb_geneve_flows_max 157288' "$lab_work/metrics"
    check "the module answered" grep -x 'glb_geneve_up 1' "$lab_work/metrics"
    check "every metric of the document is there" metrics_are_there

    echo '{"source_v4": null, "statsd_port": 28125}' >"$lab_work/statsd.conf"
    spawn appliance socat -u UDP4-RECV:28125,bind=127.0.0.1 "CREATE:$lab_work/statsd"
    check "a statsd listens" eventually sh -c 'ip netns exec appliance ss -Hlun "sport = 28125" | grep -q .'
    spawn appliance glbctl statsd --interval 0.2 --config "$lab_work/statsd.conf"
    check "reports come" eventually grep -q '^glb.geneve.packets:' "$lab_work/statsd"
    check "another client is answered" is ok "$(asks)"
    check "it is reported" eventually grep -qE '^glb\.geneve\.packets:[1-9][0-9]*\|c\|#glb_engine:kernel,direction:came,verdict:accepted$' \
        "$lab_work/statsd"
    check "by its endpoint, too" eventually grep -qE \
        "^glb\.geneve\.endpoint\.packets:[1-9][0-9]*\|c\|#glb_engine:kernel,endpoint:0x$ENDPOINT,direction:came\$" "$lab_work/statsd"

    follows appliance $guide "### Bump in the wire" '^(sysctl|nft|glbctl)'
    check "the device passes packets on now" is true "$(told | jq '.[0].pass')"
    check "the commands that look at an appliance work" follows appliance $guide "## Attach" '^glbctl geneve'
}
listens() { [ -n "$(quietly_on appliance ss -Hltn "sport = $1")" ]; }
metrics_are_there() {
    local metric
    # shellcheck disable=SC2013 # A word is a name.
    for metric in $(grep -o 'glb_geneve_[a-z_]*' /docs/$guide | sort -u); do
        grep -q "^${metric}[{ ]" "$lab_work/metrics" || { echo "no $metric"; return 1; }
    done
}

# refused WORDS SAID: glbctl attach says one error, and attaches nothing.
refused() {
    local words
    read -ra words <<<"$1"
    check "glbctl attach $1: refused" fails attach_says "${words[@]}"
    check "glbctl attach $1: says why" grep -F -- "$2" "$lab_work/said"
    check "glbctl attach $1: nothing is attached" is '[]' "$(quietly_on appliance glbctl --json status | jq -c .devices)"
}
attach_says() { quietly_on appliance glbctl attach "$@" >"$lab_work/said" 2>&1; }

test_wrong_options() {
    about "What the command refuses: one clear error, and nothing is attached."
    host appliance 192.168.50.20 -
    ip_on appliance <<<'link add tun9 type ipip remote 192.168.50.1 local 192.168.50.20'
    refused "eth0 --strict" '--strict: only with --role geneve: add that, or leave --strict out'
    refused "eth0 --role director --port 6081" '--port: only with --role geneve'
    refused "eth0 --role director --allow-from 192.168.40.0/24" '--allow-from: only with --role geneve'
    refused "eth0 --role geneve --pass --local-only" 'cannot be used with'
    refused "eth0 --role geneve --class 0x10000" 'expected a class of options, 0 to 65535 or 0x0000 to 0xffff'
    refused "eth0 --role geneve --port 0" '0 is not in 1..=65535'
    refused "eth0 --role geneve --port 65536" '65536 is not in 1..=65535'
    refused "eth0 --role geneve --allow-from subnet" 'expected ADDRESS or ADDRESS/BITS'
    refused "eth0 --role geneve --allow-from 192.168.40.0/33" 'the address has 32 bits only'
    refused "eth0 --role geneve --max-flows 0" '0 is not in 1..=13000000'
    refused "eth0 --role geneve --idle 6001" '6001 is not in 1..=6000'
    refused "eth0 --role geneve --config /nowhere.conf" '/nowhere.conf: No such file or directory'
    # shellcheck disable=SC2016 # The tool's quotes.
    refused "nowhere --role geneve" 'nowhere: no such device: `ip link` lists those that are there'
    refused "lo --role geneve" 'lo: is no Ethernet device: attach the one that the packets in Geneve come in by'
    refused "tun9 --role geneve" 'tun9: is no Ethernet device'
    check "a role as it should be" on appliance glbctl attach eth0 --role geneve --max-flows 1000
    check "the same once more, without --replace" fails attach_says eth0 --role geneve
    check "says why" grep -F 'the device is attached already' "$lab_work/said"
    ip_on appliance <<<'link add dummy9 type dummy'
    check "another device beside it" on appliance glbctl attach dummy9 --role geneve --max-flows 1000
    check "another size of the cache that both share" fails attach_says eth0 --role geneve --replace --max-flows 2000
    check "says why" grep -F 'devices with this role share one flow cache' "$lab_work/said"
    check "the device is attached as before" is '["dummy9 1000","eth0 1000"]' \
        "$(told | jq -c '[.[] | "\(.device) \(.max_flows)"] | sort')"
    check "with --replace, another role" on appliance glbctl attach eth0 --replace
    check "the device has it" is '["director","geneve"]' "$(quietly_on appliance glbctl --json status | jq -c '.roles | sort')"
}

lab_main "$@"
