# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How the demos tell what they do. Source it after lib.sh of the scenarios.

bold='' green='' red='' dim='' plain=''
# shellcheck disable=SC2034 # For the demos.
if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'; fi

# The output of the scenarios' functions; it is shown only after a failure.
# shellcheck disable=SC2154 # lab_work comes from lib.sh.
readonly story=$lab_work/story
quiet() { "$@" >>"$story" 2>&1; }

title() { printf '\n%s%s%s\n\n' "$bold" "$*" "$plain"; }
tell() { printf '%s\n' "$@"; }
done_with() {
    printf '\n%s%s%s\n' "$1" "$2" "$plain"
    exit "$3"
}
give_up() {
    if [ -s "$story" ]; then tail -n 20 "$story"; fi
    done_with "$red" "FAILED: $*" 1
}
