/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/sweep_reset.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

#include "lib/base/addr.h"

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

/* `addrs` is the packet's two addresses: what the pseudo header differs in between the families, as
 * sums go. */
static void put_tcp(__u8 *out, const struct reset_event *e, const __u8 *addrs, size_t addrs_size)
{
	struct tcphdr t = {
		.source = htons(e->packet.sport),
		.dest = htons(e->packet.dport),
		.seq = htonl(e->seq),
		.ack_seq = e->flags & TH_ACK ? htonl(e->ack) : 0,
		.doff = sizeof(t) / 4,
		.rst = !!(e->flags & TH_RST),
		.ack = !!(e->flags & TH_ACK),
	};
	__u16 check;

	memcpy(out, &t, sizeof(t));
	check = fold(sum(out, sizeof(t), sum(addrs, addrs_size, IPPROTO_TCP + sizeof(t))));
	memcpy(out + offsetof(struct tcphdr, check), &check, sizeof(check));
}

static size_t build4(const struct reset_event *e, __u8 *out)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons(sizeof(ip) + sizeof(struct tcphdr)),
		.frag_off = htons(IP_DF),
		.ttl = TTL,
		.protocol = IPPROTO_TCP,
	};
	__u16 check;

	memcpy(&ip.saddr, e->packet.src.b + 12, 4);
	memcpy(&ip.daddr, e->packet.dst.b + 12, 4);
	memcpy(out, &ip, sizeof(ip));
	check = fold(sum(out, sizeof(ip), 0));
	memcpy(out + offsetof(struct iphdr, check), &check, sizeof(check));
	put_tcp(out + sizeof(ip), e, out + offsetof(struct iphdr, saddr), 8);
	return sizeof(ip) + sizeof(struct tcphdr);
}

static size_t build6(const struct reset_event *e, __u8 *out)
{
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6u << 28),
		.ip6_plen = htons(sizeof(struct tcphdr)),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hlim = TTL,
	};

	memcpy(&ip.ip6_src, e->packet.src.b, 16);
	memcpy(&ip.ip6_dst, e->packet.dst.b, 16);
	memcpy(out, &ip, sizeof(ip));
	put_tcp(out + sizeof(ip), e, out + offsetof(struct ip6_hdr, ip6_src), 32);
	return sizeof(ip) + sizeof(struct tcphdr);
}

size_t reset_build(const struct reset_event *e, __u8 out[RESET_MAX])
{
	bool v4 = addr_is_v4(&e->packet.src);

	if (v4 != addr_is_v4(&e->packet.dst))
		return 0;
	return v4 ? build4(e, out) : build6(e, out);
}
