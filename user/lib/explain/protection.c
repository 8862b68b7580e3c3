// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/protection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

enum { V4_BITS = 96 }; /* an IPv4 prefix is so much longer in its 16 bytes */

/* ---- what it says ---- */

void protection_rate_text(const struct token_bucket *b, char *out, size_t size)
{
	if (b->rate)
		snprintf(out, size, "%d/s, %d at once", b->rate, b->burst);
	else
		snprintf(out, size, "any");
}

void protection_cookies_text(const struct cookie_policy *c, char *out, size_t size)
{
	if (c->mode == SYN_COOKIES_AUTO)
		snprintf(out, size, "Auto above %d/s", c->threshold);
	else
		snprintf(out, size, "%s", c->mode == SYN_COOKIES_ALWAYS ? "Always" : "Never");
}

static size_t count_of(const struct protection *p, __u32 verdict)
{
	size_t n = 0;

	for (size_t i = 0; i < p->ranges.count; i++)
		n += p->ranges.items[i].verdict == verdict;
	return n;
}

static void write_ranges(FILE *f, const struct protection *p)
{
	size_t allowed = count_of(p, PROTECT_ALLOW), denied = count_of(p, PROTECT_DENY);

	if (p->limits.flags & PROTECT_ALLOW_LISTED)
		fprintf(f, "%zu subnet%s allowed", allowed, allowed == 1 ? "" : "s");
	else
		fputs("everyone allowed", f);
	if (denied)
		fprintf(f, ", %zu denied", denied);
}

static void write_rates(FILE *f, const struct protect_limits *l)
{
	if (l->source_rate)
		fprintf(f, "; %u new connections per second of a source (%u at once)",
			l->source_rate, l->source_burst);
	if (l->total_rate)
		fprintf(f, "; %u new connections per second in all (%u at once)", l->total_rate,
			l->total_burst);
	if (l->flags & PROTECT_COOKIES_ALWAYS)
		fputs("; SYN cookies", f);
	if (l->flags & PROTECT_COOKIES_AUTO)
		fprintf(f, "; SYN cookies above %u per second", l->cookie_threshold);
	for (__u32 i = 0; i < l->port_count; i++)
		fprintf(f, "%s%u",
			i		     ? ", "
			: l->port_count == 1 ? "; port "
					     : "; ports ",
			l->ports[i]);
}

char *protection_text(const struct protection *p)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (p->limits.flags & PROTECT_ON) {
		write_ranges(f, p);
		write_rates(f, &p->limits);
	} else {
		fputs("none", f);
	}
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- what becomes of a caller ---- */

static const struct object *find_policy(const struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i]->kind == KIND_CONNECTION_POLICY)
			return objects->items[i];
	return NULL;
}

static bool speaks_of(const struct protect_limits *l, const struct protection_query *q)
{
	for (__u32 i = 0; i < l->port_count; i++)
		if (l->ports[i] == q->port)
			return true;
	return !l->port_count && q->served;
}

/* "spec.deny[1], 203.0.113.0/24": the first of the list that the table's row was made of. */
static void write_range(FILE *f, const char *list, const struct cidr_list *ranges,
			const struct protect_range *row, const struct addr *from)
{
	char text[ADDR_TEXT_MAX];
	size_t i = 0;
	bool v4;

	while (i < ranges->count && !(ranges->items[i].prefix == row->key.prefixlen &&
				      cidr_holds(&ranges->items[i], from)))
		i++;
	if (i == ranges->count)
		return;
	addr_format(&ranges->items[i].addr, text);
	v4 = addr_is_v4(&ranges->items[i].addr) && ranges->items[i].prefix >= V4_BITS;
	fprintf(f, "spec.%s[%zu], %s/%u", list, i, text,
		ranges->items[i].prefix - (v4 ? V4_BITS : 0));
}

static void write_verdict(FILE *f, const struct protection *p, const struct object *policy,
			  const struct addr *from, bool *dropped)
{
	const struct protect_range *row = protection_find(p, from);
	bool listed = p->limits.flags & PROTECT_ALLOW_LISTED;
	__u32 verdict = row ? row->verdict : 0;
	char text[ADDR_TEXT_MAX];

	addr_format(from, text);
	*dropped = verdict == PROTECT_DENY || (listed && verdict != PROTECT_ALLOW);
	fprintf(f, *dropped ? "drops what comes from %s: " : "lets %s in: ", text);
	if (verdict == PROTECT_DENY)
		write_range(f, "deny", &policy->protection.deny, row, from);
	else if (verdict == PROTECT_ALLOW)
		write_range(f, "allow", &policy->protection.allow, row, from);
	else
		fputs(listed ? "it is in no subnet of spec.allow" : "no subnet of spec.deny has it",
		      f);
}

static void write_answer(FILE *f, const struct protection *p, const struct object *policy,
			 const struct addr *from, bool *dropped)
{
	char at[PLACE_MAX];

	fprintf(f, "ConnectionPolicy %s (%s) ", policy->meta.name,
		place_text(at, sizeof(at), policy->file, policy->pos));
	if (from) {
		write_verdict(f, p, policy, from, dropped);
		if (!*dropped)
			write_rates(f, &p->limits);
	} else {
		fputs("is in force: ", f);
		write_ranges(f, p);
		write_rates(f, &p->limits);
	}
}

int protection_ask(const struct protection *p, const struct objects *objects,
		   const struct protection_query *q, bool *dropped, char **why)
{
	const struct object *policy = find_policy(objects);
	char *text = NULL;
	size_t size;
	FILE *f;

	*dropped = false;
	*why = NULL;
	if (!policy || !(p->limits.flags & PROTECT_ON) || !speaks_of(&p->limits, q))
		return 0;
	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	write_answer(f, p, policy, q->from, dropped);
	if (fclose(f)) {
		free(text);
		return -ENOMEM;
	}
	*why = text;
	return 0;
}
