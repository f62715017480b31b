/* SPDX-License-Identifier: GPL-2.0 */
/* Generic netlink. */
#ifndef _GLB_GENL_H
#define _GLB_GENL_H

#include <linux/types.h>

struct genl_family;
struct genl_info;
struct net;
struct netlink_callback;
struct netlink_ext_ack;
struct nlattr;
struct sk_buff;

struct net *glb_genl_net(const struct genl_info *info);
const void *glb_genl_attrs(const struct genl_info *info, size_t *len);
bool glb_genl_admin(const struct sk_buff *request);
bool glb_genl_initial_admin(const struct sk_buff *request);
const struct genl_info *glb_genl_info_dump(struct netlink_callback *cb);
void glb_genl_check_consistent(struct netlink_callback *cb, void *header);

struct sk_buff *glb_genl_new(size_t size, bool may_sleep);
void glb_genl_free(struct sk_buff *skb);
void glb_genl_end(struct sk_buff *skb, void *header);
void glb_genl_cancel(struct sk_buff *skb, void *header);
int glb_genl_reply(struct sk_buff *skb, struct genl_info *info);
bool glb_genl_has_listeners(const struct genl_family *family, struct net *net, unsigned int group);
void glb_genl_multicast(const struct genl_family *family, struct net *net, struct sk_buff *skb,
			unsigned int group);

struct nlattr *glb_nla_nest_start(struct sk_buff *skb, int type);
void glb_nla_nest_end(struct sk_buff *skb, struct nlattr *nest);
unsigned int glb_skb_len(const struct sk_buff *skb);

#endif /* _GLB_GENL_H */
