/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_PROTECT_BPF_H
#define WEFT_PROTECT_BPF_H
/*
 * A ConnectionPolicy (weft/protect.h), whichever hook a packet from outside is seen at. XDP drops
 * or answers what it can; tc judges what XDP has not seen, or has left to it.
 *
 * How a client proves where it is: its SYN is answered with an ACK whose acknowledgement number is
 * a SYN cookie, as a host answers that still has a connection of that address and port. No client
 * that is asking for a new one can have sent what it acknowledges: it answers with a RST that has
 * the cookie for its sequence number, and sends its SYN again (RFC 9293 3.5.1, figure 9, and
 * 3.10.7.3). That SYN passes, so that nothing is kept of those that are never heard of again, and
 * the connection is made with all of the client's own options. Linux sends the second SYN after two
 * ticks of its clock, others with their next timeout, after a second. Stateful NAT lets the ACK
 * through, where a SYN+ACK with a wrong number is taken for invalid.
 */
#include <linux/errno.h>

#include "answer.bpf.h"
#include "conntrack.bpf.h"
#include "socket.bpf.h"

enum {
	PROTECT_TRIES = 16,
	PROTECT_MARK = 0x57465054, /* in front of a SYN that XDP has judged, for tc to see */
	TCP_PSH = 0x08,
	TCP_URG = 0x20,
	TCP_KINDS = TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG,
};

#define SECOND_NS 1000000000ull
#define PROVEN_NS (10 * SECOND_NS) /* a SYN that is lost is repeated after 1, 2 and 4 seconds */
#define COOKIES_NS                                                                    \
	(10 * SECOND_NS) /* cookies are asked for until it has been quiet for so long \
			  */

enum protect_verdict {
	PROTECT_PASS = 0,
	PROTECT_DROP,
	PROTECT_CHALLENGE, /* send protect_challenge() to the client */
};

/* The limits in force; NULL: there is no policy. */
static __always_inline const struct protect_limits *protect_in_force(void)
{
	__u32 zero = 0;
	const __u64 *turn = bpf_map_lookup_elem(&protect_turn, &zero);
	const struct protect_limits *l;
	__u64 number = turn ? *(const volatile __u64 *)turn : 0;
	__u32 entry = number % 2;

	if (!number)
		return NULL;
	l = bpf_map_lookup_elem(&protect, &entry);
	return l && l->flags & PROTECT_ON ? l : NULL;
}

static __always_inline void protect_count_one(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&protect_count, &reason);

	if (count)
		(*count)++;
}

static __always_inline enum protect_verdict protect_drop(enum protect_reason reason)
{
	protect_count_one(reason);
	return PROTECT_DROP;
}

/* ---- what a policy is about ---- */

/* Whether callers from outside are served there, by rules. A pod's own address is for the cluster:
 * its requests go to weft-proxy where AuthorizationPolicies ask for that. */
static __always_inline int is_served(const struct tuple *t, __u64 generation, int is_node)
{
	struct service_key key = { .addr = t->dst, .port = t->dport, .scope = SCOPE_OUTSIDE };

	if (table_service(generation, &key))
		return !bpf_map_lookup_elem(&pod_addrs, &key.addr);
	if (!is_node)
		return 0;
	if (addr_is_mapped(&key.addr))
		addr_from_ip4(&key.addr, 0);
	else
		__builtin_memset(&key.addr, 0, sizeof(key.addr));
	if (table_service(generation, &key))
		return 1;
	key.scope = SCOPE_NODE;
	return table_service(generation, &key) != NULL;
}

/* enum protect_dst_flags */
GLOBAL_FUNC __u32 dst_look_up(const struct tuple *t, __u32 ifindex, __u64 generation)
{
	const struct xdp_nic *nic = bpf_map_lookup_elem(&xdp_nics, &ifindex);
	__u32 flags = nic && nic->no_bridge ? PROTECT_NIC_PLAIN : 0;
	struct tuple own;

	if (!t)
		return 0;
	own = *t; /* before 6.3 a key can't be where an argument of a global function points to */
	if (bpf_map_lookup_elem(&node_addrs, &own.dst))
		flags |= PROTECT_DST_NODE;
	if (is_served(&own, generation, flags & PROTECT_DST_NODE))
		flags |= PROTECT_DST_SERVED;
	return flags;
}

static __always_inline int is_dst(const struct protect_dst *d, const struct tuple *t, __u32 ifindex,
				  __u64 generation, __u64 now)
{
	return d->jiffies == now && d->generation == generation && d->ifindex == ifindex &&
	       d->port == t->dport && addr_equal(&d->dst, &t->dst);
}

