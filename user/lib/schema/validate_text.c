/* SPDX-License-Identifier: Apache-2.0 */
/* Values with a syntax of their own: regular expressions and the '%'-expressions of headers. */
#include <string.h>

#include "lib/schema/validate.h"

/*
 * The proxy runs expressions with PCRE2, but rules are written for RE2: what RE2 would not take
 * (look-around, back-references, possessive repetition) must not get through, whatever PCRE2 makes
 * of it.
 */
struct regex {
	const char *at;
	int depth;     /* of open parentheses */
	bool operand;  /* something that can be repeated stands before `at` */
	bool repeated; /* and already was */
	const char *problem;
};

enum { REGEX_REPEAT_MAX = 1000, REGEX_DEPTH_MAX = 1000, REGEX_LENGTH_MAX = 1024 };

static void fail(struct regex *r, const char *problem)
{
	if (!r->problem)
		r->problem = problem;
}

static void operand(struct regex *r)
{
	r->operand = true;
	r->repeated = false;
}

static void scan_escape(struct regex *r, bool in_class)
{
	char c = r->at[1];

	if (!c) {
		fail(r, "a backslash at its end");
		r->at++;
		return;
	}
	r->at += 2;
	if (c == 'Q' && !in_class) {
		const char *end = strstr(r->at, "\\E");

		r->at = end ? end + 2 : r->at + strlen(r->at);
	} else if ((c == 'p' || c == 'P') && *r->at == '{') {
		const char *end = strchr(r->at, '}');

		if (!end)
			fail(r, "\\p{ without }");
		r->at = end ? end + 1 : r->at + strlen(r->at);
	} else if (c >= '1' && c <= '9') {
		fail(r, "back-references are not RE2");
	} else if ((c >= 'a' && c <= 'z' && !strchr("abdfnprstvwxz", c)) ||
		   (c >= 'A' && c <= 'Z' && !strchr("ABCDPQSWE", c))) {
		fail(r, "an escape that RE2 does not have");
	}
	operand(r);
}

static void scan_class(struct regex *r)
{
	const char *start;

	r->at++;
	if (*r->at == '^')
		r->at++;
	/* A bracket that closes right away is meant as itself. */
	start = r->at;
	while (*r->at && (*r->at != ']' || r->at == start)) {
		if (*r->at == '\\') {
			scan_escape(r, true);
			continue;
		}
		if (r->at[0] == '[' && r->at[1] == ':') {
			const char *end = strstr(r->at, ":]");

			if (!end)
				fail(r, "[: without :]");
			r->at = end ? end + 2 : r->at + 1;
			continue;
		}
		if (r->at[1] == '-' && r->at[2] && r->at[2] != ']' && r->at[2] != '\\' &&
		    r->at[2] != '[' && (unsigned char)r->at[0] > (unsigned char)r->at[2])
			fail(r, "a range whose end comes before its beginning");
		r->at++;
	}
	if (!*r->at)
		fail(r, "[ without ]");
	else
		r->at++;
	operand(r);
}

