#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compiles the core as the kernel does (optimised, overflow checks on, without feature tables) and fails if it can
# panic: a panic in a module stops the machine. Generic and inline functions leave no code in the library by
# themselves, so a small caller instantiates those that the modules use. no-panic-modules.sh checks the modules
# themselves.
#
# Usage: no-panic.sh [RUSTC...]     each a compiler command; without any: rustc, and rustup's 1.85 if it is there
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Symbols that a panic leaves in an object: the panic functions, and the cold functions of libcore that call them
# under other names.
panics='core9panicking|slice_(start|end)?_?index|_fail(ed)?($|[^a-z])|unwrap_failed|expect_failed|panic_on_ord|len_mismatch'

check() {
	rustc=$1
	version=$($rustc --version)
	$rustc -C opt-level=2 -C overflow-checks=on -C panic=abort -C codegen-units=1 \
		--crate-type rlib --crate-name glb_core --edition 2021 \
		--out-dir "$work" "$here/core/src/lib.rs"
	$rustc -C opt-level=2 -C overflow-checks=on -C panic=abort -C codegen-units=1 \
		--crate-type lib --emit obj --edition 2021 --extern "glb_core=$work/libglb_core.rlib" \
		-o "$work/use.o" "$here/tests/unit/no-panic-use.rs"
	(cd "$work" && rm -f ./*.rcgu.o && ar x libglb_core.rlib)
	found=$(for object in "$work"/*.o; do nm "$object" 2>/dev/null; done | grep -E "$panics" || true)
	if [ -n "$found" ]; then
		echo "FAIL: the core can panic ($version):"
		echo "$found" | awk '{ print "  " $NF }' | sort -u
		return 1
	fi
	if ! nm "$work/use.o" | grep -q ' T .*uses_redirect'; then
		echo "FAIL: the check looked at nothing ($version)"
		return 1
	fi
	echo "ok: no panic in the core ($version)"
}

if [ $# -eq 0 ]; then
	set -- rustc
	if command -v rustup >/dev/null && rustup run 1.85.1 rustc --version >/dev/null 2>&1; then
		set -- rustc "rustup run 1.85.1 rustc"
	fi
fi
status=0
for compiler; do
	check "$compiler" || status=1
done
exit $status
