// SPDX-License-Identifier: Apache-2.0
#include "lib/base/response_flags.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {
	"UH",  /* no healthy endpoint */
	"UT",  /* the route's time, or that of the last try, was over */
	"UF",  /* no connection to the endpoint */
	"UC",  /* the endpoint ended it too early */
	"UO",  /* a limit of the cluster was reached */
	"NR",  /* no rule holds */
	"DI",  /* delayed by a rule */
	"FI",  /* aborted by a rule */
	"DC",  /* the client has gone */
	"URX", /* no more tries allowed */
	"SI",  /* nothing moved for too long */
	"DPE", /* the client doesn't speak HTTP */
	"DT",  /* the client took too long to say what it wants, or a tunnel to end */
	"UPE", /* the endpoint doesn't speak HTTP */
	"NC",  /* the rule's destination does not exist */
};

enum { COUNT = sizeof(names) / sizeof(*names) };

_Static_assert(FLAGS_ALL == (1u << COUNT) - 1, "FLAGS_ALL is those that have names");

uint32_t flags_of(const char *name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (!strcmp(names[i], name))
			return 1u << i;
	return 0;
}

void flags_add(uint32_t *flags, const char *name)
{
	*flags |= flags_of(name);
}

const char *flags_text(uint32_t flags, char out[FLAGS_TEXT])
{
	char *end = out;

	if (!(flags & FLAGS_ALL))
		return "-";
	*out = '\0';
	for (size_t i = 0; i < COUNT; i++)
		if (flags & 1u << i) {
			if (end > out)
				*end++ = ',';
			end = stpcpy(end, names[i]);
		}
	return out;
}
