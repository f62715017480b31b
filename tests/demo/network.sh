#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo, the part in the guest: the example network (tests/lab/network.sh) with CONNECTIONS (2,000) long connections,
# while everything is done that operators do, and some of what goes wrong.
#
#   network.sh [CONNECTIONS]
#
# It ends with a table, an event a line, with the connections that broke. Status 0 only if none broke where none may:
# what fails by itself (a server that is stopped, a cable) breaks its own connections, all else breaks none. What
# pictures are made from is left in /out.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/lib.sh"
# shellcheck source=tests/lab/network.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/network.sh"

readonly CONNECTIONS=${1:-2000} OUT=/out
# A connection without a byte for so long is broken, so what an event does shows within that time.
readonly STALL=20
# A busy machine gives every connection less: silent is who gets nothing while the others had a turn each.
readonly PATIENCE=(--stall "$STALL" --turns 1)
mkdir -p $OUT

bold='' green='' red='' dim='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'; fi
readonly story=$lab_work/story
quiet() { "$@" >>"$story" 2>&1; }
title() { printf '\n%s%s%s\n\n' "$bold" "$*" "$plain"; }
tell() { printf '    %s\n' "$@"; }
give_up() {
    tail -n 30 "$story"
    net_told
    cp "$story" $OUT/story.txt
    printf '\n%sFAILED: %s%s\n' "$red" "$*" "$plain"
    exit 1
}
# must WHAT COMMAND...
must() { quiet "${@:2}" || give_up "$1"; }

# lib.sh names the lines of checks by these.
# shellcheck disable=SC2034
lab_file=demo lab_test=network
trap 'kill $(jobs -p) 2>/dev/null; lab_end_network 2>/dev/null; rm -rf "$lab_work"' EXIT
trap 'exit 130' INT TERM

# --- events -----------------------------------------------------------------------------------------

