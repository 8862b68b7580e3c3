// SPDX-License-Identifier: Apache-2.0
#include "lib/model/label_selector.h"

#include <string.h>

#include "lib/model/hostname.h"

static const char *value_of(const struct kvs *labels, const struct kv *implied, const char *key)
{
	for (size_t i = 0; i < labels->count; i++)
		if (!strcmp(labels->items[i].key, key))
			return labels->items[i].value ? labels->items[i].value : "";
	return implied && !strcmp(implied->key, key) ? implied->value : NULL;
}

static bool is_one_of(const struct strs *values, const char *value)
{
	for (size_t i = 0; i < values->count; i++)
		if (!strcmp(values->items[i], value))
			return true;
	return false;
}

static bool expression_holds(const struct label_expression *e, const char *value)
{
	switch (e->operator) {
	case LABEL_IN:
		return value && is_one_of(&e->values, value);
	case LABEL_NOT_IN:
		return !value || !is_one_of(&e->values, value);
	case LABEL_EXISTS:
		return value;
	default:
		return !value;
	}
}

bool label_selector_holds(const struct label_selector *s, const struct kvs *labels,
			  const struct kv *implied)
{
	for (size_t i = 0; i < s->labels.count; i++) {
		const struct kv *wanted = &s->labels.items[i];

		if (!str_eq(value_of(labels, implied, wanted->key),
			    wanted->value ? wanted->value : ""))
			return false;
	}
	for (size_t i = 0; i < s->expressions.count; i++) {
		const struct label_expression *e = &s->expressions.items[i];

		if (!expression_holds(e, value_of(labels, implied, e->key)))
			return false;
	}
	return true;
}
