# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scenarios of the lab share that are in bash; new ones are in Python (lab/__init__.py). A scenario is a file that
# sources this one, defines functions and ends with `lab_main "$@"`; it runs in the guest, as root:
#
#   tests/vm/run -- /tests/lab/redirect-verdict.sh [PATTERN]
#
#   setup                 makes the network; once a file, and again after a test that failed. Like a test, it is a
#                         subshell: variables for the tests are set outside. Without it each test makes its own
#   test_NAME             one test: `about` says in one sentence what must hold, `check` and `expect_counters`
#                         print a line each
#
# No test depends on how fast the machine is. What is awaited is a condition (`eventually`, and `recv` and its like of
# wire.py), and what ends a wait is that nothing goes on any more: LAB_HANG seconds without anything new for a step, five
# times as many for a test. A machine that is busy may take as long as it likes. `tests/run --busy 2` shows it.
#
# The network: a host is a network namespace with real programs, a switch joins them, and every address is
# on the link.
#
#    client      director     proxy1      proxy2
#   +------+     +------+     +------+    +------+
#   | eth0 |     | eth0 |     | eth0 |    | eth0 |      02:00:00:00:00:NN, in the order they are made
#   +--||--+     +--||--+     +--||--+    +--||--+
#   ===||===========||===========||==========||====     bridge `fabric`, in a namespace of that name
#
# PATTERN (an extended regular expression) picks tests by their names, lab/FILE/NAME. Output is one line `ok - ...` or
# `not ok - ...` a check; what was done is told too (LAB_STORY=always), or only where a test failed (LAB_STORY=failed).

set -u

lab_dir=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
lab_file=lab/$(basename "${BASH_SOURCE[1]}" .sh)
# Seconds without any progress after which a step hangs.
LAB_HANG=${LAB_HANG:-120}
# How many times slower than stock the kernel is: loads are that much smaller, and LAB_HANG is that much longer.
LAB_SLOWER=1
# shellcheck disable=SC1091 # The guest's.
[ ! -r /run/lab/kernel ] || . /run/lab/kernel
readonly LAB_HANG=$((LAB_HANG * LAB_SLOWER))
LAB_STORY=${LAB_STORY:-always}
# Room for the tunnel around packets of 1500 bytes, as fabrics of fleets have.
LAB_MTU=${LAB_MTU:-2000}
GUE_PORT=19523
VIP4=1.1.1.1
VIP6=fd91:79d3:d621::1
lab_work=$(mktemp -d)
lab_network=$lab_work/network # survives the subshell of a test: hosts, snapshots
mkdir -p "$lab_network"
exec {lab_out}>&1

# --- telling ----------------------------------------------------------------------------------------

# say TEXT...: a line of the story.
say() {
    printf '[+] %s\n' "$*"
    lab_alive
}

# lab_alive: the test goes on. Whoever does something new says so; lab_bounded ends what does nothing new.
lab_alive() { printf '%s\n' "$EPOCHSECONDS" >"$lab_work/.alive"; }

# run COMMAND...: tell it and do it. Where it fails, the test has failed: what follows would say nothing.
run() {
    say "$*"
    lab_done "$*" "$@"
}
# lab_done WHAT COMMAND...: the command, whose failure is a check that failed.
lab_done() {
    local what=$1 status=0
    shift
    "$@" || { status=$?; lab_step_failed "$what"; }
    return $status
}
# may_fail COMMAND...: a step that is allowed to.
may_fail() {
    local lab_checking=yes
    "$@" || true
}

# about SENTENCE: what the test is about; its checks stand under this name.
about() { say "$lab_file/$lab_test: $*"; }

