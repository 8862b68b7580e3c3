/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "lib/yaml/tree.h"
#include "lib/yaml/yaml_json.h"
#include "lib/yaml/yaml_merge.h"

enum {
	DEPTH_MAX = 64,
	ANCHORS_MAX = 1000,
	DOCUMENTS_MAX = 1 << 18,
	INTERNED = 4096, /* a power of two */
	INTERN_LEN = 40,
	PAIRS_SORTED = 16, /* from here on duplicate keys are found by sorting */
};

static const size_t BYTES_MAX = 256u << 20;
/* What aliases may add to a document beyond what was written in it, in nodes. */
static const size_t EXPANSION_MAX = 100000;
/* And in bytes of text. */
static const size_t EXPANSION_BYTES_MAX = 4u << 20;

struct anchor {
	const char *name;
	const struct node *node;
	/* Of the tree below it, aliases expanded; no nodes while it is open. */
	size_t nodes, bytes;
};

/* A list or map that is being filled. */
struct level {
	struct node *node;
	struct node *last;
	int anchor; /* index of its anchor, -1: none */
	size_t nodes_before, bytes_before;
	uint32_t children;
};

struct parser {
	yaml_parser_t yaml;
	const char *name;
	bool kept;	/* see yaml_parse_kept() */
	bool placeless; /* see yaml_parse_placeless() */
	struct errors *errors;
	struct arena *arena;
	const struct node *root;
	struct level levels[DEPTH_MAX];
	size_t depth;
	struct anchor *anchors;
	size_t anchor_count;
	size_t nodes, bytes;		 /* so far, aliases expanded */
	size_t expanded, expanded_bytes; /* of those, the ones that aliases added */
	uint32_t document;		 /* its number */
	struct {
		const char *text;
		uint32_t document; /* whose arena it is in */
	} interned[INTERNED];
};

static struct pos mark_pos(yaml_mark_t m)
{
	return (struct pos){ (int)m.line + 1, (int)m.column + 1 };
}

/* The same few hundred words make up most of a long document: each is stored once (or nearly so).
 */
static const char *intern(struct parser *p, const char *text, size_t len)
{
	uint32_t hash = 2166136261u, at;
	bool known;

	if (len > INTERN_LEN)
		return arena_strndup(p->arena, text, len);
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	at = (hash ^ hash >> 15) & (INTERNED - 1);
	known = p->interned[at].text && p->interned[at].document == p->document &&
		strlen(p->interned[at].text) == len && !memcmp(p->interned[at].text, text, len);
	if (!known) {
		p->interned[at].text = arena_strndup(p->arena, text, len);
		p->interned[at].document = p->document;
	}
	return p->interned[at].text;
}

static struct node *node_new(struct parser *p, enum node_type type, yaml_mark_t mark)
{
	struct node *n = arena_alloc(p->arena, sizeof(*n));

	if (!n)
		return NULL;
	n->type = (uint8_t)type;
	n->line = p->placeless ? 1 : (uint32_t)mark.line + 1;
	n->col = p->placeless ? 0 : (uint32_t)mark.column + 1;
	p->nodes++;
	return n;
}

/* Hangs `n` under the open list or map, or makes it the root. */
static void append(struct parser *p, struct node *n)
{
	struct level *level;

	if (!p->depth) {
		p->root = n;
		return;
	}
	level = &p->levels[p->depth - 1];
	if (level->last)
		level->last->next = n;
	else
		level->node->child = n;
	level->last = n;
	level->children++;
}

static int add_anchor(struct parser *p, const struct node *n, const yaml_char_t *name,
		      yaml_mark_t mark)
{
	struct anchor *anchors;

	if (p->anchor_count == ANCHORS_MAX) {
		errors_add(p->errors, p->name, mark_pos(mark),
			   "expected at most %d anchors in a document", ANCHORS_MAX);
		return -EINVAL;
	}
	anchors = reallocarray(p->anchors, p->anchor_count + 1, sizeof(*anchors));
	if (!anchors)
		return -ENOMEM;
	p->anchors = anchors;
	anchors[p->anchor_count] = (struct anchor){
		.name = arena_strdup(p->arena, (const char *)name),
		.node = n,
		.nodes = n->type == NODE_SCALAR,
		.bytes = n->type == NODE_SCALAR ? n->count : 0,
	};
	return anchors[p->anchor_count++].name ? 0 : -ENOMEM;
}

