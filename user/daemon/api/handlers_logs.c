// SPDX-License-Identifier: Apache-2.0
/* clang-format off */
/*
 * `weft logs`. A request has the members of log_filter.h, and
 *
 *	"after": N	entries that came since, by the "next" of the last answer; without it the
 *			latest ones, of before
 *	"last": N	at most so many of those of before
 *	"since": TIME	of those, what began then or later: "2026-11-30T06:20:00.000Z"
 *
 * The answer comes when there is an entry to tell, or after a second without any:
 *
 *	{"entries": [...], "next": N, "lost": N}	entries as in log_entry.h, the oldest first
 */
/* clang-format on */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api/handlers.h"
#include "daemon/api/log_entry.h"
#include "daemon/api/log_filter.h"
#include "daemon/supervisor/access_follow.h"
#include "lib/base/cleanup.h"

enum { WAIT_MS = 1000, FIRST_WAIT_MS = 300 };

struct logs {
	struct access_wait wait;
	struct weftd *d;
	struct reply *reply;
	struct log_filter filter;
	bool before; /* what there is already is asked for */
	const char *since;
	uint64_t after;
	size_t last;
};

static int by_time(const void *a, const void *b)
{
	return strcmp(json_get_text(*(json_t *const *)a, "time", ""),
		      json_get_text(*(json_t *const *)b, "time", ""));
}

/* Workers have handed over what they had one after the other. */
static json_t *sorted(const json_t *entries, size_t last)
{
	size_t count = json_array_size(entries), first = count > last ? count - last : 0;
	_cleanup_free_ json_t **items = calloc(count + 1, sizeof(*items));
	json_t *out = json_array();

	for (size_t i = 0; items && i < count; i++)
		items[i] = json_array_get(entries, i);
	if (items)
		qsort(items, count, sizeof(*items), by_time);
	for (size_t i = first; items && i < count; i++)
		json_array_append(out, items[i]);
	return out;
}

static json_int_t lost_lines(const char *line)
{
	_cleanup_json_ json_t *told = strncmp(line, "{\"lost\":", 8) ? NULL
								     : json_loads(line, 0, NULL);

	return json_get_int(told, "lost", 0);
}

static bool is_wanted(const struct logs *l, const json_t *entry)
{
	if (l->since && strcmp(json_get_text(entry, "time", ""), l->since) < 0)
		return false;
	return log_filter_holds(&l->filter, entry);
}

static json_t *collect(struct logs *l)
{
	const struct access_follow *f = l->d->access_follow;
	uint64_t first = access_follow_first(f), next = access_follow_next(f),
		 at = l->before || l->after < first ? first : l->after;
	json_int_t lost = l->before ? 0 : (json_int_t)(at - l->after);
	_cleanup_json_ json_t *entries = json_array();

	for (; at < next; at++) {
		const char *line = access_follow_line(f, at);
		json_t *entry = log_entry(l->d->engine, line);

		if (entry && is_wanted(l, entry))
			json_array_append(entries, entry);
		if (!entry && line)
			lost += lost_lines(line);
		json_decref(entry);
	}
	return json_pack("{s:o, s:I, s:I}", "entries",
			 sorted(entries, l->before ? l->last : SIZE_MAX), "next", (json_int_t)next,
			 "lost", lost);
}

static void answer(void *arg, int r)
{
	struct logs *l = arg;
	struct reply *reply = l->reply;

	if (!r)
		reply->data = collect(l);
	if (!r && !reply->data)
		r = -ENOMEM;
	free(l);
	reply_send(reply, r);
}

static size_t count_of(const json_t *args, const char *key)
{
	json_int_t n = json_get_int(args, key, ACCESS_FOLLOW_LINES);

	return n < 0 ? 0 : (size_t)n;
}

int handle_logs(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct logs *l = calloc(1, sizeof(*l));
	const json_t *args = request->args;
	int r = l ? log_filter_parse(args, &l->filter, reply) : -ENOMEM;
	json_int_t after = json_get_int(args, "after", -1);
	uint64_t next = access_follow_next(d->access_follow);

	if (r) {
		free(l);
		return r;
	}
	l->d = d;
	l->reply = reply;
	l->before = after < 0;
	/* A number beyond the next one is of a weftd before this one. */
	l->after = l->before ? 0 : (uint64_t)after < next ? (uint64_t)after : next;
	l->last = count_of(args, "last");
	l->since = json_get_text(args, "since", NULL);
	l->wait = (struct access_wait){ .done = answer, .arg = l };
	access_follow_wait(d->access_follow, l->after, l->before ? FIRST_WAIT_MS : WAIT_MS,
			   &l->wait);
	return -EINPROGRESS;
}
