# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions shared by the parts of the package test, in roots and in guests. Sourced.
set -u
# shellcheck disable=SC2034 # The status of the script that sources this file.
failed=0
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'ok - %s\n' "$what"
    else
        printf 'that was: %s\n%s\n' "$*" "$output"
        printf 'not ok - %s\n' "$what"
        # shellcheck disable=SC2034
        failed=1
    fi
}
# must WHAT COMMAND...: a check on which all others depend. All of its output is in the log.
must() {
    local what=$1
    shift
    if "$@"; then
        printf 'ok - %s\n' "$what"
    else
        printf 'not ok - %s\n' "$what"
        exit 1
    fi
}
fails() { ! "$@"; }
# says TEXT COMMAND...: for check: the command fails and prints the text.
says() {
    local text=$1 output
    shift
    if output=$("$@" 2>&1); then return 1; fi
    printf '%s\n' "$output"
    grep -qF -- "$text" <<<"$output"
}
# eventually COMMAND...: repeat the command until it succeeds. Give up only after ten minutes and as many tries as an idle
# machine makes in this time.
eventually() {
    local since=$SECONDS tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $((SECONDS - since)) -lt 600 ] || [ "$tries" -lt 600 ] || return
        sleep 0.5 # between two tries
    done
}
