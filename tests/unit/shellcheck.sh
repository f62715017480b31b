#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Shellcheck over every script that git knows: by name, or by the first line.
set -eu
cd "$(dirname "$0")/../.."
# The checkout may belong to another user than the one of the build root.
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
# SC2015: `a && b || die` is what it says.
xargs shellcheck -x -e SC2015 <"$list"
