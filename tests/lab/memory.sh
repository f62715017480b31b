# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Whether a load left memory or messages of the kernel behind. Source it after lib.sh.
# shellcheck disable=SC2154 # lab_* come from lib.sh.

# How much may differ, in kB: caches of the kernel breathe, a leak of one object a packet is far more than this.
readonly MEMORY_SLACK=(Slab:3072 SUnreclaim:3072 Percpu:64 KernelStack:256)

# memory_mark: what the kernel has now.
memory_mark() {
    memory_now >"$lab_work/memory"
    memory_slabs >"$lab_work/slabs"
}

memory_now() {
    # What can be given back is no leak, nor what waits for a grace period: to drop caches also has the kernel begin to free
    # that, and a device that goes waits until what was begun is done.
    local round
    sync
    for round in 1 2; do
        echo 3 >/proc/sys/vm/drop_caches
        ip link add "grace$round" type veth peer name "ecarg$round"
        ip link del "grace$round"
    done
    cat /proc/meminfo
}

# memory_kept: none of the kernel's kinds of memory grew since the mark, but for the slack.
memory_kept() {
    local round
    if [ -e /sys/kernel/debug/kmemleak ]; then
        # Freed memory waits in KASAN's quarantine and says nothing; leaks are looked for by name, at the end of the run.
        lab_line "# skipped - $lab_file/$lab_test: how much memory there is, which says nothing on this kernel; kmemleak looks at the end"
        return
    fi
    for round in {1..20}; do
        if memory_fits >"$lab_work/memory.told"; then break; fi
        lab_alive
    done
    cat "$lab_work/memory.told"
    # The last round, and not a new one, has the word.
    [ ! -e "$lab_work/memory.grew" ]
}
memory_fits() {
    local word kind before after status=0
    rm -f "$lab_work/memory.grew"
    memory_now >"$lab_work/memory.now"
    for word in "${MEMORY_SLACK[@]}"; do
        kind=${word%:*}
        before=$(memory_of "$kind" "$lab_work/memory")
        after=$(memory_of "$kind" "$lab_work/memory.now")
        printf '    %s: %s kB, then %s kB\n' "$kind" "$before" "$after"
        [ $((after - before)) -le "${word#*:}" ] || status=1
    done
    # Where it is, for who has to look.
    memory_slabs | join "$lab_work/slabs" - | awk '$3 > $2 + 64 { printf "    %s: %d kB, then %d kB\n", $1, $2, $3 }'
    [ $status = 0 ] || : >"$lab_work/memory.grew"
    return $status
}
# memory_slabs: NAME kB, of each kind of object.
memory_slabs() { awk 'NR > 2 { print $1, $4 * $3 / 1024 }' /proc/slabinfo | sort; }
memory_of() { sed -nE "s/^$1: *([0-9]+) kB/\1/p" "$2"; }

# kernel_said OPTION...: dmesg since the guest began to run commands (tests/vm/lib/stage2). What the kernel says of its own boot, such
# as a report of KASAN about an interrupt that comes before KASAN is ready, is no fault of a module.
kernel_said() {
    dmesg --notime "$@" | awk '/lab: command starts$/ { said = ""; next } { said = said $0 "\n" } END { printf "%s", said }'
}

# kernel_is_quiet: no warning and no error since then.
kernel_is_quiet() {
    local lines
    lines=$(kernel_said --level=emerg,alert,crit,err,warn | grep -E "$KERNEL_COMPLAINS") || return 0
    printf '%s\n' "$lines" | head -n 20
    # The first report as a whole: its stack says where.
    kernel_said | grep -E -m 1 -A 60 "$KERNEL_COMPLAINS"
    return 1
}
readonly KERNEL_COMPLAINS='WARNING|BUG:|Oops|KFENCE|KASAN|UBSAN|ODEBUG|ref_tracker|refcount_t|suspicious RCU|unregister_netdevice|lockup|blocked for more|table overflow'