static bool tag_is(const yaml_char_t *tag, const char *type)
{
	static const char prefix[] = "tag:yaml.org,2002:";

	return !strncmp((const char *)tag, prefix, sizeof(prefix) - 1) &&
	       !strcmp((const char *)tag + sizeof(prefix) - 1, type);
}

static int refuse_tag(struct parser *p, const yaml_char_t *tag, yaml_mark_t mark)
{
	errors_add(p->errors, p->name, mark_pos(mark), "expected plain data, not the tag \"%.64s\"",
		   tag);
	return -EINVAL;
}

static int check_tag(struct parser *p, const yaml_char_t *tag, const char *type, yaml_mark_t mark)
{
	if (!tag || !strcmp((const char *)tag, "!") || tag_is(tag, type))
		return 0;
	return refuse_tag(p, tag, mark);
}

/* A tag says what a scalar is, quoted or not; a number's can't make one of any text. */
static int take_tag(struct parser *p, struct node *n, const yaml_char_t *tag, yaml_mark_t mark)
{
	static const char *const names[] = { [SCALAR_NULL] = "null",
					     [SCALAR_BOOL] = "bool",
					     [SCALAR_INT] = "int",
					     [SCALAR_FLOAT] = "float" };
	enum scalar_type type;

	n->quoted = !strcmp((const char *)tag, "!") || tag_is(tag, "str");
	if (n->quoted)
		return 0;
	type = node_scalar(n);
	for (int i = SCALAR_NULL; i <= SCALAR_FLOAT; i++) {
		if (!tag_is(tag, names[i]))
			continue;
		if ((int)type == i || (i == SCALAR_FLOAT && type == SCALAR_INT) ||
		    (i == SCALAR_BOOL && node_is_letter_bool(n)))
			return 0;
		errors_add(p->errors, p->name, mark_pos(mark),
			   "expected a value of the type !!%s, not \"%.64s\"", names[i], n->text);
		return -EINVAL;
	}
	return refuse_tag(p, tag, mark);
}

/* A key is text: Kubernetes writes numbers and truth values in their plainest form. */
static int plain_key(struct parser *p, struct node *n)
{
	enum scalar_type type = node_scalar(n);
	char text[24];
	int64_t number;

	if (type == SCALAR_BOOL || node_is_letter_bool(n))
		n->text = node_true(n) ? "true" : "false";
	else if (!node_int(n, &number))
		return 0;
	else if (snprintf(text, sizeof(text), "%" PRId64, number) > 0)
		n->text = arena_strdup(p->arena, text);
	if (!n->text)
		return -ENOMEM;
	n->count = (uint32_t)strlen(n->text);
	n->quoted = true;
	return 0;
}

/* JSON, which all of this becomes on its way to Kubernetes, has neither infinity nor NaN. */
static int check_finite(struct parser *p, const struct node *n)
{
	double number;

	if (node_scalar(n) != SCALAR_FLOAT || node_number(n, &number))
		return 0;
	errors_add(p->errors, p->name, node_pos(n), "expected a finite number, not \"%s\"",
		   n->text);
	return -EINVAL;
}

static bool is_key(const struct parser *p)
{
	const struct level *level = p->depth ? &p->levels[p->depth - 1] : NULL;

	return level && level->node->type == NODE_MAP && level->children % 2 == 0;
}

/* A scalar of a document that is kept. Merge keys did not exist. */
static void as_it_was(struct node *n, const yaml_char_t *tag, bool key)
{
	enum scalar_type type = node_scalar(n);

	if (tag && tag_is(tag, "str"))
		n->quoted = true;
	else if (type != SCALAR_NULL && !n->quoted)
		n->quoted = node_is_letter_bool(n) ||
			    (type != SCALAR_STRING && (key || scalar_was_text(n->text)));
}

