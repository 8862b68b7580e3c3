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

/* What known objects go when an apply does not bring them again. Those of other sources stay. */
enum file_prune {
	PRUNE_NONE,
	PRUNE_VISITED, /* those of the namespaces that the input has objects in */
	PRUNE_ALL,
};

/* How a change is to be made. */
struct file_options {
	bool dry_run;	     /* say what would be changed, and change nothing */
	bool ignore_missing; /* delete: what is not known is passed over */
	enum file_prune prune;
	const char *namespace; /* prune: only there; NULL: see `prune` */
	/* apply: objects that do not match are neither applied nor pruned; NULL: all match */
	const char *selector;
};

/* Each NULL when out of memory. Files and what the options point at are borrowed until the change
 * is done; identities are copied: the objects that they are of may go before it is their turn. */
struct change *files_apply(struct file_source *s, const struct store_input *files, size_t count,
			   const struct file_options *options);
/* The objects that the files name. */
struct change *files_delete(struct file_source *s, const struct store_input *files, size_t count,
			    const struct file_options *options);
struct change *files_delete_objects(struct file_source *s, const struct object_id *ids,
				    size_t count, const struct file_options *options);

#endif
