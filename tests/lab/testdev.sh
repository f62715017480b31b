# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What scenarios with the test device share: a network device on which packets of any shape come in (tests/kmod). Source it
# after director.sh. tests/run builds the module for scenarios that source this; for one alone it is
#
#   tests/vm/build -- tests/kmod/build
#   tests/vm/run --file build/stock/kmod/glb_testdev.ko:/kmod/glb_testdev.ko -- /tests/lab/director-aggregates.sh
# shellcheck disable=SC2154 # lab_work comes from lib.sh.

# testdev_load: before the first device.
testdev_load() {
    [ ! -e /sys/module/glb_testdev ] || return 0
    [ -e /kmod/glb_testdev.ko ] || { not_ok "there is /kmod/glb_testdev.ko (tests/lab/testdev.sh says how)"; return 1; }
    insmod /kmod/glb_testdev.ko || lab_step_failed "insmod glb_testdev.ko"
}

# inject HOST DEVICE [FILE]: the lines of FILE, or of standard input, come in on the device as packets.
inject() {
    local lines
    lines=$(cat "${3:-/dev/stdin}")
    say "$1: $(wc -l <<<"$lines") packets come in on $2; the first: ${lines%%$'\n'*}"
    # shellcheck disable=SC2016 # For the shell there; a line is one write.
    quietly_on "$1" sh -c 'while read -r line; do
        echo "$line" >"/sys/class/net/$0/glbtest/inject" || { echo "this did not come in: $line"; exit 1; }
    done' "$2" <<<"$lines" || lab_step_failed "packets come in on $2"
}

# held HOST DEVICE: whether the clone of the packet that came in last is what it was.
held() { quietly_on "$1" cat "/sys/class/net/$2/glbtest/held"; }
