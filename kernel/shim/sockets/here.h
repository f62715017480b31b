/* SPDX-License-Identifier: GPL-2.0 */
/* Which addresses and devices are this machine's. */
#ifndef _GLB_HERE_H
#define _GLB_HERE_H

#include <linux/types.h>

struct in6_addr;
struct net;
struct sk_buff;

/* The device that sockets are asked for: that of the packet, or its routing domain and, as the second, itself. RCU is held. */
void glb_skb_domain(const struct sk_buff *skb, int *dif, int *sdif);

/* Whether an address is one of this machine's, seen from the packet's device; with `own`, one of that device. RCU is held. */
bool glb_is_here_v4(struct net *net, const struct sk_buff *skb, __be32 addr, bool own);
/* The same, without `own`, with what was found last: `kept` is a place for one address of the namespace, at first 0, which packets of
 * all CPUs may share.
 */
bool glb_is_local_v4(struct net *net, const struct sk_buff *skb, __be32 addr, u64 *kept);
bool glb_is_here_v6(struct net *net, const struct sk_buff *skb, const struct in6_addr *addr, bool own);

#endif /* _GLB_HERE_H */
