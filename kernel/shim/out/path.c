// SPDX-License-Identifier: GPL-2.0
#include <linux/hash.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/dst_cache.h>
#include <net/gso.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/sock.h>

#include "../checks.h"
#include "kept.h"
#include "path.h"
#include "ports.h"

/* --- routes ------------------------------------------------------------------------------------------ */

/* What the route of a packet of our own depends on, beside its addresses and `flow`. */
struct glb_domain {
	u32 mark;
	/* The routing domain (VRF) of the device that the client's packet came in on; 0 for none. */
	int l3mdev;
};

static struct glb_domain glb_domain_of(const struct net *net, const struct sk_buff *skb,
				       struct glb_flow flow, bool is_v6)
{
	struct glb_domain domain = {
		.mark = skb->mark,
		.l3mdev = l3mdev_master_ifindex_rcu(skb->dev),
	};

	/* An answer to a packet has its mark if the namespace wants it so. */
	if (flow.is_answer)
		domain.mark = is_v6 ? IP6_REPLY_MARK(net, domain.mark) : IP4_REPLY_MARK(net, domain.mark);
	return domain;
}

/* A cache has one route for all packets to a destination: for those without a mark or a routing domain. */
static bool glb_skb_is_common(const struct sk_buff *skb)
{
	return likely(!skb->mark &&
		      !(skb->dev->priv_flags & (IFF_L3MDEV_MASTER | IFF_L3MDEV_SLAVE)));
}

/* Whether the next packet of that kind may have this packet's route. */
static bool glb_route_keeps(const struct net *net, const struct sk_buff *skb, struct glb_flow flow,
			    bool is_v6)
{
	return flow.tos == flow.kept_tos && glb_skb_is_common(skb) && !glb_routes_need_flow(net, is_v6) &&
	       !glb_multipath_by_flow(net, is_v6);
}

/* No hop is many machines; and an error is told neither to many (RFC 1122, section 3.2.2) nor to this machine. */
static unsigned int glb_not_for(struct glb_flow flow)
{
	const unsigned int many = RTCF_BROADCAST | RTCF_MULTICAST;

	return flow.is_answer ? many | RTCF_LOCAL : many;
}

/*
 * A tunnel packet's way is what the kernel's own output would look up: by addresses, protocol, ports, TOS, mark, the
 * namespace's root user, and the routing domain.
 */
static struct dst_entry *glb_route4(struct net *net, struct glb_domain domain, struct glb_flow flow,
				    __be32 daddr, __be32 *saddr)
{
	struct flowi4 fl4 = {
		.daddr = daddr,
		.saddr = *saddr,
		.flowi4_proto = flow.proto,
		.flowi4_dscp = inet_dsfield_to_dscp(flow.tos),
		.flowi4_mark = domain.mark,
		.flowi4_l3mdev = domain.l3mdev,
		.flowi4_uid = sock_net_uid(net, NULL),
		/* The configured source need not be an address of this machine. */
		.flowi4_flags = FLOWI_FLAG_ANYSRC,
	};
	struct rtable *rt;

	/* Of ICMP, type and code stand in their place. */
	fl4.fl4_sport = flow.sport;
	fl4.fl4_dport = flow.dport;
	rt = ip_route_output_key(net, &fl4);
	if (IS_ERR(rt))
		return NULL;
	if (unlikely(rt->rt_flags & glb_not_for(flow))) {
		ip_rt_put(rt);
		return NULL;
	}
	*saddr = fl4.saddr;
	return &rt->dst;
}

static struct dst_entry *glb_route6(struct net *net, struct glb_domain domain, struct glb_flow flow,
				    const struct in6_addr *daddr, struct in6_addr *saddr)
{
	struct flowi6 fl6 = {
		.daddr = *daddr,
		.saddr = *saddr,
		.flowi6_proto = flow.proto,
		.flowlabel = ip6_make_flowinfo(flow.tos, 0),
		.flowi6_mark = domain.mark,
		.flowi6_l3mdev = domain.l3mdev,
		.flowi6_uid = sock_net_uid(net, NULL),
		.flowi6_flags = FLOWI_FLAG_ANYSRC,
	};
	struct dst_entry *dst;

	fl6.fl6_sport = flow.sport;
	fl6.fl6_dport = flow.dport;
	/*
	 * Of a packet that is passed on, with its source, nothing but the route is looked up where no IPsec policy may want it, as in
	 * ip6_forward(). What the look-up for own packets does beside that is about sources of this machine: which one, and whether it
	 * is verified (RFC 4429). And it refuses, as is left to it here, all packets where the machine has no IPv6 (ipv6.disable=1:
	 * there is nothing to look a route up in), and sources that are IPv4's (RFC 4291, section 2.5.5.2).
	 */
	if (flow.is_passed_on && ipv6_mod_enabled() && !ipv6_addr_any(saddr) && !ipv6_addr_v4mapped(saddr) &&
	    !glb_has_ipsec(net)) {
		dst = ip6_route_output(net, NULL, &fl6);
		if (unlikely(dst->error)) {
			dst_release(dst);
			return NULL;
		}
		return dst;
	}
	dst = ip6_dst_lookup_flow(net, NULL, &fl6, NULL);
	if (IS_ERR(dst))
		return NULL;
	*saddr = fl6.saddr;
	return dst;
}

