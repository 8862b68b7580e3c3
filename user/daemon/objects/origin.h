/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_OBJECTS_ORIGIN_H
#define WEFT_DAEMON_OBJECTS_ORIGIN_H
/*
 * Where objects came from, as their source knows it: a file of the journal, say. Counted: it is
 * released when no known object refers to it any more. Only the source knows what is in it.
 */
#include <stddef.h>

struct origin {
	size_t refs;
	void (*release)(struct origin *o);
};

struct origin *origin_ref(struct origin *o); /* accepts NULL, like the next */
void origin_unref(struct origin *o);

#endif
