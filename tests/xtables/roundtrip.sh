#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Rules with the target GLBREDIRECT, through every iptables and back: what is typed, kept by the kernel,
# listed, saved and restored is the same rule.
#
#   tests/xtables/roundtrip.sh [PLUGIN0 PLUGIN1]
#
# Runs in the lab, as root, with the module rust_glb_redirect loaded and libxt_GLBREDIRECT.so installed.
# PLUGIN0 is the plugin built with --features only_revision_0. It stands for the one that is deployed, whose
# rules must go on working; PLUGIN1, built with --features only_revision_1, for that of the first rust_glb_redirect. Without
# them those checks are skipped.
#
# All rules live in a network namespace that ends with this script.
#
# shellcheck disable=SC2317 # Most functions are called by check.
# shellcheck disable=SC2001 # sed, for a line at a time.
set -uo pipefail

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/xtables/checks.sh
. "$here/checks.sh"

if [ -z "${GLB_XTABLES_NETNS:-}" ]; then
    [ "$(id -u)" -eq 0 ] || { echo "roundtrip.sh: needs root" >&2; exit 2; }
    GLB_XTABLES_NETNS=1 exec unshare --net "$0" "$@"
fi

readonly match='-p udp -m udp --dport 19523'
readonly target='-j GLBREDIRECT'
# What iptables-nft and iptables-legacy say when they look for a rule that is not there.
readonly no_rule='does a matching rule exist|No chain/target/match by that name'

# rule CHAIN [OPTION...]: the words of the rule as iptables-save writes them.
rule() {
    local chain=$1
    shift
    printf '%s' "$chain $match $target${*:+ $*}"
}

# rules: the rules of the filter table as they are saved, without comments, counters and policies.
rules() { "$save" -t filter | grep -e '^-A'; }

# saved: everything that is saved, but for the comments, which have the time in them.
saved() { "$save" -t filter | grep -v '^#'; }

# listed TEXT: the chain INPUT is listed with a line that ends in TEXT; blanks at the end do not count.
listed() {
    local out
    out=$("$tool" -n -L INPUT) || return
    printf '%s\n' "$out"
    sed 's/ *$//' <<<"$out" | grep -qE -- "GLBREDIRECT .*udp dpt:19523$1\$"
}

# empty: no rule is left.
empty() {
    local out
    out=$("$save" -t filter) || return
    ! grep -e '^-A' <<<"$out"
}

# keep COMMAND...: the command changes nothing that is saved.
keep() {
    local before after
    before=$(saved)
    "$@" || return
    after=$(saved)
    diff <(printf '%s\n' "$before") <(printf '%s\n' "$after")
}

restore_from() { "$restore" <<<"$1"; }

# One rule, through everything that is done with rules. Words are split on purpose: they are the rule.
# shellcheck disable=SC2046,SC2086
check_rule() {
    local name="$tool: $1" option=$2 column=$3 other=$4 text
    check "$name: added" "$tool" -A $(rule INPUT $option)
    check "$name: -S" same "-A $(rule INPUT $option)" "$tool" -S INPUT 1
    check "$name: save" same "-A $(rule INPUT $option)" rules
    check "$name: -L" listed "$column"
    check "$name: -C finds it" "$tool" -C $(rule INPUT $option)
    check "$name: -C does not find another" refused "$no_rule" "$tool" -C $(rule INPUT $other)
    check "$name: -D does not delete another" refused "$no_rule" "$tool" -D $(rule INPUT $other)
    text=$("$save" -t filter)
    check "$name: restored over itself" keep restore_from "$text"
    check "$name: -D" "$tool" -D $(rule INPUT $option)
    check "$name: deleted" empty
    check "$name: restored from nothing" restore_from "$text"
    check "$name: restored is what was saved" same "-A $(rule INPUT $option)" rules
    check "$name: -R by number" keep "$tool" -R INPUT 1 $match $target $option
    check "$name: found after all that" "$tool" -C $(rule INPUT $option)
    "$tool" -F
}

