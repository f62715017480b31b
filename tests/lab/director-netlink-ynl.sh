#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own tool for netlink drives the director, by nothing but spec/glb.yaml. It comes from the kernel's source
# (tests/vm/ynl).
#
# shellcheck source=tests/lab/lib.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck source=tests/lab/netlink.sh source-path=SCRIPTDIR/../..
. "$(dirname "$(readlink -f "$0")")/netlink.sh"

# ynl OPTION...: the tool; its answers are JSON.
ynl() {
    python3 -B /ynl/tools/net/ynl/pyynl/cli.py --spec /ynl/Documentation/netlink/specs/glb.yaml --no-schema --output-json "$@"
}

# answers JSON FILTER OPTION...: for check: what the tool says about the answer, by jq's FILTER, is JSON.
answers() {
    local want=$1 filter=$2
    shift 2
    is "$want" "$(ynl "$@" | jq -c "$filter")"
}

test_commands() {
    about "settings, devices, tables and look-ups by ynl agree with glbctl"
    fresh
    tables t.json api .4
    run glbctl table load "$lab_work/t.json"
    check "settings are changed" ynl --do config-set \
        --json '{"source-v4": "65.65.65.65", "gateway-mac": "02:00:00:00:00:09", "alt-hash-fields": ["src-port"]}'
    check "glbctl sees them" shows '.config | .source_v4 == "65.65.65.65" and .alt_hash_fields == ["src_port"]'
    check "ynl sees them" answers '["65.65.65.65","02:00:00:00:00:09",19523]' \
        '[."source-v4", ."gateway-mac", ."udp-port"]' --do config-get
    check "a device is attached" ynl --do attach --json '{"ifname": "lo"}'
    check "and listed" answers '[{"ifindex":1,"ifname":"lo"}]' . --dump device-get
    check "a second time is refused, by name" says "bad-attr" ynl --do attach --json '{"ifname": "lo"}'
    check "a table by its name" answers '["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]' '[.backend[].address]' \
        --do table-get --json '{"name": "api"}'
    check "its binds" answers '[["1.1.1.1",80],["1.1.2.0",10]]' '[.[].bind[] | [.address, ."port-start"]]' --dump bind-get
    check "where a packet would go" answers "$(hops --running 10.11.12.13:9)" '[.hop[].address]' \
        --do lookup --json '{"dst": "1.1.1.1", "src": "10.11.12.13", "proto": "tcp", "dst-port": 80, "src-port": 9}'
    check "counters" answers '"total_packets"' '.counter[0].name' --do stats-get
    check "what the module can" answers '[["gue","gre","ipip"],9,4096,65536]' \
        '[.forward, (.setting | length), ."max-tables", ."max-binds"]' --do features-get
    check "what is missing is named" says "row-bytes" ynl --do table-begin --json '{"tables": 1, "binds": 1}'
}

test_load() {
    about "a whole transaction by ynl"
    fresh
    cat >"$lab_work/load.py" <<'END'
import sys
sys.path.insert(0, '/ynl/tools/net/ynl/pyynl')
from lib import YnlFamily
glb = YnlFamily('/ynl/Documentation/netlink/specs/glb.yaml', schema='')
load = glb.do('table-begin', {'tables': 1, 'binds': 1, 'row-bytes': 131072})['transaction']
glb.do('table-add', {'transaction': load, 'table': 0, 'name': 'by-ynl', 'hash-key': b'k' * 16, 'hops': 2,
                     'backend': [{'address': '10.0.0.1'}, {'address': '10.0.0.2', 'state': 'draining', 'healthy': 0}],
                     'bind': [{'address': '192.0.2.0', 'prefix-len': 24, 'proto': 'udp', 'port-start': 53}]})
for first in range(0, 65536, 16384):
    glb.do('row-set', {'transaction': load, 'table': 0, 'first-row': first, 'rows': bytes([0, 1]) * 16384})
print(glb.do('table-commit', {'transaction': load})['generation'])
load = glb.do('table-begin', {'tables': 1, 'binds': 0, 'row-bytes': 131072})['transaction']
try:
    glb.do('table-add', {'transaction': load, 'table': 0, 'name': 'later', 'hash-key': b'k' * 16, 'hops': 2, 'forward': 200,
                         'backend': [{'address': '10.0.0.1'}]})
except Exception as refusal:
    print(refusal, file=open(sys.argv[1], 'w'))
END
    check "it is the first load" is 1 "$(python3 -B "$lab_work/load.py" "$lab_work/refusal")"
    check "a forward that the module does not know is named" grep -q 'knows no forward 200' "$lab_work/refusal"
    check "as not supported" grep -qi 'not supported' "$lab_work/refusal"
    check "glbctl shows its table" is '["by-ynl","udp 192.0.2.0/24 port 53"]' \
        "$(glbctl --json table show --running | jq -c '[.[0].table, .[0].binds[0]]')"
    check "packets go its way" is '["10.0.0.1","10.0.0.2"]' \
        "$(glbctl --json lookup --running 10.11.12.13 192.0.2.9:53 --proto udp | jq -c '[.hops[].ip]')"
}

lab_main "$@"
