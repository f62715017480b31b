/* SPDX-License-Identifier: GPL-2.0 */
/* Network namespaces that have a name. */
#ifndef _GLB_NAMED_H
#define _GLB_NAMED_H

#include <linux/types.h>

struct net;

/* The lock of the module's list of named namespaces. May sleep. */
void glb_named_lock(void);
void glb_named_unlock(void);

/* Whether the process may have names resolved for the rules of this namespace. */
bool glb_named_allowed(const struct net *own);

/* The namespace that a file shows, with a reference; -EINVAL if it shows none. May sleep, as long as the file systems on the
 * way to the file let it.
 */
int glb_named_get(const char *path, struct net **net);
void glb_named_put(struct net *net);

/* Says in the kernel's log why a rule is refused; a rule has no other way to say it. */
void glb_rule_refused(const char *why);

#endif /* _GLB_NAMED_H */
