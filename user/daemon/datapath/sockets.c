// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/sockets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "daemon/netlink/netlink.h"
#include "daemon/netlink/netns.h"
#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/table.h"

/* ---- asking a network namespace (sock_diag(7)) ---- */

static void put_addr(__be32 *to, const struct addr *a)
{
	if (addr_is_v4(a))
		memcpy(to, a->b + 12, 4);
	else
		memcpy(to, a->b, 16);
}

/* The request about one socket. `ifindex`: or one that is bound would not be found. */
static struct inet_diag_req_v2 *begin(struct nl_request *q, int type, int flags,
				      const struct tuple *t, __u64 cookie, __u32 ifindex)
{
	struct inet_diag_req_v2 *d = nl_begin(q, type, flags, sizeof(*d));

	d->sdiag_family = addr_is_v4(&t->dst) ? AF_INET : AF_INET6;
	d->sdiag_protocol = IPPROTO_TCP;
	d->idiag_states = ~0u;
	d->id.idiag_sport = htons(t->sport);
	d->id.idiag_dport = htons(t->dport);
	put_addr(d->id.idiag_src, &t->src);
	put_addr(d->id.idiag_dst, &t->dst);
	d->id.idiag_if = ifindex;
	d->id.idiag_cookie[0] = (__u32)cookie;
	d->id.idiag_cookie[1] = (__u32)(cookie >> 32);
	return d;
}

/* What a socket says of itself. */
struct answer {
	__u32 state;
	struct tcp_info info;
};

static int take_answer(void *arg, const struct nlmsghdr *h)
{
	const struct inet_diag_msg *m = (const struct inet_diag_msg *)(h + 1);
	struct answer *out = arg;
	const struct rtattr *info;
	struct nl_attrs a;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	out->state = m->idiag_state;
	nl_parse(h, sizeof(*m), &a);
	info = a.at[INET_DIAG_INFO];
	if (info)
		memcpy(&out->info, RTA_DATA(info),
		       RTA_PAYLOAD(info) < sizeof(out->info) ? RTA_PAYLOAD(info)
							     : sizeof(out->info));
	return 0;
}

/* -ENOENT: it is closed, or has gone. */
static int ask(int diag, const struct tuple *t, __u64 cookie, __u32 ifindex, struct answer *out)
{
	struct nl_request q;
	struct inet_diag_req_v2 *d =
		begin(&q, SOCK_DIAG_BY_FAMILY, NLM_F_ACK, t, cookie, ifindex);

	d->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	*out = (struct answer){ 0 };
	return nl_call(diag, &q, take_answer, out);
}

/* Since data was last sent or received, or, where none was, since the connection was begun. */
static __u64 idle_ms(const struct answer *a, __u64 age_ms)
{
	__u64 sent = a->info.tcpi_last_data_sent, received = a->info.tcpi_last_data_recv;
	__u64 least = sent < received ? sent : received;

	return least < age_ms ? least : age_ms;
}

