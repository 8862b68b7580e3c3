/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml/tree.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct node *node_key(const struct node *map, const char *key)
{
	const struct node *k;

	if (!map)
		return NULL;
	map = node_target(map);
	if (map->type != NODE_MAP)
		return NULL;
	for (k = map->child; k; k = k->next->next) {
		const struct node *text = node_target(k);

		if (text->type == NODE_SCALAR && !strcmp(text->text, key))
			return k;
	}
	return NULL;
}

const struct node *node_get(const struct node *map, const char *key)
{
	const struct node *k = node_key(map, key);

	return k ? k->next : NULL;
}

const char *node_text(const struct node *n)
{
	n = node_target(n);
	return n->type == NODE_SCALAR ? n->text : NULL;
}

static bool one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(s, *words))
			return true;
	return false;
}

static size_t span(const char *s, const char *set)
{
	return strspn(s, set);
}

/* Decimal, 0x, 0o and 0b integers, signs, and '_' nowhere: what kubectl's parser takes for a
 * number. */
static bool looks_int(const char *s)
{
	static const char *const digits[] = { "x0123456789abcdefABCDEF", "o01234567", "b01" };

	s += *s == '-' || *s == '+';
	if (s[0] == '0' && s[1])
		for (size_t i = 0; i < 3; i++)
			if (s[1] == digits[i][0])
				return s[2] && !s[2 + span(s + 2, digits[i] + 1)];
	return *s && !s[span(s, "0123456789")];
}

static bool looks_float(const char *s)
{
	static const char *const special[] = {
		".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL
	};
	size_t whole, fraction = 0;

	s += *s == '-' || *s == '+';
	if (one_of(s, special))
		return true;
	whole = span(s, "0123456789");
	s += whole;
	if (*s == '.') {
		fraction = span(s + 1, "0123456789");
		s += 1 + fraction;
	}
	if (!whole && !fraction)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!span(s, "0123456789"))
			return false;
		s += span(s, "0123456789");
	}
	return !*s;
}

enum scalar_type node_scalar(const struct node *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const bools[] = { "true",  "True", "TRUE", "false", "False",
					     "FALSE", "yes",  "Yes",  "YES",   "no",
					     "No",    "NO",   "on",   "On",    "ON",
					     "off",   "Off",  "OFF",  NULL };

	n = node_target(n);
	if (n->type != NODE_SCALAR || n->quoted)
		return SCALAR_STRING;
	if (one_of(n->text, nulls))
		return SCALAR_NULL;
	if (one_of(n->text, bools))
		return SCALAR_BOOL;
	if (looks_int(n->text))
		return SCALAR_INT;
	return looks_float(n->text) ? SCALAR_FLOAT : SCALAR_STRING;
}

bool node_int(const struct node *n, int64_t *out)
{
	const char *s = node_text(n), *digits;
	int64_t value;
	int base = 10;
	char *end;

	if (node_scalar(n) != SCALAR_INT)
		return false;
	digits = s + (*s == '-' || *s == '+');
	/* A leading zero makes it octal, as in YAML 1.1: what kubectl reads. */
	if (digits[0] == '0' && digits[1])
		base = digits[1] == 'x' ? 16 : digits[1] == 'b' ? 2 : 8;
	if (base != 10 && (digits[1] < '0' || digits[1] > '9'))
		digits += 2;
	errno = 0;
	value = strtoll(digits, &end, base);
	if (errno || *end)
		return false;
	*out = *s == '-' ? -value : value;
	return true;
}

bool node_number(const struct node *n, double *out)
{
	enum scalar_type type = node_scalar(n);
	int64_t whole;
	char *end;

	if (type != SCALAR_INT && type != SCALAR_FLOAT)
		return false;
	if (node_int(n, &whole)) {
		*out = (double)whole;
		return true;
	}
	*out = strtod(node_text(n), &end);
	return !*end && isfinite(*out);
}

bool node_true(const struct node *n)
{
	const char *s = node_text(n);

	return node_scalar(n) == SCALAR_BOOL &&
	       (!strcasecmp(s, "true") || !strcasecmp(s, "yes") || !strcasecmp(s, "on"));
}

bool node_is_null(const struct node *n)
{
	n = node_target(n);
	return n->type == NODE_SCALAR && node_scalar(n) == SCALAR_NULL;
}

/* Control characters would garble a terminal; the rest is shown as it stands. */
static void quote(const char *text, char *buf, size_t size)
{
	enum { SHOWN = 64 };
	size_t used = 1, taken = 0;

	buf[0] = '"';
	for (; text[taken] && taken < SHOWN && used + 8 < size; taken++) {
		unsigned char c = (unsigned char)text[taken];

		if (c < 0x20 || c == 0x7f)
			used += (size_t)snprintf(buf + used, size - used, "\\x%02x", c);
		else
			buf[used++] = (char)c;
	}
	/* Not in the middle of a character. */
	while (text[taken] && used > 1 && ((unsigned char)text[taken] & 0xc0) == 0x80) {
		taken--;
		used--;
	}
	snprintf(buf + used, size - used, text[taken] ? "...\"" : "\"");
}

const char *node_describe(const struct node *n, char *buf, size_t size)
{
	n = node_target(n);
	if (n->type == NODE_LIST)
		snprintf(buf, size, "a list");
	else if (n->type == NODE_MAP)
		snprintf(buf, size, "a map");
	else if (node_is_null(n))
		snprintf(buf, size, "nothing");
	else
		quote(n->text, buf, size);
	return buf;
}

void documents_free(struct documents *docs)
{
	for (size_t i = 0; i < docs->count; i++)
		arena_unref(docs->items[i].arena);
	free(docs->items);
	memset(docs, 0, sizeof(*docs));
}