# ok WHAT, not_ok WHAT: the line of a check. $lab_context is put in front, for tests that run more than once.
lab_context=
ok() { lab_line "ok - $lab_file/$lab_test: $lab_context$*"; }
not_ok() {
    lab_line "not ok - $lab_file/$lab_test: $lab_context$*"
    echo failed >>"$lab_work/failures"
}
lab_line() {
    printf '%s\n' "$*" >&"$lab_out"
    lab_alive
    [ "$LAB_STORY" = always ] || printf '%s\n' "$*" >>"$lab_work/story"
}

# check WHAT COMMAND...: the command must succeed. Its output belongs to the story.
check() {
    local what=$1 lab_checking=yes
    shift
    if "$@"; then
        ok "$what"
    else
        say "that was: $*"
        not_ok "$what"
    fi
}

# lab_step_failed WHAT: a step outside of a check did not work, so what follows says nothing.
lab_step_failed() { [ -n "${lab_checking:-}" ] || not_ok "this step worked: $1"; }

# fails COMMAND...: for check: the command must fail.
fails() { ! "$@"; }

# skip WHY: the test cannot be run here; said aloud. `skip ... && return` in a test.
skip() { lab_line "# skipped - $lab_file/$lab_test: $*"; }

# is EXPECTED ACTUAL: for check: two texts are the same.
is() {
    [ "$1" = "$2" ] && return
    printf 'expected: %s\nthere is: %s\n' "$1" "$2"
    return 1
}

# eventually COMMAND...: for check: the command succeeds at last; it is tried again and again. Whatever it writes is how far
# things are: given up is only a wait in which that has not changed for LAB_HANG seconds, nor for so many tries, which take
# a slow machine longer.
eventually() {
    local lab_depth=$((${lab_depth:-0} + 1)) since=$EPOCHSECONDS tries=0 before='' now said
    said=$lab_work/.said-$BASHPID-$lab_depth
    until "$@" >"$said" 2>&1; do
        IFS= read -r -d '' now <"$said"
        if [ "$now" != "$before" ]; then
            before=$now since=$EPOCHSECONDS tries=0
            lab_alive
        fi
        tries=$((tries + 1))
        if [ $((EPOCHSECONDS - since)) -ge "$LAB_HANG" ] && [ "$tries" -ge $((LAB_HANG * 2)) ]; then
            cat "$said"
            say "nothing new for $LAB_HANG s"
            return 1
        fi
        sleep 0.1 # between two tries
    done
    [ ! -s "$said" ] || cat "$said"
}

# --- network ----------------------------------------------------------------------------------------

# on HOST COMMAND...: tell it and run it on a host.
on() {
    printf '[+] %s: %s\n' "$1" "${*:2}"
    lab_done "$*" ip netns exec "$@"
}

# quietly_on HOST COMMAND...: the same, not told.
quietly_on() { ip netns exec "$@"; }

# spawn HOST COMMAND...: start a program on a host, in the background; it ends with the test (or, from setup,
# with the network). Its output belongs to the story. Its id is then in $spawned.
spawn() {
    printf '[+] %s: %s &\n' "$1" "${*:2}"
    ip netns exec "$@" </dev/null &
    # shellcheck disable=SC2034 # For scenarios.
    spawned=$!
}

# ip_on HOST: `ip` commands from standard input, one a line, in one process. `root` is no host but the guest.
ip_on() {
    local name=$1 lines
    lines=$(cat)
    # shellcheck disable=SC2001 # Line by line.
    sed "s/^/[+] $name: ip /" <<<"$lines"
    if [ "$name" = root ]; then set -- ip; else set -- ip -n "$name"; fi
    "$@" -batch - <<<"$lines" || { lab_step_failed "ip on $name"; return 1; }
}

