/* SPDX-License-Identifier: GPL-2.0 */
/* The C headers that bindgen reads; what it takes from them stands in bindings.list. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_netdev.h>
#include <linux/rtnetlink.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/netfilter/x_tables.h>
#include <linux/percpu.h>
#include <linux/proc_fs.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/dst_cache.h>
#include <net/genetlink.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/tcp.h>
#include <net/udp.h>

#include "base.h"
#include "genl.h"
#include "net.h"
#include "out/cut.h"
#include "out/encap.h"
#include "out/path.h"
#include "out/route.h"
#include "packet.h"
#include "sockets/decap.h"
#include "sockets/tcp.h"
#include "sockets/udp.h"
#include "xt_GLBREDIRECT.h"
