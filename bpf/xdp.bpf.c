// SPDX-License-Identifier: GPL-2.0
/*
 * XDP on the node's NICs: the packets of a connection from outside whose endpoint is on another
 * node, there and back, before the node's own stack sees them.
 *
 * The connection's entries (weft/conn.h) are like tc's. Its handshake goes up the stack, so that
 * routing, netfilter and neighbour discovery have their say: only what the stack has sent on by a
 * NIC as it was is forwarded here, to the same next hop, and only while the routes still say so.
 * The handshake's last packet is already ours. Where the stack would have nothing to say, XDP opens
 * connections itself (`opens` of struct xdp_nic, open_wire()). What is forwarded leaves by the NIC
 * that it came by, or by another one, where both are permitted.
 *
 * Whatever is not plain is passed up, untouched, to tc, which goes on with the same entries:
 * forwarding drops no packet. The node's own stack may drop it, for its connection tracking knows
 * the SYN and the SYN+ACK only, for a minute, and until then takes for invalid what is far from
 * these unless nf_conntrack_tcp_be_liberal is set. After that minute it takes the connection up
 * anew, but for an ICMP error about it, which then concerns nothing that it knows.
 *
 * A ConnectionPolicy (protect.bpf.h) comes before all of that. It alone drops frames, and answers
 * SYNs.
 */
#include <linux/bpf.h>

#include "hook_xdp.bpf.h"

#include "checksum.bpf.h"
#include "fib.bpf.h"
#include "forget.bpf.h"
#include "open.bpf.h"
#include "protect.bpf.h"
#include "syn.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	IP4_TOS_MASK = 0x1c,		/* what routes look at: the kernel's IPTOS_RT_MASK */
	IP6_FLOWINFO_MASK = 0x0fffffff, /* likewise */
};

/* What an XDP program may read of a frame, or write to it. */
struct frame {
	struct ethhdr *eth;
	void *end;
};

static __always_inline struct frame frame_of(const struct xdp_md *ctx)
{
	return (struct frame){ (void *)(long)ctx->data, (void *)(long)ctx->data_end };
}

/* ---- reading ---- */

/* Without options, whole, with a hop to go. */
static __always_inline int parse_ip4(const struct frame *f, struct packet *p,
				     struct bpf_fib_lookup *way)
{
	const struct iphdr *ip = (void *)(f->eth + 1);

	if ((void *)(ip + 1) > f->end || ip->version != 4 || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP || ip->ttl <= 1 ||
	    ip->frag_off & bpf_htons(IP4_MORE_FRAGMENTS | IP4_OFFSET))
		return 0;
	p->ip4 = 1;
	p->l4 = ETH_HLEN + sizeof(*ip);
	p->bytes = bpf_ntohs(ip->tot_len);
	addr_from_ip4(&p->t.src, ip->saddr);
	addr_from_ip4(&p->t.dst, ip->daddr);
	way->tos = ip->tos & IP4_TOS_MASK;
	return 1;
}

/* The same, without extension headers. Jumbograms have no length here. */
static __always_inline int parse_ip6(const struct frame *f, struct packet *p,
				     struct bpf_fib_lookup *way)
{
	const struct ipv6hdr *ip = (void *)(f->eth + 1);
	__be32 first;

	if ((void *)(ip + 1) > f->end || ip->version != 6 || ip->nexthdr != IPPROTO_TCP ||
	    ip->hop_limit <= 1 || !ip->payload_len)
		return 0;
	p->l4 = ETH_HLEN + sizeof(*ip);
	p->bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	__builtin_memcpy(&p->t.src, &ip->saddr, sizeof(p->t.src));
	__builtin_memcpy(&p->t.dst, &ip->daddr, sizeof(p->t.dst));
	__builtin_memcpy(&first, ip, sizeof(first));
	way->flowinfo = first & bpf_htonl(IP6_FLOWINFO_MASK);
	return 1;
}

/* The TCP header of a frame behind a plain IP header; NULL if it is cut off. */
static __always_inline struct tcphdr *tcp_of(const struct frame *f, int ip4)
{
	struct tcphdr *tcp = ip4 ? (void *)((struct iphdr *)(f->eth + 1) + 1)
				 : (void *)((struct ipv6hdr *)(f->eth + 1) + 1);

	return (void *)(tcp + 1) > f->end ? NULL : tcp;
}

