#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks of what is neither Rust nor shell, in the build root: Python by flake8 (Debian has no ruff), YAML by yamllint.
# Prints a line a check (tests/unit/as-checks.sh's form).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# The files of that name, without what was built.
files() { find . \( -path ./target -o -path ./build -o -path ./out -o -path ./.git \) -prune -o -name "$1" -type f -print | sort; }

# check WHAT COMMAND...: a line of the result, and what it said if it did not like something.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'ok - %s\n' "$what"
    else
        printf '%s\n' "$output" | sed 's/^/#   /'
        printf 'not ok - %s\n' "$what"
    fi
}

mapfile -t python < <(files '*.py')
mapfile -t yaml < <(files '*.yaml')
check "flake8 has nothing to say about the Python files" flake8 --max-line-length 130 --extend-ignore E203,W503 "${python[@]}"
check "yamllint has nothing to say about the YAML files" yamllint -d '{extends: relaxed, rules: {line-length: {max: 130}}}' --strict "${yaml[@]}"
