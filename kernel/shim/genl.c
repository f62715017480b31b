// SPDX-License-Identifier: GPL-2.0
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>

#include "genl.h"

/* --- requests ---------------------------------------------------------------------------------------- */

struct net *glb_genl_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

const void *glb_genl_attrs(const struct genl_info *info, size_t *len)
{
	int bytes = genlmsg_len(info->genlhdr) - info->family->hdrsize;

	*len = max(bytes, 0);
	return genl_info_userhdr(info) + info->family->hdrsize;
}

const struct genl_info *glb_genl_info_dump(struct netlink_callback *cb)
{
	return genl_info_dump(cb);
}

void glb_genl_check_consistent(struct netlink_callback *cb, void *header)
{
	genl_dump_check_consistent(cb, header);
}

/* Whether both of them administer the network namespace of the socket, as operations with uns-admin-perm need. */
bool glb_genl_admin(const struct sk_buff *request)
{
	return netlink_net_capable(request, CAP_NET_ADMIN);
}

/* Whether who opened the socket and who wrote the request both administer the machine, and not only a user namespace. */
bool glb_genl_initial_admin(const struct sk_buff *request)
{
	return netlink_ns_capable(request, &init_user_ns, CAP_SYS_ADMIN) &&
	       netlink_ns_capable(request, &init_user_ns, CAP_NET_ADMIN);
}

/* --- messages ---------------------------------------------------------------------------------------- */

struct sk_buff *glb_genl_new(size_t size, bool may_sleep)
{
	return genlmsg_new(size, may_sleep ? GFP_KERNEL : GFP_ATOMIC);
}

void glb_genl_free(struct sk_buff *skb)
{
	nlmsg_free(skb);
}

void glb_genl_end(struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
}

void glb_genl_cancel(struct sk_buff *skb, void *header)
{
	genlmsg_cancel(skb, header);
}

int glb_genl_reply(struct sk_buff *skb, struct genl_info *info)
{
	return genlmsg_reply(skb, info);
}

bool glb_genl_has_listeners(const struct genl_family *family, struct net *net, unsigned int group)
{
	return genl_has_listeners(family, net, group);
}

void glb_genl_multicast(const struct genl_family *family, struct net *net, struct sk_buff *skb,
			unsigned int group)
{
	genlmsg_multicast_netns(family, net, skb, 0, group, GFP_ATOMIC);
}

struct nlattr *glb_nla_nest_start(struct sk_buff *skb, int type)
{
	return nla_nest_start(skb, type);
}

void glb_nla_nest_end(struct sk_buff *skb, struct nlattr *nest)
{
	nla_nest_end(skb, nest);
}

unsigned int glb_skb_len(const struct sk_buff *skb)
{
	return skb->len;
}