/*
 * Whether the packet's checksum may have been left to the device (CHECKSUM_PARTIAL), as it is in
 * what a veth or a virtual machine's host hands over, one by one or as a whole batch: the field
 * then has the sum of the pseudo header, with or without the length, and only tc can keep it right.
 * One of 32,768 others looks like it, and is passed up as well.
 */
static __always_inline int may_be_partial(const struct xdp_md *ctx, const struct packet *p)
{
	__u32 sum = fold(pseudo_sum(p, &p->t, 0)), len = p->bytes + ETH_HLEN - p->l4;
	const struct frame f = frame_of(ctx);
	const struct tcphdr *tcp = tcp_of(&f, p->ip4);

	return !tcp || tcp->check == sum || tcp->check == fold(sum + fold(bpf_htonl(len)));
}

/* A frame may be padded, never shorter than what its headers say. */
static __always_inline int parse_tcp(const struct frame *f, struct packet *p)
{
	const struct tcphdr *tcp = tcp_of(f, p->ip4);
	__u32 header, room = f->end - (void *)f->eth;

	if (!tcp || tcp->doff < TCP_MIN / 4)
		return 0;
	header = p->l4 - ETH_HLEN + tcp->doff * 4;
	if (p->bytes < header || ETH_HLEN + p->bytes > room)
		return 0;
	packet_read_tcp(p, tcp);
	p->payload = p->bytes - header;
	return 1;
}

/* Whether the frame is plain TCP that may be forwarded. Fills in `p`, and what of it matters to
 * routes in `way`; both are zeroed. */
static __always_inline int parse(const struct xdp_md *ctx, struct packet *p,
				 struct bpf_fib_lookup *way)
{
	const struct frame f = frame_of(ctx);

	if ((void *)(f.eth + 1) > f.end)
		return 0;
	if (f.eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_ip4(&f, p, way) && parse_tcp(&f, p);
	return f.eth->h_proto == bpf_htons(ETH_P_IPV6) && parse_ip6(&f, p, way) && parse_tcp(&f, p);
}

/* ---- writing ---- */

static __always_inline void store_tcp(struct tcphdr *tcp, const struct packet *p,
				      const struct tuple *to, __u32 diff)
{
	__be16 old[2] = { bpf_htons(p->t.sport), bpf_htons(p->t.dport) };
	__be16 new[2] = { bpf_htons(to->sport), bpf_htons(to->dport) };

	diff = bpf_csum_diff((void *)old, sizeof(old), (void *)new, sizeof(new), diff);
	tcp->check = checksum_changed(tcp->check, diff);
	tcp->source = new[0];
	tcp->dest = new[1];
}

static __always_inline void store_ip4(struct iphdr *ip, const struct tuple *to, __u32 diff)
{
	__be32 src = addr_ip4(&to->src), dst = addr_ip4(&to->dst);
	__u16 check = checksum_changed(ip->check, diff);

	/* One hop less: the word of TTL and protocol is 0x100 less. */
	ip->check = checksum_changed(check, (__u16)~bpf_htons(0x100));
	ip->ttl--;
	ip->saddr = src;
	ip->daddr = dst;
}

static __always_inline void store_ip6(struct ipv6hdr *ip, const struct tuple *to)
{
	ip->hop_limit--;
	__builtin_memcpy(&ip->saddr, &to->src, sizeof(to->src));
	__builtin_memcpy(&ip->daddr, &to->dst, sizeof(to->dst));
}

/* Gives the frame the addresses and ports of `to`, and the MAC addresses of the next hop. */
static __always_inline int rewrite_frame(const struct xdp_md *ctx, const struct packet *p,
					 const struct tuple *to, const struct bpf_fib_lookup *way)
{
	__u32 diff = addrs_diff(p, to);
	const struct frame f = frame_of(ctx);
	struct tcphdr *tcp;

	if ((void *)(f.eth + 1) > f.end)
		return 0;
	tcp = tcp_of(&f, p->ip4);
	if (!tcp)
		return 0;
	store_tcp(tcp, p, to, diff);
	if (p->ip4)
		store_ip4((void *)(f.eth + 1), to, diff);
	else
		store_ip6((void *)(f.eth + 1), to);
	__builtin_memcpy(f.eth->h_dest, way->dmac, ETH_ALEN);
	__builtin_memcpy(f.eth->h_source, way->smac, ETH_ALEN);
	return 1;
}

/* ---- ConnectionPolicy ---- */

/* Plain TCP, or what would be if its lengths were not contradictory. Fills in `p`. */
static __always_inline int parse_judged(struct xdp_md *ctx, struct packet *p, int *lies)
{
	const struct frame f = frame_of(ctx);
	__u32 header;
	struct bpf_fib_lookup way = {};
	const struct tcphdr *tcp;

	if ((void *)(f.eth + 1) > f.end ||
	    !(f.eth->h_proto == bpf_htons(ETH_P_IP)
		      ? parse_ip4(&f, p, &way)
		      : f.eth->h_proto == bpf_htons(ETH_P_IPV6) && parse_ip6(&f, p, &way)))
		return 0;
	tcp = tcp_of(&f, p->ip4);
	if (!tcp)
		return 0;
	packet_read_tcp(p, tcp);
	header = p->l4 + tcp->doff * 4;
	*lies = tcp->doff < TCP_MIN / 4 || ETH_HLEN + p->bytes < header ||
		(ETH_HLEN + p->bytes > f.end - (void *)f.eth &&
		 ETH_HLEN + p->bytes > bpf_xdp_get_buff_len(ctx));
	return 1;
}

/*
 * Tells tc that the SYN has been judged: to judge it again would count it twice, and ask for
 * another proof. 0 where the driver leaves no room for that: then it is tc's. Pointers into the
 * frame are no more valid.
 */
static __always_inline int protect_mark(struct xdp_md *ctx)
{
	__u32 *mark;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*mark)))
		return 0;
	mark = (void *)(long)ctx->data_meta;
	if ((void *)(mark + 1) > (void *)(long)ctx->data)
		return 0;
	*mark = PROTECT_MARK;
	return 1;
}

