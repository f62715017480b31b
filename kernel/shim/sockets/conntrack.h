/* SPDX-License-Identifier: GPL-2.0 */
/* Entries of the connection tracking. */
#ifndef _GLB_CONNTRACK_H
#define _GLB_CONNTRACK_H

#include <linux/types.h>

struct net;

/* Functions of nf_conntrack, whose module is held as long as they are. */
struct glb_conntrack {
	void *find;
	void *leave;
};

/* A connection as its client names it: addresses of 4 or 16 bytes, everything in network byte order. */
struct glb_conntrack_flow {
	const void *client;
	const void *vip;
	__be16 client_port;
	__be16 vip_port;
	u8 protocol;
	bool ipv6;
};

/* Has the connections of the namespace tracked until glb_conntrack_put. May sleep; loads nf_conntrack if `may_load` and it is
 * not there. -EOPNOTSUPP if it is not there, or the kernel has none.
 */
int glb_conntrack_get(struct net *net, struct glb_conntrack *conntrack, bool may_load);
void glb_conntrack_put(struct net *net, const struct glb_conntrack *conntrack);

/* Whether the table of the namespace has the connection, in the original direction, and expects more packets of it. */
bool glb_conntrack_expects(struct net *net, const struct glb_conntrack *conntrack,
			   const struct glb_conntrack_flow *flow);

#endif /* _GLB_CONNTRACK_H */
