/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Routes that each CPU found last, in a small table with one place for an address. What the kernel's look-up depends on is the
 * key; whether a route still holds is the kernel's own check (dst->ops->check), as for the routes that sockets and tunnels keep
 * (net/core/dst_cache.c):
 *
 * - A route, a rule, an address or an IPsec policy that changes, and a device that goes down: the generation of the namespace's
 *   IPv4 routes is another one, or the cookie of IPv6's.
 * - A path whose MTU an ICMP error has said: the kernel marks the next hop's routes as obsolete and makes one for that destination.
 *   One that it had made is changed in place, and says itself when it is over (dst_mtu).
 * - A device that is removed: the kernel gives its routes another one, so that none holds it.
 * - A namespace that ends: what belongs to it, these tables among it, is freed before.
 *
 * What none of these tells of is bounded by time: a route is looked up again after a second. That is a router that has died (a
 * look-up asks for the neighbour's state where there are several default routes), a route that came into a table of IPv6's that
 * had nothing to say before, and settings of the namespace.
 *
 * Whoever uses a table has bottom halves off.
 */
#ifndef _GLB_KEPT_H
#define _GLB_KEPT_H

#include <linux/in6.h>
#include <linux/jiffies.h>
#include <linux/local_lock.h>
#include <linux/percpu.h>
#include <net/dst.h>
#include <net/ip6_fib.h>
#include <net/ipv6.h>

#define GLB_ROUTES_BITS 6

/* An IPv4 address is the first word of its place. */
struct glb_key {
	struct in6_addr daddr;
	struct in6_addr saddr;
	u32 mark;
	int l3mdev;
	/* TOS, or traffic class and flow label. */
	__be32 flow;
};

struct glb_route {
	struct dst_entry *dst;
	/* In jiffies: how long it is kept. */
	unsigned long until;
	u32 cookie;
	struct glb_key key;
};

struct glb_routes {
	/* For lockdep, and where bottom halves can be preempted. */
	local_lock_t lock;
	struct glb_route of[2][1 << GLB_ROUTES_BITS];
};

static inline bool glb_key_equal(const struct glb_key *a, const struct glb_key *b)
{
	return ipv6_addr_equal(&a->daddr, &b->daddr) && ipv6_addr_equal(&a->saddr, &b->saddr) &&
	       a->mark == b->mark && a->l3mdev == b->l3mdev && a->flow == b->flow;
}

/* The route that is kept at a place, with a reference, if it is for this key and still holds. */
static inline struct dst_entry *glb_kept_get(struct glb_routes __percpu *routes, bool is_v6, u32 at,
					     const struct glb_key *key)
{
	const struct glb_route *route;
	struct dst_entry *dst;

	local_lock_nested_bh(&routes->lock);
	route = &this_cpu_ptr(routes)->of[is_v6][at];
	dst = route->dst;
	if (dst && (!glb_key_equal(&route->key, key) || time_after(jiffies, route->until) ||
		    (READ_ONCE(dst->obsolete) && !dst->ops->check(dst, route->cookie))))
		dst = NULL;
	if (dst)
		dst_hold(dst);
	local_unlock_nested_bh(&routes->lock);
	return dst;
}

/* What the kernel's check is given later. Who asks whether a route may be kept asks after this: what changes in between makes the
 * cookie an old one.
 */
static inline u32 glb_kept_cookie(const struct dst_entry *dst, bool is_v6)
{
	return is_v6 ? rt6_get_cookie(dst_rt6_info(dst)) : 0;
}

static inline void glb_kept_put(struct glb_routes __percpu *routes, bool is_v6, u32 at,
				const struct glb_key *key, struct dst_entry *dst, u32 cookie)
{
	struct glb_route *route;
	struct dst_entry *old;

	dst_hold(dst);
	local_lock_nested_bh(&routes->lock);
	route = &this_cpu_ptr(routes)->of[is_v6][at];
	old = route->dst;
	route->dst = dst;
	route->until = jiffies + HZ;
	route->cookie = cookie;
	route->key = *key;
	local_unlock_nested_bh(&routes->lock);
	dst_release(old);
}

#endif /* _GLB_KEPT_H */
