/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/schema/decode.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/similar.h"

static void *at_offset(void *base, size_t at)
{
	return (char *)base + at - 1;
}

/* Whether `key` is `name`, or (where `snake`) its snake_case spelling: every "_x" stands for "X".
 */
static bool names_field(const char *key, const char *name, bool snake)
{
	if (!strcmp(key, name))
		return true;
	if (!snake)
		return false;
	for (; *key && *name; key++, name++) {
		if (*key == '_' && key[1]) {
			if (toupper((unsigned char)*++key) != *name)
				return false;
		} else if (*key != *name) {
			return false;
		}
	}
	return !*key && !*name;
}

static const struct node *find_value(const struct decoder *d, const struct node *map,
				     const char *name)
{
	map = node_target(map);
	if (map->type != NODE_MAP)
		return NULL;
	for (const struct node *k = map->child; k; k = k->next->next)
		if (names_field(node_text(k), name, d->strict) && !node_is_null(k->next))
			return k->next;
	return NULL;
}

const struct node *decode_at(const struct decoder *d, const struct node *map, const char *name)
{
	const struct node *value = find_value(d, map, name);

	return value ? value : map;
}

bool decode_given(const struct decoder *d, const struct node *map, const char *name)
{
	return find_value(d, map, name);
}

static const struct field *find_field(const struct message *m, const char *key, bool snake)
{
	for (const struct field *f = m->fields; f->name; f++)
		if (names_field(key, f->name, snake))
			return f;
	return NULL;
}

static void refuse_unknown(struct decoder *d, const struct message *m, const struct node *key)
{
	const char *text = node_text(key);
	struct similar near = similar_to(text);
	char shown[160];

	for (const struct field *f = m->fields; f->name; f++)
		similar_offer(&near, f->name);
	snprintf(shown, sizeof(shown), decode_key_is_plain(text) ? "%.64s" : "\"%.64s\"", text);
	if (near.best)
		decode_error(d, key, shown, "unknown field, did you mean \"%s\"?", near.best);
	else
		decode_error(d, key, shown, "unknown field");
}

static void decode_enum(struct decoder *d, const struct field *f, const struct node *value,
			int *out)
{
	char expected[512] = "one of";
	size_t used = strlen(expected);
	const char *s;

	if (!decode_string(d, value, &s))
		return;
	for (const struct word *w = f->words; w->name; w++) {
		if (!strcmp(w->name, s)) {
			*out = w->value;
			return;
		}
		if (used < sizeof(expected))
			used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%s %s",
						 w == f->words ? "" : ",", w->name);
	}
	decode_expected(d, value, NULL, expected);
}

/* A list (or map) and its count, as every list of the model is laid out. */
struct items {
	void *items;
	size_t count;
};

static void decode_pointer(struct decoder *d, const struct field *f, const struct node *value,
			   void *target)
{
	void *p = decode_alloc(d, f->message->size);

	if (!p)
		return;
	decode_message(d, f->message, value, p);
	memcpy(target, &p, sizeof(p));
}

static void decode_number(struct decoder *d, const struct field *f, const struct node *value,
			  void *target)
{
	int64_t n;

	if (!decode_integer(d, value, f->min, f->max, &n))
		return;
	if (f->type == FIELD_INT32)
		*(int32_t *)target = (int32_t)n;
	else if (f->type == FIELD_UINT16)
		*(uint16_t *)target = (uint16_t)n;
	else
		*(int64_t *)target = n;
}

static void decode_bounded_string(struct decoder *d, const struct field *f,
				  const struct node *value, const char **out)
{
	char what[64];

	if (!decode_string(d, value, out) || !f->max || strlen(*out) <= (size_t)f->max)
		return;
	snprintf(what, sizeof(what), "at most %d bytes", (int)f->max);
	decode_expected(d, value, NULL, what);
}

static void decode_bounded_double(struct decoder *d, const struct field *f,
				  const struct node *value, double *out)
{
	if (decode_double(d, value, out) && f->what && (*out < f->least || *out > f->most))
		decode_expected(d, value, NULL, f->what);
}

