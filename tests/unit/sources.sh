#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Rules about the text of the sources. Prints one line per rule, and the places that break it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

mapfile -t files < <(git -c safe.directory='*' ls-files --cached --others --exclude-standard | while read -r file; do [ ! -f "$file" ] || echo "$file"; done)
[ ${#files[@]} -gt 0 ] || { echo "not ok - git knows no file"; exit 0; }

# rule WHAT FOUND...: the rule is kept if nothing was found.
rule() {
    if [ -z "$2" ]; then
        printf 'ok - %s\n' "$1"
    else
        printf '%s\n' "$2" | sed 's/^/#   /'
        printf 'not ok - %s\n' "$1"
    fi
}

# code FILE: the Rust code without comments and strings; line numbers do not change.
code() { sed -E 's/"([^"\\]|\\.)*"/""/g; s,//.*,,' "$1"; }

without_spdx() {
    local file
    for file in "${files[@]}"; do
        case $file in
            # Texts and data without comments, and generated files.
            *.md | *.svg | *.png | *.json | *.pcap | fuzz/seeds/* | userspace/glb-healthcheck/healthcheck.conf | userspace/glb-targets/targets.conf | debian/examples/director.conf | debian/examples/gateway/director.conf | debian/examples/exporter/healthcheck.conf | LICENSES/* | COPYING | *Cargo.lock | *.gitignore) continue ;;
            # Files in Debian's own format.
            debian/copyright | debian/changelog | debian/source/format) continue ;;
        esac
        [ -s "$file" ] || continue
        head -n 5 "$file" | grep -qE 'SPDX-License-Identifier: .*GPL-2.0' || echo "$file"
    done
}

unsafe_outside() {
    local file
    for file in "${files[@]}"; do
        case $file in kernel/*) continue ;; *.rs) ;; *) continue ;; esac
        code "$file" | grep -nw unsafe | sed "s|^|$file:|"
    done
}

unsafe_without_reason() {
    local file
    for file in "${files[@]}"; do
        case $file in kernel/*.rs) ;; *) continue ;; esac
        # A block needs a SAFETY comment. A function needs a section # Safety or, as a callback of C, blocks inside. The
        # statement may begin some lines before the word.
        awk -v file="$file" '
            /SAFETY:/ { safe = NR }
            { line = $0; gsub(/"([^"\\]|\\.)*"/, "\"\"", line); sub(/\/\/.*/, "", line) }
            line ~ /(^|[^a-z_])unsafe (\{|impl)/ && (!safe || NR - safe > 8) { print file ":" NR ": " $0 }' "$file"
    done
}

version_checks() {
    local file
    for file in "${files[@]}"; do
        case $file in *.md | tests/unit/sources.sh) continue ;; esac
        grep -nE 'LINUX_VERSION_CODE|KERNEL_VERSION\(' "$file" | sed "s|^|$file:|"
    done
}

no_forbid() {
    local crate file
    for crate in core/src/lib.rs rust_glb_*/main.rs; do
        case $crate in
            core/*) grep -q '#!\[forbid(unsafe_code)\]' "$crate" || echo "$crate" ;;
            # The module! macro generates unsafe code, so the crate cannot forbid it; all its other files do.
            *)
                for file in "${files[@]}"; do
                    case $file in "$crate") ;; "$(dirname "$crate")"/*.rs) grep -q '#!\[forbid(unsafe_code)\]' "$file" || echo "$file" ;; esac
                done
                ;;
        esac
    done
}

# The files of tests, without tests/demo and tests/bench, which show and measure and may take time.
of_tests() {
    local file
    for file in "${files[@]}"; do
        case $file in
            *.md | *.json | *.txt | tests/demo/* | tests/bench/* | tests/unit/sources.sh) ;;
            tests/* | userspace/*/tests/*) printf '%s\n' "$file" ;;
        esac
    done
}

# A sleep is either part of a polling loop or a bet on the machine's speed. A comment on its line or above it explains why it is not
# a bet.
sleeps_without_reason() {
    local file
    while read -r file; do
        awk -v file="$file" '
            { code = $0; sub(/^[ \t]*(#|\/\/).*/, "", code) }
            code ~ /(^|[^a-z_.-])(sleep +[0-9$"]|(thread::|time\.)?sleep\(|traffic\.rest\()/ && code !~ /[ \t](#|\/\/) / && before !~ /^[ \t]*(#|\/\/)/ {
                print file ":" NR ": " $0
            }
            { before = $0 }' "$file"
    done < <(of_tests)
}

# A wait gives up when nothing makes progress (tests/lab/lib.sh, tests/lab/lab/waiting.py), not after a number of seconds.
waits_of_seconds() {
    local file
    while read -r file; do
        grep -nE '\beventually [0-9]|SECONDS \+ [0-9$]|LAB_TEST_SECONDS|--max-time [0-9]\b' "$file" | sed "s|^|$file:|"
    done < <(of_tests)
}

# What is not the workspace's version, where it stands again.
other_versions() {
    local want place found
    want=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
    [ -n "$want" ] || echo "Cargo.toml: no version"
    while read -r place found; do
        [ "$found" = "$want" ] || echo "$place: ${found:-no version}, and Cargo.toml has $want"
    done < <(
        echo "kernel/shim/version.h $(sed -n 's/^#define GLB_VERSION "\(.*\)"$/\1/p' kernel/shim/version.h)"
        echo "dkms.conf $(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' dkms.conf)"
        # Of Debian's version, the part before what Debian adds.
        echo "debian/changelog $(sed -n '1s/^[^(]*(\([^)~+-]*\).*/\1/p' debian/changelog)"
        grep -oE '\bglb/[0-9]+\.[0-9.]*[0-9]' README.md dkms.conf tests/unit/dkms.sh | sed 's|:glb/| |'
    )
}

rule "every file has its SPDX line" "$(without_spdx)"
rule "unsafe stands below kernel/ alone" "$(unsafe_outside)"
rule "the core and the modules forbid unsafe" "$(no_forbid)"
rule "unsafe below kernel/ says why it is safe" "$(unsafe_without_reason)"
rule "no file checks the kernel's version" "$(version_checks)"
rule "a test that sleeps says why; it waits for what must come, not for seconds: \`eventually\` of tests/lab" "$(sleeps_without_reason)"
rule "no wait of a test ends after some seconds: tests/README.md" "$(waits_of_seconds)"
rule "there is one version: of tools, modules and packages" "$(other_versions)"
