// SPDX-License-Identifier: GPL-2.0
#include <linux/ctype.h>
#include <linux/etherdevice.h>
#include <linux/if_packet.h>
#include <linux/inet.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/string.h>

#include "spec.h"

struct glb_word {
	const char *word;
	unsigned int value;
};

static const struct glb_word families[] = { { "4", 4 }, { "6", 6 }, {} };
static const struct glb_word protos[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, {} };
static const struct glb_word layouts[] = {
	{ "linear", GLB_LINEAR }, { "frags", GLB_FRAGS },
	{ "frag_list", GLB_FRAG_LIST }, { "fraglist", GLB_FRAGLIST }, {}
};
static const struct glb_word gsos[] = {
	{ "yes", GLB_GSO_YES }, { "none", GLB_GSO_NONE }, { "lro", GLB_GSO_LRO }, {}
};
static const struct glb_word sums[] = {
	{ "none", CHECKSUM_NONE }, { "unnecessary", CHECKSUM_UNNECESSARY },
	{ "complete", CHECKSUM_COMPLETE }, { "partial", CHECKSUM_PARTIAL }, {}
};
static const struct glb_word heads[] = { { "kmalloc", 0 }, { "page", 1 }, {} };
static const struct glb_word data[] = { { "frags", 0 }, { "linear", 1 }, {} };
static const struct glb_word types[] = {
	{ "host", PACKET_HOST }, { "other", PACKET_OTHERHOST },
	{ "broadcast", PACKET_BROADCAST }, { "multicast", PACKET_MULTICAST }, {}
};

/* A key, the offset of its value, and either the words or the numbers that it accepts. */
struct glb_key {
	const char *key;
	size_t offset;
	const struct glb_word *words;
	unsigned int min;
	unsigned int max;
};

#define WORD(key, field, words) { key, offsetof(struct glb_spec, field), words }
#define NUMBER(key, field, min, max) { key, offsetof(struct glb_spec, field), NULL, min, max }

static const struct glb_key keys[] = {
	WORD("family", family, families),
	WORD("proto", proto, protos),
	NUMBER("sport", sport, 0, U16_MAX),
	NUMBER("dport", dport, 0, U16_MAX),
	NUMBER("seq", seq, 0, U32_MAX),
	NUMBER("id", id, 0, U16_MAX),
	NUMBER("df", df, 0, 1),
	NUMBER("ttl", ttl, 1, 255),
	NUMBER("options", options, 0, 40),
	NUMBER("ecn", ecn, 0, 1),
	NUMBER("syn", syn, 0, 1),
	NUMBER("len", len, 0, 65000),
	NUMBER("size", size, 1, 16000),
	WORD("layout", layout, layouts),
	NUMBER("frag", frag, 1, 32768),
	NUMBER("first", first, 1, 64),
	NUMBER("per", per, 1, 64),
	NUMBER("pull", pull, 0, 2048),
	WORD("data", linear, data),
	WORD("heads", page_heads, heads),
	WORD("gso", gso, gsos),
	WORD("csum", ip_summed, sums),
	NUMBER("bad", bad_sum, 0, 1),
	NUMBER("dodgy", dodgy, 0, 1),
	NUMBER("cloned", cloned, 0, 1),
	NUMBER("headroom", headroom, 0, 1024),
	NUMBER("mark", mark, 0, U32_MAX),
	NUMBER("priority", priority, 0, U32_MAX),
	NUMBER("vlan", vlan, 0, 4094),
	WORD("to", pkt_type, types),
};

static int take_address(struct glb_spec *spec, bool dst, const char *value)
{
	const char *end;

	if (in4_pton(value, -1, (u8 *)(dst ? &spec->dst4 : &spec->src4), -1, &end))
		return 0;
	if (in6_pton(value, -1, (u8 *)(dst ? &spec->dst6 : &spec->src6), -1, &end))
		return 0;
	return -EINVAL;
}

static int take(struct glb_spec *spec, const char *key, const char *value)
{
	const struct glb_word *word;
	unsigned int number;
	size_t i;

	if (!strcmp(key, "src") || !strcmp(key, "dst"))
		return take_address(spec, *key == 'd', value);
	if (!strcmp(key, "cb")) {
		spec->cb = -1;
		return strcmp(value, "gro") ? kstrtoint(value, 0, &spec->cb) : 0;
	}
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		unsigned int *field = (void *)spec + keys[i].offset;

		if (strcmp(key, keys[i].key))
			continue;
		for (word = keys[i].words; word && word->word; word++) {
			if (!strcmp(value, word->word)) {
				*field = word->value;
				return 0;
			}
		}
		if (word || kstrtouint(value, 0, &number) ||
		    number < keys[i].min || number > keys[i].max)
			return -EINVAL;
		*field = number;
		return 0;
	}
	return -ENOENT;
}

/* Combinations that no buffer can have. */
static const char *contradiction(const struct glb_spec *spec)
{
	if (spec->options % 4)
		return "options come in words of four bytes";
	if (spec->layout == GLB_FRAGLIST && spec->gso != GLB_GSO_YES)
		return "a list of packets needs gso=yes";
	if (spec->gso != GLB_GSO_NONE && spec->len <= spec->size)
		return "one segment is no aggregate: gso=none";
	if (spec->pull && (spec->layout != GLB_FRAGS || spec->pull > spec->len))
		return "pull is for payload in pages, and no more of it than there is";
	return NULL;
}

int glb_spec_parse(const struct net_device *dev, char *line, struct glb_spec *spec)
{
	const char *why;
	char *word;

	*spec = (struct glb_spec){
		.family = 4,
		.proto = IPPROTO_TCP,
		.sport = 1024,
		.dport = 80,
		.seq = 1,
		.id = 1,
		.df = 1,
		.ttl = 64,
		.len = 100,
		.size = 1400,
		.layout = GLB_LINEAR,
		.first = 1,
		.per = 1,
		.linear = 1,
		.page_heads = 1,
		.gso = GLB_GSO_YES,
		.ip_summed = CHECKSUM_PARTIAL,
		.headroom = NET_SKB_PAD,
		.pkt_type = PACKET_HOST,
	};
	while ((word = strsep(&line, " \t\n"))) {
		char *value = strchr(word, '=');
		int err = -EINVAL;

		if (!*word)
			continue;
		if (value) {
			*value++ = '\0';
			err = take(spec, word, value);
		}
		if (err) {
			netdev_info(dev, "glbtest: no such key or value: %s=%s\n", word, value ?: "");
			return -EINVAL;
		}
	}
	if (!spec->frag)
		spec->frag = spec->size;
	why = contradiction(spec);
	if (why)
		netdev_info(dev, "glbtest: %s\n", why);
	return why ? -EINVAL : 0;
}