static void decode_value(struct decoder *d, const struct field *f, const struct node *value,
			 void *target)
{
	struct items *items = target;

	switch (f->type) {
	case FIELD_STRING:
		decode_bounded_string(d, f, value, target);
		break;
	case FIELD_STRINGS:
		decode_strings(d, value, target);
		break;
	case FIELD_KVS:
	case FIELD_FULL_KVS:
		decode_kvs(d, value, f, target);
		break;
	case FIELD_BOOL:
		decode_bool(d, value, target);
		break;
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT16:
		decode_number(d, f, value, target);
		break;
	case FIELD_DOUBLE:
		decode_bounded_double(d, f, value, target);
		break;
	case FIELD_DURATION:
		decode_duration(d, value, f->min, target);
		break;
	case FIELD_ENUM:
		decode_enum(d, f, value, target);
		break;
	case FIELD_MESSAGE:
		decode_message(d, f->message, value, target);
		break;
	case FIELD_POINTER:
		decode_pointer(d, f, value, target);
		break;
	case FIELD_LIST:
	case FIELD_MAP:
		if (decode_at_most(d, value, node_target(value)->count, f->max))
			decode_list(d, value, f->message, &items->items, &items->count,
				    f->type == FIELD_MAP);
		break;
	case FIELD_CUSTOM:
		f->decode(d, value, target);
		break;
	case FIELD_IGNORED:
	case FIELD_REFUSED:
		break;
	}
}

static void decode_field(struct decoder *d, const struct field *f, const struct node *key,
			 void *target)
{
	struct path here = { .up = d->path, .name = f->name };
	size_t errors = d->reported;

	d->path = &here;
	if (f->pos_at)
		*(struct pos *)at_offset(target, f->pos_at) = node_pos(key);
	if (f->given_at)
		*(bool *)at_offset(target, f->given_at) = true;
	if (f->type == FIELD_REFUSED)
		decode_refuse(d, key, f->refused);
	else
		decode_value(d, f, key->next, (char *)target + f->offset);
	/* What could not be decoded would only be complained about twice. */
	if (f->check && d->reported == errors)
		f->check(d, key->next, (char *)target + f->offset);
	d->path = here.up;
}

static void require_fields(struct decoder *d, const struct message *m, const struct node *node,
			   uint64_t seen)
{
	for (const struct field *f = m->fields; f->name; f++)
		if (f->required && !(seen & 1ull << (f - m->fields)))
			decode_error(d, node, f->name, "required, but not given");
}

void decode_message(struct decoder *d, const struct message *m, const struct node *node,
		    void *target)
{
	const struct node *map = node_target(node);
	size_t errors = d->reported;
	uint64_t seen = 0;

	if (m->pos_at)
		*(struct pos *)at_offset(target, m->pos_at) = node_pos(node);
	if (m->given_at)
		*(bool *)at_offset(target, m->given_at) = true;
	if (m->init)
		m->init(target);
	if (map->type != NODE_MAP && !(m->null_ok && node_is_null(node))) {
		decode_expected(d, node, NULL, m->what);
		return;
	}
	for (const struct node *k = map->type == NODE_MAP ? map->child : NULL; k;
	     k = k->next->next) {
		const struct field *f = find_field(m, node_text(k), d->strict);

		if (!f) {
			if (d->strict || m->whole)
				refuse_unknown(d, m, k);
			continue;
		}
		if (node_is_null(k->next))
			continue;
		if (seen & 1ull << (f - m->fields)) {
			decode_error(d, k, f->name, "expected once, not in two spellings");
			continue;
		}
		seen |= 1ull << (f - m->fields);
		decode_field(d, f, k, target);
	}
	require_fields(d, m, node, seen);
	if (m->finish)
		m->finish(d, node, target);
	if (m->check && d->reported == errors)
		m->check(d, node, target);
}

bool decode_list(struct decoder *d, const struct node *value, const struct message *m, void **items,
		 size_t *count, bool keyed)
{
	const struct node *list = node_target(value), *n;
	struct path here = { .up = d->path };
	char *at;

	if (list->type != (keyed ? NODE_MAP : NODE_LIST)) {
		decode_expected(d, value, NULL, keyed ? "a map" : "a list");
		return false;
	}
	at = decode_alloc(d, list->count * m->size);
	if (!at)
		return false;
	*items = at;
	*count = list->count;
	d->path = &here;
	for (n = list->child; n; n = n->next, at += m->size) {
		if (keyed) {
			here.name = *(const char **)at = node_text(n);
			here.key = true;
			n = n->next;
		}
		decode_message(d, m, n, at);
		here.index++;
	}
	d->path = here.up;
	return true;
}
