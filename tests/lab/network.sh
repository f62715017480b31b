# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # Words for jq; lab_work and lab_network come from lib.sh.
#
# The example network: directors that announce their VIPs by BGP, a router that spreads over them, proxies that answer the user
# directly. Source it after lib.sh. docs/network.svg is the picture.
#
#                    .1         .1  +-- director1 .6    BIRD, glb-healthcheck, glb-announce, rust_glb_director
#   user ------------- router ------+-- director2 .7
#   192.168.40.2, .50 to .55        +-- proxy1 .10      fou, nginx, GLBREDIRECT
#   192.168.41.0/24 (many users)    +-- proxy2 .11
#                 192.168.50.0/24   +-- proxy3 .12
#
# Programs of directors and proxies are in sessions of their own: one that a test starts again outlives the test, until the network ends.
#
# With IPv6: fd00:40::, fd00:41::/64, fd00:50::, and the last numbers as above. All hosts have BIRD's and the other
# programs' files in $lab_work/HOST.

# shellcheck source=tests/lab/nginx.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/nginx.sh"
SERVICES=${SERVICES:-}
# shellcheck source=tests/lab/services.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/services.sh"

readonly NET_VIP4=10.10.10.10 NET_VIP6=fd00:10::10
# shellcheck disable=SC2034 # For scenarios.
readonly USERS="192.168.40.2 192.168.40.50 192.168.40.51 192.168.40.52 192.168.40.53 192.168.40.54 192.168.40.55"
# shellcheck disable=SC2034 # For scenarios.
readonly USERS6="fd00:40::2 fd00:40::50 fd00:40::51 fd00:40::52 fd00:40::53 fd00:40::54 fd00:40::55"
readonly DIRECTORS="director1 director2" PROXIES="proxy1 proxy2 proxy3"
declare -Ar NET_NUMBER=([router]=1 [director1]=6 [director2]=7 [proxy1]=10 [proxy2]=11 [proxy3]=12)
# Healthchecks: seconds are those of a slow guest. A guest that gets too little of the machine answers late, and a working proxy that
# is marked down while another drains or is inactive is a second one that is not active: connections break then, as they must
# (docs/operations.md, rule 1). So it takes 15 s without an answer here.
readonly CHECK_INTERVAL_MS=5000 CHECK_TIMEOUT_MS=4900 CHECK_TRIGGER=3 RELOAD_INTERVAL_MS=3000
# A drain lasts as long as its connections, and says nothing meanwhile: a step of this network hangs later than others (lib.sh).
[ "$LAB_HANG" -ge 600 ] || LAB_HANG=600
# The bodies of answers: a page, and a download. nginx sends it in pieces of 4096 bytes, one each 4096 / DOWNLOAD_RATE seconds.
DOWNLOAD_BYTES=${DOWNLOAD_BYTES:-24576} DOWNLOAD_RATE=${DOWNLOAD_RATE:-1024}

# net_vips: all VIPs of the network.
net_vips() { echo "$NET_VIP4 $NET_VIP6 $(service_vips)"; }

net_dir() { printf '%s/%s\n' "$lab_work" "$1"; }

# node NAME: a host of the data centre, with a way back to the user by the router.
node() {
    local name=$1 number=${NET_NUMBER[$1]} mac
    printf -v mac '02:00:00:00:50:%02x' "$number"
    mkdir -p "$(net_dir "$name")"
    ip_on root <<END
netns add $name
link add name $name mtu $LAB_MTU netns fabric type veth peer name eth0 mtu $LAB_MTU address $mac netns $name
END
    ip_on fabric <<<"link set $name master fabric up"
    printf '%s %s - -\n' "$name" "$mac" >>"$lab_network/hosts"
    ip_on "$name" <<END
link set lo up
link set eth0 up
addr add 192.168.50.$number/24 dev eth0
addr add fd00:50::$number/64 dev eth0 nodad
END
    # Answers of the VIP leave by another device than requests come in by.
    quietly_on "$name" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    [ "$name" = router ] || ip_on "$name" <<END
route add default via 192.168.50.1
route add default via fd00:50::1
END
}

