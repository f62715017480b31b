#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# All Rust sources are as rustfmt writes them: those of the workspace, and those that only Kbuild knows.
set -eu
cd "$(dirname "$0")/../.."
cargo fmt --all --check
# A crate's first file leads rustfmt to the others. bindings.rs includes what is only there in a build.
for crate in kernel/src/lib.rs rust_glb_*/main.rs tests/unit/*.rs; do
	[ ! -e "$crate" ] || rustfmt --check --edition 2021 "$crate"
done
