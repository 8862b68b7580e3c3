// SPDX-License-Identifier: Apache-2.0
/*
 * Orders and their answers. Nothing here waits: an answer, or its timeout, is a callback.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/supervisor/listeners.h"
#include "daemon/supervisor/proxy_link.h"
#include "daemon/supervisor/proxy_words.h"
#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/table.h"
#include "lib/route/pack.h"
#include "lib/route/patch.h"

enum {
	REQUESTS_MS = 3000,
	PLAIN_MS = 30000,
	SNAPSHOT_MS = 8000, /* the proxy itself gives up earlier */
	READ_AT_ONCE = 64,
	UNASKED_MAX = 16, /* answers in a row that nothing was asked for */
	SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
};

struct order *order_new(enum proxy_order_type type, int fd,
			void (*answered)(struct supervisor *s, struct order *o,
					 const struct answer *a))
{
	struct order *o = calloc(1, sizeof(*o));

	if (!o) {
		closep(&fd);
		return NULL;
	}
	o->order.type = type;
	o->fd = fd;
	o->answered = answered;
	return o;
}

static void order_free(struct order *o)
{
	closep(&o->fd);
	http_snapshot_close(o->snapshot);
	free(o);
}

/* It is in no list any more. */
static void end(struct supervisor *s, struct order *o, const struct answer *a)
{
	o->answered(s, o, a);
	order_free(o);
}

/* For the first that is due. It stays set for one that has been answered, and finds nothing then:
 * most are answered at once. */
static void arm(struct supervisor *s)
{
	uint64_t now = clock_ms(), due = UINT64_MAX;

	for (const struct order *o = s->orders; o; o = o->next)
		due = o->due_ms < due ? o->due_ms : due;
	if (s->orders)
		event_timer_set_sooner(&s->order_timer, due > now ? (unsigned)(due - now) : 0);
}

void order_expect(struct supervisor *s, struct order *o, unsigned limit_ms)
{
	struct order **at = &s->orders;

	while (*at)
		at = &(*at)->next;
	*at = o;
	o->next = NULL;
	o->order.sequence = o->to ? o->to->proxy.sequence : s->proxy.sequence;
	o->due_ms = clock_ms() + limit_ms;
	o->tries++;
	arm(s);
}

static bool has_gone(int r)
{
	return r == -ECONNRESET || r == -EPIPE;
}

void order_give(struct supervisor *s, struct order *o, unsigned limit_ms)
{
	struct proxy_process *to = o->to ? &o->to->proxy : &s->proxy;
	int r = o->bytes ? proxy_process_patch(to, o->order, o->bytes, o->size)
			 : proxy_process_order(to, o->order, o->fd);

	/* That it has gone is told in a moment, and then it is known whether there is another. */
	if (!r || has_gone(r))
		order_expect(s, o, limit_ms);
	else
		end(s, o, &(struct answer){ .error = r });
}

static struct order *take(struct supervisor *s, struct order *o)
{
	struct order **at = &s->orders;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	arm(s);
	return o;
}

static struct order *find(struct supervisor *s, const struct draining *from, uint32_t sequence)
{
	struct order *o = s->orders;

	while (o && (o->to != from || o->order.sequence != sequence))
		o = o->next;
	return o;
}

static int silence(struct supervisor *s)
{
	log_warning("weft-proxy (process %d) says what it was not asked for: it is killed",
		    (int)s->proxy.pid);
	proxy_process_kill(&s->proxy);
	return -ECONNRESET;
}

int orders_read(struct supervisor *s)
{
	for (int n = 0; n < READ_AT_ONCE; n++) {
		struct proxy_hello reply = { 0 };
		int fds[PROXY_MAX_WORKERS];
		struct answer a = { .hello = &reply, .fds = fds };
		int r = proxy_link_receive(s->proxy.conn, 0, &reply, sizeof(reply), fds,
					   &a.fd_count);
		struct order *o = r ? NULL : find(s, NULL, reply.reply.sequence);

		if (!o || o->order.type != PROXY_HELLO)
			listeners_close(a.fd_count, fds);
		if (r)
			return r == -ETIMEDOUT ? 0 : -ECONNRESET;
		a.error = proxy_reply_error(&reply.reply);
		if (!o && s->unasked++ >= UNASKED_MAX)
			return silence(s);
		if (o) {
			s->unasked = 0;
			end(s, take(s, o), &a);
		} else if (reply.reply.type == PROXY_SNAPSHOT && a.error) {
			log_err(a.error,
				"a new weft-proxy refuses the rules that the last one had");
		}
	}
	return 0;
}

