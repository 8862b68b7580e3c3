/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_JSON_SPAN_H
#define WEFT_LIB_KUBE_JSON_SPAN_H
/*
 * Finds values in JSON text without making a tree of it: of ten thousand pods nearly everything is
 * skipped. Brackets and strings are paired, but what is skipped is not checked any further.
 * Pure; nothing here allocates.
 */
#include <stdbool.h>
#include <stddef.h>

/* A value's text: `{"a": 1}`, `"b"`, `12`. */
struct json_span {
	const char *at;
	size_t len;
};

/* A walk over the members of an object or the elements of an array. */
struct json_walk {
	const char *at, *end;
	char closing;
	bool bad; /* it is none, or ends too early */
};

struct json_walk json_members(struct json_span object);
struct json_walk json_elements(struct json_span array);
/* The next one; false at the end, or when what comes is `bad`. `key` is without its quotes. */
bool json_next_member(struct json_walk *w, struct json_span *key, struct json_span *value);
bool json_next_element(struct json_walk *w, struct json_span *value);

/* The member of an object, through several of them up to a NULL. An empty span if there is none, or
 * null is. */
struct json_span json_at(struct json_span object, const char *const *keys);
struct json_span json_member(struct json_span object, const char *key);

/* The string's bytes, without quotes; an empty span for anything else, and for one with escapes in
 * it. */
struct json_span json_plain(struct json_span value);
bool json_span_is(struct json_span text, const char *word);

#endif
