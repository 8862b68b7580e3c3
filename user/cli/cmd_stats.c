// SPDX-License-Identifier: Apache-2.0
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "json_io.h"

struct pattern {
	const char *text; /* NULL: everything */
	regex_t *regex;	  /* NULL: as it stands, which weftd looks for itself */
};

struct line {
	const char *name;
	json_int_t value;
};

static bool matches(const struct pattern *p, const char *name, json_int_t value)
{
	_cleanup_free_ char *line = NULL;

	if (!p->regex)
		return true;
	if (asprintf(&line, "%s: %lld", name, (long long)value) < 0) {
		line = NULL;
		return false;
	}
	return regexec(p->regex, line, 0, NULL, 0) == 0;
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
		json_object_set_new(object, lines[i].name, json_integer(lines[i].value));
	return client_print_json(object);
}

static int print(const struct line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%s: %lld\n", lines[i].name, (long long)lines[i].value);
	return STATUS_DONE;
}

static int show(const struct cli *cli, json_t *data, const struct pattern *p)
{
	_cleanup_free_ struct line *lines = calloc(json_object_size(data) + 1, sizeof(*lines));
	size_t count = 0;
	const char *name;
	json_t *value;

	if (!lines)
		return cmd_failed("out of memory");
	json_object_foreach(data, name, value) if (matches(p, name, json_integer_value(value)))
		lines[count++] = (struct line){ name, json_integer_value(value) };
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
