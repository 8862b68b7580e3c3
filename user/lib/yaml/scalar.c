// SPDX-License-Identifier: Apache-2.0
/*
 * What a plain scalar means. Kubernetes reads YAML 1.1 as sigs.k8s.io/yaml does, which is neither
 * the YAML 1.1 of the standard nor that of other libraries: 12e4567 is a string because it
 * overflows, 1_000 and 0o17 are numbers, 12:30 and 2024-01-31 are strings. y and n are truth values
 * there; here they are only where one is expected, for many an object is called by one letter.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/yaml/tree.h"

enum { NUMBER_MAX = 512 }; /* a longer one with '_' in it is taken for text */

static const char digits[] = "0123456789";

static bool one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(s, *words))
			return true;
	return false;
}

/* The text without its '_', which may stand anywhere in a number; NULL if it is too long. */
static const char *without_underscores(const char *s, char buf[NUMBER_MAX])
{
	size_t n = 0;

	if (!strchr(s, '_'))
		return s;
	for (; *s; s++) {
		if (*s == '_')
			continue;
		if (n == NUMBER_MAX - 1)
			return NULL;
		buf[n++] = *s;
	}
	buf[n] = 0;
	return buf;
}

/* Skips the prefix that tells the base: 0x, 0o, 0b, or the leading zero of an octal number. */
static int number_base(const char **at)
{
	static const struct {
		char letter;
		int base;
	} prefixes[] = { { 'x', 16 }, { 'o', 8 }, { 'b', 2 } };
	const char *s = *at;

	if (s[0] != '0' || !s[1])
		return 10;
	*at += 1;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if ((s[1] | 0x20) == prefixes[i].letter && s[2]) {
			*at += 1;
			return prefixes[i].base;
		}
	return 8;
}

/* A whole number: a signed one of 64 bits, or an unsigned one if it has no sign. */
static bool whole(const char *text, bool *minus, uint64_t *magnitude)
{
	char buf[NUMBER_MAX], *end;
	const char *s = without_underscores(text, buf);
	bool sign;
	int base;

	if (!s || (!strchr("+-", text[0]) && !strchr(digits, text[0])))
		return false;
	sign = *s == '+' || *s == '-';
	*minus = *s == '-';
	s += sign;
	base = number_base(&s);
	/* strtoull() would take blanks, signs and a second 0x. */
	if (!*s || s[strspn(s, "0123456789abcdefABCDEF")])
		return false;
	errno = 0;
	*magnitude = strtoull(s, &end, base);
	if (errno || *end)
		return false;
	return !sign || *magnitude <= (uint64_t)INT64_MAX + *minus;
}

static bool looks_float(const char *s)
{
	size_t before, behind = 0;

	s += *s == '-' || *s == '+';
	before = strspn(s, digits);
	s += before;
	if (*s == '.') {
		behind = strspn(s + 1, digits);
		s += 1 + behind;
	}
	if (!before && !behind)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!strspn(s, digits))
			return false;
		s += strspn(s, digits);
	}
	return !*s;
}

/* Any other number. One that overflows is none. */
static bool fraction(const char *text, double *out)
{
	char buf[NUMBER_MAX];
	const char *s = without_underscores(text, buf);

	/* A number that begins with a point or '_' may not have '_'. */
	if (!s || (s != text && (text[0] == '.' || text[0] == '_')) || !looks_float(s))
		return false;
	*out = strtod(s, NULL);
	return isfinite(*out);
}

static enum scalar_type plain_type(const char *s)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const bools[] = { "true",  "True", "TRUE", "false", "False",
					     "FALSE", "yes",  "Yes",  "YES",   "no",
					     "No",    "NO",   "on",   "On",    "ON",
					     "off",   "Off",  "OFF",  NULL };
	static const char *const specials[] = { ".inf",	 ".Inf",  ".INF",  "+.inf", "+.Inf",
						"+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
						".NaN",	 ".NAN",  NULL };
	uint64_t magnitude;
	double number;
	bool minus;

	/* Most text is known by its first character. */
	if (*s && !strchr("+-.0123456789~yYnNtTfFoO", *s))
		return SCALAR_STRING;
	if (one_of(s, nulls))
		return SCALAR_NULL;
	if (one_of(s, bools))
		return SCALAR_BOOL;
	if (whole(s, &minus, &magnitude))
		return SCALAR_INT;
	return one_of(s, specials) || fraction(s, &number) ? SCALAR_FLOAT : SCALAR_STRING;
}

enum scalar_type node_scalar(const struct node *n)
{
	n = node_target(n);
	if (n->type != NODE_SCALAR || n->quoted)
		return SCALAR_STRING;
	return plain_type(n->text);
}

bool node_is_letter_bool(const struct node *n)
{
	n = node_target(n);
	return n->type == NODE_SCALAR && !n->quoted && n->count == 1 && strchr("yYnN", *n->text);
}

void node_take(const struct node *n, enum node_taken as)
{
	/* The tree is its documents', and no constant. */
	if (node_is_letter_bool(n))
		((struct node *)node_target(n))->taken = (uint8_t)as;
}

bool scalar_was_text(const char *text)
{
	const char *s = text + (*text == '+' || *text == '-');

	return strchr(text, '_') || (s[0] == '0' && s[1] && strchr("XOB", s[1]));
}

bool node_int(const struct node *n, int64_t *out)
{
	uint64_t magnitude;
	bool minus;

	if (node_scalar(n) != SCALAR_INT || !whole(node_text(n), &minus, &magnitude) ||
	    magnitude > (uint64_t)INT64_MAX + minus)
		return false;
	*out = minus ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

bool node_number(const struct node *n, double *out)
{
	enum scalar_type type = node_scalar(n);
	uint64_t magnitude;
	bool minus;

	if (type == SCALAR_INT && whole(node_text(n), &minus, &magnitude)) {
		*out = minus ? -(double)magnitude : (double)magnitude;
		return true;
	}
	return type == SCALAR_FLOAT && fraction(node_text(n), out);
}

bool node_true(const struct node *n)
{
	const char *s = node_text(n);

	return (node_scalar(n) == SCALAR_BOOL || node_is_letter_bool(n)) &&
	       (strchr("tTyY", *s) || !strcasecmp(s, "on"));
}

bool node_is_null(const struct node *n)
{
	n = node_target(n);
	return n->type == NODE_SCALAR && node_scalar(n) == SCALAR_NULL;
}
