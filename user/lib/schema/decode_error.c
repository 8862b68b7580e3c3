// SPDX-License-Identifier: Apache-2.0
/*
 * What is said of a field, by its path; and memory, whose lack is noted for the end.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/schema/decode.h"

void *decode_alloc(struct decoder *d, size_t size)
{
	void *p = arena_alloc(d->arena, size ? size : 1);

	if (!p)
		d->no_memory = true;
	return p;
}

bool decode_key_is_plain(const char *s)
{
	for (const char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	return *s;
}

static void print_path(FILE *f, const struct path *p)
{
	if (!p)
		return;
	print_path(f, p->up);
	if (!p->name)
		fprintf(f, "[%zu]", p->index);
	else if (p->key && !decode_key_is_plain(p->name))
		fprintf(f, "[\"%.64s\"]", p->name);
	else
		fprintf(f, "%s%.64s", p->up ? "." : "", p->name);
}

static void report(struct decoder *d, bool warning, const struct node *at, const char *sub,
		   const char *fmt, va_list args)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f;

	if (!warning && ++d->reported > DECODE_ERRORS_MAX) {
		if (d->reported == DECODE_ERRORS_MAX + 1)
			errors_add(d->errors, d->file, (struct pos){ 0 }, "more than %d errors",
				   DECODE_ERRORS_MAX);
		return;
	}
	f = open_memstream(&text, &size);
	if (!f) {
		d->no_memory = true;
		return;
	}
	print_path(f, d->path);
	if (sub)
		fprintf(f, "%s%s", d->path && *sub != '[' ? "." : "", sub);
	if (d->path || sub)
		fputs(": ", f);
	vfprintf(f, fmt, args);
	fclose(f);
	if (warning)
		errors_warn(d->errors, d->file, node_pos(at), "%s", text);
	else
		errors_add(d->errors, d->file, node_pos(at), "%s", text);
}

void decode_error(struct decoder *d, const struct node *at, const char *sub, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(d, false, at, sub, fmt, args);
	va_end(args);
}

void decode_warn(struct decoder *d, const struct node *at, const char *sub, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(d, true, at, sub, fmt, args);
	va_end(args);
}

void decode_expected(struct decoder *d, const struct node *at, const char *sub, const char *what)
{
	char buf[160];

	decode_error(d, at, sub, "expected %s, not %s", what, node_describe(at, buf, sizeof(buf)));
}

void decode_refuse(struct decoder *d, const struct node *at, enum refused what)
{
	const struct refusal *r = &schema_refused[what];

	decode_error(d, at, NULL, "weft does not carry out %s (%s)", r->what, r->why);
}

void decode_refuse_value(struct decoder *d, const struct node *value, enum refused what)
{
	const struct refusal *r = &schema_refused[what];
	char buf[160];

	decode_error(d, value, NULL, "weft does not carry out %s (%s), not %s", r->what, r->why,
		     node_describe(value, buf, sizeof(buf)));
}
