/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L7_L7_H
#define WEFT_LIB_L7_L7_H
/*
 * Objects -> the bytes of a snapshot. Pure, like compile().
 */
#include "lib/model/model.h"
#include "lib/tables/registry.h"

/*
 * Returns 0 and malloc'd bytes in *out; -EINVAL when `errors` got an error; -ENOMEM; -E2BIG.
 * Nothing of `objects` is kept. The registry gives the ids: the same that compile() uses.
 */
int http_compile(const struct objects *objects, struct registry *registry, void **out, size_t *size,
		 struct errors *errors);

#endif
