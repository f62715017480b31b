// SPDX-License-Identifier: GPL-2.0
#include <net/net_namespace.h>
#include <net/tcp.h>

#include "../checks.h"
#include "tcp.h"

bool glb_tcp_in_time_wait(const struct sock *sk)
{
	GLB_CHECK_RCU();
	return READ_ONCE(sk->sk_state) == TCP_TIME_WAIT;
}

bool glb_cookies_expected(const struct net *net, const struct sock *listener)
{
	switch (READ_ONCE(net->ipv4.sysctl_tcp_syncookies)) {
	case 0:
		return false;
	case 1:
		return !tcp_synq_no_recent_overflow(listener);
	default:
		return true;
	}
}
