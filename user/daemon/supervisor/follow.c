// SPDX-License-Identifier: Apache-2.0
/*
 * Having proxies tell of their requests.
 */
#include <errno.h>
#include <fcntl.h>

#include "daemon/supervisor/supervisor_priv.h"

enum { FOLLOW_MS = 2000 };

static void settle(struct supervisor *s)
{
	void (*done)(void *arg) = s->follow_done;

	if (--s->follow_waits || !done)
		return;
	s->follow_done = NULL;
	done(s->follow_arg);
}

static void answered(struct supervisor *s, struct order *o, const struct answer *a)
{
	const struct proxy_process *p = o->to ? &o->to->proxy : &s->proxy;

	/* An older one does not know the order, and one that has gone has nothing to tell. */
	if (a->error && a->error != -EOPNOTSUPP && a->error != -ECONNRESET && a->error != -EPIPE)
		log_err(a->error, "have weft-proxy (process %d) tell its requests", (int)p->pid);
	settle(s);
}

static void tell(struct supervisor *s, struct draining *to)
{
	int fd = s->follows ? fcntl(s->follow, F_DUPFD_CLOEXEC, 0) : -1;
	struct order *o = s->follows && fd < 0 ? NULL : order_new(PROXY_FOLLOW, fd, answered);

	s->follow_waits++;
	if (o) {
		o->to = to;
		order_give(s, o, FOLLOW_MS);
	} else {
		log_err(-ENOMEM, "have weft-proxy tell its requests");
		settle(s);
	}
}

void follow_give(struct supervisor *s)
{
	if (s->follows)
		tell(s, NULL);
}

void supervisor_follow(struct supervisor *s, int fd, void (*done)(void *arg), void *arg)
{
	s->follows = fd >= 0;
	s->follow = fd;
	s->follow_done = done;
	s->follow_arg = arg;
	s->follow_waits++;
	if (s->proxy.pidfd >= 0 && (s->can & PROXY_CAN_DRAIN))
		tell(s, NULL);
	for (struct draining *d = s->draining, *next; d; d = next) {
		next = d->next;
		tell(s, d);
	}
	settle(s);
}
