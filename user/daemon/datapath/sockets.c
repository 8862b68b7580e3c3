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

/* A socket, as it is asked for, and what it says of itself. */
struct sock_query {
	struct inet_diag_sockid id; /* as sock_diag has it: the answer's, once there is one */
	__u8 family;
	__u32 state;
	struct tcp_info info;
};

static void put_addr(__be32 *to, const struct addr *a)
{
	if (addr_is_v4(a))
		memcpy(to, a->b + 12, 4);
	else
		memcpy(to, a->b, 16);
}

static struct sock_query query_of(const struct tuple *t, __u64 cookie, __u32 ifindex)
{
	struct sock_query q = { .family = addr_is_v4(&t->dst) ? AF_INET : AF_INET6,
				.id = { .idiag_sport = htons(t->sport),
					.idiag_dport = htons(t->dport),
					.idiag_if = ifindex,
					.idiag_cookie = { (__u32)cookie,
							  (__u32)(cookie >> 32) } } };

	put_addr(q.id.idiag_src, &t->src);
	put_addr(q.id.idiag_dst, &t->dst);
	return q;
}

static struct inet_diag_req_v2 *begin(struct nl_request *r, int type, int flags,
				      const struct sock_query *q)
{
	struct inet_diag_req_v2 *d = nl_begin(r, type, flags, sizeof(*d));

	d->sdiag_family = q->family;
	d->sdiag_protocol = IPPROTO_TCP;
	d->idiag_states = ~0u;
	d->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	d->id = q->id;
	return d;
}

static int take_answer(void *arg, const struct nlmsghdr *h)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct sock_query *q = arg;
	const struct rtattr *info;
	struct nl_attrs a;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    memcmp(m->id.idiag_cookie, q->id.idiag_cookie, sizeof(m->id.idiag_cookie)) != 0)
		return 0;
	q->state = m->idiag_state;
	q->family = m->idiag_family;
	q->id = m->id;
	nl_parse(h, sizeof(*m), &a);
	info = a.at[INET_DIAG_INFO];
	if (info)
		memcpy(&q->info, RTA_DATA(info),
		       RTA_PAYLOAD(info) < sizeof(q->info) ? RTA_PAYLOAD(info) : sizeof(q->info));
	return 0;
}

static int list_port(int diag, struct sock_query *q, __u8 family)
{
	struct nl_request r;
	struct inet_diag_req_v2 *d = begin(&r, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, q);
	int result;

	d->sdiag_family = family;
	d->id = (struct inet_diag_sockid){ .idiag_sport = q->id.idiag_sport };
	result = nl_call(diag, &r, take_answer, q);
	/* the kernel has no tcp_diag: that says nothing of the socket */
	return result == -ENOENT ? -EPROTONOSUPPORT : result;
}

/* Among those of its port, which are few. One of IPv6 may well speak IPv4. */
static int look_for(int diag, struct sock_query *q)
{
	int r = list_port(diag, q, AF_INET);

	if (!r && !q->state)
		r = list_port(diag, q, AF_INET6);
	return r ? r : q->state ? 0 : -ENOENT;
}

/* One that has been bound to an interface since, or was sent elsewhere by others' programs, is not
 * found as it is known. -ENOENT: it is closed, or has gone. */
static int ask(int diag, struct sock_query *q)
{
	struct nl_request r;
	int result;

	begin(&r, SOCK_DIAG_BY_FAMILY, 0, q);
	result = nl_call(diag, &r, take_answer, q);
	if (!result && !q->state)
		result = -ENOENT;
	return result == -ENOENT ? look_for(diag, q) : result;
}

/* Since data was last sent or received. */
static __u64 idle_ms(const struct sock_query *q)
{
	__u64 sent = q->info.tcpi_last_data_sent, received = q->info.tcpi_last_data_recv;

	return sent < received ? sent : received;
}

static int open_diag(int netns_fd)
{
	return netns_socket(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
}

/* ---- listing them ---- */

struct list {
	TABLE(struct sock_row) rows;
	size_t asked;
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

static __u64 without(__u64 bytes, __u32 extra)
{
	return bytes > extra ? bytes - extra : 0;
}

/* TCP counts SYN, and FIN, as a byte each: of what is received, FIN alone. */
static void fill_in(struct sock_row *row, const struct sock_query *q)
{
	bool fin_acked = q->state == BPF_TCP_FIN_WAIT2 || q->state == BPF_TCP_LAST_ACK ||
			 q->state == BPF_TCP_CLOSING;
	bool fin_received = q->state == BPF_TCP_CLOSE_WAIT || q->state == BPF_TCP_LAST_ACK ||
			    q->state == BPF_TCP_CLOSING;
	__u64 received = q->info.tcpi_bytes_received, idle = idle_ms(q);

	row->state = q->state;
	row->sent = without(q->info.tcpi_bytes_acked, 1u + fin_acked);
	row->received = without(received, fin_received);
	row->idle_ms = idle < row->idle_ms ? idle : row->idle_ms;
}

/* Without a place it has ended, or never begun. */
static void ask_row(int diag, struct sock_row *row)
{
	const struct sock_conn *c = &row->conn;
	struct tuple t = { .src = c->own, .dst = c->addr, .sport = c->own_port, .dport = c->port };
	struct sock_query q = query_of(&t, row->cookie, c->ifindex);
	int r = c->seen && c->reservation ? ask(diag, &q) : -ENOENT;

	if (!r)
		fill_in(row, &q);
	else if (r == -ENOENT)
		row->state = BPF_TCP_CLOSE;
}

/* Those of one namespace. 1 once there are no others. */
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
		ask_row(diag, &l->rows.items[i]);
		l->asked++;
	}
	return l->asked == l->rows.count;
}

