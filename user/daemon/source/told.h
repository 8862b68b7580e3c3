/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_TOLD_H
#define WEFT_DAEMON_SOURCE_TOLD_H
/*
 * The objects of a resource that have been told of, and in which version: what tells a list what is
 * new and what has gone. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kube/json_span.h"

struct told_object;

/* Zero-initialise; free with told_free(). */
struct told {
	struct told_object **slots;
	size_t size, count; /* size: of slots, a power of two, or 0 */
	uint32_t round;	    /* of the list that is being read */
};

/* Neither is NULL. */
struct told_key {
	struct json_span namespace, name;
};

struct told_key told_key(const char *namespace, const char *name);
/* Whether it is known in this very version; takes note that this round has it. */
bool told_is(struct told *k, struct told_key key, struct json_span version);
/* 0 or -ENOMEM. */
int told_put(struct told *k, struct told_key key, struct json_span version);
/* Whether it was there. */
bool told_remove(struct told *k, struct told_key key);

/* A list begins: what it has will be put, or asked for by told_is(). */
void told_begin(struct told *k);
/* Removes what has been neither since then: told to gone() first, which ends it by other than 0.
 * Returns that. */
int told_sweep(struct told *k, int (*gone)(void *arg, const char *namespace, const char *name),
	       void *arg);
void told_free(struct told *k);

#endif
