/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_FIELDS_H
#define WEFT_LIB_ROUTE_FIELDS_H
/*
 * Header fields that only the mesh may set. Pure.
 */
#include "lib/route/route.h"

/*
 * Whether a request's field of that name is taken out before any rule or endpoint sees it, because
 * its reader would take it for the mesh's own word (docs/headers.md has the list). `gateway`: the
 * request comes from outside. A '_' is as good as a '-' here: many servers hand both to an
 * application as the same name.
 */
bool http_field_is_forged(struct http_span name, bool gateway);

#endif
