// SPDX-License-Identifier: Apache-2.0
/*
 * The table of subcommands, and what follows from it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "lib/base/log.h"

const struct cmd cmds[] = {
	{ "analyze", cmd_analyze, "[-f FILE|DIR|-]...",
	  "look for rules that are valid but unlikely to be meant", "-f --skip-unknown -o", "json",
	  "Without -f the rules in force are looked at. With -f neither weftd nor root is "
	  "needed.\n"
	  "  --skip-unknown  with -f: pass over kinds that weft does not carry out\n" },
	{ "apply", cmd_apply, "-f FILE|DIR|-...", "put rules into force, all in the call or none",
	  "-f --skip-unknown", NULL,
	  "  -f FILE|DIR|-   a file, the .yaml, .yml and .json files of a directory, or standard "
	  "input; repeatable\n"
	  "  --skip-unknown  pass over policies and rules of kinds that weft does not carry "
	  "out\n" },
	{ "completion", cmd_completion, "bash|zsh|fish", "print a completion script for a shell",
	  "bash zsh fish", NULL, NULL },
	{ "conns", cmd_conns, "[--all]", "list the connections that are steered", "--all -o",
	  "json wide",
	  "  --all           also those that have ended and are only remembered for a late "
	  "packet\n" },
	{ "delete", cmd_delete, "-f FILE|DIR|-... | KIND NAME [-n NAMESPACE]",
	  "take rules out of force", "-f -n --ignore-not-found --skip-unknown", NULL,
	  "  --ignore-not-found   what is not there is no error\n"
	  "  --skip-unknown       pass over kinds that weft does not carry out\n" },
	{ "describe", cmd_describe, "KIND NAME [-n NAMESPACE]", "tell everything about one object",
	  "-n -o", "json", NULL },
	{ "explain", cmd_explain,
	  "--from POD --to HOST:PORT | -f FILE... --from NAMESPACE[/POD] --to HOST:PORT",
	  "say what a connection would do, and why",
	  "-f --from --from-labels --gateway --to --to-address --sni --method --scheme --path "
	  "--header --skip-unknown -o",
	  "json",
	  "  --from [NAMESPACE/]POD     who connects; with -f the pod may be left out\n"
	  "  --to HOST:PORT             what it connects to\n"
	  "  --to-address ADDRESS:PORT  the same, by address\n"
	  "  -f FILE|DIR|-              answer from files, without weftd; then also\n"
	  "  --from-labels K=V,...      labels of who connects\n"
	  "  --gateway NAMESPACE/NAME   from outside, through this gateway\n"
	  "  --sni NAME                 for TLS\n"
	  "  --method, --scheme, --path, --header K=V   for HTTP\n"
	  "  --skip-unknown             with -f: pass over kinds that weft does not carry out\n" },
	{ "get", cmd_get, "KIND [NAME] [-n NAMESPACE|-A]", "show objects in force", "-n -A -o",
	  "json yaml wide",
	  "  -n NAMESPACE    of this namespace (default)\n"
	  "  -A              of all namespaces\n" },
	{ "stats", cmd_stats, "[-E] [PATTERN]", "print counters whose line contains PATTERN",
	  "-E -o", "json", "  -E              PATTERN is an extended regular expression\n" },
	{ "status", cmd_status, "[--wait] [--timeout SECONDS]",
	  "tell whether weftd is ready, and what it has in force", "--wait --timeout -o", "json",
	  "  --wait          until it is ready, for at most --timeout seconds (30)\n" },
	{ "uninstall", cmd_uninstall, "[--bpffs DIR]",
	  "end weftd and remove everything of weft from the kernel", "--bpffs", NULL,
	  "  --bpffs DIR     where weft is pinned, if weftd does not run (where it was last)\n" },
	{ "validate", cmd_validate, "-f FILE|DIR|-...",
	  "check rules without putting them into force", "-f --skip-unknown -o", "json",
	  "Neither weftd nor root is needed.\n"
	  "  --skip-unknown  pass over policies and rules of kinds that weft does not carry "
	  "out\n" },
	{ "verify-install", cmd_verify_install, "",
	  "check the machine and the daemon, point by point", "-o", "json", NULL },
};

const size_t cmd_count = sizeof(cmds) / sizeof(*cmds);

const struct cmd *cmd_find(const char *name)
{
	for (size_t i = 0; i < cmd_count; i++)
		if (strcmp(cmds[i].name, name) == 0)
			return &cmds[i];
	return NULL;
}

static int print_usage(FILE *to)
{
	fputs("usage: weft [--run-dir DIR] COMMAND [ARGUMENT]...\n\n", to);
	for (size_t i = 0; i < cmd_count; i++)
		fprintf(to, "  %-15s %s\n", cmds[i].name, cmds[i].help);
	fputs("\n"
	      "  --run-dir DIR   the weftd to talk to, by its run directory (/run/weft)\n"
	      "  -o FORMAT       json on everything that reads; get knows yaml and wide, too\n"
	      "  --help          of a command: its arguments\n"
	      "  --version\n"
	      "\n"
	      "Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n",
	      to);
	return STATUS_DONE;
}

static int print_help(const struct cmd *cmd)
{
	printf("usage: weft %s%s%s\n%s.\n", cmd->name, *cmd->args ? " " : "", cmd->args, cmd->help);
	if (cmd->details)
		printf("\n%s", cmd->details);
	if (cmd->outputs)
		printf("\n  -o FORMAT       one of: %s\n", cmd->outputs);
	return STATUS_DONE;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/*
 * Takes the options in front of the command. Returns 0 with *skip set to how many words they are,
 * or 1 with *status when there is nothing left to do.
 */
