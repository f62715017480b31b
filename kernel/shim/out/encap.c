// SPDX-License-Identifier: GPL-2.0
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/arp.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/neighbour.h>
#include <net/route.h>
#include <net/udp.h>

#include "../checks.h"
#include "../packet.h"
#include "encap.h"

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

void *glb_tunnel_open(struct sk_buff *skb, const struct dst_entry *dst, unsigned int inner_len,
		      unsigned int header_len, struct glb_families families, int gso_type)
{
	const bool inner_is_v6 = families.inner_is_v6, is_v6 = families.outer_is_v6;
	void *header;

	if (unlikely(skb->len > inner_len) && pskb_trim_rcsum(skb, inner_len))
		return NULL;
	/* A tunnel packet whose sum a device was to complete: the device would see another tunnel, so it is done here. */
	if (unlikely(skb->encapsulation)) {
		if (skb->ip_summed == CHECKSUM_PARTIAL && skb_csum_hwoffload_help(skb, 0))
			return NULL;
		skb->encapsulation = 0;
	}
	if (unlikely(glb_make_room(skb, LL_RESERVED_SPACE(dst->dev) + header_len)))
		return NULL;
	/* Segments are cut behind the tunnel header, where the inner packet starts at its IP header. */
	skb_reset_mac_header(skb);
	skb_reset_mac_len(skb);
	if (iptunnel_handle_offloads(skb, gso_type))
		return NULL;
	if (unlikely(gso_type & (SKB_GSO_IPXIP4 | SKB_GSO_IPXIP6)))
		skb_set_inner_ipproto(skb, inner_is_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
	else
		skb_set_inner_protocol(skb, inner_is_v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP));
	skb_scrub_packet(skb, false);
	__vlan_hwaccel_clear_tag(skb);
	skb_clear_tstamp(skb);
	/* There is room: skb_push would look again. */
	GLB_CHECK(skb_headroom(skb) >= header_len);
	header = __skb_push(skb, header_len);
	skb_reset_network_header(skb);
	skb_reset_mac_header(skb);
	skb_set_transport_header(skb, is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	skb->protocol = is_v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	return header;
}

/* Of a packet whose header is written: the device or the segmentation adds the data's sum, or it is known from the inner
 * checksum.
 */
void glb_tunnel_checksum(struct sk_buff *skb, bool is_v6)
{
	const int len = skb->len - skb_transport_offset(skb);

	/* What a device is to complete adds up to nothing that is known before, if it is a CRC: it is completed here. A failure, for
	 * want of memory, leaves a sum that the receiver finds wrong.
	 */
	if (unlikely(skb_csum_is_sctp(skb)) && skb->ip_summed == CHECKSUM_PARTIAL && !skb_is_gso(skb))
		skb_csum_hwoffload_help(skb, 0);
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

/* The IP layer cuts it on its way out. */
bool glb_tunnel_xmit_cut(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6)
{
	if (!is_v6) {
		ip_hdr(skb)->frag_off = 0;
		__ip_select_ident(net, ip_hdr(skb), 1);
	}
	skb->ignore_df = 1;
	return glb_local_out(net, skb, dst, is_v6);
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
