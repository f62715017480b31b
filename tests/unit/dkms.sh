#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317 # Functions are called by name.
#
# DKMS builds both modules from dkms.conf, for the kernel of KDIR. Run where the kernel's headers are (in the lab's build
# root). The trees of DKMS are temporary.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
release=$(basename "$(dirname "${KDIR:?names the headers}")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/glb" "$work/tree" "$work/usr-src" "$work/modules"
trees=(--dkmstree "$work/tree" --sourcetree "$work/usr-src" --installtree "$work/modules")

# The files of a checkout, without build results.
tar -C "$here" -c --exclude=./build --exclude=./target --exclude=./out --exclude=./.git . | tar -C "$work/glb" -x

failed=0
report() {
    if "${@:2}" >"$work/log" 2>&1; then
        echo "ok - $1"
    else
        cat "$work"/tree/glb/*/build/make.log 2>/dev/null || true
        tail -n 20 "$work/log"
        echo "not ok - $1"
        failed=1
    fi
}
# dkms searches the headers of a release below /lib/modules.
report "dkms add" dkms "${trees[@]}" add "$work/glb"
report "dkms build for $release" dkms "${trees[@]}" build glb/0.1.0 -k "$release" --kernelsourcedir "$KDIR"
for module in rust_glb_redirect rust_glb_director; do
    report "$module is there" sh -c "ls $work/tree/glb/0.1.0/$release/*/module/$module.ko*"
    # `glbctl doctor` compares the loaded module with it.
    report "$module says its version" sh -c "[ \"\$(modinfo -F version $work/tree/glb/0.1.0/$release/*/module/$module.ko*)\" = 0.1.0 ]"
done
# Unsupported kernels are skipped: by the number of the release, and by the processor.
skipped() {
    local status=0
    dkms "${trees[@]}" build "$1" --kernelsourcedir "$KDIR" "${@:2}" || status=$?
    # According to dkms(8), 77 means "skipped because of a BUILD_EXCLUSIVE rule".
    [ "$status" = 77 ]
}
report "dkms skips an older kernel" skipped glb/0.1.0 -k 7.1.99-test
report "dkms skips another processor" skipped glb/0.1.0 -k 7.2.99-test -a aarch64

# Each package has a dkms.conf of its own, for one module: commands and supported kernels are the same.
of_all() { sed -nE '/^(MAKE|AUTOINSTALL|BUILD_EXCLUSIVE_|BUILT_MODULE_LOCATION\[0\]|DEST_MODULE_LOCATION\[0\])/p' "$1"; }
for file in "$here"/debian/*.dkms; do
    package=$(basename "$file" -dkms.dkms)
    mkdir -p "$work/$package"
    sed 's/#MODULE_VERSION#/0.1.0/' "$file" >"$work/$package/dkms.conf"
    report "$package: as dkms.conf has it" diff <(of_all "$here/dkms.conf") <(of_all "$file")
    report "$package: dkms add" dkms "${trees[@]}" add "$work/$package"
    report "$package: dkms skips an older kernel" skipped "$package/0.1.0" -k 7.1.99-test
    report "$package: dkms skips another processor" skipped "$package/0.1.0" -k 7.2.99-test -a aarch64
done
exit "$failed"
