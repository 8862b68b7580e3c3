/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_JSON_IO_H
#define WEFT_LIB_BASE_JSON_IO_H
/*
 * What weftd and weft need of jansson beyond jansson itself. New values belong to the caller.
 */
#include <jansson.h>

#include "lib/base/cleanup.h"

#define _cleanup_json_ _cleanup_(json_decrefp)

/* A string of any bytes: what is not UTF-8 becomes U+FFFD. NULL gives null. */
json_t *json_text(const char *text);
json_t *json_textn(const char *text, size_t len);
__attribute__((format(printf, 1, 2))) json_t *json_textf(const char *fmt, ...);

/* A list of such strings. */
json_t *json_texts(const char *const *texts, size_t count);

/* What in a text is no UTF-8, or controls a terminal, becomes '?'. */
void json_clean(char *text);

/* The keys in order, NULL behind the last: an array for the caller to free, whose strings are the
 * object's. NULL when out of memory. */
const char **json_sorted_keys(const json_t *object);

/* The member as what it should be, or the second argument. Borrowed from `object`. */
const char *json_get_text(const json_t *object, const char *key, const char *otherwise);
json_int_t json_get_int(const json_t *object, const char *key, json_int_t otherwise);

#endif
