// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <float.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "lib/crd/crd_priv.h"
#include "lib/schema/decode.h"

/* Where a schema is printed. */
struct place {
	FILE *out;
	int indent;
	bool in_map; /* below a map's value, where an expression would be priced too high */
};

static void line_begin(const struct place *p)
{
	fprintf(p->out, "%*s", p->indent, "");
}

__attribute__((format(printf, 2, 3))) static void line(const struct place *p, const char *fmt, ...)
{
	va_list args;

	line_begin(p);
	va_start(args, fmt);
	vfprintf(p->out, fmt, args);
	va_end(args);
	fputc('\n', p->out);
}

static struct place deeper(const struct place *p)
{
	return (struct place){ p->out, p->indent + 2, p->in_map };
}

/* A text as YAML: in the quotes that leave it readable. */
static void print_quoted(const char *text, FILE *out)
{
	if (!strpbrk(text, "\"\\")) {
		fprintf(out, "\"%s\"", text);
		return;
	}
	fputc('\'', out);
	for (; *text; text++)
		fprintf(out, *text == '\'' ? "''" : "%c", *text);
	fputc('\'', out);
}

/* ---- what holds beyond the type ---- */

static void print_refusal(const struct place *p, enum refused what)
{
	line(p, "  message: \"weft does not carry out %s (%s)\"", schema_refused[what].what,
	     schema_refused[what].why);
}

static void print_rule(const struct place *p, const char *rule, const char *message,
		       enum refused refused)
{
	line_begin(p);
	fputs("- rule: ", p->out);
	print_quoted(rule, p->out);
	fputc('\n', p->out);
	if (!message) {
		print_refusal(p, refused);
		return;
	}
	line_begin(p);
	fputs("  message: ", p->out);
	print_quoted(message, p->out);
	fputc('\n', p->out);
}

static void print_cel(const struct place *p, const struct cel *cel)
{
	for (; cel && cel->rule; cel++)
		print_rule(p, cel->rule, cel->message, cel->refused);
}

/* "exact, prefix and regex" */
static void print_field_names(const struct message *m, FILE *out)
{
	for (const struct field *f = m->fields; f->name; f++)
		fprintf(out, "%s%s", f == m->fields ? "" : f[1].name ? ", " : " and ", f->name);
}

static void print_one_of(const struct place *p, const struct message *m)
{
	line_begin(p);
	fputs("- rule: \"", p->out);
	for (const struct field *f = m->fields; f->name; f++)
		fprintf(p->out, "%s(has(self.%s) ? 1 : 0)", f == m->fields ? "" : " + ", f->name);
	fputs(" < 2\"\n", p->out);
	line_begin(p);
	fputs("  message: \"expected one of ", p->out);
	print_field_names(m, p->out);
	fputs(", not several\"\n", p->out);
}

static void print_duration_rule(const struct place *p, int64_t min_ms)
{
	line(p, "- rule: \"duration(self) >= duration('%" PRId64 "ms')\"", min_ms);
	line(p,
	     "  message: \"expected a duration like 1h30m, 2s or 500ms, of at least %" PRId64
	     "%s\"",
	     min_ms, min_ms ? "ms" : "s");
}

static bool is_refused(const struct field *f)
{
	return f->type == FIELD_REFUSED || f->refused != REFUSED_NOTHING;
}

static bool has_rules(const struct field *f)
{
	return f->cel || f->type == FIELD_DURATION || is_refused(f);
}

/* Of a field, beside those of its message. */
static void print_field_rules(const struct place *p, const struct field *f)
{
	if (f->type == FIELD_DURATION)
		print_duration_rule(p, f->min);
	if (is_refused(f))
		print_rule(p, "false", NULL, f->refused);
	print_cel(p, f->cel);
}

static bool message_has_rules(const struct place *p, const struct message *m)
{
	return m->cel || (m->one_of && !p->in_map);
}

/* `f`: the field that the message is of, or NULL. */
static void print_message_rules(const struct place *p, const struct message *m,
				const struct field *f)
{
	if (!message_has_rules(p, m) && !(f && has_rules(f)))
		return;
	line(p, "x-kubernetes-validations:");
	if (m->one_of && !p->in_map)
		print_one_of(p, m);
	print_cel(p, m->cel);
	if (f)
		print_field_rules(p, f);
}

/* ---- scalars ---- */

