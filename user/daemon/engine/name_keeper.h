/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_ENGINE_NAME_KEEPER_H
#define WEFT_DAEMON_ENGINE_NAME_KEEPER_H
/*
 * What DNS says, for compilations: tells the resolver which names are wanted, and asks for a new
 * compilation when some have other addresses, for all that change within NAME_GATHER_MS at once.
 * Compilations of that kind take a tenth of the time at most, however often answers change.
 */
#include "daemon/objects/object_set.h"
#include "daemon/resolve/resolver.h"
#include "lib/model/model.h"

enum {
	NAME_GATHER_MS = 50,
	NAME_REST = 10,		 /* so many times as long as a compilation took is waited */
	NAME_REST_MAX_MS = 5000, /* until the next one, and no longer than this */
	NAME_AGAIN_MS = 1000,	 /* after one that failed */
};

struct name_keeper;

/* The resolver is borrowed; NULL: DNS is never asked. compile() is to call name_keeper_done() once,
 * perhaps before it returns. NULL when out of memory. */
struct name_keeper *name_keeper_new(struct resolver *resolver, void (*compile)(void *arg),
				    void *arg);
void name_keeper_free(struct name_keeper *k); /* accepts NULL */
/* From now on, changes are told of. The loop is borrowed. 0 or -errno. */
int name_keeper_watch(struct name_keeper *k, struct event_loop *loop);

/* Which names these objects want, from now on. */
void name_keeper_want(struct name_keeper *k, const struct objects *objects);
/* What is known of names at the moment, for a compilation. The caller's reference; NULL: nothing,
 * or there is no memory for it. */
struct answers *name_keeper_answers(struct name_keeper *k);
/* The compilation that was asked for is over: in how many ms, or it failed and is needed again. */
void name_keeper_done(struct name_keeper *k, bool failed, uint64_t took_ms);
/* NULL: there is none. */
const struct resolver *name_keeper_resolver(const struct name_keeper *k);

#endif
