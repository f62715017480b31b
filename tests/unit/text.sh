#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks of what is neither Rust nor shell, in the build root: Python by flake8 (Debian has no ruff), which finds what does not
# compile too, scenarios of the lab and their package among it; YAML by yamllint.
# Prints a line a check (tests/unit/as-checks.sh's form).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/xtables/checks.sh
. tests/xtables/checks.sh

# The files of that name, without what was built.
files() { find . \( -path ./target -o -path ./build -o -path ./out -o -path ./.git \) -prune -o -name "$1" -type f -print | sort; }

mapfile -t python < <(files '*.py')
mapfile -t yaml < <(files '*.yaml'; files '*.yml')
check "flake8 has nothing to say about the Python files" flake8 --max-line-length 130 --extend-ignore E203,W503 "${python[@]}"
check "yamllint has nothing to say about the YAML files" yamllint -d '{extends: relaxed, rules: {line-length: {max: 130}}}' --strict "${yaml[@]}"
