// SPDX-License-Identifier: GPL-2.0
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/ip_tunnels.h>

#include "rewrite.h"

int glb_rewrite_prepare(struct sk_buff *skb, const struct dst_entry *dst, unsigned int len,
			unsigned int write_len, unsigned int transport)
{
	int error;

	if (skb->len > len) {
		error = pskb_trim_rcsum(skb, len);
		if (error)
			return error;
	}
	/* A link header that is longer than the one it came with. This also takes the linear part from clones. */
	error = skb_cow_head(skb, LL_RESERVED_SPACE(dst->dev));
	if (error)
		return error;
	if (unlikely(skb_headlen(skb) < write_len || skb_cloned(skb))) {
		error = skb_ensure_writable(skb, write_len);
		if (error)
			return error;
	}
	/* As the IP layer has it, for devices that segment or complete checksums. The hook comes before that layer. */
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, transport);
	/* The sum of all bytes, as the device found them, is not theirs any more. */
	skb_forward_csum(skb);
	/* The sender's socket, where the packet never was on a wire. */
	skb_orphan(skb);
	skb_scrub_packet(skb, false);
	__vlan_hwaccel_clear_tag(skb);
	skb_clear_tstamp(skb);
	return skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_start_offset(skb) == transport;
}