static enum shape shape_of(const struct field *f)
{
	switch (f->type) {
	case FIELD_STRING:
	case FIELD_DURATION:
	case FIELD_ENUM:
		return SHAPE_STRING;
	case FIELD_STRINGS:
		return SHAPE_STRINGS;
	case FIELD_BOOL:
		return SHAPE_BOOL;
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT16:
		return SHAPE_INTEGER;
	case FIELD_MESSAGE:
	case FIELD_POINTER:
		return SHAPE_OBJECT;
	case FIELD_LIST:
		return SHAPE_LIST;
	default:
		return f->shape;
	}
}

/* The parts of a scalar's schema are printed one by one: in one line between braces, or each in its
 * own. */
struct parts {
	const struct place *p;
	bool inlined;
	bool any;
};

static FILE *part(struct parts *parts, const char *name)
{
	FILE *out = parts->p->out;

	if (!parts->inlined) {
		if (parts->any)
			fputc('\n', out);
		line_begin(parts->p);
	} else if (parts->any) {
		fputs(", ", out);
	}
	parts->any = true;
	fprintf(out, "%s: ", name);
	return out;
}

static void print_integer(struct parts *parts, const struct field *f)
{
	bool wide = f->type == FIELD_INT64;

	fputs("integer", part(parts, "type"));
	fputs(wide ? "int64" : "int32", part(parts, "format"));
	if (!f->max)
		return;
	fprintf(part(parts, "minimum"), "%" PRId64, f->min);
	if (f->max != INT64_MAX)
		fprintf(part(parts, "maximum"), "%" PRId64, f->max);
}

static void print_number(struct parts *parts, const struct field *f)
{
	fputs("number", part(parts, "type"));
	fputs("double", part(parts, "format"));
	if (!f->what)
		return;
	fprintf(part(parts, "minimum"), "%g", f->least);
	if (f->most < DBL_MAX)
		fprintf(part(parts, "maximum"), "%g", f->most);
}

static void print_string(struct parts *parts, const struct field *f)
{
	int64_t most = f->type == FIELD_DURATION ? DECODE_DURATION_MAX : f->max;

	fputs("string", part(parts, "type"));
	if (f->type == FIELD_ENUM) {
		FILE *out = part(parts, "enum");

		for (const struct word *w = f->words; w->name; w++)
			fprintf(out, "%s%s", w == f->words ? "[" : ", ", w->name);
		fputc(']', out);
	}
	if (most)
		fprintf(part(parts, "maxLength"), "%" PRId64, most);
	if (f->pattern)
		print_quoted(f->pattern, part(parts, "pattern"));
}

static int64_t most_elements(const struct field *f)
{
	return f->max ? f->max : DECODE_LIST_MAX;
}

/* What API servers price by its length has one. */
static void print_item(FILE *out, const struct field *f)
{
	fputs("{type: string", out);
	if (f->pattern) {
		fputs(", pattern: ", out);
		print_quoted(f->pattern, out);
	}
	fputs(f->cel ? ", maxLength: 255}" : "}", out);
}

static void print_strings(struct parts *parts, const struct field *f)
{
	fputs("array", part(parts, "type"));
	fprintf(part(parts, "maxItems"), "%" PRId64, most_elements(f));
	print_item(part(parts, "items"), f);
}

static void print_ports(struct parts *parts, const struct field *f)
{
	fputs("array", part(parts, "type"));
	fprintf(part(parts, "maxItems"), "%" PRId64, most_elements(f));
	fputs("{type: integer, format: int32, minimum: 1, maximum: 65535}", part(parts, "items"));
}

static void print_kvs(struct parts *parts, const struct field *f)
{
	fputs("object", part(parts, "type"));
	fprintf(part(parts, "maxProperties"), "%" PRId64, most_elements(f));
	print_item(part(parts, "additionalProperties"), f);
}

static void print_untyped(struct parts *parts, enum shape shape)
{
	if (shape == SHAPE_OBJECT)
		fputs("object", part(parts, "type"));
	fputs("true", part(parts, "x-kubernetes-preserve-unknown-fields"));
}

static void print_objects(struct parts *parts)
{
	fputs("array", part(parts, "type"));
	fputs("{type: object, x-kubernetes-preserve-unknown-fields: true}", part(parts, "items"));
}

