/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_REGEX_H
#define WEFT_LIB_ROUTE_REGEX_H
/*
 * Regular expressions in RE2's syntax (regex_problem() has looked at them), matched by PCRE2 within
 * limits: one that would take too long does not match.
 */
#include <stdbool.h>
#include <stddef.h>

struct http_regexes;

/* What PCRE2 has against the pattern, in `problem`; 0, -EINVAL or -ENOMEM. */
int http_regex_check(const char *pattern, char *problem, size_t size);

/* `count` of them behind those of `before`, which stays open with it; NULL: none are before. */
struct http_regexes *http_regexes_new(struct http_regexes *before, size_t count);
struct http_regexes *http_regexes_ref(struct http_regexes *r);
void http_regexes_free(struct http_regexes *r); /* with the last reference */
/* One of its own: 0, -EINVAL or -ENOMEM. `search`: anywhere in the text, not the whole of it. */
int http_regexes_set(struct http_regexes *r, size_t i, const char *pattern, size_t len,
		     bool search);
bool http_regex_match(const struct http_regexes *r, size_t i, const char *text, size_t len);
/*
 * Writes `text` with every match replaced: \0 to \9 are what was found, \\ a backslash. Returns the
 * length, -ENOSPC if `size` isn't enough for it.
 */
long http_regex_replace(const struct http_regexes *r, size_t i, const char *text, size_t len,
			const char *with, size_t with_len, char *out, size_t size);

#endif