struct dst_entry *glb_route4_kept(struct dst_cache *cache, const struct sk_buff *skb, __be32 *saddr)
{
	struct rtable *rt;

	GLB_CHECK_BH_OFF();
	GLB_CHECK_RCU();
	if (!glb_skb_is_common(skb))
		return NULL;
	rt = dst_cache_get_ip4(cache, saddr);
	return rt ? &rt->dst : NULL;
}

struct dst_entry *glb_route6_kept(struct dst_cache *cache, const struct sk_buff *skb,
				  struct in6_addr *saddr)
{
	GLB_CHECK_BH_OFF();
	GLB_CHECK_RCU();
	return glb_skb_is_common(skb) ? dst_cache_get_ip6(cache, saddr) : NULL;
}

struct dst_entry *glb_route4_find(struct net *net, struct dst_cache *cache,
				  const struct sk_buff *skb, struct glb_flow flow, __be32 daddr,
				  __be32 *saddr)
{
	const struct glb_domain domain = glb_domain_of(net, skb, flow, false);
	struct dst_entry *dst = glb_route4(net, domain, flow, daddr, saddr);

	if (dst && glb_route_keeps(net, skb, flow, false))
		dst_cache_set_ip4(cache, dst, *saddr);
	return dst;
}

struct dst_entry *glb_route6_find(struct net *net, struct dst_cache *cache,
				  const struct sk_buff *skb, struct glb_flow flow,
				  const struct in6_addr *daddr, struct in6_addr *saddr)
{
	const struct glb_domain domain = glb_domain_of(net, skb, flow, true);
	struct dst_entry *dst = glb_route6(net, domain, flow, daddr, saddr);

	if (dst && glb_route_keeps(net, skb, flow, true)) {
		dst_cache_set_ip6(cache, dst, saddr);
		/* What came in between has a cookie of its own, which the old route would have got. */
		if (unlikely(!glb_route_keeps(net, skb, flow, true)))
			dst_cache_reset(cache);
	}
	return dst;
}

struct dst_entry *glb_route4_between(struct net *net, const struct sk_buff *skb, struct glb_flow flow,
				     __be32 daddr, __be32 *saddr)
{
	return glb_route4(net, glb_domain_of(net, skb, flow, false), flow, daddr, saddr);
}

struct dst_entry *glb_route6_between(struct net *net, const struct sk_buff *skb, struct glb_flow flow,
				     const struct in6_addr *daddr, struct in6_addr *saddr)
{
	return glb_route6(net, glb_domain_of(net, skb, flow, true), flow, daddr, saddr);
}

/* The same for packets that keep their source: with a routing rule or the like that may name it, no route is kept for all. */
struct dst_entry *glb_route4_kept_by_any(const struct net *net, struct dst_cache *cache,
					 const struct sk_buff *skb, __be32 *saddr)
{
	return glb_source_counts(net, false) ? NULL : glb_route4_kept(cache, skb, saddr);
}

struct dst_entry *glb_route6_kept_by_any(const struct net *net, struct dst_cache *cache,
					 const struct sk_buff *skb, struct in6_addr *saddr)
{
	return glb_source_counts(net, true) ? NULL : glb_route6_kept(cache, skb, saddr);
}

/* --- routes between pairs of addresses --------------------------------------------------------------- */