static int global_options(struct cli *cli, int argc, char **argv, int *skip, int *status)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-') {
		bool more = i + 1 < argc;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			*status = print_usage(stdout);
			return 1;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("weft " WEFT_VERSION);
			*status = STATUS_DONE;
			return 1;
		}
		if (strcmp(argv[i], "--run-dir") == 0 && more) {
			cli->run_dir = argv[++i];
		} else if (strncmp(argv[i], "--run-dir=", 10) == 0) {
			cli->run_dir = argv[i] + 10;
		} else if ((strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) &&
			   more) {
			cli->output = argv[++i];
		} else {
			*status = cmd_wrong(NULL, "unknown option \"%s\", or its value is missing",
					    argv[i]);
			return 1;
		}
		i++;
	}
	*skip = i;
	return 0;
}

/* Whatever printed it: what has not reached stdout is a failure. */
static int flush_stdout(int status)
{
	bool lost = ferror(stdout);

	errno = EIO; /* if all that can be told is that something was lost before */
	if (!fflush(stdout) && !lost)
		return status;
	cmd_failed("stdout: %s", strerror(errno));
	return status == STATUS_DONE ? STATUS_FAILED : status;
}

static int run(int argc, char **argv)
{
	struct cli cli = { .run_dir = "/run/weft" };
	const struct cmd *cmd;
	int skip, status;

	log_set("weft", LOG_LEVEL_INFO);
	if (global_options(&cli, argc, argv, &skip, &status))
		return status;
	argc -= skip;
	argv += skip;
	if (argc < 1) {
		print_usage(stderr);
		return STATUS_USAGE;
	}
	if (strcmp(argv[0], "help") == 0)
		return print_usage(stdout);
	cmd = cmd_find(argv[0]);
	if (!cmd)
		return cmd_wrong(NULL, "unknown command \"%s\"", argv[0]);
	if (asks_for_help(argc, argv))
		return print_help(cmd);
	return cmd->run(&cli, argc, argv);
}

int cmd_main(int argc, char **argv)
{
	return flush_stdout(run(argc, argv));
}