static int walk(struct kernel *k, int (*each)(void *arg, const void *key, const void *value),
		void *arg)
{
	int r = map_walk(k->loader.map[MAP_SOCKS], sizeof(__u64), sizeof(struct sock_conn), each,
			 arg);

	return r < 0 ? log_err(r, "read the sockets") : r;
}

static void begin_idle(struct sock_row *row, __u64 now)
{
	__u64 created = row->conn.created / 1000000;

	row->idle_ms = now > created ? now - created : 0;
}

int sockets_each(struct kernel *k, int (*each)(void *arg, const struct sock_row *row), void *arg)
{
	__u64 now = clock_ms();
	struct list l = { 0 };
	int r = walk(k, add_row, &l);

	for (size_t i = 0; i < l.rows.count; i++)
		begin_idle(&l.rows.items[i], now);
	if (!r && l.rows.count)
		r = node_each_netns(k->node, ask_there, &l);
	r = r < 0 ? r : 0;
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

bool sockets_any(const struct kernel *k)
{
	_cleanup_free_ __u64 *counts = calloc((size_t)k->cpus, sizeof(*counts));
	__u32 zero = 0;
	__u64 sum = 0;

	if (!counts || bpf_map_lookup_elem(k->loader.map[MAP_SOCK_COUNT], &zero, counts))
		return true;
	for (int i = 0; i < k->cpus; i++)
		sum += counts[i];
	return sum;
}

/* ---- ending connections ---- */

struct doomed {
	struct kernel *kernel;
	const struct sock_event *events;
	size_t count, done;
};

static void note(struct kernel *k, const struct sock_event *e, enum sock_news news, __u64 active)
{
	struct sock_note note = { .cookie = e->cookie, .news = news, .active = active };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &note, .ctx_size_in = sizeof(note));

	if (bpf_prog_test_run_opts(k->loader.prog[PROG_SOCK_NOTE], &opts))
		log_err(-errno, "write down what became of a connection");
}

/* Whether it must be ended. */
static bool is_idle(struct kernel *k, const struct sock_event *e, const struct sock_query *q)
{
	__u64 idle = idle_ms(q), now = clock_ns();

	if (q->state == BPF_TCP_SYN_SENT)
		return false;
	if (idle > e->idle_ms) {
		note(k, e, SOCK_IDLE, 0);
		return true;
	}
	note(k, e, SOCK_ACTIVE, now > idle * 1000000 ? now - idle * 1000000 : 0);
	return false;
}

static int destroy(int diag, const struct sock_query *q)
{
	struct nl_request r;
	int result;

	begin(&r, SOCK_DESTROY, NLM_F_ACK, q);
	result = nl_call(diag, &r, NULL, NULL);
	return result == -ENOENT ? 0 : result; /* it has gone meanwhile */
}

static void end_one(struct kernel *k, int diag, const struct sock_event *e)
{
	struct sock_query q = query_of(&e->t, e->cookie, e->ifindex);
	int r = ask(diag, &q);

	if (r == -ENOENT)
		note(k, e, SOCK_GONE, 0);
	else if (!r && (!e->idle_ms || is_idle(k, e, &q)))
		r = destroy(diag, &q);
	if (r && r != -ENOENT)
		log_err(r, "end a connection");
}

/* 1 once there are no others. */
static int end_there(void *arg, __u64 netns, int netns_fd)
{
	_cleanup_close_ int diag = -1;
	struct doomed *d = arg;

	for (size_t i = 0; i < d->count; i++) {
		if (d->events[i].netns != netns)
			continue;
		if (diag < 0)
			diag = open_diag(netns_fd);
		if (diag < 0) {
			log_err(diag, "enter a pod's network namespace to end its connections");
			return 0;
		}
		end_one(d->kernel, diag, &d->events[i]);
		d->done++;
	}
	return d->done == d->count;
}

void sockets_end(struct kernel *k, const struct sock_event *events, size_t count)
{
	struct doomed d = { .kernel = k, .events = events, .count = count };

	if (count)
		node_each_netns(k->node, end_there, &d);
}
