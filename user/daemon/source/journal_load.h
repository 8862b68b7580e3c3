/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_JOURNAL_LOAD_H
#define WEFT_DAEMON_SOURCE_JOURNAL_LOAD_H
/*
 * Known objects <-> journal.
 */
#include "daemon/objects/object_set.h"
#include "daemon/source/journal.h"

/* Replays the journal into an empty set. 0; -EINVAL with the reasons in `errors`; -EBADMSG;
 * -ENOMEM. */
int engine_load(struct store *store, struct known_set *set, struct errors *errors);

/* Rewrites the journal as one snapshot of what it has brought of the set. 0 or -errno. */
int engine_save(struct store *store, const struct known_set *set);

#endif
