// SPDX-License-Identifier: GPL-2.0
/*
 * A proxy passes packets on to few hops, and from few addresses. So each CPU keeps the last route to each (kept.h).
 *
 * Not kept is what depends on more than the key: routes for IPsec, whose policies look at ports, and all routes while a
 * routing rule wants to see ports. A change of policies or rules makes the kernel's check fail for what was kept before.
 *
 * Packets come with bottom halves off, or, after NFQUEUE, with bottom halves on: user space reinjects them in process
 * context, and the hooks behind the queue run there. So the table, which is a CPU's own, switches them off for itself.
 */
#include <linux/hash.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/xfrm.h>

#include "../checks.h"
#include "kept.h"
#include "ports.h"
#include "route.h"

struct glb_routes __percpu *glb_routes_alloc(void)
{
	struct glb_routes __percpu *routes =
		alloc_percpu_gfp(struct glb_routes, GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	int cpu;

	if (!routes)
		return NULL;
	for_each_possible_cpu(cpu)
		local_lock_init(&per_cpu_ptr(routes, cpu)->lock);
	return routes;
}

void glb_routes_free(struct glb_routes __percpu *routes)
{
	int cpu, i;

	for_each_possible_cpu(cpu) {
		struct glb_routes *own = per_cpu_ptr(routes, cpu);

		for (i = 0; i < 1 << GLB_ROUTES_BITS; i++) {
			dst_release(own->of[0][i].dst);
			dst_release(own->of[1][i].dst);
		}
	}
	glb_percpu_end(routes, sizeof(*routes));
}

/* The key of a packet; returns its place in the table. */
static u32 glb_key_of(struct glb_key *key, const struct sk_buff *skb, bool is_v6)
{
	*key = (struct glb_key){
		.mark = skb->mark,
		.l3mdev = l3mdev_master_ifindex_rcu(skb_dst(skb)->dev),
	};
	if (is_v6) {
		key->daddr = ipv6_hdr(skb)->daddr;
		key->saddr = ipv6_hdr(skb)->saddr;
		key->flow = ip6_flowinfo(ipv6_hdr(skb));
		/* A link-local address is one of the link that the packet came by. */
		if (ipv6_addr_type(&key->daddr) & IPV6_ADDR_LINKLOCAL)
			key->l3mdev = skb_dst(skb)->dev->ifindex;
		return hash_32(ipv6_addr_hash(&key->daddr), GLB_ROUTES_BITS);
	}
	key->daddr.s6_addr32[0] = ip_hdr(skb)->daddr;
	key->saddr.s6_addr32[0] = ip_hdr(skb)->saddr;
	key->flow = (__force __be32)ip_hdr(skb)->tos;
	return hash_32((__force u32)ip_hdr(skb)->daddr, GLB_ROUTES_BITS);
}

/* Gives the packet the route that is kept, if it is for this key and still holds. */
static bool glb_routes_take(struct glb_routes __percpu *routes, struct sk_buff *skb, bool is_v6,
			    u32 at, const struct glb_key *key)
{
	struct dst_entry *dst;

	local_bh_disable();
	dst = glb_kept_get(routes, is_v6, at, key);
	local_bh_enable();
	if (!dst)
		return false;
	skb_dst_drop(skb);
	skb_dst_set(skb, dst);
	return true;
}

int glb_routes_find(struct net *net, struct glb_routes __percpu *routes, struct sk_buff *skb,
		    bool is_v6)
{
	struct glb_key key;
	const u32 at = glb_key_of(&key, skb, is_v6);
	u32 cookie;
	int error;

	GLB_CHECK_RCU();
	if (likely(glb_routes_take(routes, skb, is_v6, at, &key)))
		return 0;
	error = is_v6 ? ip6_route_me_harder(net, NULL, skb) :
			ip_route_me_harder(net, NULL, skb, RTN_UNSPEC);
	if (error)
		return error;
	cookie = glb_kept_cookie(skb_dst(skb), is_v6);
	if (!glb_routes_need_flow(net, is_v6)) {
		local_bh_disable();
		glb_kept_put(routes, is_v6, at, &key, skb_dst(skb), cookie);
		local_bh_enable();
	}
	return 0;
}
