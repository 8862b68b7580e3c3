// SPDX-License-Identifier: Apache-2.0
#include "lib/base/errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"

static char *located(const char *file, struct pos at, const char *message)
{
	char *text;
	int n;

	if (at.line && at.col)
		n = asprintf(&text, "%s:%d:%d: %s", file, at.line, at.col, message);
	else
		n = asprintf(&text, "%s: %s", file, message);
	return n < 0 ? NULL : text;
}

/* Running out of memory must not turn a refusal into an acceptance: the error is counted even
 * without its text. */
static void add(struct errors *e, bool warning, const char *file, struct pos at, const char *fmt,
		va_list args)
{
	_cleanup_free_ char *message = NULL;
	struct error *items;
	char *text = NULL;
	size_t place = 0;

	if (vasprintf(&message, fmt, args) < 0)
		message = NULL;
	if (message)
		text = located(file, at, message);
	if (text)
		place = strlen(text) - strlen(message) - 2;
	items = reallocarray(e->items, e->count + 1, sizeof(*items));
	if (items) {
		e->items = items;
		items[e->count++] = (struct error){ .text = TAKE_PTR(text),
						    .warning = warning,
						    .place = place };
		e->warnings += warning;
	}
	free(text);
}

void errors_add(struct errors *e, const char *file, struct pos at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(e, false, file, at, fmt, args);
	va_end(args);
}

void errors_warn(struct errors *e, const char *file, struct pos at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(e, true, file, at, fmt, args);
	va_end(args);
}

const char *place_text(char *buf, size_t size, const char *file, struct pos at)
{
	if (at.line && at.col)
		snprintf(buf, size, "%s:%d:%d", file, at.line, at.col);
	else
		snprintf(buf, size, "%s", file);
	return buf;
}

bool errors_fatal(const struct errors *e)
{
	return e->count > e->warnings;
}

static void error_free(struct error *e)
{
	free(e->text);
	free(e->namespace);
}

void errors_move(struct errors *to, struct errors *from)
{
	struct error *items =
		from->count ? reallocarray(to->items, to->count + from->count, sizeof(*items))
			    : NULL;

	if (items) {
		to->items = items;
		for (size_t i = 0; i < from->count; i++)
			items[to->count++] = from->items[i];
		to->warnings += from->warnings;
		from->count = from->warnings = 0;
	}
	errors_free(from);
}

int errors_copy(struct errors *to, const struct error *e, const char *namespace)
{
	struct error *items = reallocarray(to->items, to->count + 1, sizeof(*items)), *copy;

	if (!items)
		return -ENOMEM;
	to->items = items;
	copy = &items[to->count++];
	*copy = *e;
	copy->text = e->text ? strdup(e->text) : NULL;
	copy->namespace = namespace ? strdup(namespace) : NULL;
	to->warnings += e->warning;
	return 0;
}

void errors_keep(struct errors *e, bool (*wanted)(const struct error *error, void *arg), void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (wanted(&e->items[i], arg)) {
			e->items[kept++] = e->items[i];
			continue;
		}
		e->warnings -= e->items[i].warning;
		error_free(&e->items[i]);
	}
	e->count = kept;
}

void errors_free(struct errors *e)
{
	for (size_t i = 0; i < e->count; i++)
		error_free(&e->items[i]);
	free(e->items);
	memset(e, 0, sizeof(*e));
}
