// SPDX-License-Identifier: GPL-2.0
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seq_file_net.h>
#include <linux/string.h>
#include <net/net_namespace.h>
#include <net/netdev_lock.h>
#include <net/netns/generic.h>

#include "net.h"

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

/* --- files below /proc ------------------------------------------------------------------------------- */

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

/* --- devices ----------------------------------------------------------------------------------------- */

struct net *glb_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

const char *glb_dev_name(const struct net_device *dev)
{
	return dev->name;
}

int glb_dev_ifindex(const struct net_device *dev)
{
	return dev->ifindex;
}

int glb_ifindex(struct net *net, const char *name)
{
	const struct net_device *dev;
	int ifindex;

	rcu_read_lock();
	dev = dev_get_by_name_rcu(net, name);
	ifindex = dev ? dev->ifindex : 0;
	rcu_read_unlock();
	return ifindex;
}

bool glb_ifname(struct net *net, int ifindex, char *name)
{
	const struct net_device *dev;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, ifindex);
	if (dev)
		strscpy(name, dev->name, IFNAMSIZ);
	rcu_read_unlock();
	return dev;
}

static void glb_keep_datagrams(struct net_device *dev)
{
	netdev_lock_ops(dev);
	dev->wanted_features &= ~(NETIF_F_GRO_FRAGLIST | NETIF_F_GRO_UDP_FWD);
	netdev_update_features(dev);
	netdev_unlock_ops(dev);
}

/*
 * The device and those below it (ports of a bond, of which a VLAN may stand on top) merge no UDP datagrams for whoever forwards
 * (rx-gro-list, rx-udp-gro-forwarding). The kernel nests devices MAX_NEST_DEV deep at most. A device below that belongs to another
 * namespace is that one's affair. Under RTNL.
 */
static int glb_keep_datagrams_of_lower(struct net_device *lower, struct netdev_nested_priv *priv)
{
	if (net_eq(dev_net(lower), priv->data))
		glb_keep_datagrams(lower);
	return 0;
}

void glb_dev_keep_datagrams(struct net *net, int ifindex)
{
	struct net_device *dev = __dev_get_by_index(net, ifindex);
	struct netdev_nested_priv priv = { .data = net };

	ASSERT_RTNL();
	if (!dev)
		return;
	glb_keep_datagrams(dev);
	netdev_walk_all_lower_dev(dev, glb_keep_datagrams_of_lower, &priv);
}
