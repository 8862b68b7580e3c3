// SPDX-License-Identifier: GPL-2.0
/*
 * Ends the connections that no packet, and no hook of a socket, will end: run by weftd, once a
 * second or more often. And counts the bytes of those that are open, every few seconds.
 */
#include "hook_tc.bpf.h"

#include "conntrack.bpf.h"
#include "sock.bpf.h"
#include "count.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	ORPHAN_NS = 1000000000,
	/* A RST that its receiver may have taken (struct conn.reset_at): what the receiver had sent
	 * before it came has arrived by then, and what it answers to our asking by then. */
	RESET_ASK_NS = 1000000000,
	RESET_SURE_NS = 3000000000u,
	LONG_AGO = 1 << 30,	/* bytes: no window is larger */
	UNSENT_NS = 1000000000, /* a connect() that has come to no SYN by then has failed */
	NETNS_GRACE_NS = 2000000000,
	TELL_AGAIN_NS =
		1000000000, /* of a connection that weftd was told to end, and that is there */
};

/*
 * Seconds without a packet. What is not acknowledged comes again, the last time 120 s after the one
 * before (RFC 9293 3.8.3, TCP_RTO_MAX). Once all of it is, only an ACK that got lost lets a FIN
 * come again, first soon and then less and less often.
 */
const volatile __u32 half_open_s = 10;
const volatile __u32 closing_s = 130;
const volatile __u32 closed_s = 10;
const volatile __u32 dead_s = 60;
const volatile __u32 established_s = 432000;

/* Negative where another CPU has written `since` after we took `now`. */
static __always_inline __s64 elapsed(__u64 now, __u64 since)
{
	return now - since;
}

static __always_inline int is_gone(const struct addr *a)
{
	return bpf_map_lookup_elem(&gone_addrs, a) != NULL;
}

static __always_inline int has_pod(__u32 ifindex)
{
	return bpf_map_lookup_elem(&pods, &ifindex) != NULL;
}

static __always_inline int has_interface(__u32 ifindex)
{
	return has_pod(ifindex) || bpf_map_lookup_elem(&nics, &ifindex);
}

/* Asks weftd for a packet without data to the sender of the packets that `key` is for. */
static __always_inline void request_packet(const struct tuple *key, __u32 seq, __u32 ack,
					   __u8 flags)
{
	struct reset_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return;
	tuple_reverse(&e->packet, key);
	e->seq = seq;
	e->ack = ack;
	e->flags = flags;
	e->pad = 0;
	bpf_ringbuf_submit(e, 0);
}

/* What the endpoint receives has B's addresses. */
static __always_inline void to_endpoint_key(const struct conn *forward, struct tuple *key)
{
	tuple_reverse(key, &forward->to);
}

static __always_inline void reset_client(const struct tuple *key, const struct conn *forward)
{
	if (forward->open)
		request_packet(key, forward->ack, 0, TCP_RST);
	else /* it waits for a SYN+ACK */
		request_packet(key, 0, forward->end, TCP_RST | TCP_ACK);
}

static __always_inline void reset_endpoint(const struct conn *forward, const struct conn *reply)
{
	struct tuple key;

	if (!reply || !reply->open)
		return;
	to_endpoint_key(forward, &key);
	request_packet(&key, reply->ack, 0, TCP_RST);
}

/* The client's last ACK of the handshake has not been seen. */
static __always_inline int is_opening(const struct conn *forward)
{
	return forward->state == CONN_SYN ||
	       (forward->state == CONN_ESTABLISHED && !forward->started);
}

static __always_inline void end_for(struct conn *forward, struct conn *reply, __u64 now,
				    enum reason reason)
{
	if (reason)
		count_reason(reason);
	conn_die(forward, reply, now, reason);
}

static __always_inline __u64 ms_or(__u32 ms, __u32 seconds)
{
	return ms ? ms * 1000000ull : seconds * 1000000000ull;
}

