# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# apt of the fresh root, set up as docs/install.md describes. Sourced after lib.sh.

# shellcheck disable=SC2034
readonly packages=(glb-redirect-iptables glb-redirect-iptables-dkms glb-director-dkms glbctl glb-healthcheck glb-targets glb-announce glb-doc)

apt_setup() {
    echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list.d/glb.list
    printf '%s\n' 'Package: src:linux src:linux-signed-amd64 src:linux-base' 'Pin: release n=trixie-backports' 'Pin-Priority: 500' \
        >/etc/apt/preferences.d/linux-backports
    printf '%s\n' 'Binary::apt-get::APT::Keep-Downloaded-Packages "true";' 'Acquire::Check-Valid-Until "false";' \
        'Acquire::Retries "3";' 'APT::Sandbox::User "root";' >/etc/apt/apt.conf.d/90test
    # The disk is discarded afterwards, so nothing needs to be flushed to it.
    echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io
    # The tests start these services themselves. BIRD fails on a machine without an address.
    for service in bird nginx; do
        [ ! -e "/usr/lib/systemd/system/$service.service" ] || systemctl disable "$service"
    done
    apt-get update -q
}
apt_install() { apt-get install -y -q --no-install-recommends "$@"; }

# other_kernel SERIES VERSION RELEASE: set old_release and old_version to the newest older kernel of the series in the archive or,
# if there is none, to the same version in another flavour.
other_kernel() {
    local series=$1 version=$2 release=$3 candidate
    old_release='' old_version=''
    while read -r candidate; do
        if dpkg --compare-versions "$candidate" lt "$version"; then
            old_version=$candidate
            old_release=${candidate%%-*}+${release#*+}
            break
        fi
    done < <(apt-cache madison "linux-source-$series" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }')
    if [ -z "$old_version" ] || ! apt-cache show "linux-image-$old_release" >/dev/null 2>&1; then
        old_version=$version
        old_release=${release%%-*}-amd64
    fi
}