static int open_diag(int netns_fd)
{
	return netns_socket(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
}

/* ---- listing them ---- */

struct list {
	TABLE(struct sock_row) rows;
	__u64 now; /* ms */
};

static int add_row(void *arg, const void *key, const void *value)
{
	struct list *l = arg;
	struct sock_row *row = table_push(&l->rows);

	if (!row)
		return -ENOMEM;
	memcpy(&row->cookie, key, sizeof(row->cookie));
	memcpy(&row->conn, value, sizeof(row->conn));
	return 0;
}

static __u64 without(__u64 bytes, bool extra)
{
	__u64 count = 1 + (__u64)extra;

	return bytes > count ? bytes - count : 0;
}

/* TCP counts SYN, and FIN, as a byte each: of what is received, FIN alone. */
static void fill_in(struct sock_row *row, const struct answer *a, __u64 age_ms)
{
	bool fin_acked = a->state == BPF_TCP_FIN_WAIT2 || a->state == BPF_TCP_LAST_ACK ||
			 a->state == BPF_TCP_CLOSING;
	bool fin_received = a->state == BPF_TCP_CLOSE_WAIT || a->state == BPF_TCP_LAST_ACK ||
			    a->state == BPF_TCP_CLOSING;
	__u64 received = a->info.tcpi_bytes_received;

	row->state = a->state;
	row->sent = without(a->info.tcpi_bytes_acked, fin_acked);
	row->received = received > fin_received ? received - fin_received : 0;
	row->idle_ms = idle_ms(a, age_ms);
}

static __u64 age_ms(const struct list *l, const struct sock_row *row)
{
	__u64 created = row->conn.created / 1000000;

	return l->now > created ? l->now - created : 0;
}

static void ask_row(const struct list *l, int diag, struct sock_row *row)
{
	const struct sock_conn *c = &row->conn;
	struct tuple t = {
		.src = c->own, .dst = c->addr, .sport = c->own_port, .dport = c->port
	};
	struct answer a;

	if (c->seen && !ask(diag, &t, row->cookie, c->ifindex, &a))
		fill_in(row, &a, age_ms(l, row));
	else
		row->state = BPF_TCP_CLOSE;
}

/* Those of one namespace. */
static int ask_there(void *arg, __u64 netns, int netns_fd)
{
	_cleanup_close_ int diag = -1;
	struct list *l = arg;

	for (size_t i = 0; i < l->rows.count; i++) {
		if (l->rows.items[i].conn.netns != netns)
			continue;
		if (diag < 0)
			diag = open_diag(netns_fd);
		if (diag < 0)
			return 0;
		ask_row(l, diag, &l->rows.items[i]);
	}
	return 0;
}

static int walk(struct kernel *k, int (*each)(void *arg, const void *key, const void *value),
		void *arg)
{
	int r = map_walk(k->loader.map[MAP_SOCKS], sizeof(__u64), sizeof(struct sock_conn), each,
			 arg);

	return r < 0 ? log_err(r, "read the sockets") : r;
}

int sockets_each(struct kernel *k, int (*each)(void *arg, const struct sock_row *row), void *arg)
{
	struct list l = { .now = clock_ms() };
	int r = walk(k, add_row, &l);

	for (size_t i = 0; i < l.rows.count; i++)
		l.rows.items[i].idle_ms = age_ms(&l, &l.rows.items[i]);
	if (!r && l.rows.count)
		r = node_each_netns(k->node, ask_there, &l);
	for (size_t i = 0; !r && i < l.rows.count; i++)
		r = each(arg, &l.rows.items[i]);
	free(l.rows.items);
	return r;
}

static int count_one(void *arg, const void *key, const void *value)
{
	const struct sock_conn *s = value;

	(void)key;
	*(unsigned *)arg += s->reservation != 0;
	return 0;
}

int sockets_count(struct kernel *k, unsigned *out)
{
	*out = 0;
	return walk(k, count_one, out);
}

/* ---- ending connections ---- */

struct doomed {
	struct kernel *kernel;
	const struct sock_event *events;
	size_t count;
};

/* SOCK_DESTROY. One that has gone meanwhile, -ENOENT, is as good. */
static int destroy(int diag, const struct sock_event *e)
{
	struct nl_request q;
	int r;

	begin(&q, SOCK_DESTROY, NLM_F_ACK, &e->t, e->cookie, e->ifindex);
	r = nl_call(diag, &q, NULL, NULL);
	return r == -ENOENT ? 0 : r;
}

static void count_idle(struct kernel *k, const struct sock_event *e)
{
	struct end_args args = { .cookie = e->cookie };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));

	if (bpf_prog_test_run_opts(k->loader.prog[PROG_END_IDLE], &opts))
		log_err(-errno, "count a connection that is idle");
}

static bool must_end(struct kernel *k, int diag, const struct sock_event *e)
{
	struct answer a;

	if (!e->idle_ms)
		return true;
	if (ask(diag, &e->t, e->cookie, e->ifindex, &a) || a.state == BPF_TCP_SYN_SENT ||
	    idle_ms(&a, UINT64_MAX) <= e->idle_ms)
		return false;
	count_idle(k, e);
	return true;
}

static int end_there(void *arg, __u64 netns, int netns_fd)
{
	_cleanup_close_ int diag = -1;
	const struct doomed *d = arg;

	for (size_t i = 0; i < d->count; i++) {
		const struct sock_event *e = &d->events[i];
		int r;

		if (e->netns != netns)
			continue;
		if (diag < 0)
			diag = open_diag(netns_fd);
		if (diag < 0) {
			log_err(diag, "enter a pod's network namespace to end its connections");
			return 0;
		}
		r = must_end(d->kernel, diag, e) ? destroy(diag, e) : 0;
		if (r)
			log_err(r, "end a connection");
	}
	return 0;
}

void sockets_end(struct kernel *k, const struct sock_event *events, size_t count)
{
	struct doomed d = { k, events, count };

	if (count)
		node_each_netns(k->node, end_there, &d);
}
