// SPDX-License-Identifier: GPL-2.0
#include <net/sock.h>
#include <net/tcp_states.h>

#include "../checks.h"
#include "udp.h"

bool glb_udp_is_connected(const struct sock *sk)
{
	GLB_CHECK_RCU();
	return READ_ONCE(sk->sk_state) == TCP_ESTABLISHED;
}