# begin NAME none|its-own [PROXY]: what happens from now on belongs to this event: it may break no connection, or those of
# PROXY. Its time, name and rule go to marks.tsv.
begin() {
    event=$1
    printf '%s\t%s\t%s\n' "${EPOCHREALTIME/,/.}" "$1" "$2" >>"$OUT/marks.tsv"
    printf '    %-34s' "$event"
    passed_before=$(passed_on)
    began=$SECONDS
}
# observed SECONDS: what broke within them is counted.
observed() { must "the clients do not tell how they are" settled "$1"; }
# finish: a line of how things are now.
finish() {
    local name line=''
    for name in $PROXIES; do line+=$(printf ' %6s' "$(connections_of "$name")"); done
    printf '%4s s  %s %9s %7s\n' $((SECONDS - began)) "$line" $(($(passed_on) - passed_before)) "$(broken_so_far)"
}
passed_on() {
    local name sum=0
    for name in $PROXIES; do sum=$((sum + $(counter "$name" forwarded_to_alternate_packets))); done
    echo $sum
}
broken_so_far() { cat "$lab_work"/*.events | grep -cv ^sample; }

# broken_in: the table at the end, from the clients' own logs; says whether all kept to the rules.
# shellcheck disable=SC2016 # For awk.
broken_in() {
    cat "$OUT/marks.tsv" >"$lab_work/all"
    cat "$lab_work"/*.events | grep -v ^sample | sort -k 2n | sed 's/ /\t/g' >"$OUT/broken.tsv"
    awk -F'\t' '
        FNR == NR { start[++n] = $1; name[n] = $2; rule[n] = $3; next }
        { at = 0; for (i = 1; i <= n; i++) if ($2 >= start[i]) at = i
          if ($1 == "broken") broken[at]++; else unopened[at]++ }
        END {
            printf "    %-34s %8s %10s   %s\n", "event", "broken", "not opened", "may break"
            for (i = 1; i <= n; i++) {
                wrong = rule[i] == "none" && broken[i] + unopened[i] > 0
                printf "    %-34s %8d %10d   %s%s\n", name[i], broken[i], unopened[i], rule[i], (wrong ? "   WRONG" : "")
                if (wrong) bad = 1
            }
            if (broken[0] + unopened[0] > 0) { print "    (before the first event: " broken[0] + unopened[0] ")"; bad = 1 }
            exit bad
        }' "$OUT/marks.tsv" "$OUT/broken.tsv"
}

# --- what is done -----------------------------------------------------------------------------------

# drain: until proxy2 has no connection. What another proxy passes on meanwhile is captured there.
drain() {
    set_state proxy2 draining && capture_begins || return
    eventually captured_enough
    capture_ends || return
    eventually has_no_connection proxy2
}
# fill: until new connections come to proxy2.
fill() {
    set_state proxy2 inactive && set_state proxy2 filling && eventually fails has_no_connection proxy2 || return
    settled 10
    set_state proxy2 active
}

# The capture at proxy3, one of those that proxy2's packets come to first. It begins when both directors have sent them there, and ends
# when it has CAPTURED packets that proxy3 passed on (GUE's private data has the index of the next hop behind its type), or when
# there is nobody left whose packets they could be.
readonly CAPTURED=40
capture_begins() {
    capture=$OUT/second-chance.pcap
    ip netns exec proxy3 tcpdump -ni eth0 -s 128 -U --immediate-mode -w "$capture" "udp port $GUE_PORT and not icmp" \
        </dev/null >/dev/null 2>"$lab_work/tcpdump.log" &
    tcpdump=$!
    eventually grep -q 'listening on' "$lab_work/tcpdump.log" || { cat "$lab_work/tcpdump.log"; return 1; }
    passed_on_before=$(counter proxy3 forwarded_to_alternate_packets)
}
captured() { tcpdump -nr "$capture" 'udp[14] > 0' 2>/dev/null | wc -l; }
captured_enough() { [ "$(captured)" -ge $CAPTURED ] || has_no_connection proxy2; }
capture_ends() {
    kill -INT "$tcpdump"
    wait "$tcpdump"
    cat "$lab_work/tcpdump.log"
    [ "$(captured)" = 0 ] || return 0
    # Of a few connections, none may have both: proxy2, and proxy3 beside it in its row.
    rm "$capture"
    [ "$(counter proxy3 forwarded_to_alternate_packets)" = "$passed_on_before" ] && return
    say "proxy3 passed packets on, and none was captured"
    return 1
}

# --- the play ---------------------------------------------------------------------------------------

title "The example network"
cat <<END
    user ------- router ---+--- director1, director2   BIRD, glb-healthcheck, rust_glb_director
     ^  192.168.40.0/24    |                           announce $NET_VIP4 and $NET_VIP6
     |                     +=== proxy1, proxy2, proxy3 nginx, fou, GLBREDIRECT
     +-- direct return ----+    192.168.50.0/24

END
tell "Seven hosts (network namespaces) on a stock kernel, $(uname -r)."
rm -f $OUT/marks.tsv
must "the network could not be set up" network
ip -n router route show "$NET_VIP4" | sed 's/^/    router: /'
ip -6 -n router route show "$NET_VIP6" | sed 's/^/    router: /'

title "1. Who answers whom: curl from each user address, through either director"
must "the directors can be asked" predicted_of director1
predicted_of director1 >"$lab_work/predicted"
through director1 answers_of >"$lab_work/by1" 2>>"$story"
through director2 answers_of >"$lab_work/by2" 2>>"$story"
printf '    %s%-16s %-14s %-14s %s%s\n' "$dim" user director1 director2 "glbctl lookup" "$plain"
paste -d ' ' "$lab_work/by1" "$lab_work/by2" "$lab_work/predicted" | while read -r user by1 _ by2 _ said; do
    printf '    %-16s %-14s %-14s %s\n' "$user" "$by1" "$by2" "$said"
done | tee "$OUT/users.txt"
for file in by2 predicted; do
    cmp -s "$lab_work/by1" "$lab_work/$file" || give_up "the directors and glbctl lookup do not agree"
done

title "2. $CONNECTIONS long connections: slow downloads, and keep-alive connections that ask now and then"
share() { echo $((CONNECTIONS * $1 / 100)); }
quiet hold_long pages4 "$NET_VIP4" "${PATIENCE[@]}" --connections "$(share 50)" --path /page --body "$lab_work/www/page" --pause 15000 --responses 4
quiet hold_long pages6 "$NET_VIP6" "${PATIENCE[@]}" --connections "$(share 25)" --path /page --body "$lab_work/www/page" --pause 15000 --responses 4
quiet hold_long files4 "$NET_VIP4" "${PATIENCE[@]}" --connections "$(share 15)" --path /download --body "$lab_work/www/download" --responses 2
quiet hold_long files6 "$NET_VIP6" "${PATIENCE[@]}" --connections "$(share 10)" --path /download --body "$lab_work/www/download" --responses 2
for name in pages4 pages6 files4 files6; do must "not all $name were opened" becomes_busy $name; done
tell "All are open. Each lives for 20 to 60 s and is then replaced by a new one." ""
# shellcheck disable=SC2086 # Words are names.
printf '    %s%-34s%6s   %6s %6s %6s %9s %7s%s\n' "$dim" '' '' $PROXIES passed_on broken "$plain"
begin "nothing happens" none
observed 10
finish

begin "tables reloaded" none
must "the tables could not be reloaded" reload_both
observed 5
finish

begin "proxy2 drains" none
must "proxy2 does not drain" drain
finish

begin "proxy2 inactive, filling, active" none
must "proxy2 does not fill" fill
observed 10
finish

begin "director1 is stopped" none
must "director1 could not be stopped" stop_director director1
observed 10
finish

begin "director1 is started" none
must "director1 could not be started" start_director_again director1
observed 10
finish

# Whatever those broke without a reset shows by now.
begin "nothing happens, again" none
observed $((STALL + 2))
finish

begin "proxy3: nginx is killed" its-own
nginx_stops proxy3 >>"$story"
must "proxy3 is not marked down" eventually marks proxy3 false
observed 5
finish

begin "proxy3: nginx is back" its-own
nginx_starts proxy3 >>"$story"
must "proxy3 is not marked up" eventually marks proxy3 true
observed 10
finish

begin "proxy1: the cable is cut" its-own
quiet cut_off proxy1
must "proxy1 is not marked down" eventually marks proxy1 false
observed $((STALL + 5))
finish

begin "proxy1: the cable is mended" its-own
quiet joined proxy1
must "proxy1 is not marked up" eventually marks proxy1 true
observed $((STALL + 2))
finish

begin "the end: connections are closed" none
for name in pages4 pages6 files4 files6; do kill -TERM "${holders[$name]}"; done
for name in pages4 pages6 files4 files6; do
    wait "${holders[$name]}"
    cp "$lab_work/$name.events" $OUT/
    sed "s/^/$name: /" "$lab_work/$name.hold"
done >"$OUT/clients.txt" 2>&1
finish

title "3. No usable backend, no announcement"
for name in $PROXIES; do nginx_stops "$name" >>"$story"; done
must "the directors announce although no proxy answers" eventually paths_are "$NET_VIP4" 0
must "the directors announce IPv6 although no proxy answers" eventually paths_are "$NET_VIP6" 0
tell "nginx is killed on all proxies: the router has no route to $NET_VIP4 and $NET_VIP6"
nginx_starts proxy1 >>"$story"
must "one usable backend is not announced" eventually paths_are "$NET_VIP4" 2
tell "nginx is back on proxy1: it has two again"

title "4. Connections broken, by event"
status=0
broken_in >"$OUT/events.txt" || status=1
cat "$OUT/events.txt"
for name in $DIRECTORS; do
    printf '\n    %s\n' "$name"
    quietly_on "$name" glbctl stats | grep -v ' 0$' | sed 's/^/        /'
done >"$OUT/counters.txt"
for name in $PROXIES; do
    printf '\n    %s\n' "$name"
    counters "$name" | grep -v ': 0$' | sed 's/^/        /'
done >>"$OUT/counters.txt"
cp "$story" $OUT/story.txt
if [ $status != 0 ]; then
    grep -h "^ *[^:]*: glb-packets: broken" "$OUT/clients.txt" | sort | uniq -c | sort -rn | head
    printf '\n%sFAILED: connections broke that had to live%s\n' "$red" "$plain"
    exit 1
fi
printf '\n%sOK: no connection broke in any reload, drain, fill, director stop or start%s\n' "$green" "$plain"