/* How long a connection may go on without a packet. */
static __always_inline __u64 silence_allowed(const struct conn *forward)
{
	if (is_opening(forward))
		return ms_or(forward->connect_timeout_ms, half_open_s);
	switch (forward->state) {
	case CONN_ESTABLISHED:
		return ms_or(forward->idle_timeout_ms, established_s);
	case CONN_CLOSING:
		return closing_s * 1000000000ull;
	case CONN_DEAD: /* long only where a client may be waiting for an answer */
		return (forward->reason && has_interface(forward->client_ifindex) ? dead_s
										  : closed_s) *
		       1000000000ull;
	default:
		return closed_s * 1000000000ull;
	}
}

static __always_inline int is_timed_out(const struct conn *forward, const struct conn *reply,
					__u64 now)
{
	__u64 since = forward->seen;

	if (reply && elapsed(reply->seen, since) > 0)
		since = reply->seen;
	/* SYNs repeated are no progress. */
	if (is_opening(forward))
		since = forward->created;
	return elapsed(now, since) > (__s64)silence_allowed(forward) ||
	       (forward->state < CONN_CLOSED && forward->max_duration_ms &&
		elapsed(now, forward->created) > forward->max_duration_ms * 1000000ll);
}

static __always_inline void delete_both(struct sweep_args *args, const struct tuple *key,
					struct conn *forward, struct conn *reply, __u32 state)
{
	/* It may have been reopened meanwhile. */
	if (state != CONN_REAPED && !change_state(forward, state, CONN_REAPED))
		return;
	release(forward, reply);
	conn_delete(key, forward);
	args->ended++;
}

/* weftd reads the RSTs once we are through: those that don't fit have time until the next sweep. */
static __always_inline int has_room_for_resets(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + 4096 <
	       bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);
}

enum doubt { DOUBT_NONE = 0, DOUBT_ASK, DOUBT_OVER };

/* `c` has sent a RST that `receiver` may have taken. */
static __always_inline enum doubt reset_doubt(struct conn *c, const struct conn *receiver,
					      __u64 now)
{
	__u64 since = c->reset_at;

	if (!since || elapsed(now, since) < RESET_ASK_NS)
		return DOUBT_NONE;
	if (elapsed(receiver->seen, since) >= RESET_ASK_NS) {
		c->reset_at = 0; /* it has not, or will not: the number has passed */
		return DOUBT_NONE;
	}
	return elapsed(now, since) < RESET_SURE_NS ? DOUBT_ASK : DOUBT_OVER;
}

/*
 * Whether the connection has ended with a RST. A receiver that lives acknowledges what is no news
 * to it, as it does for keepalive (RFC 9293 3.8.4), and one that doesn't says so, or nothing. The
 * number is one that it has passed for sure.
 */
static __always_inline int ended_by_reset(const struct tuple *key, struct conn *forward,
					  struct conn *reply, __u64 now)
{
	enum doubt by_client = reset_doubt(forward, reply, now),
		   by_endpoint = reset_doubt(reply, forward, now);
	struct tuple back;

	if (by_client == DOUBT_ASK && reply->open) {
		to_endpoint_key(forward, &back);
		request_packet(&back, reply->ack - LONG_AGO, reply->end, TCP_ACK);
	}
	if (by_endpoint == DOUBT_ASK && forward->open)
		request_packet(key, forward->ack - LONG_AGO, forward->end, TCP_ACK);
	return by_client == DOUBT_OVER || by_endpoint == DOUBT_OVER;
}

/* What becomes of a connection. */
enum sweep_verdict {
	SWEEP_LIVE = 0,
	SWEEP_REAP,  /* it has ended, and its entries go */
	SWEEP_RESET, /* by a RST of one of its ends */
	SWEEP_LEFT,  /* its endpoint's pod is gone: the client learns it with its next packet */
	SWEEP_LEFT_OPENING, /* and one that still connects, at once */
	SWEEP_GONE,	    /* its client's pod is */
	SWEEP_TIMED_OUT,
};