/* Few of the places are taken: load balancers are few, and so are the addresses here that they know. */
static u32 glb_pair_of(struct glb_key *key, const struct glb_domain *domain, struct glb_flow flow,
		       const void *daddr, const void *saddr, bool is_v6)
{
	*key = (struct glb_key){
		.mark = domain->mark,
		.l3mdev = domain->l3mdev,
		.flow = (__force __be32)flow.tos,
	};
	if (is_v6) {
		memcpy(&key->daddr, daddr, sizeof(key->daddr));
		memcpy(&key->saddr, saddr, sizeof(key->saddr));
		return hash_32(key->daddr.s6_addr32[1] ^ key->daddr.s6_addr32[3], GLB_ROUTES_BITS);
	}
	memcpy(&key->daddr, daddr, sizeof(__be32));
	memcpy(&key->saddr, saddr, sizeof(__be32));
	return hash_32(key->daddr.s6_addr32[0], GLB_ROUTES_BITS);
}

struct dst_entry *glb_route_kept_between(struct net *net, struct glb_routes __percpu *routes,
					 const struct sk_buff *skb, struct glb_flow flow,
					 const void *daddr, const void *saddr, bool is_v6)
{
	const struct glb_domain domain = glb_domain_of(net, skb, flow, is_v6);
	struct glb_key key;
	const u32 at = glb_pair_of(&key, &domain, flow, daddr, saddr, is_v6);
	struct dst_entry *dst = glb_kept_get(routes, is_v6, at, &key);
	struct in6_addr source = key.saddr;
	u32 cookie;

	GLB_CHECK_BH_OFF();
	GLB_CHECK_RCU();
	if (likely(dst))
		return dst;
	dst = is_v6 ? glb_route6(net, domain, flow, &key.daddr, &source) :
		      glb_route4(net, domain, flow, key.daddr.s6_addr32[0], &source.s6_addr32[0]);
	if (!dst)
		return NULL;
	cookie = glb_kept_cookie(dst, is_v6);
	/* Ports are not in the key. */
	if (!glb_routes_need_flow(net, is_v6) && !glb_multipath_by_flow(net, is_v6))
		glb_kept_put(routes, is_v6, at, &key, dst, cookie);
	return dst;
}

bool glb_routes_by_source(const struct net *net, bool is_v6)
{
	GLB_CHECK_RCU();
	return glb_source_counts(net, is_v6);
}

int glb_route_cache_init(struct dst_cache *cache)
{
	return dst_cache_init(cache, GFP_KERNEL_ACCOUNT);
}

void glb_route_cache_reset(struct dst_cache *cache)
{
	dst_cache_reset(cache);
}

void glb_dst_release(struct dst_entry *dst)
{
	dst_release(dst);
}

/* --- whether a packet fits --------------------------------------------------------------------------- */

/* What an aggregate in front of a tunnel header may be of: each of its packets gets a copy of the header. */
#define GLB_WHOLE_GSO                                                                              \
	(SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | SKB_GSO_UDP_L4 | SKB_GSO_DODGY | SKB_GSO_TCP_ECN |         \
	 SKB_GSO_TCP_ACCECN | SKB_GSO_TCP_FIXEDID)

static noinline enum glb_fit glb_gso_fits(const struct sk_buff *skb, unsigned int room)
{
	const struct skb_shared_info *info = skb_shinfo(skb);

	/* Merged by a device for this machine alone (LRO): nobody can take it apart. */
	if (!info->gso_type)
		return GLB_FIT_NEVER;
	/*
	 * A list of whole packets (SKB_GSO_FRAGLIST) has no room in front of each for a tunnel header, and the kernel's
	 * segmentation goes through one tunnel, not two.
	 */
	if (skb->encapsulation || info->gso_type & ~GLB_WHOLE_GSO)
		return GLB_FIT_APART;
	return skb_gso_validate_network_len(skb, room) ? GLB_FIT_WHOLE : GLB_FIT_NOT;
}

static __always_inline enum glb_fit glb_fits(const struct sk_buff *skb, unsigned int room)
{
	if (unlikely(skb_is_gso(skb)))
		return glb_gso_fits(skb, room);
	return likely(skb->len <= room) ? GLB_FIT_WHOLE : GLB_FIT_NOT;
}

enum glb_fit glb_skb_fits(const struct sk_buff *skb, unsigned int room)
{
	return glb_fits(skb, room);
}

enum glb_fit glb_dst_fits(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int added)
{
	unsigned int mtu = dst_mtu(dst);

	if (mtu <= added)
		return GLB_FIT_NOT;
	return glb_fits(skb, mtu - added);
}

bool glb_dst_is_here(const struct dst_entry *dst, bool is_v6)
{
	return is_v6 ? dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL :
		       dst_rtable(dst)->rt_flags & RTCF_LOCAL;
}

unsigned int glb_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}