/* What leaves by a veth would take the mark along. To be called when the frame is as it is to be.
 */
static __always_inline void protect_unmark(struct xdp_md *ctx)
{
	if (ctx->data_meta < ctx->data)
		bpf_xdp_adjust_meta(ctx, ctx->data - ctx->data_meta);
}

/* The headers of the challenge in place of the SYN's, and the MAC addresses turned around. */
static __always_inline int store_challenge(const struct frame *f, const struct packet *p,
					   const struct tuple *back, const struct tcphdr *challenge)
{
	struct tcphdr *tcp;
	__u8 mac[ETH_ALEN];

	if ((void *)(f->eth + 1) > f->end)
		return 0;
	tcp = tcp_of(f, p->ip4);
	if (!tcp)
		return 0;
	__builtin_memcpy(mac, f->eth->h_dest, ETH_ALEN);
	__builtin_memcpy(f->eth->h_dest, f->eth->h_source, ETH_ALEN);
	__builtin_memcpy(f->eth->h_source, mac, ETH_ALEN);
	if (p->ip4)
		answer_ip4((void *)(f->eth + 1), back);
	else
		answer_ip6((void *)(f->eth + 1), back);
	*tcp = *challenge;
	return 1;
}

/* Cut to what an Ethernet frame has at least, or to the headers. */
static __always_inline int shorten(struct xdp_md *ctx, const struct packet *p)
{
	__u32 wanted = p->l4 + TCP_MIN, is = bpf_xdp_get_buff_len(ctx);

	if (wanted < ETH_ZLEN)
		wanted = ETH_ZLEN;
	return is <= wanted || !bpf_xdp_adjust_tail(ctx, (int)wanted - (int)is);
}

