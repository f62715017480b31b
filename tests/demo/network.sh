#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo, the part in the guest: the example network (tests/lab/network.sh) with CONNECTIONS (2,000) long connections, all
# procedures of the operators, and some failures.
#
#   network.sh [CONNECTIONS]
#
# The output ends with a table of the connections that broke, one event per line. The status is 0 only if no connection broke
# that had to survive: a failure (of a server or a cable) may break its own connections, all other events may break none. The
# data for the figures is in /out.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/lib.sh"
# Beside GLB's table, a service of each forward.
SERVICES="gre ipip l3dsr nat"
# shellcheck source=tests/lab/network.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/../lab/network.sh"

readonly CONNECTIONS=${1:-2000} OUT=/out
# A connection that receives no byte for this time is broken, so the effect of an event shows within this time.
readonly STALL=20
# A busy machine gives every connection less: silent is who gets nothing while the others had a turn each.
readonly PATIENCE=(--stall "$STALL" --turns 1)
mkdir -p $OUT

# shellcheck source=tests/demo/tell.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/tell.sh"
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

# lib.sh uses these as the names of checks.
# shellcheck disable=SC2034
lab_file=demo lab_test=network
trap 'kill $(jobs -p) 2>/dev/null; lab_end_network 2>/dev/null; rm -rf "$lab_work"' EXIT
trap 'exit 130' INT TERM

# --- events -----------------------------------------------------------------------------------------

# begin NAME none|its-own|held: start an event, which may break no connections, or only those of its proxy; `held`: and of those
# that were being opened, only what the program had in its hands when it ended (a handshake, or a place in its backlog). Its time,
# name and rule go to marks.tsv.
begin() {
    event=$1
    printf '%s\t%s\t%s\n' "${EPOCHREALTIME/,/.}" "$1" "$2" >>"$OUT/marks.tsv"
    printf '    %-34s' "$event"
    passed_before=$(passed_on)
    began=$SECONDS
}
# gone: the program of the event has just ended. When that was is a column more in marks.tsv: what began to be opened before was its.
gone() { sed -i "\$s/\$/\t${EPOCHREALTIME/,/.}/" "$OUT/marks.tsv"; }
# observed SECONDS: wait for the effects of the event.
observed() { must "the clients do not report" settled "$1"; }
# finish: print the numbers at the end of the event.
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

# broken_in: the table at the end, from the clients' own logs; the status says whether all events obeyed their rules. A service
# without a list of hops has no second chance: until the checks mark a server down that ended, it refuses new connections.
# shellcheck disable=SC2016 # For awk.
broken_in() {
    local name what
    for name in "${!holders[@]}"; do
        [[ " $SERVICES " == *" ${name%6} "* ]] && what=refused || what=unopened
        grep -v ^sample "$lab_work/$name.events" | sed "s/^unopened/$what/"
    done | sort -k 2n | sed 's/ /\t/g' >"$OUT/broken.tsv"
    awk -F'\t' '
        FNR == NR { start[++n] = $1; name[n] = $2; rule[n] = $3; gone[n] = $4; next }
        { at = 0; for (i = 1; i <= n; i++) if ($2 >= start[i]) at = i
          begun = $5; sub(/^begun=/, "", begun); held_then = 0
          # Clients may be slow to say so: the program may be that of an event before.
          for (i = 1; i <= at; i++) if (gone[i] != "" && begun + 0 < gone[i] && $2 >= start[i]) held_then = 1
          if ($1 == "broken") broken[at]++; else if (held_then) held[at]++
          else if ($1 == "refused") refused[at]++; else unopened[at]++ }
        END {
            printf "    %-34s %8s %10s %8s %6s   %s\n", "event", "broken", "not opened", "refused", "held", "may break"
            says["none"] = "none"; says["its-own"] = "its own"; says["held"] = "its own, and what it held"
            for (i = 1; i <= n; i++) {
                wrong = rule[i] == "none" && broken[i] + unopened[i] + refused[i] + held[i] > 0 || rule[i] == "held" && unopened[i] > 0
                printf "    %-34s %8d %10d %8d %6d   %s%s\n", name[i], broken[i], unopened[i], refused[i], held[i], says[rule[i]],
                    (wrong ? "   WRONG" : "")
                if (wrong) bad = 1
            }
            print "    (held: not opened either, but begun before the program ended: a handshake, or a place in its backlog)"
            print "    (refused: not opened, of the services, whose forwards have no second chance)"
            if (broken[0] + unopened[0] + refused[0] > 0) {
                print "    (before the first event: " broken[0] + unopened[0] + refused[0] ")"; bad = 1
            }
            exit bad
        }' "$OUT/marks.tsv" "$OUT/broken.tsv"
}

