#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# If a precondition of a module build fails, kernel/kbuild/kdir prints one line that says what to do.
#
# The test runs it with a fake kernel build directory and fake tools that have one fault at a time.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# Makes a tool of this name that prints this text for --version.
tool() { printf '#!/bin/sh\necho "%s"\n' "$2" >"$work/bin/$1"; chmod +x "$work/bin/$1"; }

# Without faults: a configured tree of a kernel with Rust, and the tools with which it was built.
world() {
    rm -rf "${work:?}"/*
    mkdir -p "$work/bin" "$work/kdir/include/config" "$work/cache"
    for name in basename cat cut diff dirname flock grep head id mkdir readlink rm sed sha256sum sort uname; do
        ln -s "$(command -v $name)" "$work/bin/$name"
    done
    cat >"$work/kdir/.config" <<'CONFIG'
CONFIG_RUST=y
CONFIG_RUSTC_VERSION_TEXT="rustc 9.9.1 (made up)"
CONFIG_BINDGEN_VERSION_TEXT="bindgen 9.9.2"
CONFIG_CC_VERSION_TEXT="made-up-gcc-99 (made up) 99"
CONFIG
    echo 99.1.5-made-up >"$work/kdir/include/config/kernel.release"
    tool rustc "rustc 9.9.1 (made up)"
    tool bindgen "bindgen 9.9.2"
    tool made-up-gcc-99 gcc
    tool dpkg-query ""
}

# expect WHAT TEXT: kdir fails, with one line that has the text.
expect() {
    local what=$1 text=$2 output status=0
    output=$(PATH=$work/bin RUSTC='' BINDGEN='' GLB_KDIR_CACHE=$work/cache GLB_LINUX_SOURCE=$work/source.tar.xz \
        "$BASH" "$here/kernel/kbuild/kdir" "$work/kdir" 2>&1) || status=$?
    if [ "$status" = 1 ] && [ "$(wc -l <<<"$output")" = 1 ] && [[ $output == *"$text"* ]]; then
        echo "ok - $what: $output"
        passed=$((passed + 1))
    else
        echo "not ok - $what: status $status, wanted '$text', got: $output"
        failed=$((failed + 1))
    fi
}

world; rm -r "$work/kdir"; expect "no such directory" "no kernel build directory at $work/kdir: KDIR="
world; rm "$work/kdir/.config"; expect "a tree that is not configured" "has no .config"
world; sed -i '/CONFIG_RUST=y/d' "$work/kdir/.config"; expect "no CONFIG_RUST" "built without CONFIG_RUST"
world; rm -r "$work/kdir/include"; expect "a tree that is not prepared" "make modules_prepare"
world; tool rustc "rustc 1.0.0 (other)"; expect "another rustc" "'rustc 9.9.1 (made up)', here is 'rustc 1.0.0 (other)'"
world; rm "$work/bin/rustc"; expect "no rustc" "here is 'none'"
world; rm "$work/bin/bindgen"; expect "no bindgen" "no bindgen: apt-get install bindgen"
world; tool bindgen "bindgen 0.1"; expect "another bindgen" "is 'bindgen 0.1', the kernel was built with 'bindgen 9.9.2'"
world; rm "$work/bin/made-up-gcc-99"; expect "no compiler" "no made-up-gcc-99"
world; expect "no metadata and no Debian package" "lacks the Rust metadata"

# From here on, the headers belong to a package of version 5.
packaged() {
    world
    cat >"$work/bin/dpkg-query" <<QUERY
#!/bin/sh
case "\$*" in *linux-headers-*) printf 5 ;; *linux-source-*) printf %s '$1' ;; esac
QUERY
}
packaged ""; expect "no linux-source" "apt-get install linux-source-99.1=5"
packaged 6; touch "$work/source.tar.xz"; expect "linux-source of another version" "linux-source-99.1 is 6, the headers of 99.1.5-made-up are 5"
packaged 5; touch "$work/source.tar.xz"; expect "no flex" "no flex: apt-get install flex"

# A tree that has the metadata is used unchanged, unless another compiler made them.
world; mkdir "$work/kdir/rust"; echo "rustc 8.0.0" >"$work/kdir/rust/libkernel.rmeta"; expect "metadata of another compiler" "was not made by 'rustc 9.9.1 (made up)'"
world; mkdir "$work/kdir/rust"; echo "rustc 9.9.1" >"$work/kdir/rust/libkernel.rmeta"
if PATH=$work/bin RUSTC='' BINDGEN='' "$BASH" "$here/kernel/kbuild/kdir" "$work/kdir" | grep -q "^KBUILD_DIR=$work/kdir RUSTC="; then
    echo "ok - a tree with metadata is used as it is"
    passed=$((passed + 1))
else
    echo "not ok - a tree with metadata is not used"
    failed=$((failed + 1))
fi

[ "$failed" = 0 ] || exit 1