/* Turns the SYN into the challenge; 0 if that can't be. */
static __noinline int challenge_sender(struct xdp_md *ctx, const struct packet *p)
{
	struct tuple back;
	struct tcphdr tcp;
	struct frame f;

	if (protect_challenge(p, &tcp) || !shorten(ctx, p))
		return 0;
	tuple_reverse(&back, &p->t);
	tcp.source = bpf_htons(back.sport);
	tcp.dest = bpf_htons(back.dport);
	tcp.check = answer_check(&tcp, pseudo_sum(p, &back, TCP_MIN));
	f = frame_of(ctx);
	if (!store_challenge(&f, p, &back, &tcp))
		return 0;
	protect_unmark(ctx);
	return 1;
}

static __always_inline int answer_syn(struct xdp_md *ctx, const struct packet *p)
{
	int sent = challenge_sender(ctx, p);

	protect_count_one(sent ? PROTECT_COOKIE_SENT : PROTECT_UNANSWERED);
	return sent ? XDP_TX : XDP_DROP;
}

/* Whether XDP is to answer: where it can, and the frame is for this node. */
static __always_inline int may_answer(const struct xdp_md *ctx, __u32 ifindex)
{
	const struct xdp_nic *nic = bpf_map_lookup_elem(&xdp_nics, &ifindex);
	const struct frame f = frame_of(ctx);

	return nic && nic->answers && (void *)(f.eth + 1) <= f.end &&
	       same_mac(f.eth->h_dest, nic->mac);
}

/* A SYN that may have to be answered is tc's where XDP is not to: it is judged, and counted, once.
 */
static __always_inline int is_left_to_tc(const struct xdp_md *ctx, const struct protect_limits *l,
					 __u32 ifindex)
{
	return l->flags & (PROTECT_COOKIES_ALWAYS | PROTECT_COOKIES_AUTO) &&
	       !may_answer(ctx, ifindex);
}

enum { PROTECT_NOTHING = -1 }; /* no XDP action: XDP may forward the frame */

/* XDP_PASS: it is tc's, before anything else. */
static __always_inline int protect_xdp(struct xdp_md *ctx, const struct packet *p,
				       const struct protect_limits *l, __u32 ifindex)
{
	enum protect_verdict verdict;

	if (!protect_is_syn(p))
		verdict = protect_other(p, l, ifindex, 0);
	else if (!protect_is_new(p, l, ifindex))
		return PROTECT_NOTHING;
	else if (is_left_to_tc(ctx, l, ifindex) || !protect_mark(ctx))
		return XDP_PASS;
	else
		verdict = protect_syn(p, l);
	if (verdict == PROTECT_CHALLENGE)
		return answer_syn(ctx, p);
	return verdict == PROTECT_DROP ? XDP_DROP : PROTECT_NOTHING;
}

/* What a policy says of a frame that is plain; others are tc's to judge. */
static __noinline int protect_frame(struct xdp_md *ctx)
{
	const struct protect_limits *l = protect_in_force();
	__u32 ifindex = ctx->ingress_ifindex; /* once, or clang makes a pointer into the context */
	struct packet p = {};
	enum protect_reason reason;
	int lies;

	if (!l || !parse_judged(ctx, &p, &lies))
		return PROTECT_NOTHING;
	reason = protect_fault(ctx, &p, l, lies, ifindex);
	if (reason == PROTECT_REASONS)
		return protect_xdp(ctx, &p, l, ifindex);
	protect_count_one(reason);
	return XDP_DROP;
}

/* ---- forwarding ---- */

/*
 * Of the two entries that such a packet meets on its way through the node, as it comes in and as it
 * leaves: the one that follows the connection. NULL where they are of another kind.
 */
static __always_inline struct conn *followed(struct conn *in, struct conn *out)
{
	if (in->dir == DIR_FORWARD && in->flags & CONN_SOURCE && out->dir == DIR_TRANSLATE)
		return in;
	/* See is_own_source(). */
	return in->dir == DIR_TRANSLATE && in->endpoint_ifindex && out->dir == DIR_REPLY ? out
											 : NULL;
}

/* From the endpoint's SYN+ACK on, until it is over. */
static __always_inline int is_open(const struct packet *p, const struct conn *c,
				   const struct conn *other)
{
	__u32 state = c->dir == DIR_FORWARD ? c->state : other->state;

	return state == CONN_ESTABLISHED || state == CONN_CLOSING || state == CONN_CLOSED ||
	       (state == CONN_SYN && c->dir == DIR_REPLY && p->flags & TCP_SYN);
}

