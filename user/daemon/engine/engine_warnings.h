/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_ENGINE_ENGINE_WARNINGS_H
#define WEFT_DAEMON_ENGINE_ENGINE_WARNINGS_H
/*
 * Every compilation warns about all known objects; a change of some of them should report only what
 * has to do with that.
 */
#include <jansson.h>

#include "lib/model/model.h"
#include "daemon/source/source.h"

/* The warnings among `errors` as a set, a new value; NULL when out of memory. */
json_t *warnings_set(const struct errors *errors);

/* Takes those warnings out of `errors` that are in `known` (may be NULL) and are about none of the
 * files. */
void warnings_filter(struct errors *errors, const json_t *known, const struct store_input *files,
		     size_t count);

#endif
