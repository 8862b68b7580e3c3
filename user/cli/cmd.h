/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_CMD_H
#define WEFT_CLI_CMD_H
/*
 * The subcommands of weft. Each is given its own arguments, argv[0] being its name, and returns an
 * exit status.
 */
#include <stdbool.h>
#include <stddef.h>

enum {
	STATUS_DONE = 0,
	STATUS_FAILED = 1, /* refused, or something went wrong */
	STATUS_USAGE = 2,
};

/* What goes for every subcommand. */
struct cli {
	const char *run_dir;
	const char *output;    /* -o: "json", "yaml", "wide"...; NULL: for people */
	const char *namespace; /* -n; NULL: none was said */
};

/* The namespace that a name is looked up in. */
static inline const char *cli_namespace(const struct cli *cli)
{
	return cli->namespace && *cli->namespace ? cli->namespace : "default";
}

typedef int (*cmd_fn)(struct cli *cli, int argc, char **argv);

struct cmd {
	const char *name;
	cmd_fn run;
	const char *args;    /* for its usage line */
	const char *help;    /* one line */
	const char *options; /* what completion offers, separated by blanks */
	/* The values of -o that it knows, separated by blanks; "x=" takes any text behind. NULL:
	 * none. */
	const char *outputs;
	const char *details; /* lines for its --help; NULL: none */
};

extern const struct cmd cmds[];
extern const size_t cmd_count;

/* NULL if there is none of that name. */
const struct cmd *cmd_find(const char *name);

/* Runs weft with a whole command line. Returns the exit status. */
int cmd_main(int argc, char **argv);

/* "weft: message" on stderr, with a hint at --help. Returns STATUS_USAGE. */
__attribute__((format(printf, 2, 3))) int cmd_wrong(const char *name, const char *fmt, ...);
/* "weft: message" on stderr. Returns STATUS_FAILED. */
__attribute__((format(printf, 1, 2))) int cmd_failed(const char *fmt, ...);

/* One option of a subcommand. `letter` is 0 for none. Exactly one of `flag`, `value` and `list` is
 * set. */
struct cmd_option {
	char letter;
	const char *name;
	bool *flag;
	const char **value;
	struct cmd_list *list; /* may be given more than once */
	const char *bare;      /* the value when none is stuck to it; NULL: the next word is it */
};

struct cmd_list {
	const char **items;
	size_t count;
};

void cmd_list_free(struct cmd_list *list);

/*
 * Takes options off argv, wherever they stand, up to "--"; what is left are argv[0] and *argc - 1
 * arguments. -o, -n and --run-dir are known everywhere. `options` ends with an empty one. 0, or a
 * status to exit with after a message on stderr.
 */
int cmd_options(struct cli *cli, int *argc, char **argv, const struct cmd_option *options);

/* Whether `word` is an option, known everywhere, whose value is the next word. */
bool cmd_takes_next(const char *word);

int cmd_analyze(struct cli *cli, int argc, char **argv);
int cmd_apply(struct cli *cli, int argc, char **argv);
int cmd_completion(struct cli *cli, int argc, char **argv);
int cmd_conns(struct cli *cli, int argc, char **argv);
int cmd_dashboard(struct cli *cli, int argc, char **argv);
int cmd_delete(struct cli *cli, int argc, char **argv);
int cmd_describe(struct cli *cli, int argc, char **argv);
int cmd_explain(struct cli *cli, int argc, char **argv);
int cmd_get(struct cli *cli, int argc, char **argv);
int cmd_logs(struct cli *cli, int argc, char **argv);
int cmd_manifest(struct cli *cli, int argc, char **argv);
int cmd_stats(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);
int cmd_sysdump(struct cli *cli, int argc, char **argv);
int cmd_top(struct cli *cli, int argc, char **argv);
int cmd_uninstall(struct cli *cli, int argc, char **argv);
int cmd_validate(struct cli *cli, int argc, char **argv);
int cmd_verify_install(struct cli *cli, int argc, char **argv);
int cmd_wait(struct cli *cli, int argc, char **argv);
int cmd_version(struct cli *cli, int argc, char **argv);

#endif