/* What weftd permits on a NIC, now; NULL: nothing. */
static __always_inline const struct xdp_nic *permitted(__u32 ifindex)
{
	const struct xdp_nic *nic = bpf_map_lookup_elem(&xdp_nics, &ifindex);

	return nic && packet_ns() < nic->until ? nic : NULL;
}

/* Whether XDP can send by the NIC what has come in by `in`. */
static __always_inline int can_send(__u32 in, __u32 out)
{
	const struct xdp_nic *nic;

	if (in == out)
		return 1;
	nic = permitted(out);
	return nic && nic->sends;
}

/* Whether it may be taken from the stack: as that would ask, the frame must be for this node. */
static __always_inline int is_ours(const struct xdp_md *ctx)
{
	const struct xdp_nic *nic = permitted(ctx->ingress_ifindex);
	const struct frame f = frame_of(ctx);

	return nic && (void *)(f.eth + 1) <= f.end && same_mac(f.eth->h_dest, nic->mac);
}

/*
 * Whether what goes from `t->src` to `t->dst` leaves to a neighbour that is known, in one piece, by
 * a NIC that XDP can send by.
 */
static __always_inline int find_way(struct xdp_md *ctx, const struct packet *p,
				    const struct tuple *t, struct bpf_fib_lookup *way)
{
	fib_addrs(way, p->ip4, &t->src, &t->dst);
	way->ifindex = ctx->ingress_ifindex;
	way->l4_protocol = IPPROTO_TCP;
	way->sport = bpf_htons(t->sport);
	way->dport = bpf_htons(t->dport);
	way->tot_len = p->bytes;
	return bpf_fib_lookup(ctx, way, sizeof(*way), 0) == BPF_FIB_LKUP_RET_SUCCESS &&
	       can_send(ctx->ingress_ifindex, way->ifindex);
}

static __always_inline void count_forwarded(const struct packet *p)
{
	__u32 zero = 0;
	struct xdp_stat *s = bpf_map_lookup_elem(&xdp_count, &zero);

	if (!s)
		return;
	s->packets++;
	s->bytes += ETH_HLEN + p->bytes;
}

static __always_inline int send_by(struct xdp_md *ctx, const struct packet *p, __u32 ifindex)
{
	count_forwarded(p);
	protect_unmark(ctx);
	return ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(ifindex, 0);
}

/* Nothing is changed, in the frame or in an entry, before it is certain that the packet goes on. */
static __always_inline int forward(struct xdp_md *ctx, const struct packet *p,
				   struct bpf_fib_lookup *way)
{
	struct conn *in = bpf_map_lookup_elem(&conns, &p->t), *out, *c, *other;
	struct tuple to;

	if (!in || (in->flags & (CONN_OUTSIDE | CONN_TAGGED)) != CONN_OUTSIDE || !is_ours(ctx) ||
	    may_be_partial(ctx, p))
		return XDP_PASS;
	to = in->to;
	to.hook = HOOK_EGRESS;
	out = bpf_map_lookup_elem(&conns, &to);
	c = out ? followed(in, out) : NULL;
	other = c ? conn_other(c) : NULL;
	if (!other || !is_open(p, c, other) || !find_way(ctx, p, &to, way) ||
	    out->endpoint_ifindex != way->ifindex || !same_mac(out->dmac, way->dmac))
		return XDP_PASS;
	to = out->to;
	if (!rewrite_frame(ctx, p, &to, way))
		return XDP_PASS;
	if (conn_track_pair(p, c, other) == CONN_DELETE)
		conn_forget(p, c);
	return send_by(ctx, p, way->ifindex);
}

/* ---- new connections ---- */

/* Programs of their own, as the stack of one has no room for all; the numbers are those of
 * `handshake`. */
enum {
	HANDSHAKE_SYN = 0,
	HANDSHAKE_ANSWER = 1,
};

int open_wire(struct xdp_md *ctx);
int answer_wire(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32)); /* the kernel takes no types here */
	__array(values, int(void *));
} handshake SEC(".maps") = {
	.values = { [HANDSHAKE_SYN] = (void *)&open_wire,
		    [HANDSHAKE_ANSWER] = (void *)&answer_wire },
};

