/* SPDX-License-Identifier: GPL-2.0 */
/* Routes of packets of our own, and whether a packet fits them. */
#ifndef _GLB_PATH_H
#define _GLB_PATH_H

#include <linux/types.h>

struct dst_cache;
struct dst_entry;
struct glb_routes;
struct in6_addr;
struct net;
struct sk_buff;

/* What the way of a packet of our own depends on beside its addresses and the packet that it is about. */
struct glb_flow {
	/* Of ICMP, `dport` is type and code, a byte each, as in union flowi_uli. */
	__be16 sport;
	__be16 dport;
	u8 proto;
	/* IPv6: traffic class. */
	u8 tos;
	/* The TOS of the packets whose route the cache is for. */
	u8 kept_tos;
	/* An ICMP error to the client, and nothing to a hop. */
	bool is_answer;
	/* A client's packet, or one to a client, and nothing of our own. */
	bool is_passed_on;
};

/* Routes, remembered by CPU where the cache is set up; the caller releases what it gets. `skb` is the client's packet.
 * Bottom halves are off, RCU is held. First what is kept, if it may be this packet's; then the look-up.
 */
struct dst_entry *glb_route4_kept(struct dst_cache *cache, const struct sk_buff *skb, __be32 *saddr);
struct dst_entry *glb_route6_kept(struct dst_cache *cache, const struct sk_buff *skb,
				  struct in6_addr *saddr);
struct dst_entry *glb_route4_kept_by_any(const struct net *net, struct dst_cache *cache,
					 const struct sk_buff *skb, __be32 *saddr);
struct dst_entry *glb_route6_kept_by_any(const struct net *net, struct dst_cache *cache,
					 const struct sk_buff *skb, struct in6_addr *saddr);
struct dst_entry *glb_route4_find(struct net *net, struct dst_cache *cache,
				  const struct sk_buff *skb, struct glb_flow flow, __be32 daddr,
				  __be32 *saddr);
struct dst_entry *glb_route6_find(struct net *net, struct dst_cache *cache,
				  const struct sk_buff *skb, struct glb_flow flow,
				  const struct in6_addr *daddr, struct in6_addr *saddr);
/* The route of `flow` between two addresses of the family, remembered by CPU: both belong to the key, and so do mark, TOS and routing
 * domain. Otherwise as above.
 */
struct dst_entry *glb_route_kept_between(struct net *net, struct glb_routes __percpu *routes,
					 const struct sk_buff *skb, struct glb_flow flow,
					 const void *daddr, const void *saddr, bool is_v6);
/* The same for one packet, of which nothing is remembered. */
struct dst_entry *glb_route4_between(struct net *net, const struct sk_buff *skb, struct glb_flow flow,
				     __be32 daddr, __be32 *saddr);
struct dst_entry *glb_route6_between(struct net *net, const struct sk_buff *skb, struct glb_flow flow,
				     const struct in6_addr *daddr, struct in6_addr *saddr);
/* Whether the way of a packet can depend on its source: then no route is kept for packets of all clients. RCU is held. */
bool glb_routes_by_source(const struct net *net, bool is_v6);
int glb_route_cache_init(struct dst_cache *cache);
void glb_route_cache_reset(struct dst_cache *cache);
void glb_dst_release(struct dst_entry *dst);

/* Whether a packet, or each packet of an aggregate, fits so many bytes; or a route with a tunnel header in front. */
enum glb_fit {
	GLB_FIT_WHOLE,
	/* Too long. */
	GLB_FIT_NOT,
	/* The packets of this aggregate have to go one by one. */
	GLB_FIT_APART,
	/* An aggregate that nobody can take apart. */
	GLB_FIT_NEVER,
};

enum glb_fit glb_skb_fits(const struct sk_buff *skb, unsigned int room);
enum glb_fit glb_dst_fits(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int added);
unsigned int glb_dst_mtu(const struct dst_entry *dst);
/* Whether a route leads to an address of this machine. */
bool glb_dst_is_here(const struct dst_entry *dst, bool is_v6);

#endif /* _GLB_PATH_H */
