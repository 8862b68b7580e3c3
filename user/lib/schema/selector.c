// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/schema/selector.h"
#include "lib/schema/validate.h"

struct scan {
	const char *at;
	struct arena *arena;
	size_t room; /* for as many values: commas in the text and one more */
	char *why;
	size_t size;
};

static int wrong(const struct scan *s, const char *expected, const char *seen)
{
	if (*seen)
		snprintf(s->why, s->size, "expected %s, not \"%.64s\"", expected, seen);
	else
		snprintf(s->why, s->size, "expected %s at the end", expected);
	return -EINVAL;
}

static void skip_blanks(struct scan *s)
{
	while (isspace((unsigned char)*s->at))
		s->at++;
}

/* The word that stands here, "" if there is none. NULL when out of memory. */
static const char *take_word(struct scan *s)
{
	size_t len;
	const char *word;

	skip_blanks(s);
	len = strcspn(s->at, " \t\n=!<>(),");
	word = arena_strndup(s->arena, s->at, len);
	s->at += len;
	return word;
}

static bool take_text(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	skip_blanks(s);
	if (strncmp(s->at, text, len) != 0)
		return false;
	s->at += len;
	return true;
}

static int take_value(struct scan *s, struct requirement *r)
{
	const char *value = take_word(s);

	if (!value)
		return -ENOMEM;
	if (*value && !valid_label_value(value))
		return wrong(s, "a label's value", value);
	r->values.items[r->values.count++] = value;
	return 0;
}

/* "(a, b)" behind in and notin. */
static int take_set(struct scan *s, struct requirement *r)
{
	const char *before = "(";
	int e = 0;

	do {
		if (!take_text(s, before))
			return wrong(s, *before == '(' ? "\"(\"" : "\",\" or \")\"", s->at);
		e = take_value(s, r);
		before = ",";
	} while (!e && !take_text(s, ")"));
	return e;
}

static int take_number(struct scan *s, struct requirement *r)
{
	const char *word = take_word(s);
	char *end;

	if (!word)
		return -ENOMEM;
	errno = 0;
	r->number = strtoll(word, &end, 10);
	return end == word || *end || errno ? wrong(s, "a number", word) : 0;
}

static int take_word_operator(struct scan *s, struct requirement *r)
{
	const char *word = take_word(s);

	if (!word)
		return -ENOMEM;
	r->relation = SELECTOR_EXISTS;
	if (!*word)
		return 0;
	if (strcmp(word, "in") != 0 && strcmp(word, "notin") != 0)
		return wrong(s, "in or notin", word);
	r->relation = *word == 'i' ? SELECTOR_IN : SELECTOR_NOT_IN;
	return take_set(s, r);
}

/* What is behind a key: a relation and its values, or nothing. */
static int take_condition(struct scan *s, struct requirement *r)
{
	static const struct {
		const char *text;
		enum selector_relation relation;
	} operators[] = {
		{ "==", SELECTOR_IN },	   { "=", SELECTOR_IN },   { "!=", SELECTOR_NOT_IN },
		{ ">", SELECTOR_GREATER }, { "<", SELECTOR_LESS },
	};

	for (size_t i = 0; i < sizeof(operators) / sizeof(*operators); i++) {
		if (!take_text(s, operators[i].text))
			continue;
		r->relation = operators[i].relation;
		return r->relation >= SELECTOR_GREATER ? take_number(s, r) : take_value(s, r);
	}
	return take_word_operator(s, r);
}

static int take_requirement(struct scan *s, struct requirement *r)
{
	bool absent = take_text(s, "!");
	int e = 0;

	r->key = take_word(s);
	r->values.items = arena_alloc(s->arena, s->room * sizeof(*r->values.items));
	if (!r->key || !r->values.items)
		return -ENOMEM;
	if (!valid_label_key(r->key))
		return wrong(s, "a label's key", *r->key ? r->key : s->at);
	if (absent)
		r->relation = SELECTOR_ABSENT;
	else
		e = take_condition(s, r);
	skip_blanks(s);
	return e ? e : *s->at && *s->at != ',' ? wrong(s, "\",\"", s->at) : 0;
}

static int take_all(struct scan *s, struct selector *out)
{
	int e = 0;

	out->items = arena_alloc(s->arena, s->room * sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	skip_blanks(s);
	if (!*s->at)
		return 0;
	do
		e = take_requirement(s, &out->items[out->count++]);
	while (!e && take_text(s, ","));
	return e;
}

int selector_parse(const char *text, struct selector *out, char *why, size_t size)
{
	struct selector new = { .arena = arena_new() };
	struct scan s = { text, new.arena, 1, why, size };
	int e;

	for (const char *at = text; *at; at++)
		s.room += *at == ',';
	e = new.arena ? take_all(&s, &new) : -ENOMEM;
	if (e)
		selector_free(&new);
	else
		*out = new;
	return e;
}

static const char *value_of(const struct kvs *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++)
		if (strcmp(labels->items[i].key, key) == 0)
			return labels->items[i].value;
	return NULL;
}

static bool is_one_of(const struct strs *values, const char *value)
{
	for (size_t i = 0; i < values->count; i++)
		if (strcmp(values->items[i], value) == 0)
			return true;
	return false;
}

static bool holds(const struct requirement *r, const char *value)
{
	char *end;
	long long number;

	switch (r->relation) {
	case SELECTOR_IN:
		return value && is_one_of(&r->values, value);
	case SELECTOR_NOT_IN:
		return !value || !is_one_of(&r->values, value);
	case SELECTOR_EXISTS:
		return value;
	case SELECTOR_ABSENT:
		return !value;
	case SELECTOR_GREATER:
	case SELECTOR_LESS:
		number = value ? strtoll(value, &end, 10) : 0;
		if (!value || end == value || *end)
			return false;
		return r->relation == SELECTOR_GREATER ? number > r->number : number < r->number;
	}
	return false;
}

bool selector_matches(const struct selector *s, const struct kvs *labels)
{
	for (size_t i = 0; i < s->count; i++)
		if (!holds(&s->items[i], value_of(labels, s->items[i].key)))
			return false;
	return true;
}

void selector_free(struct selector *s)
{
	arena_unref(s->arena);
	*s = (struct selector){ 0 };
}