static int on_scalar(struct parser *p, const yaml_event_t *e)
{
	const yaml_char_t *tag = e->data.scalar.tag;
	size_t len = e->data.scalar.length;
	struct node *n;
	int r = 0;

	/* Escapes ("\0") can make what the bytes of the file could not have. */
	if (memchr(e->data.scalar.value, 0, len)) {
		errors_add(p->errors, p->name, mark_pos(e->start_mark),
			   "expected text, not a NUL character");
		return -EINVAL;
	}
	n = node_new(p, NODE_SCALAR, e->start_mark);
	if (!n)
		return -ENOMEM;
	n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	n->text = intern(p, (const char *)e->data.scalar.value, len);
	n->count = (uint32_t)len;
	p->bytes += len;
	if (!n->text)
		return -ENOMEM;
	if (p->kept)
		as_it_was(n, tag, is_key(p));
	else if (tag)
		r = take_tag(p, n, tag, e->start_mark);
	if (!r && !p->kept)
		r = is_key(p) ? plain_key(p, n) : check_finite(p, n);
	if (r)
		return r;
	append(p, n);
	return e->data.scalar.anchor ? add_anchor(p, n, e->data.scalar.anchor, e->start_mark) : 0;
}

static int on_alias(struct parser *p, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	const struct anchor *a = NULL;
	struct node *n;

	/* The last one of that name counts. */
	for (size_t i = p->anchor_count; i && !a; i--)
		if (!strcmp(p->anchors[i - 1].name, name))
			a = &p->anchors[i - 1];
	if (!a || !a->nodes) {
		errors_add(p->errors, p->name, mark_pos(e->start_mark),
			   a ? "expected an anchor that is complete, not *%.64s inside of &%.64s "
			       "itself"
			     : "expected an anchor &%.64s before *%.64s",
			   name, name);
		return -EINVAL;
	}
	p->expanded += a->nodes;
	p->nodes += a->nodes;
	p->expanded_bytes += a->bytes;
	p->bytes += a->bytes;
	if (p->expanded_bytes > EXPANSION_BYTES_MAX) {
		errors_add(p->errors, p->name, mark_pos(e->start_mark),
			   "expected aliases that stand for at most %zu bytes of text in all, not "
			   "*%.64s for %zu more",
			   EXPANSION_BYTES_MAX, name, a->bytes);
		return -EINVAL;
	}
	if (p->expanded > EXPANSION_MAX) {
		errors_add(p->errors, p->name, mark_pos(e->start_mark),
			   "expected aliases that stand for at most %zu values in all, not *%.64s "
			   "for %zu more",
			   EXPANSION_MAX, name, a->nodes);
		return -EINVAL;
	}
	n = node_new(p, NODE_ALIAS, e->start_mark);
	if (!n)
		return -ENOMEM;
	n->target = a->node;
	append(p, n);
	return 0;
}

static int on_open(struct parser *p, const yaml_event_t *e, enum node_type type)
{
	bool map = type == NODE_MAP;
	const yaml_char_t *anchor = map ? e->data.mapping_start.anchor
					: e->data.sequence_start.anchor;
	size_t before = p->nodes, bytes = p->bytes;
	struct node *n;
	int r;

	if (p->depth == DEPTH_MAX) {
		errors_add(p->errors, p->name, mark_pos(e->start_mark),
			   "expected at most %d levels of nesting", DEPTH_MAX);
		return -EINVAL;
	}
	r = check_tag(p, map ? e->data.mapping_start.tag : e->data.sequence_start.tag,
		      map ? "map" : "seq", e->start_mark);
	if (r)
		return r;
	n = node_new(p, type, e->start_mark);
	if (!n)
		return -ENOMEM;
	append(p, n);
	if (anchor) {
		r = add_anchor(p, n, anchor, e->start_mark);
		if (r)
			return r;
	}
	p->levels[p->depth++] = (struct level){
		.node = n,
		.anchor = anchor ? (int)p->anchor_count - 1 : -1,
		.nodes_before = before,
		.bytes_before = bytes,
	};
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	int order = strcmp(node_text(x), node_text(y));

	if (order)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->col < y->col ? -1 : x->col > y->col;
}

