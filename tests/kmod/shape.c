// SPDX-License-Identifier: GPL-2.0
/*
 * Makes buffers as drivers and GRO do. The fields have the values that net/core/gro.c and the offloads of IPv4, IPv6, TCP
 * and UDP leave in them, except that nothing here checks whether a combination makes sense.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/mm.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/gro.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>

#include "shape.h"

/* The byte at an offset of a flow's payload. It differs between parts of the payload and between flows. */
static u8 pattern(const struct glb_spec *spec, unsigned int offset)
{
	return ((spec->sport << 16 | offset) * 0x9e3779b1u) >> 24;
}

static void fill(const struct glb_spec *spec, u8 *to, unsigned int offset, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		to[i] = pattern(spec, offset + i);
}

static unsigned int ip_len(const struct glb_spec *spec)
{
	return spec->family == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

static unsigned int transport_len(const struct glb_spec *spec)
{
	return spec->proto == IPPROTO_TCP ? sizeof(struct tcphdr) + spec->options : sizeof(struct udphdr);
}

static unsigned int segments(const struct glb_spec *spec)
{
	return DIV_ROUND_UP(spec->len, spec->size);
}

/* The offset of the segment with this number, or the end if there is none. */
static unsigned int start_of(const struct glb_spec *spec, unsigned int segment)
{
	return min(segment * spec->size, spec->len);
}

/* A buffer with room for `linear` bytes after the headroom. */
static struct sk_buff *new_buffer(const struct glb_spec *spec, unsigned int linear)
{
	const unsigned int headroom = spec->headroom + ETH_HLEN + NET_IP_ALIGN;
	const unsigned int size = SKB_DATA_ALIGN(headroom + linear) +
				  SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	struct sk_buff *skb;
	struct page *pages;

	if (spec->page_heads) {
		pages = alloc_pages(GFP_KERNEL | __GFP_COMP, get_order(size));
		if (!pages)
			return NULL;
		skb = build_skb(page_address(pages), size);
		if (!skb)
			put_page(pages);
	} else {
		skb = alloc_skb(headroom + linear, GFP_KERNEL);
	}
	if (skb)
		skb_reserve(skb, headroom);
	return skb;
}

/* Appends payload to the linear part. */
static void put_linear(struct sk_buff *skb, const struct glb_spec *spec, unsigned int offset,
		       unsigned int len)
{
	fill(spec, skb_put(skb, len), offset, len);
}

/* Payload in pages. Each fragment begins at an odd offset in its page, as a driver's may. */
static int put_pages(struct sk_buff *skb, const struct glb_spec *spec, unsigned int offset,
		     unsigned int end)
{
	const unsigned int into = 66;

	while (offset < end) {
		const unsigned int len = min(spec->frag, end - offset);
		const int nr = skb_shinfo(skb)->nr_frags;
		struct page *pages;

		if (nr >= MAX_SKB_FRAGS)
			return -EMSGSIZE;
		pages = alloc_pages(GFP_KERNEL | __GFP_COMP, get_order(into + len));
		if (!pages)
			return -ENOMEM;
		fill(spec, page_address(pages) + into, offset, len);
		skb_add_rx_frag(skb, nr, pages, into, len, PAGE_SIZE << get_order(into + len));
		offset += len;
	}
	return 0;
}

static void write_ip(const struct glb_spec *spec, void *to, unsigned int transport, unsigned int id)
{
	if (spec->family == 6) {
		*(struct ipv6hdr *)to = (struct ipv6hdr){
			.version = 6,
			.payload_len = htons(transport),
			.nexthdr = spec->proto,
			.hop_limit = spec->ttl,
			.saddr = spec->src6,
			.daddr = spec->dst6,
		};
	} else {
		struct iphdr *ip = to;

		*ip = (struct iphdr){
			.version = 4,
			.ihl = 5,
			.tot_len = htons(sizeof(*ip) + transport),
			.id = htons(id),
			.frag_off = spec->df ? htons(IP_DF) : 0,
			.ttl = spec->ttl,
			.protocol = spec->proto,
			.saddr = spec->src4,
			.daddr = spec->dst4,
		};
		ip_send_check(ip);
	}
}

static void write_transport(const struct glb_spec *spec, void *to, unsigned int transport,
			    unsigned int segment)
{
	if (spec->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = to;

		*tcp = (struct tcphdr){
			.source = htons(spec->sport),
			.dest = htons(spec->dport),
			.seq = htonl(spec->seq + start_of(spec, segment)),
			.ack_seq = htonl(1),
			.doff = transport_len(spec) / 4,
			.syn = spec->syn,
			.ack = !spec->syn,
			.psh = 1,
			.cwr = spec->ecn && segment == 0,
			.window = htons(8192),
		};
		memset(tcp + 1, 1, spec->options);
	} else {
		*(struct udphdr *)to = (struct udphdr){
			.source = htons(spec->sport),
			.dest = htons(spec->dport),
			.len = htons(transport),
		};
	}
}

static __sum16 *checksum_of(const struct glb_spec *spec, void *transport)
{
	return spec->proto == IPPROTO_TCP ? &((struct tcphdr *)transport)->check :
					    &((struct udphdr *)transport)->check;
}

/* The complemented checksum of the pseudo header and `sum`, the sum of the other bytes. */
static __sum16 checksum(const struct glb_spec *spec, unsigned int transport, __wsum sum)
{
	if (spec->family == 6)
		return csum_ipv6_magic(&spec->src6, &spec->dst6, transport, spec->proto, sum);
	return csum_tcpudp_magic(spec->src4, spec->dst4, transport, spec->proto, sum);
}

/* Writes the checksum of the last `transport` bytes of the buffer, from the transport header on. */
static void finish_checksum(const struct glb_spec *spec, struct sk_buff *skb, int offset,
			    unsigned int transport)
{
	__sum16 *check = checksum_of(spec, skb->data + offset);

	*check = 0;
	*check = checksum(spec, transport, skb_checksum(skb, offset, transport, 0));
	if (!*check && spec->proto == IPPROTO_UDP)
		*check = CSUM_MANGLED_0;
	if (spec->bad_sum)
		*check = ~*check ^ htons(0x0101);
}

/* An element of a list: the payload of the segments from `segment` on. */
static struct sk_buff *list_part(const struct glb_spec *spec, unsigned int segment)
{
	const unsigned int start = start_of(spec, segment);
	const unsigned int end = start_of(spec, segment + spec->per);
	const unsigned int linear = spec->linear ? start_of(spec, segment + 1) - start : 0;
	struct sk_buff *skb = new_buffer(spec, linear);

	if (!skb)
		return NULL;
	put_linear(skb, spec, start, linear);
	if (put_pages(skb, spec, start + linear, end)) {
		kfree_skb(skb);
		return NULL;
	}
	return skb;
}

/* An element of a list of packets: one packet, whose headers were pulled. */
static struct sk_buff *packet_part(const struct glb_spec *spec, unsigned int segment,
				   const struct ethhdr *eth)
{
	const unsigned int start = start_of(spec, segment);
	const unsigned int len = start_of(spec, segment + 1) - start;
	const unsigned int headers = ip_len(spec) + transport_len(spec);
	struct sk_buff *skb = new_buffer(spec, headers + (spec->linear ? len : 0));

	if (!skb)
		return NULL;
	skb_push(skb, ETH_HLEN);
	memcpy(skb->data, eth, ETH_HLEN);
	skb_reset_mac_header(skb);
	skb_pull(skb, ETH_HLEN);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, ip_len(spec));
	skb_reset_mac_len(skb);
	skb->protocol = eth->h_proto;
	write_ip(spec, skb_put(skb, ip_len(spec)), transport_len(spec) + len, spec->id + segment);
	write_transport(spec, skb_put(skb, transport_len(spec)), transport_len(spec) + len, segment);
	if (spec->linear)
		put_linear(skb, spec, start, len);
	if (put_pages(skb, spec, start + (spec->linear ? len : 0), start + len)) {
		kfree_skb(skb);
		return NULL;
	}
	finish_checksum(spec, skb, ip_len(spec), transport_len(spec) + len);
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb_pull(skb, headers);
	return skb;
}