# host NAME ADDRESS4 ADDRESS6 [LINES]: a host; `-` for no address of a family. All addresses are on its link. LINES are
# more commands of `ip` there.
host() {
    local name=$1 address4=$2 address6=$3 number mac
    number=$(($(lab_hosts | wc -l) + 1))
    printf -v mac '02:00:00:00:%02x:%02x' $((number >> 8)) $((number & 255))
    if [ "$number" = 1 ]; then
        ip_on root <<<'netns add fabric'
        ip_on fabric <<<$'link add name fabric type bridge forward_delay 0 mcast_snooping 0\nlink set fabric up'
    fi
    ip_on root <<END
netns add $name
link add name $name mtu $LAB_MTU netns fabric type veth peer name eth0 mtu $LAB_MTU address $mac netns $name
END
    ip_on fabric <<<"link set $name master fabric up"
    {
        printf 'link set lo up\nlink set eth0 up\n'
        [ "$address4" = - ] || printf 'addr add %s/32 dev eth0\nroute add default dev eth0 src %s\n' "$address4" "$address4"
        [ "$address6" = - ] || printf 'addr add %s/128 dev eth0 nodad\nroute add default dev eth0 src %s\n' "$address6" "$address6"
        [ ! -e "$lab_network/behind" ] || cat "$lab_network/behind"
        [ $# -lt 4 ] || printf '%s\n' "$4"
    } | ip_on "$name"
    printf '%s %s %s %s\n' "$name" "$mac" "$address4" "$address6" >>"$lab_network/hosts"
}

# proxy NAME ADDRESS4 ADDRESS6 [OPTION...]: a host that takes GUE, has the VIPs, and the rule GLBREDIRECT with OPTIONs.
proxy() {
    host "$1" "$2" "$3" "$lab_gue"$'\n'"$([ "$3" = - ] || printf '%s' "$lab_gue6")"
    [ "$3" = - ] || on "$1" ip -6 fou add port "$GUE_PORT" gue
    redirects "$1" "${@:4}"
}

# What the README tells to do on a proxy with an IPv4 underlay, and with an IPv6 one (`ip -6 fou` comes to it).
# ip6tnl0 takes only IPv6 inside unless it is told to.
lab_gue="fou add port $GUE_PORT gue
link set tunl0 up
addr add $VIP4/32 dev tunl0
link set sit0 up
addr add $VIP6/128 dev sit0 nodad"
lab_gue6="link change ip6tnl0 type ip6tnl mode any
link set ip6tnl0 up"

# takes_gue HOST, takes_gue6 HOST: the same for a host that is there.
takes_gue() { ip_on "$1" <<<"$lab_gue"; }
takes_gue6() {
    on "$1" ip -6 fou add port "$GUE_PORT" gue
    ip_on "$1" <<<"$lab_gue6"
}

# redirects HOST [OPTION...]: the rules, both families. $IPTABLES and $IP6TABLES may name another iptables; empty, none.
# In a file whose name begins with redirect-door- it is the door without iptables.
redirects() {
    local tool
    if [[ $lab_file = lab/redirect-door-* && $lab_file != *-ynl ]]; then
        on "$1" glbctl redirect on "${@:2}" || lab_step_failed "glbctl redirect on $1"
        return
    fi
    # shellcheck disable=SC2086 # Empty is none.
    for tool in ${IPTABLES-iptables} ${IP6TABLES-ip6tables}; do
        on "$1" "$tool" -A INPUT -p udp -m udp --dport "$GUE_PORT" -j GLBREDIRECT "${@:2}" || lab_step_failed "$tool on $1"
    done
}

# unhurried HOST...: no kernel there sends anything again, or probes, for lack of a quick answer; so packets can be counted, also
# where a machine takes a second for what it else does at once. (Nothing is lost in the lab that a test does not lose.)
unhurried() {
    local name
    for name; do
        quietly_on "$name" sysctl -qw net.ipv4.tcp_rto_min_us=60000000 net.ipv4.tcp_early_retrans=0 || lab_step_failed "sysctl on $name"
    done
}

# behind HOST PREFIX: every other host sends packets for PREFIX to HOST, those that are there and those to come.
behind() {
    local name mac address4 address6 via=
    while read -r name mac address4 address6; do
        [ "$name" != "$1" ] || { if [[ $2 == *:* ]]; then via=$address6; else via=$address4; fi; }
    done <"$lab_network/hosts"
    for name in $(lab_hosts); do
        [ "$name" = "$1" ] || ip_on "$name" <<<"route add $2 via $via dev eth0 onlink"
    done
    printf 'route add %s via %s dev eth0 onlink\n' "$2" "$via" >>"$lab_network/behind"
}

lab_hosts() { [ ! -e "$lab_network/hosts" ] || cut -d ' ' -f 1 "$lab_network/hosts"; }

# --- counters ---------------------------------------------------------------------------------------

# counters HOST: the counters of a host, `name: value` a line.
counters() { ip netns exec "$1" cat /proc/net/glb_redirect; }

# lab_counters_to FILE HOST: the same, by way of the packet program if it runs: a program less to start.
lab_counters_to() {
    if lab_wire_runs; then
        quietly_wire "counters_to('$1', '$2')"
    else
        counters "$2" >"$1"
    fi
}

# counter HOST NAME: one of them.
counter() { counters "$1" | sed -n "s/^$2: //p"; }

# snapshot HOST...: what expect_counters counts from. A host has one from its first expect_counters on.
snapshot() {
    local name
    for name; do lab_counters_to "$lab_network/counters-$name" "$name"; done
}

# expect_counters HOST [NAME=+N | NAME=+N..M]...: since the last call (or the snapshot) exactly these counters went up, by
# exactly that much, and the verdicts add up to the total. Names go without `_packets`. What is awaited may still have to
# come; what is too much already is not waited for. The total need not be named.
expect_counters() {
    local name=$1 before=$lab_network/counters-$1 after=$lab_network/after text
    [ -e "$before" ] || sed 's/: .*/: 0/' <(counters "$name") >"$before"
    eventually lab_counters_settled "$@"
    if [ ! -s "$lab_work/why" ]; then
        ok "counters of $name: ${*:2}"
    else
        printf 'counters of %s that changed:\n' "$name"
        lab_deltas "$before" "$after"
        cat "$lab_work/why"
        not_ok "counters of $name: ${*:2}"
    fi
    read -r -d '' text <"$after"
    printf '%s\n' "$text" >"$before"
}

lab_deltas() {
    local name value new
    while read -r name value <&3 && read -r name new <&4; do
        [ "$value" = "$new" ] || printf '  %s +%s\n' "$name" $((new - value))
    done 3<"$1" 4<"$2"
}

# lab_counters_settled HOST [NAME=...]...: they are as wanted, or never will be.
lab_counters_settled() {
    lab_counters_match "$@" && return
    # How far they are is what is new for `eventually`.
    lab_deltas "$lab_network/counters-$1" "$lab_network/after"
    [ -n "$lab_hopeless" ]
}

# sent_again HOST COUNTER: how often its kernel sent something again so far.
sent_again() { quietly_on "$1" nstat -asz "$2" | awk 'NR > 1 { print $2 }'; }

# How many SYNs, and answers to them, the kernels of all hosts have sent again since the network was made.
lab_sent_again() {
    local name sum=0
    for name in $(lab_hosts); do
        sum=$((sum + $(sent_again "$name" TcpExtTCPSynRetrans)))
    done
    echo "$sum"
}

lab_hopeless=
lab_counters_match() {
    local host=$1 word name old new low high sum=0 total=0 delta
    local -A want=()
    shift
    for word; do
        [[ $word =~ ^([a-z_]+)=\+([0-9]+)(\.\.([0-9]+))?$ ]] || { echo "no counter: $word" >"$lab_work/why"; lab_hopeless=yes; return 1; }
        name=${BASH_REMATCH[1]}
        case $name in
            forwarded_bytes | ended_netns_lookups | *_answers) ;;
            *) name=${name%_packets}_packets ;;
        esac
        want[$name]="${BASH_REMATCH[2]} ${BASH_REMATCH[4]:-${BASH_REMATCH[2]}}"
    done
    : >"$lab_work/why"
    lab_hopeless=
    lab_counters_to "$lab_network/after" "$host"
    while read -r name old <&3 && read -r name new <&4; do
        name=${name%:}
        delta=$((new - old))
        case $name in
            total_packets) total=$delta ;;
            forwarded_bytes | ended_netns_lookups | *_answers) ;;
            *) sum=$((sum + delta)) ;;
        esac
        read -r low high <<<"${want[$name]:-0 0}"
        # Not named, these may be anything: the total is checked by the sum.
        case $name in total_packets | forwarded_bytes | ended_netns_lookups | *_answers) [ -n "${want[$name]:-}" ] || high=$delta ;; esac
        unset "want[$name]"
        # A kernel sends a SYN, or its answer, again after a second, which no setting makes longer: on a slow machine, though
        # nothing is lost. That adds a SYN, and an acknowledgement of each answer.
        if [ "$delta" -gt "$high" ]; then
            case $name in
                accepted_syn_packets) high=$((high + $(lab_sent_again))) ;;
                accepted_established_packets) high=$((high + 2 * $(lab_sent_again))) ;;
            esac
        fi
        if [ "$delta" -lt "$low" ] || [ "$delta" -gt "$high" ]; then
            echo "  $name: +$delta, not +$low${high:+..$high}" >>"$lab_work/why"
            [ "$delta" -le "$high" ] || lab_hopeless=yes
        fi
    done 3<"$lab_network/counters-$host" 4<"$lab_network/after"
    [ "${#want[@]}" = 0 ] || { echo "  there is no counter ${!want[*]}" >>"$lab_work/why"; lab_hopeless=yes; }
    [ "$total" = "$sum" ] || echo "  total +$total, verdicts +$sum" >>"$lab_work/why"
    [ ! -s "$lab_work/why" ]
}

