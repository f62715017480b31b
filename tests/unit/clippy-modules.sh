#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Clippy over the modules, with the kernel's own build (CLIPPY=1) and its list of lints, in a separate build directory.
set -eu
cd "$(dirname "$0")/../.."
clippy_build=${BUILD:?}-clippy
# Clippy reports nothing about files that are already compiled.
rm -rf "$clippy_build"
log=$(mktemp)
trap 'rm -rf "$log" "$clippy_build"' EXIT
CLIPPY=1 kernel/kbuild/build-modules "${KDIR:?}" "$clippy_build" >"$log" 2>&1 || { cat "$log"; exit 1; }
grep -q CLIPPY "$log" || { cat "$log"; echo "clippy did not run"; exit 1; }

# A warning is a paragraph. Ignored are generated bindings, and no_std, which Kbuild also sets. For comparison_chain, see
# Cargo.toml.
found=$(awk -v RS= '
	/^ *(warning|error)/ && !/bindings_generated\.rs:/ && !/<crate attribute>/ && !/chain can be rewritten with/ &&
		!/warnings? emitted/ { print $0 "\n" }' "$log")
[ -z "$found" ] || { echo "$found"; exit 1; }
