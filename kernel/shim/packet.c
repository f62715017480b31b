// SPDX-License-Identifier: GPL-2.0
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/tcp.h>

#include "packet.h"

u32 glb_skb_link(const struct sk_buff *skb)
{
	return skb->pkt_type << 16 | ntohs(skb->protocol);
}

void glb_skb_set_mark(struct sk_buff *skb, u32 mark)
{
	skb->mark = mark;
}

bool glb_skb_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

bool glb_skb_udp_check_is_pseudo(const struct sk_buff *skb, unsigned int udp_offset)
{
	if (skb_is_gso(skb))
		return skb_shinfo(skb)->gso_type & SKB_GSO_UDP_TUNNEL_CSUM;
	return skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_start_offset(skb) == udp_offset;
}

bool glb_skb_is_udp_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb) &&
	       !(skb_shinfo(skb)->gso_type & (SKB_GSO_UDP_TUNNEL | SKB_GSO_UDP_TUNNEL_CSUM));
}

bool glb_skb_fits_mtu(const struct sk_buff *skb)
{
	unsigned int mtu = dst_mtu(skb_dst(skb));

	if (skb_is_gso(skb))
		return skb_gso_validate_network_len(skb, mtu);
	return skb->len <= mtu;
}

/* Whether the packet is for this machine alone, by its link and by its address. */
bool glb_skb_is_unicast(const struct sk_buff *skb, bool is_v6)
{
	if (skb->pkt_type != PACKET_HOST)
		return false;
	if (is_v6)
		return !ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr);
	return !(skb_rtable(skb)->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST));
}

void glb_skb_prepare_output(struct sk_buff *skb)
{
	skb_orphan(skb);
	/* A packet that is passed on belongs to no connection of this machine. */
	glb_skb_untrack(skb);
	skb_forward_csum(skb);
	skb_clear_tstamp(skb);
}

/* Connection tracking keeps out of the packet's way, on this machine. */
void glb_skb_untrack(struct sk_buff *skb)
{
	nf_reset_ct(skb);
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	skb->_nfct = IP_CT_UNTRACKED;
#endif
}

void glb_skb_free(struct sk_buff *skb)
{
	kfree_skb(skb);
}

bool glb_skb_is_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb);
}

bool glb_skb_has_frag_list(const struct sk_buff *skb)
{
	return skb_has_frag_list(skb);
}

/* A sum that a device was to complete, SCTP's too, cannot be completed over parts. */
bool glb_skb_finish_checksum(struct sk_buff *skb)
{
	return skb->ip_summed != CHECKSUM_PARTIAL || skb_csum_hwoffload_help(skb, 0) == 0;
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
 * packets of an aggregate shorter. False if it cannot be: then nothing is changed that a receiver would see.
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
	/* SYNs and urgent data cannot be split. Segments of a few bytes are useless. */
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
