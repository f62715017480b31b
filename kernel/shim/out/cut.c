// SPDX-License-Identifier: GPL-2.0
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/gso.h>

#include "cut.h"

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
