// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"

static const char kinds[] =
	"service pod endpoints endpointslice namespace virtualservice destinationrule gateway all";

/* What weftd knows, a word a line; nothing when none runs. $run, $ns and $kind are the shell's. */
#define LIST(what, path) \
	"weft $run get " what " -o jsonpath='{range .items[*]}" path "{\"\\n\"}{end}' 2>/dev/null"
#define NAMES "$(" LIST("$kind $ns", "{.metadata.name}") ")"
#define NAMESPACES                                                \
	"$({ " LIST("ns", "{.metadata.name}") "; " LIST("all -A", \
							"{.metadata.namespace}") "; } | sort -u)"
#define PODS "$(" LIST("pods -A", "{.metadata.namespace}/{.metadata.name}") ")"
/* The same lines, as fish groups commands. */
#define FISH_NAMES LIST("$kind $ns", "{.metadata.name}")
#define FISH_PODS LIST("pods -A", "{.metadata.namespace}/{.metadata.name}")
#define FISH_NAMESPACES                                     \
	"begin; " LIST("ns", "{.metadata.name}") "; " LIST( \
		"all -A", "{.metadata.namespace}") "; end | sort -u"

static bool takes_kind(const struct cmd *cmd)
{
	return strstr(cmd->args, "KIND") != NULL;
}

static void print_bash(void)
{
	puts("# bash completion for weft\n"
	     "_weft()\n"
	     "{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= kind= "
	     "ns= "
	     "run= words= i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in\n"
	     "\t\t--run-dir) run=\"--run-dir ${COMP_WORDS[++i]}\";;\n"
	     "\t\t-n|--namespace) ns=\"-n ${COMP_WORDS[++i]}\";;\n"
	     "\t\t-A|--all-namespaces) ns=-A;;\n"
	     "\t\t-o|--output|-f|-l) ((i++));;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) if [[ -z $cmd ]]; then cmd=${COMP_WORDS[i]}; elif [[ -z $kind ]]; then "
	     "kind=${COMP_WORDS[i]}; fi;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase $prev in\n"
	     "\t-f|--filename|--run-dir|--bpffs|--kubeconfig) [[ $prev$cmd = -flogs ]] || { "
	     "COMPREPLY=($(compgen -f -- \"$cur\")); return; };;\n"
	     "\t-n|--namespace) COMPREPLY=($(compgen -W \"" NAMESPACES
	     "\" -- \"$cur\")); return;;\n"
	     "\t--from) COMPREPLY=($(compgen -W \"" PODS "\" -- \"$cur\")); return;;\n"
	     "\tesac\n"
	     "\tcase $cmd in");
	fputs("\t'') words=\"--run-dir --help --version -n", stdout);
	for (size_t i = 0; i < cmd_count; i++)
		printf(" %s", cmds[i].name);
	puts("\";;");
	for (size_t i = 0; i < cmd_count; i++) {
		const struct cmd *c = &cmds[i];

		printf("\t%s) words=\"%s --help\"", c->name, c->options);
		if (takes_kind(c))
			printf("; [[ -z $kind ]] && words+=\" %s\" || words+=\" " NAMES "\"",
			       kinds);
		if (c->outputs)
			printf("; [[ $prev = -o ]] && words=\"%s\"", c->outputs);
		puts(";;");
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
	     "\tsetopt local_options sh_word_split\n"
	     "\tlocal -a commands offers\n"
	     "\tlocal i cmd= kind= ns= run=\n"
	     "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	     "\t\tcase $words[i] in\n"
	     "\t\t--run-dir) ((i++)); run=\"--run-dir $words[i]\";;\n"
	     "\t\t-n|--namespace) ((i++)); ns=\"-n $words[i]\";;\n"
	     "\t\t-A|--all-namespaces) ns=-A;;\n"
	     "\t\t-o|--output|-f|-l) ((i++));;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) if [[ -z $cmd ]]; then cmd=$words[i]; elif [[ -z $kind ]]; then "
	     "kind=$words[i]; fi;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase $words[CURRENT-1] in\n"
	     "\t-f|--filename|--run-dir|--bpffs|--kubeconfig) [[ $words[CURRENT-1]$cmd = -flogs ]] "
	     "|| "
	     "{ _files; return; };;\n"
	     "\t-n|--namespace) compadd -- " NAMESPACES "; return;;\n"
	     "\t--from) compadd -- " PODS "; return;;\n"
	     "\tesac\n"
	     "\tcommands=(");
	for (size_t i = 0; i < cmd_count; i++)
		printf("\t\t'%s:%s'\n", cmds[i].name, cmds[i].help);
	puts("\t)\n"
	     "\tcase $cmd in\n"
	     "\t'') _describe command commands; compadd -- --run-dir --help --version -n; "
	     "return;;");
	for (size_t i = 0; i < cmd_count; i++) {
		const struct cmd *c = &cmds[i];

		printf("\t%s) offers=(%s --help)", c->name, c->options);
		if (takes_kind(c))
			printf("; if [[ -z $kind ]]; then offers+=(%s); else offers+=(" NAMES
			       "); fi",
			       kinds);
		if (c->outputs)
			printf("; [[ $words[CURRENT-1] = -o ]] && offers=(%s)", c->outputs);
		puts(";;");
	}
	puts("\tesac\n"
	     "\tcompadd -- $offers\n"
	     "}\n"
	     "compdef _weft weft");
}

