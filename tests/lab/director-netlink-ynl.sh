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
    check "what the module can" answers '[["gue","gre","ipip","l3dsr"],9,4096,65536]' \
        '[.forward, (.setting | length), ."max-tables", ."max-binds"]' --do features-get
    check "and which rows it can have" answers '[["glb","maglev"],["own","vpp","vpp-sticky","nfqlb","nfqlb-sctp-ports"]]' \
        '[.select, ."flow-hash"]' --do features-get
    check "what a table's rows are" answers '["glb",65536,"own"]' '[.select, ."num-rows", ."flow-hash"]' --do table-get --json '{"index": 0}'
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

test_l3dsr() {
    about "a table by ynl whose packets get a DSCP: what cannot be, and what is said about it"
    fresh
    cat >"$lab_work/l3dsr.py" <<'END'
import sys
sys.path.insert(0, '/ynl/tools/net/ynl/pyynl')
from lib import YnlFamily
glb = YnlFamily('/ynl/Documentation/netlink/specs/glb.yaml', schema='')

def load(vip='192.0.2.1', **more):
    load = glb.do('table-begin', {'tables': 1, 'binds': 1, 'row-bytes': 131072})['transaction']
    table = {'transaction': load, 'table': 0, 'name': 'edge', 'hash-key': b'k' * 16, 'hops': 2,
             'backend': [{'address': '10.0.0.1'}, {'address': '10.0.0.2'}],
             'bind': [{'address': vip, 'proto': 'udp', 'port-start': 53}]}
    table.update(more)
    glb.do('table-add', table)
    for first in range(0, 65536, 16384):
        glb.do('row-set', {'transaction': load, 'table': 0, 'first-row': first, 'rows': bytes([0, 1]) * 16384})
    return glb.do('table-commit', {'transaction': load})['generation']

print('loaded:', load(forward='l3dsr', dscp=63))
for what, more in [
    ('none', {'forward': 'l3dsr'}), ('high', {'forward': 'l3dsr', 'dscp': 64}), ('gre', {'forward': 'gre', 'dscp': 1}),
    ('gue', {'dscp': 1}), ('family', {'forward': 'l3dsr', 'dscp': 1, 'vip': 'fd00::1'}),
]:
    try:
        load(**more)
        print('%s: taken' % what)
    except Exception as refusal:
        print('%s: %s' % (what, ' '.join(str(refusal).split())))
END
    python3 -B "$lab_work/l3dsr.py" >"$lab_work/l3dsr.out"
    check "it is loaded" grep -qx 'loaded: 1' "$lab_work/l3dsr.out"
    check "a table without its DSCP" grep -q '^none: .*forward l3dsr needs the attribute dscp' "$lab_work/l3dsr.out"
    check "a DSCP that is none" grep -q '^high: .*dscp 64: at most 63' "$lab_work/l3dsr.out"
    check "a DSCP with GRE" grep -q '^gre: .*forward gre gives packets no dscp' "$lab_work/l3dsr.out"
    check "a DSCP with GUE" grep -q '^gue: .*forward gue gives packets no dscp' "$lab_work/l3dsr.out"
    check "a bind of the other family" grep -q "^family: .*bind 0 is not of the backends' family" "$lab_work/l3dsr.out"
    check "the table that was loaded stays" answers '[["l3dsr",63],1]' '[[.forward, .dscp], .generation]' \
        --do table-get --json '{"index": 0}'
    check "a packet gets its DSCP" answers '["l3dsr",63]' '[.forward, .dscp]' \
        --do lookup --json '{"dst": "192.0.2.1", "src": "10.11.12.13", "proto": "udp", "dst-port": 53, "src-port": 9}'
}

