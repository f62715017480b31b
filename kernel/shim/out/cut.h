/* SPDX-License-Identifier: GPL-2.0 */
/* Packets made of parts of another one. */
#ifndef _GLB_CUT_H
#define _GLB_CUT_H

#include <linux/types.h>

struct dst_entry;
struct sk_buff;

struct sk_buff *glb_segments(struct sk_buff *skb, int *error);
struct sk_buff *glb_segments_pop(struct sk_buff **list);
void glb_segments_free(struct sk_buff *list);
struct sk_buff *glb_piece(const struct sk_buff *skb, const struct dst_entry *dst, unsigned int room,
			  unsigned int header_len, unsigned int start, unsigned int len);

#endif /* _GLB_CUT_H */
