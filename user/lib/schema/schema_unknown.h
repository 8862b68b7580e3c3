/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_SCHEMA_UNKNOWN_H
#define WEFT_LIB_SCHEMA_SCHEMA_UNKNOWN_H
/*
 * Kinds that weft does not read. A cluster's Deployments may be passed over. A kind that says what
 * traffic may do may not: a user who applies a policy that forbids relies on it. The same
 * goes for a mistyped kind.
 */
#include <stdbool.h>
#include <stddef.h>

/* Whether an object of that kind and group (`len` bytes; none: the core group), which is not one of
 * `kind_infos`, is refused. *near: the kind that it may be meant to be, or NULL. */
bool schema_refuses_kind(const char *kind, const char *group, size_t len, const char **near);

#endif
