/* SPDX-License-Identifier: GPL-2.0 */
/* SYN/ACKs that this machine sends, and the requests that they answer. */
#ifndef _GLB_SYN_ACK_H
#define _GLB_SYN_ACK_H

#include <linux/types.h>

struct sk_buff;

/* What sends a packet. */
enum glb_sender {
	GLB_SENDER_OTHER, /* nobody who sends SYN/ACKs, or the packet is none */
	GLB_SENDER_REQUEST, /* a request: a connection that is half open */
	GLB_SENDER_NOBODY, /* no socket: the kernel keeps nothing of the connection */
	GLB_SENDER_CONNECTION, /* a connection that is there already */
};

/* What a request knows of its timestamps. */
struct glb_request {
	u32 offset; /* of the connection's clock */
	u32 first; /* TSval of the first SYN/ACK */
	bool timestamps; /* both ends use them */
	bool microseconds; /* this end counts microseconds */
};

/* Who sends a packet, whose data starts at the IP header, if it is a SYN/ACK. */
u32 glb_syn_ack_sender(const struct sk_buff *skb, bool is_v6);
/* Of a packet that glb_syn_ack_sender() says something of: where its TCP header stands. */
u32 glb_syn_ack_at(const struct sk_buff *skb);
/* Of a packet of a request. */
struct glb_request glb_syn_ack_request(const struct sk_buff *skb);
/*
 * The connection's clock goes on by `shift`, as the packet says, whose TSval stands at `at`. False without memory: nothing
 * has changed then. Of a packet of a request.
 */
bool glb_syn_ack_shift(struct sk_buff *skb, u32 at, u32 shift);

/* How many milliseconds the real time is ahead of the clock that timestamps are made of, modulo 2^32. */
u32 glb_real_ahead(void);

#endif /* _GLB_SYN_ACK_H */