/* Whether weftd lets connections be opened here, now. */
static __always_inline int may_open_at(__u32 ifindex)
{
	const struct xdp_nic *nic = permitted(ifindex);

	return nic && nic->opens;
}

/* Returns if it is the stack's. */
static __always_inline void shake_hands(struct xdp_md *ctx, const struct packet *p)
{
	const __u8 flags = TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN;

	if (!may_open_at(ctx->ingress_ifindex))
		return;
	if ((p->flags & flags) == TCP_SYN)
		bpf_tail_call(ctx, &handshake, HANDSHAKE_SYN);
	else if ((p->flags & flags) == (TCP_SYN | TCP_ACK))
		bpf_tail_call(ctx, &handshake, HANDSHAKE_ANSWER);
}

/* What the node's own stack would take for no host's address, whatever its routes say. */
static __always_inline int is_martian(const struct packet *p)
{
	const __u8 *b = p->t.src.b;

	if (p->ip4)
		return !b[12] || b[12] == 127 || b[12] >= 224;
	return b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || addr_is_zero(&p->t.src);
}

/* Whether the packet is of a connection, or would be taken for one of a connection further on. */
static __always_inline int is_known(const struct packet *p)
{
	struct tuple t = p->t;

	if (!has_conns())
		return 0;
	if (bpf_map_lookup_elem(&conns, &t))
		return 1;
	t.hook = HOOK_EGRESS;
	return bpf_map_lookup_elem(&conns, &t) != NULL;
}

/*
 * Asks the rules. Whether there is an endpoint on another node. What takes turns is not moved on
 * yet: what is left to tc must find it as it was.
 */
static __noinline int decide_far(const struct packet *p, struct scratch *s, __u32 ifindex)
{
	fill_question(p, ifindex, s);
	s->question.dry = 1;
	decide_packet(p, s, SIDE_NIC);
	if (s->verdict.action != VERDICT_STEER)
		return 0;
	locate_endpoint(p, s, SIDE_NIC);
	return s->netns_id == NETNS_UNKNOWN && !s->endpoint_ifindex;
}

/* The client's packets, from the endpoint's NIC's address. Notes how they leave. */
static __always_inline int find_way_there(struct xdp_md *ctx, const struct packet *p,
					  struct scratch *s, struct bpf_fib_lookup *way)
{
	const struct nic *nic;

	if (!find_way(ctx, p, &s->to, way) || !may_open_at(way->ifindex))
		return 0;
	s->exit_ifindex = way->ifindex;
	nic = bpf_map_lookup_elem(&nics, &s->exit_ifindex);
	if (!nic)
		return 0;
	__builtin_memcpy(s->exit_hop, way->dmac, ETH_ALEN);
	s->source = p->ip4 ? nic->addr4 : nic->addr6;
	s->flags |= CONN_SOURCE;
	return !addr_is_zero(&s->source);
}

/* What comes back leaves by the NIC that the SYN has come by: otherwise the node's own stack may
 * mind its source (rp_filter). */
static __noinline int find_way_back(struct xdp_md *ctx, const struct packet *p, struct scratch *s)
{
	struct bpf_fib_lookup way = { .ifindex = s->exit_ifindex,
				      .l4_protocol = IPPROTO_TCP,
				      .sport = bpf_htons(s->to.dport),
				      .dport = bpf_htons(s->to.sport) };

	fib_addrs(&way, p->ip4, &s->to.dst, &s->to.src);
	if (bpf_fib_lookup(ctx, &way, sizeof(way), 0) != BPF_FIB_LKUP_RET_SUCCESS ||
	    way.ifindex != ctx->ingress_ifindex)
		return 0;
	__builtin_memcpy(s->back_hop, way.dmac, ETH_ALEN);
	return 1;
}

/* The turns that the decision has been made by. */
static __always_inline void take_turns(const struct verdict *v)
{
	const struct cluster *c = table_cluster(v->generation, v->cluster_index);

	route_turn(v->generation, v->route, 0);
	if (c && c->lb == LB_ROUND_ROBIN && !v->affinity_s)
		cluster_turn(v->generation, v->cluster, 0);
}

