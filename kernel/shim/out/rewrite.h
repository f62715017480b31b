/* SPDX-License-Identifier: GPL-2.0 */
/* A client's packet that goes on as it is, with another destination. */
#ifndef _GLB_REWRITE_H
#define _GLB_REWRITE_H

#include <linux/types.h>

struct dst_entry;
struct sk_buff;

/*
 * Cuts a packet to `len` bytes, makes its first `write_len` bytes linear and its own, and takes off what it came in with. What
 * stands behind the IP headers begins at `transport`. Says what the checksum field there holds: 0, the final checksum; 1, the
 * sum of the pseudo header; or a negative error.
 */
int glb_rewrite_prepare(struct sk_buff *skb, const struct dst_entry *dst, unsigned int len,
			unsigned int write_len, unsigned int transport);

#endif /* _GLB_REWRITE_H */
