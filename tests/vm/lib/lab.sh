# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # Variables are used by the scripts that source this; k_* are set by name.
#
# Functions shared by all scripts of the lab: messages, the cache, kernels.conf. Sourced, never run.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
checkout=$(cd "$vm_dir/../.." && pwd)
# Progress messages of functions whose output goes to a log.
exec {lab_progress}>&2
cache=${GLB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/glb-lab}

# These numbers are part of the cache keys: raise one when the script that makes the thing changes
# what it makes.
readonly ROOT_FORMAT=1 GUEST_FORMAT=1 KERNEL_FORMAT=1 TREE_FORMAT=1

# A script whose exit status may be that of another program sets LAB_FAILURE to a status of its own.
die() { printf 'lab: %s\n' "$*" >&2; exit "${LAB_FAILURE:-1}"; }
say() { [ -n "${LAB_QUIET:-}" ] || printf 'lab: %s\n' "$*" >&2; }

# The packages of a list file, one per line.
packages_of() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }

# A short hash of standard input.
key_of() { sha256sum | cut -c1-12; }

# --- kernels.conf ------------------------------------------------------------------------------------

# conf_of KERNEL KEY: a value, empty when the section has no such key.
conf_of() {
    awk -v section="[$1]" -v key="$2" '
        /^[[:space:]]*#/ { next }
        /^\[/ { inside = ($1 == section); next }
        inside { at = index($0, "="); name = substr($0, 1, at - 1); gsub(/[[:space:]]/, "", name)
                 if (name == key) { value = substr($0, at + 1); gsub(/^[[:space:]]+|[[:space:]]+$/, "", value); print value; exit } }
    ' "$vm_dir/kernels.conf"
}

kernels() { sed -n 's/^\[\([^]]*\)\].*/\1/p' "$vm_dir/kernels.conf" | tr '\n' ' '; }

# load_kernel KERNEL: set k_* from one section.
load_kernel() {
    kernel=$1
    k_kind=$(conf_of "$kernel" kind)
    case $k_kind in
        debian) ;;
        source) load_source_kernel; return ;;
        '') die "no kernel '$kernel' in tests/vm/kernels.conf: choose one of: $(kernels)" ;;
        *) die "kernel '$kernel' has kind '$k_kind' in tests/vm/kernels.conf: must be debian or source" ;;
    esac
    local key
    for key in base suite abi flavour series version toolchain memory slower; do
        printf -v "k_$key" '%s' "$(conf_of "$kernel" "$key")"
    done
    for key in k_base k_suite k_abi k_flavour k_series k_version; do
        [ -n "${!key}" ] || die "kernel '$kernel' has no '${key#k_}' in tests/vm/kernels.conf: add it"
    done
    k_release=$k_abi-$k_flavour
    k_of=$kernel k_kdir=/lib/modules/$k_release/build
    locate_kernel
}

# The same for a kernel that the lab builds from the source of another section.
load_source_kernel() {
    local key
    for key in of config make toolchain memory slower; do
        printf -v "k_$key" '%s' "$(conf_of "$kernel" "$key")"
    done
    for key in k_of k_config k_toolchain; do
        [ -n "${!key}" ] || die "kernel '$kernel' has no '${key#k_}' in tests/vm/kernels.conf: add it"
    done
    [ "$(conf_of "$k_of" kind)" = debian ] || die "kernel '$kernel' is of '$k_of' in tests/vm/kernels.conf: must be a section of kind debian"
    [ -r "$vm_dir/$k_config" ] || die "kernel '$kernel' has the configuration '$k_config': there is no tests/vm/$k_config"
    for key in base suite series version; do
        printf -v "k_$key" '%s' "$(conf_of "$k_of" "$key")"
    done
    k_release=${k_version%%-*}-$kernel
    k_kdir=/tree
    locate_kernel
}

# --- the cache ---------------------------------------------------------------------------------------

# cached PATH WHAT FUNCTION ARGUMENT...: make PATH if it does not exist. FUNCTION gets a temporary name as its first argument and
# makes the file or directory there. A rename then makes it visible, so PATH is always complete. A second caller waits for the
# first one's lock and finds the work done.
cached() {
    local path=$1 what=$2 make=$3
    shift 3
    [ ! -e "$path" ] || return 0
    mkdir -p "$cache/locks" "$(dirname "$path")"
    local lock started=$SECONDS tmp log
    exec {lock}>"$cache/locks/$(basename "$path")"
    flock -n "$lock" || { say "$what: another run makes it, waiting"; flock "$lock"; }
    if [ ! -e "$path" ]; then
        say "$what ..."
        tmp=$path.tmp
        log=$cache/logs/$(basename "$path").log
        mkdir -p "$cache/logs"
        rm -rf "$tmp"
        # The subshell inherits the lock: if this process is killed, no other one starts before the subshell has ended. `set -e`
        # must be effective in the subshell, so it is not part of an `||` list.
        local status=0
        set +e
        ( set -e; "$make" "$tmp" "$@" ) >"$log" 2>&1
        status=$?
        set -e
        if [ $status -ne 0 ]; then
            rm -rf "$tmp" "$tmp.root"
            explain_failure "$log" "$what"
        fi
        mv -T "$tmp" "$path"
        say "$what: done in $((SECONDS - started)) s"
    fi
    exec {lock}>&-
}

