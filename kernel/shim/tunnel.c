// SPDX-License-Identifier: GPL-2.0
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/arp.h>
#include <net/dst.h>
#include <net/dst_cache.h>
#include <net/gso.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/ndisc.h>
#include <net/neighbour.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/udp.h>
#include <net/ip6_checksum.h>

#include "checks.h"
#include "ports.h"
#include "shim.h"
#include "tunnel.h"

/* --- devices ----------------------------------------------------------------------------------------- */

u32 glb_skb_link(const struct sk_buff *skb)
{
	return skb->pkt_type << 16 | ntohs(skb->protocol);
}

struct net *glb_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

const char *glb_dev_name(const struct net_device *dev)
{
	return dev->name;
}

int glb_dev_ifindex(const struct net_device *dev)
{
	return dev->ifindex;
}

/* --- routes ------------------------------------------------------------------------------------------ */

/* What the route of a packet of our own depends on, beside its addresses and `flow`. */
struct glb_domain {
	u32 mark;
	/* The routing domain (VRF) of the device that the client's packet came in on; 0 for none. */
	int l3mdev;
};

/* An ICMP error to the client, and no tunnel to a hop. */
static bool glb_is_answer(struct glb_flow flow)
{
	return flow.proto == IPPROTO_ICMP || flow.proto == IPPROTO_ICMPV6;
}

static struct glb_domain glb_domain_of(const struct net *net, const struct sk_buff *skb,
				       struct glb_flow flow, bool is_v6)
{
	struct glb_domain domain = {
		.mark = skb->mark,
		.l3mdev = l3mdev_master_ifindex_rcu(skb->dev),
	};

	/* An answer to a packet has its mark if the namespace wants it so. */
	if (glb_is_answer(flow))
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
	return !flow.tos && glb_skb_is_common(skb) && !glb_routes_need_flow(net, is_v6) &&
	       !glb_multipath_by_flow(net, is_v6);
}

