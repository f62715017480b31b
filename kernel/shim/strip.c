// SPDX-License-Identifier: GPL-2.0
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/udp.h>
#include <net/dst.h>
#include <net/icmp.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/route.h>

#include "checks.h"
#include "out/encap.h"
#include "strip.h"

bool glb_skb_is_tagged(const struct sk_buff *skb)
{
	return skb_vlan_tag_present(skb);
}

/* --- in ---------------------------------------------------------------------------------------------- */

int glb_udp_validate(struct sk_buff *skb, unsigned int udp, unsigned int end, bool is_v6)
{
	int wrong;

	/* An aggregate is as long as its packets are. */
	if (skb->len > end && skb_is_gso(skb))
		return -EMSGSIZE;
	if (skb->len > end && pskb_trim_rcsum(skb, end))
		return -ENOMEM;
	if (!pskb_may_pull(skb, udp + sizeof(struct udphdr)))
		return -ENOMEM;
	/* None to check, and no device has said anything of it that would be said of the packet inside now. */
	if (!((const struct udphdr *)(skb->data + udp))->check &&
	    skb->ip_summed != CHECKSUM_UNNECESSARY) {
		skb->csum_valid = 0;
		return 0;
	}
	/* The kernel's check takes a packet from its UDP header on, and reads the addresses where the network header is. */
	skb_pull_rcsum(skb, udp);
	if (is_v6)
		wrong = skb_checksum_validate_zero_check(skb, IPPROTO_UDP,
							 ((struct udphdr *)skb->data)->check,
							 ip6_compute_pseudo);
	else
		wrong = skb_checksum_validate_zero_check(skb, IPPROTO_UDP,
							 ((struct udphdr *)skb->data)->check,
							 inet_compute_pseudo);
	skb_push_rcsum(skb, udp);
	/* This is said of the outer packet, and its reader was here. */
	skb->csum_valid = 0;
	return wrong ? -EBADMSG : 0;
}

/* Moves an Ethernet header up to the packet inside: bridges and captures behind this look for it there. */
static int glb_keep_link(struct sk_buff *skb, unsigned int len)
{
	const bool is_ethernet = skb->dev->type == ARPHRD_ETHER && skb_mac_header_was_set(skb) &&
				 skb->data - skb_mac_header(skb) == ETH_HLEN && len >= ETH_HLEN;

	if (!is_ethernet)
		return 0;
	/* Captures have the same bytes. */
	if (skb_cow_head(skb, 0))
		return -ENOMEM;
	/* They do not overlap. */
	memcpy(skb->data + len - ETH_HLEN, skb->data - ETH_HLEN, ETH_HLEN);
	return ETH_HLEN;
}

/* A congestion mark of the outer header, in the packet whose network header is set. Of an aggregate it is that of all its packets: GRO
 * merges no others, and of one that merges by itself it is the device's promise.
 */
static int glb_mark(struct sk_buff *skb, bool is_v6, u8 ecn)
{
	/* Captures have the same bytes. */
	if (skb_ensure_writable(skb, is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)))
		return -ENOMEM;
	if (ecn == INET_ECN_CE)
		INET_ECN_set_ce(skb);
	else
		INET_ECN_set_ect1(skb);
	return 0;
}

int glb_strip(struct sk_buff *skb, unsigned int len, bool inner_is_v6, u8 ecn)
{
	const __be16 proto = inner_is_v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	int link_len;

	if (!pskb_may_pull(skb, len))
		return -ENOMEM;
	/* The sum of what is pulled must be that of what came: the link header is moved into it afterwards. */
	if (__iptunnel_pull_header(skb, len, proto, true, false))
		return -ENOMEM;
	skb->protocol = proto;
	__skb_push(skb, len);
	link_len = glb_keep_link(skb, len);
	__skb_pull(skb, len);
	if (link_len < 0)
		return link_len;
	skb_reset_network_header(skb);
	skb_reset_transport_header(skb);
	skb_set_mac_header(skb, -link_len);
	if (link_len)
		eth_hdr(skb)->h_proto = proto;
	skb_reset_mac_len(skb);
	skb_metadata_clear(skb);
	if (unlikely(ecn) && glb_mark(skb, inner_is_v6, ecn))
		return -ENOMEM;
	/* Which the scrubbing has forgotten, and which says the routing domain. */
	skb->skb_iif = skb->dev->ifindex;
	return 0;
}

bool glb_icmp_is_right(struct sk_buff *skb, unsigned int icmp, unsigned int end)
{
	bool right;

	if (skb_is_gso(skb) || !pskb_may_pull(skb, icmp + sizeof(struct icmphdr)) ||
	    (skb->len > end && pskb_trim_rcsum(skb, end)))
		return false;
	/* The kernel's check takes a packet from its ICMP header on. */
	skb_pull_rcsum(skb, icmp);
	right = !skb_checksum_simple_validate(skb);
	skb_push_rcsum(skb, icmp);
	skb->csum_valid = 0;
	return right;
}

