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

/* What is asked for. Text as it stands is looked for by weftd itself. */
struct pattern {
	const char *text, *filter; /* NULL: everything */
	bool extended;		   /* `text` is a regular expression */
	bool nonzero;
	struct http_regexes *regexes; /* LINE and NAME */
};

enum { LINE, NAME, REGEXES };

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

static bool matches(const struct pattern *p, const struct line *l)
{
	_cleanup_free_ char *text = p->extended ? line_text(l) : NULL;

	if (p->nonzero && is_zero(l->value))
		return false;
	if (p->filter && !http_regex_match(p->regexes, NAME, l->name, strlen(l->name)))
		return false;
	return !p->extended || (text && http_regex_match(p->regexes, LINE, text, strlen(text)));
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

static int ask(const struct cli *cli, const struct pattern *p)
{
	_cleanup_(json_decrefp) json_t *data = NULL;
	json_t *request = client_request("stats");
	int r;

	if (p->text && !p->extended)
		json_object_set_new(request, "contains", json_text(p->text));
	r = client_ask(cli, request, NULL, &data);
	return r ? r : show(cli, data, p);
}

static int set_regex(const struct pattern *p, int which, const char *option, const char *text)
{
	char problem[128];
	int r = http_regex_check(text, problem, sizeof(problem));

	if (r == -EINVAL)
		return cmd_wrong("stats", "%s \"%s\": %s", option, text, problem);
	if (!r)
		r = http_regexes_set(p->regexes, which, text, strlen(text), true);
	return r ? cmd_failed("%s", strerror(-r)) : 0;
}

static int run(const struct cli *cli, struct pattern *p)
{
	int r = 0;

	p->extended = p->extended && p->text;
	p->regexes = http_regexes_new(REGEXES);
	if (!p->regexes)
		return cmd_failed("out of memory");
	if (p->extended)
		r = set_regex(p, LINE, "-E", p->text);
	if (!r && p->filter)
		r = set_regex(p, NAME, "--filter", p->filter);
	if (!r)
		r = ask(cli, p);
	http_regexes_free(p->regexes);
	return r;
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
	return run(cli, &p);
}
