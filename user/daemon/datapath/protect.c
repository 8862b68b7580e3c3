// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/protect.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

const char *protect_reason_name(enum protect_reason reason, bool *dropped)
{
	static const struct {
		const char *name;
		bool dropped;
	} reasons[PROTECT_REASONS] = {
		[PROTECT_PASSED_SYN] = { "syns_passed", false },
		[PROTECT_DENIED] = { "denied", true },
		[PROTECT_NOT_ALLOWED] = { "not_allowed", true },
		[PROTECT_SOURCE_RATE] = { "source_rate", true },
		[PROTECT_TOTAL_RATE] = { "total_rate", true },
		[PROTECT_MALFORMED] = { "malformed", true },
		[PROTECT_SPOOFED] = { "spoofed", true },
		[PROTECT_COOKIE_SENT] = { "cookies_sent", false },
		[PROTECT_COOKIE_GOOD] = { "cookies_good", false },
		[PROTECT_COOKIE_BAD] = { "cookies_bad", false },
		[PROTECT_UNANSWERED] = { "unanswered", true },
	};

	if (reason >= PROTECT_REASONS)
		return NULL;
	*dropped = reasons[reason].dropped;
	return reasons[reason].name;
}

/* ---- what differs ---- */

void protect_change_free(struct protect_change *c)
{
	free(c->put.items);
	free(c->gone.items);
	*c = (struct protect_change){ 0 };
}

static int note_put(struct protect_change *c, const struct protect_range *range)
{
	struct protect_range *slot = table_push(&c->put);

	if (!slot)
		return -ENOMEM;
	*slot = *range;
	return 0;
}

static int note_gone(struct protect_change *c, const struct protect_range *range)
{
	struct protect_range *slot = table_push(&c->gone);

	if (!slot)
		return -ENOMEM;
	*slot = *range;
	return 0;
}

int protect_compare(const struct protect_range *from, size_t from_count,
		    const struct protect_range *to, size_t to_count, struct protect_change *out)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (!r && (i < from_count || k < to_count)) {
		int order = i == from_count ? 1
			    : k == to_count ? -1
					    : protect_range_compare(&from[i], &to[k]);

		if (order < 0)
			r = note_gone(out, &from[i++]);
		else if (order > 0)
			r = note_put(out, &to[k++]);
		else if (from[i++].verdict != to[k++].verdict)
			r = note_put(out, &to[k - 1]);
	}
	return r;
}

/* ---- what an earlier weftd has left ---- */

static int by_range(const void *a, const void *b)
{
	return protect_range_compare(a, b);
}

/* An LPM trie hands its keys out in an order of its own. */
static int read_ranges(struct protect *p, int fd)
{
	struct protect_key *last = NULL, key, next;

	p->ranges.count = 0;
	while (!bpf_map_get_next_key(fd, last, &next)) {
		struct protect_range *range = table_push(&p->ranges);

		if (!range)
			return -ENOMEM;
		range->key = key = next;
		last = &key;
		if (bpf_map_lookup_elem(fd, &key, &range->verdict))
			return -errno;
	}
	if (errno != ENOENT)
		return -errno;
	if (p->ranges.count)
		qsort(p->ranges.items, p->ranges.count, sizeof(*p->ranges.items), by_range);
	return 0;
}

static int read_limits(struct protect *p, const struct loader *l)
{
	__u32 zero = 0, entry;

	if (bpf_map_lookup_elem(l->map[MAP_PROTECT_TURN], &zero, &p->turn))
		return -errno;
	entry = p->turn % 2;
	if (p->turn && bpf_map_lookup_elem(l->map[MAP_PROTECT], &entry, &p->limits))
		return -errno;
	return 0;
}

int protect_open(struct protect *p, const struct loader *l)
{
	int r = read_limits(p, l);

	if (!r)
		r = read_ranges(p, l->map[MAP_PROTECT_SOURCES]);
	return r ? log_err(r, "read the ConnectionPolicy in force") : 0;
}

void protect_free(struct protect *p)
{
	free(p->ranges.items);
	*p = (struct protect){ 0 };
}

/* ---- bringing it up to date ---- */

static int put_ranges(const struct loader *l, const struct protect_change *c)
{
	for (size_t i = 0; i < c->put.count; i++)
		if (bpf_map_update_elem(l->map[MAP_PROTECT_SOURCES], &c->put.items[i].key,
					&c->put.items[i].verdict, BPF_ANY))
			return -errno;
	return 0;
}

static int take_ranges(const struct loader *l, const struct protect_change *c)
{
	for (size_t i = 0; i < c->gone.count; i++)
		if (bpf_map_delete_elem(l->map[MAP_PROTECT_SOURCES], &c->gone.items[i].key) &&
		    errno != ENOENT)
			return -errno;
	return 0;
}

/* The entry that was in force before the one that is may still be read. */
static int put_limits(struct protect *p, const struct loader *l,
		      const struct protect_limits *wanted, void (*wait)(void *arg), void *arg)
{
	__u64 turn = p->turn + 1;
	__u32 zero = 0, entry = turn % 2;

	if (!memcmp(&p->limits, wanted, sizeof(*wanted)))
		return 0;
	if (p->changed_ms && clock_ms() < p->changed_ms + PROTECT_PAUSE_MS)
		wait(arg);
	if (bpf_map_update_elem(l->map[MAP_PROTECT], &entry, wanted, BPF_ANY) ||
	    bpf_map_update_elem(l->map[MAP_PROTECT_TURN], &zero, &turn, BPF_ANY))
		return -errno;
	p->limits = *wanted;
	p->turn = turn;
	p->changed_ms = clock_ms();
	return 0;
}

static int keep_ranges(struct protect *p, const struct protection *wanted)
{
	struct protect_range *items = NULL;

	if (wanted->ranges.count) {
		items = malloc(wanted->ranges.count * sizeof(*items));
		if (!items)
			return -ENOMEM;
		memcpy(items, wanted->ranges.items, wanted->ranges.count * sizeof(*items));
	}
	free(p->ranges.items);
	p->ranges.items = items;
	p->ranges.count = p->ranges.room = wanted->ranges.count;
	return 0;
}

/* What both policies let through passes all the while: what is new comes first, what goes goes
 * last. */
static int change(struct protect *p, const struct loader *l, const struct protection *wanted,
		  const struct protect_change *c, void (*wait)(void *arg), void *arg)
{
	int r = put_ranges(l, c);

	if (!r)
		r = put_limits(p, l, &wanted->limits, wait, arg);
	return r ? r : take_ranges(l, c);
}

int protect_publish(struct protect *p, const struct loader *l, const struct protection *wanted,
		    void (*wait)(void *arg), void *arg)
{
	struct protect_change c = { 0 };
	int r = protect_compare(p->ranges.items, p->ranges.count, wanted->ranges.items,
				wanted->ranges.count, &c);

	if (!r)
		r = change(p, l, wanted, &c, wait, arg);
	if (!r && (c.put.count || c.gone.count))
		r = keep_ranges(p, wanted);
	protect_change_free(&c);
	if (r && read_ranges(p, l->map[MAP_PROTECT_SOURCES]))
		log_warning("what is left of the ConnectionPolicy in force can't be read");
	return r ? log_err(r, "put the ConnectionPolicy into the kernel") : 0;
}
