/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/sockets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "lib/base/addr.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/log.h"
#include "daemon/netlink/netlink.h"
#include "daemon/netlink/netns.h"

enum { ROWS = 64 }; /* of one read: the kernel's buffer is 8 pages */

/* A descriptor from which one run of the iterator is read. */
static int open_iterator(struct kernel *k, enum prog_id id)
{
	_cleanup_close_ int link = -1;
	union bpf_iter_link_info info = { .map.map_fd = (__u32)k->loader.map[MAP_SOCKS] };
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));
	int fd;

	link = bpf_link_create(k->loader.prog[id], 0, BPF_TRACE_ITER, &opts);
	if (link < 0)
		return -errno;
	fd = bpf_iter_create(link);
	return fd < 0 ? -errno : fd;
}

static int walk(struct kernel *k, enum prog_id id,
		int (*each)(void *arg, const struct sock_row *row), void *arg)
{
	_cleanup_close_ int fd = open_iterator(k, id);
	_cleanup_free_ struct sock_row *rows = calloc(ROWS, sizeof(*rows));
	size_t held = 0; /* bytes: a read may end within a row */
	ssize_t n = 1;
	int r = fd < 0 ? fd : rows ? 0 : -ENOMEM;

	while (!r && n) {
		size_t whole;

		n = read(fd, (char *)rows + held, ROWS * sizeof(*rows) - held);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			return log_err(-errno, "read the sockets");
		held += (size_t)n;
		whole = held / sizeof(*rows);
		for (size_t i = 0; !r && i < whole; i++)
			r = each(arg, &rows[i]);
		held -= whole * sizeof(*rows);
		memmove(rows, rows + whole, held);
	}
	return r < 0 ? log_err(r, "read the sockets") : r;
}

int sockets_each(struct kernel *k, int (*each)(void *arg, const struct sock_row *row), void *arg)
{
	return walk(k, PROG_LIST_SOCKS, each, arg);
}

/* ---- ending connections ---- */

struct doomed {
	struct sock_row *rows;
	size_t count, room;
};

static int add_doomed(void *arg, const struct sock_row *row)
{
	struct doomed *d = arg;

	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 16;
		struct sock_row *more = reallocarray(d->rows, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		d->rows = more;
		d->room = room;
	}
	d->rows[d->count++] = *row;
	return 0;
}

static void put_addr(__be32 *to, const struct addr *a)
{
	if (addr_is_v4(a))
		memcpy(to, a->b + 12, 4);
	else
		memcpy(to, a->b, 16);
}

/* sock_diag(7): SOCK_DESTROY. One that has gone meanwhile, -ENOENT, is as good. */
static int destroy(int diag, const struct sock_row *row)
{
	struct nl_request q;
	struct inet_diag_req_v2 *d = nl_begin(&q, SOCK_DESTROY, NLM_F_ACK, sizeof(*d));
	int r;

	d->sdiag_family = addr_is_v4(&row->t.dst) ? AF_INET : AF_INET6;
	d->sdiag_protocol = IPPROTO_TCP;
	d->idiag_states = ~0u;
	d->id.idiag_sport = htons(row->t.sport);
	d->id.idiag_dport = htons(row->t.dport);
	put_addr(d->id.idiag_src, &row->t.src);
	put_addr(d->id.idiag_dst, &row->t.dst);
	d->id.idiag_if = row->ifindex; /* or one that is bound would not be found */
	d->id.idiag_cookie[0] = (__u32)row->cookie;
	d->id.idiag_cookie[1] = (__u32)(row->cookie >> 32);
	r = nl_call(diag, &q, NULL, NULL);
	return r == -ENOENT ? 0 : r;
}

static bool is_there(const struct doomed *d, __u64 netns)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->rows[i].conn.netns == netns)
			return true;
	}
	return false;
}

/* Those of one namespace. What fails is tried again by the next sweep. */
static int destroy_there(void *arg, __u64 netns, int netns_fd)
{
	_cleanup_close_ int diag = -1;
	const struct doomed *d = arg;

	if (!is_there(d, netns))
		return 0;
	diag = netns_socket(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	if (diag < 0) {
		log_err(diag, "enter a pod's network namespace to end its connections");
		return 0;
	}
	for (size_t i = 0; i < d->count; i++) {
		int r = d->rows[i].conn.netns == netns ? destroy(diag, &d->rows[i]) : 0;

		if (r)
			log_err(r, "end a connection");
	}
	return 0;
}

int sockets_sweep(struct kernel *k)
{
	struct doomed d = {};
	int r = walk(k, PROG_SWEEP_SOCKS, add_doomed, &d);

	if (d.count)
		node_each_netns(k->node, destroy_there, &d);
	free(d.rows);
	return r;
}