static bool is_snapshot(const struct order *o)
{
	return o->order.type == PROXY_SNAPSHOT || o->order.type == PROXY_PATCH;
}

/* A proxy may have died of anything: a snapshot is taken for the cause only once two have died. The
 * next one has been given what is in force, which a patch builds on. */
static bool must_repeat(const struct order *o)
{
	return is_snapshot(o) && o->tries < 2;
}

bool orders_must_repeat(const struct supervisor *s)
{
	const struct order *o = s->orders;

	while (o && !must_repeat(o))
		o = o->next;
	return o;
}

bool orders_have_snapshot(const struct supervisor *s)
{
	const struct order *o = s->orders;

	while (o && !is_snapshot(o))
		o = o->next;
	return o;
}

/* Takes out those that this proxy is to answer, in their order. */
static struct order *take_all(struct supervisor *s, const struct draining *from)
{
	struct order *all = NULL, **last = &all, **at = &s->orders;

	while (*at) {
		if ((*at)->to != from) {
			at = &(*at)->next;
			continue;
		}
		*last = *at;
		*at = (*at)->next;
		last = &(*last)->next;
		*last = NULL;
	}
	arm(s);
	return all;
}

void orders_died(struct supervisor *s)
{
	struct order *all = take_all(s, NULL), *o;

	while ((o = all)) {
		all = o->next;
		if (must_repeat(o) && s->proxy.pidfd >= 0)
			order_give(s, o, SNAPSHOT_MS);
		else
			end(s, o, &(struct answer){ .error = -ECONNRESET });
	}
}

static struct order *overdue(struct supervisor *s)
{
	uint64_t now = clock_ms();
	struct order *o = s->orders;

	while (o && o->due_ms > now)
		o = o->next;
	return o;
}

void orders_overdue(void *supervisor)
{
	struct supervisor *s = supervisor;
	struct order *o;

	while ((o = overdue(s))) {
		if (is_snapshot(o)) /* the next one will have the rules in force */
			proxy_process_kill(&s->proxy);
		end(s, take(s, o), &(struct answer){ .error = -ETIMEDOUT });
	}
	arm(s);
}

void orders_drain_answered(struct draining *d, const struct proxy_reply *reply)
{
	struct order *o = find(d->s, d, reply->sequence);

	if (o)
		end(d->s, take(d->s, o), &(struct answer){ .error = proxy_reply_error(reply) });
}

void orders_drain_over(struct draining *d)
{
	struct order *all = take_all(d->s, d), *o;

	while ((o = all)) {
		all = o->next;
		end(d->s, o, &(struct answer){ .error = -ECONNRESET });
	}
}

void orders_free(struct supervisor *s)
{
	supervisor_cancel_requests(s);
	while (s->orders) {
		struct order *o = s->orders;

		s->orders = o->next;
		order_free(o);
	}
}

/* ---- snapshots ---- */

#define SNAPSHOT_FILE "weft-snapshot"

/* Sealed against changes: the proxy maps the file and checks it only once. A descriptor or -errno.
 */
static int sealed_file(const char *name, const void *bytes, size_t size)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : bytes_write(fd, bytes, size);

	if (!r && fcntl(fd, F_ADD_SEALS, SEALS))
		r = -errno;
	return r ? r : TAKE_FD(fd);
}

/* All of it. Likewise. */
static int snapshot_file(const struct http_snapshot *snapshot)
{
	_cleanup_free_ void *bytes = NULL;
	size_t size;
	int r;

	if (!snapshot->changes)
		return sealed_file(SNAPSHOT_FILE, snapshot->header, snapshot->header->size);
	r = http_snapshot_pack(snapshot, &bytes, &size);
	return r ? r : sealed_file(SNAPSHOT_FILE, bytes, size);
}

