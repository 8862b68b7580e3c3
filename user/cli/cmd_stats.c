// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"
#include "lib/route/regex.h"

/* The regular expressions that may be asked for: for a whole line, for a name, as --filter. */
enum { LINE, NAME, FILTER, REGEXES };

struct pattern {
	const char *text, *filter; /* NULL: everything */
	bool extended, nonzero;
	struct http_regexes *regexes;
	bool wanted[REGEXES];
};

/* The value is borrowed: a number, or the text of a histogram. */
struct line {
	const char *name;
	json_t *value;
};

static char *line_text(const struct line *l)
{
	char *text = NULL;
	int n = json_is_string(l->value)
			? asprintf(&text, "%s: %s", l->name, json_string_value(l->value))
			: asprintf(&text, "%s: %lld", l->name,
				   (long long)json_integer_value(l->value));

	return n < 0 ? NULL : text;
}

/* A histogram is zero as long as nothing was recorded. */
static bool is_zero(const json_t *value)
{
	if (json_is_string(value))
		return strcmp(json_string_value(value), "No recorded values") == 0;
	return json_integer_value(value) == 0;
}

static bool fits(const struct pattern *p, int which, const char *text)
{
	return !p->wanted[which] || http_regex_match(p->regexes, which, text, strlen(text));
}

static bool matches(const struct pattern *p, const struct line *l)
{
	_cleanup_free_ char *text = p->wanted[LINE] ? line_text(l) : NULL;

	if (p->nonzero && is_zero(l->value))
		return false;
	return fits(p, NAME, l->name) && fits(p, FILTER, l->name) && fits(p, LINE, text ?: "");
}

static int by_name(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int print_json(const struct line *lines, size_t count)
{
	_cleanup_(json_decrefp) json_t *object = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_set(object, lines[i].name, lines[i].value);
	return client_print_json(object);
}

static int print(const struct line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *text = line_text(&lines[i]);

		if (!text)
			return cmd_failed("out of memory");
		puts(text);
	}
	return STATUS_DONE;
}

static int show(const struct cli *cli, json_t *data, const struct pattern *p)
{
	_cleanup_free_ struct line *lines = calloc(json_object_size(data) + 1, sizeof(*lines));
	size_t count = 0;
	struct line line;

	if (!lines)
		return cmd_failed("out of memory");
	json_object_foreach(data, line.name, line.value) if (matches(p, &line))
		lines[count++] = line;
	qsort(lines, count, sizeof(*lines), by_name);
	return cli->output ? print_json(lines, count) : print(lines, count);
}

static int ask(const struct cli *cli, const char *contains, json_t **data)
{
	json_t *request = client_request("stats");

	if (contains)
		json_object_set_new(request, "contains", json_text(contains));
	return client_ask(cli, request, NULL, data);
}

static int want(struct pattern *p, int which, const char *option, const char *text)
{
	char problem[128];
	int r = http_regex_check(text, problem, sizeof(problem));

	if (r == -EINVAL)
		return cmd_wrong("stats", "%s \"%s\": %s", option, text, problem);
	if (!r)
		r = http_regexes_set(p->regexes, which, text, strlen(text), true);
	p->wanted[which] = !r;
	return r ? cmd_failed("%s", strerror(-r)) : 0;
}

/* A cluster's name, which is full of "|" and ".", means itself: only a text that is in no line is
 * taken for a regular expression. */
static int run(const struct cli *cli, struct pattern *p)
{
	_cleanup_json_ json_t *data = NULL;
	bool whole = p->text && p->extended;
	int r = whole ? want(p, LINE, "-E", p->text) : 0;

	if (!r && p->filter)
		r = want(p, FILTER, "--filter", p->filter);
	if (!r)
		r = ask(cli, whole ? NULL : p->text, &data);
	if (!r && p->text && !whole && !json_object_size(data)) {
		json_decref(TAKE_PTR(data));
		r = want(p, NAME, "PATTERN", p->text);
		if (!r)
			r = ask(cli, NULL, &data);
	}
	return r ? r : show(cli, data, p);
}

int cmd_stats(struct cli *cli, int argc, char **argv)
{
	struct pattern p = { 0 };
	const struct cmd_option options[] = {
		{ 'E', NULL, .flag = &p.extended },
		{ 0, "filter", .value = &p.filter },
		{ 0, "nonzero", .flag = &p.nonzero },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 2)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[2]);
	p.text = argc > 1 ? argv[1] : NULL;
	p.regexes = http_regexes_new(NULL, REGEXES);
	if (!p.regexes)
		return cmd_failed("out of memory");
	r = run(cli, &p);
	http_regexes_free(p.regexes);
	return r;
}
