/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_RESOLVE_RESOLVER_PRIV_H
#define WEFT_DAEMON_RESOLVE_RESOLVER_PRIV_H
/*
 * What the parts of the resolver share: its names, and what they ask of each other.
 */
#include <sys/stat.h>

#include "daemon/resolve/dns.h"
#include "daemon/resolve/resolver.h"

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
	bool looks;   /* look_timer runs */
	bool asking;  /* in resolver_ask_due() */
	bool closing; /* what is cancelled stays so */
	void (*changed)(void *arg);
	void *arg;
	struct resolver_counters counters;
};

/* ---- resolver_names.c ---- */

/* Due at once. NULL when out of memory. */
struct name *resolver_name_new(struct resolver *r, const char *text);
void resolver_name_free(struct name *n); /* accepts NULL */
DEFINE_CLEANUP(struct name *, resolver_name_free);
bool resolver_name_is_known(const struct name *n);
/* Takes the answers of both questions. A change is told of, and stored. */
void resolver_settle(struct name *n);
/* The last answers are stored soon, and at once. */
void resolver_note_dirty(struct resolver *r);
void resolver_store(void *resolver);

/* ---- resolver.c ---- */

/* Asks for what is due, as far as it may be asked for at a time. */
void resolver_ask_due(void *resolver);
/* Opens DNS, anew where other servers are to be asked, and has itself called again. */
void resolver_look(void *resolver);

#endif
