/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_ENGINE_ENGINE_H
#define WEFT_DAEMON_ENGINE_ENGINE_H
/*
 * The rules in force: known objects -> compile() -> store -> the proxy and kernel_publish(). Every
 * change is one transaction: it takes effect as a whole or not at all, whatever fails and whenever
 * weftd dies. The journal is written before the kernel; what it says after a crash is published
 * again at the next start.
 */
#include <jansson.h>

#include "lib/compile/compile.h"
#include "daemon/objects/object_set.h"
#include "daemon/datapath/datapath.h"
#include "daemon/source/journal.h"
#include "daemon/supervisor/supervisor.h"

struct engine;

/* Borrows all three; they must outlive it. NULL when out of memory. */
struct engine *engine_new(struct kernel *kernel, struct supervisor *proxy, struct store *store);
void engine_free(struct engine *e); /* accepts NULL; the kernel goes on as it is */

/* Loads the journal and what is pinned, and publishes. 0, or -errno after having logged every
 * problem. */
int engine_start(struct engine *e);

/* What came of a change. Zero-initialise; free with engine_report_free(). */
struct engine_report {
	json_t *changes;       /* [{"kind", "namespace", "name", "change":
				  created|configured|unchanged|deleted|pruned}...] */
	struct errors errors;  /* and warnings */
	struct errors skipped; /* objects of kinds that weft does not know */
};

void engine_report_free(struct engine_report *report);

/* What known objects go when an apply does not bring them again. */
enum engine_prune {
	ENGINE_KEEP,
	ENGINE_PRUNE_VISITED, /* those of the namespaces that the input has objects in */
	ENGINE_PRUNE_ALL,
};

/* How a change is to be made. Everything is borrowed. */
struct engine_options {
	bool dry_run;	     /* say what would be changed, and change nothing */
	bool ignore_missing; /* delete: what is not known is passed over */
	enum engine_prune prune;
	const char *namespace; /* prune: only there; NULL: see `prune` */
	/* apply: objects that do not match are neither applied nor pruned; NULL: all match */
	const char *selector;
};

/* 0; -EINVAL when report->errors says why nothing was changed; other -errno. */
int engine_apply(struct engine *e, const struct store_input *files, size_t count,
		 const struct engine_options *options, struct engine_report *report);
/* The objects that the files name. */
int engine_delete_files(struct engine *e, const struct store_input *files, size_t count,
			const struct engine_options *options, struct engine_report *report);
int engine_delete(struct engine *e, const struct object_id *ids, size_t count,
		  const struct engine_options *options, struct engine_report *report);

/* Compiles the known objects for nothing but the warnings. 0 or -errno. */
int engine_analyze(struct engine *e, struct errors *warnings);

/* Drops counters of what is no longer there, step by step: returns after how many ms it wants to be
 * called again, 0 if nothing is left, or -errno. */
int engine_tidy(struct engine *e);

/* Valid until the next change. Tables are NULL before the first rule. */
const struct known_set *engine_objects(const struct engine *e);
/* The same as compile() takes them; the caller frees out->items. 0 or -ENOMEM. */
int engine_list(const struct engine *e, struct objects *out);
const struct tables *engine_tables(const struct engine *e);
struct registry *engine_registry(const struct engine *e);

#endif
