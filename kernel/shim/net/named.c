// SPDX-License-Identifier: GPL-2.0
#include <linux/capability.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/printk.h>
#include <linux/proc_ns.h>
#include <linux/sched.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "named.h"

static DEFINE_MUTEX(glb_named_mutex);

void glb_named_lock(void)
{
	mutex_lock(&glb_named_mutex);
}

void glb_named_unlock(void)
{
	mutex_unlock(&glb_named_mutex);
}

/*
 * The initial user namespace it is, for two reasons. What answers for a file may be a process: in a user namespace of their
 * own, everybody can mount a file system of FUSE, and whoever resolves a name there waits as long as that process likes, with
 * the locks of nftables held. And the answers tell what connections the other namespace has.
 */
bool glb_named_allowed(const struct net *own)
{
	return own->user_ns == &init_user_ns && capable(CAP_SYS_ADMIN) && capable(CAP_NET_ADMIN);
}

int glb_named_get(const char *path, struct net **net)
{
	const struct inode *inode;
	struct ns_common *ns;
	struct path found;
	int error;

	error = kern_path(path, LOOKUP_FOLLOW, &found);
	if (error)
		return error;
	error = -EINVAL;
	inode = d_backing_inode(found.dentry);
	/* Its directory is no namespace. */
	if (inode && inode->i_sb->s_magic == NSFS_MAGIC && S_ISREG(inode->i_mode)) {
		/* The file holds the namespace, and the path holds the file. */
		ns = get_proc_ns(inode);
		if (ns->ns_type == CLONE_NEWNET) {
			*net = maybe_get_net(container_of(ns, struct net, ns));
			error = *net ? 0 : -ENOENT;
		}
	}
	path_put(&found);
	return error;
}

void glb_named_put(struct net *net)
{
	put_net(net);
}

void glb_rule_refused(const char *why)
{
	pr_info_ratelimited("GLBREDIRECT: %s\n", why);
}
