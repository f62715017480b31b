/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What an iptables rule with the target GLBREDIRECT carries from userspace to the kernel.
 *
 * Two revisions of the target exist, and a rule names its own:
 *
 *   0  no bytes at all. It is what the plugin that is deployed since years sends; any hop is allowed.
 *   1  struct xt_glbredirect_info.
 *
 * iptables compares rules byte by byte (-C, -D), so every byte that has no meaning is zero: the padding,
 * the tail of an IPv4 address, the host bits of an address, and the prefixes from num_prefixes on. The
 * kernel refuses a rule that breaks this, so that the bytes are free for a later meaning.
 */
#ifndef _XT_GLBREDIRECT_H
#define _XT_GLBREDIRECT_H

#include <linux/types.h>

/* The most prefixes that one rule can allow hops from. */
#define XT_GLBREDIRECT_MAX_PREFIXES 16

/* A set of addresses that hops may be taken from. */
struct xt_glbredirect_prefix {
	__u8 family;		/* 2 (AF_INET) or 10 (AF_INET6) */
	__u8 prefix_len;	/* 0 to 32, or 0 to 128 */
	__u8 pad[2];
	__u8 addr[16];		/* network order; IPv4: the first four bytes */
};

struct xt_glbredirect_info {
	__u32 flags;		/* none is defined yet: zero */
	__u32 num_prefixes;	/* 0: any hop is allowed */
	struct xt_glbredirect_prefix prefixes[XT_GLBREDIRECT_MAX_PREFIXES];
};

#endif /* _XT_GLBREDIRECT_H */
