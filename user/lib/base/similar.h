/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_SIMILAR_H
#define WEFT_LIB_BASE_SIMILAR_H
/*
 * "Did you mean": the known word that a mistyped one is nearest to.
 */
#include <stddef.h>

struct similar {
	const char *word; /* as it was typed */
	const char *best; /* the nearest of those offered; NULL: none is near enough */
	size_t least; /* how many letters it is away; of those further than that none is taken */
};

struct similar similar_to(const char *word);
/* Takes note of `known` (borrowed) if it is nearer than what was offered before. */
void similar_offer(struct similar *s, const char *known);

#endif
