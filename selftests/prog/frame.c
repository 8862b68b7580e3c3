// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

static const __u8 CLIENT_MAC[6] = { 2, 0, 0, 0, 0, 1 }, HOST_MAC[6] = { 2, 0, 0, 0, 0, 2 };

static __u32 sum(const void *data, size_t len, __u32 start)
{
	const __u8 *p = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		start += p[i] << 8 | p[i + 1];
	if (len & 1)
		start += p[len - 1] << 8;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

static __u32 pseudo(const struct tuple *t, bool ip4, __u8 proto, size_t len)
{
	__u32 s = proto + (__u32)len;

	s = sum(t->src.b + (ip4 ? 12 : 0), ip4 ? 4 : 16, s);
	return sum(t->dst.b + (ip4 ? 12 : 0), ip4 ? 4 : 16, s);
}

static bool is_ip4(const struct tuple *t)
{
	static const __u8 prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(t->src.b, prefix, sizeof(prefix));
}

static size_t put_ip4(__u8 *at, const struct env_packet *p, const struct tuple *t, __u8 proto,
		      size_t len)
{
	struct ip *ip = (void *)at;
	size_t header = sizeof(*ip) + (p->options ? 4 : 0);

	memset(at, 0, header);
	if (p->options)
		memset(at + sizeof(*ip), 1 /* no operation */, 4);
	ip->ip_v = 4;
	ip->ip_hl = header / 4;
	ip->ip_len = htons(header + len);
	ip->ip_id = htons(4711);
	ip->ip_off = htons(p->first_fragment ? IP_MF : p->later_fragment ? 64 : 0);
	ip->ip_ttl = 64;
	ip->ip_p = proto;
	memcpy(&ip->ip_src, t->src.b + 12, 4);
	memcpy(&ip->ip_dst, t->dst.b + 12, 4);
	ip->ip_sum = htons(~sum(ip, header, 0));
	return header;
}

static size_t put_ip6(__u8 *at, const struct env_packet *p, const struct tuple *t, __u8 proto,
		      size_t len)
{
	bool fragment = p->first_fragment || p->later_fragment;
	struct ip6_hdr *ip = (void *)at;
	struct ip6_frag *frag = (void *)(ip + 1);
	size_t more = (fragment || p->options) ? 8 : 0;

	memset(at, 0, sizeof(*ip) + more);
	ip->ip6_vfc = 6 << 4;
	ip->ip6_plen = htons(more + len);
	ip->ip6_nxt = fragment ? IPPROTO_FRAGMENT : p->options ? IPPROTO_DSTOPTS : proto;
	ip->ip6_hlim = 64;
	memcpy(&ip->ip6_src, t->src.b, 16);
	memcpy(&ip->ip6_dst, t->dst.b, 16);
	if (more)
		frag->ip6f_nxt = proto; /* in both kinds of header */
	if (fragment) {
		frag->ip6f_offlg = p->first_fragment ? IP6F_MORE_FRAG : htons(64 << 3);
		frag->ip6f_ident = htonl(4711);
	} else if (p->options) {
		at[sizeof(*ip) + 2] = 1; /* PadN */
		at[sizeof(*ip) + 3] = 4;
	}
	return sizeof(*ip) + more;
}

static size_t put_ip(__u8 *at, const struct env_packet *p, const struct tuple *t, __u8 proto,
		     size_t len)
{
	return is_ip4(t) ? put_ip4(at, p, t, proto, len) : put_ip6(at, p, t, proto, len);
}

static size_t put_tcp(__u8 *at, const struct env_packet *p)
{
	struct tcphdr *tcp = (void *)at;
	size_t header = sizeof(*tcp) + (p->wscale ? 4 : 0), len = header + p->payload;

	memset(at, 'x', len);
	memset(tcp, 0, header);
	if (p->wscale)
		memcpy(tcp + 1, (__u8[]){ 1 /* no operation */, 3, 3, p->wscale - 1 }, 4);
	tcp->th_sport = htons(p->t.sport);
	tcp->th_dport = htons(p->t.dport);
	tcp->th_seq = htonl(p->seq);
	tcp->th_ack = htonl(p->ack);
	tcp->th_off = header / 4;
	tcp->th_win = htons(p->window);
	tcp->th_flags = p->flags;
	tcp->th_sum = htons(~sum(tcp, len, pseudo(&p->t, is_ip4(&p->t), IPPROTO_TCP, len)));
	return len;
}

/* An ICMP error, as a rule "host unreachable", with the quoted packet's IP header and the first 8
 * bytes of TCP. */
static size_t put_icmp(__u8 *at, const struct env_packet *p)
{
	struct env_packet quote = { .t = *p->quoted, .options = p->quoted_options };
	bool ip4 = is_ip4(&p->t);
	size_t len = 8, header;
	__be16 ports[2] = { htons(quote.t.sport), htons(quote.t.dport) }, check;
	__be32 seq = htonl(p->quoted_seq);

	memset(at, 0, 8);
	at[0] = ip4 ? ICMP_UNREACH : ICMP6_DST_UNREACH;
	at[1] = ip4 ? ICMP_UNREACH_HOST : ICMP6_DST_UNREACH_ADDR;
	if (p->icmp_type) {
		at[0] = p->icmp_type;
		at[1] = p->icmp_code;
	}
	header = put_ip(at + 8, &quote, &quote.t, IPPROTO_TCP, 20);
	memset(at + 8 + header, 0, 8);
	memcpy(at + 8 + header, ports, 4);
	memcpy(at + 12 + header, &seq, 4);
	len += header + 8;
	check = htons(~sum(at, len, ip4 ? 0 : pseudo(&p->t, false, IPPROTO_ICMPV6, len)));
	memcpy(at + 2, &check, 2);
	return len;
}

size_t frame_put(__u8 *frame, const struct env_packet *p)
{
	bool ip4 = is_ip4(&p->t);
	struct ether_header *eth = (void *)frame;
	__u8 body[2048], proto = IPPROTO_TCP;
	size_t len, header;

	memcpy(eth->ether_dhost, HOST_MAC, 6);
	memcpy(eth->ether_shost, CLIENT_MAC, 6);
	eth->ether_type = htons(ip4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	if (p->quoted) {
		proto = ip4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		len = put_icmp(body, p);
	} else if (p->later_fragment) {
		len = p->payload;
		memset(body, 'x', len);
	} else {
		len = put_tcp(body, p);
	}
	header = put_ip(frame + sizeof(*eth), p, &p->t, proto, len);
	memcpy(frame + sizeof(*eth) + header, body, len);
	return sizeof(*eth) + header + len;
}

static const __u8 *get_ip(const __u8 *at, struct tuple *t, __u8 *proto, size_t *len, bool *ok)
{
	const struct ip6_hdr *ip6 = (const void *)at;
	const struct ip *ip = (const void *)at;

	memset(t, 0, sizeof(*t));
	*ok = true;
	if (ip->ip_v == 4) {
		t->src.b[10] = t->src.b[11] = t->dst.b[10] = t->dst.b[11] = 0xff;
		memcpy(t->src.b + 12, &ip->ip_src, 4);
		memcpy(t->dst.b + 12, &ip->ip_dst, 4);
		*proto = ip->ip_p;
		*len = ntohs(ip->ip_len) - ip->ip_hl * 4;
		*ok = sum(ip, ip->ip_hl * 4, 0) == 0xffff;
		return at + ip->ip_hl * 4;
	}
	memcpy(t->src.b, &ip6->ip6_src, 16);
	memcpy(t->dst.b, &ip6->ip6_dst, 16);
	*proto = ip6->ip6_nxt;
	*len = ntohs(ip6->ip6_plen);
	at += sizeof(*ip6);
	if (*proto == IPPROTO_FRAGMENT || *proto == IPPROTO_DSTOPTS) {
		*proto = *at;
		*len -= 8;
		at += 8;
	}
	return at;
}

static void get_ports(const __u8 *at, struct tuple *t)
{
	t->sport = at[0] << 8 | at[1];
	t->dport = at[2] << 8 | at[3];
}

void frame_get(const __u8 *frame, const struct env_packet *sent, struct env_result *r)
{
	const struct tcphdr *tcp;
	const __u8 *at, *quoted;
	size_t len, quoted_len;
	bool ok, quoted_ok;
	__u8 proto;

	at = get_ip(frame + sizeof(struct ether_header), &r->packet.t, &proto, &len, &ok);
	r->checksums_ok = ok;
	if (proto != IPPROTO_TCP) {
		bool ip4 = proto == IPPROTO_ICMP;

		r->checksums_ok &=
			sum(at, len, ip4 ? 0 : pseudo(&r->packet.t, false, proto, len)) == 0xffff;
		quoted = get_ip(at + 8, &r->quoted, &proto, &quoted_len, &quoted_ok);
		r->checksums_ok &= quoted_ok;
		get_ports(quoted, &r->quoted);
		return;
	}
	if (sent->later_fragment)
		return;
	tcp = (const void *)at;
	get_ports(at, &r->packet.t);
	r->packet.flags = tcp->th_flags;
	r->packet.seq = ntohl(tcp->th_seq);
	r->packet.ack = ntohl(tcp->th_ack);
	r->packet.payload = len - tcp->th_off * 4;
	r->checksums_ok &= sum(at, len, pseudo(&r->packet.t, is_ip4(&r->packet.t), proto, len)) ==
			   0xffff;
}

/* ---- frames that somebody has sent ---- */

enum { ETH = sizeof(struct ether_header), HEADERS = ETH + 60 };

static bool has_ip4(const __u8 *frame)
{
	return frame[ETH] >> 4 == 4;
}

void frame_mutate(__u8 *frame, size_t *size)
{
	int bits = rand() % 4;

	for (int i = 0; i < bits; i++) {
		size_t within = rand() % 4 && *size > HEADERS ? HEADERS : *size;

		frame[(size_t)rand() % within] ^= 1u << rand() % 8;
	}
	if (rand() % 16 == 0)
		*size = ETH + (size_t)rand() % (*size - ETH);
	else if (rand() % 16 == 0)
		*size += (size_t)rand() % 64;
}

static bool plain_ip4(const __u8 *frame, size_t size)
{
	const struct ip *ip = (const void *)(frame + ETH);
	size_t len = ntohs(ip->ip_len);

	return size >= ETH + sizeof(*ip) && ip->ip_v == 4 && ip->ip_hl == 5 &&
	       ip->ip_p == IPPROTO_TCP && !(ntohs(ip->ip_off) & (IP_MF | IP_OFFMASK)) &&
	       len >= sizeof(*ip) + sizeof(struct tcphdr) && ETH + len <= size;
}

static bool plain_ip6(const __u8 *frame, size_t size)
{
	const struct ip6_hdr *ip = (const void *)(frame + ETH);
	size_t len = ntohs(ip->ip6_plen);

	return size >= ETH + sizeof(*ip) && ip->ip6_vfc >> 4 == 6 && ip->ip6_nxt == IPPROTO_TCP &&
	       len >= sizeof(struct tcphdr) && ETH + sizeof(*ip) + len <= size;
}

bool frame_is_plain(const __u8 *frame, size_t size)
{
	const struct ether_header *eth = (const void *)frame;

	if (eth->ether_type == htons(ETHERTYPE_IP))
		return plain_ip4(frame, size);
	return eth->ether_type == htons(ETHERTYPE_IPV6) && plain_ip6(frame, size);
}

bool frame_only_addressed(const __u8 *a, const __u8 *b, size_t size)
{
	bool ip4 = has_ip4(b);
	const struct {
		size_t at, len;
	} changed[] = {
		{ 0, 12 },
		{ ETH + (ip4 ? 10 : 8), ip4 ? 10 : 32 }, /* with IPv4, its checksum, too */
		{ ETH + (ip4 ? 20 : 40), 4 },
		{ ETH + (ip4 ? 36 : 56), 2 },
	};
	__u8 copy[FRAME_MAX];

	memcpy(copy, a, size);
	for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++)
		memcpy(copy + changed[i].at, b + changed[i].at, changed[i].len);
	return !memcmp(copy, b, size);
}

bool frame_checksums_ok(const __u8 *frame)
{
	const struct env_packet any = {};
	struct env_result got = {};

	frame_get(frame, &any, &got);
	return got.checksums_ok;
}