static int refuse_duplicate(struct parser *p, const struct node *again, const struct node *first)
{
	char buf[128];

	errors_add(p->errors, p->name, node_pos(again),
		   "expected each key once, not %s as in line %u again",
		   node_describe(again, buf, sizeof(buf)), first->line);
	return -EINVAL;
}

static int check_keys_sorted(struct parser *p, const struct node *map)
{
	_cleanup_free_ const struct node **keys = calloc(map->count, sizeof(void *));
	size_t n = 0;

	if (!keys)
		return -ENOMEM;
	for (const struct node *k = map->child; k; k = k->next->next)
		if (!yaml_is_merge(k))
			keys[n++] = k;
	qsort(keys, n, sizeof(void *), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(node_text(keys[i]), node_text(keys[i - 1])))
			return refuse_duplicate(p, keys[i], keys[i - 1]);
	return 0;
}

static int check_keys(struct parser *p, const struct node *map)
{
	char buf[128];

	for (const struct node *k = map->child; k; k = k->next->next) {
		if (node_text(k) && node_scalar(k) == SCALAR_STRING)
			continue;
		errors_add(p->errors, p->name, node_pos(k), "expected a string as key%s, not %s",
			   node_scalar(k) == SCALAR_FLOAT ? " (in quotes, or it is a number)" : "",
			   node_describe(k, buf, sizeof(buf)));
		return -EINVAL;
	}
	if (map->count >= PAIRS_SORTED)
		return check_keys_sorted(p, map);
	for (const struct node *k = map->child; k; k = k->next->next)
		for (const struct node *l = map->child; l != k; l = l->next->next)
			if (!strcmp(node_text(k), node_text(l)) && !yaml_is_merge(k))
				return refuse_duplicate(p, k, l);
	return 0;
}

static int expand_merges(struct parser *p, struct node *map)
{
	const struct node *wrong = NULL;
	int r = yaml_merge(p->arena, map, &wrong);
	char buf[128];

	if (wrong)
		errors_add(p->errors, p->name, node_pos(wrong),
			   "expected a map or a list of maps to merge (<<), not %s",
			   node_describe(wrong, buf, sizeof(buf)));
	return r;
}

static int on_close(struct parser *p)
{
	struct level *level = &p->levels[--p->depth];
	struct node *n = level->node;
	int r;

	n->count = n->type == NODE_MAP ? level->children / 2 : level->children;
	if (level->anchor >= 0) {
		p->anchors[level->anchor].nodes = p->nodes - level->nodes_before;
		p->anchors[level->anchor].bytes = p->bytes - level->bytes_before;
	}
	if (n->type != NODE_MAP)
		return 0;
	r = check_keys(p, n);
	return r ? r : expand_merges(p, n);
}

