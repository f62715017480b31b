#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compiles the core as the kernel does and fails if it can panic: a panic in a module stops the machine. As the kernel does
# means with the kernel's options of code generation, and with a libcore that was compiled with them too: the functions of
# libcore that are compiled into the core have overflow checks there, and in the compiler's own libcore they have none. Every
# function of the core is looked at, whoever uses it. Generic ones have code only for a caller, no-panic-use.rs.
# no-panic-modules.sh checks the modules themselves.
#
# Usage: no-panic.sh [RUSTC...]     each a compiler command; without any: rustc, and rustup's 1.85 if it is there
#
# A compiler needs the source of its libcore (Debian: rust-src; `rustup component add rust-src`).
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Symbols that a panic leaves in an object: the panic functions, and the cold functions of libcore that call them
# under other names.
panics='core9panicking|slice_(start|end)?_?index|_fail(ed)?($|[^a-z])|unwrap_failed|expect_failed|panic_on_ord|len_mismatch'

# From the kernel's Makefile, for all Rust code and with CONFIG_RUST_OVERFLOW_CHECKS. (What it says about the processor is left out:
# the target is the compiler's own. A section for each function lets `kept` find out what is called.)
kernel="-Copt-level=2 -Coverflow-checks=y -Cdebug-assertions=n -Cpanic=abort -Ccodegen-units=1 -Cembed-bitcode=n -Clto=n
	-Cforce-unwind-tables=n -Csymbol-mangling-version=v0 -Crelocation-model=static -Zfunction-sections=y"

# libcore RUSTC: the compiler's libcore as the kernel compiles it is in $sysroot. It is kept for the next time.
libcore() {
	source=$($1 --print sysroot)/lib/rustlib/src/rust/library/core
	if [ ! -e "$source/src/lib.rs" ]; then
		echo "FAIL: $1 has no source of libcore in $source: install rust-src"
		return 1
	fi
	sysroot=${CARGO_TARGET_DIR:-$here/target}/no-panic/$({ cat "$0"; $1 --version --verbose; } | cksum | tr ' ' -)
	if [ ! -e "$sysroot/libcompiler_builtins.rmeta" ]; then
		echo "# libcore is compiled as the kernel does"
		mkdir -p "$sysroot"
		edition=$(sed -n 's/^edition = "\(.*\)"/\1/p' "$source/Cargo.toml")
		printf '#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_builtins]\n#![no_std]\n' >"$work/builtins.rs"
		# What others inline or instantiate is needed, and which functions have code of their own, but not that code.
		compile "$1" core "${edition:-2021}" "$source/src/lib.rs" --cap-lints=allow --cfg no_fp_fmt_parse \
			-Zno-codegen --emit="metadata=$sysroot/libcore.rmeta,obj=$work/libcore.o" &&
			compile "$1" compiler_builtins 2021 "$work/builtins.rs" --cap-lints=allow -L "$sysroot" \
				--emit="metadata=$sysroot/libcompiler_builtins.rmeta"
	fi
}

# compile RUSTC NAME EDITION SOURCE OPTION...: with the kernel's options, some of which a released compiler knows only so.
compile() {
	rustc=$1 name=$2 edition=$3 source=$4
	shift 4
	# shellcheck disable=SC2086 # Words.
	RUSTC_BOOTSTRAP=1 $rustc --sysroot=/dev/null --crate-type rlib --crate-name "$name" --edition "$edition" $kernel "$@" "$source"
}

check() {
	version=$($1 --version)
	libcore "$1" || return
	# Eager: all functions of the core have code, also those that nobody uses here and those that are inlined, but not those that
	# always are. So these are not: an attribute less.
	rm -rf "$work/core"
	cp -R "$here/core/src" "$work/core"
	find "$work/core" -name '*.rs' -exec sed -i 's/#\[inline(always)\]/#[inline]/' {} +
	compile "$1" glb_core 2021 "$work/core/lib.rs" -L "$sysroot" -Clink-dead-code=y --emit="obj=$work/eager.o" &&
		compile "$1" glb_core 2021 "$here/core/src/lib.rs" -L "$sysroot" --emit="metadata=$work/libglb_core.rmeta,obj=$work/lazy.o" &&
		kept "$work/eager.o" "$work/core.o" &&
		compile "$1" uses 2021 "$here/tests/unit/no-panic-use.rs" -L "$sysroot" --extern "glb_core=$work/libglb_core.rmeta" \
			--emit="obj=$work/uses.o" || return
	found=$(callers "$work/core.o" "$work/lazy.o" "$work/uses.o")
	if [ -n "$found" ]; then
		echo "$found" | sed 's/^/  /'
		echo "FAIL: the core can panic ($version)"
		return 1
	fi
	if [ "$(wc -l <"$work/roots")" -lt 300 ] || ! nm "$work/uses.o" | grep -q ' T uses_redirect'; then
		echo "FAIL: the check looked at nothing ($version)"
		return 1
	fi
	echo "ok: no panic in the core ($version)"
}

# kept EAGER OBJECT: the core's own functions, and what they call. Those of libcore that were inlined have code of their own in
# an eager object, too. `clamp` is a default method of Ord, which the core does not call, and panics.
kept() {
	nm --no-sort --defined-only "$1" | awk '{ print $NF }' >"$work/symbols"
	nm --no-sort --defined-only --demangle "$1" | sed 's/^[^ ]* . //' | paste -d ' ' "$work/symbols" - |
		awk '$2 ~ /^<*glb_core/ && !/cmp::Ord>::clamp$/ { print "-u", $1 }' >"$work/roots"
	ld --relocatable --gc-sections -o "$2" "@$work/roots" "$1"
}

# callers OBJECT...: the functions that call a panic, and which one.
callers() {
	for object; do
		objdump --disassemble --reloc --no-show-raw-insn "$object" | awk -v panics="$panics" '
			/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
			/R_X86_64_/ && $NF ~ panics { sub(/[-+]0x[0-9a-f]+$/, "", $NF); print name ": " $NF }'
	done | sort -u | c++filt
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
