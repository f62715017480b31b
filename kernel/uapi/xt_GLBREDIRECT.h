/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What an iptables rule with the target GLBREDIRECT carries from userspace to the kernel.
 *
 * Three revisions of the target exist, and a rule names its own:
 *
 *   0  no bytes at all. It is what the plugin that is deployed since years sends; any hop is allowed.
 *   1  struct xt_glbredirect_info.
 *   2  struct xt_glbredirect_info_2: what revision 1 has, and options.
 *
 * iptables compares rules byte by byte (-C, -D), so every byte that has no meaning is zero: the padding,
 * the tail of an IPv4 address, the host bits of an address, the prefixes from num_prefixes on, the bytes
 * behind a name, and the names from num_namespaces on. The kernel refuses a rule that breaks this, so that
 * the bytes are free for a later meaning.
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
	__u32 flags;		/* none is defined: zero */
	__u32 num_prefixes;	/* 0: any hop is allowed */
	struct xt_glbredirect_prefix prefixes[XT_GLBREDIRECT_MAX_PREFIXES];
};

/* A SYN stays only where a socket listens for it. */
#define XT_GLBREDIRECT_SYN_LISTENER 1
/* A datagram of UDP stays only where a connected socket has it. */
#define XT_GLBREDIRECT_UDP 2
/* A packet whose connection the connection tracking knows stays. */
#define XT_GLBREDIRECT_CONNTRACK 4

/* The most network namespaces that one rule can name. */
#define XT_GLBREDIRECT_MAX_NAMESPACES 16
/* The room for the name of a namespace: at most 63 bytes, and a zero. */
#define XT_GLBREDIRECT_NAMESPACE_SIZE 64

struct xt_glbredirect_info_2 {
	__u32 flags;		/* XT_GLBREDIRECT_*; others are zero */
	__u32 num_prefixes;	/* 0: any hop is allowed */
	struct xt_glbredirect_prefix prefixes[XT_GLBREDIRECT_MAX_PREFIXES];
	__u32 num_namespaces;	/* 0: the own one only */
	__u32 pad;
	/*
	 * Names as `ip netns` takes them: neither empty, `.` nor `..`, without `/`, and none of them twice.
	 */
	char namespaces[XT_GLBREDIRECT_MAX_NAMESPACES][XT_GLBREDIRECT_NAMESPACE_SIZE];
	/* The kernel's own: not compared, not shown, and what userspace writes there is not read. */
	__u64 own __attribute__((aligned(8)));
};

#endif /* _XT_GLBREDIRECT_H */
