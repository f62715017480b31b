# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scenarios share that do what the documents say. Source it after lib.sh.

# documented FILE HEADING: the commands of the code blocks below this heading, a line each, without comments.
documented() {
    awk -v heading="$2" '
        /^#/ && !fenced { below = $0 == heading; next }
        /^```/ { fenced = !fenced; next }
        below && (fenced || /^    /) { sub(/^    /, ""); sub(/  +#.*/, ""); if ($0 != "") print }' "/docs/$1"
}

# block FILE HEADING LANGUAGE [TEXT]: the first block of this language below this heading, or the first that has TEXT.
block() {
    awk -v heading="$2" -v fence='```'"$3" -v text="${4:-}" '
        /^#/ && !fenced { below = $0 == heading; next }
        /^```/ {
            if (fenced && wanted && (text == "" || index(all, text))) { printf "%s", all; exit }
            fenced = !fenced; wanted = below && $0 == fence; all = ""; next
        }
        fenced { all = all $0 "\n" }' "/docs/$1"
}

# follows HOST FILE HEADING PATTERN: the host does what is written there, of commands that match PATTERN.
follows() {
    local host=$1 file=$2 heading=$3 command commands=0
    while IFS= read -r command; do
        commands=$((commands + 1))
        check "$file: $host: $command" on "$host" bash -ec "$command" </dev/null
    done < <(documented "$file" "$heading" | grep -E "$4")
    check "$file has such commands below '$heading': $4" test "$commands" -gt 0
}
