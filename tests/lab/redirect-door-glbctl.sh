#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The redirect without iptables, as an operator switches it: glbctl redirect. (That its verdicts are the target's, one by
# one, is redirect-door-verdict.sh: redirect-verdict.sh by another name, which lib.sh's `redirects` goes by.)
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"
export LAB_MODULES='rust_glb_redirect fou fou6 ipip sit ip6_tunnel tun'

setup() {
    host director 65.65.65.65 -
    proxy proxy1 3.4.5.6 -
    host proxy2 2.3.4.5 -
    on proxy1 glbctl redirect off
}

readonly IN=45000050000040004011b0114141414103040506eed34c43003c00000204000000000001020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000
readonly OUT=450000500000400040112c8c0304050602030405eed34c43003c00000204000000000101020304054500002800010000400662b60a0b0c0d01010101b26e0050000000000000000050102000c4fc0000

# redirect COMMAND...: glbctl on proxy1.
redirect() { quietly_on proxy1 glbctl redirect "$@"; }
is_off() { is '{"enabled":false}' "$(redirect status --json | jq -c .)"; }

test_door() {
    about "Once switched on it gives the target's verdicts and counters, by the hops that are allowed; off, it does nothing."
    check "it is off" is off "$(redirect status)"
    snapshot proxy1
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "nothing is passed on" wire "nothing('proxy2')"
    expect_counters proxy1

    check "on says nothing" is "" "$(redirect on --port 19523)"
    check "status says so" is 'on: UDP port 19523, any hop' "$(redirect status)"
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "proxy2 gets the vector's bytes" wire "expect('proxy2', bytes.fromhex('$OUT'))"
    expect_counters proxy1 forwarded_to_alternate=+1 forwarded_bytes=+80
    wire "send('director', 'proxy1', tunnel('3.4.5.6', ip('10.11.12.13', '$VIP4', tcp(45678, 80, 'S')), ['2.3.4.5']))"
    check "a SYN stays" wire "nothing('proxy2')"
    expect_counters proxy1 accepted_syn=+1
    check "another namespace has none" is off "$(quietly_on director glbctl redirect status)"

    redirect on --allow-hops 9.0.0.0/8,fd00::/64
    check "the new settings are told" is '{"enabled":true,"port":19523,"allow_hops":["9.0.0.0/8","fd00::/64"]}' \
        "$(redirect status --json | jq -c .)"
    snapshot proxy1
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "a hop outside gets nothing" wire "nothing('proxy2')"
    expect_counters proxy1 dropped_hop_not_allowed=+1
    redirect on --allow-hops 2.3.4.5
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "a hop inside gets it" wire "expect('proxy2', bytes.fromhex('$OUT'))"
    expect_counters proxy1 forwarded_to_alternate=+1 forwarded_bytes=+80

    redirect on --port 6080
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "another port leaves this one alone" wire "nothing('proxy2')"
    expect_counters proxy1

    redirect on
    check "off" is "" "$(redirect off)"
    check "it is off" is_off
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "nothing is passed on any more" wire "nothing('proxy2')"
    expect_counters proxy1
    check "off twice is refused" exits 1 redirect off
    check "and says why" says 'the redirect is off' redirect off
}

test_options() {
    about "What asks more is told by status, in the words of the command; each \`on\` replaces all of it."
    check "on" redirect on --syn-listener --udp
    check "text" is 'on: UDP port 19523, any hop, --syn-listener, --udp' "$(redirect status)"
    check "JSON" is '{"enabled":true,"port":19523,"allow_hops":[],"syn_listener":true,"udp":true}' "$(redirect status --json | jq -c .)"
    check "without it" redirect on --allow-hops 9.0.0.0/8
    check "it is gone" is '{"enabled":true,"port":19523,"allow_hops":["9.0.0.0/8"]}' "$(redirect status --json | jq -c .)"
    check "what excludes each other is refused" exits 2 redirect on --conntrack --syn-listener
    check "so is a name that nobody has" says 'no network namespace of this name' redirect on --netns pod-0
    ip_on root <<<"$(seq -f 'netns add pod-%g' 17)"
    check "17 names are too many" says 'more than 16 network namespaces' redirect on --netns "$(seq -s , -f 'pod-%g' 17)"
    check "a name twice is refused" says 'a network namespace is named twice' redirect on --netns pod-1,pod-2,pod-1
    local bad
    for bad in '' . .. /run/netns/pod-1 "$(printf 'n%.0s' {1..64})"; do
        check "no name: '$bad'" exits 2 redirect on --netns "$bad"
    done
    check "nothing of it had an effect" is '{"enabled":true,"port":19523,"allow_hops":["9.0.0.0/8"]}' "$(redirect status --json | jq -c .)"
    check "16 names" redirect on --netns "$(seq -s , -f 'pod-%g' 16)"
    check "they are told" is 16 "$(redirect status --json | jq '.netns | length')"
    modprobe nf_conntrack
    check "without them" redirect on --conntrack
    check "they are gone" is '{"enabled":true,"port":19523,"allow_hops":[],"conntrack":true}' "$(redirect status --json | jq -c .)"
    redirect off
    ip_on root <<<"$(seq -f 'netns del pod-%g' 17)"
}

