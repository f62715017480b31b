// SPDX-License-Identifier: GPL-2.0
#include <linux/netdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/tcp.h>

#include "cut.h"

bool glb_skb_is_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb);
}

bool glb_skb_has_frag_list(const struct sk_buff *skb)
{
	return skb_has_frag_list(skb);
}

/*
 * The packets that an aggregate stands for, a list. Takes the aggregate, as the first of the list can be the aggregate's own
 * buffer; NULL and an error if there is no memory (-ENOMEM), or it cannot be cut: then it stays with the caller, to be dropped.
 */
struct sk_buff *glb_segments(struct sk_buff *skb, int *error)
{
	/* No device does anything of it: sums are final. */
	struct sk_buff *list = __skb_gso_segment(skb, NETIF_F_SG, false);

	if (IS_ERR_OR_NULL(list)) {
		*error = list ? PTR_ERR(list) : -EINVAL;
		return NULL;
	}
	consume_skb(skb);
	return list;
}

struct sk_buff *glb_segments_pop(struct sk_buff **list)
{
	struct sk_buff *first = *list;

	if (first) {
		*list = first->next;
		skb_mark_not_on_list(first);
	}
	return first;
}

void glb_segments_free(struct sk_buff *list)
{
	kfree_skb_list(list);
}

/* A sum that a device was to complete cannot be completed over parts. */
bool glb_skb_finish_checksum(struct sk_buff *skb)
{
	return skb->ip_summed != CHECKSUM_PARTIAL || skb_checksum_help(skb) == 0;
}

/* A packet of the first `header_len` bytes of another one, and `len` bytes from `start` behind them; with `room` for a tunnel. */
struct sk_buff *glb_piece(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int room,
			  unsigned int header_len, unsigned int start, unsigned int len)
{
	const unsigned int headroom = LL_RESERVED_SPACE(dst->dev) + room;
	struct sk_buff *piece = alloc_skb(headroom + header_len + len, GFP_ATOMIC);

	if (!piece)
		return NULL;
	skb_reserve(piece, headroom);
	if (skb_copy_bits(skb, 0, skb_put(piece, header_len), header_len) ||
	    skb_copy_bits(skb, header_len + start, skb_put(piece, len), len)) {
		kfree_skb(piece);
		return NULL;
	}
	skb_reset_network_header(piece);
	skb_reset_mac_header(piece);
	piece->protocol = skb->protocol;
	piece->priority = skb->priority;
	piece->mark = skb->mark;
	piece->dev = skb->dev;
	return piece;
}

/* Whether the TCP checksum of a packet, from its IP header on, is right. */
static bool tcp_sum_ok(struct sk_buff *skb, unsigned int ip_len, unsigned int tcp_len, bool is_v6)
{
	const __wsum sum = skb_checksum(skb, ip_len, tcp_len, 0);

	if (is_v6)
		return !csum_ipv6_magic(&ipv6_hdr(skb)->saddr, &ipv6_hdr(skb)->daddr, tcp_len, IPPROTO_TCP, sum);
	return !csum_tcpudp_magic(ip_hdr(skb)->saddr, ip_hdr(skb)->daddr, tcp_len, IPPROTO_TCP, sum);
}

/* Makes a TCP packet of `len` bytes, with an IP header of `ip_len`, an aggregate of packets of at most `mtu` bytes; or the
 * packets of an aggregate shorter. False if it can not be: then nothing is changed that a receiver would see.
 */
bool glb_segment_tcp(struct sk_buff *skb, unsigned int ip_len, unsigned int len, unsigned int mtu,
		     bool is_v6)
{
	struct skb_shared_info *info;
	struct tcphdr *tcp;
	unsigned int head;

	if (skb->len > len && (skb_is_gso(skb) || pskb_trim_rcsum(skb, len)))
		return false;
	/*
	 * Segmentation cuts a list of buffers at the borders of its buffers, which must be as long as gso_size says: an
	 * aggregate with a list keeps its size (its packets are taken apart first), and a packet with one becomes linear.
	 */
	if (skb_has_frag_list(skb) && (skb_is_gso(skb) || skb_linearize(skb)))
		return false;
	/* The header is written below, and what is shared with clones is too. */
	if (skb_ensure_writable(skb, ip_len + sizeof(*tcp)) || skb_unclone(skb, GFP_ATOMIC))
		return false;
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, ip_len);
	tcp = tcp_hdr(skb);
	head = ip_len + tcp->doff * 4;
	/* A SYN says things once; urgent data has a place. A few bytes a packet help nobody. */
	if (tcp->doff < 5 || head >= len || mtu < head + 64 || tcp->syn || tcp->rst || tcp->urg ||
	    !pskb_may_pull(skb, head))
		return false;
	tcp = tcp_hdr(skb);
	info = skb_shinfo(skb);
	if (!skb_is_gso(skb)) {
		const unsigned int tcp_len = len - ip_len;

		if (skb->ip_summed != CHECKSUM_PARTIAL) {
			/* New checksums must not make a broken packet a good one. */
			if (!tcp_sum_ok(skb, ip_len, tcp_len, is_v6))
				return false;
			tcp->check = is_v6 ? ~csum_ipv6_magic(&ipv6_hdr(skb)->saddr, &ipv6_hdr(skb)->daddr,
							      tcp_len, IPPROTO_TCP, 0) :
					     ~csum_tcpudp_magic(ip_hdr(skb)->saddr, ip_hdr(skb)->daddr,
								tcp_len, IPPROTO_TCP, 0);
			skb->ip_summed = CHECKSUM_PARTIAL;
			skb->csum_start = skb_transport_header(skb) - skb->head;
			skb->csum_offset = offsetof(struct tcphdr, check);
		}
		info->gso_type = is_v6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
	} else if (!(info->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6))) {
		return false;
	}
	info->gso_size = mtu - head;
	info->gso_segs = DIV_ROUND_UP(len - head, mtu - head);
	return true;
}

/* Ends a packet that was not lost. */
void glb_skb_consume(struct sk_buff *skb)
{
	consume_skb(skb);
}
