// SPDX-License-Identifier: GPL-2.0
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/nsproxy.h>
#include <linux/percpu.h>
#include <linux/proc_fs.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/seq_file_net.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/tcp.h>

#include "checks.h"
#include "shim.h"
#include "version.h"

/* For `glbctl doctor`; module! knows no version. */
MODULE_VERSION(GLB_VERSION);

/* A counter is read in one piece, and added to in one instruction: in any context. */
static_assert(sizeof(long) == sizeof(u64));

/* --- per-CPU counters ------------------------------------------------------------------------------- */

u64 __percpu *glb_counters_alloc(size_t count)
{
	return (u64 __percpu *)__alloc_percpu(array_size(count, sizeof(u64)), SMP_CACHE_BYTES);
}

/* May sleep; nobody may use them any more. */
void glb_counters_free(u64 __percpu *counters, size_t count)
{
	glb_percpu_end(counters, array_size(count, sizeof(u64)));
}

void glb_counters_add2(u64 __percpu *counters, size_t first, size_t second)
{
	this_cpu_inc(counters[first]);
	this_cpu_inc(counters[second]);
}

void glb_counters_add(u64 __percpu *counters, size_t index, u64 value)
{
	this_cpu_add(counters[index], value);
}

u64 glb_counters_sum(u64 __percpu *counters, size_t index)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)[index]);
	return sum;
}

/* --- network namespaces ------------------------------------------------------------------------------ */

void *glb_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

/* The same where RCU is locked. */
void *glb_net_generic_rcu(const struct net *net, unsigned int id)
{
	return rcu_dereference(net->gen)->ptr[id];
}

struct net *glb_current_net(void)
{
	return current->nsproxy->net_ns;
}

int glb_proc_create_net(struct net *net, const char *name, int (*show)(struct seq_file *, void *))
{
	return proc_create_net_single(name, 0444, net->proc_net, show, NULL) ? 0 : -ENOMEM;
}

void glb_proc_remove_net(struct net *net, const char *name)
{
	remove_proc_entry(name, net->proc_net);
}

struct net *glb_seq_file_net(struct seq_file *file)
{
	return seq_file_single_net(file);
}

int glb_proc_create(const char *name, int (*show)(struct seq_file *, void *))
{
	return proc_create_single(name, 0444, NULL, show) ? 0 : -ENOMEM;
}

/* --- socket buffers ---------------------------------------------------------------------------------- */

bool glb_skb_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

bool glb_skb_udp_check_is_pseudo(const struct sk_buff *skb, unsigned int udp_offset)
{
	if (skb_is_gso(skb))
		return skb_shinfo(skb)->gso_type & SKB_GSO_UDP_TUNNEL_CSUM;
	return skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_start_offset(skb) == udp_offset;
}

bool glb_skb_is_udp_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb) &&
	       !(skb_shinfo(skb)->gso_type & (SKB_GSO_UDP_TUNNEL | SKB_GSO_UDP_TUNNEL_CSUM));
}

bool glb_skb_fits_mtu(const struct sk_buff *skb)
{
	unsigned int mtu = dst_mtu(skb_dst(skb));

	if (skb_is_gso(skb))
		return skb_gso_validate_network_len(skb, mtu);
	return skb->len <= mtu;
}

/* Whether the packet is for this machine alone, by its link and by its address. */
bool glb_skb_is_unicast(const struct sk_buff *skb, bool is_v6)
{
	if (skb->pkt_type != PACKET_HOST)
		return false;
	if (is_v6)
		return !ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr);
	return !(skb_rtable(skb)->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST));
}

void glb_skb_prepare_output(struct sk_buff *skb)
{
	skb_orphan(skb);
	/* A packet that is passed on belongs to no connection of this machine. */
	glb_skb_untrack(skb);
	skb_forward_csum(skb);
	skb_clear_tstamp(skb);
}

/* Connection tracking keeps out of the packet's way, on this machine. */
void glb_skb_untrack(struct sk_buff *skb)
{
	nf_reset_ct(skb);
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	skb->_nfct = IP_CT_UNTRACKED;
#endif
}

void glb_skb_free(struct sk_buff *skb)
{
	kfree_skb(skb);
}

/* --- time and chance --------------------------------------------------------------------------------- */

u64 glb_milliseconds(void)
{
	return jiffies64_to_msecs(get_jiffies_64());
}

void glb_random(void *bytes, size_t len)
{
	get_random_bytes(bytes, len);
}

/* --- sockets ----------------------------------------------------------------------------------------- */

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