/* What makes it of the snapshot that the proxy has; NULL: it is to be handed over as a whole. */
static const void *patch_of(const struct supervisor *s, const struct http_snapshot *snapshot,
			    size_t *size)
{
	if (!s->snapshot || s->cannot_patch || s->unsure ||
	    http_patches_too_many(s->snapshot, s->patches, s->patched))
		return NULL;
	return http_snapshot_patch(snapshot, s->snapshot, size);
}

static int not_handed_over(int r, uint64_t generation)
{
	return log_err(r, "hand the rules of generation %llu over to weft-proxy",
		       (unsigned long long)generation);
}

static void take_for_in_force(struct supervisor *s, struct http_snapshot *snapshot)
{
	http_snapshot_ref(snapshot);
	http_snapshot_close(s->snapshot);
	s->snapshot = snapshot;
}

static void note_answer(struct supervisor *s, const struct order *o)
{
	bool patch = o->order.type == PROXY_PATCH;

	s->patches = patch ? s->patches + 1 : 0;
	s->patched = patch ? s->patched + o->size : 0;
	s->unsure = false;
	s->state = o->order.snapshot.state;
	take_for_in_force(s, o->snapshot);
	if (!s->succeeds)
		drain_all(s);
}

static void snapshot_answered(struct supervisor *s, struct order *o, const struct answer *a);

/* A patch, or all of it. NULL with *r set. */
static struct order *snapshot_order(struct supervisor *s, struct http_snapshot *snapshot, int *r)
{
	size_t size = 0;
	const void *patch = patch_of(s, snapshot, &size);
	bool behind = patch && size <= PROXY_ORDER_BYTES && (s->can & PROXY_CAN_READ);
	int file = behind  ? -1
		   : patch ? sealed_file(SNAPSHOT_FILE, patch, size)
			   : snapshot_file(snapshot);
	struct order *o = file < 0 && !behind ? NULL
					      : order_new(patch ? PROXY_PATCH : PROXY_SNAPSHOT,
							  file, snapshot_answered);

	*r = file < 0 && !behind ? file : -ENOMEM;
	if (!o)
		return NULL;
	if (!++s->last_state)
		s->last_state = 1; /* 0 is none */
	o->order.snapshot.state = s->last_state;
	o->order.snapshot.before = patch ? s->state : 0;
	o->snapshot = http_snapshot_ref(snapshot);
	o->bytes = behind ? patch : NULL;
	o->size = size;
	return o;
}

/* The proxy runs, but has not carried the patch out: it may not know how to, or have something
 * else. */
static bool wants_all(const struct order *o, int error)
{
	return o->order.type == PROXY_PATCH && !has_gone(error) && error != -ETIMEDOUT;
}

static void snapshot_answered(struct supervisor *s, struct order *o, const struct answer *a)
{
	s->unsure |= a->error != 0;
	s->cannot_patch |= o->order.type == PROXY_PATCH && a->error == -EOPNOTSUPP;
	/* It may be an older one than weftd, or the socket has no room for it: another comes as a
	 * file. */
	if (o->bytes && a->error)
		s->can &= ~(uint32_t)PROXY_CAN_READ;
	if (a->error && wants_all(o, a->error)) {
		if (a->error != -EOPNOTSUPP)
			log_warning("weft-proxy (process %d) does not take a change of endpoints, "
				    "and is given all rules: %s",
				    (int)s->proxy.pid, strerror(-a->error));
		supervisor_snapshot(s, o->generation, o->snapshot, o->done, o->arg);
		return;
	}
	if (a->error)
		not_handed_over(a->error, o->generation);
	else
		note_answer(s, o);
	o->done(o->arg, a->error);
}