test_maglev() {
    about "a Maglev table by ynl: the paper's rows, what cannot be, and what is said about it"
    fresh
    cat >"$lab_work/maglev.py" <<'END'
import sys
sys.path.insert(0, '/ynl/tools/net/ynl/pyynl')
from lib import YnlFamily
glb = YnlFamily('/ynl/Documentation/netlink/specs/glb.yaml', schema='')
ROWS = bytes([1, 0, 1, 0, 2, 2, 0])

def begin(row_bytes=7):
    return glb.do('table-begin', {'tables': 1, 'binds': 1, 'row-bytes': row_bytes})['transaction']

def add(load, **more):
    table = {'transaction': load, 'table': 0, 'name': 'nsdi', 'hash-key': b'k' * 16, 'hops': 1, 'forward': 'gre', 'select': 'maglev',
             'num-rows': 7, 'backend': [{'address': '10.0.0.%d' % n} for n in (1, 2, 3)],
             'bind': [{'address': '192.0.2.0', 'prefix-len': 24, 'proto': 'udp', 'port-start': 53}]}
    table.update({name.replace('_', '-'): value for name, value in more.items()})
    glb.do('table-add', {name: value for name, value in table.items() if value is not None})

def rows(load, data, first=0):
    glb.do('row-set', {'transaction': load, 'table': 0, 'first-row': first, 'rows': data})

load = begin()
add(load)
rows(load, ROWS[:3])
rows(load, ROWS[3:], 3)
print(glb.do('table-commit', {'transaction': load})['generation'])

def refused(what, step):
    try:
        step()
        print('%s: taken' % what)
    except Exception as refusal:
        print('%s: %s' % (what, ' '.join(str(refusal).split())))

for what, row_bytes, more in [
    ('select', 7, {'select': 9}), ('hash', 7, {'flow_hash': 9}), ('none', 7, {'num_rows': 0}), ('many', 7, {'num_rows': 655374}),
    ('power', 7, {'flow_hash': 'vpp'}), ('glb', 7, {'select': None}), ('own', 1 << 17, {'select': None, 'num_rows': None, 'hops': 2,
    'flow_hash': 'vpp'}), ('hops', 7, {'forward': 'gue'}), ('room', 6, {}), ('glb hops', 65536, {'select': None, 'num_rows': None}),
    ('huge', 7, {'num_rows': 4294967295}),
]:
    refused(what, lambda: add(begin(row_bytes), **more))

def short():
    load = begin()
    add(load)
    rows(load, ROWS[:6])
    glb.do('table-commit', {'transaction': load})

def long():
    load = begin()
    add(load)
    rows(load, ROWS + b'\0')

def index():
    load = begin()
    add(load)
    rows(load, b'\3' + ROWS[1:])

for what, step in [('short', short), ('long', long), ('index', index)]:
    refused(what, step)
refused('row', lambda: glb.do('row-get', {'table': 0, 'row-number': 7}))
print('row 4: %s' % glb.do('row-get', {'table': 0, 'row-number': 4})['hop'][0]['address'])
END
    python3 -B "$lab_work/maglev.py" >"$lab_work/said" 2>&1
    cat "$lab_work/said"
    check "it is the first load" is 1 "$(head -n 1 "$lab_work/said")"
    local line
    while read -r line; do
        check "refused: $line" grep -q -- "$line" "$lab_work/said"
    done <<'END'
select: .*knows no select 9
hash: .*knows no flow hash 9
none: .*0 rows: must be 1 to 655373
many: .*655374 rows: must be 1 to 655373
power: .*7 rows: must be a power of two
glb: .*7 rows: must be 65536
own: .*only a Maglev table
hops: .*1 hops: at least 2
room: .*more rows than table-begin spoke of
glb hops: .*1 hops: at least 2
huge: .*4294967295 rows: must be 1 to 655373
short: .*6 rows came, of 7
long: .*rows up to 8: the table has 7
index: .*row 0 names a backend that is not one of 3
row: .*row 7: the table has 7
row 4: 10.0.0.3
END
    check "nothing of them is left" shows '.generation == 1 and .loads_under_way == 0 and .bytes_set_aside == 0'
    check "glbctl shows the paper's rows" is '[1,0,1,0,2,2,0]' "$(glbctl --json table show --running --rows | jq -c '.[0].rows')"
    check "a packet goes by them" is '[{"kind":"maglev","size":7},true]' \
        "$(glbctl --json lookup --running 10.11.12.13 192.0.2.9:53 --proto udp | jq -c '[.select, .hashes[0].row < 7]')"
}

lab_main "$@"
