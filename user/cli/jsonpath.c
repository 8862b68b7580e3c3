// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/jsonpath.h"
#include "lib/base/arena.h"
#include "lib/base/json_io.h"

enum step_kind { STEP_FIELD, STEP_ELEMENT, STEP_ALL, STEP_WHERE };

struct step {
	enum step_kind kind;
	const char *name; /* of a field */
	long index;	  /* of an element; from the end if negative */
	struct path *where;
	const char *value; /* what `where` is compared with; NULL: it only has to be there */
	bool differs;	   /* != */
	struct step *next;
};

struct path {
	bool from_root; /* begins with $; else where the range stands */
	struct step *steps;
};

enum part_kind { PART_TEXT, PART_PATH, PART_RANGE, PART_END };

struct part {
	enum part_kind kind;
	const char *text;
	struct path path;
	struct part *next;
};

struct jsonpath {
	struct arena *arena;
	struct part *parts;
};

/* ---- Reading ---- */

struct scan {
	const char *at;
	struct arena *arena;
	char *why;
	size_t size;
};

static int wrong(const struct scan *s, const char *what)
{
	snprintf(s->why, s->size, "%s at \"%.64s\"", what, s->at);
	return -EINVAL;
}

static void skip_blanks(struct scan *s)
{
	s->at += strspn(s->at, " \t\n");
}

static bool take(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(s->at, text, len) != 0)
		return false;
	s->at += len;
	return true;
}

/* 'text' or "text", where \n, \t, \r and any other character behind a backslash are known. */
static int take_quoted(struct scan *s, const char **out)
{
	static const char letters[] = "ntr", meant[] = "\n\t\r";
	char quote = *s->at, *text = arena_alloc(s->arena, strlen(s->at) + 1);
	size_t len = 0;

	if (!text)
		return -ENOMEM;
	for (s->at++; *s->at && *s->at != quote; s->at++) {
		const char *letter = *s->at == '\\' && s->at[1] ? strchr(letters, s->at[1]) : NULL;

		if (*s->at == '\\' && s->at[1])
			s->at++;
		text[len++] = letter ? meant[letter - letters] : *s->at;
	}
	if (*s->at != quote)
		return wrong(s, "a quote is not closed");
	s->at++;
	*out = text;
	return 0;
}

/* Up to what ends a field's name; "\." is a dot in it. */
static int take_name(struct scan *s, const char **out)
{
	char *text = arena_alloc(s->arena, strlen(s->at) + 1);
	size_t len = 0;

	if (!text)
		return -ENOMEM;
	for (; *s->at && !strchr(".[]{}()=!<>&|,'\" \t\n", *s->at); s->at++) {
		if (*s->at == '\\' && s->at[1])
			s->at++;
		text[len++] = *s->at;
	}
	if (!len)
		return wrong(s, "a field's name is expected");
	*out = text;
	return 0;
}

static int take_path(struct scan *s, struct path *out);

/* A value in a filter: quoted, or a number, true or false. */
static int take_value(struct scan *s, const char **out)
{
	size_t len = strcspn(s->at, ") \t\n");

	if (*s->at == '\'' || *s->at == '"')
		return take_quoted(s, out);
	if (!len)
		return wrong(s, "a value is expected");
	*out = arena_strndup(s->arena, s->at, len);
	s->at += len;
	return *out ? 0 : -ENOMEM;
}

/* Behind "[?(": a path, and what it is compared with. */
static int take_filter(struct scan *s, struct step *step)
{
	int r;

	step->kind = STEP_WHERE;
	step->where = arena_alloc(s->arena, sizeof(*step->where));
	if (!step->where)
		return -ENOMEM;
	skip_blanks(s);
	r = take_path(s, step->where);
	skip_blanks(s);
	if (!r && (take(s, "==") || (step->differs = take(s, "!=")))) {
		skip_blanks(s);
		r = take_value(s, &step->value);
		skip_blanks(s);
	}
	if (r)
		return r;
	return take(s, ")]") ? 0 : wrong(s, "a filter knows only == and !=, and ends with \")]\";");
}

static int take_brackets(struct scan *s, struct step *step)
{
	char *end;

	if (take(s, "*]")) {
		step->kind = STEP_ALL;
		return 0;
	}
	if (take(s, "?("))
		return take_filter(s, step);
	if (*s->at == '\'' || *s->at == '"') {
		int r = take_quoted(s, &step->name);

		step->kind = STEP_FIELD;
		if (r)
			return r;
		return take(s, "]") ? 0 : wrong(s, "one name and \"]\" are expected");
	}
	step->kind = STEP_ELEMENT;
	step->index = strtol(s->at, &end, 10);
	if (end == s->at || *end != ']')
		return wrong(s, "*, a number, a quoted name or ?() is expected");
	s->at = end + 1;
	return 0;
}

