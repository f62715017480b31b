#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The options of the iptables extension, without the kernel module and without privileges.
#
#   tests/xtables/options.sh PLUGIN [PLUGIN0 PLUGIN1]
#
#   PLUGIN    libxt_glbredirect_plugin.so as cargo built it
#   PLUGIN0   the same, built with --features only_revision_0: the deployed plugin's twin
#   PLUGIN1   the same, built with --features only_revision_1: that of the first rust_glb_redirect
#
# iptables-translate parses rules as iptables does and takes every revision for known to the kernel, so
# all errors of the parser can be had from it. What needs a kernel is in roundtrip.sh.
#
# shellcheck disable=SC2317 # Some functions are called by check.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/xtables/checks.sh
. "$here/checks.sh"

[ $# -ge 1 ] || { sed -n '4,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# install_plugin PLUGIN DIRECTORY: make the plugin the one that iptables loads.
system=$(pkg-config --variable=xtlibdir xtables)
install_plugin() {
    mkdir -p "$work/$2"
    cp "$1" "$work/$2/libxt_GLBREDIRECT.so"
}
use() { export XTABLES_LIBDIR=$work/$1:$system; }

# shows TEXT COMMAND...: the command succeeds and its output has a line with the text.
shows() {
    local text=$1
    shift
    "$@" | grep -F -- "$text"
}

install_plugin "$1" both
use both
for tool in iptables ip6tables; do
    translate=$tool-translate
    rule=(-A INPUT -p udp --dport 19523 -j GLBREDIRECT)
    check "$tool: help" shows '--allow-hops PREFIX[,PREFIX...]' "$tool" -j GLBREDIRECT -h
    check "$tool: no option" same "nft # ${rule[*]} " "$translate" "${rule[@]}"
    check "$tool: one prefix" "$translate" "${rule[@]}" --allow-hops 10.0.0.0/8
    check "$tool: 16 prefixes" "$translate" "${rule[@]}" --allow-hops "$(prefixes 16)"
    check "$tool: everything of both families" "$translate" "${rule[@]}" --allow-hops 0.0.0.0/0,::/0
    for option in syn-listener udp conntrack 'netns NAME[,NAME...]'; do
        check "$tool: help about --$option" shows "--$option " "$tool" -j GLBREDIRECT -h
    done
    for option in --syn-listener --udp --conntrack '--netns pod-1,pod-2' "--netns $(names 16)"; do
        # shellcheck disable=SC2086 # Options are words.
        check "$tool: $option" "$translate" "${rule[@]}" $option
    done
    check "$tool: all options" "$translate" "${rule[@]}" --netns a --udp --allow-hops 10.0.0.0/8 --syn-listener
    check "$tool: all others" "$translate" "${rule[@]}" --netns a --udp --allow-hops 10.0.0.0/8 --conntrack
    check_bad_options "$tool" "$translate" "${rule[@]}"
done

if [ $# -ge 2 ]; then
    install_plugin "$2" old
    use old
    check "revision 0: no option" iptables-translate "${rule[@]}"
    check "revision 0: the option is refused" \
        refused 'is not supported by the kernel module that is loaded' \
        iptables-translate "${rule[@]}" --allow-hops 10.0.0.0/8
fi
if [ $# -ge 3 ]; then
    install_plugin "$3" older
    use older
    check "revision 1: its option" iptables-translate "${rule[@]}" --allow-hops 10.0.0.0/8
    for option in --syn-listener --udp --conntrack '--netns pod-1'; do
        # shellcheck disable=SC2086 # Options are words.
        check "revision 1: $option is refused" \
            refused "\"${option%% *}\" is not supported by the kernel module that is loaded.*fewer options .revision 1." \
            iptables-translate "${rule[@]}" $option
    done
fi
finish
