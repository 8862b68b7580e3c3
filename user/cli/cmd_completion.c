// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"

static const char kinds[] =
	"service pod endpoints endpointslice namespace virtualservice destinationrule gateway";

static bool takes_kind(const struct cmd *cmd)
{
	return strstr(cmd->args, "KIND") != NULL;
}

static void print_bash(void)
{
	puts("# bash completion for weft\n"
	     "_weft()\n"
	     "{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= words= "
	     "i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in\n"
	     "\t\t--run-dir) ((i++));;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) cmd=${COMP_WORDS[i]}; break;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase $prev in\n"
	     "\t-f|--run-dir|--bpffs) COMPREPLY=($(compgen -f -- \"$cur\")); return;;\n"
	     "\tesac\n"
	     "\tcase $cmd in");
	fputs("\t'') words=\"--run-dir --help --version", stdout);
	for (size_t i = 0; i < cmd_count; i++)
		printf(" %s", cmds[i].name);
	puts("\";;");
	for (size_t i = 0; i < cmd_count; i++) {
		const struct cmd *c = &cmds[i];

		if (c->outputs)
			printf("\t%s) [[ $prev = -o ]] && words=\"%s\" || words=\"%s%s%s "
			       "--help\";;\n",
			       c->name, c->outputs, c->options, takes_kind(c) ? " " : "",
			       takes_kind(c) ? kinds : "");
		else
			printf("\t%s) words=\"%s%s%s --help\";;\n", c->name, c->options,
			       takes_kind(c) ? " " : "", takes_kind(c) ? kinds : "");
	}
	puts("\tesac\n"
	     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "}\n"
	     "complete -F _weft weft");
}

/* In zsh `words` is the command line and `CURRENT` the word being typed, both 1-based. */
static void print_zsh(void)
{
	puts("#compdef weft\n"
	     "_weft() {\n"
	     "\tlocal -a commands offers\n"
	     "\tlocal i cmd=\n"
	     "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	     "\t\tcase $words[i] in\n"
	     "\t\t--run-dir) ((i++));;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) cmd=$words[i]; break;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase $words[CURRENT-1] in\n"
	     "\t-f|--run-dir|--bpffs) _files; return;;\n"
	     "\tesac\n"
	     "\tcommands=(");
	for (size_t i = 0; i < cmd_count; i++)
		printf("\t\t'%s:%s'\n", cmds[i].name, cmds[i].help);
	puts("\t)\n"
	     "\tcase $cmd in\n"
	     "\t'') _describe command commands; compadd -- --run-dir --help --version; return;;");
	for (size_t i = 0; i < cmd_count; i++) {
		const struct cmd *c = &cmds[i];

		printf("\t%s) offers=(%s %s --help)", c->name, c->options,
		       takes_kind(c) ? kinds : "");
		if (c->outputs)
			printf("; [[ $words[CURRENT-1] = -o ]] && offers=(%s)", c->outputs);
		puts(";;");
	}
	puts("\tesac\n"
	     "\tcompadd -- $offers\n"
	     "}\n"
	     "compdef _weft weft");
}

static void print_fish(void)
{
	puts("# fish completion for weft\n"
	     "complete -c weft -n __fish_use_subcommand -f\n"
	     "complete -c weft -n __fish_use_subcommand -l run-dir -r -d 'the weftd to talk to'\n"
	     "complete -c weft -n __fish_use_subcommand -l help\n"
	     "complete -c weft -n __fish_use_subcommand -l version");
	for (size_t i = 0; i < cmd_count; i++) {
		const struct cmd *c = &cmds[i];

		printf("complete -c weft -n __fish_use_subcommand -a %s -d '%s'\n", c->name,
		       c->help);
		if (takes_kind(c))
			printf("complete -c weft -n '__fish_seen_subcommand_from %s' -f -a '%s'\n",
			       c->name, kinds);
		for (const char *at = c->options; *at;
		     at += strcspn(at, " "), at += strspn(at, " ")) {
			int len = (int)strcspn(at, " ");

			if (strncmp(at, "--", 2) == 0)
				printf("complete -c weft -n '__fish_seen_subcommand_from %s' -l "
				       "%.*s\n",
				       c->name, len - 2, at + 2);
			else if (strncmp(at, "-o", 2) == 0)
				printf("complete -c weft -n '__fish_seen_subcommand_from %s' -s o "
				       "-x -a '%s'\n",
				       c->name, c->outputs);
			else if (*at == '-')
				printf("complete -c weft -n '__fish_seen_subcommand_from %s' -s "
				       "%.*s\n",
				       c->name, len - 1, at + 1);
			else
				printf("complete -c weft -n '__fish_seen_subcommand_from %s' -f -a "
				       "%.*s\n",
				       c->name, len, at);
		}
	}
}

int cmd_completion(struct cli *cli, int argc, char **argv)
{
	const struct cmd_option options[] = { { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc != 2)
		return cmd_wrong(argv[0], "one of bash, zsh and fish is expected");
	if (strcmp(argv[1], "bash") == 0)
		print_bash();
	else if (strcmp(argv[1], "zsh") == 0)
		print_zsh();
	else if (strcmp(argv[1], "fish") == 0)
		print_fish();
	else
		return cmd_wrong(argv[0], "bash, zsh or fish is expected, not \"%s\"", argv[1]);
	return STATUS_DONE;
}