# --- procedures -------------------------------------------------------------------------------------

# drain: until proxy2 has no connection. Packets that proxy3 passes on meanwhile are captured there.
drain() {
    set_state proxy2 draining && capture_begins || return
    eventually captured_enough
    capture_ends || return
    eventually has_no_connection proxy2
}
# fill: until proxy2 gets new connections.
fill() {
    set_state proxy2 inactive && set_state proxy2 filling && eventually fails has_no_connection proxy2 || return
    settled 10
    set_state proxy2 active
}

# The capture at proxy3, which is the first hop for some of proxy2's packets during the drain. It begins when both directors send
# these packets to proxy3. It ends when it has CAPTURED packets that proxy3 passed on (in GUE's private data, the index of the next
# hop follows the type), or when proxy2 has no connection left.
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
    # With few connections, possibly none of proxy2's has proxy3 as the other hop of its row.
    rm "$capture"
    [ "$(counter proxy3 forwarded_to_alternate_packets)" = "$passed_on_before" ] && return
    say "proxy3 passed packets on, but none was captured"
    return 1
}

# --- the story --------------------------------------------------------------------------------------

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

title "1. Which proxy answers which user: curl from each user address, through either director"
must "the directors do not answer lookups" predicted_of director1
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

title "2. $CONNECTIONS long connections: slow downloads, and keep-alive connections with a request from time to time"
tell "78 % by GUE with GLB's rows; the others to services with Maglev rows and a flow table, by: $SERVICES." ""
readonly PAGES=(--path /page --body "$lab_work/www/page" --pause 15000 --responses 4)
share() { echo $((CONNECTIONS * $1 / 100)); }
quiet hold_long pages4 "$NET_VIP4" "${PATIENCE[@]}" --connections "$(share 36)" "${PAGES[@]}"
quiet hold_long pages6 "$NET_VIP6" "${PATIENCE[@]}" --connections "$(share 17)" "${PAGES[@]}"
quiet hold_long files4 "$NET_VIP4" "${PATIENCE[@]}" --connections "$(share 15)" --path /download --body "$lab_work/www/download" --responses 2
quiet hold_long files6 "$NET_VIP6" "${PATIENCE[@]}" --connections "$(share 10)" --path /download --body "$lab_work/www/download" --responses 2
for name in $SERVICES; do
    quiet hold_long "$name" "${SERVICE_VIP4[$name]}" "${PATIENCE[@]}" --connections "$(share 4)" "${PAGES[@]}"
    [ -z "${SERVICE_VIP6[$name]:-}" ] ||
        quiet hold_long "${name}6" "${SERVICE_VIP6[$name]}" "${PATIENCE[@]}" --connections "$(share 3)" "${PAGES[@]}"
done
for name in "${!holders[@]}"; do must "not all $name were opened" becomes_busy "$name"; done
tell "All are open. Each lives for 20 to 60 s. Then a new one replaces it." ""
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

# A service's flow that is not where its row leads now would move with the director that remembers it: docs/flows.md.
begin "all earlier connections end" none
must "old connections do not end" eventually all_renewed "$EPOCHSECONDS"
finish

begin "director1 is stopped" none
must "director1 could not be stopped" stop_director director1
observed 10
finish

begin "director1 is started" none
must "director1 could not be started" start_director_again director1
observed 10
finish

# By the end of this event, connections that the previous events broke without a reset are detected.
begin "nothing happens, again" none
observed $((STALL + 2))
finish

begin "proxy3: nginx is killed" held
nginx_stops proxy3 >>"$story"
must "nginx of proxy3 does not end" nginx_is_gone proxy3
gone
must "proxy3 is not marked down" eventually marks proxy3 false
observed 5
finish

begin "proxy3: nginx is back" held
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
for name in "${!holders[@]}"; do kill -TERM "${holders[$name]}"; done
for name in "${!holders[@]}"; do
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
tell "nginx is back on proxy1: the router has two routes again"

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
    printf '\n%sFAILED: connections broke that had to survive%s\n' "$red" "$plain"
    exit 1
fi
printf '\n%sOK: no connection broke in any reload, drain, fill, director stop or start%s\n' "$green" "$plain"
