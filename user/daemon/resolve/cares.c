// SPDX-License-Identifier: Apache-2.0
#include "daemon/resolve/cares.h"

#include <errno.h>
#include <stdbool.h>

#include "lib/base/library.h"
#include "lib/base/log.h"

struct cares_functions cares_functions;

#define CARES_SYMBOL(name) { #name, (void *)&cares_functions.name##_at },

static const struct library_symbol symbols[] = { CARES_FUNCTIONS(CARES_SYMBOL) };

int cares_load(void)
{
	static bool loaded;
	int r;

	if (loaded)
		return 0;
	r = library_load("libcares.so.2", symbols, sizeof(symbols) / sizeof(symbols[0]));
	if (!r && cares_functions.ares_library_init_at(ARES_LIB_INIT_ALL))
		r = log_err(-EIO, "start c-ares");
	loaded = !r;
	return r;
}
