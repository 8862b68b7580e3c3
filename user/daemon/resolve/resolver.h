/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_RESOLVE_RESOLVER_H
#define WEFT_DAEMON_RESOLVE_RESOLVER_H
/*
 * Keeps the addresses of names that objects have endpoints at: asks DNS for A and AAAA when a name
 * is new and when the time of its last answer is up, in the event loop. What was answered last
 * stays until DNS answers with an address again: a server that is silent, fails, or says that there
 * is no address changes nothing, and is asked again after a while that grows with each failure. Of
 * the two families, one that fails keeps its own addresses while the other goes on.
 *
 * The last answers are in the state directory, for a weftd that starts while DNS is down. c-ares is
 * loaded with the first name.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/event.h"
#include "daemon/resolve/answers.h"

struct resolver;

enum {
	RESOLVER_TTL_MIN_MS = 1000,
	RESOLVER_TTL_MAX_MS = 3600 * 1000,
	RESOLVER_TTL_NONE_MS = 5000, /* for a TTL of 0, as Envoy's dns_refresh_rate */
	RESOLVER_RETRY_MIN_MS = 1000,
	RESOLVER_RETRY_MAX_MS = 30 * 1000,
	RESOLVER_ASKED_MAX = 64, /* names at a time, each with two questions */
};

/* Strings are borrowed for as long as the resolver is there. */
struct resolver_options {
	struct event_loop *loop;
	const char *state_dir;
	const char *server;	 /* as dns_open() takes it; NULL: those of resolv_conf */
	const char *resolv_conf; /* looked at again when it changes; NULL: /etc/resolv.conf */
	/* Whether the node has a route there: addresses without one are left out. NULL: its routes
	 * say so. */
	bool (*reaches)(const struct addr *a);
};

/* Reads the answers of the weftd before. 0 or -errno after having logged. */
int resolver_open(const struct resolver_options *options, struct resolver **out);
/* Stores what is not stored yet. Accepts NULL. */
void resolver_close(struct resolver *r);
/* Calls changed() whenever a name that is wanted has other addresses than before. It must not call
 * resolver_want(). */
void resolver_watch(struct resolver *r, void (*changed)(void *arg), void *arg);

/* The names that are wanted from now on, in any order, some more than once; others are forgotten.
 * In lower case, without a final dot. They are copied. 0 or -errno after having logged: it is as
 * before. */
int resolver_want(struct resolver *r, const char *const *names, size_t count);
/* What is known of names, those that the weftd before has answered among them until
 * resolver_want() is called. The caller's reference; NULL when out of memory. */
struct answers *resolver_answers(const struct resolver *r);

struct resolver_name {
	const char *name;
	const struct addr *addrs[FAMILY_MAX];
	size_t count[FAMILY_MAX];
	int64_t answered;  /* when it was answered last, Unix seconds; 0: never */
	unsigned failures; /* since then, in a row */
	const char *error; /* of the last one; NULL: there is none */
};

/* Each name, in order; its non-zero answer ends it and is returned. */
int resolver_each(const struct resolver *r, int (*row)(void *arg, const struct resolver_name *n),
		  void *arg);

/* Counted since the start. */
struct resolver_counters {
	uint64_t attempts; /* names asked for, both families together */
	uint64_t success;  /* of these, those that DNS has answered with an address */
	uint64_t failure;  /* and those that it has not, for any reason */
	uint64_t changes;  /* answers with other addresses than the one before */
};

void resolver_count(const struct resolver *r, struct resolver_counters *out);
size_t resolver_names(const struct resolver *r);
/* Who is asked, as dns_servers(); "" before the first name. */
void resolver_servers(const struct resolver *r, char *out, size_t size);

#endif