test_stats() {
    about "The counters are those of /proc, in its order."
    redirect on
    wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    check "text" is "$(counters proxy1 | tr -d :)" "$(redirect stats | tr -s ' ')"
    check "JSON" is "$(counters proxy1)" "$(redirect stats --json | jq -r 'to_entries[] | "\(.key): \(.value)"')"
    redirect stats --watch 0.5 >"$lab_work/watched" &
    local watcher=$!
    check "what changes is shown with its rate" eventually shows_rate
    kill "$watcher"
    redirect off
}

# shows_rate: of packets that come while it watches.
shows_rate() {
    quietly_wire "send('director', 'proxy1', bytes.fromhex('$IN'))"
    grep -q '^forwarded_to_alternate_packets .*/s$' "$lab_work/watched"
}

test_usage() {
    about "Options that make no sense are told before anything is touched, with status 2; what the kernel refuses has status 1."
    local bad
    for bad in '--port 0' '--port 65536' '--port x' '--allow-hops 10.0.0.0/33' '--allow-hops fd00::/129' \
        '--allow-hops host/8' '--allow-hops 10.0.0.0/' '--allow-hops' '--nonsense'; do
        # shellcheck disable=SC2086 # Several words.
        check "on $bad" exits 2 redirect on $bad
    done
    check "no command" exits 2 redirect
    check "stats --watch 0" exits 2 redirect stats --watch 0
    check "17 prefixes are too many" says 'on: allow-hop[16]: more than 16 prefixes' \
        redirect on --allow-hops "$(seq -s , -f '10.%g.0.0/16' 17)"
    check "with status 1" exits 1 redirect on --allow-hops "$(seq -s , -f '10.%g.0.0/16' 17)"
    check "nothing of it had an effect" is_off
    check "16 are not" redirect on --allow-hops "$(seq -s , -f '10.%g.0.0/16' 16)"
    redirect off
}

test_privileges() {
    about "Switching takes CAP_NET_ADMIN in the namespace; looking takes nothing."
    local refused='needs CAP_NET_ADMIN'
    check "on is refused" says "$refused" nobody on
    check "off is refused" says "$refused" nobody off
    check "the status is 1" exits 1 nobody on
    check "status is for all" is off "$(nobody status)"
    check "so are counters" nobody stats
    check "nothing happened" is_off
}
nobody() { quietly_on proxy1 setpriv --reuid 65534 --clear-groups --inh-caps=-all glbctl redirect "$@"; }

test_no_module() {
    about "Without the module, looking says which one is missing; switching on has the kernel load it."
    # It cannot go while a rule uses it. Here is none, but a namespace of an earlier file may still be on its way out.
    if ! eventually rmmod rust_glb_redirect 2>/dev/null; then
        skip "a rule of a namespace that is on its way out still uses the module: tests/run --only redirect-door-glbctl"
        return 0
    fi
    check "status says what to do" says 'modprobe rust_glb_redirect' redirect status
    check "so does stats" says 'modprobe rust_glb_redirect' redirect stats
    check "so does off" says 'modprobe rust_glb_redirect' redirect off
    check "nothing was loaded by that" fails grep -q '^rust_glb_redirect ' /proc/modules
    check "on loads it" redirect on
    check "and is on" is 'on: UDP port 19523, any hop' "$(redirect status)"
    check "a module whose hook is on can go" rmmod rust_glb_redirect
    mkdir -p /run/modprobe.d
    printf 'blacklist rust_glb_redirect\n' >/run/modprobe.d/glb-test.conf
    check "where modprobe's configuration forbids it, on says what to do" says 'modprobe rust_glb_redirect' redirect on
    rm /run/modprobe.d/glb-test.conf
    modprobe rust_glb_redirect
}

lab_main "$@"