/* The same, by what has been found in this jiffy. */
static __always_inline __u32 dst_flags(const struct tuple *t, __u32 ifindex)
{
	__u32 zero = 0, slot = (t->dst.b[15] ^ t->dport) % PROTECT_DSTS;
	const __u64 *number = bpf_map_lookup_elem(&generation, &zero);
	struct protect_dst *d = bpf_map_lookup_elem(&protect_dsts, &slot);
	__u64 now = bpf_jiffies64(), in_force = number ? *number : 0;

	if (!d)
		return 0;
	if (is_dst(d, t, ifindex, in_force, now))
		return d->flags;
	d->flags = dst_look_up(t, ifindex, in_force);
	d->dst = t->dst;
	d->port = t->dport;
	d->ifindex = ifindex;
	d->generation = in_force;
	d->jiffies = now;
	return d->flags;
}

static __always_inline int has_port(const struct protect_limits *l, __u16 port)
{
	__u32 i;

	for (i = 0; i < PROTECT_PORTS_MAX && i < l->port_count; i++)
		if (l->ports[i] == port)
			return 1;
	return 0;
}

/* Not inlined: most policies name no ports. */
static __noinline int is_named(const struct protect_limits *l, __u16 port)
{
	return has_port(l, port);
}

/* `dst`: what dst_flags() says of the packet. */
static __always_inline int is_protected(const struct tuple *t, const struct protect_limits *l,
					__u32 dst)
{
	if (!l->port_count)
		return dst & PROTECT_DST_SERVED;
	return dst & (PROTECT_DST_SERVED | PROTECT_DST_NODE) && is_named(l, t->dport);
}

/* What is odd about packets is looked at for these only. */
static __always_inline int is_for_node(const struct tuple *t, __u32 ifindex)
{
	return dst_flags(t, ifindex) & (PROTECT_DST_SERVED | PROTECT_DST_NODE);
}

/* A pod behind a bridge that is a NIC as well is not outside. */
static __always_inline int is_inside(const struct addr *src, __u32 ifindex, __u32 dst)
{
	__u32 *at = dst & PROTECT_NIC_PLAIN ? NULL : bpf_map_lookup_elem(&pod_addrs, src);
	const struct pod *pod = at ? bpf_map_lookup_elem(&pods, at) : NULL;

	return pod && pod->bridge == ifindex;
}

