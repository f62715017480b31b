#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Clippy over the workspace or, with `fuzz`, over the fuzz targets, which are not members of the workspace.
set -eu
cd "$(dirname "$0")/../.."
if [ "${1:-}" = fuzz ]; then
    set -- --locked --manifest-path fuzz/Cargo.toml
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/fuzz-lint"
else
    set -- --workspace
fi
exec cargo clippy --quiet "$@" --all-targets -- -D warnings
