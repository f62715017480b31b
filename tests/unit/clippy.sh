#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Clippy over the workspace, or with `fuzz` over the fuzz targets, which are none of its members. Two lints of Debian 13's are left out; clippy itself took them out of its default since
# (precedence about shifts: 1.86, comparison_chain: 1.87).
set -eu
cd "$(dirname "$0")/../.."
if [ "${1:-}" = fuzz ]; then
    set -- --locked --manifest-path fuzz/Cargo.toml
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/fuzz-lint"
else
    set -- --workspace
fi
exec cargo clippy --quiet "$@" --all-targets -- -D warnings -A clippy::precedence -A clippy::comparison_chain
