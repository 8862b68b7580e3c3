// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lib/route/regex.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

enum {
	GROUPS = 10, /* \0 to \9 */
	MATCH_LIMIT = 100000,
	DEPTH_LIMIT = 2000,
	HEAP_LIMIT_KIB = 1024,
};

struct http_regexes {
	struct http_regexes *before;
	/* Of the first of them. */
	pcre2_match_data *found;
	pcre2_match_context *limits;
	size_t first, count, refs;
	pcre2_code *codes[]; /* those from `first` on */
};

static void code_free(pcre2_code *code)
{
	pcre2_code_free(code);
}
DEFINE_CLEANUP(pcre2_code *, code_free);

/* RE2 matches UTF-8, and bytes that are none, too; its $ is the very end. */
static int compile(const char *pattern, size_t len, bool search, pcre2_code **out, int *error)
{
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
			   PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP;
	PCRE2_SIZE at;

	if (!search)
		options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
	*out = pcre2_compile((PCRE2_SPTR)pattern, len, options, error, &at, NULL);
	if (*out)
		return 0;
	return *error == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -EINVAL;
}

int http_regex_check(const char *pattern, char *problem, size_t size)
{
	_cleanup_(code_freep) pcre2_code *code = NULL;
	int error, r = compile(pattern, strlen(pattern), false, &code, &error);

	if (r)
		pcre2_get_error_message(error, (PCRE2_UCHAR *)problem, size);
	return r;
}

static struct http_regexes *behind(struct http_regexes *before, struct http_regexes *r)
{
	r->before = http_regexes_ref(before);
	r->first = before->first + before->count;
	r->found = before->found;
	r->limits = before->limits;
	return r;
}

struct http_regexes *http_regexes_new(struct http_regexes *before, size_t count)
{
	struct http_regexes *r = calloc(1, sizeof(*r) + count * sizeof(*r->codes));

	if (!r)
		return NULL;
	r->count = count;
	r->refs = 1;
	if (before)
		return behind(before, r);
	r->found = pcre2_match_data_create(GROUPS, NULL);
	r->limits = pcre2_match_context_create(NULL);
	if (!r->found || !r->limits) {
		http_regexes_free(r);
		return NULL;
	}
	pcre2_set_match_limit(r->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(r->limits, DEPTH_LIMIT);
	pcre2_set_heap_limit(r->limits, HEAP_LIMIT_KIB);
	return r;
}

struct http_regexes *http_regexes_ref(struct http_regexes *r)
{
	r->refs++;
	return r;
}

void http_regexes_free(struct http_regexes *r)
{
	if (!r || --r->refs)
		return;
	for (size_t i = 0; i < r->count; i++)
		pcre2_code_free(r->codes[i]);
	if (!r->before) {
		pcre2_match_data_free(r->found);
		pcre2_match_context_free(r->limits);
	}
	http_regexes_free(r->before);
	free(r);
}

static const pcre2_code *code_of(const struct http_regexes *r, size_t i)
{
	while (i < r->first)
		r = r->before;
	return r->codes[i - r->first];
}

int http_regexes_set(struct http_regexes *r, size_t i, const char *pattern, size_t len, bool search)
{
	int error;

	return compile(pattern, len, search, &r->codes[i - r->first], &error);
}

bool http_regex_match(const struct http_regexes *r, size_t i, const char *text, size_t len)
{
	return pcre2_match(code_of(r, i), (PCRE2_SPTR)text, len, 0, 0, r->found, r->limits) >= 0;
}

struct output {
	char *at;
	size_t len, size;
};

static void put(struct output *o, const char *bytes, size_t len)
{
	if (len <= o->size - o->len && o->len <= o->size)
		memcpy(o->at + o->len, bytes, len);
	else
		o->size = 0;
	o->len += len;
}

static void put_found(struct output *o, const struct http_regexes *r, const char *text, int groups,
		      const char *with, size_t with_len)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(r->found);

	for (size_t i = 0; i < with_len; i++) {
		int group;

		if (with[i] != '\\' || i + 1 == with_len) {
			put(o, &with[i], 1);
			continue;
		}
		i++;
		group = with[i] - '0';
		if (group < 0 || group > 9)
			put(o, &with[i], 1);
		else if (group < groups && v[2 * group] != PCRE2_UNSET)
			put(o, text + v[2 * group], v[2 * group + 1] - v[2 * group]);
	}
}

long http_regex_replace(const struct http_regexes *r, size_t i, const char *text, size_t len,
			const char *with, size_t with_len, char *out, size_t size)
{
	struct output o = { .at = out, .size = size };
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(r->found);
	size_t at = 0, copied = 0;

	while (at <= len) {
		int n = pcre2_match(code_of(r, i), (PCRE2_SPTR)text, len, at, 0, r->found,
				    r->limits);

		if (n < 0)
			break;
		if (n == 0)
			n = GROUPS;
		put(&o, text + copied, v[0] - copied);
		put_found(&o, r, text, n, with, with_len);
		copied = v[1];
		/* Where nothing was found there is nothing to find again. */
		at = v[1] > v[0] ? v[1] : v[1] + 1;
	}
	if (copied < len)
		put(&o, text + copied, len - copied);
	return o.len <= o.size ? (long)o.len : -ENOSPC;
}
