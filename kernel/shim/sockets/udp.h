/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets of UDP. */
#ifndef _GLB_UDP_H
#define _GLB_UDP_H

#include <linux/types.h>

struct sock;

bool glb_udp_is_connected(const struct sock *sk);

#endif /* _GLB_UDP_H */
