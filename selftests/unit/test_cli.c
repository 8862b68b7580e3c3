// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "lib/base/json_io.h"

struct row {
	const char *description;
	const char *words[8];
	int status;
};

static const struct row rows[] = {
	{ "no command", { "weft" }, STATUS_USAGE },
	{ "help", { "weft", "--help" }, STATUS_DONE },
	{ "help behind an option", { "weft", "--run-dir", "/x", "--help" }, STATUS_DONE },
	{ "version", { "weft", "--version" }, STATUS_DONE },
	{ "unknown command", { "weft", "aply" }, STATUS_USAGE },
	{ "unknown global option", { "weft", "--colour", "status" }, STATUS_USAGE },
	{ "help of a command", { "weft", "get", "--help" }, STATUS_DONE },
	{ "unknown option", { "weft", "get", "vs", "--colour" }, STATUS_USAGE },
	{ "missing value", { "weft", "get", "vs", "-n" }, STATUS_USAGE },
	{ "value for a flag", { "weft", "status", "--wait=yes" }, STATUS_USAGE },
	{ "missing kind", { "weft", "get" }, STATUS_USAGE },
	{ "one argument too many", { "weft", "get", "vs", "a", "b" }, STATUS_USAGE },
	{ "output that the command has not", { "weft", "stats", "-o", "yaml" }, STATUS_USAGE },
	{ "output that no command has", { "weft", "get", "vs", "-ox" }, STATUS_USAGE },
	{ "apply without files", { "weft", "apply" }, STATUS_USAGE },
	{ "validate without files", { "weft", "validate" }, STATUS_USAGE },
	{ "file that is not there", { "weft", "validate", "-f", "/nonexistent" }, STATUS_FAILED },
	{ "no daemon", { "weft", "--run-dir", "/nonexistent", "status" }, STATUS_FAILED },
	{ "no daemon, option behind",
	  { "weft", "status", "--run-dir=/nonexistent" },
	  STATUS_FAILED },
	{ "no daemon in time",
	  { "weft", "--run-dir", "/nonexistent", "status", "--wait", "--timeout", "0" },
	  STATUS_FAILED },
	{ "timeout that is none",
	  { "weft", "status", "--wait", "--timeout", "soon" },
	  STATUS_USAGE },
	{ "bad regular expression", { "weft", "stats", "-E", "(" }, STATUS_USAGE },
	{ "explain from nowhere", { "weft", "explain", "--to", "a:1" }, STATUS_USAGE },
	{ "explain to nowhere", { "weft", "explain", "--from", "a" }, STATUS_USAGE },
	{ "explain without a port",
	  { "weft", "explain", "--from", "a", "--to", "b" },
	  STATUS_USAGE },
	{ "explain with port 0",
	  { "weft", "explain", "--from", "a", "--to", "b:0" },
	  STATUS_USAGE },
	{ "completion for no shell", { "weft", "completion" }, STATUS_USAGE },
	{ "completion for an unknown shell", { "weft", "completion", "tcsh" }, STATUS_USAGE },
	{ "completion", { "weft", "completion", "bash" }, STATUS_DONE },
};

static void quiet(void)
{
	int fd = open("/dev/null", O_WRONLY);

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

Test(cli, exit_status_tells_wrong_usage_from_failure, .init = quiet)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *argv[9] = { 0 };
		char words[8][64];
		int argc = 0, status;

		for (; argc < 8 && rows[i].words[argc]; argc++) {
			strcpy(words[argc], rows[i].words[argc]);
			argv[argc] = words[argc];
		}
		status = cmd_main(argc, argv);
		cr_expect_eq(status, rows[i].status, "%s: %d", rows[i].description, status);
	}
}

static int validate(const char *file)
{
	char words[4][64] = { "weft", "validate", "-f" };
	char *argv[] = { words[0], words[1], words[2], words[3], NULL };

	strcpy(words[3], file);
	return cmd_main(4, argv);
}

Test(cli, what_cannot_be_printed_is_a_failure, .init = quiet)
{
	char path[] = "/tmp/weft-cli.XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_expect_eq(validate(path), STATUS_FAILED, "nothing was given, and it was valid");
	dprintf(fd, "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n");
	close(fd);
	cr_expect_eq(validate(path), STATUS_DONE);
	fd = open("/dev/full", O_WRONLY);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	cr_expect_eq(validate(path), STATUS_FAILED);
	/* More than a buffer: the failure has long passed when the command ends. */
	for (size_t i = 0; i < 3 * BUFSIZ; i++)
		putchar('x');
	cr_expect_eq(validate(path), STATUS_FAILED);
	unlink(path);
}

Test(cli, options_may_stand_anywhere_and_arguments_stay_in_order)
{
	char words[8][16] = { "get", "-n", "prod", "vs", "-A", "-ojson", "--", "-name" };
	char *argv[8];
	struct cli cli = { 0 };
	const char *namespace = NULL;
	bool all = false;
	const struct cmd_option options[] = { { 'n', "namespace", .value = &namespace },
					      { 'A', "all-namespaces", .flag = &all },
					      { 0 } };
	int argc = 8;

	for (int i = 0; i < argc; i++)
		argv[i] = words[i];
	cr_assert_eq(cmd_options(&cli, &argc, argv, options), 0);
	cr_expect_eq(argc, 3);
	cr_expect_str_eq(argv[1], "vs");
	cr_expect_str_eq(argv[2], "-name");
	cr_expect_str_eq(namespace, "prod");
	cr_expect_str_eq(cli.output, "json");
	cr_expect(all);
}

Test(cli, every_command_is_found_by_its_name_and_only_by_it)
{
	for (size_t i = 0; i < cmd_count; i++) {
		cr_expect_eq(cmd_find(cmds[i].name), &cmds[i]);
		cr_expect_not_null(cmds[i].help);
	}
	cr_expect_null(cmd_find("appl"));
	cr_expect_null(cmd_find(""));
}

Test(json_io, any_bytes_become_text)
{
	static const struct {
		const char *in, *out;
	} texts[] = {
		{ "plain", "plain" },
		{ "sn\xc3\xb6", "sn\xc3\xb6" },
		{ "a\377b", "a\xef\xbf\xbd"
			    "b" },
		{ "cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd" },
		{ "overlong \xc0\xaf", "overlong \xef\xbf\xbd\xef\xbf\xbd" },
		{ "surrogate \xed\xa0\x80", "surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		json_t *j = json_text(texts[i].in);

		cr_expect_str_eq(json_string_value(j), texts[i].out);
		json_decref(j);
	}
}
