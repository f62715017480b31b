#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The longest chains that the format has room for.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/redirect.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/redirect.sh"
# shellcheck source=tests/lab/chain.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/chain.sh"

test_seven_of_ipv6() {
    about "Seven hops, the most that fit with an IPv6 underlay."
    chain 7
    quietly_wire "o, i = 6, 4"
    walk 7 7
    quietly_wire "o, i = 6, 6"
    walk 7 5
}

test_thirty() {
    about "Thirty hops, the most that fit: thirty-one proxies in a row."
    IP6TABLES='' chain 30
    quietly_wire "o, i = 4, 4"
    walk 30 30
}

lab_main "$@"
