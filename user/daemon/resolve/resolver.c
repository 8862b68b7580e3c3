// SPDX-License-Identifier: Apache-2.0
#include "daemon/resolve/resolver.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "daemon/resolve/resolver_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define RESOLV_CONF "/etc/resolv.conf"

enum {
	LOOK_MS = 2000,	 /* until resolv.conf is looked at again */
	OPEN_MS = 60000, /* until what could not be opened is tried again */
};

/* ---- an answer ---- */

static int half_set(struct half *h, const struct addr *addrs, size_t count)
{
	struct addr *copy = malloc((count + 1) * sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, addrs, count * sizeof(*copy));
	free(h->addrs);
	*h = (struct half){ copy, count };
	return 0;
}

/* Whether an endpoint may have it, as Kubernetes has that: weft-proxy calls from the node, where it
 * would come to what is none of its clients' business. */
static bool may_be_endpoint(const struct addr *a, enum family family)
{
	static const struct cidr special[] = {
		{ .addr = { { 0 } }, .prefix = 127 }, /* :: and ::1 */
		{ .addr = { { 0xfe, 0x80 } }, .prefix = 10 },
		{ .addr = { { 0xff } }, .prefix = 8 },
		{ .addr = { { [10] = 0xff, 0xff, 0 } }, .prefix = 104 },
		{ .addr = { { [10] = 0xff, 0xff, 127 } }, .prefix = 104 },
		{ .addr = { { [10] = 0xff, 0xff, 169, 254 } }, .prefix = 112 },
		{ .addr = { { [10] = 0xff, 0xff, 224 } }, .prefix = 99 }, /* and 240.0.0.0/4 */
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++)
		if (cidr_holds(&special[i], a))
			return false;
	return addr_family(a) == family;
}

/* As getaddrinfo() does it: whether the node has a route there. Nothing is sent. */
static bool has_route(const struct addr *a)
{
	bool v4 = addr_is_v4(a);
	_cleanup_close_ int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(53) };

	memcpy(&to6.sin6_addr, a->b, 16);
	memcpy(&to4.sin_addr, a->b + 12, 4);
	return fd >= 0 && !connect(fd, v4 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6,
				   v4 ? sizeof(to4) : sizeof(to6));
}

/* Takes out of an answer what is of no use. */
static void sift(struct asked *q)
{
	const struct resolver_options *o = &q->name->resolver->o;
	struct half *h = &q->fresh;
	size_t count = h->count, fit = 0;

	h->count = 0;
	for (size_t i = 0; i < count; i++) {
		if (!may_be_endpoint(&h->addrs[i], q->family))
			continue;
		fit++;
		if ((o->reaches ? o->reaches : has_route)(&h->addrs[i]))
			h->addrs[h->count++] = h->addrs[i];
	}
	q->unreachable = fit && !h->count;
	if (!count || h->count)
		return;
	q->status = DNS_FAILED;
	q->why = fit ? "the node has no route to its addresses"
		     : "its addresses are none that an endpoint may have";
}

/* Keeps an answer until both are there. */
static void take_asked(struct asked *q, const struct dns_answer *a)
{
	q->status = a->status;
	q->why = a->why;
	q->ttl_s = a->ttl_s;
	if (!half_set(&q->fresh, a->addrs, a->status == DNS_ANSWERED ? a->count : 0)) {
		sift(q);
		return;
	}
	q->unreachable = false;
	q->status = DNS_FAILED;
	q->why = "out of memory";
}

static void answered(void *asked, const struct dns_answer *a)
{
	struct asked *q = asked;
	struct name *n = q->name;
	struct resolver *r = n->resolver;

	take_asked(q, a);
	if (--n->open)
		return;
	r->open--;
	if (n->forgotten)
		resolver_name_free(n);
	else if (!r->closing)
		resolver_settle(n);
	if (!r->closing && !r->asking)
		resolver_ask_due(r);
}

/* ---- asking ---- */

static void ask(struct resolver *r, struct name *n)
{
	n->open = FAMILY_MAX;
	r->open++;
	r->counters.attempts++;
	dns_ask(r->dns, n->text, FAMILY_V4, answered, &n->asked[FAMILY_V4]);
	dns_ask(r->dns, n->text, FAMILY_V6, answered, &n->asked[FAMILY_V6]);
}

static bool is_due(const struct name *n, uint64_t now)
{
	return !n->open && n->due <= now;
}

/* Until the next one is due; -1: no name waits. */
static int64_t until_next(const struct resolver *r, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < r->count; i++)
		if (!r->names[i]->open && r->names[i]->due < next)
			next = r->names[i]->due;
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int64_t)(next - now);
}

/* As many as may be asked for at a time; the end of each question comes back here. An answer that
 * comes at once doesn't. */
void resolver_ask_due(void *resolver)
{
	struct resolver *r = resolver;
	uint64_t now = clock_ms();
	size_t looked = 0;
	int64_t wait;

	if (!r->dns || r->asking)
		return;
	r->asking = true;
	for (; looked < r->count && r->open < RESOLVER_ASKED_MAX; looked++) {
		struct name *n = r->names[r->cursor++ % r->count];

		if (is_due(n, now))
			ask(r, n);
	}
	r->asking = false;
	if (r->open >= RESOLVER_ASKED_MAX)
		return;
	wait = until_next(r, now);
	if (wait >= 0)
		event_timer_set(&r->due_timer, (unsigned)wait + 1);
	else
		event_timer_stop(&r->due_timer);
}

