// SPDX-License-Identifier: GPL-2.0
/*
 * Tunnel devices are known by the module that made them, not by their names: `tunl0`, `sit0` and `ip6tnl0` are not made
 * with fb_tunnels_only_for_init_net=2, and an operator may have devices of his own (`ip link add t type ipip external`).
 */
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>
#include <linux/string.h>
#include <net/l3mdev.h>
#include <net/rtnetlink.h>

#include "../checks.h"
#include "decap.h"

static const char *const glb_decap_makers[] = {
	[GLB_DECAP_IPV4_IN_IPV4] = "ipip",
	[GLB_DECAP_IPV6_IN_IPV4] = "sit",
	[GLB_DECAP_IN_IPV6] = "ip6tnl",
};

static bool glb_made_by(const struct net_device *dev, const char *maker)
{
	return dev->rtnl_link_ops && !strcmp(dev->rtnl_link_ops->kind, maker);
}

bool glb_decap_concerns(const struct net_device *dev)
{
	unsigned int kind;

	if (netif_is_l3_master(dev))
		return true;
	for (kind = 0; kind < ARRAY_SIZE(glb_decap_makers); kind++)
		if (glb_made_by(dev, glb_decap_makers[kind]))
			return true;
	return false;
}

/* Whether the device takes packets from one sender only: its link-layer broadcast address is the remote end. */
static bool glb_has_remote(const struct net_device *dev)
{
	return memchr_inv(dev->broadcast, 0, dev->addr_len);
}

static u64 glb_decap_device(const struct net_device *dev)
{
	const int master = l3mdev_master_ifindex_rcu(dev);

	/* In a routing domain, the domain comes first. */
	return master ? (u64)master << 32 | (u32)dev->ifindex : (u64)dev->ifindex << 32;
}

/* Puts a device into the places of its kind. */
static void glb_decap_place(const struct net_device *dev, u64 *places, unsigned int max)
{
	unsigned int at;

	if (!glb_has_remote(dev) && !places[0]) {
		places[0] = glb_decap_device(dev);
		return;
	}
	for (at = 1; at < max; at++)
		if (!places[at]) {
			places[at] = glb_decap_device(dev);
			return;
		}
}

void glb_decap_devices(struct net *net, u64 *places, unsigned int max)
{
	const struct net_device *dev;
	unsigned int kind;

	memset(places, 0, ARRAY_SIZE(glb_decap_makers) * max * sizeof(*places));
	rcu_read_lock();
	for_each_netdev_rcu(net, dev) {
		if (!(dev->flags & IFF_UP))
			continue;
		for (kind = 0; kind < ARRAY_SIZE(glb_decap_makers); kind++)
			if (glb_made_by(dev, glb_decap_makers[kind]))
				glb_decap_place(dev, places + kind * max, max);
	}
	rcu_read_unlock();
}
