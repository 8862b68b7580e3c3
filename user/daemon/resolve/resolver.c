// SPDX-License-Identifier: Apache-2.0
#include "daemon/resolve/resolver.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/resolve/dns.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define RESOLV_CONF "/etc/resolv.conf"

enum {
	STORE_MS = 1000,  /* answers are written down together that come within so long */
	LOOK_MS = 2000,	  /* until resolv.conf is looked at again */
	JITTER_PARTS = 4, /* a pause is this part of it shorter or longer, at most */
	RETRY_SHIFT_MAX = 6,
};

/* The last good answer of a family. */
struct half {
	struct addr *addrs;
	size_t count;
};

struct name;

/* One of the two questions for a name, and its answer until both are there. */
struct asked {
	struct name *name;
	enum family family;
	enum dns_status status;
	const char *why;
	uint32_t ttl_s;
	bool unreachable; /* there are addresses, but no route to any of them */
	struct half fresh;
};

struct name {
	struct resolver *resolver;
	char *text;
	struct half halves[FAMILY_MAX];
	struct asked asked[FAMILY_MAX];
	unsigned open;	   /* questions that are not answered yet */
	uint64_t due;	   /* clock_ms() when it is asked for again; while `open`: no matter */
	int64_t answered;  /* Unix seconds; 0: never */
	unsigned failures; /* in a row */
	const char *error;
	bool forgotten; /* freed when it is answered */
};

/* What tells one resolv.conf from another. */
struct file_mark {
	struct timespec changed;
	ino_t inode;
	off_t size;
};

struct resolver {
	struct resolver_options o;
	struct dns *dns; /* NULL: no name was wanted yet, or it could not be opened */
	struct file_mark mark;
	struct name **names; /* sorted */
	size_t count;
	size_t cursor; /* where the search for a name that is due goes on */
	size_t open;   /* names that are asked for at the moment */
	struct event_timer due_timer, store_timer, look_timer;
	bool dirty;   /* something is not stored */
	bool asking;  /* in ask_due() */
	bool closing; /* what is cancelled stays so */
	void (*changed)(void *arg);
	void *arg;
	struct resolver_counters counters;
};

/* ---- names ---- */

static void name_free(struct name *n)
{
	if (!n)
		return;
	for (int f = 0; f < FAMILY_MAX; f++) {
		free(n->halves[f].addrs);
		free(n->asked[f].fresh.addrs);
	}
	free(n->text);
	free(n);
}

DEFINE_CLEANUP(struct name *, name_free);

static struct name *name_new(struct resolver *r, const char *text)
{
	_cleanup_(name_freep) struct name *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->text = strdup(text);
	if (!n->text)
		return NULL;
	n->resolver = r;
	n->due = clock_ms();
	for (int f = 0; f < FAMILY_MAX; f++)
		n->asked[f] = (struct asked){ .name = n, .family = (enum family)f };
	return TAKE_PTR(n);
}

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

static bool half_has(const struct half *h, const struct addr *a)
{
	for (size_t i = 0; i < h->count; i++)
		if (!memcmp(&h->addrs[i], a, sizeof(*a)))
			return true;
	return false;
}

/* In any order: servers turn it from answer to answer. */
static bool half_same(const struct half *a, const struct half *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = half_has(b, &a->addrs[i]) && half_has(a, &b->addrs[i]);
	return same;
}

static bool name_is_known(const struct name *n)
{
	return n->halves[FAMILY_V4].count || n->halves[FAMILY_V6].count;
}

/* ---- storing ---- */

/* IPv4 comes first. `room` is for all addresses of all names. */
static size_t list_known(const struct resolver *r, struct resolved_name *rows, int64_t *answered,
			 struct addr *room)
{
	static const enum family order[] = { FAMILY_V4, FAMILY_V6 };
	size_t count = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct name *n = r->names[i];
		struct resolved_name *row = &rows[count];

