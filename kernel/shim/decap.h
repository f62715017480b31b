/* SPDX-License-Identifier: GPL-2.0 */
/* The devices that the payload of a tunnel arrives on. */
#ifndef _GLB_DECAP_H
#define _GLB_DECAP_H

#include <linux/types.h>

struct net;
struct net_device;
struct sk_buff;

/* What a tunnel has outside and inside. */
enum glb_decap {
	GLB_DECAP_IPV4_IN_IPV4,
	GLB_DECAP_IPV6_IN_IPV4,
	GLB_DECAP_IN_IPV6,
};

bool glb_decap_concerns(const struct net_device *dev);

/* Writes up to `max` devices of a kind, each `dif << 32 | sdif` as look-ups of sockets want it, and 0 into the places that
 * are left.
 */
void glb_decap_devices(struct net *net, enum glb_decap kind, u64 *found, unsigned int max);

/* The device that the packet came in on, 0 if there is none. */
int glb_skb_ifindex(const struct sk_buff *skb);

#endif /* _GLB_DECAP_H */