# shellcheck disable=SC2046,SC2086
check_spelling() {
    local name="$tool: another spelling"
    local typed='--allow-hops 10.9.8.7/8,192.0.2.1,FD00:0:0::1/8,2001:db8::1'
    local kept='--allow-hops 10.0.0.0/8,192.0.2.1/32,fd00::/8,2001:db8::1/128'
    check "$name: added" "$tool" -A $(rule INPUT $typed)
    check "$name: saved masked" same "-A $(rule INPUT $kept)" rules
    check "$name: found as saved" "$tool" -C $(rule INPUT $kept)
    check "$name: found as typed" "$tool" -C $(rule INPUT $typed)
    check "$name: deleted as saved" "$tool" -D $(rule INPUT $kept)
    "$tool" -F
}

# shellcheck disable=SC2046,SC2086
check_places() {
    local name="$tool: place"
    check "$name: FORWARD" "$tool" -A $(rule FORWARD)
    check "$name: a chain of the user's" "$tool" -N glb
    check "$name: a rule there" "$tool" -A $(rule glb --allow-hops 10.0.0.0/8)
    check "$name: a jump there from INPUT" "$tool" -A INPUT -p udp -j glb
    "$tool" -F
    "$tool" -X
    # The kernel refuses these; its reason is in the kernel log, and iptables says so.
    local einval='Invalid argument'
    check "$name: OUTPUT is refused" refused "$einval" "$tool" -A $(rule OUTPUT)
    check "$name: raw PREROUTING is refused" refused "$einval" "$tool" -t raw -A $(rule PREROUTING)
    check "$name: mangle POSTROUTING is refused" refused "$einval" "$tool" -t mangle -A $(rule POSTROUTING)
    check "$name: TCP is refused" refused "$einval" "$tool" -A INPUT -p tcp --dport 19523 $target
    check "$name: any protocol is refused" refused "$einval" "$tool" -A INPUT $target
    check "$name: any but UDP is refused" refused "$einval" "$tool" -A INPUT ! -p udp $target
    check "$name: any but UDP with the option is refused" \
        refused "$einval" "$tool" -A INPUT ! -p udp $target --allow-hops 10.0.0.0/8
    check "$name: nothing is left of what was refused" empty
}

# shellcheck disable=SC2046
check_bad_restore() {
    local name="$tool: a bad line in a restore" bad
    "$tool" -A $(rule INPUT --allow-hops 10.0.0.0/8)
    bad=$(printf '*filter\n-A %s\nCOMMIT\n' "$(rule INPUT --allow-hops 10.0.0.0/33)")
    check "$name: is refused with the reason" \
        refused '10.0.0.0/33.*0 to 32' restore_from "$bad"
    check "$name: leaves the old rules" same "-A $(rule INPUT --allow-hops 10.0.0.0/8)" rules
    "$tool" -F
}

# What is asked beyond the own sockets has to be there.
# shellcheck disable=SC2046,SC2086
check_elsewhere() {
    local option
    ip netns add pod-1
    for option in --conntrack '--netns pod-1' '--conntrack --netns pod-1'; do
        check "$tool: $option: added" "$tool" -A $(rule INPUT $option)
        check "$tool: $option: saved" same "-A $(rule INPUT $option)" rules
        check "$tool: $option: found" "$tool" -C $(rule INPUT $option)
        check "$tool: $option: deleted" "$tool" -D $(rule INPUT $option)
    done
    check "$tool: an unknown namespace is refused" refused 'Invalid argument' "$tool" -A $(rule INPUT --netns pod-1,pod-2)
    check "$tool: no rule is left" empty
    ip netns del pod-1
}

# with_old COMMAND...: the command, with an older plugin.
with_old() { XTABLES_LIBDIR=$old_plugins "$@"; }