		if (!name_is_known(n))
			continue;
		answered[count++] = n->answered;
		*row = (struct resolved_name){ .name = n->text, .addrs = room };
		for (int f = 0; f < FAMILY_MAX; f++) {
			const struct half *h = &n->halves[order[f]];

			if (h->count)
				memcpy(room + row->count, h->addrs, h->count * sizeof(*room));
			row->count += h->count;
		}
		room += row->count;
	}
	return count;
}

/* Calls `use` with what is known. What it returns, or -ENOMEM. */
static int with_known(const struct resolver *r,
		      int (*use)(void *arg, const struct resolved_name *rows,
				 const int64_t *answered, size_t count),
		      void *arg)
{
	_cleanup_free_ struct resolved_name *rows = malloc((r->count + 1) * sizeof(*rows));
	_cleanup_free_ int64_t *answered = malloc((r->count + 1) * sizeof(*answered));
	_cleanup_free_ struct addr *room = NULL;
	size_t addrs = 1;

	for (size_t i = 0; i < r->count; i++)
		addrs +=
			r->names[i]->halves[FAMILY_V4].count + r->names[i]->halves[FAMILY_V6].count;
	room = malloc(addrs * sizeof(*room));
	if (!rows || !answered || !room)
		return -ENOMEM;
	return use(arg, rows, answered, list_known(r, rows, answered, room));
}

static int make_answers(void *out, const struct resolved_name *rows, const int64_t *answered,
			size_t count)
{
	struct answers *a = answers_new(rows, count);

	(void)answered;
	if (!a)
		return -ENOMEM;
	*(struct answers **)out = a;
	return 0;
}

struct answers *resolver_answers(const struct resolver *r)
{
	struct answers *a = NULL;

	return with_known(r, make_answers, &a) ? NULL : a;
}

static int store_rows(void *resolver, const struct resolved_name *rows, const int64_t *answered,
		      size_t count)
{
	return answers_store(((struct resolver *)resolver)->o.state_dir, rows, answered, count);
}

static void store(void *resolver)
{
	struct resolver *r = resolver;
	int error = with_known(r, store_rows, r);

	r->dirty = false;
	if (error)
		log_err(error, "write down what DNS has answered, in %s", r->o.state_dir);
}

static void note_dirty(struct resolver *r)
{
	if (!r->dirty)
		event_timer_set(&r->store_timer, STORE_MS);
	r->dirty = true;
}

/* ---- an answer ---- */

static uint64_t jittered(uint64_t ms)
{
	uint64_t part = ms / JITTER_PARTS;

	return ms - part + clock_ns() % (2 * part + 1);
}

static uint64_t retry_ms(const struct name *n)
{
	unsigned shift = n->failures > RETRY_SHIFT_MAX ? RETRY_SHIFT_MAX : n->failures;
	uint64_t ms = (uint64_t)RESOLVER_RETRY_MIN_MS << (shift ? shift - 1 : 0);

	return jittered(ms > RESOLVER_RETRY_MAX_MS ? RESOLVER_RETRY_MAX_MS : ms);
}

static uint64_t ttl_ms(uint32_t ttl_s)
{
	uint64_t ms = ttl_s * 1000ull;

	if (!ms)
		return RESOLVER_TTL_NONE_MS;
	return ms > RESOLVER_TTL_MAX_MS	  ? RESOLVER_TTL_MAX_MS
	       : ms < RESOLVER_TTL_MIN_MS ? RESOLVER_TTL_MIN_MS
					  : ms;
}

/* Takes what a family was answered; what it has stays where that is the same, or nothing is known.
 * True if it has changed. */
static bool take_half(struct name *n, struct asked *q)
{
	struct half *h = &n->halves[q->family];

	if (q->status == DNS_FAILED || half_same(h, &q->fresh))
		return false;
	free(h->addrs);
	*h = q->fresh;
	q->fresh = (struct half){ 0 };
	return true;
}

static void count_failure(struct name *n, const char *why)
{
	if (!n->failures++)
		log_debug("DNS: %s: %s", n->text, why);
	n->error = why;
}

