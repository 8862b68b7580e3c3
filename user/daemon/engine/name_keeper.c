// SPDX-License-Identifier: Apache-2.0
#include "daemon/engine/name_keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/table.h"
#include "lib/mesh/names_wanted.h"

struct name_keeper {
	struct resolver *resolver; /* NULL: DNS is never asked */
	void (*compile)(void *arg);
	void *arg;
	struct event_timer timer; /* while a compilation is due */
	bool watched;
	bool due;	      /* the timer runs */
	bool compiles;	      /* one is under way */
	bool again;	      /* and something has changed since */
	uint64_t rests_until; /* clock_ms() */
	uint64_t taken;	      /* the resolver's changes when answers were taken last */
};

struct name_keeper *name_keeper_new(struct resolver *resolver, void (*compile)(void *arg),
				    void *arg)
{
	struct name_keeper *k = calloc(1, sizeof(*k));

	if (k)
		*k = (struct name_keeper){ .resolver = resolver, .compile = compile, .arg = arg };
	return k;
}

void name_keeper_free(struct name_keeper *k)
{
	if (!k)
		return;
	if (k->watched)
		resolver_watch(k->resolver, NULL, NULL);
	event_timer_close(&k->timer);
	free(k);
}

/* Not before it has rested. */
static void compile_in(struct name_keeper *k, uint64_t ms)
{
	uint64_t now = clock_ms();

	if (k->rests_until > now + ms)
		ms = k->rests_until - now;
	if (!k->due)
		event_timer_set(&k->timer, (unsigned)ms);
	k->due = true;
}

static void changed(void *keeper)
{
	struct name_keeper *k = keeper;

	if (k->compiles)
		k->again = true;
	else
		compile_in(k, NAME_GATHER_MS);
}

static uint64_t changes_of(const struct name_keeper *k)
{
	struct resolver_counters counters;

	resolver_count(k->resolver, &counters);
	return counters.changes;
}

static void fired(void *keeper)
{
	struct name_keeper *k = keeper;

	k->due = false;
	k->compiles = true;
	k->again = false;
	k->compile(k->arg);
}

int name_keeper_watch(struct name_keeper *k, struct event_loop *loop)
{
	int r = k->resolver ? event_timer_open(loop, &k->timer, fired, k) : 0;

	if (r || !k->resolver)
		return r;
	k->watched = true;
	resolver_watch(k->resolver, changed, k);
	/* The loop may have turned since the first compilation began. */
	if (changes_of(k) != k->taken)
		changed(k);
	return 0;
}

void name_keeper_done(struct name_keeper *k, bool failed, uint64_t took_ms)
{
	uint64_t rest = took_ms * NAME_REST;

	k->compiles = false;
	k->rests_until = clock_ms() + (rest < NAME_REST_MAX_MS ? rest : NAME_REST_MAX_MS);
	if (failed)
		compile_in(k, NAME_AGAIN_MS);
	else if (k->again)
		compile_in(k, NAME_GATHER_MS);
}

struct wanted {
	TABLE(const char *) names;
};

static void wanted_free(struct wanted *w)
{
	for (size_t i = 0; i < w->names.count; i++)
		free((char *)w->names.items[i]);
	free(w->names.items);
}

static int add_wanted(void *wanted, const char *name)
{
	struct wanted *w = wanted;
	const char **at = table_push(&w->names);

	if (!at)
		return -ENOMEM;
	*at = strdup(name);
	if (*at)
		return 0;
	w->names.count--;
	return -ENOMEM;
}

void name_keeper_want(struct name_keeper *k, const struct objects *objects)
{
	_cleanup_(wanted_free) struct wanted w = { 0 };

	if (!k->resolver)
		return;
	if (names_wanted(objects, add_wanted, &w))
		log_err(-ENOMEM, "list the names to be looked up");
	else
		(void)resolver_want(k->resolver, w.names.items, w.names.count); /* it logs */
}

struct answers *name_keeper_answers(struct name_keeper *k)
{
	if (!k->resolver || !resolver_names(k->resolver))
		return NULL;
	k->taken = changes_of(k);
	return resolver_answers(k->resolver);
}

const struct resolver *name_keeper_resolver(const struct name_keeper *k)
{
	return k->resolver;
}