# The user has its own link to the router. Addresses of 192.168.41.0/24 and fd00:41::/64 are all its own (AnyIP).
net_user() {
    local address
    ip_on root <<END
netns add user
link add name user netns router type veth peer name eth0 address 02:00:00:00:40:02 netns user
END
    printf 'user 02:00:00:00:40:02 - -\n' >>"$lab_network/hosts"
    {
        printf 'link set lo up\nlink set eth0 up\n'
        for address in $USERS; do echo "addr add $address/24 dev eth0"; done
        for address in $USERS6; do echo "addr add $address/64 dev eth0 nodad"; done
        printf '%s\n' 'route add default via 192.168.40.1' 'route add default via fd00:40::1' \
            'route add local 192.168.41.0/24 dev lo' 'route add local fd00:41::/64 dev lo'
    } | ip_on user
    # IPv4 lets programs bind to what is local by a route, IPv6 only to addresses, unless told so.
    on user sysctl -qw net.ipv6.ip_nonlocal_bind=1
    ip_on router <<END
link set user up
addr add 192.168.40.1/24 dev user
addr add fd00:40::1/64 dev user nodad
route add 192.168.41.0/24 via 192.168.40.2
route add fd00:41::/64 via fd00:40::2
END
}

net_router() {
    on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
        net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1
    bird_on router /tools/bird/router.conf
}

# bird_on HOST CONFIGURATION
bird_on() {
    local dir
    dir=$(net_dir "$1")
    sed 's/^log syslog all;/log stderr all;/' "$2" >"$dir/bird.conf"
    ip netns exec "$1" bird -f -c "$dir/bird.conf" -s "$dir/bird.ctl" </dev/null >"$dir/bird.log" 2>&1 &
    echo $! >"$dir/bird.pid"
    say "$1: bird -c $dir/bird.conf"
}
birdc_on() { birdc -s "$(net_dir "$1")/bird.ctl" "${@:2}"; }

net_proxy() {
    local name=$1 dir
    dir=$(net_dir "$1")
    ip_on "$name" <<END
fou add port $GUE_PORT gue
link set tunl0 up
addr add $NET_VIP4/32 dev tunl0
link set sit0 up
addr add $NET_VIP6/128 dev sit0 nodad
END
    quietly_on "$name" sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
    services_at "$name"
    on "$name" iptables -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT --allow-hops 192.168.50.0/24 --syn-listener
    # Text whose every line differs, so that a lost or doubled piece cannot go unnoticed.
    mkdir -p "$lab_work/www"
    [ -e "$lab_work/www/download" ] || seq -f 'line %06g of the download' 1 100000 | head -c "$DOWNLOAD_BYTES" >"$lab_work/www/download"
    [ -e "$lab_work/www/page" ] || seq 1 100 >"$lab_work/www/page"
    nginx_conf "$name" "$dir/nginx" >"$dir/nginx.conf" <<END
        listen [::]:80 ipv6only=on backlog=4096;
        listen $NAT_PORT backlog=4096;
        root $lab_work/www;
        location = / { return 200 "$name\n"; }
        location = /download { limit_rate $DOWNLOAD_RATE; }
END
    nginx_starts "$name"
}
# nginx_starts PROXY, nginx_stops PROXY: its connections end with it.
nginx_starts() {
    local dir
    dir=$(net_dir "$1")
    # One connection is two descriptors in a proxy's server.
    (ulimit -n 16384 && exec setsid ip netns exec "$1" nginx -e stderr -c "$dir/nginx.conf" -p "$dir" </dev/null >>"$dir/nginx.out" 2>&1) &
    echo $! >"$dir/nginx.id"
    # The shell has no words to say when it is killed.
    disown $!
    say "$1: nginx"
}
nginx_stops() {
    say "$1: nginx ends"
    kill -KILL "$(cat "$(net_dir "$1")/nginx.id")"
}
# nginx_is_gone PROXY: it has ended, and so have its listeners. Nothing here takes longer than a few milliseconds to see it.
nginx_is_gone() {
    local id left=20000
    id=$(cat "$(net_dir "$1")/nginx.id")
    [ -e "$lab_work/never" ] || mkfifo "$lab_work/never"
    while kill -0 "$id" 2>/dev/null && ((left-- > 0)); do read -rt 0.002 <>"$lab_work/never"; done
    ! kill -0 "$id" 2>/dev/null
}
nginx_listens() { [ -n "$(quietly_on "$1" ss -Hltn 'sport = 80')" ]; }

