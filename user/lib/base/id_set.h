/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_ID_SET_H
#define WEFT_LIB_BASE_ID_SET_H
/*
 * A set of numbers other than 0. Zero-initialise; free with ids_free(). Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ids {
	uint64_t *slots; /* open addressing, 0: free */
	size_t room;	 /* a power of two */
	size_t count;
};

bool ids_has(const struct ids *s, uint64_t id);
/* 1 if it is new, 0 if it was there, -ENOMEM. */
int ids_add(struct ids *s, uint64_t id);
void ids_remove(struct ids *s, uint64_t id);
void ids_free(struct ids *s);

#endif
