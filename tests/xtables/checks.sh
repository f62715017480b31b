# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2001 # sed, for a line at a time.
#
# What the tests of the iptables extension share: one line of output per check, and a count of failures.

failures=0

# check WHAT COMMAND...: the command succeeds.
check() {
    local what=$1 out
    shift
    if out=$("$@" 2>&1); then
        printf 'ok - %s\n' "$what"
    else
        printf '#   %s\n' "$*"
        sed 's/^/#   /' <<<"$out"
        printf 'not ok - %s\n' "$what"
        failures=$((failures + 1))
    fi
}

# refused PATTERN COMMAND...: the command fails, and its output has a line that matches the pattern.
refused() {
    local pattern=$1 out
    shift
    if out=$("$@" 2>&1); then
        printf '%s\n' "it was accepted"
        return 1
    fi
    printf '%s\n' "$out"
    grep -qE -- "$pattern" <<<"$out"
}

# same EXPECTED COMMAND...: the command succeeds, and its output is what is expected.
same() {
    local expected=$1 out
    shift
    out=$("$@") || return
    [ "$out" = "$expected" ] || diff <(printf '%s\n' "$expected") <(printf '%s\n' "$out")
}

# prefixes N: a value of --allow-hops with N prefixes.
prefixes() {
    local i list=()
    for ((i = 1; i <= $1; i++)); do
        if ((i % 2)); then list+=("10.$i.0.0/16"); else list+=("fd00:$i::/32"); fi
    done
    (IFS=,; printf '%s\n' "${list[*]}")
}

# names N: a value of --netns with N names.
names() {
    local i list=()
    for ((i = 1; i <= $1; i++)); do list+=("pod-$i"); done
    (IFS=,; printf '%s\n' "${list[*]}")
}

# check_bad_options NAME COMMAND...: each mistake in the options gets iptables' usual error. The
# command is one that adds a rule, up to and including -j GLBREDIRECT.
check_bad_options() {
    local name=$1 bad='Bad value for "--allow-hops" option: '
    shift
    check "$name: unknown option" refused 'unknown option "--bogus"' "$@" --bogus
    check "$name: missing value" refused 'option "--allow-hops" requires an argument' "$@" --allow-hops
    check "$name: empty value" refused "$bad\"\": a prefix of the list is empty" "$@" --allow-hops ''
    check "$name: empty item" refused "$bad.*: a prefix of the list is empty" "$@" --allow-hops 10.0.0.0/8,,fd00::/8
    check "$name: empty last item" refused "$bad.*: a prefix of the list is empty" "$@" --allow-hops 10.0.0.0/8,
    check "$name: no address" refused "$bad\"proxy1\": not an IPv4 or IPv6 address" "$@" --allow-hops proxy1
    check "$name: blank before an item" refused "$bad\" fd00::/8\": not an" "$@" --allow-hops '10.0.0.0/8, fd00::/8'
    check "$name: length 33" refused "$bad\"10.0.0.0/33\": .* 0 to 32" "$@" --allow-hops 10.0.0.0/33
    check "$name: length 129" refused "$bad\"fd00::/129\": .* 0 to 128" "$@" --allow-hops fd00::/129
    check "$name: length with a sign" refused "$bad\"10.0.0.0/\\+8\"" "$@" --allow-hops 10.0.0.0/+8
    check "$name: mask" refused "$bad\"10.0.0.0/255.0.0.0\"" "$@" --allow-hops 10.0.0.0/255.0.0.0
    check "$name: duplicate" refused "$bad.*10.0.0.0/8 stands there twice" "$@" --allow-hops 10.1.0.0/8,10.2.0.0/8
    check "$name: 17 prefixes" refused "$bad.*more than 16 prefixes" "$@" --allow-hops "$(prefixes 17)"
    check "$name: option twice" refused 'option "--allow-hops" can only be used once' \
        "$@" --allow-hops 10.0.0.0/8 --allow-hops fd00::/8
    check "$name: inverted option" refused 'option "--allow-hops" cannot be inverted' "$@" ! --allow-hops 10.0.0.0/8
    local option
    for option in syn-listener udp conntrack; do
        check "$name: --$option twice" refused "option \"--$option\" can only be used once" "$@" "--$option" "--$option"
        check "$name: --$option inverted" refused "option \"--$option\" cannot be inverted" "$@" ! "--$option"
    done
    check "$name: who listens behind DNAT" refused 'exclude each other: DNAT hides who listens' "$@" --conntrack --syn-listener
    bad='Bad value for "--netns" option: '
    check "$name: no name" refused 'option "--netns" requires an argument' "$@" --netns
    check "$name: empty name" refused "$bad\"\": a name of the list is empty" "$@" --netns ''
    check "$name: empty last name" refused "$bad.*: a name of the list is empty" "$@" --netns pod-1,
    check "$name: a path" refused "$bad\"/run/netns/pod-1\": not the name of a network namespace" "$@" --netns /run/netns/pod-1
    check "$name: a directory" refused "$bad\"..\": not the name" "$@" --netns pod-1,..
    check "$name: 64 bytes" refused "$bad.*at most 63 bytes" "$@" --netns "$(printf 'n%.0s' {1..64})"
    check "$name: one name twice" refused "$bad.*pod-1 stands there twice" "$@" --netns pod-1,pod-2,pod-1
    check "$name: 17 names" refused "$bad.*more than 16 network namespaces" "$@" --netns "$(names 17)"
    check "$name: two lists" refused 'option "--netns" can only be used once' "$@" --netns pod-1 --netns pod-2
}

# finish: the exit status of the script.
finish() {
    if [ "$failures" -eq 0 ]; then
        exit 0
    fi
    printf '# %s failed\n' "$failures"
    exit 1
}
