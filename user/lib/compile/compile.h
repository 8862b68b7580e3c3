/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_COMPILE_COMPILE_H
#define WEFT_LIB_COMPILE_COMPILE_H
/*
 * Objects -> the tables of one generation. Pure: no I/O, no globals.
 */
#include "lib/tables/registry.h"
#include "lib/tables/tables.h"

/*
 * Compiles `objects` (each with its own file and positions; the order is the order of first apply).
 * Checks that need more than one object are made here (subsets, conflicting hosts, what weft does
 * not carry out). Returns 0 and sets *out; -EINVAL when `errors` got an error (then *out is
 * untouched); -ENOMEM. Pointers into `objects` are kept: the objects must outlive the tables.
 * Deterministic.
 */
int compile(const struct objects *objects, struct registry *registry, struct tables **out,
	    struct errors *errors);
/* The same for what the kernel carries out alone, as if there were no HTTP rules, servers and
 * policies: for explain, which asks http_compile()'s tables about those. */
int compile_l4(const struct objects *objects, struct registry *registry, struct tables **out,
	       struct errors *errors);
/* Adds the HTTP part, which compile() leaves out while nothing speaks of HTTP. 0 (also when
 * `errors` got an error), -ENOMEM or -E2BIG. */
int compile_http(struct tables *t, const struct objects *objects, struct registry *registry,
		 struct errors *errors);

#endif