static int take_step(struct scan *s, struct step *step)
{
	if (take(s, "["))
		return take_brackets(s, step);
	if (take(s, ".."))
		return wrong(s, "descending with .. is not carried out:");
	take(s, ".");
	if (take(s, "*")) {
		step->kind = STEP_ALL;
		return 0;
	}
	step->kind = STEP_FIELD;
	return take_name(s, &step->name);
}

static int take_path(struct scan *s, struct path *out)
{
	struct step **last = &out->steps;

	out->from_root = take(s, "$");
	if (!out->from_root)
		take(s, "@");
	while (*s->at == '.' || *s->at == '[') {
		int r;

		/* "." and "@." alone are the whole. */
		if (*s->at == '.' && (!s->at[1] || strchr("}) ", s->at[1]))) {
			s->at++;
			break;
		}
		*last = arena_alloc(s->arena, sizeof(**last));
		if (!*last)
			return -ENOMEM;
		r = take_step(s, *last);
		if (r)
			return r;
		last = &(*last)->next;
	}
	return 0;
}

/* Behind a "{". */
static int take_braces(struct scan *s, struct part *part)
{
	bool range;
	int r;

	skip_blanks(s);
	if (*s->at == '\'' || *s->at == '"') {
		r = take_quoted(s, &part->text);
	} else if (take(s, "end")) {
		part->kind = PART_END;
		r = 0;
	} else {
		range = take(s, "range");
		skip_blanks(s);
		part->kind = range ? PART_RANGE : PART_PATH;
		r = strchr(".[$@", *s->at) && *s->at
			    ? take_path(s, &part->path)
			    : wrong(s, "a path, a quoted text, range or end is expected");
	}
	skip_blanks(s);
	if (r)
		return r;
	return take(s, "}") ? 0 : wrong(s, "\"}\" is expected");
}

static int take_part(struct scan *s, struct part *part)
{
	size_t len;

	if (take(s, "{"))
		return take_braces(s, part);
	len = strcspn(s->at, "{");
	part->text = arena_strndup(s->arena, s->at, len);
	s->at += len;
	return part->text ? 0 : -ENOMEM;
}

static int take_parts(struct scan *s, struct part **out)
{
	int depth = 0, r = 0;

	for (; !r && *s->at; out = &(*out)->next) {
		*out = arena_alloc(s->arena, sizeof(**out));
		if (!*out)
			return -ENOMEM;
		r = take_part(s, *out);
		depth += (*out)->kind == PART_RANGE;
		if ((*out)->kind == PART_END && !depth--)
			return wrong(s, "an {end} without a {range}");
	}
	return r ? r : depth ? wrong(s, "a {range} without its {end}") : 0;
}

static int take_bare(struct scan *s, struct part **out)
{
	_cleanup_free_ char *dotted = NULL;
	int r;

	*out = arena_alloc(s->arena, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->kind = PART_PATH;
	if (*s->at == '{')
		return take_part(s, *out);
	/* "metadata.name" is as good as ".metadata.name". */
	if (asprintf(&dotted, "%s%s", strchr(".[$@", *s->at) ? "" : ".", s->at) < 0) {
		dotted = NULL;
		return -ENOMEM;
	}
	s->at = dotted;
	r = take_path(s, &(*out)->path);
	return r ? r : *s->at ? wrong(s, "a path ends") : 0;
}

static int parse(const char *text, bool bare, struct jsonpath **out, char *why, size_t size)
{
	struct jsonpath *p = calloc(1, sizeof(*p));
	struct scan s = { text, p ? arena_new() : NULL, why, size };
	int r;

	if (!s.arena) {
		free(p);
		return -ENOMEM;
	}
	p->arena = s.arena;
	r = bare ? take_bare(&s, &p->parts) : take_parts(&s, &p->parts);
	if (r)
		jsonpath_free(p);
	else
		*out = p;
	return r;
}

int jsonpath_parse(const char *text, struct jsonpath **out, char *why, size_t size)
{
	return parse(text, false, out, why, size);
}

int jsonpath_parse_path(const char *text, struct jsonpath **out, char *why, size_t size)
{
	return parse(text, true, out, why, size);
}

void jsonpath_free(struct jsonpath *p)
{
	if (!p)
		return;
	arena_unref(p->arena);
	free(p);
}

/* ---- Looking up ---- */

/* As kubectl prints it: text as it is, the rest as JSON. A new string, NULL when out of memory. */
static char *value_text(const json_t *value)
{
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_null(value))
		return strdup("");
	return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS |
					 JSON_REAL_PRECISION(15));
}

static int walk(const struct step *step, const json_t *root, json_t *node, json_t *found);

static bool holds(const struct step *step, const json_t *root, json_t *node)
{
	_cleanup_json_ json_t *found = json_array();
	_cleanup_free_ char *text = NULL;

	walk(step->where->steps, root, step->where->from_root ? (json_t *)root : node, found);
	if (!step->value || !json_array_size(found))
		return json_array_size(found) && !step->value;
	text = value_text(json_array_get(found, 0));
	return text && (strcmp(text, step->value) == 0) != step->differs;
}

