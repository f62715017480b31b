# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # Shares its variables with lab.sh and with the scripts that source both.
#
# One boot of QEMU: its directory, start and end. Sourced by tests/vm/run and by the probe.

# run_new: make run_dir, a directory that lives as long as this process. A process that is killed with -9 leaves its directory
# behind; the lock of that directory is then free, and the next run removes it.
run_new() {
    mkdir -p "$cache/run"
    local old fd
    for old in "$cache"/run/*/; do
        [ -e "$old/lock" ] || continue
        exec {fd}<"$old/lock"
        ! flock -n "$fd" || rm -rf "$old"
        exec {fd}<&-
    done
    run_dir=$(mktemp -d "$cache/run/XXXXXXXX")
    exec {run_lock}>"$run_dir/.lock"
    flock "$run_lock"
    # The lock gets its final name only when it is held; otherwise another run could remove the directory.
    mv "$run_dir/.lock" "$run_dir/lock"
    boot_pid=
}

run_end() {
    local status=$?
    trap '' INT TERM HUP
    # unshare blocks other signals, and its --kill-child also ends QEMU.
    if [ -n "$boot_pid" ]; then
        kill -KILL "$boot_pid" 2>/dev/null || true
        wait "$boot_pid" 2>/dev/null || true
    fi
    [ -z "${terminal:-}" ] || stty sane 2>/dev/null || true
    rm -rf "$run_dir"
    exit "$status"
}

# boot_begin ACCEL SMP MEM WORDS CONSOLE TIMEOUT TERMINAL: start QEMU; boot_pid is the process to wait for.
boot_begin() {
    local accel=$1 smp=$2 mem=$3 words=$4 console=$5 timeout=$6 terminal=$7
    : >"$run_dir/output"
    : >"$run_dir/status"
    local binds=("$run_dir:/run/lab" "$console:/run/lab/console" "$kernel_image:/kernel"
        "$guest_image:/guest.ext4" "$vm_dir/lib:/lab")
    local updates=usr/lib/modules/$k_release/updates
    [ ! -d "$run_dir/top/files/$updates" ] || binds+=("$run_dir/top/files/$updates:/kernel/modules/$updates")
    local command=(enter_exec "$tools_root" "${binds[@]}" --
        /lab/boot "$k_release" "$accel" "$smp" "$mem" "$words" "$timeout" "$terminal")
    if [ -n "$terminal" ]; then
        # Without the explicit <&0, bash gives a background command /dev/null.
        "${command[@]}" {run_lock}>&- <&0 &
    else
        "${command[@]}" {run_lock}>&- </dev/null >"$run_dir/qemu.log" 2>&1 &
    fi
    boot_pid=$!
}

# silence_ends PID SECONDS FILE...: kill PID when none of the files has grown for this time.
silence_ends() {
    local pid=$1 most=$2 since=$SECONDS before='' now
    shift 2
    while kill -0 "$pid" 2>/dev/null; do
        now=$(stat -c %s "$@" 2>/dev/null)
        if [ "$now" != "$before" ]; then
            before=$now since=$SECONDS
        elif [ $((SECONDS - since)) -ge "$most" ]; then
            kill -KILL "$pid"
            return
        fi
        sleep 1 # between two looks
    done
}

# boot_end: return when QEMU has ended, by itself or after the timeout (boot_timed_out).
boot_end() {
    local status=0
    wait "$boot_pid" 2>/dev/null || status=$?
    boot_pid=
    boot_timed_out=
    # The status of lib/boot's timeout.
    [ "$status" -ne 137 ] || boot_timed_out=yes
    if [ ! -s "$run_dir/status" ] && [ -s "$run_dir/qemu.log" ]; then
        sed 's/^/qemu: /' "$run_dir/qemu.log" >&2
    fi
}

# follow FILE PID: print FILE as it grows, until PID has ended and everything is printed. `tail --pid` stops too early when its
# reader is slower than PID.
follow() {
    local input gone=
    exec {input}<"$1"
    while :; do
        kill -0 "$2" 2>/dev/null || gone=yes
        # Continues where the last cat stopped, because the descriptor is the same.
        cat <&"$input" || return
        [ -z "$gone" ] || return 0
        sleep 0.1 # between two looks
    done
}

# accelerator: kvm only if a stock kernel really boots with it, because /dev/kvm may exist and not work (nested virtualization).
# Probed once per boot of the host.
accelerator() {
    case ${GLB_ACCEL:-} in
        kvm | tcg) echo "$GLB_ACCEL"; return ;;
        '') ;;
        *) die "GLB_ACCEL is '$GLB_ACCEL': must be kvm or tcg" ;;
    esac
    [ -e /dev/kvm ] || { echo tcg; return; }
    local answer
    answer=$cache/probe/kvm-$k_release-$(cat /proc/sys/kernel/random/boot_id)
    cached "$answer" "KVM probe" probe_kvm
    cat "$answer"
}

probe_kvm() {
    local answer=$1
    run_new
    mkdir -p "$run_dir/top/lab"
    printf 'true\0' >"$run_dir/top/lab/command"
    : >"$run_dir/console.log"
    boot_begin kvm 1 512 "console=ttyS0 panic=-1 quiet" "$run_dir/console.log" 12 ''
    boot_end
    if [ "$(cat "$run_dir/status")" = 0 ]; then echo kvm; else echo tcg; fi >"$answer"
    cat "$run_dir/console.log"
    rm -rf "$run_dir"
}
