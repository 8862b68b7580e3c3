// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/age.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, YEAR = 365 * DAY };

/* The first row whose `below` is above the age says in which units it is told. */
static const struct {
	int64_t below, unit, rest; /* rest 0: only whole units */
	char letter, rest_letter;
} rows[] = {
	{ 2 * MINUTE, 1, 0, 's', 0 },	       { 10 * MINUTE, MINUTE, 1, 'm', 's' },
	{ 3 * HOUR, MINUTE, 0, 'm', 0 },       { 8 * HOUR, HOUR, MINUTE, 'h', 'm' },
	{ 2 * DAY, HOUR, 0, 'h', 0 },	       { 8 * DAY, DAY, HOUR, 'd', 'h' },
	{ (int64_t)2 * YEAR, DAY, 0, 'd', 0 }, { (int64_t)8 * YEAR, YEAR, DAY, 'y', 'd' },
	{ INT64_MAX, YEAR, 0, 'y', 0 },
};

const char *age_text(int64_t seconds, char out[AGE_TEXT_MAX])
{
	size_t i = 0;
	int64_t rest;

	/* Clocks differ a little. */
	if (seconds < 0)
		seconds = 0;
	while (seconds >= rows[i].below)
		i++;
	rest = rows[i].rest ? seconds % rows[i].unit / rows[i].rest : 0;
	if (rest)
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 "%c%" PRId64 "%c", seconds / rows[i].unit,
			 rows[i].letter, rest, rows[i].rest_letter);
	else
		snprintf(out, AGE_TEXT_MAX, "%" PRId64 "%c", seconds / rows[i].unit,
			 rows[i].letter);
	return out;
}