# Prints one line that says what to do next, if the log shows it.
explain_failure() {
    local log=$1 what=$2 missing
    missing=$(grep -Eom1 "Version '[^']*' for '[^']*' was not found|Unable to locate package .*|Package .* is not available.*|Couldn't find any package by .*" "$log" || true)
    if [ -n "$missing" ] && grep -Eq 'linux-|7\.' <<<"$missing"; then
        # A status of its own: this is nobody's fault, and .ci/run goes on (EX_UNAVAILABLE of sysexits.h).
        LAB_FAILURE=69
        die "$what: the archive no longer has the pinned kernel '$kernel' ($missing): pin the newest in tests/vm/kernels.conf"
    elif [ -n "$missing" ]; then
        die "$what: $missing: correct the package lists in tests/vm/*-packages.txt or kernels.conf"
    fi
    tail -n 15 "$log" >&2
    die "$what failed: the whole log is $log"
}

# --- roots -------------------------------------------------------------------------------------------

# The host itself only needs the packages to make a root. Everything else runs inside a root.
ensure_host() {
    [ "$(id -u)" = 0 ] || die "must be run by root (it makes Debian roots): try sudo $0"
    local missing=()
    command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
    if [ ${#missing[@]} -gt 0 ]; then
        command -v apt-get >/dev/null || die "no ${missing[*]} and no apt-get: install them by hand, or use Debian 12 or 13"
        mkdir -p "$cache/logs" "$cache/locks"
        say "installing ${missing[*]} on this machine"
        (
            flock 9
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
        ) 9>"$cache/locks/host" >"$cache/logs/host.log" 2>&1 ||
            die "apt-get install ${missing[*]} failed: see $cache/logs/host.log"
    fi
}

# debian_root DIRECTORY SUITE EXTRA-SUITE PACKAGE...: no archive host is named. mmdebstrap has a default mirror, and the extra suite
# (backports) comes from the same mirror as the first one.
debian_root() {
    local root=$1 suite=$2 extra=$3
    shift 3
    local hooks=()
    if [ "$extra" != "$suite" ]; then
        # shellcheck disable=SC2016 # $1 is mmdebstrap's argument to the hook.
        hooks+=(--setup-hook='sed -n "s/^\(deb .*\) '"$suite"' \(.*\)$/\1 '"$extra"' \2/p" "$1/etc/apt/sources.list" >"$1/etc/apt/sources.list.d/extra.list"; test -s "$1/etc/apt/sources.list.d/extra.list"')
    fi
    # The packages are pinned or from a stable suite, so expired metadata does no harm: a mirror may lag or be frozen.
    # mmdebstrap runs in its own mount namespace, so that nothing stays mounted if it is killed.
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
        mmdebstrap --variant=apt --mode=root --skip=cleanup/apt \
        --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        "${hooks[@]}" "${root_hooks[@]}" \
        --include="$(IFS=,; echo "$*")" "$suite" "$root" ${GLB_MIRROR:+"$GLB_MIRROR"} </dev/null
}
root_hooks=()

# enter ROOT [SRC:DST]... -- COMMAND...: run COMMAND in ROOT, in mount and process namespaces that end with it. They also end when
# the caller ends, even by kill -9 (setpriv). This needs the exec: otherwise, the end of an intermediate shell would count.
enter() { (enter_exec "$@"); }
enter_exec() { exec setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child "$vm_dir/lib/enter" "$@"; }

make_tools_root() {
    mapfile -t list < <(packages_of "$vm_dir/tools-packages.txt")
    debian_root "$1" trixie trixie "${list[@]}"
}

make_build_root() {
    local root=$1 list packages p
    mapfile -t list < <(packages_of "$vm_dir/build-packages.txt")
    read -ra packages <<<"$k_toolchain"
    for p in "linux-headers-$k_release" "linux-headers-$k_abi-common" "linux-kbuild-$k_abi" "linux-source-$k_series"; do
        packages+=("$p=$k_version")
    done
    # The packages of the kernel to boot are downloaded at the same time, so that kernel and headers have the same version.
    # shellcheck disable=SC2016
    root_hooks=(--customize-hook='mkdir "$1/var/cache/lab" && cd "$1/var/cache/lab" && chroot "$1" sh -c "cd /var/cache/lab && apt-get -o APT::Sandbox::User=root download linux-binary-'"$k_release=$k_version linux-modules-$k_release=$k_version"'"'
        --customize-hook='rm -rf "$1"/var/cache/apt/archives/*.deb')
    debian_root "$root" "$k_base" "$k_suite" "${list[@]}" "${packages[@]}"
}

make_source_root() {
    local list packages
    mapfile -t list < <(packages_of "$vm_dir/source-packages.txt")
    read -ra packages <<<"$k_toolchain"
    # shellcheck disable=SC2016
    root_hooks=(--customize-hook='rm -rf "$1"/var/cache/apt/archives/*.deb')
    debian_root "$1" "$k_base" "$k_suite" "${list[@]}" "${packages[@]}" "linux-source-$k_series=$k_version"
}

# The tree in which the kernel is built, and the files that it installs.
make_source_tree() {
    local make_words progress
    read -ra make_words <<<"$k_make"
    mkdir "$1"
    # Compiling takes long, so one line per minute shows the progress.
    while sleep 60; do
        say "kernel $k_release: $(find "$1" -name '*.o' -newer "$1/.config" | wc -l) objects after $((SECONDS - started)) s"
    done 2>&"$lab_progress" &
    progress=$!
    # $progress is expanded now, because it no longer exists at exit.
    # shellcheck disable=SC2064
    trap "kill $progress" EXIT
    enter "$build_root" "$1:$k_kdir" "$vm_dir:/lab" -- \
        /lab/lib/make-source-kernel "$k_kdir" "/usr/src/linux-source-$k_series.tar.xz" "/lab/$k_config" "$k_release" "${make_words[@]}"
}

make_guest_image() {
    local image=$1 list
    mapfile -t list < <(packages_of "$vm_dir/guest-packages.txt")
    rm -rf "$image.root"
    # shellcheck disable=SC2016
    root_hooks=(--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*')
    debian_root "$image.root" trixie trixie "${list[@]}"
    : >"$image"
    enter "$tools_root" "$image.root:/mnt" "$image:/image" "$vm_dir/lib:/lab" -- /lab/make-guest-image
    rm -rf "$image.root"
}

make_kernel_image() {
    mkdir "$1"
    enter "$tools_root" "$1:/kernel" "$kernel_parts:/mnt" "$vm_dir/lib:/lab" -- /lab/make-kernel-image "$k_release"
}

# The paths of roots, images and trees contain a hash of their inputs.
tools_root=$cache/roots/tools-$({ echo "$ROOT_FORMAT trixie"; packages_of "$vm_dir/tools-packages.txt"; } | key_of)
guest_image=$cache/images/guest-$({ echo "$ROOT_FORMAT $GUEST_FORMAT trixie"; packages_of "$vm_dir/guest-packages.txt"; cat "$vm_dir/lib/make-guest-image"; } | key_of).ext4
build_root=
kernel_tree=
kernel_parts=
kernel_image=
locate_kernel() {
    local tree=''
    if [ "$k_kind" = source ]; then
        build_root=$cache/roots/build-$kernel-$({ echo "$ROOT_FORMAT $k_base $k_suite $k_series $k_version $k_toolchain"; packages_of "$vm_dir/source-packages.txt"; } | key_of)
        tree=$({ echo "$TREE_FORMAT $(basename "$build_root") $k_release $k_make"; grep -hvE '^ *#( |$)|^$' "$vm_dir/$k_config" "$vm_dir/lib/make-source-kernel"; grep -h 'is not set' "$vm_dir/$k_config"; } | key_of)
        kernel_tree=$cache/trees/$kernel-$tree
        kernel_parts=$kernel_tree/install
    else
        build_root=$cache/roots/build-$kernel-$({ echo "$ROOT_FORMAT $k_base $k_suite $k_release $k_series $k_version $k_toolchain"; packages_of "$vm_dir/build-packages.txt"; } | key_of)
        kernel_tree=
        kernel_parts=$build_root/var/cache/lab
    fi
    kernel_image=$cache/images/kernel-$kernel-$({ echo "$KERNEL_FORMAT $(basename "$build_root")${tree:+ $tree}"; cat "$vm_dir/lib/make-kernel-image" "$vm_dir/lib/init" "$vm_dir/lib/stage2"; } | key_of)
}

ensure_tools() { cached "$tools_root" "tools root (QEMU of Debian 13)" make_tools_root; }
ensure_build() {
    if [ "$k_kind" = source ]; then
        cached "$build_root" "build root for kernel $kernel ($k_make)" make_source_root
        cached "$kernel_tree" "kernel $k_release, compiled: about 20 minutes on two free cores; its log is $cache/logs/$(basename "$kernel_tree").log" make_source_tree
    else
        cached "$build_root" "build root for kernel $kernel ($k_release)" make_build_root
    fi
}
ensure_guest() { cached "$guest_image" "guest image (Debian 13)" make_guest_image; }
ensure_kernel() { cached "$kernel_image" "kernel $k_release" make_kernel_image; }
ensure_all() { ensure_tools; ensure_build; ensure_guest; ensure_kernel; }

# Removes roots and images that no kernel of kernels.conf needs.
prune() {
    local keep=("$tools_root" "$guest_image") name path
    for name in $(kernels); do
        load_kernel "$name"
        keep+=("$build_root" "$kernel_image" ${kernel_tree:+"$kernel_tree"})
    done
    for path in "$cache"/roots/* "$cache"/images/* "$cache"/trees/*; do
        if [ -e "$path" ] && [[ " ${keep[*]} " != *" $path "* ]]; then
            say "removes $path"
            rm -rf "$path"
        fi
    done
}