/* No hop is many machines; and an error is told neither to many (RFC 1122, section 3.2.2) nor to this machine. */
static unsigned int glb_not_for(struct glb_flow flow)
{
	const unsigned int many = RTCF_BROADCAST | RTCF_MULTICAST;

	return glb_is_answer(flow) ? many | RTCF_LOCAL : many;
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

/* What an aggregate in front of a tunnel header may be of: each of its packets gets a copy of the header. */
#define GLB_WHOLE_GSO                                                                              \
	(SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | SKB_GSO_UDP_L4 | SKB_GSO_DODGY | SKB_GSO_TCP_ECN |         \
	 SKB_GSO_TCP_ACCECN | SKB_GSO_TCP_FIXEDID)

static enum glb_fit glb_gso_fits(const struct sk_buff *skb, unsigned int room)
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

enum glb_fit glb_dst_fits(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int added)
{
	unsigned int mtu = dst_mtu(dst);

	if (mtu <= added)
		return GLB_FIT_NOT;
	if (skb_is_gso(skb))
		return glb_gso_fits(skb, mtu - added);
	return skb->len <= mtu - added ? GLB_FIT_WHOLE : GLB_FIT_NOT;
}

unsigned int glb_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

/* --- encapsulation ----------------------------------------------------------------------------------- */

/* Linear bytes that are rather moved within the buffer than copied into a new one. */
#define GLB_MOVE_MAX 512

/* Moves the linear part back in its buffer, if it is ours alone and there is space behind it. */
static bool glb_move_back(struct sk_buff *skb, unsigned int by)
{
	const unsigned int len = skb_headlen(skb);

	if (len > GLB_MOVE_MAX || skb_cloned(skb) ||
	    skb_end_pointer(skb) - skb_tail_pointer(skb) < by)
		return false;
	memmove(skb->data + by, skb->data, len);
	skb->data += by;
	skb->tail += by;
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		skb->csum_start += by;
	skb->mac_header += by;
	skb->network_header += by;
	skb->transport_header += by;
	skb->inner_mac_header += by;
	skb->inner_network_header += by;
	skb->inner_transport_header += by;
	skb_metadata_clear(skb);
	return true;
}

/* Makes headroom that can be written: drivers leave 64 bytes and the link header, which is less than a tunnel header of
 * some hops and its link header.
 */
static int glb_make_room(struct sk_buff *skb, unsigned int room)
{
	const unsigned int have = skb_headroom(skb);

	if (have < room && glb_move_back(skb, ALIGN(room - have, 8)))
		return 0;
	return skb_cow_head(skb, room);
}

int glb_tunnel_prepare(struct sk_buff *skb, const struct dst_entry *dst, unsigned int inner_len,
		       unsigned int header_len, bool inner_is_v6, int gso_type)
{
	int error;

	if (skb->len > inner_len) {
		error = pskb_trim_rcsum(skb, inner_len);
		if (error)
			return error;
	}
	/* A tunnel packet whose sum a device was to complete: the device would see another tunnel, so it is done here. */
	if (unlikely(skb->encapsulation)) {
		if (skb->ip_summed == CHECKSUM_PARTIAL) {
			error = skb_checksum_help(skb);
			if (error)
				return error;
		}
		skb->encapsulation = 0;
	}
	error = glb_make_room(skb, LL_RESERVED_SPACE(dst->dev) + header_len);
	if (error)
		return error;
	/* Segments are cut behind the tunnel header, where the inner packet starts at its IP header. */
	skb_reset_mac_header(skb);
	skb_reset_mac_len(skb);
	error = iptunnel_handle_offloads(skb, gso_type);
	if (error)
		return error;
	if (unlikely(gso_type & (SKB_GSO_IPXIP4 | SKB_GSO_IPXIP6)))
		skb_set_inner_ipproto(skb, inner_is_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
	else
		skb_set_inner_protocol(skb, inner_is_v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP));
	skb_scrub_packet(skb, false);
	__vlan_hwaccel_clear_tag(skb);
	skb_clear_tstamp(skb);
	return 0;
}

void *glb_tunnel_push(struct sk_buff *skb, unsigned int header_len, unsigned int ip_len, bool is_v6)
{
	void *header = skb_push(skb, header_len);

	skb_reset_network_header(skb);
	skb_reset_mac_header(skb);
	skb_set_transport_header(skb, ip_len);
	skb->protocol = is_v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	return header;
}

/* Of a packet whose header is written: the device or the segmentation adds the data's sum, or it is known from the inner
 * checksum.
 */
void glb_tunnel_checksum(struct sk_buff *skb, bool is_v6)
{
	const int len = skb->len - skb_transport_offset(skb);

	if (is_v6)
		udp6_set_csum(false, skb, &ipv6_hdr(skb)->saddr, &ipv6_hdr(skb)->daddr, len);
	else
		udp_set_csum(false, skb, ip_hdr(skb)->saddr, ip_hdr(skb)->daddr, len);
}

/*
 * Whether a packet of this route may go to the neighbour without the way out of the IP layer: no IPsec and no light-weight
 * tunnel (mpls, seg6, bpf, ...) wants it, and it is not for this machine, whose devices are loopback and, in a routing domain,
 * the domain's.
 */
static bool glb_dst_is_plain(const struct dst_entry *dst, bool is_v6)
{
	return likely(dst->output == (is_v6 ? ip6_output : ip_output) && !dst->lwtstate &&
		      !(dst->dev->flags & IFF_LOOPBACK) && !netif_is_l3_master(dst->dev));
}

/* A full queue drops a packet with a positive code. */
static bool glb_was_sent(int code)
{
	return net_xmit_eval(code) == 0;
}

/*
 * The way out of the IP layer, with its hooks. That layer takes skb->cb for its own; what is there is GRO's (counts and offsets,
 * which it would take for options, for fragments' lengths and for flags). Devices and queues write theirs before they read it.
 */
static bool glb_local_out(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6)
{
	memset(skb->cb, 0, sizeof(skb->cb));
	glb_skb_untrack(skb);
	skb_dst_set(skb, dst_clone(dst));
	return glb_was_sent(is_v6 ? ip6_local_out(net, NULL, skb) : ip_local_out(net, NULL, skb));
}

/* To the neighbour, with its finished link header where it has one. */
static bool glb_neigh_xmit(struct sk_buff *skb, struct dst_entry *dst, bool is_v6)
{
	struct neighbour *neigh;
	/* The finished header of an IPv6 neighbour says that an IPv6 packet follows. */
	bool skip_cache = false;

	if (is_v6)
		neigh = ip_neigh_gw6(dst->dev, rt6_nexthop(dst_rt6_info(dst), &ipv6_hdr(skb)->daddr));
	else
		neigh = ip_neigh_for_gw(dst_rtable(dst), skb, &skip_cache);
	if (IS_ERR_OR_NULL(neigh)) {
		kfree_skb(skb);
		return false;
	}
	return glb_was_sent(neigh_output(neigh, skb, skip_cache));
}

/* Takes the packet, whatever it answers; the caller keeps the route. */
bool glb_tunnel_xmit(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6,
		     const u8 *gateway_mac)
{
	struct net_device *dev = dst->dev;

	if (!glb_dst_is_plain(dst, is_v6))
		return glb_local_out(net, skb, dst, is_v6);
	skb->dev = dev;
	if (gateway_mac) {
		if (dev_hard_header(skb, dev, is_v6 ? ETH_P_IPV6 : ETH_P_IP, gateway_mac, NULL,
				    skb->len) < 0) {
			kfree_skb(skb);
			return false;
		}
		return glb_was_sent(dev_queue_xmit(skb));
	}
	return glb_neigh_xmit(skb, dst, is_v6);
}

/* --- packets of our own ------------------------------------------------------------------------------ */

struct sk_buff *glb_packet_alloc(const struct net *net, const struct sk_buff *about,
				 const struct dst_entry *dst, const void *bytes, unsigned int len,
				 bool is_v6)
{
	struct sk_buff *skb = alloc_skb(LL_RESERVED_SPACE(dst->dev) + len, GFP_ATOMIC);

	if (!skb)
		return NULL;
	skb_reserve(skb, LL_RESERVED_SPACE(dst->dev));
	skb_put_data(skb, bytes, len);
	skb_reset_network_header(skb);
	skb_reset_mac_header(skb);
	skb_set_transport_header(skb, is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	skb->protocol = is_v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	skb->mark = is_v6 ? IP6_REPLY_MARK(net, about->mark) : IP4_REPLY_MARK(net, about->mark);
	return skb;
}
