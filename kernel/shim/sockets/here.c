// SPDX-License-Identifier: GPL-2.0
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <net/addrconf.h>
#include <net/ip_fib.h>
#include <net/l3mdev.h>
#include <net/route.h>

#include "../checks.h"
#include "here.h"

void glb_skb_domain(const struct sk_buff *skb, int *dif, int *sdif)
{
	const int own = skb->dev->ifindex, domain = l3mdev_master_ifindex_rcu(skb->dev);

	GLB_CHECK_RCU();
	*dif = domain ?: own;
	*sdif = domain ? own : 0;
}

static bool glb_is_of_device(const struct net_device *dev, __be32 addr)
{
	const struct in_device *in_dev = __in_dev_get_rcu(dev);
	const struct in_ifaddr *ifa;

	if (!in_dev)
		return false;
	in_dev_for_each_ifa_rcu(ifa, in_dev)
		if (ifa->ifa_local == addr)
			return true;
	return false;
}

bool glb_is_here_v4(struct net *net, const struct sk_buff *skb, __be32 addr, bool own)
{
	const struct net_device *dev;

	GLB_CHECK_RCU();
	if (own)
		return glb_is_of_device(skb->dev, addr);
	/* Most are an address of a device, which the kernel's hash of these knows in few steps; then the routes are asked. */
	dev = __ip_dev_find(net, addr, false);
	if (dev && dev->flags & IFF_UP &&
	    l3mdev_master_ifindex_rcu(dev) == l3mdev_master_ifindex_rcu(skb->dev))
		return true;
	return inet_addr_type_dev_table(net, skb->dev, addr) == RTN_LOCAL;
}

bool glb_is_here_v6(struct net *net, const struct sk_buff *skb, const struct in6_addr *addr, bool own)
{
	/* The device says the routing domain, whose devices are all asked. */
	return ipv6_chk_addr_and_flags(net, addr, skb->dev, !own, true, IFA_F_TENTATIVE);
}
