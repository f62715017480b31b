/* SPDX-License-Identifier: GPL-2.0 */
/* Socket buffers. */
#ifndef _GLB_PACKET_H
#define _GLB_PACKET_H

#include <linux/types.h>

struct sk_buff;

/* What the link says of a frame: its pkt_type (0: for this machine) and, in the low 16 bits, the protocol. */
u32 glb_skb_link(const struct sk_buff *skb);

bool glb_skb_pull(struct sk_buff *skb, unsigned int len);
bool glb_skb_udp_check_is_pseudo(const struct sk_buff *skb, unsigned int udp_offset);
bool glb_skb_is_udp_gso(const struct sk_buff *skb);
bool glb_skb_fits_mtu(const struct sk_buff *skb);
bool glb_skb_is_unicast(const struct sk_buff *skb, bool is_v6);
void glb_skb_prepare_output(struct sk_buff *skb);
void glb_skb_untrack(struct sk_buff *skb);
void glb_skb_free(struct sk_buff *skb);
bool glb_skb_is_gso(const struct sk_buff *skb);
bool glb_skb_has_frag_list(const struct sk_buff *skb);
bool glb_skb_finish_checksum(struct sk_buff *skb);
bool glb_segment_tcp(struct sk_buff *skb, unsigned int ip_len, unsigned int len, unsigned int mtu,
		     bool is_v6);
void glb_skb_consume(struct sk_buff *skb);
void glb_skb_set_mark(struct sk_buff *skb, u32 mark);

#endif /* _GLB_PACKET_H */
