/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GLB_VERSION_H
#define GLB_VERSION_H

/* That of Cargo.toml, which DKMS source packages do not contain. lint/sources compares the two. */
#define GLB_VERSION "0.1.0"

#endif