void glb_narrow_path(struct net *net, struct sk_buff *skb, unsigned int about, u32 mtu)
{
	GLB_CHECK_RCU();
	/* As icmp_unreach() has it: who has switched it off, or believes only protocols that can tell (which UDP cannot), means it. */
	if (READ_ONCE(net->ipv4.sysctl_ip_no_pmtu_disc))
		return;
	if (!pskb_may_pull(skb, about + sizeof(struct iphdr)))
		return;
	/* The kernel reads the packet in question where the data starts. */
	__skb_pull(skb, about);
	ipv4_update_pmtu(skb, net, mtu, l3mdev_master_ifindex_rcu(skb->dev), IPPROTO_UDP);
	__skb_push(skb, about);
}

/* --- out --------------------------------------------------------------------------------------------- */

/*
 * A packet in its header comes to the egress hook of its own device in the call that sends it, and is known there by its buffer; of
 * one that is cut, by the addresses of its fragments. Whatever else comes to a hook in that call is a packet like any other: an
 * ICMP error about the packet, ARP for its neighbour, packets of others in a queue that is run.
 *
 * Bottom halves are off from here to there, so the processor stays the same. Under PREEMPT_RT another task may run between, and send
 * in a header too: then the packet of the first is not known here. It is known by its header (`back.rs`), as one is that waited for
 * its neighbour, and no other packet is taken for it.
 */
struct glb_own {
	const struct sk_buff *skb;
	/* Of one that is cut; a copy, as what it is of may be gone. */
	struct in6_addr src, dst;
	bool is_cut, is_v6;
};

static DEFINE_PER_CPU(struct glb_own, glb_own);

static void glb_own_ends(struct glb_own *ends, const struct sk_buff *skb, bool is_v6)
{
	ends->is_v6 = is_v6;
	if (is_v6) {
		ends->src = ipv6_hdr(skb)->saddr;
		ends->dst = ipv6_hdr(skb)->daddr;
	} else {
		ipv6_addr_set_v4mapped(ip_hdr(skb)->saddr, &ends->src);
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, &ends->dst);
	}
}

static bool glb_is_fragment(const struct sk_buff *skb, bool is_v6)
{
	if (is_v6)
		return ipv6_hdr(skb)->nexthdr == NEXTHDR_FRAGMENT;
	return ip_is_fragment(ip_hdr(skb)) && ip_hdr(skb)->protocol == IPPROTO_UDP;
}

/* Of what the IP layer sends, the header is linear. */
static bool glb_is_own_fragment(const struct glb_own *own, const struct sk_buff *skb)
{
	const int at = skb_network_offset(skb);
	const unsigned int len = own->is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	struct glb_own ends;

	if (skb->protocol != (own->is_v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP)) || at < 0 ||
	    at + len > skb_headlen(skb) || !glb_is_fragment(skb, own->is_v6))
		return false;
	glb_own_ends(&ends, skb, own->is_v6);
	return ipv6_addr_equal(&ends.src, &own->src) && ipv6_addr_equal(&ends.dst, &own->dst);
}

bool glb_egress_is_own(const struct sk_buff *skb)
{
	struct glb_own *own = this_cpu_ptr(&glb_own);

	if (own->skb == skb) {
		/* Its buffer may become another packet's before the call ends. */
		own->skb = NULL;
		return true;
	}
	return unlikely(own->is_cut) && glb_is_own_fragment(own, skb);
}

bool glb_egress_xmit(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6,
		     bool cuts)
{
	struct glb_own *own = this_cpu_ptr(&glb_own);
	bool sent;

	GLB_CHECK_BH_OFF();
	own->skb = skb;
	own->is_cut = false;
	if (unlikely(cuts)) {
		glb_own_ends(own, skb, is_v6);
		own->is_cut = true;
		sent = glb_tunnel_xmit_cut(net, skb, dst, is_v6);
	} else {
		sent = glb_tunnel_xmit(net, skb, dst, is_v6, NULL);
	}
	own->skb = NULL;
	own->is_cut = false;
	return sent;
}

int glb_egress_enter(struct sk_buff *skb)
{
	const int link_len = skb_network_offset(skb);

	if (link_len < 0 || link_len > skb_headlen(skb) || skb_vlan_tag_present(skb))
		return -1;
	__skb_pull(skb, link_len);
	return link_len;
}

void glb_egress_leave(struct sk_buff *skb, unsigned int link_len)
{
	__skb_push(skb, link_len);
}

/* As the kernel's own tunnel devices tell it: a socket here hears of it through its route, any other sender by ICMP. */
void glb_egress_too_big(struct sk_buff *skb, unsigned int mtu, bool is_v6)
{
	skb_dst_update_pmtu_no_confirm(skb, mtu);
	if (!skb_dst(skb))
		return;
	memset(skb->cb, 0, sizeof(skb->cb));
	/* The error is a packet of its own: it comes to the hook, and leaves in the header of the flow that it is about. No error
	 * follows an error, so this is nested once.
	 */
	if (is_v6)
		icmpv6_ndo_send(skb, ICMPV6_PKT_TOOBIG, 0, mtu);
	else
		icmp_ndo_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
}
