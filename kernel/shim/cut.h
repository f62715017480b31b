/* SPDX-License-Identifier: GPL-2.0 */
/* Packets made of parts of another one. */
#ifndef _GLB_CUT_H
#define _GLB_CUT_H

#include <linux/types.h>

struct dst_entry;
struct sk_buff;

bool glb_skb_is_gso(const struct sk_buff *skb);
bool glb_skb_has_frag_list(const struct sk_buff *skb);
struct sk_buff *glb_segments(struct sk_buff *skb, int *error);
struct sk_buff *glb_segments_pop(struct sk_buff **list);
void glb_segments_free(struct sk_buff *list);
bool glb_skb_finish_checksum(struct sk_buff *skb);
struct sk_buff *glb_piece(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int room,
			  unsigned int header_len, unsigned int start, unsigned int len);
bool glb_segment_tcp(struct sk_buff *skb, unsigned int ip_len, unsigned int len, unsigned int mtu,
		     bool is_v6);
void glb_skb_consume(struct sk_buff *skb);

#endif /* _GLB_CUT_H */