/* "(?i)", "(?i:", "(?:", "(?P<name>", "(?<name>": false for what RE2 does not know. */
static bool scan_group_flags(struct regex *r)
{
	const char *name;

	r->at += 2;
	name = r->at;
	if (*name == 'P')
		name++;
	if (*name == '<') {
		size_t len =
			strspn(name + 1,
			       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

		if (!len || name[1 + len] != '>')
			return false;
		r->at = name + len + 2;
		return true;
	}
	r->at += strspn(r->at, "imsU");
	if (*r->at == '-') {
		size_t off = strspn(r->at + 1, "imsU");

		if (!off)
			return false;
		r->at += 1 + off;
	}
	if (*r->at == ')')
		return true;
	if (*r->at != ':')
		return false;
	r->at++;
	return true;
}

static void scan_open(struct regex *r)
{
	if (++r->depth > REGEX_DEPTH_MAX)
		fail(r, "parentheses nested too deeply");
	if (r->at[1] != '?')
		r->at++;
	else if (!scan_group_flags(r))
		fail(r, "a kind of group that RE2 does not have");
	r->operand = false;
}

static void scan_repeat(struct regex *r)
{
	if (!r->operand)
		fail(r, "nothing to repeat");
	else if (r->repeated)
		fail(r, "a repetition of a repetition");
	r->at++;
	if (*r->at == '?')
		r->at++;
	r->repeated = true;
}

/* A brace that does not open a repetition is meant as itself. */
static void scan_brace(struct regex *r)
{
	const char *s = r->at + 1;
	unsigned low = 0, high = 0;

	if (*s < '0' || *s > '9') {
		r->at++;
		operand(r);
		return;
	}
	for (; *s >= '0' && *s <= '9' && low <= REGEX_REPEAT_MAX; s++)
		low = low * 10 + (unsigned)(*s - '0');
	high = low;
	if (*s == ',') {
		s++;
		if (*s >= '0' && *s <= '9')
			for (high = 0; *s >= '0' && *s <= '9' && high <= REGEX_REPEAT_MAX; s++)
				high = high * 10 + (unsigned)(*s - '0');
	}
	if (*s != '}' && low <= REGEX_REPEAT_MAX && high <= REGEX_REPEAT_MAX) {
		r->at++;
		operand(r);
		return;
	}
	if (low > REGEX_REPEAT_MAX || high > REGEX_REPEAT_MAX || high < low)
		fail(r, "a repetition count that RE2 does not have");
	r->at = s - 1 + (*s == '}');
	scan_repeat(r);
}

const char *regex_problem(const char *s)
{
	struct regex r = { .at = s };

	if (strlen(s) > REGEX_LENGTH_MAX)
		return "it is longer than 1024 characters";
	while (*r.at && !r.problem) {
		switch (*r.at) {
		case '\\':
			scan_escape(&r, false);
			break;
		case '[':
			scan_class(&r);
			break;
		case '(':
			scan_open(&r);
			break;
		case ')':
			if (--r.depth < 0)
				fail(&r, ") without (");
			r.at++;
			operand(&r);
			break;
		case '|':
			r.at++;
			r.operand = false;
			break;
		case '*':
		case '+':
		case '?':
			scan_repeat(&r);
			break;
		case '{':
			scan_brace(&r);
			break;
		default:
			r.at++;
			operand(&r);
		}
	}
	if (r.depth > 0)
		fail(&r, "( without )");
	return r.problem;
}

static const char *skip_spaces(const char *s)
{
	return s + strspn(s, " ");
}

/* A string in quotes, from the opening one; NULL if it does not end. */
static const char *skip_quoted(const char *s)
{
	for (s++; *s && *s != '"'; s++)
		if (*s == '\\' && !*++s)
			return NULL;
	return *s ? s + 1 : NULL;
}

/* ["a", "b"], from the opening bracket. */
static const char *skip_array(const char *s)
{
	do {
		s = skip_spaces(s + 1);
		if (*s != '"')
			return NULL;
		s = skip_quoted(s);
		if (!s)
			return NULL;
		s = skip_spaces(s);
	} while (*s == ',');
	return *s == ']' ? skip_spaces(s + 1) : NULL;
}

/* What stands between the parentheses of %NAME(...)%: an array of strings, or text. Ends at the
 * closing one. */
static const char *skip_arguments(const char *s)
{
	s = skip_spaces(s);
	if (*s == '[')
		return skip_array(s);
	for (; *s && *s != ')'; s++)
		if (*s == '\\' && !*++s)
			return NULL;
	return s;
}

bool header_value_has_expression(const char *s)
{
	while ((s = strchr(s, '%')) && s[1] == '%')
		s += 2;
	return s;
}

/* "%%", "%NAME%", "%NAME(arguments)%". */
const char *header_value_problem(const char *s)
{
	for (; *s; s++) {
		if (*s == '\r' || *s == '\n')
			return "a header's value, in one line";
		if (*s != '%')
			continue;
		s += 1 + strcspn(s + 1, "%(");
		if (*s == '(') {
			s = skip_arguments(s + 1);
			if (!s || *s != ')')
				return "a header's value, with a ) for every %NAME(";
			s = skip_spaces(s + 1);
		}
		if (*s != '%')
			return "a header's value, with a % behind every %NAME and %% for the "
			       "character itself";
	}
	return NULL;
}
