/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yaml.h>

/* ---- YAML ---- */

static int emit(yaml_emitter_t *e, yaml_event_t *event, int initialized)
{
	if (!initialized)
		return -ENOMEM;
	if (yaml_emitter_emit(e, event))
		return 0;
	return e->error == YAML_MEMORY_ERROR ? -ENOMEM : -EIO;
}

/* A string that would be read as a number, a truth value, a merge key or nothing without its
 * quotes. */
static bool needs_quotes(const struct node *n)
{
	struct node bare = *n;

	if (n->taken == TAKEN_TEXT)
		return true;
	bare.quoted = false;
	return n->quoted && (node_scalar(&bare) != SCALAR_STRING || node_is_letter_bool(&bare) ||
			     !strcmp(n->text, "<<"));
}

/* A namespace that the object has, but its document doesn't say: one more pair of `metadata`. */
struct extra {
	const struct node *metadata; /* NULL: none */
	const char *namespace;
};

static int emit_plain(yaml_emitter_t *e, const char *text)
{
	yaml_event_t event;

	return emit(e, &event,
		    yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
						 (int)strlen(text), 1, 1, YAML_ANY_SCALAR_STYLE));
}

static const char *bool_text(const struct node *n)
{
	return node_true(n) ? "true" : "false";
}

static int emit_scalar(yaml_emitter_t *e, const struct node *n)
{
	yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;
	const char *text = node_is_null(n)	    ? "null"
			   : n->taken == TAKEN_BOOL ? bool_text(n)
						    : n->text;
	yaml_event_t event;

	if (needs_quotes(n))
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	else if (strchr(text, '\n'))
		style = YAML_LITERAL_SCALAR_STYLE;
	return emit(e, &event,
		    yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
						 (int)strlen(text), 1, 1, style));
}

static int emit_node(yaml_emitter_t *e, const struct node *n, const struct extra *extra)
{
	yaml_event_t event;
	bool map;
	int r;

	n = node_target(n);
	if (n->type == NODE_SCALAR)
		return emit_scalar(e, n);
	map = n->type == NODE_MAP;
	r = emit(e, &event,
		 map ? yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
							   YAML_BLOCK_MAPPING_STYLE)
		     : yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
							    YAML_BLOCK_SEQUENCE_STYLE));
	for (const struct node *child = n->child; child && !r; child = child->next)
		r = emit_node(e, child, extra);
	if (!r && n == extra->metadata)
		r = emit_plain(e, "namespace");
	if (!r && n == extra->metadata)
		r = emit_plain(e, extra->namespace);
	if (r)
		return r;
	return emit(e, &event,
		    map ? yaml_mapping_end_event_initialize(&event)
			: yaml_sequence_end_event_initialize(&event));
}

static int emit_document(yaml_emitter_t *e, const struct node *node, const struct extra *extra)
{
	yaml_event_t event;
	int r;

	r = emit(e, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	if (!r)
		r = emit(e, &event,
			 yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	if (!r)
		r = emit_node(e, node, extra);
	if (!r)
		r = emit(e, &event, yaml_document_end_event_initialize(&event, 1));
	if (!r)
		r = emit(e, &event, yaml_stream_end_event_initialize(&event));
	return r;
}

static int print_yaml(const struct node *node, const struct extra *extra, FILE *out)
{
	yaml_emitter_t e;
	int r;

	if (!yaml_emitter_initialize(&e))
		return -ENOMEM;
	yaml_emitter_set_output_file(&e, out);
	yaml_emitter_set_unicode(&e, 1);
	yaml_emitter_set_width(&e, -1);
	r = emit_document(&e, node, extra);
	yaml_emitter_delete(&e);
	return r;
}

/* ---- JSON ---- */

static void write_string(const char *s, FILE *out)
{
	fputc('"', out);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c == '\t')
			fputs("\\t", out);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* RFC 8259's number: no sign in front but '-', no zeros in front, digits on both sides of the
 * point. */
static bool json_number(const char *s)
{
	static const char digits[] = "0123456789";
	size_t n;

	s += *s == '-';
	n = strspn(s, digits);
	if (!n || (*s == '0' && n > 1))
		return false;
	s += n;
	if (*s == '.') {
		n = strspn(s + 1, digits);
		if (!n)
			return false;
		s += 1 + n;
	}
	if (*s == 'e' || *s == 'E') {
		s += 1 + (s[1] == '-' || s[1] == '+');
		s += strspn(s, digits);
	}
	return !*s;
}

/* YAML knows more ways to write a number than JSON. */
static void write_number(const struct node *n, FILE *out)
{
	int64_t whole;
	double d;

	if (json_number(n->text)) {
		fputs(n->text, out);
		return;
	}
	if (node_int(n, &whole)) {
		fprintf(out, "%" PRId64, whole);
		return;
	}
	/* Neither infinity nor a number out of all bounds exists in JSON. */
	if (node_number(n, &d))
		fprintf(out, "%.17g", d);
	else
		write_string(n->text, out);
}

static void write_scalar(const struct node *n, FILE *out)
{
	enum scalar_type type = node_scalar(n);

	if (type == SCALAR_NULL)
		fputs("null", out);
	else if (type == SCALAR_BOOL || n->taken == TAKEN_BOOL)
		fputs(bool_text(n), out);
	else if (type == SCALAR_STRING)
		write_string(n->text, out);
	else
		write_number(n, out);
}

static void indent(int depth, FILE *out)
{
	fprintf(out, "\n%*s", depth * 2, "");
}

static void write_node(const struct node *n, int depth, const struct extra *extra, FILE *out)
{
	bool map;

	n = node_target(n);
	if (n->type == NODE_SCALAR) {
		write_scalar(n, out);
		return;
	}
	map = n->type == NODE_MAP;
	fputc(map ? '{' : '[', out);
	for (const struct node *child = n->child; child; child = child->next) {
		indent(depth + 1, out);
		if (map) {
			write_string(node_text(child), out);
			fputs(": ", out);
			child = child->next;
		}
		write_node(child, depth + 1, extra, out);
		if (child->next)
			fputc(',', out);
	}
	if (n == extra->metadata) {
		fputs(n->child ? "," : "", out);
		indent(depth + 1, out);
		fputs("\"namespace\": ", out);
		write_string(extra->namespace, out);
	}
	if (n->child)
		indent(depth, out);
	fputc(map ? '}' : ']', out);
}

static int print_json(const struct node *node, const struct extra *extra, FILE *out)
{
	write_node(node, 0, extra, out);
	fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}

int node_print(const struct node *node, const char *namespace, bool json, FILE *out)
{
	const struct node *metadata = namespace ? node_get(node, "metadata") : NULL;
	const struct node *given = node_get(metadata, "namespace");
	struct extra extra = { .namespace = namespace };

	if (metadata && (!given || !node_text(given)) && strcmp(namespace, "default") != 0)
		extra.metadata = node_target(metadata);
	return json ? print_json(node, &extra, out) : print_yaml(node, &extra, out);
}
