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
	GLB_CHECK_RCU();
	if (own)
		return glb_is_of_device(skb->dev, addr);
	return inet_addr_type_dev_table(net, skb->dev, addr) == RTN_LOCAL;
}

bool glb_is_local_v4(struct net *net, const struct sk_buff *skb, __be32 addr, u64 *kept)
{
	/* Of what is here, all that changes changes the generation: routes of the table `local`, devices that go down. */
	const u64 said = (u64)(__force u32)addr << 32 | (u32)rt_genid_ipv4(net);
	const bool is_kept = addr && !(skb->dev->priv_flags & (IFF_L3MDEV_MASTER | IFF_L3MDEV_SLAVE));

	GLB_CHECK_RCU();
	if (likely(is_kept && READ_ONCE(*kept) == said))
		return true;
	if (!glb_is_here_v4(net, skb, addr, false))
		return false;
	if (is_kept)
		WRITE_ONCE(*kept, said);
	return true;
}

bool glb_is_here_v6(struct net *net, const struct sk_buff *skb, const struct in6_addr *addr, bool own)
{
	/* The device says the routing domain, whose devices are all asked. A machine without IPv6 has no list of addresses. */
	return ipv6_mod_enabled() &&
	       ipv6_chk_addr_and_flags(net, addr, skb->dev, !own, true, IFA_F_TENTATIVE);
}