# --- packets ----------------------------------------------------------------------------------------

# wire PYTHON: lines of Python in the packet program (wire.py says what there is, and why it is one process). Fails with
# the first line that fails; why is told.
wire() {
    say "wire: $*"
    quietly_wire "$@" || { lab_step_failed "wire: ${*//$'\n'*/ ...}"; return 1; }
}

# quietly_wire PYTHON...: the same, not told; several lines are done one after the other, up to the first that fails.
quietly_wire() {
    local code
    while read -r code; do
        lab_wire_line "$code" || return
    done <<<"$*"
}

lab_wire_line() {
    local line
    lab_wire_start
    printf '%s\n' "$1" >&"$lab_wire_in"
    while read -r -t $((LAB_HANG * 5)) -u "$lab_wire_out" line; do
        case $line in
            done) return 0 ;;
            failed) return 1 ;;
            *) printf '    %s\n' "$line" ;;
        esac
    done
    say "the packet program does not answer"
    kill -KILL "$(cat "$lab_work/wire.pid")"
    return 1
}

lab_wire_runs() {
    local pid
    [ -e "$lab_work/wire.pid" ] && read -r pid <"$lab_work/wire.pid" && kill -0 "$pid" 2>/dev/null
}

lab_wire_start() {
    if lab_wire_runs; then return; fi
    # Out of the test's process group: it serves the whole file.
    setsid python3 -S -E "$lab_dir/wire.py" "$lab_network/hosts" <&"$lab_wire_in" >&"$lab_wire_out" &
    echo $! >"$lab_work/wire.pid"
}