# cut_off PROXY, joined PROXY: its cable.
cut_off() { ip_on fabric <<<"link set $1 down"; }
joined() { ip_on fabric <<<"link set $1 up"; }

# source_table HOST: the operator's table, by $net_states.
declare -A net_states=([proxy1]=active [proxy2]=active [proxy3]=active)
source_table() {
    local name plain list='' checks='"healthchecks": {"http": 80, "gue": 19523, "gue_vip": true}'
    for name in $PROXIES; do
        list+="${list:+,}
    {\"ip\": \"192.168.50.${NET_NUMBER[$name]}\", \"state\": \"${net_states[$name]}\", $checks}"
    done
    # The backends of services take no GUE.
    plain=${list//', "gue": 19523, "gue_vip": true'/}
    cat <<END
{"tables": [{"name": "web", "hash_key": "12345678901234561234567890123456", "seed": "34567890123456783456789012345678",
  "binds": [{"ip": "$NET_VIP4", "proto": "tcp", "port": 80}, {"ip": "$NET_VIP6", "proto": "tcp", "port": 80}],
  "backends": [$list]}
$(service_tables "$plain")],
 "healthchecks": {"interval_ms": $CHECK_INTERVAL_MS, "timeout_ms": $CHECK_TIMEOUT_MS, "trigger": $CHECK_TRIGGER}}
END
}

# net_director HOST: health checks and a table first, announcements last.
net_director() {
    local name=$1 dir number=${NET_NUMBER[$1]}
    dir=$(net_dir "$1")
    source_table >"$dir/forwarding_table.src.json"
    cat >"$dir/healthcheck.conf" <<END
{"forwarding_table": {"src": "$dir/forwarding_table.src.json", "dst": "$dir/forwarding_table.checked.json"},
 "reload_command": "glbctl table load $dir/forwarding_table.checked.json",
 "reload_interval_ms": $RELOAD_INTERVAL_MS}
END
    on "$name" glbctl attach eth0
    services_back_at "$name"
    say "$name: glb-healthcheck"
    setsid ip netns exec "$name" glb-healthcheck --config "$dir/healthcheck.conf" </dev/null >"$dir/healthcheck.log" 2>&1 &
    echo $! >"$dir/healthcheck.pid"
    {
        sed "s/192\.168\.50\.6/192.168.50.$number/" /tools/bird/director.conf
        service_protocols
    } >"$dir/director.conf"
    bird_on "$name" "$dir/director.conf"
    announces "$name"
}
# announces HOST: from now on its announcements follow health. withdraws HOST: it announces nothing any more.
announces() {
    local dir pairs
    dir=$(net_dir "$1")
    read -ra pairs <<<"glb4=web glb6=web $(service_announcements | tr '\n' ' ')"
    setsid ip netns exec "$1" env GLB_ANNOUNCE_INTERVAL=2 "GLB_BIRDC=birdc -s $dir/bird.ctl" \
        /tools/bird/glb-announce "${pairs[@]}" </dev/null >>"$dir/announce.log" 2>&1 &
    echo $! >"$dir/announce.pid"
    say "$1: glb-announce ${pairs[*]}"
}
withdraws() {
    local pid
    say "$1: glb-announce ends"
    pid=$(cat "$(net_dir "$1")/announce.pid")
    kill -TERM "$pid"
    wait "$pid" 2>/dev/null
}

# network: everything, up to the two routes at the router.
network() {
    local name
    modprobe -a rust_glb_redirect rust_glb_director fou ipip sit ip_gre dummy || return
    ip_on root <<<'netns add fabric'
    ip_on fabric <<<$'link add name fabric type bridge forward_delay 0 mcast_snooping 0\nlink set fabric up'
    for name in router $DIRECTORS $PROXIES; do node "$name"; done
    net_user
    net_router
    for name in $PROXIES; do net_proxy "$name"; done
    for name in $PROXIES; do eventually nginx_listens "$name" || { say "nginx of $name does not listen"; return 1; }; done
    for name in $DIRECTORS; do net_director "$name"; done
    all_paths_are 2
}
# all_paths_are N: it comes so far that so many directors announce each VIP to the router.
all_paths_are() {
    local vip
    for vip in $(net_vips); do
        eventually paths_are "$vip" "$1" || { say "the router does not get $1 routes to $vip"; net_told; return 1; }
    done
}
# paths_are VIP N: so many directors announce it to the router.
paths_are() {
    local family=-4 count
    [[ $1 != *:* ]] || family=-6
    count=$(ip "$family" -n router route show "$1" | grep -o 'via [0-9a-f.:]*' | sort -u | wc -l)
    [ "$count" = "$2" ]
}

# net_told: what the programs said, where something failed.
net_told() {
    local name file
    for name in router $DIRECTORS $PROXIES; do
        for file in bird announce healthcheck nginx; do
            [ ! -s "$(net_dir "$name")/$file.log" ] || sed "s/^/    $name $file: /" "$(net_dir "$name")/$file.log" | tail -n 40
        done
    done
    ip -n router route show
    ip -6 -n router route show
}

# set_state PROXY STATE: on both directors, one after the other, and wait until both have loaded it.
set_state() {
    local name
    net_states[$1]=$2
    say "$1 is $2 from now on"
    for name in $DIRECTORS; do reload_director "$name"; done
    for name in $DIRECTORS; do
        eventually has_state "$name" "$1" "$2" || { say "$name does not load the table"; net_told; return 1; }
    done
}
# reload_director HOST: the operator's table by $net_states, and SIGHUP, where the daemon runs.
reload_director() {
    local dir
    dir=$(net_dir "$1")
    source_table >"$dir/forwarding_table.new"
    mv "$dir/forwarding_table.new" "$dir/forwarding_table.src.json"
    kill -HUP "$(cat "$dir/healthcheck.pid")"
}
# running HOST JQ...: asks the table that is loaded in the kernel.
running() { quietly_on "$1" glbctl --json table show --running | jq "${@:2}"; }
has_state() {
    running "$1" -e --arg ip "192.168.50.${NET_NUMBER[$2]}" --arg state "$3" \
        'any(.. | objects; .ip? == $ip and .state? == $state)' >/dev/null 2>&1
}
# marks PROXY true|false: both directors have loaded it as healthy or not.
marks() {
    local name
    for name in $DIRECTORS; do marked "$name" "$1" "$2" || return; done
}
marked() {
    running "$1" -e --arg ip "192.168.50.${NET_NUMBER[$2]}" --argjson healthy "$3" \
        'any(.. | objects; .ip? == $ip and .healthy? == $healthy)' >/dev/null 2>&1
}
# generation HOST: how many loads there were.
generation() { quietly_on "$1" glbctl --json status | jq .generation; }
# reload_both: each director loads its tables anew, one after the other.
reload_both() {
    local name before
    for name in $DIRECTORS; do
        before=$(generation "$name")
        reload_director "$name"
        eventually newer "$name" "$before" || return
    done
}
newer() { [ "$(generation "$1")" -gt "$2" ]; }

# stop_director HOST, start_director_again HOST: out of service in order, module's hook and all, and back.
stop_director() {
    withdraws "$1"
    all_paths_are 1 || return
    # What is under way still gets through.
    eventually stands_still "$1" || return
    on "$1" glbctl detach eth0
    services_leave "$1"
    kill -TERM "$(cat "$(net_dir "$1")/healthcheck.pid")"
}
# stands_still DIRECTOR: it forwarded nothing for a second.
stands_still() {
    local before
    before=$(encapsulated_by "$1")
    sleep 1 # what is under way takes less, or the next look sees it
    [ -n "$before" ] && [ "$(encapsulated_by "$1")" = "$before" ]
}
encapsulated_by() { quietly_on "$1" glbctl --json stats | jq .encapsulated_packets; }
start_director_again() {
    local dir
    dir=$(net_dir "$1")
    on "$1" glbctl attach eth0
    services_return "$1"
    setsid ip netns exec "$1" glb-healthcheck --config "$dir/healthcheck.conf" </dev/null >>"$dir/healthcheck.log" 2>&1 &
    echo $! >"$dir/healthcheck.pid"
    announces "$1"
    all_paths_are 2
}

# through DIRECTOR COMMAND...: the users of 192.168.40.0/24 and fd00:40::/64 go through this director meanwhile.
through() {
    local number=${NET_NUMBER[$1]} status=0
    shift
    # Not told: what comes out is the command's.
    ip -n router route replace "$NET_VIP4" via "192.168.50.$number" table 100
    ip -6 -n router route replace "$NET_VIP6" via "fd00:50::$number" table 100
    ip -n router rule add pref 100 from 192.168.40.0/24 table 100
    ip -6 -n router rule add pref 100 from fd00:40::/64 table 100
    "$@" || status=$?
    ip -n router rule del pref 100
    ip -6 -n router rule del pref 100
    return $status
}
# answers_of: which proxy answers each user, `ADDRESS PROXY` a line.
answers_of() {
    local address vip
    for address in $USERS $USERS6; do
        vip=$NET_VIP4
        [[ $address != *:* ]] || vip=[$NET_VIP6]
        printf '%s %s\n' "$address" "$(quietly_on user curl --silent --max-time "$LAB_HANG" --interface "$address" "http://$vip/")"
    done
}
# predicted_of DIRECTOR: what glbctl lookup says of each user.
predicted_of() {
    local address vip name
    local -A name_of=()
    for name in $PROXIES; do name_of[192.168.50.${NET_NUMBER[$name]}]=$name; done
    for address in $USERS $USERS6; do
        vip=$NET_VIP4:80
        [[ $address != *:* ]] || vip=[$NET_VIP6]:80
        name=$(quietly_on "$1" glbctl --json lookup --running "$address" "$vip" | jq -r '.hops[0].ip')
        printf '%s %s\n' "$address" "${name_of[$name]:-$name}"
    done
}

# hold_long NAME VIP OPTION...: long connections of the users of 192.168.41.0/24 or fd00:41::/64, in the background. They are
# told to stop by `held` below; what happens to them is in $lab_work/NAME.events.
declare -A holders=()
hold_long() {
    local name=$1 server=$2:80 source=192.168.41.1
    if [[ $2 == *:* ]]; then server=[$2]:80 source=fd00:41::1; fi
    say "user: glb-packets http-hold $server ${*:3}"
    (ulimit -n 16384 && exec ip netns exec user glb-packets http-hold "$server" --source "$source" --source-count 250 --replace \
        --log "$lab_work/$name.events" "${@:3}" </dev/null >"$lab_work/$name.hold" 2>&1) &
    holders[$name]=$!
}
held() {
    local status=0
    kill -TERM "${holders[$1]}"
    wait "${holders[$1]}" || status=$?
    sed "s/^/    $1: /" "$lab_work/$1.hold"
    return "$status"
}
becomes_busy() {
    eventually grep -q ^busy "$lab_work/$1.hold" && return
    cat "$lab_work/$1.hold"
    return 1
}
# settled SECONDS: every holder has told, of a moment so much later than now, how it is. It notices what broke and tells in one loop,
# so on a machine of any speed all that showed within these seconds is in its log then.
settled() {
    local until
    # And a second: what a timer of that moment wakes may come behind the line of the same moment.
    printf -v until '%d' $((${EPOCHREALTIME%[.,]*} + $1 + 2))
    sleep "$1" # how long what happens is looked at, on a machine of any speed
    eventually holders_told "$until"
}
holders_told() {
    local name
    for name in "${!holders[@]}"; do
        tail -n 200 "$lab_work/$name.events" | awk -v until="$1" '$1 == "sample" && $2 >= until { told = 1 } END { exit !told }' || return
    done
}
# all_renewed SINCE: no holder has a connection that began before.
all_renewed() {
    local name
    for name in "${!holders[@]}"; do
        tail -n 1 "$lab_work/$name.events" | awk -v since="$1" '
            $1 == "sample" { sub(/^oldest=/, "", $4); renewed = $4 != "-" && $4 + 0 >= since + 0 }
            END { exit !renewed }' || return
    done
}
# connections_of PROXY: how many its server has, of the VIPs.
connections_of() {
    local vip of=''
    for vip in $(net_vips); do
        [[ $vip != *:* ]] || vip=[$vip]
        of+="${of:+ or }src $vip"
    done
    of="( ( $of ) and sport = 80 )"
    # What is translated has another address there. Health checks come from elsewhere.
    ! has_service nat || of+=" or ( src 192.168.50.${NET_NUMBER[$1]} and sport = $NAT_PORT and dst 192.168.41.0/24 )"
    quietly_on "$1" ss -Htn state established "$of" | wc -l
}
has_no_connection() { [ "$(connections_of "$1")" = 0 ]; }
