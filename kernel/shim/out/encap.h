/* SPDX-License-Identifier: GPL-2.0 */
/* The steps of putting a packet into a tunnel and on the wire. */
#ifndef _GLB_ENCAP_H
#define _GLB_ENCAP_H

#include <linux/types.h>

struct dst_entry;
struct net;
struct sk_buff;

struct glb_families {
	bool inner_is_v6;
	bool outer_is_v6;
};

/* Encapsulation: open, write the header, with a UDP checksum or without, send. `gso_type` is the tunnel's. Answers where the
 * header's bytes are; without memory NULL, and the packet is fit to be dropped only.
 */
void *glb_tunnel_open(struct sk_buff *skb, const struct dst_entry *dst, unsigned int inner_len,
		      unsigned int header_len, struct glb_families families, int gso_type);
void glb_tunnel_checksum(struct sk_buff *skb, bool is_v6);
bool glb_tunnel_xmit(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6,
		     const u8 *gateway_mac);
/* The same of a packet that may be longer than the route's MTU, and is no aggregate: it leaves in fragments. */
bool glb_tunnel_xmit_cut(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6);

/* A packet of our own, an answer about the packet `about`; takes nothing, keeps the route with the caller. */
struct sk_buff *glb_packet_alloc(const struct net *net, const struct sk_buff *about,
				 const struct dst_entry *dst, const void *bytes, unsigned int len,
				 bool is_v6);

#endif /* _GLB_ENCAP_H */
