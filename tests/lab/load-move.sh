#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A thousand HTTP connections whose packets move from one proxy to the other and back, while they are busy.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/load.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/load.sh"
# 45 seconds on two idle processors; those of others' tests are not idle.
# A slower kernel gets fewer, and each asks for less.
readonly DOWNLOADS=$((500 / LAB_SLOWER)) KEPT=$((500 / LAB_SLOWER)) NEW=$((40 / LAB_SLOWER)) SECOND=$((100 / LAB_SLOWER))
readonly ALL=$((DOWNLOADS + KEPT))
export WEB_RATE=$((2048 / LAB_SLOWER))

setup() { fleet; }

test_thousand_connections() {
    local syns ends
    about "Of 1,000 connections (a slower kernel gets fewer) in mid-flight none breaks when the director swaps the order of the proxies."
    start_director -- "$PROXY1" "$PROXY2"
    web proxy1 proxy2
    snapshot proxy1 proxy2
    hold downloads --connections $DOWNLOADS --path /slow --body "$lab_work/www/slow"
    hold kept --connections $KEPT --path /page --body "$lab_work/www/page" --pause 4000
    check "$DOWNLOADS downloads are under way" becomes_busy downloads
    check "$KEPT connections had a response" becomes_busy kept
    # What waits for long is sent twice; the client's kernel counts that.
    expect_growth proxy1 accepted_syn=+$ALL..$((ALL + $(sent_again client TcpExtTCPSynRetrans))) accepted_established=+$ALL..99999999
    expect_counters proxy2

    order "$PROXY2" "$PROXY1"
    check "each of $ALL connections goes on" goes_on downloads kept
    # Every packet of the old connections comes by proxy2 now, and proxy1 still has them all.
    syns=$(sent_again client TcpExtTCPSynRetrans) ends=$(sent_again proxy2 TcpRetransSegs)
    hold new --connections $NEW --once --path /page --body "$lab_work/www/page"
    check "$NEW new connections were served" ended new
    check "all by proxy2" told new "server proxy2: $NEW"
    syns=$(($(sent_again client TcpExtTCPSynRetrans) - syns)) ends=$(($(sent_again proxy2 TcpRetransSegs) - ends))
    expect_growth proxy2 accepted_syn=+$NEW..$((NEW + syns)) accepted_established=+$NEW..99999999 forwarded_to_alternate=+$ALL..99999999
    # A closed connection can leave late ACKs behind, which no proxy knows any more: of its end, and of an end that is told again.
    expect_growth proxy1 accepted_established=+$ALL..99999999 accepted_last_resort=+0..$((2 * NEW + ends))

    # And back, with connections of proxy2 busy too.
    hold second --connections $SECOND --path /slow --body "$lab_work/www/slow"
    check "$SECOND downloads from proxy2 are under way" becomes_busy second
    order "$PROXY1" "$PROXY2"
    check "each of $((ALL + SECOND)) connections goes on" goes_on downloads kept second
    expect_growth proxy1 forwarded_to_alternate=+$SECOND..99999999 accepted_established=+$ALL..99999999 accepted_last_resort=+0..$((2 * NEW + ends))
    check "the downloads ended whole" held downloads
    check "the kept connections ended in order" held kept
    check "the second downloads ended whole" held second
    check "every download came from proxy1" told downloads "server proxy1: $DOWNLOADS"
    check "every kept connection stayed with proxy1" told kept "server proxy1: $KEPT"
    check "every second download came from proxy2" told second "server proxy2: $SECOND"
    end_director
}

lab_main "$@"