/* The lines of one command. */
static void print_fish_command(const struct cmd *c)
{
	printf("complete -c weft -n __fish_use_subcommand -a %s -d '%s'\n", c->name, c->help);
	if (takes_kind(c))
		printf("complete -c weft -n '__fish_seen_subcommand_from %s' -f -a "
		       "'(__weft_objects \"%s\")'\n",
		       c->name, kinds);
	for (const char *at = c->options; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		int len = (int)strcspn(at, " ");
		bool is_long = strncmp(at, "--", 2) == 0;

		printf("complete -c weft -n '__fish_seen_subcommand_from %s' ", c->name);
		if (strncmp(at, "--from ", 7) == 0)
			puts("-l from -x -a '(__weft_pods)'");
		else if (is_long)
			printf("-l %.*s\n", len - 2, at + 2);
		else if (strncmp(at, "-o", 2) == 0)
			printf("-s o -x -a '%s'\n", c->outputs);
		else if (strncmp(at, "-n", 2) == 0)
			puts("-s n -l namespace -x -a '(__weft_namespaces)'");
		else if (*at == '-')
			printf("-s %.*s%s\n", len - 1, at + 1, strchr("fl", at[1]) ? " -r" : "");
		else
			printf("-f -a %.*s\n", len, at);
	}
}

/* fish has no $run and $ns: the functions find them on the command line. */
static void print_fish(void)
{
	puts("# fish completion for weft\n"
	     "function __weft_value\n"
	     "\tset -l words (commandline -opc)\n"
	     "\tfor i in (seq 2 (math (count $words) - 1))\n"
	     "\t\tcontains -- $words[$i] $argv; and echo $argv[1]; and echo $words[(math $i + 1)]\n"
	     "\tend\n"
	     "end\n"
	     "function __weft_namespaces\n"
	     "\tset -l run (__weft_value --run-dir)\n"
	     "\t" FISH_NAMESPACES "\n"
	     "end\n"
	     "function __weft_pods\n"
	     "\tset -l run (__weft_value --run-dir)\n"
	     "\t" FISH_PODS "\n"
	     "end\n"
	     "function __weft_objects\n"
	     "\tset -l run (__weft_value --run-dir)\n"
	     "\tset -l ns (__weft_value -n --namespace)\n"
	     "\tset -l words (commandline -opc)\n"
	     "\tset -l kind\n"
	     "\tfor word in (string split ' ' $argv) vs dr gw svc po ep ns\n"
	     "\t\tcontains -- $word $words; and set kind $word\n"
	     "\tend\n"
	     "\tif test -z \"$kind\"\n"
	     "\t\tstring split ' ' $argv\n"
	     "\telse\n"
	     "\t\t" FISH_NAMES "\n"
	     "\tend\n"
	     "end\n"
	     "complete -c weft -n __fish_use_subcommand -f\n"
	     "complete -c weft -n __fish_use_subcommand -l run-dir -r -d 'the weftd to talk to'\n"
	     "complete -c weft -n __fish_use_subcommand -l help\n"
	     "complete -c weft -n __fish_use_subcommand -l version");
	for (size_t i = 0; i < cmd_count; i++)
		print_fish_command(&cmds[i]);
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