void supervisor_snapshot(struct supervisor *s, uint64_t generation, struct http_snapshot *snapshot,
			 void (*done)(void *arg, int r), void *arg)
{
	int r;
	struct order *o = snapshot_order(s, snapshot, &r);

	if (!o) {
		done(arg, not_handed_over(r, generation));
		return;
	}
	o->generation = generation;
	o->done = done;
	o->arg = arg;
	r = supervisor_ensure(s);
	if (r)
		end(s, o, &(struct answer){ .error = r });
	else
		order_give(s, o, SNAPSHOT_MS);
}

int orders_restore(struct supervisor *s)
{
	const struct proxy_order order = { .type = PROXY_SNAPSHOT,
					   .snapshot = { .state = s->state } };
	_cleanup_close_ int file = snapshot_file(s->snapshot);

	if (file < 0)
		return log_err(file, "hand the rules in force over to weft-proxy");
	s->patches = s->patched = 0;
	s->unsure = false;
	(void)proxy_process_order(&s->proxy, order,
				  file); /* that it has gone is told in a moment */
	return 0;
}

bool supervisor_has_snapshot(struct supervisor *s, struct http_snapshot *snapshot)
{
	if (!s->snapshot || !http_snapshot_same(s->snapshot, snapshot))
		return false;
	take_for_in_force(s, snapshot);
	return true;
}

struct http_snapshot *supervisor_in_force(const struct supervisor *s)
{
	return s->snapshot;
}

/* ---- orders of which nothing depends ---- */

static void plain_answered(struct supervisor *s, struct order *o, const struct answer *a)
{
	/* One that has gone is replaced, and told anew; an older one tells no spans. */
	if (!a->error || has_gone(a->error) ||
	    (o->order.type == PROXY_TRACE && a->error == -EOPNOTSUPP))
		return;
	s->credentials_refused |= o->order.type == PROXY_CREDENTIALS;
	log_err(a->error, "have weft-proxy (process %d) %s", (int)s->proxy.pid,
		o->order.type == PROXY_LOG	     ? "write its access log"
		: o->order.type == PROXY_TRACE	     ? "tell its spans"
		: o->order.type == PROXY_CREDENTIALS ? "take certificates and keys"
						     : "take over what another one has");
}

bool orders_give_plain(struct supervisor *s, struct proxy_order order, int fd)
{
	struct order *o = order_new((enum proxy_order_type)order.type, fd, plain_answered);

	if (!o) {
		log_err(-ENOMEM, "tell weft-proxy");
		return false;
	}
	o->order = order;
	order_give(s, o, PLAIN_MS);
	return true;
}

