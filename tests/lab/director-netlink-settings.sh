#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Settings of the director: each is set, shown, written to director.conf, and there again after the next boot.
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"

# Another value than the default for every setting, as glbctl takes it.
readonly OTHERS='source-v4 10.0.0.9
source-v6 fd00::9
gateway-mac 02:00:00:00:00:09
hash-fields src_addr,dst_port
alt-hash-fields src_port
forward-icmp-ping-responses false
udp-port 19524
udp-checksum true
segment-tcp true'

# config: what the director has, a line each.
config() { glbctl config show | sed 's/  */ /'; }
# changed DEFAULT NAME VALUE: these lines with another value of one setting.
changed() { awk -v name="$2" -v value="$3" '{ print $1 == name ? name " " value : $0 }' <<<"$1"; }

test_each() {
    about "each setting is set alone, is told to listeners, and goes back"
    fresh
    local default name value
    default=$(config)
    check "there is a value for every setting" is "$(cut -d ' ' -f 1 <<<"$default")" "$(cut -d ' ' -f 1 <<<"$OTHERS")"
    while read -r name value; do
        check "$name is set" glbctl config set "--$name" "$value"
        check "the others stay" is "$(changed "$default" "$name" "$value")" "$(config)"
        check "and back" glbctl config set "--$name" "$(sed -n "s/^$name //p" <<<"$default")"
        check "all is as it was" is "$default" "$(config)"
    done <<<"$OTHERS"
}

test_boot() {
    about "what config show --file writes is there again after the module was gone; what a file does not name is at its default"
    fresh
    local default name value options=()
    default=$(config)
    while read -r name value; do options+=("--$name" "$value"); done <<<"$OTHERS"
    run glbctl config set "${options[@]}"
    check "all are set" is "$OTHERS" "$(config)"
    echo '{"outbound_src_ip": "10.9.9.9", "statsd_port": 28125}' >"$lab_work/director.conf"
    check "they are written to a file" glbctl config show --file "$lab_work/director.conf"
    check "what is no setting of the kernel's stays" is 28125 "$(jq .statsd_port "$lab_work/director.conf")"
    check "to standard output, too" is 19524 "$(glbctl config show --file - | jq .udp_port)"
    check "the file is judged good" glbctl config check "$lab_work/director.conf"
    fresh
    check "a new module has none of it" is "$default" "$(config)"
    check "the file is loaded" glbctl config load "$lab_work/director.conf"
    check "all is there again" is "$OTHERS" "$(config)"
    echo '{"source_v4": null}' >"$lab_work/director.conf"
    check "a file that names nothing" glbctl config load "$lab_work/director.conf"
    check "is all defaults" is "$default" "$(config)"
    echo '{"outbound_src_ip": "10.9.9.9", "udp_port": 0}' >"$lab_work/director.conf"
    check "a bad file is refused" says 'udp_port: 0: must be' glbctl config load "$lab_work/director.conf"
    check "and changes nothing" is "$default" "$(config)"
}

test_refused() {
    about "the kernel itself refuses what no setting can be, whoever asks"
    fresh
    check "no source is a loopback address" says 'not the address of a host' glbctl config set --source-v4 127.0.0.1
    check "none is a multicast address" says 'not the address of a host' glbctl config set --source-v6 ff02::1
    check "nor a gateway's" says "multicast address is no gateway's" glbctl config set --gateway-mac 01:00:00:00:00:01
    check "nothing to set is a usage error" exits 2 glbctl config set
}

lab_main "$@"
