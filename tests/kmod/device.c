// SPDX-License-Identifier: GPL-2.0
/*
 * A network device for tests, `ip link add NAME type glbtest`. It counts and frees the packets that are sent to it; captures
 * see them segmented and checksummed according to its features. A line of KEY=VALUE (spec.c) that is written to
 *
 *   /sys/class/net/NAME/glbtest/inject
 *
 * describes a packet that arrives on the device. The write returns when the stack has processed the packet. Of a packet with
 * cloned=1, the device keeps a clone, and
 *
 *   /sys/class/net/NAME/glbtest/held
 *
 * shows whether the clone is unchanged.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <net/rtnetlink.h>

#include "shape.h"
#include "spec.h"

struct glb_testdev {
	/* One packet at a time. */
	struct mutex lock;
	/* A clone of what was injected last, with its bytes and its description of that time. */
	struct sk_buff *held;
	u8 *bytes;
	unsigned short gso_size;
	unsigned short gso_segs;
	unsigned int gso_type;
};

static netdev_tx_t testdev_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_lstats_add(dev, skb->len);
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static void testdev_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	dev_lstats_read(dev, &stats->tx_packets, &stats->tx_bytes);
}

/* --- clones ------------------------------------------------------------------------------------------ */

static void release(struct glb_testdev *own)
{
	kfree_skb(own->held);
	own->held = NULL;
	kvfree(own->bytes);
	own->bytes = NULL;
}

static int hold(struct glb_testdev *own, struct sk_buff *skb)
{
	const struct skb_shared_info *info = skb_shinfo(skb);

	own->bytes = kvmalloc(skb->len, GFP_KERNEL);
	own->held = own->bytes ? skb_clone(skb, GFP_KERNEL) : NULL;
	if (!own->held || skb_copy_bits(skb, 0, own->bytes, skb->len)) {
		release(own);
		return -ENOMEM;
	}
	own->gso_size = info->gso_size;
	own->gso_segs = info->gso_segs;
	own->gso_type = info->gso_type;
	return 0;
}

static const char *what_became_of(const struct glb_testdev *own)
{
	const struct skb_shared_info *info;
	const char *answer = "same";
	u8 *bytes;

	if (!own->held)
		return "none";
	info = skb_shinfo(own->held);
	if (info->gso_size != own->gso_size || info->gso_segs != own->gso_segs || info->gso_type != own->gso_type)
		return "its gso fields changed";
	bytes = kvmalloc(own->held->len, GFP_KERNEL);
	if (!bytes)
		return "no memory to look";
	if (skb_copy_bits(own->held, 0, bytes, own->held->len))
		answer = "its length changed";
	else if (memcmp(bytes, own->bytes, own->held->len))
		answer = "its bytes changed";
	kvfree(bytes);
	return answer;
}

/* --- files ------------------------------------------------------------------------------------------- */

static ssize_t inject_store(struct device *device, struct device_attribute *attr, const char *line, size_t len)
{
	struct net_device *dev = to_net_dev(device);
	struct glb_testdev *own = netdev_priv(dev);
	struct glb_spec spec;
	struct sk_buff *skb;
	char *copy;
	int err;

	if (!netif_running(dev))
		return -ENETDOWN;
	copy = kstrndup(line, len, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	err = glb_spec_parse(dev, copy, &spec);
	kfree(copy);
	if (err)
		return err;
	mutex_lock(&own->lock);
	release(own);
	skb = glb_shape(dev, &spec);
	err = PTR_ERR_OR_ZERO(skb);
	if (!err && spec.cloned) {
		err = hold(own, skb);
		if (err)
			kfree_skb(skb);
	}
	if (!err) {
		/* The context of a driver's poll function. */
		local_bh_disable();
		netif_receive_skb(skb);
		local_bh_enable();
	}
	mutex_unlock(&own->lock);
	return err ?: len;
}
static DEVICE_ATTR_WO(inject);

static ssize_t held_show(struct device *device, struct device_attribute *attr, char *to)
{
	struct glb_testdev *own = netdev_priv(to_net_dev(device));
	ssize_t len;

	mutex_lock(&own->lock);
	len = sysfs_emit(to, "%s\n", what_became_of(own));
	mutex_unlock(&own->lock);
	return len;
}
static DEVICE_ATTR_RO(held);

static struct attribute *testdev_attributes[] = {
	&dev_attr_inject.attr,
	&dev_attr_held.attr,
	NULL
};

static const struct attribute_group testdev_files = {
	.name = "glbtest",
	.attrs = testdev_attributes,
};

/* --- the device -------------------------------------------------------------------------------------- */

static int testdev_init(struct net_device *dev)
{
	struct glb_testdev *own = netdev_priv(dev);

	mutex_init(&own->lock);
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_LSTATS;
	return 0;
}

/* The files are already removed. */
static void testdev_uninit(struct net_device *dev)
{
	release(netdev_priv(dev));
}

static const struct net_device_ops testdev_ops = {
	.ndo_init = testdev_init,
	.ndo_uninit = testdev_uninit,
	.ndo_start_xmit = testdev_xmit,
	.ndo_get_stats64 = testdev_get_stats64,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_set_mac_address = eth_mac_addr,
};

static const struct ethtool_ops testdev_ethtool_ops = {
	.get_link = ethtool_op_get_link,
};

static void testdev_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &testdev_ops;
	dev->ethtool_ops = &testdev_ethtool_ops;
	dev->needs_free_netdev = true;
	dev->sysfs_groups[0] = &testdev_files;
	dev->max_mtu = ETH_MAX_MTU;
	dev->priv_flags |= IFF_NO_QUEUE;
	dev->lltx = true;
	/*
	 * Nothing in hw_enc_features: the kernel cuts what is in a tunnel, and completes inner checksums, but (SG) without a
	 * copy. Without SG it copies.
	 */
	dev->features = NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_HIGHDMA |
			NETIF_F_GSO_SOFTWARE;
	dev->hw_features = dev->features | NETIF_F_LRO | NETIF_F_GRO_FRAGLIST;
	eth_hw_addr_random(dev);
}

static struct rtnl_link_ops testdev_link_ops = {
	.kind = "glbtest",
	.priv_size = sizeof(struct glb_testdev),
	.setup = testdev_setup,
};

static int __init testdev_load(void)
{
	return rtnl_link_register(&testdev_link_ops);
}

static void __exit testdev_unload(void)
{
	rtnl_link_unregister(&testdev_link_ops);
}

module_init(testdev_load);
module_exit(testdev_unload);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A network device for the tests of GLB, on which packets of any shape come in");
MODULE_ALIAS_RTNL_LINK("glbtest");
