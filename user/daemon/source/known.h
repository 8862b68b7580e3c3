/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_KNOWN_H
#define WEFT_DAEMON_SOURCE_KNOWN_H
/*
 * The objects of a resource that have been told of, and in which version: what tells a list what is
 * new and what has gone. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kube/json_span.h"

struct known_object;

/* Zero-initialise; free with known_free(). */
struct known {
	struct known_object **slots;
	size_t size, count; /* size: of slots, a power of two, or 0 */
	uint32_t round;	    /* of the list that is being read */
};

struct known_key {
	struct json_span namespace, name;
};

struct known_key known_key(const char *namespace, const char *name);
/* Whether it is known in this very version; takes note that this round has it. */
bool known_is(struct known *k, struct known_key key, struct json_span version);
/* 0 or -ENOMEM. */
int known_put(struct known *k, struct known_key key, struct json_span version);
/* Whether it was there. */
bool known_remove(struct known *k, struct known_key key);

/* A list begins: what it has will be put, or asked for by known_is(). */
void known_begin(struct known *k);
/* Removes what has been neither since then: told to gone() first, which ends it by other than 0.
 * Returns that. */
int known_sweep(struct known *k, int (*gone)(void *arg, const char *namespace, const char *name),
		void *arg);
void known_free(struct known *k);

#endif