static int walk_all(const struct step *step, const json_t *root, json_t *node, json_t *found)
{
	const char *key;
	json_t *value;
	size_t i;
	int r = 0;

	json_array_foreach(node, i,
			   value) if (!r && (step->kind == STEP_ALL || holds(step, root, value)))
		r = walk(step->next, root, value, found);
	json_object_foreach(node, key,
			    value) if (!r && (step->kind == STEP_ALL || holds(step, root, value)))
		r = walk(step->next, root, value, found);
	return r;
}

/* Adds what the steps from `step` on lead to. */
static int walk(const struct step *step, const json_t *root, json_t *node, json_t *found)
{
	long index;

	if (!node)
		return 0;
	if (!step)
		return json_array_append(found, (json_t *)node) ? -ENOMEM : 0;
	switch (step->kind) {
	case STEP_FIELD:
		return walk(step->next, root, json_object_get(node, step->name), found);
	case STEP_ELEMENT:
		if (!json_is_array(node))
			return 0;
		index = step->index < 0 ? step->index + (long)json_array_size(node) : step->index;
		if (index < 0 || index >= (long)json_array_size(node))
			return -ERANGE;
		return walk(step->next, root, json_array_get(node, index), found);
	default:
		return walk_all(step, root, node, found);
	}
}

/* A new list of what the path leads to. */
static int find(const struct path *path, const json_t *root, json_t *here, json_t **out)
{
	*out = json_array();
	return *out ? walk(path->steps, root, path->from_root ? (json_t *)root : here, *out)
		    : -ENOMEM;
}

static int print_values(const json_t *found, FILE *out)
{
	json_t *value;
	size_t i;

	json_array_foreach(found, i, value)
	{
		_cleanup_free_ char *text = value_text(value);

		if (!text)
			return -ENOMEM;
		fprintf(out, "%s%s", i ? " " : "", text);
	}
	return 0;
}

/* Behind the {end} of the range whose {range} this is. */
static const struct part *end_of(const struct part *part)
{
	int depth = 1;

	for (part = part->next; depth; part = part->next) {
		depth += part->kind == PART_RANGE;
		depth -= part->kind == PART_END;
	}
	return part;
}

/* Prints up to the {end} of the present range. */
static int print_parts(const struct part *part, const json_t *root, json_t *here, FILE *out)
{
	int r = 0;

	while (!r && part && part->kind != PART_END) {
		_cleanup_json_ json_t *found = NULL;
		json_t *value;
		size_t i;

		if (part->kind == PART_TEXT) {
			fputs(part->text, out);
			part = part->next;
			continue;
		}
		r = find(&part->path, root, here, &found);
		if (r)
			return r;
		if (part->kind == PART_PATH) {
			r = print_values(found, out);
			part = part->next;
			continue;
		}
		json_array_foreach(found, i, value) if (!r)
			r = print_parts(part->next, root, value, out);
		part = end_of(part);
	}
	return r;
}

int jsonpath_print(const struct jsonpath *p, const json_t *root, FILE *out)
{
	return print_parts(p->parts, root, (json_t *)root, out);
}

static int print_go(const json_t *value, FILE *out);

static int print_go_map(const json_t *object, FILE *out)
{
	_cleanup_free_ const char **keys = json_sorted_keys(object);
	int r = keys ? 0 : -ENOMEM;

	fputs("map[", out);
	for (const char **key = keys; !r && *key; key++) {
		fprintf(out, "%s%s:", key == keys ? "" : " ", *key);
		r = print_go(json_object_get(object, *key), out);
	}
	fputc(']', out);
	return r;
}

static int print_go_list(const json_t *list, FILE *out)
{
	json_t *value;
	size_t i;
	int r = 0;

	fputc('[', out);
	json_array_foreach(list, i, value) if (!r)
	{
		fputs(i ? " " : "", out);
		r = print_go(value, out);
	}
	fputc(']', out);
	return r;
}

/* As Go prints a value that it knows nothing of: [a b], map[k:v]. kubectl's custom columns do. */
static int print_go(const json_t *value, FILE *out)
{
	_cleanup_free_ char *text = NULL;

	if (json_is_object(value))
		return print_go_map(value, out);
	if (json_is_array(value))
		return print_go_list(value, out);
	text = json_is_null(value) ? strdup("<nil>") : value_text(value);
	if (!text)
		return -ENOMEM;
	fputs(text, out);
	return 0;
}

json_t *jsonpath_cell(const struct jsonpath *p, const json_t *root)
{
	_cleanup_json_ json_t *found = NULL;
	_cleanup_free_ char *text = NULL;
	size_t size = 0, i;
	json_t *value;
	FILE *f;
	int r = find(&p->parts->path, root, (json_t *)root, &found);

	if (r == -ERANGE || (!r && !json_array_size(found)))
		return json_string("<none>");
	if (r)
		return NULL;
	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	json_array_foreach(found, i, value) if (!r)
	{
		fputs(i ? "," : "", f);
		r = print_go(value, f);
	}
	return fclose(f) || r ? NULL : json_text(text);
}
