// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "lib/base/cleanup.h"

int cmd_wrong(const char *name, const char *fmt, ...)
{
	va_list args;

	fputs("weft: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry weft%s%s --help.\n", name ? " " : "", name ? name : "");
	return STATUS_USAGE;
}

int cmd_failed(const char *fmt, ...)
{
	va_list args;

	fputs("weft: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return STATUS_FAILED;
}

void cmd_list_free(struct cmd_list *list)
{
	free(list->items);
	*list = (struct cmd_list){ 0 };
}

static int list_add(struct cmd_list *list, const char *item)
{
	const char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

	if (!items)
		return cmd_failed("out of memory");
	items[list->count++] = item;
	list->items = items;
	return 0;
}

/* Whether `word` is this option; then *value is what is stuck to it, or NULL. */
static bool is_option(const struct cmd_option *o, const char *word, const char **value)
{
	size_t len = o->name ? strlen(o->name) : 0;

	*value = NULL;
	if (word[1] != '-') {
		if (!o->letter || word[1] != o->letter)
			return false;
		*value = word[2] ? word + 2 : NULL;
		return true;
	}
	if (!len || strncmp(word + 2, o->name, len) != 0)
		return false;
	*value = word[2 + len] == '=' ? word + 2 + len : NULL;
	return !word[2 + len] || *value;
}

static const struct cmd_option *find(const struct cmd_option *options, const char *word,
				     const char **value)
{
	for (; options->flag || options->value || options->list; options++)
		if (is_option(options, word, value))
			return options;
	return NULL;
}

static int set_flag(const struct cmd_option *o, const char *value, const char *name,
		    const char *word)
{
	*o->flag = !value || strcmp(value, "=true") == 0;
	if (!value || *o->flag || strcmp(value, "=false") == 0)
		return 0;
	return cmd_wrong(name, "%s: true or false is expected", word);
}

/* Sets one option. `value` is what is stuck to it, the "=" included. *used is the number of words
 * it took. */
static int set(const struct cmd_option *o, const char *value, const char *next, int *used,
	       const char *name, const char *word)
{
	*used = 1;
	if (o->flag)
		return set_flag(o, value, name, word);
	if (value)
		value += *value == '=';
	else
		value = o->bare;
	if (!value) {
		if (!next)
			return cmd_wrong(name, "%s: a value is missing", word);
		value = next;
		*used = 2;
	}
	if (o->list)
		return list_add(o->list, value);
	*o->value = value;
	return 0;
}

/* "json, yaml, jsonpath=... or custom-columns=..." of "json yaml jsonpath= custom-columns=". */
static char *list_outputs(const char *outputs)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (const char *at = outputs; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		int len = (int)strcspn(at, " ");

		fprintf(f, "%s%.*s%s",
			at == outputs ? ""
			: at[len]     ? ", "
				      : " or ",
			len, at, at[len - 1] == '=' ? "..." : "");
	}
	return fclose(f) ? NULL : text;
}

static int check_output(const char *name, const char *output)
{
	const struct cmd *cmd = cmd_find(name);
	size_t len = output ? strlen(output) : 0;
	_cleanup_free_ char *formats = NULL;

	if (!output)
		return 0;
	for (const char *at = cmd->outputs; at && *at;
	     at += strcspn(at, " "), at += strspn(at, " ")) {
		size_t known = strcspn(at, " ");
		bool open = at[known - 1] == '=';

		if ((known == len || (open && known < len)) && strncmp(at, output, known) == 0)
			return 0;
	}
	if (!cmd->outputs)
		return cmd_wrong(name, "-o: weft %s has no other formats", name);
	formats = list_outputs(cmd->outputs);
	return cmd_wrong(name, "-o: not \"%s\": %s is expected", output,
			 formats ? formats : "another");
}

/* What may stand at any command. */
struct global {
	struct cmd_option options[4];
};

static struct global global_options(struct cli *cli)
{
	return (struct global){ {
		{ 'o', "output", .value = &cli->output },
		{ 'n', "namespace", .value = &cli->namespace },
		{ 0, "run-dir", .value = &cli->run_dir },
	} };
}

bool cmd_takes_next(const char *word)
{
	struct cli none;
	const struct global global = global_options(&none);
	const char *value;

	return find(global.options, word, &value) && !value;
}

/* Sets what `word` says; several letters may share a dash: -An shop. */
static int set_word(const struct cmd_option *options, const struct cmd_option *global, char *word,
		    const char *next, int *used, const char *name)
{
	const struct cmd_option *o;
	const char *value;
	int r;

	for (;;) {
		o = find(options, word, &value);
		if (!o)
			o = find(global, word, &value);
		if (!o)
			return cmd_wrong(name, "unknown option \"%s\"", word);
		if (!o->flag || !value || *value == '=' || word[1] == '-')
			return set(o, value, next, used, name, word);
		r = set(o, NULL, NULL, used, name, word);
		if (r)
			return r;
		*++word = '-';
	}
}

int cmd_options(struct cli *cli, int *argc, char **argv, const struct cmd_option *options)
{
	const struct global global = global_options(cli);
	int left = 1, i = 1, used = 1, r;

	while (i < *argc) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1]) {
			argv[left++] = argv[i++];
			continue;
		}
		r = set_word(options, global.options, argv[i], i + 1 < *argc ? argv[i + 1] : NULL,
			     &used, argv[0]);
		if (r)
			return r;
		i += used;
	}
	while (i < *argc)
		argv[left++] = argv[i++];
	*argc = left;
	return check_output(argv[0], cli->output);
}
