/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_COMPILE_COMPILE_H
#define WEFT_LIB_COMPILE_COMPILE_H
/*
 * Objects -> the tables of one generation. Pure: no I/O, no globals.
 */
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

#endif
