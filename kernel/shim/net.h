/* SPDX-License-Identifier: GPL-2.0 */
/* Network namespaces, files that show them, devices. */
#ifndef _GLB_NET_H
#define _GLB_NET_H

#include <linux/types.h>

struct net;
struct net_device;
struct seq_file;

/* Network namespaces. */
void *glb_net_generic(const struct net *net, unsigned int id);
void *glb_net_generic_rcu(const struct net *net, unsigned int id);
struct net *glb_current_net(void);

/* Files below /proc. */
int glb_proc_create_net(struct net *net, const char *name, int (*show)(struct seq_file *, void *));
void glb_proc_remove_net(struct net *net, const char *name);
struct net *glb_seq_file_net(struct seq_file *file);
int glb_proc_create(const char *name, int (*show)(struct seq_file *, void *));

/* Devices; the length of a name is IFNAMSIZ. */
struct net *glb_dev_net(const struct net_device *dev);
const char *glb_dev_name(const struct net_device *dev);
int glb_dev_ifindex(const struct net_device *dev);
int glb_ifindex(struct net *net, const char *name);
bool glb_ifname(struct net *net, int ifindex, char *name);
void glb_dev_keep_datagrams(struct net *net, int ifindex);

#endif /* _GLB_NET_H */
