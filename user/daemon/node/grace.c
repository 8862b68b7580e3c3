/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that pods lose. A namespace outlives its last process as long as a socket still waits
 * for an answer, so that a pod may be dead while its veth is there: what tells is that the
 * interface is down, or has lost the address. Either may be for a moment only, which a TCP
 * connection survives.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/node/node_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { GRACE_MS = 100 }; /* less than a retransmission takes: the second try finds the answer */

/* For the first that is due: addresses that come later don't delay it. */
static int arm(const struct pods *p)
{
	uint64_t due = p->leaving.items[0].due_ms;
	struct itimerspec t = { .it_value = { due / 1000, due % 1000 * 1000000L } };

	return timerfd_settime(p->leave_timer.fd, TFD_TIMER_ABSTIME, &t, NULL) ? -errno : 0;
}

static bool is_leaving(const struct pods *p, const struct addr *a)
{
	for (size_t i = 0; i < p->leaving.count; i++) {
		if (addr_equal(&p->leaving.items[i].addr, a))
			return true;
	}
	return false;
}

int pod_leave(struct pods *p, const struct addr *a)
{
	if (is_leaving(p, a))
		return 0;
	if (p->leaving.count == p->leaving.room) {
		size_t room = p->leaving.room ? 2 * p->leaving.room : 16;
		struct departure *more = reallocarray(p->leaving.items, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->leaving.items = more;
		p->leaving.room = room;
	}
	p->leaving.items[p->leaving.count++] = (struct departure){ *a, clock_ms() + GRACE_MS };
	return p->leaving.count == 1 ? arm(p) : 0;
}

static bool has_come_back(struct local_node *node, const struct addr *a)
{
	const struct iface *i;
	__u32 ifindex;

	if (bpf_map_lookup_elem(node->loader->map[MAP_POD_ADDRS], a, &ifindex))
		return false;
	i = iface_find(node->pods.ifaces, (int)ifindex);
	return i && i->peer_up;
}

/* The addresses whose grace period is over; returns how many, or -ENOMEM. */
static int take_due(struct local_node *node)
{
	struct pods *p = &node->pods;
	uint64_t now = clock_ms();
	size_t n = 0;
	int r = 0;

	for (; !r && n < p->leaving.count && p->leaving.items[n].due_ms <= now; n++) {
		if (!has_come_back(node, &p->leaving.items[n].addr))
			r = addr_list_add(&p->gone, &p->leaving.items[n].addr);
	}
	if (r)
		return r;
	p->leaving.count -= n;
	memmove(p->leaving.items, p->leaving.items + n,
		p->leaving.count * sizeof(*p->leaving.items));
	return (int)n;
}

void pods_take_leavers(struct local_node *node)
{
	struct pods *p = &node->pods;
	int n = take_due(node), r = 0;

	if (p->leaving.count)
		r = arm(p);
	if (n < 0 || r)
		log_err(n < 0 ? n : r, "end the connections of a pod");
	p->sweep_needed |= p->gone.count > 0;
}

int pods_sweep(struct local_node *node)
{
	int r = node->gone(node->arg, &node->pods.gone);

	if (r)
		return r;
	node->pods.sweep_needed = false;
	addr_list_free(&node->pods.gone);
	return 0;
}