# old_plugin PLUGIN NAME: from here on that is the older plugin.
system=${XTABLES_LIBDIR:-$(dirname "$(find /usr/lib /usr/local/lib -name libxt_udp.so -o -name libxt_tcp.so | head -n 1)")}
old_plugin() {
    mkdir -p "$work/$2"
    cp "$1" "$work/$2/libxt_GLBREDIRECT.so"
    old_plugins=$work/$2:$system
}

# shellcheck disable=SC2046
check_revision_0() {
    local name="$tool: the deployed plugin"
    check "$name: adds" with_old "$tool" -A $(rule INPUT)
    check "$name: -C" with_old "$tool" -C $(rule INPUT)
    check "$name: saves" same "-A $(rule INPUT)" with_old "$tool" -S INPUT 1
    check "$name: its option is refused" refused 'is not supported by the kernel module' \
        with_old "$tool" -A $(rule INPUT --allow-hops 10.0.0.0/8)
    # iptables-legacy shows a rule of another revision than the plugin's as such.
    if [[ $tool = *-nft ]]; then
        check "$name: its rule is saved by this plugin" same "-A $(rule INPUT)" rules
    fi
    check "$name: deletes" with_old "$tool" -D $(rule INPUT)
    check "$name: deleted" empty
}

# A rule that the first rust_glb_redirect made lives on, and is saved as it was.
# shellcheck disable=SC2046,SC2086
check_revision_1() {
    local name="$tool: the plugin before" option='--allow-hops 10.0.0.0/8,fd00::/8'
    check "$name: adds" with_old "$tool" -A $(rule INPUT $option)
    check "$name: -C" with_old "$tool" -C $(rule INPUT $option)
    check "$name: saves" same "-A $(rule INPUT $option)" with_old "$tool" -S INPUT 1
    check "$name: a newer option is refused" refused 'fewer options .revision 1.' \
        with_old "$tool" -A $(rule INPUT --syn-listener)
    if [[ $tool = *-nft ]]; then
        check "$name: its rule is saved by this plugin" same "-A $(rule INPUT $option)" rules
    fi
    check "$name: deletes" with_old "$tool" -D $(rule INPUT $option)
    check "$name: deleted" empty
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sixteen=$(prefixes 16)
another="--allow-hops 10.0.0.0/8"
for tool in iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy; do
    save=$tool-save
    restore=$tool-restore
    check_rule 'no option' '' '' "$another"
    check_rule 'one prefix' '--allow-hops 10.0.0.0/8' ' allow-hops 10\.0\.0\.0/8' ''
    check_rule 'both families' '--allow-hops 10.0.0.0/8,fd00::/8' \
        ' allow-hops 10\.0\.0\.0/8,fd00::/8' '--allow-hops fd00::/8,10.0.0.0/8'
    check_rule '16 prefixes' "--allow-hops $sixteen" " allow-hops $sixteen" "$another"
    check_rule 'everything' '--allow-hops 0.0.0.0/0,::/0' ' allow-hops 0\.0\.0\.0/0,::/0' ''
    check_rule 'a flag' '--syn-listener' ' syn-listener' '--udp'
    check_rule 'the other flag' '--udp' ' udp' ''
    check_rule 'flags and prefixes' '--allow-hops 10.0.0.0/8,fd00::/8 --syn-listener --udp' \
        ' allow-hops 10\.0\.0\.0/8,fd00::/8 syn-listener udp' '--allow-hops 10.0.0.0/8,fd00::/8 --syn-listener'
    check_elsewhere
    check_spelling
    check_bad_options "$tool" "$tool" -A INPUT -p udp --dport 19523 -j GLBREDIRECT
    check "$tool: no bad option left a rule" empty
    check_bad_restore
    check_places
    if [ $# -ge 1 ]; then
        old_plugin "$1" 0
        check_revision_0
    fi
    if [ $# -ge 2 ]; then
        old_plugin "$2" 1
        check_revision_1
    fi
done
finish
