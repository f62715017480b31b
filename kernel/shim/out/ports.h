/* SPDX-License-Identifier: GPL-2.0 */
/* When a route depends on a packet's protocol, ports or source. */
#ifndef _GLB_PORTS_H
#define _GLB_PORTS_H

#include <net/fib_rules.h>
#include <net/net_namespace.h>
#include <net/xfrm.h>

static inline bool glb_has_ipsec(const struct net *net)
{
#ifdef CONFIG_XFRM
	return net->xfrm.policy_count[XFRM_POLICY_OUT] ||
	       net->xfrm.policy_default[XFRM_POLICY_OUT] == XFRM_USERPOLICY_BLOCK;
#else
	return false;
#endif
}

#if defined(CONFIG_IP_MULTIPLE_TABLES) || defined(CONFIG_IPV6_MULTIPLE_TABLES)
/* The kernel's own count (fib_rules_require_fldissect) leaves rules for `iif lo` out, which are about packets of this machine. */
static inline bool glb_rules_select_flows(const struct fib_rules_ops *ops)
{
	const struct fib_rule *rule;

	list_for_each_entry_rcu(rule, &ops->rules_list, list)
		if (rule->ip_proto || fib_rule_port_range_set(&rule->sport_range) || rule->sport_mask ||
		    fib_rule_port_range_set(&rule->dport_range) || rule->dport_mask)
			return true;
	return false;
}
#endif

/* Under RCU. */
static inline bool glb_rules_want_flow(const struct net *net, bool is_v6)
{
#ifdef CONFIG_IP_MULTIPLE_TABLES
	if (!is_v6)
		return net->ipv4.fib_has_custom_rules && glb_rules_select_flows(net->ipv4.rules_ops);
#endif
#ifdef CONFIG_IPV6_MULTIPLE_TABLES
	if (is_v6)
		return net->ipv6.fib6_has_custom_rules && glb_rules_select_flows(net->ipv6.fib6_rules_ops);
#endif
	return false;
}

/*
 * IPsec policies select by protocol and ports, and so may routing rules. What was kept before a policy or a rule came fails the
 * kernel's check of a route, so this is asked only where a route is to be kept.
 */
static inline bool glb_routes_need_flow(const struct net *net, bool is_v6)
{
	return glb_has_ipsec(net) || glb_rules_want_flow(net, is_v6);
}

/* Routing rules and IPsec policies may name a source, and so may IPv6 routes (subtrees). */
static inline bool glb_source_counts(const struct net *net, bool is_v6)
{
	if (glb_has_ipsec(net))
		return true;
#ifdef CONFIG_IP_MULTIPLE_TABLES
	if (!is_v6 && net->ipv4.fib_has_custom_rules)
		return true;
#endif
#ifdef CONFIG_IPV6_MULTIPLE_TABLES
	if (is_v6 && net->ipv6.fib6_has_custom_rules)
		return true;
#ifdef CONFIG_IPV6_SUBTREES
	if (is_v6 && net->ipv6.fib6_routes_require_src)
		return true;
#endif
#endif
	return false;
}

/* Whether a route with several next hops is chosen by ports, too (fib_multipath_hash_policy). */
static inline bool glb_multipath_by_flow(const struct net *net, bool is_v6)
{
#ifdef CONFIG_IP_ROUTE_MULTIPATH
	if (!is_v6)
		return READ_ONCE(net->ipv4.sysctl_fib_multipath_hash_policy);
#endif
#if IS_ENABLED(CONFIG_IPV6)
	if (is_v6)
		return READ_ONCE(net->ipv6.sysctl.multipath_hash_policy);
#endif
	return false;
}

#endif /* _GLB_PORTS_H */
