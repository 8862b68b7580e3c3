// SPDX-License-Identifier: Apache-2.0
/*
 * Names, their last good answers, and what becomes of others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/resolve/resolver_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	STORE_MS = 1000,  /* answers are written down together that come within so long */
	JITTER_PARTS = 4, /* a pause is this part of it shorter or longer, at most */
	RETRY_SHIFT_MAX = 6,
};

/* ---- names ---- */

void resolver_name_free(struct name *n)
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

struct name *resolver_name_new(struct resolver *r, const char *text)
{
	_cleanup_(resolver_name_freep) struct name *n = calloc(1, sizeof(*n));

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

bool resolver_name_is_known(const struct name *n)
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

		if (!resolver_name_is_known(n))
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

void resolver_store(void *resolver)
{
	struct resolver *r = resolver;
	int error = with_known(r, store_rows, r);

	r->dirty = false;
	if (error)
		log_err(error, "write down what DNS has answered, in %s", r->o.state_dir);
}

void resolver_note_dirty(struct resolver *r)
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
	resolver_note_dirty(r);
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

void resolver_settle(struct name *n)
{
	const struct asked *a = n->asked;

	if (a[0].status == DNS_CANCELLED || a[1].status == DNS_CANCELLED)
		n->due = clock_ms();
	else if (a[0].status == DNS_ANSWERED || a[1].status == DNS_ANSWERED)
		take_answer(n);
	else
		take_failure(n);
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
