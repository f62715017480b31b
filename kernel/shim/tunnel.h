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
u16 glb_skb_protocol(const struct sk_buff *skb);
struct net *glb_dev_net(const struct net_device *dev);
const char *glb_dev_name(const struct net_device *dev);
int glb_dev_ifindex(const struct net_device *dev);

/* Routes, remembered by CPU where the cache is set up; the caller releases what it gets. Softirq context. */
struct dst_entry *glb_route4_cached(struct net *net, struct dst_cache *cache, __be32 daddr,
				    __be32 *saddr);
struct dst_entry *glb_route6_cached(struct net *net, struct dst_cache *cache,
				    const struct in6_addr *daddr, struct in6_addr *saddr);
int glb_route_cache_init(struct dst_cache *cache);
void glb_route_cache_reset(struct dst_cache *cache);
void glb_dst_release(struct dst_entry *dst);
bool glb_dst_fits(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int added);
unsigned int glb_dst_mtu(const struct dst_entry *dst);

/* Encapsulation: prepare, push, with a UDP checksum or without, send. */
int glb_tunnel_prepare(struct sk_buff *skb, const struct dst_entry *dst, unsigned int inner_len,
		       unsigned int header_len, bool inner_is_v6, bool checksum);
void *glb_tunnel_push(struct sk_buff *skb, unsigned int header_len, unsigned int ip_len, bool is_v6);
void glb_tunnel_checksum(struct sk_buff *skb, bool is_v6);
bool glb_tunnel_xmit(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6,
		     const u8 *gateway_mac);

/* A packet of our own; takes nothing, keeps the route with the caller. */
struct sk_buff *glb_packet_alloc(const struct dst_entry *dst, const void *bytes, unsigned int len,
				 bool is_v6);

#endif /* _GLB_TUNNEL_H */