/* Of one family at least there are addresses. A node that has only routes of that one knows no
 * addresses of the other. */
static void take_answer(struct name *n)
{
	struct resolver *r = n->resolver;
	uint64_t wait = RESOLVER_TTL_MAX_MS, retry;
	const char *failed = NULL;
	bool changed = false;

	for (int f = 0; f < FAMILY_MAX; f++) {
		struct asked *q = &n->asked[f];

		if (q->unreachable)
			q->status = DNS_EMPTY;
		if (q->status == DNS_ANSWERED && ttl_ms(q->ttl_s) < wait)
			wait = ttl_ms(q->ttl_s);
		if (q->status == DNS_FAILED)
			failed = q->why;
		changed |= take_half(n, q);
	}
	r->counters.success++;
	n->answered = time(NULL);
	if (failed) {
		count_failure(n, failed);
		retry = retry_ms(n);
		wait = retry < wait ? retry : wait;
	} else {
		n->failures = 0;
		n->error = NULL;
	}
	n->due = clock_ms() + wait;
	if (!changed)
		return;
	r->counters.changes++;
	note_dirty(r);
	if (r->changed)
		r->changed(r->arg);
}

/* Nothing has an address: a server that says so counts as one that does not know. */
static void take_failure(struct name *n)
{
	const struct asked *q = &n->asked[FAMILY_V4];

	if (q->status == DNS_EMPTY && n->asked[FAMILY_V6].status == DNS_FAILED)
		q = &n->asked[FAMILY_V6];
	n->resolver->counters.failure++;
	count_failure(n, q->why);
	n->due = clock_ms() + retry_ms(n);
}

static void settle(struct name *n)
{
	const struct asked *a = n->asked;

	if (a[0].status == DNS_CANCELLED || a[1].status == DNS_CANCELLED)
		n->due = clock_ms();
	else if (a[0].status == DNS_ANSWERED || a[1].status == DNS_ANSWERED)
		take_answer(n);
	else
		take_failure(n);
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

/* Keeps an answer until both are there, without addresses that nothing leads to. */
static void take_asked(struct asked *q, const struct dns_answer *a)
{
	const struct resolver_options *o = &q->name->resolver->o;
	struct half *h = &q->fresh;
	size_t count = a->status == DNS_ANSWERED ? a->count : 0;

	q->status = a->status;
	q->why = a->why;
	q->ttl_s = a->ttl_s;
	q->unreachable = false;
	if (half_set(h, a->addrs, count)) {
		q->status = DNS_FAILED;
		q->why = "out of memory";
		return;
	}
	h->count = 0;
	for (size_t i = 0; i < count; i++)
		if ((o->reaches ? o->reaches : has_route)(&a->addrs[i]))
			h->addrs[h->count++] = a->addrs[i];
	if (!count || h->count)
		return;
	q->status = DNS_FAILED;
	q->why = "the node has no route to its addresses";
	q->unreachable = true;
}

static void ask_due(void *resolver);

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
		name_free(n);
	else if (!r->closing)
		settle(n);
	if (!r->closing && !r->asking)
		ask_due(r);
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
static void ask_due(void *resolver)
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
	ask_due(r);
}

static void look(void *resolver)
{
	struct resolver *r = resolver;
	struct file_mark now = mark_of(resolv_conf(r));

	if (!r->count)
		return; /* looked at again with the next name */
	if (!r->dns || (!r->o.server && !mark_same(&now, &r->mark))) {
		if (!open_dns(r))
			ask_anew(r);
	}
	event_timer_set(&r->look_timer, LOOK_MS);
}

/* ---- what is wanted ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The name, which was in the old list before `*old`, or a new one. NULL when out of memory. */
static struct name *find_or_make(struct resolver *r, const char *text, size_t *old)
{
	while (*old < r->count && strcmp(r->names[*old]->text, text) < 0)
		++*old;
	if (*old < r->count && strcmp(r->names[*old]->text, text) == 0)
		return r->names[*old];
	return name_new(r, text);
}

