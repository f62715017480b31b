/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GLB_TESTDEV_SPEC_H
#define GLB_TESTDEV_SPEC_H

#include <linux/in6.h>
#include <linux/types.h>

struct net_device;

/* The memory layout of a packet's payload. */
enum glb_layout {
	/* All of it behind the headers. */
	GLB_LINEAR,
	/* In pages, as GRO and virtio have it. */
	GLB_FRAGS,
	/* In more buffers, without headers, as GRO has it where the pages do not do. */
	GLB_FRAG_LIST,
	/* In more buffers, each of which is a packet with its headers: NETIF_F_GRO_FRAGLIST. */
	GLB_FRAGLIST,
};

/* The GSO metadata of the buffer. */
enum glb_gso {
	/* What fits the protocol. */
	GLB_GSO_YES,
	/* It is one packet. */
	GLB_GSO_NONE,
	/* A size, and no type: LRO. */
	GLB_GSO_LRO,
};

/* A packet, or an aggregate of packets, that arrives on a device. The defaults are in spec.c. */
struct glb_spec {
	unsigned int family;
	unsigned int proto;
	__be32 src4;
	__be32 dst4;
	struct in6_addr src6;
	struct in6_addr dst6;
	unsigned int sport;
	unsigned int dport;
	unsigned int seq;
	unsigned int id;
	unsigned int df;
	unsigned int ttl;
	/* Bytes of TCP options: no-ops. */
	unsigned int options;
	unsigned int ecn;
	unsigned int syn;
	/* All bytes of payload, and those of a segment; the last segment has what is left. */
	unsigned int len;
	unsigned int size;

	unsigned int layout;
	/* Bytes of a page fragment; without it, a segment's. */
	unsigned int frag;
	/* Segments in the first buffer, and in each of the list. */
	unsigned int first;
	unsigned int per;
	/* Bytes of payload that stand behind the headers though the rest is in pages. */
	unsigned int pull;
	/* The first segment of each buffer is linear, not in a page. */
	unsigned int linear;
	/* Linear parts are page fragments, not from kmalloc. */
	unsigned int page_heads;

	unsigned int gso;
	unsigned int ip_summed;
	unsigned int bad_sum;
	unsigned int dodgy;
	unsigned int cloned;
	unsigned int headroom;
	/* What skb->cb holds: a byte, or -1 for what GRO leaves. */
	int cb;
	unsigned int mark;
	unsigned int priority;
	unsigned int vlan;
	/* PACKET_HOST and the like, made by the Ethernet header. */
	unsigned int pkt_type;
};

/* Parses a line of words KEY=VALUE. Errors are reported in the kernel's log. */
int glb_spec_parse(const struct net_device *dev, char *line, struct glb_spec *spec);

#endif
