// SPDX-License-Identifier: Apache-2.0
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/base/json_io.h"

struct pattern {
	const char *text; /* NULL: everything */
	regex_t *regex;	  /* NULL: as it stands, which weftd looks for itself */
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

static bool matches(const struct pattern *p, const struct line *l)
{
	_cleanup_free_ char *text = p->regex ? line_text(l) : NULL;

	return !p->regex || (text && !regexec(p->regex, text, 0, NULL, 0));
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

	if (p->text && !p->regex)
		json_object_set_new(request, "contains", json_text(p->text));
	r = client_ask(cli, request, NULL, &data);
	return r ? r : show(cli, data, p);
}

int cmd_stats(struct cli *cli, int argc, char **argv)
{
	struct pattern p = { 0 };
	bool extended = false;
	const struct cmd_option options[] = { { 'E', NULL, .flag = &extended }, { 0 } };
	char message[128];
	regex_t regex;
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 2)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[2]);
	p.text = argc > 1 ? argv[1] : NULL;
	if (!extended || !p.text)
		return ask(cli, &p);
	r = regcomp(&regex, p.text, REG_EXTENDED | REG_NOSUB);
	if (r) {
		regerror(r, &regex, message, sizeof(message));
		return cmd_wrong(argv[0], "-E \"%s\": %s", p.text, message);
	}
	p.regex = &regex;
	r = ask(cli, &p);
	regfree(&regex);
	return r;
}
