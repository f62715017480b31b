/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets of TCP. */
#ifndef _GLB_TCP_H
#define _GLB_TCP_H

#include <linux/types.h>

struct net;
struct sock;

/* Of a socket of any kind: the state is in what all kinds share. */
bool glb_tcp_in_time_wait(const struct sock *sk);
bool glb_cookies_expected(const struct net *net, const struct sock *listener);

#endif /* _GLB_TCP_H */
