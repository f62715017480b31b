#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# tests/xtables/roundtrip.sh, which has its own namespace and its own lines.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"

test_roundtrip() {
    about "Rules by every iptables, typed, listed, saved and restored; bad ones refused."
    local line old=(/plugin0/libxt_GLBREDIRECT.so /plugin1/libxt_GLBREDIRECT.so) status=0
    [ -e "${old[0]}" ] || { say "no ${old[0]}: without the older plugins' checks"; old=(); }
    while read -r line; do
        case $line in
            'ok - '*) ok "${line#ok - }" ;;
            'not ok - '*) not_ok "${line#not ok - }" ;;
            *) printf '%s\n' "$line" ;;
        esac
    done < <("$lab_dir/../xtables/roundtrip.sh" ${old[@]+"${old[@]}"} 2>&1; echo "status $?" >"$lab_work/status")
    read -r _ status <"$lab_work/status"
    check "it ended in order" [ "$status" -le 1 ]
}

lab_main "$@"
