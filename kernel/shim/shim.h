/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions for what the kernel has only as macros and static inlines, which bindgen cannot bind.
 * Each is one step; what the steps add up to is written in Rust.
 */
#ifndef _GLB_SHIM_H
#define _GLB_SHIM_H

#include <linux/types.h>

struct net;
struct seq_file;
struct sk_buff;
struct sock;

/* Per-CPU arrays of 64-bit counters. */
u64 __percpu *glb_counters_alloc(size_t count);
void glb_counters_free(u64 __percpu *counters, size_t count);
void glb_counters_add2(u64 __percpu *counters, size_t first, size_t second);
void glb_counters_add(u64 __percpu *counters, size_t index, u64 value);
u64 glb_counters_sum(u64 __percpu *counters, size_t index);

/* Network namespaces. */
void *glb_net_generic(const struct net *net, unsigned int id);
void *glb_net_generic_rcu(const struct net *net, unsigned int id);
struct net *glb_current_net(void);
int glb_proc_create_net(struct net *net, const char *name, int (*show)(struct seq_file *, void *));
void glb_proc_remove_net(struct net *net, const char *name);
struct net *glb_seq_file_net(struct seq_file *file);
int glb_proc_create(const char *name, int (*show)(struct seq_file *, void *));

/* Socket buffers. */
bool glb_skb_pull(struct sk_buff *skb, unsigned int len);
bool glb_skb_udp_check_is_pseudo(const struct sk_buff *skb, unsigned int udp_offset);
bool glb_skb_is_udp_gso(const struct sk_buff *skb);
bool glb_skb_fits_mtu(const struct sk_buff *skb);
bool glb_skb_is_unicast(const struct sk_buff *skb, bool is_v6);
void glb_skb_prepare_output(struct sk_buff *skb);
void glb_skb_untrack(struct sk_buff *skb);
void glb_skb_free(struct sk_buff *skb);

/* Time and chance. */
u64 glb_milliseconds(void);
void glb_random(void *bytes, size_t len);

/* Sockets. */
bool glb_cookies_expected(const struct net *net, const struct sock *listener);

#endif /* _GLB_SHIM_H */