static __always_inline enum sweep_verdict judge(const struct sweep_args *args,
						const struct tuple *key, struct conn *forward,
						struct conn *reply, __u64 now)
{
	if (forward->state >= CONN_CLOSED)
		return is_timed_out(forward, reply, now) ? SWEEP_REAP : SWEEP_LIVE;
	if (!reply && elapsed(now, forward->created) > ORPHAN_NS)
		return SWEEP_REAP;
	if (!has_room_for_resets())
		return SWEEP_LIVE;
	if (!has_interface(forward->client_ifindex) || (args->check_gone && is_gone(&key->src)))
		return SWEEP_GONE;
	if ((forward->endpoint_ifindex && !has_pod(forward->endpoint_ifindex)) ||
	    (args->check_gone && is_gone(&forward->to.dst)))
		return is_opening(forward) ? SWEEP_LEFT_OPENING : SWEEP_LEFT;
	if (is_timed_out(forward, reply, now))
		return SWEEP_TIMED_OUT;
	return reply && ended_by_reset(key, forward, reply, now) ? SWEEP_RESET : SWEEP_LIVE;
}

/* Each way to end it is here once: the verifier follows each. */
static __always_inline void sweep_forward(struct sweep_args *args, const struct tuple *key,
					  struct conn *forward)
{
	struct conn *reply = conn_other(forward);
	__u64 now = bpf_ktime_get_ns();
	__u32 state = forward->state;
	enum sweep_verdict verdict = judge(args, key, forward, reply, now);

	if (verdict == SWEEP_LIVE) {
		args->live += state < CONN_CLOSED;
		return;
	}
	if (verdict == SWEEP_REAP) {
		delete_both(args, key, forward, reply, state);
		return;
	}
	if (verdict >= SWEEP_LEFT_OPENING)
		reset_client(key, forward);
	if (verdict >= SWEEP_GONE)
		reset_endpoint(forward, reply);
	if (verdict >= SWEEP_LEFT) {
		if (is_opening(forward))
			count_connect_fail(forward->cluster, forward->endpoint);
		args->killed++;
	}
	end_for(forward, reply, now,
		verdict == SWEEP_RESET	     ? REASON_NONE
		: verdict == SWEEP_TIMED_OUT ? REASON_TIMED_OUT
					     : REASON_POD_GONE);
}

/* The reply entry of the connection that an entry translates for is gone. */
static __always_inline int is_forsaken(const struct tuple *key, const struct conn *c)
{
	struct tuple reply = c->to;

	if (key->hook == HOOK_EGRESS)
		tuple_reverse(&reply, key);
	reply.hook = HOOK_EGRESS;
	return !bpf_map_lookup_elem(&conns, &reply);
}

/* An entry whose forward entry never came to be, went alone, or is another connection's now. */
static __always_inline int is_orphan(const struct tuple *key, const struct conn *c)
{
	struct conn *forward;
	struct tuple back;

	if (elapsed(bpf_ktime_get_ns(), c->created) <= ORPHAN_NS)
		return 0;
	if (c->dir == DIR_TRANSLATE)
		return is_forsaken(key, c);
	forward = conn_other(c);
	if (!forward)
		return 1;
	conn_other_key(forward, &back);
	return !tuple_equal(&back, key) || back.hook != key->hook;
}

static long sweep_entry(void *map, struct tuple *key, struct conn *c, struct sweep_args **ctx)
{
	struct sweep_args *args = *ctx;

	args->entries++;
	if (c->dir == DIR_FORWARD)
		sweep_forward(args, key, c);
	else if (is_orphan(key, c))
		conn_remove(key);
	return 0;
}

/* ---- sockets ---- */

/* Whether nothing else will give the place back: connect() has failed before a SYN, and the
 * application keeps the socket; or the pod is gone, or dead and about to go, and its connection,
 * closed by its application, waits for its endpoint's answer for minutes. */
static __always_inline int is_lost(const struct sweep_args *args, const struct sock_conn *s,
				   const struct netns_pod *pod, __u64 age)
{
	if (!s->seen && !s->deferred)
		return age > UNSENT_NS;
	if (args->check_gone && is_gone(&s->own))
		return 1;
	return pod ? pod->down && s->released : age > NETNS_GRACE_NS;
}

/* Why the connection must go; REASON_NONE: it may stay. */
static __always_inline enum reason why_end(const struct sweep_args *args, const struct sock_conn *s,
					   __u64 age)
{
	if (args->check_gone && is_gone(&s->addr))
		return REASON_POD_GONE;
	if (s->max_duration_ms && age > s->max_duration_ms * 1000000ull)
		return REASON_TIMED_OUT;
	return REASON_NONE;
}