void orders_give_log(struct supervisor *s)
{
	const int fd = s->options.access_log, spans = s->options.spans;

	if (!(s->can & PROXY_CAN_DRAIN))
		return;
	follow_give(s);
	/* One that another weftd has started may tell some. The dups share descriptions that weftd
	 * does not read from (fifo.h). */
	if (spans >= 0 || s->took_over)
		orders_give_plain(s, (struct proxy_order){ .type = PROXY_TRACE },
				  spans < 0 ? -1 : fcntl(spans, F_DUPFD_CLOEXEC, 0));
	orders_give_plain(
		s, (struct proxy_order){ .type = PROXY_LOG, .json = s->options.access_log_json },
		fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/* ---- certificates and keys ---- */

void orders_give_credentials(struct supervisor *s)
{
	const struct proxy_order order = { .type = PROXY_CREDENTIALS };
	int fd;

	s->credentials_refused = false;
	if (s->credentials < 0)
		return;
	fd = fcntl(s->credentials, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || !orders_give_plain(s, order, fd))
		s->credentials_refused = true;
}

void supervisor_credentials_again(struct supervisor *s)
{
	if (s->credentials_refused && s->proxy.pidfd >= 0)
		orders_give_credentials(s);
}

int supervisor_credentials(struct supervisor *s, const void *bytes, size_t size)
{
	int fd = sealed_file("weft-credentials", bytes, size);

	if (fd < 0)
		return fd;
	closep(&s->credentials);
	s->credentials = fd;
	/* One that is yet to be started is given them then. */
	if (s->proxy.pidfd >= 0)
		orders_give_credentials(s);
	return 0;
}

/* ---- ticket keys, and certificates of identities ---- */

/* They go from one process to the other, and weftd does not look at them: the one that has written
 * the file has no hand in it any more. One that knows of none is an older one, whose clients have
 * full handshakes. */
static void told(struct supervisor *s, struct order *o, const struct answer *a)
{
	const struct proxy_order order = { .type = o->order.type == PROXY_TICKETS
							   ? PROXY_TAKE_TICKETS
							   : PROXY_TAKE_IDENTITIES };
	int fd;

	if (a->error || s->proxy.pidfd < 0)
		return;
	if (fcntl(o->fd, F_ADD_SEALS, SEALS)) {
		log_err(-errno, "pass on what another weft-proxy has");
		return;
	}
	fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		orders_give_plain(s, order, fd);
}

static void pass(struct supervisor *s, struct draining *from, enum proxy_order_type type)
{
	int fd = memfd_create("weft-passed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct order *o = fd < 0 ? NULL : order_new(type, fd, told);

	if (!o) {
		log_err(-ENOMEM, "pass on what another weft-proxy has");
		return;
	}
	o->to = from;
	order_give(s, o, PLAIN_MS);
}

void orders_pass_tickets(struct supervisor *s, struct draining *from)
{
	pass(s, from, PROXY_TICKETS);
}

void orders_pass_identities(struct supervisor *s)
{
	for (struct draining *d = s->draining, *next; d; d = next) {
		next = d->next;
		pass(s, d, PROXY_IDENTITIES);
	}
}

/* ---- requests ---- */

/* What all proxies are asked for at once. */
struct inquiry {
	supervisor_requests_fn done;
	void *arg;
	TABLE(struct supervisor_request) rows;
	unsigned waits; /* for so many answers */
	int r;
};

static int add_rows(struct inquiry *q, const struct proxy_request *rows, size_t count,
		    bool draining)
{
	for (size_t i = 0; i < count; i++) {
		struct supervisor_request *row = table_push(&q->rows);

		if (!row)
			return -ENOMEM;
		*row = (struct supervisor_request){ rows[i], draining };
	}
	return 0;
}

static void settle(struct inquiry *q, int r)
{
	q->r = q->r ? q->r : r;
	if (--q->waits)
		return;
	q->done(q->arg, q->r, q->rows.items, q->rows.count);
	free(q->rows.items);
	free(q);
}

static void requests_answered(struct supervisor *s, struct order *o, const struct answer *a)
{
	_cleanup_free_ struct proxy_request *rows = NULL;
	size_t count = 0;
	int r = a->error ? a->error : proxy_words_requests(o->fd, &rows, &count);

	(void)s;
	/* One that has drained has none any more. */
	if (o->to && has_gone(r))
		r = 0;
	settle(o->arg, r ? r : add_rows(o->arg, rows, count, o->to));
}

static void inquire(struct supervisor *s, struct inquiry *q, struct draining *of)
{
	int fd = memfd_create("weft-requests", MFD_CLOEXEC);
	struct order *o = fd < 0 ? NULL : order_new(PROXY_REQUESTS, fd, requests_answered);

	q->waits++;
	if (!o) {
		settle(q, -ENOMEM);
		return;
	}
	o->to = of;
	o->arg = q;
	order_give(s, o, REQUESTS_MS);
}

void supervisor_requests(struct supervisor *s, supervisor_requests_fn done, void *arg)
{
	struct inquiry *q = calloc(1, sizeof(*q));

	if (!q) {
		done(arg, -ENOMEM, NULL, 0);
		return;
	}
	*q = (struct inquiry){ .done = done, .arg = arg, .waits = 1 };
	if (s->proxy.pidfd >= 0)
		inquire(s, q, NULL);
	for (struct draining *d = s->draining; d; d = d->next)
		inquire(s, q, d);
	settle(q, 0);
}

static struct order *find_inquiry(const struct supervisor *s)
{
	struct order *o = s->orders;

	while (o && o->answered != requests_answered)
		o = o->next;
	return o;
}

void supervisor_cancel_requests(struct supervisor *s)
{
	struct order *o;

	while ((o = find_inquiry(s)))
		end(s, take(s, o), &(struct answer){ .error = -ECANCELED });
}