static int put_list(struct sk_buff *skb, const struct glb_spec *spec, const struct ethhdr *eth)
{
	const bool packets = spec->layout == GLB_FRAGLIST;
	struct sk_buff **tail = &skb_shinfo(skb)->frag_list;
	unsigned int segment = packets ? 1 : spec->first;

	for (; segment < segments(spec); segment += packets ? 1 : spec->per) {
		struct sk_buff *part = packets ? packet_part(spec, segment, eth) : list_part(spec, segment);

		if (!part)
			return -ENOMEM;
		*tail = part;
		tail = &part->next;
		skb->len += part->len;
		skb->data_len += part->len;
		skb->truesize += part->truesize;
	}
	return 0;
}

/* The payload of the first buffer; the list gets the rest. */
static int put_payload(struct sk_buff *skb, const struct glb_spec *spec, unsigned int linear)
{
	unsigned int end = spec->len;

	if (spec->layout == GLB_FRAG_LIST)
		end = start_of(spec, spec->first);
	else if (spec->layout == GLB_FRAGLIST)
		end = start_of(spec, 1);
	put_linear(skb, spec, 0, linear);
	return put_pages(skb, spec, linear, end);
}

static unsigned int linear_payload(const struct glb_spec *spec)
{
	switch (spec->layout) {
	case GLB_LINEAR:
		return spec->len;
	case GLB_FRAGS:
		return spec->pull;
	default:
		return spec->linear ? start_of(spec, 1) : 0;
	}
}

