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
#include <sys/timerfd.h>
#include <unistd.h>

#include "kernel_priv.h"
#include "log.h"

enum { GRACE_MS = 100 }; /* less than a retransmission takes: the second try finds the answer */

int pod_leave(struct pods *p, const struct addr *a)
{
	struct itimerspec t = { .it_value.tv_nsec = GRACE_MS * 1000000L };

	if (timerfd_settime(p->leave_timer, 0, &t, NULL))
		return -errno;
	return addr_list_has(&p->leaving, a) ? 0 : addr_list_add(&p->leaving, a);
}

static bool has_come_back(struct kernel *k, const struct addr *a)
{
	const struct iface *i;
	__u32 ifindex;

	if (bpf_map_lookup_elem(k->loader.map[MAP_POD_ADDRS], a, &ifindex))
		return false;
	i = pods_find(&k->pods, (int)ifindex);
	return i && i->peer_up;
}

int pods_on_leave_timer(struct kernel *k)
{
	struct pods *p = &k->pods;
	uint64_t ticks;
	int r = 0;

	if (read(p->leave_timer, &ticks, sizeof(ticks)) < 0)
		return errno == EAGAIN ? 0 : log_err(-errno, "read a timer");
	for (size_t i = 0; !r && i < p->leaving.count; i++) {
		if (!has_come_back(k, &p->leaving.items[i]))
			r = addr_list_add(&p->gone, &p->leaving.items[i]);
	}
	addr_list_free(&p->leaving);
	if (r)
		log_err(r, "end the connections of a pod");
	return pods_sweep(k);
}

int pods_sweep(struct kernel *k)
{
	int r = sweep_gone(k, &k->pods.gone);

	k->pods.sweep_needed = false;
	addr_list_free(&k->pods.gone);
	return r;
}