static int syntax_error(struct parser *p)
{
	const yaml_parser_t *y = &p->yaml;
	const char *problem = y->problem ? y->problem : "malformed";

	if (y->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (strstr(problem, "cannot start any token") && y->buffer.pointer < y->buffer.last &&
	    *y->buffer.pointer == '\t')
		errors_add(p->errors, p->name, mark_pos(y->problem_mark),
			   "expected spaces as indentation, not a tab");
	else if (y->context && y->context_mark.line != y->problem_mark.line)
		errors_add(p->errors, p->name, mark_pos(y->problem_mark),
			   "expected YAML: error %s (from line %zu), %s", y->context,
			   y->context_mark.line + 1, problem);
	else
		errors_add(p->errors, p->name, mark_pos(y->problem_mark), "expected YAML: %s",
			   problem);
	return -EINVAL;
}

static void document_start(struct parser *p)
{
	p->root = NULL;
	p->depth = 0;
	p->anchor_count = 0;
	p->nodes = p->bytes = 0;
	p->expanded = p->expanded_bytes = 0;
	p->document++;
}

/* A document of nothing is none: `---` alone would cost far more than its four bytes. */
static int document_end(struct parser *p, const yaml_event_t *e, struct documents *out)
{
	struct document *items;

	if (!p->root || node_is_null(p->root)) {
		arena_unref(TAKE_PTR(p->arena));
		return 0;
	}
	if (out->count == DOCUMENTS_MAX) {
		errors_add(p->errors, p->name, mark_pos(e->start_mark),
			   "expected at most %d documents", DOCUMENTS_MAX);
		return -EINVAL;
	}
	/* Full whenever the count is a power of two. */
	if (!(out->count & (out->count - 1))) {
		items = reallocarray(out->items, out->count ? out->count * 2 : 1, sizeof(*items));
		if (!items)
			return -ENOMEM;
		out->items = items;
	}
	out->items[out->count++] =
		(struct document){ .arena = TAKE_PTR(p->arena), .root = p->root };
	return 0;
}

static int on_event(struct parser *p, const yaml_event_t *e, struct documents *out)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		document_start(p);
		p->arena = arena_new();
		return p->arena ? 0 : -ENOMEM;
	case YAML_DOCUMENT_END_EVENT:
		return document_end(p, e, out);
	case YAML_SCALAR_EVENT:
		return on_scalar(p, e);
	case YAML_ALIAS_EVENT:
		return on_alias(p, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(p, e, NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		return on_open(p, e, NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(p);
	default:
		return 0;
	}
}

static int parse_stream(struct parser *p, struct documents *out)
{
	bool more = true;
	yaml_event_t e;
	int r = 0;

	while (!r && more) {
		if (!yaml_parser_parse(&p->yaml, &e))
			return syntax_error(p);
		r = on_event(p, &e, out);
		more = e.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	return r;
}

enum parse_as { PARSE_TODAY, PARSE_KEPT, PARSE_PLACELESS };

static int parse_text(const char *name, enum parse_as as, const char *bytes, size_t len,
		      struct documents *out, struct errors *errors)
{
	struct parser *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	if (!yaml_parser_initialize(&p->yaml)) {
		free(p);
		return -ENOMEM;
	}
	p->name = name;
	p->kept = as == PARSE_KEPT;
	p->placeless = as == PARSE_PLACELESS;
	p->errors = errors;
	yaml_parser_set_encoding(&p->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p->yaml, (const unsigned char *)bytes, len);
	r = parse_stream(p, out);
	yaml_parser_delete(&p->yaml);
	arena_unref(p->arena);
	free(p->anchors);
	free(p);
	return r;
}

static int parse_json(const char *name, enum parse_as as, const char *bytes, size_t len,
		      struct documents *out, struct errors *errors)
{
	char *copy = yaml_from_json(bytes, &len);
	int r;

	if (!copy)
		return -ENOMEM;
	r = parse_text(name, as, copy, len, out, errors);
	free(copy);
	return r;
}

static int parse_bytes(const char *name, enum parse_as as, const char *bytes, size_t len,
		       struct documents *out, struct errors *errors)
{
	int r;

	if (len > BYTES_MAX) {
		errors_add(errors, name, (struct pos){ 0 }, "expected at most %zu bytes, not %zu",
			   BYTES_MAX, len);
		return -EINVAL;
	}
	r = yaml_check_bytes(name, bytes, len, errors);
	if (r)
		return r;
	/* A byte order mark says nothing in UTF-8. */
	if (len >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) {
		bytes += 3;
		len -= 3;
	}
	return yaml_is_json(bytes, len) ? parse_json(name, as, bytes, len, out, errors)
					: parse_text(name, as, bytes, len, out, errors);
}

int yaml_parse(const char *name, const char *bytes, size_t len, struct documents *out,
	       struct errors *errors)
{
	return parse_bytes(name, PARSE_TODAY, bytes, len, out, errors);
}

int yaml_parse_kept(const char *name, const char *bytes, size_t len, struct documents *out,
		    struct errors *errors)
{
	return parse_bytes(name, PARSE_KEPT, bytes, len, out, errors);
}

int yaml_parse_placeless(const char *name, const char *bytes, size_t len, struct documents *out,
			 struct errors *errors)
{
	return parse_bytes(name, PARSE_PLACELESS, bytes, len, out, errors);
}
