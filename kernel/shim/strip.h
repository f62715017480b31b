/* SPDX-License-Identifier: GPL-2.0 */
/* Packets at the hooks of a device in the role geneve: out of their headers, and on their way out. */
#ifndef _GLB_STRIP_H
#define _GLB_STRIP_H

#include <linux/types.h>

struct dst_entry;
struct in6_addr;
struct net;
struct sk_buff;

/* Whether the frame had a VLAN tag, which the kernel has yet to follow. */
bool glb_skb_is_tagged(const struct sk_buff *skb);

/* Whether the sum of the UDP header at `udp` is right, of a datagram that ends at `end`; there is none where it is 0. What is
 * behind `end` is cut off. The packet's data starts at its IP header, and its first `udp` and 8 bytes are linear. 0,
 * -EBADMSG where it is wrong, -EMSGSIZE where an aggregate is longer, or -ENOMEM.
 */
int glb_udp_validate(struct sk_buff *skb, unsigned int udp, unsigned int end, bool is_v6);

/* Takes the first `len` bytes off, which are linear: what is behind them is then as if it had come so, with the ECN codepoint `ecn`
 * (INET_ECN_ECT_1 or INET_ECN_CE; 0 leaves its own). 0 or -ENOMEM.
 */
int glb_strip(struct sk_buff *skb, unsigned int len, bool inner_is_v6, u8 ecn);

/* Of an ICMP error in IPv4, from its IP header on, which ends at `end`: whether its sum is right. Its header is linear. */
bool glb_icmp_is_right(struct sk_buff *skb, unsigned int icmp, unsigned int end);
/* Has the route of the UDP packet at `about`, in the routing domain of the device, let no more than `mtu` bytes through. */
void glb_narrow_path(struct net *net, struct sk_buff *skb, unsigned int about, u32 mtu);

/* Sends a packet in its header by `dst`, with bottom halves off; takes it, and answers whether it went. With `cuts` it may be longer
 * than the route's MTU, and is no aggregate.
 */
bool glb_egress_xmit(struct net *net, struct sk_buff *skb, struct dst_entry *dst, bool is_v6,
		     bool cuts);
/* At the egress hook: whether it is the packet that `glb_egress_xmit` is sending, or a fragment of it. Says so once. */
bool glb_egress_is_own(const struct sk_buff *skb);

/* At the egress hook: makes the data start at the IP header. How many bytes were in front, or -1. */
int glb_egress_enter(struct sk_buff *skb);
void glb_egress_leave(struct sk_buff *skb, unsigned int link_len);

/* At the egress hook: tells the sender, or the stack, that the packet is too big and `mtu` would fit. */
void glb_egress_too_big(struct sk_buff *skb, unsigned int mtu, bool is_v6);

#endif /* _GLB_STRIP_H */
