/* SPDX-License-Identifier: GPL-2.0 */
/* Ingress hooks of devices, and the steps of putting a packet into a tunnel and on the wire. */
#ifndef _GLB_TUNNEL_H
#define _GLB_TUNNEL_H

#include <linux/types.h>

struct dst_cache;
struct dst_entry;
struct in6_addr;
struct net;
struct net_device;
struct nf_hook_ops;
struct sk_buff;

/* Devices. */
/* What the link says of a frame: its pkt_type (0: for this machine) and, in the low 16 bits, the protocol. */
u32 glb_skb_link(const struct sk_buff *skb);
struct net *glb_dev_net(const struct net_device *dev);
const char *glb_dev_name(const struct net_device *dev);
int glb_dev_ifindex(const struct net_device *dev);

/* What the way of a packet of our own depends on beside its addresses and the packet that it is about. */
struct glb_flow {
	/* Of ICMP, `dport` is type and code, a byte each, as in union flowi_uli. */
	__be16 sport;
	__be16 dport;
	u8 proto;
	/* IPv6: traffic class. */
	u8 tos;
};

/* Routes, remembered by CPU where the cache is set up; the caller releases what it gets. `skb` is the client's packet.
 * Bottom halves are off, RCU is held. First what is kept, if it may be this packet's; then the look-up.
 */
struct dst_entry *glb_route4_kept(struct dst_cache *cache, const struct sk_buff *skb, __be32 *saddr);
struct dst_entry *glb_route6_kept(struct dst_cache *cache, const struct sk_buff *skb,
				  struct in6_addr *saddr);
struct dst_entry *glb_route4_find(struct net *net, struct dst_cache *cache,
				  const struct sk_buff *skb, struct glb_flow flow, __be32 daddr,
				  __be32 *saddr);
struct dst_entry *glb_route6_find(struct net *net, struct dst_cache *cache,
				  const struct sk_buff *skb, struct glb_flow flow,
				  const struct in6_addr *daddr, struct in6_addr *saddr);
int glb_route_cache_init(struct dst_cache *cache);
void glb_route_cache_reset(struct dst_cache *cache);
void glb_dst_release(struct dst_entry *dst);

/* Whether a packet, or each packet of an aggregate, fits a route with a tunnel header in front. */
enum glb_fit {
	GLB_FIT_WHOLE,
	/* Too long. */
	GLB_FIT_NOT,
	/* The packets of this aggregate have to go one by one. */
	GLB_FIT_APART,
	/* An aggregate that nobody can take apart. */
	GLB_FIT_NEVER,
};

enum glb_fit glb_dst_fits(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int added);
unsigned int glb_dst_mtu(const struct dst_entry *dst);

/* Encapsulation: prepare, push, with a UDP checksum or without, send. `gso_type` is the tunnel's. */
int glb_tunnel_prepare(struct sk_buff *skb, const struct dst_entry *dst, unsigned int inner_len,
		       unsigned int header_len, bool inner_is_v6, int gso_type);
void *glb_tunnel_push(struct sk_buff *skb, unsigned int header_len, unsigned int ip_len, bool is_v6);
void glb_tunnel_checksum(struct sk_buff *skb, bool is_v6);
bool glb_tunnel_xmit(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6,
		     const u8 *gateway_mac);

/* A packet of our own, an answer about the packet `about`; takes nothing, keeps the route with the caller. */
struct sk_buff *glb_packet_alloc(const struct net *net, const struct sk_buff *about,
				 const struct dst_entry *dst, const void *bytes, unsigned int len,
				 bool is_v6);

#endif /* _GLB_TUNNEL_H */