# --- running ----------------------------------------------------------------------------------------

# lab_watch GROUP: ends the processes of a test that does nothing new.
lab_watch() {
    local alive
    while :; do
        sleep 5 # between two looks
        read -r alive <"$lab_work/.alive" || continue
        [ $((EPOCHSECONDS - alive)) -lt $((LAB_HANG * 5)) ] || break
    done
    : >"$lab_work/late"
    kill -KILL -- "-$1"
}

# lab_bounded FUNCTION: run it in a process group of its own, which is gone afterwards.
lab_bounded() {
    local group status=0 watchdog
    set -m
    if [ "$LAB_STORY" = always ]; then (set +m; "$1") & else (set +m; "$1") >>"$lab_work/story" 2>&1 & fi
    group=$!
    lab_alive
    lab_watch "$group" &
    watchdog=$!
    set +m
    wait "$group" 2>/dev/null || status=$?
    kill -KILL -- "-$watchdog" 2>/dev/null
    wait "$watchdog" 2>/dev/null
    # What setup spawned stays as long as the network.
    [ "$1" = setup ] || kill -KILL -- "-$group" 2>/dev/null
    return "$status"
}

lab_end_network() {
    local name pids
    if [ -e "$lab_work/wire.pid" ]; then
        kill -KILL "$(cat "$lab_work/wire.pid")" 2>/dev/null
        rm "$lab_work/wire.pid"
    fi
    for name in $(lab_hosts) $([ ! -e "$lab_network/hosts" ] || echo fabric); do
        pids=$(ip netns pids "$name" 2>/dev/null)
        # shellcheck disable=SC2086 # One word an id.
        [ -z "$pids" ] || kill -KILL $pids 2>/dev/null
        # A connection that nobody has any more would hold the namespace, and its rules the module, until it gives up.
        [ ! -e "/run/netns/$name" ] || ip netns exec "$name" ss --tcp --kill --no-header state all >/dev/null 2>&1
        [ ! -e "/run/netns/$name" ] || printf 'netns del %s\n' "$name"
    done | ip -batch -
    rm -rf -- "${lab_network:?}"/*
}

# lab_main [PATTERN]: run the tests of the file, in its order.
lab_main() {
    local pattern=${1:-.} test before status have_network='' ran=0 modules
    local -a tests
    mapfile -t tests < <(sed -nE 's/^test_([a-z0-9_]+)\(\).*/\1/p' "$0")
    mkfifo "$lab_work/wire.in" "$lab_work/wire.out"
    exec {lab_wire_in}<>"$lab_work/wire.in" {lab_wire_out}<>"$lab_work/wire.out"
    trap 'lab_end_network; rm -rf "$lab_work"' EXIT
    trap 'exit 130' INT TERM
    read -ra modules <<<"${LAB_MODULES:-rust_glb_redirect fou fou6 ipip sit ip6_tunnel tun}"
    modprobe -a "${modules[@]}" || exit 1
    : >"$lab_work/failures"
    for test in "${tests[@]}"; do
        [[ $lab_file/$test =~ $pattern ]] || continue
        ran=$((ran + 1))
        lab_test=$test
        before=$(wc -l <"$lab_work/failures")
        : >"$lab_work/story"
        rm -f "$lab_work/late"
        status=0
        if [ -z "$have_network" ] && declare -F setup >/dev/null; then
            lab_bounded setup || { status=$?; not_ok "setup ended with status $status"; }
            have_network=yes
        fi
        [ ! -e "$lab_work/wire.pid" ] || wire 'reset()' >/dev/null
        [ "$status" != 0 ] || lab_bounded "test_$test" || status=$?
        if [ -e "$lab_work/late" ]; then
            not_ok "nothing new for $((LAB_HANG * 5)) s"
        elif [ "$status" != 0 ]; then
            not_ok "ended with status $status"
        fi
        if [ "$(wc -l <"$lab_work/failures")" -gt "$before" ] || [ "$status" != 0 ]; then
            [ "$LAB_STORY" = always ] || sed 's/^/#   /' "$lab_work/story"
            # The next test gets a network that nothing happened to.
            have_network=
        fi
        [ -n "$have_network" ] || lab_end_network
    done
    [ "$ran" -gt 0 ] || exit 3
    # As Python's scenarios: bash itself says 1 where it cannot run the file.
    [ ! -s "$lab_work/failures" ] || exit 4
}