static __always_inline int protect_is_syn(const struct packet *p)
{
	return (p->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/*
 * Whether a packet that is no SYN is of a connection that weft, its proxy or a server of the node's
 * own has with a caller. Any other may be an answer: the node's own connections, and those of its
 * pods behind masquerading, may have the number of a port that is served for their own.
 */
static __always_inline int is_callers(hook_ctx *ctx, const struct packet *p)
{
	const struct conn *c = has_conns() ? bpf_map_lookup_elem(&conns, &p->t) : NULL;
	struct proxied_key key = { p->t.dst, p->t.dport };

	if (c)
		return c->dir == DIR_FORWARD;
	return has_socket(ctx, p->ip4, &p->t, BPF_F_CURRENT_NETNS, 0) &&
	       (bpf_map_lookup_elem(&proxied, &key) || has_listener(ctx, p->ip4, &p->t));
}

/* ---- what is wrong with a packet by itself ---- */

static __always_inline int has_bad_flags(__u8 flags)
{
	return !(flags & TCP_KINDS) || (flags & TCP_SYN && flags & (TCP_FIN | TCP_RST));
}

/* Addresses that no packet comes from: RFC 1122 3.2.1.3, RFC 4291 2.5 and 2.7. */
static __always_inline int is_no_source(const struct packet *p)
{
	const __u8 *b = p->t.src.b;
	const __u64 *half = (const void *)b;

	if (p->ip4)
		return b[12] == 127 || !b[12] || b[12] >> 4 == 14 ||
		       addr_ip4(&p->t.src) == 0xffffffff;
	return b[0] == 0xff || addr_is_mapped(&p->t.src) ||
	       (!half[0] && (!half[1] || half[1] == bpf_cpu_to_be64(1)));
}

/* By the policy's `allow` and `deny`. */
static __always_inline enum protect_reason source_fault(const struct addr *src,
							const struct protect_limits *l)
{
	struct protect_key key = { .prefixlen = 8 * sizeof(*src) };
	const __u32 *verdict;

	__builtin_memcpy(key.addr, src, sizeof(key.addr));
	verdict = bpf_map_lookup_elem(&protect_sources, &key);
	if (verdict && *verdict == PROTECT_DENY)
		return PROTECT_DENIED;
	if (l->flags & PROTECT_ALLOW_LISTED && (!verdict || *verdict != PROTECT_ALLOW))
		return PROTECT_NOT_ALLOWED;
	return PROTECT_REASONS;
}

/* Whether a packet of a source that is not let in is to be dropped. */
static __always_inline int is_unheard(hook_ctx *ctx, const struct packet *p,
				      const struct protect_limits *l, __u32 ifindex)
{
	__u32 dst = dst_flags(&p->t, ifindex);

	return is_protected(&p->t, l, dst) && !is_inside(&p->t.src, ifindex, dst) &&
	       (protect_is_syn(p) || is_callers(ctx, p));
}

/* Sources come first: most of what is dropped is dropped for them, and shall cost the least.
 * `lies`: lengths that contradict each other. PROTECT_REASONS: nothing. */
static __always_inline enum protect_reason protect_fault(hook_ctx *ctx, const struct packet *p,
							 const struct protect_limits *l, int lies,
							 __u32 ifindex)
{
	enum protect_reason reason;

	if (lies || has_bad_flags(p->flags))
		return is_for_node(&p->t, ifindex) ? PROTECT_MALFORMED : PROTECT_REASONS;
	reason = source_fault(&p->t.src, l);
	if (reason != PROTECT_REASONS && is_unheard(ctx, p, l, ifindex))
		return reason;
	if (is_no_source(p) || bpf_map_lookup_elem(&node_addrs, &p->t.src))
		return is_for_node(&p->t, ifindex) ? PROTECT_SPOOFED : PROTECT_REASONS;
	return PROTECT_REASONS;
}

/* ---- rates ---- */

/*
 * Takes a token; there is one where there is no bucket. A bucket that is empty is only read,
 * however many ask. One that a policy with lower rates has filled is empty at worst.
 */
GLOBAL_FUNC int take_token(struct protect_bucket *b, __u32 rate, __u32 burst, __u64 now)
{
	__u64 each = rate ? SECOND_NS / rate : 0, end = now + each * (burst ? burst : rate);
	int i;

	if (!b)
		return 1;
	for (i = 0; i < PROTECT_TRIES; i++) {
		__u64 old = *(volatile __u64 *)&b->full_at, from = old > now ? old : now;

		if (old > end)
			__sync_val_compare_and_swap(&b->full_at, old, end);
		if (from + each > end)
			return 0;
		if (__sync_val_compare_and_swap(&b->full_at, old, from + each) == old)
			return 1;
	}
	return 0;
}

static __always_inline int take_of_meter(__u32 meter, __u32 rate, __u32 burst, __u64 now)
{
	struct protect_bucket *b = bpf_map_lookup_elem(&protect_meters, &meter);

	return take_token(b, rate, burst, now);
}

/* An address of IPv6 costs its owner nothing: it has 2^64 of them. */
static __noinline int take_of_source(const struct addr *src, const struct protect_limits *l,
				     __u64 now)
{
	struct protect_bucket full = { .full_at = now }, *b;
	struct addr key = *src;

	if (!addr_is_mapped(src))
		__builtin_memset(key.b + 8, 0, 8);
	b = bpf_map_lookup_elem(&protect_buckets, &key);
	if (!b) {
		bpf_map_update_elem(&protect_buckets, &key, &full, BPF_NOEXIST);
		b = bpf_map_lookup_elem(&protect_buckets, &key);
	}
	return take_token(b, l->source_rate, l->source_burst, now);
}

/* ---- cookies ---- */

/* Whether clients have to prove where they are. More SYNs than the threshold say so for a while,
 * lest a flood gets through by what it may in each second. */
static __always_inline int asks_cookies(const struct protect_limits *l, __u64 now)
{
	__u32 meter = PROTECT_METER_COOKIES;
	struct protect_bucket *until;

	if (l->flags & PROTECT_COOKIES_ALWAYS)
		return 1;
	until = l->flags & PROTECT_COOKIES_AUTO ? bpf_map_lookup_elem(&protect_meters, &meter)
						: NULL;
	if (!until)
		return 0;
	if (l->cookie_threshold &&
	    take_of_meter(PROTECT_METER_SYNS, l->cookie_threshold, l->cookie_threshold, now))
		return now < until->full_at;
	if (until->full_at < now + COOKIES_NS / 2)
		until->full_at = now + COOKIES_NS;
	return 1;
}

static __always_inline int is_proven(const struct tuple *t, __u64 now)
{
	const __u64 *until = bpf_map_lookup_elem(&protect_proven, t);

	return until && now < *until;
}

/* The cookie of a SYN with the number 0: the RST does not tell which number the client's had. */
static __always_inline void cookie_tcp(struct tcphdr *tcp, const struct tuple *t)
{
	*tcp = (struct tcphdr){ .source = bpf_htons(t->sport),
				.dest = bpf_htons(t->dport),
				.doff = TCP_MIN / 4 };
}

static __always_inline __s64 cookie_make(const struct packet *p)
{
	struct tcphdr tcp;

	cookie_tcp(&tcp, &p->t);
	if (p->ip4) {
		struct iphdr ip;

		answer_ip4(&ip, &p->t);
		return bpf_tcp_raw_gen_syncookie_ipv4(&ip, &tcp, sizeof(tcp));
	}
	struct ipv6hdr ip;

	answer_ip6(&ip, &p->t);
	return bpf_tcp_raw_gen_syncookie_ipv6(&ip, &tcp, sizeof(tcp));
}

/* As the helpers want it: an ACK of the cookie, one further than the SYN. */
GLOBAL_FUNC int cookie_returned(const struct packet *p)
{
	struct tcphdr tcp;

	if (!p)
		return 0;
	cookie_tcp(&tcp, &p->t);
	tcp.seq = bpf_htonl(1);
	tcp.ack_seq = bpf_htonl(p->seq + 1);
	if (p->ip4) {
		struct iphdr ip;

		answer_ip4(&ip, &p->t);
		return !bpf_tcp_raw_check_syncookie_ipv4(&ip, &tcp);
	}
	struct ipv6hdr ip;

	answer_ip6(&ip, &p->t);
	return !bpf_tcp_raw_check_syncookie_ipv6(&ip, &tcp);
}

/* The TCP header that asks the sender of a SYN for a proof; ports and checksum are the caller's to
 * fill in. 0, or an error. */
static __noinline int protect_challenge(const struct packet *p, struct tcphdr *tcp)
{
	__s64 cookie = cookie_make(p);

	if (cookie < 0)
		return -EINVAL;
	*tcp = (struct tcphdr){ .doff = TCP_MIN / 4, .ack = 1, .ack_seq = bpf_htonl(cookie) };
	return 0;
}

static __always_inline void note_proven(const struct tuple *t)
{
	__u64 until = bpf_ktime_get_ns() + PROVEN_NS;

	bpf_map_update_elem(&protect_proven, t, &until, BPF_ANY);
}

/* ---- verdicts ---- */

/* Whether a SYN asks from outside for what is protected. */
static __noinline int protect_is_new(const struct packet *p, const struct protect_limits *l,
				     __u32 ifindex)
{
	__u32 dst = dst_flags(&p->t, ifindex);

	return is_protected(&p->t, l, dst) && !is_inside(&p->t.src, ifindex, dst);
}

/* A SYN that nothing is wrong with, to what is protected. */
static __noinline enum protect_verdict protect_syn(const struct packet *p,
						   const struct protect_limits *l)
{
	__u64 now = bpf_ktime_get_ns();

	if (asks_cookies(l, now) && !is_proven(&p->t, now))
		return PROTECT_CHALLENGE;
	if (l->source_rate && !take_of_source(&p->t.src, l, now))
		return protect_drop(PROTECT_SOURCE_RATE);
	if (l->total_rate &&
	    !take_of_meter(PROTECT_METER_TOTAL, l->total_rate, l->total_burst, now))
		return protect_drop(PROTECT_TOTAL_RATE);
	protect_count_one(PROTECT_PASSED_SYN);
	return PROTECT_PASS;
}

/* Another packet that nothing is wrong with: a RST may be a client's proof, or a connection's end.
 * `last`: no other hook will see it. */
static __noinline enum protect_verdict
protect_other(const struct packet *p, const struct protect_limits *l, __u32 ifindex, int last)
{
	const enum protect_flags cookies = PROTECT_COOKIES_ALWAYS | PROTECT_COOKIES_AUTO;

	if ((p->flags & TCP_KINDS) != TCP_RST || !(l->flags & cookies) ||
	    !is_protected(&p->t, l, dst_flags(&p->t, ifindex)))
		return PROTECT_PASS;
	if (cookie_returned(p)) {
		note_proven(&p->t);
		return protect_drop(PROTECT_COOKIE_GOOD);
	}
	if (last && !(has_conns() && bpf_map_lookup_elem(&conns, &p->t)))
		protect_count_one(PROTECT_COOKIE_BAD);
	return PROTECT_PASS;
}

#endif