/* `hop`: NULL in the entry for what comes in. */
static __always_inline void note_way(const struct tuple *key, __u32 ifindex, const __u8 *hop)
{
	struct conn *c = bpf_map_lookup_elem(&conns, key);

	if (!c)
		return;
	if (hop)
		__builtin_memcpy(c->dmac, hop, ETH_ALEN);
	c->endpoint_ifindex = ifindex;
}

/* As tc notes them where the node's own stack has sent packets on: note_exit(). */
static __noinline void note_ways(struct xdp_md *ctx, struct scratch *s)
{
	struct tuple key = s->to;

	key.hook = HOOK_EGRESS;
	note_way(&key, s->exit_ifindex, s->exit_hop);
	note_way(&s->out_reply, s->exit_ifindex, NULL);
	note_way(&s->reply, ctx->ingress_ifindex, s->back_hop);
}

/* The entries, and the place. What can't be had is tc's to refuse, and to count. */
static __noinline int enter(struct xdp_md *ctx, const struct packet *p, struct scratch *s)
{
	if (take_connection(ctx, p, s))
		return 0;
	take_turns(&s->verdict);
	note_ways(ctx, s);
	return 1;
}

/* Whether the place in the cluster is to be had. */
static __always_inline int has_room(const struct verdict *v)
{
	const struct cluster_limit *l = cluster_limit(v->cluster);

	return l && (!v->max_connections || l->steered + l->proxied < v->max_connections);
}

/* Not inlined, for the stack's sake. */
static __noinline int send_out(struct xdp_md *ctx, const struct packet *p, const struct scratch *s,
			       const struct bpf_fib_lookup *way)
{
	rewrite_frame(ctx, p, &s->out, way);
	return send_by(ctx, p, s->exit_ifindex);
}

/* Likewise. A SYN that no connection is known of, and that rules may be for. */
static __noinline int is_new(const struct xdp_md *ctx, const struct packet *p)
{
	return !may_be_partial(ctx, p) && !is_martian(p) && !is_known(p) && !is_plain(p, SIDE_NIC);
}

/*
 * A SYN for an endpoint on another node, where nothing of the node's own would treat it: decided,
 * entered and forwarded here. Everything else is left to tc as it is.
 */
SEC("xdp")
int open_wire(struct xdp_md *ctx)
{
	struct bpf_fib_lookup way = {};
	struct packet p = {};
	struct scratch *s;
	__u32 zero = 0;

	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s || !parse(ctx, &p, &way) || !is_ours(ctx) || !is_new(ctx, &p))
		return XDP_PASS;
	p.wscale = syn_wscale(ctx, p.l4);
	if (!decide_far(&p, s, ctx->ingress_ifindex) || !has_room(&s->verdict) ||
	    !find_way_there(ctx, &p, s, &way) || !find_way_back(ctx, &p, s) || !enter(ctx, &p, s))
		return XDP_PASS;
	return send_out(ctx, &p, s, &way);
}

/* The endpoint's SYN+ACK for such a one. */
SEC("xdp")
int answer_wire(struct xdp_md *ctx)
{
	struct bpf_fib_lookup way = {};
	struct packet p = {};

	if (!has_conns() || !parse(ctx, &p, &way))
		return XDP_PASS;
	p.wscale = syn_wscale(ctx, p.l4);
	return forward(ctx, &p, &way);
}

/* ---- all of them ---- */

/* Not inlined: what a policy needs of the stack is not needed at the same time. */
static __noinline int forward_frame(struct xdp_md *ctx)
{
	struct bpf_fib_lookup way = {};
	struct packet p = {};

	if (!parse(ctx, &p, &way))
		return XDP_PASS;
	if (!(p.flags & TCP_SYN))
		return has_conns() ? forward(ctx, &p, &way) : XDP_PASS;
	shake_hands(ctx, &p);
	return XDP_PASS;
}

SEC("xdp")
int from_wire(struct xdp_md *ctx)
{
	int action = protect_frame(ctx);

	return action == PROTECT_NOTHING ? forward_frame(ctx) : action;
}
