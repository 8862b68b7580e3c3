/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_COMPILE_COMPILE_H
#define WEFT_LIB_COMPILE_COMPILE_H
/*
 * Objects -> the tables of one generation. Pure: no I/O, no globals.
 */
#include "lib/mesh/change.h"
#include "lib/tables/registry.h"
#include "lib/tables/tables.h"

/* Whether weft-proxy's part is made. */
enum compile_http {
	COMPILE_HTTP_NEEDED, /* while anything speaks of HTTP; else tables.http is NULL */
	COMPILE_HTTP_ALWAYS,
	/* Always, and the kernel's part as if there were no HTTP rules, servers and policies: for
	 * explain, which asks either part about its own. */
	COMPILE_HTTP_APART,
};

/*
 * Compiles `objects` (each with its own file and positions; the order is the order of first apply).
 * Checks that need more than one object are made here (subsets, conflicting hosts, what weft does
 * not carry out). Returns 0 and sets *out; -EINVAL when `errors` got an error (then *out is
 * untouched); -ENOMEM; -E2BIG. Pointers into `objects` are kept: the objects must outlive the
 * tables. Deterministic.
 */
int compile(const struct objects *objects, struct registry *registry, enum compile_http http,
	    struct tables **out, struct errors *errors);

/*
 * What a compilation knew, kept for the next one. It borrows from the objects and belongs to the
 * tables that were made with it: it must be freed before either, or go on to others by
 * compile_patch().
 */
struct compile_index;

/* The same as compile(), which keeps what it knew in *index. Not for COMPILE_HTTP_APART. */
int compile_keeping(const struct objects *objects, struct registry *registry,
		    enum compile_http http, struct tables **out, struct compile_index **index,
		    struct errors *errors);
void compile_index_free(struct compile_index *index); /* accepts NULL */
/* The Pod that has that address, of two the first; NULL: none. */
const struct object *compile_index_pod_at(struct compile_index *index, const struct addr *addr);

enum {
	COMPILE_ANEW = 1,
	COMPILE_PATCH_MAX = 64, /* objects: a compilation costs no more than as many */
};

/*
 * The tables of `from`, which *index belongs to, after a change of pods and endpoints: byte for
 * byte what compile() would make of all objects, of which those that are new come last; but for the
 * places of endpoints, as what a cluster had is left where it was and new rows are added at the
 * end. It would warn of the same as before. They share with `from` what is the same, and then own
 * *index.
 *
 * Returns 0 and sets *out; COMPILE_ANEW where more hangs on the change, or it is a large one;
 * -ENOMEM; -E2BIG. After anything but 0 *index is freed and NULL.
 */
int compile_patch(struct compile_index **index, const struct object_change *changes, size_t count,
		  enum compile_http http, struct tables *from, struct tables **out);

/* Whether all of them are of rules: kinds that no service, pod or endpoint hangs on. */
bool compile_are_rules(const struct object_change *changes, size_t count);
/*
 * The tables of `from`, which *index belongs to, after a change of what VirtualServices of the mesh
 * do with requests (routes, weights, matches, faults, ...; not hosts, gateways or exportTo): they
 * do what those of compile() would, but rows that are out of use stay in the snapshot. It would
 * warn of the same as before. They share with `from` all but the snapshot, and then own *index.
 *
 * Returns 0 and sets *out; COMPILE_ANEW where the change is another or more hangs on it: *index is
 * as it was then; -ENOMEM: *index is freed and NULL.
 */
int compile_requests(struct compile_index **index, const struct object_change *changes,
		     size_t count, struct tables *from, struct tables **out);
/*
 * The same as compile_keeping() after a change of rules, errors included, by what *index knows of
 * pods, services and endpoints. The order of the objects is as with compile_patch().
 *
 * Returns 0 and sets *out, which shares with `from` what is the same, and then owns *index;
 * COMPILE_ANEW, without errors; or as compile() does. After anything but 0 *index is freed and
 * NULL.
 */
int compile_rules(struct compile_index **index, const struct object_change *changes, size_t count,
		  enum compile_http http, struct tables *from, struct tables **out,
		  struct errors *errors);

#endif