static void set_gso(struct sk_buff *skb, const struct glb_spec *spec)
{
	struct skb_shared_info *info = skb_shinfo(skb);

	if (spec->gso == GLB_GSO_NONE)
		return;
	info->gso_size = spec->size;
	info->gso_segs = segments(spec);
	if (spec->gso == GLB_GSO_LRO)
		return;
	if (spec->proto == IPPROTO_UDP)
		info->gso_type = SKB_GSO_UDP_L4;
	else
		info->gso_type = spec->family == 6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
	if (spec->layout == GLB_FRAGLIST)
		info->gso_type |= SKB_GSO_FRAGLIST;
	if (spec->ecn && spec->proto == IPPROTO_TCP)
		info->gso_type |= SKB_GSO_TCP_ECN;
	if (spec->dodgy) {
		/* Whoever sees it counts itself. */
		info->gso_type |= SKB_GSO_DODGY;
		info->gso_segs = 0;
	}
}

/* Writes the first packet's own checksum in a list of packets, from before GRO wrote the total length into its UDP header. */
static void finish_first_checksum(const struct glb_spec *spec, struct sk_buff *skb, void *header)
{
	const unsigned int first = transport_len(spec) + start_of(spec, 1);
	struct udphdr *udp = spec->proto == IPPROTO_UDP ? header : NULL;
	const __be16 whole = udp ? udp->len : 0;

	if (udp)
		udp->len = htons(first);
	finish_checksum(spec, skb, ip_len(spec), first);
	if (udp)
		udp->len = whole;
}

/* Sets the checksum field and the checksum state of the buffer, whose data begin at the IP header. */
static void set_checksum(struct sk_buff *skb, const struct glb_spec *spec)
{
	const unsigned int transport = skb->len - ip_len(spec);
	void *header = skb->data + ip_len(spec);

	skb->ip_summed = spec->ip_summed;
	switch (spec->ip_summed) {
	case CHECKSUM_PARTIAL:
		*checksum_of(spec, header) = ~checksum(spec, transport, 0);
		skb->csum_start = (u8 *)header - skb->head;
		skb->csum_offset = (u8 *)checksum_of(spec, header) - (u8 *)header;
		return;
	case CHECKSUM_UNNECESSARY:
		skb->csum_level = 0;
		break;
	}
	if (spec->layout == GLB_FRAGLIST)
		finish_first_checksum(spec, skb, header);
	else
		finish_checksum(spec, skb, ip_len(spec), transport);
	if (spec->ip_summed == CHECKSUM_COMPLETE)
		skb->csum = skb_checksum(skb, 0, skb->len, 0);
}

