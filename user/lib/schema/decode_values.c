/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/schema/decode.h"

static bool decode_text(struct decoder *d, const struct node *value, bool named, const char **out)
{
	static const char *const what[] = {
		[SCALAR_NULL] = "a string",
		[SCALAR_BOOL] = "a string (in quotes, or it is a truth value)",
		[SCALAR_INT] = "a string (in quotes, or it is a number)",
		[SCALAR_FLOAT] = "a string (in quotes, or it is a number)",
	};
	const char *text = node_text(value);
	bool letter = node_is_letter_bool(value);
	enum scalar_type type = letter && !named ? SCALAR_BOOL : node_scalar(value);

	if (!text || type != SCALAR_STRING) {
		decode_expected(d, value, NULL, text ? what[type] : "a string");
		return false;
	}
	if (letter)
		decode_warn(d, value, NULL,
			    "taken as \"%s\"; kubectl takes it for a truth value, unless it is in "
			    "quotes",
			    text);
	node_take(value, TAKEN_TEXT);
	*out = text;
	return true;
}

/* Many an object is called by one letter. */
bool decode_string(struct decoder *d, const struct node *value, const char **out)
{
	return decode_text(d, value, true, out);
}

bool decode_strings(struct decoder *d, const struct node *value, struct strs *out)
{
	const struct node *list = node_target(value), *n;
	struct path here = { .up = d->path };
	size_t i = 0;
	bool ok = true;

	if (list->type != NODE_LIST) {
		decode_expected(d, value, NULL, "a list of strings");
		return false;
	}
	if (!decode_count(d, value, list->count))
		return false;
	out->items = decode_alloc(d, list->count * sizeof(*out->items));
	out->at = decode_alloc(d, list->count * sizeof(*out->at));
	if (!out->items || !out->at)
		return false;
	d->path = &here;
	for (n = list->child; n; n = n->next, i++) {
		here.index = i;
		out->items[i] = "";
		out->at[i] = node_pos(n);
		ok &= decode_string(d, n, &out->items[i]);
	}
	d->path = here.up;
	out->count = i;
	return ok;
}

bool decode_count(struct decoder *d, const struct node *node, size_t count)
{
	return decode_at_most(d, node, count, DECODE_LIST_MAX);
}

bool decode_at_most(struct decoder *d, const struct node *node, size_t count, int64_t max)
{
	if (!max)
		max = DECODE_LIST_MAX;
	if (count <= (size_t)max)
		return true;
	decode_error(d, node, NULL, "expected at most %" PRId64 " elements, not %zu", max, count);
	return false;
}

/* How much room there is follows from the count: the next power of two. */
static size_t room_for(size_t count)
{
	size_t room = 1;

	if (!count)
		return 0;
	while (room < count)
		room *= 2;
	return room;
}

void *decode_grow(struct decoder *d, void *items, size_t count, size_t more, size_t size)
{
	void *grown;

	if (count + more <= room_for(count))
		return items;
	grown = decode_alloc(d, room_for(count + more) * size);
	if (grown && count)
		memcpy(grown, items, count * size);
	return grown;
}

bool decode_strs_append(struct decoder *d, struct strs *strs, const char *s,
			const struct node *node)
{
	const char **items;
	struct pos *positions;

	if (!decode_count(d, node, strs->count + 1))
		return false;
	items = decode_grow(d, strs->items, strs->count, 1, sizeof(*items));
	positions = decode_grow(d, strs->at, strs->count, 1, sizeof(*positions));
	if (!items || !positions)
		return false;
	items[strs->count] = s;
	positions[strs->count] = node_pos(node);
	strs->items = items;
	strs->at = positions;
	strs->count++;
	return true;
}

bool decode_kvs(struct decoder *d, const struct node *value, const struct field *f, struct kvs *out)
{
	const struct node *map = node_target(value), *k;
	struct path here = { .up = d->path, .key = true };
	bool ok = true;

	if (map->type != NODE_MAP) {
		decode_expected(d, value, NULL, "a map of strings");
		return false;
	}
	out->items = decode_alloc(d, map->count * sizeof(*out->items));
	if (!out->items)
		return false;
	d->path = &here;
	for (k = map->child; k; k = k->next->next) {
		struct kv *kv = &out->items[out->count++];

		here.name = kv->key = node_text(k);
		kv->value = "";
		kv->pos = node_pos(k);
		if ((f->type == FIELD_FULL_KVS && !d->kept) || !node_is_null(k->next))
			ok &= decode_text(d, k->next, f->selects, &kv->value);
	}
	d->path = here.up;
	return ok;
}

/* A number in quotes looks right in a message that quotes what was there: say what is wrong with
 * it. */