static void print_leaf(struct parts *parts, const struct field *f)
{
	if (f->type == FIELD_DOUBLE) {
		print_number(parts, f);
		return;
	}
	if (f->type == FIELD_KVS || f->type == FIELD_FULL_KVS) {
		print_kvs(parts, f);
		return;
	}
	switch (shape_of(f)) {
	case SHAPE_STRING:
		print_string(parts, f);
		break;
	case SHAPE_INTEGER:
		print_integer(parts, f);
		break;
	case SHAPE_BOOL:
		fputs("boolean", part(parts, "type"));
		break;
	case SHAPE_STRINGS:
		print_strings(parts, f);
		break;
	case SHAPE_LIST:
		print_objects(parts);
		break;
	case SHAPE_PORTS:
		print_ports(parts, f);
		break;
	case SHAPE_OBJECT:
	case SHAPE_ANY:
		print_untyped(parts, shape_of(f));
		break;
	}
}

/* "mirrorPercent", or "mirror_percent". */
static void print_name(const struct place *p, const char *name, bool snake)
{
	line_begin(p);
	for (; *name; name++)
		if (snake && isupper((unsigned char)*name))
			fprintf(p->out, "_%c", tolower((unsigned char)*name));
		else
			fputc(*name, p->out);
}

/* A field without fields of its own. */
static void print_simple_field(const struct place *p, const struct field *f, bool snake)
{
	struct place below = deeper(p);
	struct parts parts = { .p = &below, .inlined = !has_rules(f) };

	print_name(p, f->name, snake);
	fputs(parts.inlined ? ": {" : ":\n", p->out);
	print_leaf(&parts, f);
	fputs(parts.inlined ? "}\n" : "\n", p->out);
	if (parts.inlined)
		return;
	line(&below, "x-kubernetes-validations:");
	print_field_rules(&below, f);
}

/* ---- messages ---- */

static void print_message(const struct place *p, const struct message *m, const struct field *f);

static void print_list_field(const struct place *p, const struct field *f)
{
	struct place below = deeper(p), item = deeper(&below);

	line(p, "%s:", f->name);
	line(&below, "type: array");
	line(&below, "maxItems: %" PRId64, most_elements(f));
	if (has_rules(f)) {
		line(&below, "x-kubernetes-validations:");
		print_field_rules(&below, f);
	}
	line(&below, "items:");
	print_message(&item, f->message, NULL);
}

static void print_map_field(const struct place *p, const struct field *f)
{
	struct place below = deeper(p), item = deeper(&below);

	item.in_map = true;
	line(p, "%s:", f->name);
	line(&below, "type: object");
	line(&below, "maxProperties: %" PRId64, most_elements(f));
	if (has_rules(f)) {
		line(&below, "x-kubernetes-validations:");
		print_field_rules(&below, f);
	}
	line(&below, "additionalProperties:");
	if (f->message->null_ok)
		line(&item, "nullable: true");
	print_message(&item, f->message, NULL);
}

static void print_field(const struct place *p, const struct field *f)
{
	struct place below = deeper(p);

	if (!f->message) {
		print_simple_field(p, f, false);
		if (f->snake)
			print_simple_field(p, f, true);
	} else if (f->type == FIELD_MAP) {
		print_map_field(p, f);
	} else if (shape_of(f) == SHAPE_LIST) {
		print_list_field(p, f);
	} else {
		line(p, "%s:", f->name);
		print_message(&below, f->message, f);
	}
}

static void print_required(const struct place *p, const struct message *m)
{
	bool any = false;

	for (const struct field *f = m->fields; f->name; f++) {
		if (!f->required)
			continue;
		if (!any)
			line_begin(p);
		fprintf(p->out, "%s%s", any ? ", " : "required: [", f->name);
		any = true;
	}
	if (any)
		fputs("]\n", p->out);
}

static void print_message(const struct place *p, const struct message *m, const struct field *f)
{
	struct place below = deeper(p);

	line(p, "type: object");
	print_required(p, m);
	if (m->one_of && p->in_map)
		line(p, "maxProperties: 1");
	print_message_rules(p, m, f);
	line(p, "properties:");
	for (const struct field *field = m->fields; field->name; field++)
		print_field(&below, field);
}

void crd_print_message(const struct message *m, int indent, FILE *out)
{
	const struct place p = { .out = out, .indent = indent };

	print_message(&p, m, NULL);
}
