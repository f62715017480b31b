/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GLB_VERSION_H
#define GLB_VERSION_H

/* The workspace's (Cargo.toml), which a source package of DKMS does not have; lint/sources holds them equal. */
#define GLB_VERSION "0.1.0"

#endif
