#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks files that are neither Rust nor shell, in the build root: Python with flake8 (Debian has no ruff), YAML with yamllint.
# Prints one line per check.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh

# files PATTERN: the files with such a name, without build results.
files() { find . \( -path ./target -o -path ./build -o -path ./out -o -path ./.git \) -prune -o -name "$1" -type f -print | sort; }

# Programs say in their first line that they are Python.
mapfile -t python < <(files '*.py'; files '[!.]*' | grep -v '/[^/]*\.[^/]*$' | xargs grep -lE '^#! ?/usr/bin/(env )?python3' --)
mapfile -t yaml < <(files '*.yaml'; files '*.yml')
check "flake8 has nothing to say about the Python files" flake8 --max-line-length 130 --extend-ignore E203,W503 "${python[@]}"
check "yamllint has nothing to say about the YAML files" yamllint -d '{extends: relaxed, rules: {line-length: {max: 130}}}' --strict "${yaml[@]}"