static const char *without_quotes(const struct node *value)
{
	return node_target(value)->quoted ? " without quotes" : "";
}

bool decode_bool(struct decoder *d, const struct node *value, bool *out)
{
	if (node_scalar(value) != SCALAR_BOOL && !node_is_letter_bool(value)) {
		decode_expected(d, value, NULL,
				*without_quotes(value) ? "true or false without quotes"
						       : "true or false");
		return false;
	}
	*out = node_true(value);
	node_take(value, TAKEN_BOOL);
	return true;
}

/* A number's value as far as it is a whole one, be it written as 80.0. */
static bool whole_number(const struct node *value, int64_t *out)
{
	double number;

	if (node_int(value, out))
		return true;
	if (node_scalar(value) != SCALAR_FLOAT || !node_number(value, &number))
		return false;
	if (!(number > -1e15 && number < 1e15) || number != (double)(int64_t)number)
		return false;
	*out = (int64_t)number;
	return true;
}

bool decode_integer(struct decoder *d, const struct node *value, int64_t min, int64_t max,
		    int64_t *out)
{
	char what[96];
	int64_t n;

	if (whole_number(value, &n) && n >= min && n <= max) {
		*out = n;
		return true;
	}
	snprintf(what, sizeof(what), "a whole number from %" PRId64 " to %" PRId64 "%s", min, max,
		 without_quotes(value));
	decode_expected(d, value, NULL, what);
	return false;
}

bool decode_double(struct decoder *d, const struct node *value, double *out)
{
	if (node_number(value, out))
		return true;
	decode_expected(d, value, NULL,
			*without_quotes(value) ? "a number without quotes" : "a number");
	return false;
}

static int unit_ns(const char **s, int64_t *ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "ns", 1 },	       { "us", 1000 },	       { "\xc2\xb5s", 1000 },
		{ "\xce\xbcs", 1000 }, { "ms", 1000000 },      { "s", 1000000000 },
		{ "m", 60000000000 },  { "h", 3600000000000 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t len = strlen(units[i].name);

		if (!strncmp(*s, units[i].name, len)) {
			*s += len;
			*ns = units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

/* Digits before and behind the point, as a whole number and a fraction of 10^-places. */
static int read_decimal(const char **s, int64_t *whole, int64_t *fraction, int64_t *scale)
{
	bool digits = false;

	*whole = *fraction = 0;
	*scale = 1;
	for (; **s >= '0' && **s <= '9'; (*s)++, digits = true)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, **s - '0', whole))
			return -ERANGE;
	if (**s == '.')
		for ((*s)++; **s >= '0' && **s <= '9'; (*s)++, digits = true) {
			/* A billionth of the largest unit is far below a millisecond already. */
			if (*scale >= 1000000000000)
				continue;
			*fraction = *fraction * 10 + (**s - '0');
			*scale *= 10;
		}
	return digits ? 0 : -EINVAL;
}

int decode_duration_ns(const char *s, int64_t *ns)
{
	bool minus = *s == '-';
	int64_t total = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (!strcmp(s, "0")) {
		*ns = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		int64_t whole, fraction, scale, unit, part;
		int r = read_decimal(&s, &whole, &fraction, &scale);

		if (!r)
			r = unit_ns(&s, &unit);
		if (r)
			return r;
		if (__builtin_mul_overflow(whole, unit, &part) ||
		    __builtin_add_overflow(part, (int64_t)((__int128)fraction * unit / scale),
					   &part) ||
		    __builtin_add_overflow(total, part, &total))
			return -ERANGE;
	}
	*ns = minus ? -total : total;
	return 0;
}

bool decode_duration(struct decoder *d, const struct node *value, int64_t min_ms, msecs *out)
{
	char what[96];
	const char *s;
	int64_t ns;
	int r;

	s = node_scalar(value) == SCALAR_STRING ? node_text(value) : NULL;
	r = s && strlen(s) <= DECODE_DURATION_MAX ? decode_duration_ns(s, &ns) : -EINVAL;
	if (r) {
		decode_expected(d, value, NULL,
				r == -ERANGE ? "a shorter duration"
					     : "a duration like 1h30m, 2s or 500ms");
		return false;
	}
	if (ns < min_ms * 1000000) {
		snprintf(what, sizeof(what),
			 min_ms ? "a duration of at least %" PRId64 "ms"
				: "a duration of 0s or more",
			 min_ms);
		decode_expected(d, value, NULL, what);
		return false;
	}
	if (ns % 1000000) {
		decode_expected(d, value, NULL, "a duration in whole milliseconds");
		return false;
	}
	*out = ns / 1000000;
	return true;
}