/* Whether it may be idle: what it has sent and received since only its socket knows. */
static __always_inline int may_be_idle(const struct sock_conn *s, __u64 now)
{
	__u64 since = s->active > s->created ? s->active : s->created;

	return s->idle_timeout_ms && s->seen &&
	       elapsed(now, since) > s->idle_timeout_ms * 1000000ll;
}

static __always_inline int tell_of(struct sweep_args *args, __u64 cookie, const struct sock_conn *s,
				   __u32 idle_ms)
{
	struct sock_event *e = has_room_for_resets() ? bpf_ringbuf_reserve(&events, sizeof(*e), 0)
						     : NULL;

	if (!e) {
		args->untold++;
		return 0;
	}
	__builtin_memset(&e->t, 0, sizeof(e->t));
	e->t.src = s->own;
	e->t.dst = s->addr;
	e->t.sport = s->own_port;
	e->t.dport = s->port;
	e->cookie = cookie;
	e->netns = s->netns;
	e->ifindex = s->ifindex;
	e->idle_ms = idle_ms;
	bpf_ringbuf_submit(e, 0);
	return 1;
}

static __always_inline void note_end(struct sock_conn *s, enum reason reason)
{
	if (!s->ended)
		count_reason(reason);
	s->ended = 1;
}

/* The entry may be another connection's by now: `held` is from before all that speaks for its
 * loss, and so is `created`. */
static __always_inline void lose(struct sock_conn *s, __u64 held, __u64 created)
{
	if (!held || s->created != created ||
	    __sync_val_compare_and_swap(&s->reservation, held, 0) != held)
		return;
	give_back(held, 0, 0);
	if (s->traffic)
		sock_count_end(s, held, 0, 0);
}

static __always_inline void look_at(struct sweep_args *args, __u64 cookie, struct sock_conn *s,
				    __u64 now, __u64 age)
{
	enum reason reason = why_end(args, s, age);

	if (!reason) {
		if (!args->check_gone && may_be_idle(s, now))
			tell_of(args, cookie, s, s->idle_timeout_ms);
		return;
	}
	if (s->ended && elapsed(now, s->told) < TELL_AGAIN_NS)
		return;
	if (!tell_of(args, cookie, s, 0))
		return;
	note_end(s, reason);
	s->told = now;
}

static long sweep_socket(void *map, __u64 *key, struct sock_conn *s, struct sweep_args **ctx)
{
	__u64 held = *(volatile __u64 *)&s->reservation, created = *(volatile __u64 *)&s->created;
	__u64 cookie = *key, netns = s->netns, now = bpf_ktime_get_ns();
	struct netns_pod *pod = bpf_map_lookup_elem(&netns_pods, &netns);
	struct sweep_args *args = *ctx;
	__s64 age = elapsed(now, created);

	if (age < 0)
		return 0;
	if (is_lost(args, s, pod, age)) {
		lose(s, held, created);
		if (!pod && age > NETNS_GRACE_NS)
			sock_forget(cookie);
		return 0;
	}
	if (held)
		look_at(args, cookie, s, now, age);
	else if (s->released) /* that it was to be deleted could not be carried out */
		sock_forget(cookie);
	return 0;
}

SEC("syscall")
int sock_note(struct sock_note *note)
{
	__u64 cookie = note->cookie;
	struct sock_conn *s = sock_of(cookie);

	if (!s)
		return 0;
	switch (note->news) {
	case SOCK_ACTIVE:
		s->active = note->active;
		break;
	case SOCK_IDLE:
		note_end(s, REASON_TIMED_OUT);
		break;
	default:
		lose(s, s->reservation, s->created);
		if (s->released)
			sock_forget(cookie);
	}
	return 0;
}

/* ---- all of it ---- */

SEC("syscall")
int sweep(struct sweep_args *args)
{
	struct sweep_args local = { .check_gone = args->check_gone }, *p = &local;

	if (has_conns())
		bpf_for_each_map_elem(&conns, sweep_entry, &p, 0);
	if (!args->skip_socks)
		bpf_for_each_map_elem(&socks, sweep_socket, &p, 0);
	args->entries = local.entries;
	args->ended = local.ended;
	args->killed = local.killed;
	args->live = local.live;
	args->untold = local.untold;
	return 0;
}
