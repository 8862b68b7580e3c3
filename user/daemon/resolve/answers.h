/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_RESOLVE_ANSWERS_H
#define WEFT_DAEMON_RESOLVE_ANSWERS_H
/*
 * A set of names and their addresses (lib/model/resolved.h) that tables and those who make others
 * share, and the file that a later weftd takes them from: STATE_DIR/dns.answers. It begins with a
 * line, "weft-d1"; each other one is a name, the time of its answer (Unix seconds) and its
 * addresses, with one blank between them.
 */
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/model/resolved.h"

/* Immutable. */
struct answers {
	unsigned users;
	struct resolved set;
};

/* A copy of the rows, which are sorted by name, with one user. NULL when out of memory. */
struct answers *answers_new(const struct resolved_name *rows, size_t count);
/* One more user. Accepts NULL. Returns `a`. */
struct answers *answers_ref(struct answers *a);
/* Accepts NULL. */
void answers_unref(struct answers *a);
DEFINE_CLEANUP(struct answers *, answers_unref);

/* Calls `take` for each name of the file; what is passed is valid during the call. Lines that can't
 * be read are passed over. 0 also where there is no file; what `take` returns if that is not 0;
 * -errno. */
int answers_load(const char *dir,
		 int (*take)(void *arg, const struct resolved_name *row, int64_t answered),
		 void *arg);
/* Takes the place of the file. `answered`: one per row. 0 or -errno. */
int answers_store(const char *dir, const struct resolved_name *rows, const int64_t *answered,
		  size_t count);
/* For a weftd that does not come again. */
void answers_remove(const char *dir);

#endif
