/* SPDX-License-Identifier: GPL-2.0 */
/* Routes of packets that are passed on, remembered by CPU. */
#ifndef _GLB_ROUTE_H
#define _GLB_ROUTE_H

#include <linux/types.h>

struct glb_routes;
struct net;
struct sk_buff;

/* May sleep. */
struct glb_routes __percpu *glb_routes_alloc(void);
/* They must not be in use. */
void glb_routes_free(struct glb_routes __percpu *routes);

/* Gives the packet a route from its outer source to its outer destination, as ip_route_me_harder() and
 * ip6_route_me_harder() do: 0, or a negative error. RCU is held; the packet has a route of its own.
 */
int glb_routes_find(struct net *net, struct glb_routes __percpu *routes, struct sk_buff *skb,
		    bool is_v6);

#endif /* _GLB_ROUTE_H */
