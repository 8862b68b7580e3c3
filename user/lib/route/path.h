/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_PATH_H
#define WEFT_LIB_ROUTE_PATH_H
/*
 * Paths as rules and endpoints get to see them. Pure.
 */
#include <stddef.h>

/*
 * Normalizes a request's path in place, as Istio has Envoy do it unless told otherwise
 * (MeshConfig.pathNormalization BASE; RFC 3986 6.2.2): dot segments are resolved, escapes of
 * characters that need none are undone, once, and '\' becomes '/'. Slashes are not merged, %2F and
 * %5C stay. The query, and what is no absolute path ("*"), stays as it is. Returns the new length,
 * which is never more than `n`; where nothing is to be done, nothing is written.
 */
size_t http_path_normalize(char *path, size_t n);

#endif
