#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# All Rust sources are formatted by rustfmt: those of the workspace, the fuzz targets, and those that only Kbuild builds.
set -eu
cd "$(dirname "$0")/../.."
cargo fmt --all --check
cargo fmt --all --check --manifest-path fuzz/Cargo.toml
# rustfmt finds the files of a crate from its first file. bindings.rs includes a file that exists only in a build.
for crate in kernel/src/lib.rs rust_glb_*/main.rs tests/unit/*.rs; do
	[ ! -e "$crate" ] || rustfmt --check --edition 2021 "$crate"
done
