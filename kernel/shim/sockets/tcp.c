// SPDX-License-Identifier: GPL-2.0
#include <linux/filter.h>
#include <linux/rculist_nulls.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
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

/*
 * The kernel's look-up chooses one of all sockets that listen. Where the first one that it meets is of a SO_REUSEPORT group, as
 * those of most servers are, it hashes both ends of the connection to choose within the group. Whether there is one at all is
 * found in the same buckets, by the same conditions, with less.
 *
 * Programs that say which socket a packet is for (BPF_SK_LOOKUP) come before all sockets, so where there are any, nothing is certain.
 */
static struct hlist_nulls_head *glb_listeners(const struct net *net, u32 hash)
{
	return &inet_lhash2_bucket(net->ipv4.tcp_death_row.hashinfo, hash)->nulls_head;
}

static bool glb_takes(const struct sock *sk, const struct net *net, u16 port, int dif, int sdif)
{
	return net_eq(sock_net(sk), net) && READ_ONCE(sk->sk_num) == port &&
	       inet_sk_bound_dev_eq(net, READ_ONCE(sk->sk_bound_dev_if), dif, sdif);
}

static bool glb_listens_v4_on(const struct net *net, __be32 bound, u16 port, int dif, int sdif)
{
	const struct hlist_nulls_node *node;
	const struct sock *sk;

	sk_nulls_for_each_rcu(sk, node, glb_listeners(net, ipv4_portaddr_hash(net, bound, port)))
		if (sk->sk_rcv_saddr == bound && !ipv6_only_sock(sk) &&
		    glb_takes(sk, net, port, dif, sdif))
			return true;
	return false;
}

bool glb_tcp_listens_v4(const struct net *net, __be32 vip, u16 port, int dif, int sdif)
{
	GLB_CHECK_RCU();
	if (static_branch_unlikely(&bpf_sk_lookup_enabled))
		return false;
	return glb_listens_v4_on(net, vip, port, dif, sdif) ||
	       glb_listens_v4_on(net, htonl(INADDR_ANY), port, dif, sdif);
}

static bool glb_listens_v6_on(const struct net *net, const struct in6_addr *bound, u16 port, int dif,
			      int sdif)
{
	const struct hlist_nulls_node *node;
	const struct sock *sk;

	sk_nulls_for_each_rcu(sk, node, glb_listeners(net, ipv6_portaddr_hash(net, bound, port)))
		if (sk->sk_family == PF_INET6 && ipv6_addr_equal(&sk->sk_v6_rcv_saddr, bound) &&
		    glb_takes(sk, net, port, dif, sdif))
			return true;
	return false;
}

bool glb_tcp_listens_v6(const struct net *net, const struct in6_addr *vip, u16 port, int dif, int sdif)
{
	GLB_CHECK_RCU();
	if (static_branch_unlikely(&bpf_sk_lookup_enabled))
		return false;
	return glb_listens_v6_on(net, vip, port, dif, sdif) ||
	       glb_listens_v6_on(net, &in6addr_any, port, dif, sdif);
}
