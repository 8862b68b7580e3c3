/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_FILES_H
#define WEFT_DAEMON_SOURCE_FILES_H
/*
 * The source that weft apply and weft delete feed: files, kept in the journal.
 */
#include "daemon/source/journal.h"
#include "daemon/source/source.h"

/* Everything is borrowed; changes must not outlive it. */
struct file_source {
	struct object_source source;
	struct store *store;
	const struct known_set *known; /* of the engine, once it has loaded: a journal that could
					  not be written is made anew of it */
};

struct file_source file_source(struct store *store);

/* Each NULL when out of memory. What they are given is borrowed until the change is freed. */
struct change *files_apply(struct file_source *s, const struct store_input *files, size_t count);
/* The objects that the files name; `ignore_missing`: those that are not known are passed over. */
struct change *files_delete(struct file_source *s, const struct store_input *files, size_t count,
			    bool ignore_missing);
struct change *files_delete_object(struct file_source *s, const struct object_id *id,
				   bool ignore_missing);

#endif
