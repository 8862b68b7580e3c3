/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml/json_text.h"

#include <errno.h>
#include <string.h>

enum {
	DEPTH_MAX = 64,
	/* Of one map: each is compared with all before it. What has more is left to the other. */
	PAIRS_MAX = 64,
	DIGITS_MAX = 18, /* any whole number of so many fits */
};

struct reader {
	char *at, *end;
	struct arena *texts, *nodes;
	unsigned depth;
};

static int read_value(struct reader *r, struct node **out);

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
		r->at++;
}

/* Whether `c` comes next, and goes over it. */
static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static struct node *node_new(struct reader *r, enum node_type type)
{
	struct node *n = arena_alloc(r->nodes, sizeof(*n));

	if (!n)
		return NULL;
	n->type = (uint8_t)type;
	n->line = 1;
	return n;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The ASCII character of "u00XX" at `p`, if it is one that can be printed; else 0. */
static char escaped_ascii(const char *p, const char *end)
{
	int high, low;

	if (end - p < 5 || p[1] != '0' || p[2] != '0')
		return 0;
	high = hex_digit(p[3]);
	low = hex_digit(p[4]);
	return high < 2 || high > 7 || low < 0 || (high == 7 && low == 15)
		       ? 0
		       : (char)(high * 16 + low);
}

/* What the escape at `p`, behind its backslash, stands for, and how long it is; 0: another one. */
static char unescaped(const char *p, const char *end, size_t *len)
{
	*len = 1;
	switch (*p) {
	case '"':
	case '\\':
	case '/':
		return *p;
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'u':
		*len = 5;
		return escaped_ascii(p, end);
	}
	return 0;
}

/* A copy of what [from, to) stands for. */
static int unescape(struct reader *r, const char *from, const char *to, struct node *n)
{
	char *out = arena_alloc(r->texts, (size_t)(to - from) + 1), *at = out;
	size_t len;

	if (!out)
		return -ENOMEM;
	while (from < to) {
		if (*from != '\\') {
			*at++ = *from++;
			continue;
		}
		*at = unescaped(from + 1, to, &len);
		if (!*at++)
			return -EINVAL;
		from += 1 + len;
	}
	n->text = out;
	n->count = (uint32_t)(at - out);
	return 0;
}

/* Behind the opening quotation mark. */
static int read_string(struct reader *r, struct node *n)
{
	char *from = r->at, *p = from;
	bool escapes = false;

	for (; p < r->end && *p != '"'; p++) {
		if (*p == '\\') {
			escapes = true;
			p++;
		}
		if (p == r->end || *p < ' ' || *p > '~') /* bytes from 128 on are negative */
			return -EINVAL;
	}
	if (p >= r->end)
		return -EINVAL;
	*p = '\0';
	r->at = p + 1;
	n->quoted = true;
	if (escapes)
		return unescape(r, from, p, n);
	n->text = from;
	n->count = (uint32_t)(p - from);
	return 0;
}

/* A whole number, which is copied: there is no room for its NUL. */
static int read_number(struct reader *r, struct node *n)
{
	char *from = r->at;
	size_t digits;

	r->at += *r->at == '-';
	for (digits = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; digits++)
		r->at++;
	if (!digits || digits > DIGITS_MAX || (digits > 1 && r->at[-(ssize_t)digits] == '0'))
		return -EINVAL;
	if (r->at < r->end && (*r->at == '.' || *r->at == 'e' || *r->at == 'E'))
		return -EINVAL;
	n->count = (uint32_t)(r->at - from);
	n->text = arena_strndup(r->texts, from, n->count);
	return n->text ? 0 : -ENOMEM;
}

static int read_word(struct reader *r, struct node *n)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		size_t len = strlen(words[i]);

		if ((size_t)(r->end - r->at) < len || memcmp(r->at, words[i], len) != 0)
			continue;
		r->at += len;
		n->text = words[i];
		n->count = (uint32_t)len;
		return 0;
	}
	return read_number(r, n);
}

static int read_scalar(struct reader *r, struct node **out)
{
	struct node *n = node_new(r, NODE_SCALAR);

	if (!n)
		return -ENOMEM;
	*out = n;
	if (*r->at != '"')
		return read_word(r, n);
	r->at++;
	return read_string(r, n);
}

static int read_elements(struct reader *r, struct node *list)
{
	const struct node **end = &list->child;
	struct node *n;
	int e;

	if (take(r, ']'))
		return 0;
	do {
		e = read_value(r, &n);
		if (e)
			return e;
		*end = n;
		end = &n->next;
		list->count++;
	} while (take(r, ','));
	return take(r, ']') ? 0 : -EINVAL;
}

/* Whether the map has no such key yet, and it is none that YAML merges by. */
static bool is_new_key(const struct node *map, const struct node *key)
{
	for (const struct node *k = map->count ? map->child : NULL; k; k = k->next->next)
		if (k->count == key->count && !memcmp(k->text, key->text, key->count))
			return false;
	return strcmp(key->text, "<<") != 0;
}

static int read_pair(struct reader *r, struct node *map, const struct node ***end)
{
	struct node *key, *value;
	int e;

	skip_blanks(r);
	if (r->at == r->end || *r->at != '"' || map->count == PAIRS_MAX)
		return -EINVAL;
	e = read_scalar(r, &key);
	if (e)
		return e;
	if (!is_new_key(map, key) || !take(r, ':'))
		return -EINVAL;
	e = read_value(r, &value);
	if (e)
		return e;
	key->next = value;
	**end = key;
	*end = &value->next;
	map->count++;
	return 0;
}

static int read_pairs(struct reader *r, struct node *map)
{
	const struct node **end = &map->child;
	int e = 0;

	if (take(r, '}'))
		return 0;
	do
		e = read_pair(r, map, &end);
	while (!e && take(r, ','));
	if (e)
		return e;
	return take(r, '}') ? 0 : -EINVAL;
}

static int read_nested(struct reader *r, enum node_type type, struct node **out)
{
	struct node *n = node_new(r, type);
	int e;

	if (!n)
		return -ENOMEM;
	if (r->depth == DEPTH_MAX)
		return -EINVAL;
	*out = n;
	r->at++;
	r->depth++;
	e = type == NODE_MAP ? read_pairs(r, n) : read_elements(r, n);
	r->depth--;
	return e;
}

static int read_value(struct reader *r, struct node **out)
{
	skip_blanks(r);
	if (r->at == r->end)
		return -EINVAL;
	switch (*r->at) {
	case '{':
		return read_nested(r, NODE_MAP, out);
	case '[':
		return read_nested(r, NODE_LIST, out);
	}
	return read_scalar(r, out);
}

int json_text_parse(char *text, size_t size, struct arena *texts, struct arena *nodes,
		    const struct node **out)
{
	struct reader r = { .at = text, .end = text + size, .texts = texts, .nodes = nodes };
	struct node *root;
	int e;

	/* A NUL would be taken for a quotation mark afterwards. */
	if (size >= UINT32_MAX || memchr(text, '\0', size))
		return -EINVAL;
	e = read_value(&r, &root);
	skip_blanks(&r);
	if (!e && r.at != r.end)
		e = -EINVAL;
	if (e)
		json_text_restore(text, size);
	else
		*out = root;
	return e;
}

void json_text_restore(char *text, size_t size)
{
	char *end = text + size;

	for (char *p = text; (p = memchr(p, '\0', (size_t)(end - p)));)
		*p++ = '"';
}
