// SPDX-License-Identifier: Apache-2.0
/*
 * Which names are wanted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/resolve/resolver_priv.h"
#include "lib/base/log.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The name, which was in the old list before `*old`, or a new one. NULL when out of memory. */
static struct name *find_or_make(struct resolver *r, const char *text, size_t *old)
{
	while (*old < r->count && strcmp(r->names[*old]->text, text) < 0)
		++*old;
	if (*old < r->count && strcmp(r->names[*old]->text, text) == 0)
		return r->names[*old];
	return resolver_name_new(r, text);
}

static bool is_old(const struct resolver *r, const struct name *n)
{
	struct name **at = bsearch(&n->text, r->names, r->count, sizeof(*r->names), by_text);

	return at && *at == n;
}

/* Those of the old list that are not in the new one go. Both are sorted. */
static void drop_others(struct resolver *r, struct name **list, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct name *n = r->names[i];

		while (at < count && strcmp(list[at]->text, n->text) < 0)
			at++;
		if (at < count && list[at] == n)
			continue;
		if (resolver_name_is_known(n))
			resolver_note_dirty(r);
		if (n->open)
			n->forgotten = true;
		else
			resolver_name_free(n);
	}
}

/* 0, or -ENOMEM: it is as before. */
static int make_list(struct resolver *r, const char **sorted, size_t count, struct name ***out,
		     size_t *out_count)
{
	struct name **list = malloc((count + 1) * sizeof(*list));
	size_t made = 0, old = 0;

	for (size_t i = 0; list && i < count; i++) {
		if (i && strcmp(sorted[i], sorted[i - 1]) == 0)
			continue;
		list[made] = find_or_make(r, sorted[i], &old);
		if (!list[made++])
			goto undo;
	}
	if (!list)
		return -ENOMEM;
	*out = list;
	*out_count = made;
	return 0;
undo:
	for (size_t i = 0; i + 1 < made; i++)
		if (!is_old(r, list[i]))
			resolver_name_free(list[i]);
	free(list);
	return -ENOMEM;
}

static bool is_as_before(const struct resolver *r, const char *const *sorted, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		if (i && strcmp(sorted[i], sorted[i - 1]) == 0)
			continue;
		if (at == r->count || strcmp(r->names[at]->text, sorted[i]) != 0)
			return false;
		at++;
	}
	return at == r->count;
}

static int take_list(struct resolver *r, const char **sorted, size_t count)
{
	struct name **list;
	size_t made;
	int error = make_list(r, sorted, count, &list, &made);

	if (error)
		return log_err(error, "take the names to be looked up");
	drop_others(r, list, made);
	free(r->names);
	r->names = list;
	r->count = made;
	r->cursor = 0;
	return 0;
}

int resolver_want(struct resolver *r, const char *const *names, size_t count)
{
	_cleanup_free_ const char **sorted = malloc((count + 1) * sizeof(*sorted));
	int error = 0;

	if (!sorted)
		return log_err(-ENOMEM, "take the names to be looked up");
	if (count)
		memcpy(sorted, names, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_text);
	if (!is_as_before(r, sorted, count))
		error = take_list(r, sorted, count);
	if (error)
		return error;
	if (r->count && !r->looks)
		resolver_look(r);
	resolver_ask_due(r);
	return 0;
}
