#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Shellcheck over every script in git, identified by its name or its first line.
set -eu
cd "$(dirname "$0")/../.."
# The checkout may belong to a user other than that of the build root.
git="git -c safe.directory=*"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
$git ls-files --cached --others --exclude-standard | while read -r file; do
	[ -f "$file" ] || continue
	case $file in
	*.sh) echo "$file" ;;
	*) if head -n 1 "$file" | grep -qaE '^#!.*\b(sh|bash|dash)\b'; then echo "$file"; fi ;;
	esac
done >"$list"
[ -s "$list" ] || { echo "there is no script"; exit 1; }
# SC2015: `a && b || die` is intended. Each process follows the files that its scripts source, so it has many.
xargs -P "$(nproc)" -n 16 shellcheck -x -e SC2015 <"$list"
