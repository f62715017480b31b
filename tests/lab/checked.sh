# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For scenarios that run with the modules that check what their code takes for granted (kernel/shim/checks.h, `make modules
# CHECKS=1`). A check that fails is a warning of the kernel, which ends the run. Source it after lib.sh.

# What the modules need; they themselves are not those of /lib/modules.
# shellcheck disable=SC2034 # For lib.sh.
LAB_MODULES="x_tables fou fou6 ipip sit ip6_tunnel tun"

# checked_module NAME: the module with checks, in place of the one that may be loaded.
checked_module() {
    [ -e "/checked/$1.ko" ] || { echo "this scenario needs /checked/$1.ko: tests/run passes it in" >&2; return 1; }
    run unload "$1"
    run insmod "/checked/$1.ko"
}

# unload NAME: takes a module out, once namespaces that are on their way out have let it go.
unload() {
    [ ! -e "/sys/module/$1" ] || eventually rmmod "$1"
}