static bool is_old(const struct resolver *r, const struct name *n)
{
	struct name **at = bsearch(&n->text, r->names, r->count, sizeof(*r->names), by_text);

	return at && *at == n;
}

/* Those of the old list that are not in the new one go. Both are sorted. */
static void drop_others(struct resolver *r, struct name **list, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct name *n = r->names[i];

		while (at < count && strcmp(list[at]->text, n->text) < 0)
			at++;
		if (at < count && list[at] == n)
			continue;
		if (name_is_known(n))
			note_dirty(r);
		if (n->open)
			n->forgotten = true;
		else
			name_free(n);
	}
}

/* 0, or -ENOMEM: it is as before. */
static int make_list(struct resolver *r, const char **sorted, size_t count, struct name ***out,
		     size_t *out_count)
{
	struct name **list = malloc((count + 1) * sizeof(*list)); // NOLINT: an array of pointers
	size_t made = 0, old = 0;

	for (size_t i = 0; list && i < count; i++) {
		if (i && strcmp(sorted[i], sorted[i - 1]) == 0)
			continue;
		list[made] = find_or_make(r, sorted[i], &old);
		if (!list[made++])
			goto undo;
	}
	if (!list)
		return -ENOMEM;
	*out = list;
	*out_count = made;
	return 0;
undo:
	for (size_t i = 0; i + 1 < made; i++)
		if (!is_old(r, list[i]))
			name_free(list[i]);
	free(list);
	return -ENOMEM;
}

static bool is_as_before(const struct resolver *r, const char *const *sorted, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		if (i && strcmp(sorted[i], sorted[i - 1]) == 0)
			continue;
		if (at == r->count || strcmp(r->names[at]->text, sorted[i]) != 0)
			return false;
		at++;
	}
	return at == r->count;
}

static int take_list(struct resolver *r, const char **sorted, size_t count)
{
	struct name **list;
	size_t made;
	int error = make_list(r, sorted, count, &list, &made);

	if (error)
		return log_err(error, "take the names to be looked up");
	drop_others(r, list, made);
	free(r->names);
	r->names = list;
	r->count = made;
	r->cursor = 0;
	return 0;
}

int resolver_want(struct resolver *r, const char *const *names, size_t count)
{
	_cleanup_free_ const char **sorted = malloc((count + 1) * sizeof(*sorted));
	int error = 0;

	if (!sorted)
		return log_err(-ENOMEM, "take the names to be looked up");
	if (count)
		memcpy(sorted, names, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_text);
	if (!is_as_before(r, sorted, count))
		error = take_list(r, sorted, count);
	if (error)
		return error;
	if (r->count && !r->dns)
		look(r);
	ask_due(r);
	return 0;
}

/* ---- the start and the end ---- */

static int take_stored(void *resolver, const struct resolved_name *row, int64_t answered_at)
{
	struct resolver *r = resolver;
	_cleanup_(name_freep) struct name *n = name_new(r, row->name);
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
	int error = event_timer_open(r->o.loop, &r->due_timer, ask_due, r);

	if (!error)
		error = event_timer_open(r->o.loop, &r->store_timer, store, r);
	return error ? error : event_timer_open(r->o.loop, &r->look_timer, look, r);
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
		store(r);
	dns_close(r->dns);
	for (size_t i = 0; i < r->count; i++)
		name_free(r->names[i]);
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

/* ---- what there is ---- */

int resolver_each(const struct resolver *r, int (*row)(void *arg, const struct resolver_name *n),
		  void *arg)
{
	int result = 0;

	for (size_t i = 0; !result && i < r->count; i++) {
		const struct name *n = r->names[i];
		struct resolver_name told = { .name = n->text,
					      .answered = n->answered,
					      .failures = n->failures,
					      .error = n->error };

		for (int f = 0; f < FAMILY_MAX; f++) {
			told.addrs[f] = n->halves[f].addrs;
			told.count[f] = n->halves[f].count;
		}
		result = row(arg, &told);
	}
	return result;
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
