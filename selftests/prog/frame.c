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

bool frame_checksums_ok(const __u8 *frame)
{
	const struct env_packet any = {};
	struct env_result got = {};

	frame_get(frame, &any, &got);
	return got.checksums_ok;
}

unsigned frame_mutations(void)
{
	const char *count = getenv("WEFT_MUTATED");

	return count ? (unsigned)strtoul(count, NULL, 10) : 200000;
}

void frame_tag(__u8 *frame, size_t *size)
{
	memmove(frame + 16, frame + 12, *size - 12);
	memcpy(frame + 12, (__u8[]){ 0x81, 0, 0, 7 }, 4);
	*size += 4;
}

/* ---- what may change ---- */

/* An IP header, and the ports behind it. Offsets in the frame. */
struct header {
	bool ip4;
	size_t ip, l4;
	__u8 proto;
	bool fragment, tail; /* any, or other than the first */
};

enum { EXTENSIONS = 6 };

static bool find_l4_ip6(const __u8 *frame, size_t size, struct header *h)
{
	h->proto = frame[h->ip + 6];
	h->l4 = h->ip + 40;
	for (int i = 0; i < EXTENSIONS; i++) {
		const __u8 *at = frame + h->l4;

		if (h->proto == IPPROTO_TCP || h->proto == IPPROTO_ICMPV6)
			return true;
		if (h->l4 + 8 > size)
			return false;
		if (h->proto == IPPROTO_FRAGMENT) {
			h->fragment = true;
			h->tail |= at[2] || at[3] & 0xf8;
			h->l4 += 8;
		} else if (h->proto == IPPROTO_HOPOPTS || h->proto == IPPROTO_ROUTING ||
			   h->proto == IPPROTO_DSTOPTS) {
			h->l4 += (at[1] + 1) * 8u;
		} else {
			return false;
		}
		h->proto = at[0];
		if (h->tail)
			return true;
	}
	return false;
}

/* False if the headers are not all there, or of no kind that is translated. */
static bool find_l4(const __u8 *frame, size_t size, bool ip4, size_t ip, struct header *h)
{
	*h = (struct header){ .ip4 = ip4, .ip = ip };
	if (ip + (ip4 ? 20 : 40) > size || frame[ip] >> 4 != (ip4 ? 4 : 6) ||
	    (ip4 && (frame[ip] & 15) < 5))
		return false;
	if (!ip4)
		return find_l4_ip6(frame, size, h);
	h->proto = frame[ip + 9];
	h->l4 = ip + (frame[ip] & 15) * 4u;
	h->fragment = frame[ip + 6] & 0x3f || frame[ip + 7];
	h->tail = frame[ip + 6] & 0x1f || frame[ip + 7];
	return true;
}

static size_t addrs_at(const struct header *h)
{
	return h->ip + (h->ip4 ? 12 : 8);
}

static size_t addrs_size(const struct header *h)
{
	return h->ip4 ? 8 : 32;
}

/* Sums are compared modulo 65535: 0 and 0xffff are one. */
static bool same_sum(__u32 a, __u32 b)
{
	return a % 0xffff == b % 0xffff;
}

static __u32 addrs_sum(const __u8 *frame, const struct header *h, __u32 start)
{
	return sum(frame + addrs_at(h), addrs_size(h), start);
}

/* What IPv4's checksum covers and may change: the word of TTL and protocol, itself, addresses. */
static __u32 ip4_sum(const __u8 *frame, const struct header *h)
{
	return sum(frame + h->ip + 8, 4, addrs_sum(frame, h, 0));
}

static void allow(__u8 *copy, const __u8 *before, size_t size, size_t at, size_t len)
{
	if (at < size)
		memcpy(copy + at, before + at, at + len > size ? size - at : len);
}

static void allow_addrs(__u8 *copy, const __u8 *before, size_t size, const struct header *h)
{
	allow(copy, before, size, addrs_at(h), addrs_size(h));
	if (h->ip4)
		allow(copy, before, size, h->ip + 10, 2);
}

static const char *tcp_mangled(__u8 *copy, const __u8 *before, size_t size, const struct header *h)
{
	__u32 was, is;

	if (h->tail)
		return NULL;
	if (h->l4 + 20 > size)
		return "TCP that is cut off is changed";
	was = addrs_sum(before, h, sum(before + h->l4 + 16, 2, sum(before + h->l4, 4, 0)));
	is = addrs_sum(copy, h, sum(copy + h->l4 + 16, 2, sum(copy + h->l4, 4, 0)));
	allow(copy, before, size, h->l4, 4);
	allow(copy, before, size, h->l4 + 16, 2);
	return same_sum(was, is) ? NULL : "TCP's checksum";
}

/* What ICMP's checksum covers and may change. */
static __u32 icmp_sum(const __u8 *frame, const struct header *h, const struct header *quote)
{
	__u32 s = sum(frame + h->l4 + 2, 2, sum(frame + quote->l4, 4, 0));

	s = addrs_sum(frame, quote, s);
	return h->ip4 ? sum(frame + quote->ip + 10, 2, s) : addrs_sum(frame, h, s);
}

static const char *icmp_mangled(__u8 *copy, const __u8 *before, size_t size, const struct header *h)
{
	struct header quote;
	bool right;

	if (h->fragment || !find_l4(before, size, h->ip4, h->l4 + 8, &quote) ||
	    quote.proto != IPPROTO_TCP || quote.tail || quote.l4 + 8 > size)
		return "ICMP that quotes no TCP is changed";
	right = same_sum(icmp_sum(before, h, &quote), icmp_sum(copy, h, &quote)) &&
		(!h->ip4 || same_sum(ip4_sum(before, &quote), ip4_sum(copy, &quote)));
	allow(copy, before, size, h->l4 + 2, 2);
	allow_addrs(copy, before, size, &quote);
	allow(copy, before, size, quote.l4, 4);
	return right ? NULL : "ICMP's checksum, or that of what it quotes";
}

/* `copy` is changed back where it may be another. */
static const char *ip_mangled(__u8 *copy, const __u8 *before, size_t size, const struct header *h,
			      unsigned hops)
{
	size_t ttl = h->ip + (h->ip4 ? 8 : 7);
	const char *wrong = NULL;

	if (copy[ttl] + hops != before[ttl])
		return "hops";
	if (h->ip4 && !same_sum(ip4_sum(before, h), ip4_sum(copy, h)))
		return "IPv4's checksum";
	if (h->proto == IPPROTO_TCP)
		wrong = tcp_mangled(copy, before, size, h);
	else if (h->proto == (h->ip4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		wrong = icmp_mangled(copy, before, size, h);
	else
		return "neither TCP nor ICMP, and changed";
	copy[ttl] = before[ttl];
	allow_addrs(copy, before, size, h);
	return wrong;
}

const char *frame_mangled(const __u8 *after, const __u8 *before, size_t size, unsigned hops)
{
	const struct ether_header *eth = (const void *)before;
	bool ip4 = eth->ether_type == htons(ETHERTYPE_IP);
	const char *wrong;
	__u8 copy[FRAME_MAX];
	struct header h;

	memcpy(copy, after, size);
	memcpy(copy, before, 12);
	if (!memcmp(copy, before, size))
		return hops ? "hops" : NULL;
	if (!(ip4 || eth->ether_type == htons(ETHERTYPE_IPV6)) ||
	    !find_l4(before, size, ip4, ETH, &h))
		return "of no kind that is translated, and changed";
	wrong = ip_mangled(copy, before, size, &h, hops);
	if (wrong)
		return wrong;
	return memcmp(copy, before, size) ? "more than addresses and ports" : NULL;
}
