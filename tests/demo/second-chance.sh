#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo-second-chance: a download survives when its packets move to another proxy.
#
# The hosts are those of the load scenarios; this file only adds the story. The output ends with one line. The status is 0
# only if the download survived.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/lib.sh"
# shellcheck source=tests/lab/load.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/load.sh"
# The lab's director in user space or, where only packages are installed, the kernel module.
if ! command -v glb-packets >/dev/null; then
    # shellcheck source=tests/demo/module-director.sh source-path=SCRIPTDIR/../..
    . "$(dirname "$(readlink -f "$0")")/module-director.sh"
fi

# shellcheck source=tests/demo/tell.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/tell.sh"

readonly SIZE=6000000
# The network is not slowed down: the client's reading sets the pace.
export WEB_RATE=0

# both: the counters of both proxies that show where packets went.
both() {
    local name
    printf '    %s%-34s %10s %10s%s\n' "$dim" '' proxy1 proxy2 "$plain"
    for name in accepted_syn accepted_established forwarded_to_alternate accepted_last_resort; do
        printf '    %-34s %10s %10s\n' "$name" "$(counter proxy1 "${name}_packets")" "$(counter proxy2 "${name}_packets")"
    done
}

# download: start a download in the background; its process id is in $curl. The client reads only what read_up_to requests, and its
# socket buffer is small. So the download pauses until the next step is done, however long that takes.
download() {
    rm -f "$lab_work/got" "$lab_work/pipe"
    mkfifo "$lab_work/pipe"
    ip netns exec client curl --silent --show-error --no-buffer --dump-header "$lab_work/head" \
        "http://$VIP4/slow-download" >"$lab_work/pipe" 2>"$lab_work/curl.err" &
    curl=$!
    exec {body}<"$lab_work/pipe"
}
got() { stat -c %s "$lab_work/got"; }
answered_by() { tr -d '\r' <"$lab_work/head" | sed -n 's/^X-Proxy: //p'; }

# read_up_to BYTES: print a line for each 0.3 MB; fails if the download ends earlier.
read_up_to() {
    local have=0 next
    [ ! -e "$lab_work/got" ] || have=$(got)
    while [ "$have" -lt "$1" ]; do
        next=$((have + 300000 < $1 ? have + 300000 : $1))
        head -c $((next - have)) <&"$body" >>"$lab_work/got"
        have=$(got)
        printf '    %5s of %s MB   passed on by proxy2 so far: %s packets\n' "$(megabytes "$have")" "$(megabytes $SIZE)" \
            "$(counter proxy2 forwarded_to_alternate_packets)"
        [ "$have" = "$next" ] || return
    done
}
# download_ends: the status is that of curl.
download_ends() {
    exec {body}<&-
    wait "$curl"
}
megabytes() { printf '%d.%d' $(($1 / 1000000)) $(($1 % 1000000 / 100000)); }

# shellcheck disable=SC2317 # Called by name, through `quiet`.
prepare() {
    modprobe -a rust_glb_redirect fou fou6 ipip sit ip6_tunnel tun || return
    fleet && web proxy1 proxy2 && start_director -- "$PROXY1" "$PROXY2" || return
    head -c "$SIZE" /dev/urandom >"$lab_work/www/slow-download"
    on client sysctl -qw "net.ipv4.tcp_rmem=4096 65536 65536"
    [ ! -s "$lab_work/failures" ]
}

# lib.sh uses these as the names of checks.
lab_file=demo lab_test=second-chance
trap 'kill $(jobs -p) 2>/dev/null; lab_end_network 2>/dev/null; rm -rf "$lab_work"' EXIT
trap 'exit 130' INT TERM

title "Second chance: a download survives when its packets move to another proxy"
cat <<END
    client  --->  director  ==GUE==>  proxy1  nginx, GLBREDIRECT
       ^              |                  ^
       |              |                  | connections that proxy2 does not have
       |              \\======GUE=====>  proxy2  nginx, GLBREDIRECT
       |
       \\------ answers go straight back, from $VIP4

END
tell "Four hosts (network namespaces) on a stock kernel, $(uname -r). Both proxies have the service's" \
    "address $VIP4, nginx, and the one rule:" "" \
    "    iptables -A INPUT -p udp --dport $GUE_PORT -j GLBREDIRECT"
quiet prepare || give_up "the hosts could not be set up"

title "1. A client downloads a file. The director sends its packets to proxy1 and lists proxy2 as the second hop."
download
read_up_to $((SIZE / 3)) || give_up "the download ended before anything happened: $(cat "$lab_work/curl.err")"
home=$(answered_by)
tell "" "    nginx on $home answers. The counters:" ""
both

title "2. In the middle of the download, the director changes the order: proxy2 first, proxy1 second."
had_passed=$(counter proxy2 forwarded_to_alternate_packets)
quiet order "$PROXY2" "$PROXY1"
tell "    A new connection at this time:" ""
new=$(ip netns exec client curl --silent --output /dev/null --write-out '%header{x-proxy}' "http://$VIP4/page")
tell "    curl http://$VIP4/page   answered by nginx on $new"
status=0
tell "" "    The download continues:" ""
read_up_to $SIZE || true
download_ends || status=$?
passed_on=$(($(counter proxy2 forwarded_to_alternate_packets) - had_passed))
tell "" "    The packets of the download came to proxy2, which does not have the connection and passed each one on to proxy1:" ""
both

title "3. The same download without the rule on proxy2."
ended=$(cmp "$lab_work/www/slow-download" "$lab_work/got" 2>&1 && echo same)
quiet order "$PROXY1" "$PROXY2"
quiet on proxy2 iptables -D INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT
download
read_up_to $((SIZE / 3)) || give_up "the download ended before anything happened: $(cat "$lab_work/curl.err")"
quiet order "$PROXY2" "$PROXY1"
without=0
read_up_to $SIZE || true
download_ends || without=$?
tell "    curl: $(if [ "$without" = 0 ]; then echo "no error"; else cat "$lab_work/curl.err"; fi)" \
    "    $(got) of $SIZE bytes arrived."

if [ "$status" != 0 ]; then
    give_up "the download broke: curl ended with status $status"
elif [ "$ended" != same ]; then
    give_up "the received bytes differ from the sent ones: $ended"
elif [ "$home" != proxy1 ] || [ "$new" != proxy2 ] || [ "$passed_on" -lt 20 ]; then
    give_up "the packets did not move: home $home, new connections $new, $passed_on packets passed on"
elif [ "$without" = 0 ]; then
    give_up "the download also survives without the rule, so the demo shows nothing"
fi
done_with "$green" "SURVIVED: $SIZE bytes from $home, byte for byte, while $passed_on of the client's packets came through proxy2; without the rule: reset" 0
