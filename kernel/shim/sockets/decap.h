/* SPDX-License-Identifier: GPL-2.0 */
/* The devices that the payload of a tunnel arrives on. */
#ifndef _GLB_DECAP_H
#define _GLB_DECAP_H

#include <linux/types.h>

struct net;
struct net_device;

/* What a tunnel has outside and inside. */
enum glb_decap {
	GLB_DECAP_IPV4_IN_IPV4,
	GLB_DECAP_IPV6_IN_IPV4,
	GLB_DECAP_IN_IPV6,
};

bool glb_decap_concerns(const struct net_device *dev);

/* How many kinds there are. */
#define GLB_DECAP_KINDS 3

/* Writes the devices of all kinds, `max` places a kind, each `dif << 32 | sdif` as look-ups of sockets want it. The first
 * place of a kind is for a device that takes packets from every sender; the others follow, and 0 stands behind the last one.
 */
void glb_decap_devices(struct net *net, u64 *places, unsigned int max);

#endif /* _GLB_DECAP_H */