/* ---- resolv.conf ---- */

static const char *resolv_conf(const struct resolver *r)
{
	return r->o.resolv_conf ? r->o.resolv_conf : RESOLV_CONF;
}

static struct file_mark mark_of(const char *path)
{
	struct file_mark m = { 0 };
	struct stat st;

	if (!stat(path, &st))
		m = (struct file_mark){ st.st_mtim, st.st_ino, st.st_size };
	return m;
}

static bool mark_same(const struct file_mark *a, const struct file_mark *b)
{
	return a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Names that were asked for are asked for again. */
static int open_dns(struct resolver *r)
{
	struct file_mark mark = mark_of(resolv_conf(r));
	struct dns *fresh = NULL, *old = r->dns;
	int error = dns_open(r->o.loop, r->o.server, r->o.resolv_conf, &fresh);

	if (error)
		return error;
	r->mark = mark;
	r->dns = NULL;
	dns_close(old);
	r->dns = fresh;
	return 0;
}

/* Servers that others are now may know what the ones before did not. */
static void ask_anew(struct resolver *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->names[i]->failures)
			r->names[i]->due = clock_ms();
	resolver_ask_due(r);
}

static void tell_unasked(struct resolver *r)
{
	for (size_t i = 0; i < r->count; i++) {
		r->names[i]->failures++;
		r->names[i]->error = "nothing can be asked: see weftd's log";
	}
}

/* Also whether it can be opened by now. */
void resolver_look(void *resolver)
{
	struct resolver *r = resolver;
	struct file_mark now = mark_of(resolv_conf(r));
	bool fails = false;

	r->looks = r->count;
	if (!r->looks)
		return; /* until there is a name again */
	if (!r->dns || (!r->o.server && !mark_same(&now, &r->mark))) {
		fails = open_dns(r) != 0;
		if (!fails)
			ask_anew(r);
		else if (!r->dns)
			tell_unasked(r);
	}
	event_timer_set(&r->look_timer, fails ? OPEN_MS : LOOK_MS);
}

/* ---- the start and the end ---- */

static int take_stored(void *resolver, const struct resolved_name *row, int64_t answered_at)
{
	struct resolver *r = resolver;
	_cleanup_(resolver_name_freep) struct name *n = resolver_name_new(r, row->name);
	struct name **more = reallocarray(r->names, r->count + 1, sizeof(*more));

	if (more)
		r->names = more;
	if (!n || !more)
		return -ENOMEM;
	/* In the order of the file, which is that of the list: anything else is none of ours. */
	if (r->count && strcmp(r->names[r->count - 1]->text, n->text) >= 0)
		return 0;
	n->answered = answered_at;
	for (size_t i = 0; i < row->count; i++) {
		struct half *h = &n->halves[addr_family(&row->addrs[i])];
		struct addr *addrs = reallocarray(h->addrs, h->count + 1, sizeof(*addrs));

		if (!addrs)
			return -ENOMEM;
		h->addrs = addrs;
		h->addrs[h->count++] = row->addrs[i];
	}
	r->names[r->count++] = TAKE_PTR(n);
	return 0;
}

static int open_timers(struct resolver *r)
{
	int error = event_timer_open(r->o.loop, &r->due_timer, resolver_ask_due, r);

	if (!error)
		error = event_timer_open(r->o.loop, &r->store_timer, resolver_store, r);
	return error ? error : event_timer_open(r->o.loop, &r->look_timer, resolver_look, r);
}

int resolver_open(const struct resolver_options *options, struct resolver **out)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int error = r ? 0 : -ENOMEM;

	if (error)
		return log_err(error, "get ready to ask DNS");
	r->o = *options;
	error = open_timers(r);
	if (error) {
		resolver_close(r);
		return log_err(error, "get ready to ask DNS");
	}
	error = answers_load(r->o.state_dir, take_stored, r);
	if (error)
		log_err(error, "read what DNS has answered, in %s", r->o.state_dir);
	*out = r;
	return 0;
}

void resolver_close(struct resolver *r)
{
	if (!r)
		return;
	r->closing = true;
	if (r->dirty)
		resolver_store(r);
	dns_close(r->dns);
	for (size_t i = 0; i < r->count; i++)
		resolver_name_free(r->names[i]);
	free(r->names);
	event_timer_close(&r->due_timer);
	event_timer_close(&r->store_timer);
	event_timer_close(&r->look_timer);
	free(r);
}

void resolver_watch(struct resolver *r, void (*changed)(void *arg), void *arg)
{
	r->changed = changed;
	r->arg = arg;
}

void resolver_count(const struct resolver *r, struct resolver_counters *out)
{
	*out = r->counters;
}

size_t resolver_names(const struct resolver *r)
{
	return r->count;
}

void resolver_servers(const struct resolver *r, char *out, size_t size)
{
	char text[DNS_SERVERS_MAX] = "";

	if (r->dns)
		dns_servers(r->dns, text);
	snprintf(out, size, "%s", text);
}
