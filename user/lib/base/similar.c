// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/similar.h"

static size_t min3(size_t a, size_t b, size_t c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* How many letters have to be changed, added or left out to make `a` of `b`; case doesn't count. */
static size_t edit_distance(const char *a, const char *b)
{
	enum { LONGEST = 48 };
	size_t row[LONGEST + 1], n = strlen(b);

	if (n > LONGEST || strlen(a) > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[j - 1]);

			row[j] = min3(row[j] + 1, row[j - 1] + 1, diagonal + !same);
			diagonal = above;
		}
	}
	return row[n];
}

struct similar similar_to(const char *word)
{
	return (struct similar){ .word = word, .least = strlen(word) / 3 + 1 };
}

void similar_offer(struct similar *s, const char *known)
{
	size_t distance = edit_distance(s->word, known), len = strlen(s->word);

	/* A word cut short ("prot" for "port" or "protocol") is near as well. */
	if (distance > s->least && len >= 3 && !strncmp(s->word, known, len))
		distance = s->least;
	if (distance <= s->least && (!s->best || distance < s->least)) {
		s->best = known;
		s->least = distance;
	}
}
