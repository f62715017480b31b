/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets of TCP. */
#ifndef _GLB_TCP_H
#define _GLB_TCP_H

#include <linux/types.h>

struct in6_addr;
struct net;
struct sock;

/* Of a socket of any kind: the state is in what all kinds share. */
bool glb_tcp_in_time_wait(const struct sock *sk);
bool glb_cookies_expected(const struct net *net, const struct sock *listener);

/* Whether a socket certainly listens for a connection to the address and the port (of the host's byte order). If not, one may
 * listen nevertheless: the kernel's own look-up says.
 */
bool glb_tcp_listens_v4(const struct net *net, __be32 vip, u16 port, int dif, int sdif);
bool glb_tcp_listens_v6(const struct net *net, const struct in6_addr *vip, u16 port, int dif, int sdif);

#endif /* _GLB_TCP_H */
