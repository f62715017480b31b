// SPDX-License-Identifier: GPL-2.0
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/unaligned.h>
#include <net/checksum.h>
#include <net/inet_sock.h>
#include <net/request_sock.h>
#include <net/tcp.h>

#include "../checks.h"
#include "syn_ack.h"

/* TCP puts nothing in front of its header but what it says here; of other senders only the plain form is known. */
static bool glb_is_syn_ack(const struct sk_buff *skb, bool is_v6)
{
	const u8 protocol = is_v6 ? ipv6_hdr(skb)->nexthdr : ip_hdr(skb)->protocol;
	const struct tcphdr *tcp;
	unsigned int at;

	if ((!skb->sk && protocol != IPPROTO_TCP) || !skb_transport_header_was_set(skb))
		return false;
	at = skb_transport_offset(skb);
	if (at > skb_headlen(skb) || skb_headlen(skb) - at < sizeof(*tcp))
		return false;
	tcp = tcp_hdr(skb);
	return tcp->syn && tcp->ack;
}

/* Nearly every packet has a socket, and that one another state: this is all that it pays. The state is in what all kinds share. */
u32 glb_syn_ack_sender(const struct sk_buff *skb, bool is_v6)
{
	const struct sock *sk = skb->sk;
	u32 sender = GLB_SENDER_NOBODY;

	if (sk) {
		const int state = READ_ONCE(sk->sk_state);

		/* With Fast Open the request has a connection already, whose clock is its own. */
		if (state == TCP_NEW_SYN_RECV)
			sender = tcp_rsk(inet_reqsk(sk))->tfo_listener ? GLB_SENDER_CONNECTION :
									 GLB_SENDER_REQUEST;
		else if (state == TCP_SYN_RECV && sk_is_tcp(sk))
			sender = GLB_SENDER_CONNECTION;
		else
			return GLB_SENDER_OTHER;
	}
	return glb_is_syn_ack(skb, is_v6) ? sender : GLB_SENDER_OTHER;
}

u32 glb_syn_ack_at(const struct sk_buff *skb)
{
	return skb_transport_offset(skb);
}

struct glb_request glb_syn_ack_request(const struct sk_buff *skb)
{
	const struct inet_request_sock *request = inet_rsk(inet_reqsk(skb->sk));
	const struct tcp_request_sock *tcp = tcp_rsk(inet_reqsk(skb->sk));

	GLB_CHECK(skb->sk->sk_state == TCP_NEW_SYN_RECV);
	return (struct glb_request){
		.offset = READ_ONCE(tcp->ts_off),
		.first = READ_ONCE(tcp->snt_tsval_first),
		.timestamps = request->tstamp_ok,
		.microseconds = tcp->req_usec_ts,
	};
}

/*
 * The first and the last TSval that were sent are kept beside the offset, as the packets had them: an echo has to be between the
 * two (tcp_check_req). Another processor that sends the answer again meanwhile would send one that the client's echo is refused
 * for: it is sent once more then.
 */
bool glb_syn_ack_shift(struct sk_buff *skb, u32 at, u32 shift)
{
	struct tcp_request_sock *tcp = tcp_rsk(inet_reqsk(skb->sk));
	__be32 was, is;

	GLB_CHECK(skb->sk->sk_state == TCP_NEW_SYN_RECV);
	if (skb_ensure_writable(skb, at + sizeof(was)))
		return false;
	was = get_unaligned((__be32 *)(skb->data + at));
	is = htonl(ntohl(was) + shift);
	put_unaligned(is, (__be32 *)(skb->data + at));
	inet_proto_csum_replace4(&tcp_hdr(skb)->check, skb, was, is, false);
	WRITE_ONCE(tcp->snt_tsval_first, tcp->snt_tsval_first + shift);
	WRITE_ONCE(tcp->snt_tsval_last, tcp->snt_tsval_last + shift);
	WRITE_ONCE(tcp->ts_off, tcp->ts_off + shift);
	return true;
}

u32 glb_real_ahead(void)
{
	return div_u64(ktime_get_real_ns(), NSEC_PER_MSEC) - tcp_clock_ms();
}
