/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep_reset.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

#include "host.h"

enum { TTL = 64 };

/* The Internet checksum's sum (RFC 1071), not yet folded. `size` is even. */
static __u32 sum(const void *data, size_t size, __u32 start)
{
	const __u8 *b = data;

	for (size_t i = 0; i < size; i += 2)
		start += (__u32)b[i] << 8 | b[i + 1];
	return start;
}

static __u16 fold(__u32 s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return htons((__u16)~s);
}

/* `src` and `dst` are 4 or 16 bytes: the pseudo header differs in nothing else that changes the
 * sum. */
static void put_tcp(struct tcphdr *t, const struct reset_event *e, const void *src, const void *dst,
		    size_t addr_size)
{
	*t = (struct tcphdr){
		.source = htons(e->packet.sport),
		.dest = htons(e->packet.dport),
		.seq = htonl(e->seq),
		.ack_seq = e->has_ack ? htonl(e->ack) : 0,
		.doff = sizeof(*t) / 4,
		.rst = 1,
		.ack = !!e->has_ack,
	};
	t->check = fold(sum(t, sizeof(*t),
			    sum(src, addr_size, sum(dst, addr_size, IPPROTO_TCP + sizeof(*t)))));
}

static size_t build4(const struct reset_event *e, __u8 *out)
{
	struct tcphdr tcp;
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons(sizeof(ip) + sizeof(tcp)),
		.frag_off = htons(IP_DF),
		.ttl = TTL,
		.protocol = IPPROTO_TCP,
	};

	memcpy(&ip.saddr, e->packet.src.b + 12, 4);
	memcpy(&ip.daddr, e->packet.dst.b + 12, 4);
	ip.check = fold(sum(&ip, sizeof(ip), 0));
	put_tcp(&tcp, e, &ip.saddr, &ip.daddr, 4);
	memcpy(out, &ip, sizeof(ip));
	memcpy(out + sizeof(ip), &tcp, sizeof(tcp));
	return sizeof(ip) + sizeof(tcp);
}

static size_t build6(const struct reset_event *e, __u8 *out)
{
	struct tcphdr tcp;
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6u << 28),
		.ip6_plen = htons(sizeof(tcp)),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hlim = TTL,
	};

	memcpy(&ip.ip6_src, e->packet.src.b, 16);
	memcpy(&ip.ip6_dst, e->packet.dst.b, 16);
	put_tcp(&tcp, e, &ip.ip6_src, &ip.ip6_dst, 16);
	memcpy(out, &ip, sizeof(ip));
	memcpy(out + sizeof(ip), &tcp, sizeof(tcp));
	return sizeof(ip) + sizeof(tcp);
}

size_t reset_build(const struct reset_event *e, __u8 out[RESET_MAX])
{
	bool v4 = addr_is_v4(&e->packet.src);

	if (v4 != addr_is_v4(&e->packet.dst))
		return 0;
	return v4 ? build4(e, out) : build6(e, out);
}