static void set_cb(struct sk_buff *skb, const struct glb_spec *spec)
{
	BUILD_BUG_ON(sizeof(struct napi_gro_cb) > sizeof(skb->cb));
	if (spec->cb >= 0) {
		memset(skb->cb, spec->cb, sizeof(skb->cb));
		return;
	}
	memset(skb->cb, 0, sizeof(skb->cb));
	NAPI_GRO_CB(skb)->last = skb;
	NAPI_GRO_CB(skb)->age = jiffies;
	NAPI_GRO_CB(skb)->data_offset = ip_len(spec) + transport_len(spec);
	/* Of a packet that ended its flow's aggregate. */
	NAPI_GRO_CB(skb)->flush = 1;
	NAPI_GRO_CB(skb)->count = segments(spec);
	NAPI_GRO_CB(skb)->proto = spec->proto;
	NAPI_GRO_CB(skb)->csum_valid = 1;
	NAPI_GRO_CB(skb)->csum = (__force __wsum)0x12345678;
}

static void write_ethernet(struct ethhdr *eth, const struct net_device *dev, const struct glb_spec *spec)
{
	static const u8 client[ETH_ALEN] = { 0x02, 0, 0, 0, 0xc1, 0x1e };
	static const u8 other[ETH_ALEN] = { 0x02, 0, 0, 0, 0x07, 0x4e };
	static const u8 multicast[ETH_ALEN] = { 0x01, 0, 0x5e, 0, 0, 1 };

	memcpy(eth->h_source, client, ETH_ALEN);
	switch (spec->pkt_type) {
	case PACKET_OTHERHOST:
		memcpy(eth->h_dest, other, ETH_ALEN);
		break;
	case PACKET_BROADCAST:
		eth_broadcast_addr(eth->h_dest);
		break;
	case PACKET_MULTICAST:
		memcpy(eth->h_dest, multicast, ETH_ALEN);
		break;
	default:
		memcpy(eth->h_dest, dev->dev_addr, ETH_ALEN);
	}
	eth->h_proto = spec->family == 6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
}

struct sk_buff *glb_shape(struct net_device *dev, const struct glb_spec *spec)
{
	const unsigned int headers = ip_len(spec) + transport_len(spec);
	const unsigned int linear = linear_payload(spec);
	struct sk_buff *skb = new_buffer(spec, headers + linear);
	struct ethhdr eth;
	int err;

	if (!skb)
		return ERR_PTR(-ENOMEM);
	write_ethernet(&eth, dev, spec);
	write_ip(spec, skb_put(skb, ip_len(spec)), transport_len(spec) + spec->len, spec->id);
	write_transport(spec, skb_put(skb, transport_len(spec)), transport_len(spec) + spec->len, 0);
	err = put_payload(skb, spec, linear);
	if (!err && (spec->layout == GLB_FRAG_LIST || spec->layout == GLB_FRAGLIST))
		err = put_list(skb, spec, &eth);
	if (err) {
		kfree_skb(skb);
		return ERR_PTR(err);
	}
	/* Below, data begin where the driver's do: at the Ethernet header, which is taken off. */
	memcpy(skb_push(skb, ETH_HLEN), &eth, ETH_HLEN);
	skb->protocol = eth_type_trans(skb, dev);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, ip_len(spec));
	skb_reset_mac_len(skb);
	set_gso(skb, spec);
	set_checksum(skb, spec);
	if (spec->vlan)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), spec->vlan);
	skb->mark = spec->mark;
	skb->priority = spec->priority;
	set_cb(skb, spec);
	return skb;
}
