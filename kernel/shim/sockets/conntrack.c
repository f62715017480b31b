// SPDX-License-Identifier: GPL-2.0
/*
 * nf_conntrack is asked without being needed: a symbol that is looked up by its name makes no dependency of modules, and holds
 * the module that has it until it is given back.
 */
#include <linux/errno.h>
#include <linux/kconfig.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/string.h>

#include "../checks.h"
#include "conntrack.h"

#if IS_ENABLED(CONFIG_NF_CONNTRACK)

#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_tuple.h>
#include <net/netfilter/nf_conntrack_zones.h>

static int glb_conntrack_symbols(struct glb_conntrack *conntrack)
{
	conntrack->find = symbol_get(nf_conntrack_find_get);
	if (!conntrack->find)
		return -EOPNOTSUPP;
	conntrack->leave = symbol_get(nf_ct_netns_put);
	if (!conntrack->leave) {
		symbol_put(nf_conntrack_find_get);
		return -EOPNOTSUPP;
	}
	return 0;
}

static void glb_conntrack_release(void)
{
	symbol_put(nf_ct_netns_put);
	symbol_put(nf_conntrack_find_get);
}

int glb_conntrack_get(struct net *net, struct glb_conntrack *conntrack, bool may_load)
{
	typeof(&nf_ct_netns_get) enter;
	int error;

	error = glb_conntrack_symbols(conntrack);
	if (error && may_load) {
		request_module("nf_conntrack");
		error = glb_conntrack_symbols(conntrack);
	}
	if (error)
		return error;
	error = -EOPNOTSUPP;
	enter = symbol_get(nf_ct_netns_get);
	if (enter) {
		/* A tunnel of either family carries both. */
		error = enter(net, NFPROTO_INET);
		symbol_put(nf_ct_netns_get);
	}
	if (error)
		glb_conntrack_release();
	return error;
}

void glb_conntrack_put(struct net *net, const struct glb_conntrack *conntrack)
{
	typeof(&nf_ct_netns_put) leave = conntrack->leave;

	leave(net, NFPROTO_INET);
	glb_conntrack_release();
}

/*
 * A packet alone is no proof that somebody is there: an entry that nobody has answered is one of a SYN, of a datagram that came
 * here as the last in its list, or was made from the middle of a connection (nf_conntrack_tcp_loose). To keep a packet for its
 * sake would refresh it, and so keep the client at a dead program.
 */
static bool glb_conntrack_answered(const struct nf_conn *ct)
{
	return test_bit(IPS_SEEN_REPLY_BIT, &ct->status);
}

/*
 * TCP_CONNTRACK_SYN_SENT2 is a simultaneous open, which no client of a VIP does. After a reset (TCP_CONNTRACK_CLOSE) nobody is
 * there any more.
 */
static bool glb_conntrack_tcp_expects(const struct nf_conn *ct)
{
	switch (READ_ONCE(ct->proto.tcp.state)) {
	case TCP_CONNTRACK_SYN_RECV:
	case TCP_CONNTRACK_ESTABLISHED:
	case TCP_CONNTRACK_FIN_WAIT:
	case TCP_CONNTRACK_CLOSE_WAIT:
	case TCP_CONNTRACK_LAST_ACK:
	case TCP_CONNTRACK_TIME_WAIT:
		return true;
	default:
		return false;
	}
}

bool glb_conntrack_expects(struct net *net, const struct glb_conntrack *conntrack,
			   const struct glb_conntrack_flow *flow)
{
	typeof(&nf_conntrack_find_get) find = conntrack->find;
	const size_t len = flow->ipv6 ? 16 : 4;
	struct nf_conntrack_tuple_hash *found;
	struct nf_conntrack_tuple tuple;
	struct nf_conn *ct;
	bool expects;

	GLB_CHECK_RCU();
	/* The hash is one of all bytes. */
	memset(&tuple, 0, sizeof(tuple));
	tuple.src.l3num = flow->ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	memcpy(&tuple.src.u3, flow->client, len);
	memcpy(&tuple.dst.u3, flow->vip, len);
	tuple.src.u.all = flow->client_port;
	tuple.dst.u.all = flow->vip_port;
	tuple.dst.protonum = flow->protocol;

	found = find(net, &nf_ct_zone_dflt, &tuple);
	if (!found)
		return false;
	ct = nf_ct_tuplehash_to_ctrack(found);
	expects = NF_CT_DIRECTION(found) == IP_CT_DIR_ORIGINAL && nf_ct_is_confirmed(ct) &&
		  !nf_ct_is_dying(ct) && glb_conntrack_answered(ct) &&
		  (flow->protocol != IPPROTO_TCP || glb_conntrack_tcp_expects(ct));
	/* Not nf_ct_put, which needs the module. */
	nf_conntrack_put(&ct->ct_general);
	return expects;
}

#else

int glb_conntrack_get(struct net *net, struct glb_conntrack *conntrack, bool may_load)
{
	return -EOPNOTSUPP;
}

void glb_conntrack_put(struct net *net, const struct glb_conntrack *conntrack)
{
}

bool glb_conntrack_expects(struct net *net, const struct glb_conntrack *conntrack,
			   const struct glb_conntrack_flow *flow)
{
	return false;
}

#endif
