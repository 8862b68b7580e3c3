// SPDX-License-Identifier: Apache-2.0
/*
 * The table of subcommands, and what follows from it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "lib/base/log.h"
#include "lib/base/similar.h"

/* The lines about -f are the same for all that take it. */
#define FILE_DETAILS                                                                             \
	"  -f FILE|DIR|-   a file, the .yaml, .yml and .json files of a directory, or standard " \
	"input; repeatable\n"                                                                    \
	"  -R              directories with all that are in them\n"                              \
	"  --skip-unknown  pass over policies and rules of kinds that weft does not carry "      \
	"out\n"

#define NAMESPACE_DETAILS                                                                      \
	"  -n NAMESPACE    of objects that name none (default); one that names another is an " \
	"error\n"

/* Of an API server. */
#define CLUSTER_DETAILS                                                                         \
	"  --kubeconfig FILE  the cluster (as kubectl finds it: $KUBECONFIG, ~/.kube/config)\n" \
	"  --context NAME  one of its contexts (the current one)\n"

/* Of who talks to whom. */
#define END_DETAILS                                                                        \
	"  --from END, --to END   a pod, workload, app, service or host, NAMESPACE/NAME, " \
	"NAMESPACE/ or an address; * is anything\n"
#define FILTER_DETAILS                                                                           \
	"  -n NAMESPACE    with either end in it (all)\n" END_DETAILS                            \
	"  --status STATUS     200, 5xx, 400-499; 0: the client got none\n"                      \
	"  --verdict VERDICT   forwarded; answered (by a rule: redirect, fault); refused (by a " \
	"policy, a limit, no rule); failed\n"                                                    \
	"  --protocol http|tcp\n"                                                                \
	"  each may be given more than once, or have commas between: one of them holds then\n"

#define DRY_RUN_DETAILS "  --dry-run[=client|server]   only say what would be changed\n"

const struct cmd cmds[] = {
	{ "analyze", cmd_analyze, "[-n NAMESPACE|-A] | -f FILE|DIR|-... [-R] [-n NAMESPACE]",
	  "look for rules that are valid but unlikely to be meant",
	  "-f -R --skip-unknown --enrol -n -A -o", "json",
	  "  -n NAMESPACE    of what is in force, the objects of this namespace alone\n"
	  "  -A              of all namespaces (default)\n" FILE_DETAILS NAMESPACE_DETAILS
	  "  --enrol all|labelled   with -f: who is in the mesh (all)\n"
	  "With -f neither weftd nor root is needed.\n" },
	{ "apply", cmd_apply,
	  "-f FILE|DIR|-... [-R] [-n NAMESPACE] [-l SELECTOR] [--prune | --replace] [--dry-run]",
	  "put rules into force, all in the call or none",
	  "-f -R --skip-unknown -n -l -o --prune --all --replace --dry-run", "name",
	  FILE_DETAILS NAMESPACE_DETAILS
	  "  -l SELECTOR     only the objects with these labels: app=web, 'app in (web, db)', "
	  "!old\n"
	  "  --prune         what matches -l SELECTOR (with --all: everything) and is not in the "
	  "input goes, in the namespaces that the input has objects in\n"
	  "  --replace       what is not in the input goes, in all namespaces or in that of "
	  "-n\n" DRY_RUN_DETAILS },
	{ "completion", cmd_completion, "bash|zsh|fish", "print a completion script for a shell",
	  "bash zsh fish", NULL, NULL },
	{ "conns", cmd_conns,
	  "[-w] [--all] [-n NAMESPACE] [--from END] [--to END] [--protocol http|tcp]",
	  "list the connections that are steered, and the requests under way",
	  "-w --all -n --from --to --protocol -o", "json wide",
	  "  -w              go on and tell what is opened, changed and closed, until ^C; -o json: "
	  "a line for each. What does not last half a second may be missed\n"
	  "  --all           also those that have ended and are only remembered for a late "
	  "packet\n"
	  "  -n NAMESPACE    with either end in it (all)\n" END_DETAILS "  --protocol http|tcp\n"
	  "An endpoint that outlier detection has ejected has a line of its own, without a "
	  "client.\n" },
	{ "dashboard", cmd_dashboard, "[--browser=true|false]",
	  "open the page on which weftd shows the mesh live", "--browser -o", "json",
	  "  --browser=false only print where it is\n"
	  "weftd serves it with --dashboard ADDRESS:PORT, to browsers of this machine: from "
	  "elsewhere\n"
	  "by `ssh -L` or `kubectl port-forward`.\n" },
	{ "delete", cmd_delete,
	  "-f FILE|DIR|-... | KIND NAME... | KIND/NAME... | KIND -l SELECTOR | KIND --all",
	  "take rules out of force, all in the call or none",
	  "-f -R --skip-unknown -n -A -l -o --all --ignore-not-found --dry-run", "name",
	  FILE_DETAILS "  -n NAMESPACE    of this namespace (default)\n"
		       "  -l SELECTOR     those with these labels; --all: all of the kind\n"
		       "  -A              with -l and --all: of all namespaces\n"
		       "  --ignore-not-found   what is not there is no error\n" DRY_RUN_DETAILS },
	{ "describe", cmd_describe, "KIND [NAME...] | KIND/NAME... [-n NAMESPACE|-A] [-l SELECTOR]",
	  "tell everything about objects", "-n -A -l -o", "json",
	  "  -n NAMESPACE    of this namespace (default)\n"
	  "  -A              of all namespaces\n"
	  "  -l SELECTOR     with these labels\n"
	  "Endpoints under outlier detection are HEALTHY or EJECTED, and for how long.\n" },
	{ "explain", cmd_explain,
	  "--from POD --to HOST:PORT | -f FILE... --from NAMESPACE[/POD] --to HOST:PORT",
	  "say what a connection would do, and why",
	  "-f -R --skip-unknown -n --enrol --from --from-labels --from-address --gateway --to "
	  "--to-address --sni "
	  "--method --scheme --path --header -o",
	  "json",
	  "  --from [NAMESPACE/]POD     who connects; with -f the pod may be left out\n"
	  "  --to HOST:PORT             what it connects to\n"
	  "  --to-address ADDRESS:PORT  the same, by address\n"
	  "  -n NAMESPACE               of a pod, of a gateway and of -f's objects without one\n"
	  "  -f FILE|DIR|- [-R]         answer from files, without weftd; then also\n"
	  "  --from-labels K=V,...      labels of who connects\n"
	  "  --enrol all|labelled       who is in the mesh (all)\n"
	  "  --gateway NAMESPACE/NAME   from outside, through this gateway\n"
	  "  --from-address ADDRESS     from outside, by who connects (with --gateway or alone)\n"
	  "  --sni NAME                 for TLS\n"
	  "  --method, --scheme, --path, --header K=V   for HTTP\n" },
	{ "get", cmd_get, "KIND[,KIND...] [NAME...] | KIND/NAME... [-n NAMESPACE|-A] [-l SELECTOR]",
	  "show objects in force", "-n -A -l -w -o --show-labels --no-headers --ignore-not-found",
	  "json yaml wide name jsonpath= custom-columns=",
	  "  KIND            svc, po, ep, endpointslice, ns, vs, dr, gw, or all\n"
	  "  -n NAMESPACE    of this namespace (default)\n"
	  "  -A              of all namespaces\n"
	  "  -l SELECTOR     with these labels: app=web, 'app in (web, db)', !old\n"
	  "  -w              go on and print what changes, until ^C\n"
	  "  --show-labels, --no-headers, --ignore-not-found   as kubectl has them\n"
	  "  -o jsonpath='{.items[*].metadata.name}', -o custom-columns=NAME:.metadata.name\n" },
	{ "logs", cmd_logs,
	  "[-f] [--last N] [--since TIME] [-n NAMESPACE] [--from END] [--to END] [--status STATUS] "
	  "[--verdict VERDICT] [--protocol http|tcp]",
	  "show requests as they end, and refused connections, with who called whom",
	  "-f --last --since -n --from --to --status --verdict --protocol -o", "compact text json",
	  "  -f              go on and print what comes, until ^C\n"
	  "  --last N        of those of before, the latest N (20; with -f 10)\n"
	  "  --since TIME    of those, the ones since 5m, or since "
	  "2026-11-30T06:20:00Z\n" FILTER_DETAILS
	  "  -o text         Istio's format; -o json: a line for each entry, with the same keys\n"
	  "While nothing follows, weft-proxy keeps the latest entries in memory, of each second "
	  "and "
	  "worker 20 at most. weftd need not have --access-log.\n" },
	{ "manifest", cmd_manifest,
	  "generate|apply [--set PATH=VALUE]... [-f VALUES.yaml]... [--timeout TIME] [--force]",
	  "print or apply all that a cluster needs to run weft",
	  "generate apply --set -f --kubeconfig --context --timeout --force", NULL,
	  "  generate        print it: kubectl apply -f - takes it\n"
	  "  apply           apply it, wait for every node's agent, and take away what an earlier\n"
	  "                  one had and this one does not\n"
	  "  --set PATH=VALUE   choose something, as gateways.istio-ingressgateway.type=NodePort;\n"
	  "                  repeatable\n"
	  "  -f VALUES.yaml  the same from a file; --set counts more\n" CLUSTER_DETAILS
	  "  --timeout TIME  how long apply waits (120s; 0: not at all)\n"
	  "  --force         take over fields of objects that weft has not made\n"
	  "docs/install.md has every value.\n" },
	{ "stats", cmd_stats, "[-E] [PATTERN] [--filter REGEX] [--nonzero]",
	  "print counters, those whose line contains PATTERN or whose name it matches",
	  "-E -o --filter --nonzero", "json",
	  "  PATTERN         as it stands; where no line has it, a regular expression for the "
	  "name\n"
	  "  --filter REGEX  those in whose name REGEX matches, as Envoy's /stats?filter= does\n"
	  "  --nonzero       those that have counted anything\n"
	  "  -E              PATTERN is a regular expression for the whole line\n" },
	{ "status", cmd_status, "[--wait] [--timeout SECONDS]",
	  "tell whether weftd is ready, and what it has in force", "--wait --timeout -o", "json",
	  "  --wait          until it is ready, for at most --timeout seconds (30)\n"
	  "Fails when there is trouble: it is not ready, no weft-proxy runs, a certificate can't "
	  "be "
	  "used or ends soon,\na table is nearly full, or the API server is not followed. With "
	  "--wait or -o json only when it is not ready.\n" },
	{ "sysdump", cmd_sysdump, "[FILE.tar.gz|-]",
	  "gather everything about the node for a report of a fault, without secrets", "", NULL,
	  "  FILE            where to (weft-sysdump-NODE-TIME.tar.gz here); -: standard output\n"
	  "What is in it, and what could not be found, its contents.txt says. Works without weftd, "
	  "too. Private keys,\ntokens, passwords, data of Secrets, values of environment variables "
	  "and query strings are left out.\n" },
	{ "top", cmd_top,
	  "[--view VIEW] [--sort COLUMN] [--filter TEXT] [-n NAMESPACE] [--interval SECONDS] "
	  "[--once]",
	  "watch services, workloads and who calls whom: rates, errors, times",
	  "--view --sort --filter -n --interval --once -o", "table json",
	  "  --view VIEW     services (default), workloads, edges, or node\n"
	  "  --sort COLUMN   name, rate (default), errors, p50, p99, tcp, bytes\n"
	  "  --filter TEXT   only names that have it\n"
	  "  -n NAMESPACE    with either end in it (all)\n"
	  "  --interval SECONDS   how often weftd is asked (1)\n"
	  "  --once          print one interval, and end; -o json: all views\n"
	  "Keys: 1 to 4 views, s sort, r reverse, / filter, p pause, ? help, q quit.\n" },
	{ "uninstall", cmd_uninstall, "[--bpffs DIR] | --cluster [--yes] [--timeout TIME]",
	  "end weftd and remove everything of weft from the kernel, or from a cluster",
	  "--bpffs --cluster --yes --kubeconfig --context --timeout", NULL,
	  "  --bpffs DIR     where weft is pinned, if weftd does not run (where it was last)\n"
	  "  --cluster       from all nodes and the API server: what `weft manifest apply` has put "
	  "there\n"
	  "  --yes           without asking whether the rules may go with their "
	  "kinds\n" CLUSTER_DETAILS
	  "  --timeout TIME  how long to wait for the agents to end (120s)\n" },
	{ "validate", cmd_validate, "-f FILE|DIR|-... [-R] [-n NAMESPACE]",
	  "check rules without putting them into force", "-f -R --skip-unknown -n -o", "json",
	  FILE_DETAILS NAMESPACE_DETAILS "Neither weftd nor root is needed.\n" },
	{ "verify-install", cmd_verify_install, "[-f MANIFEST.yaml|-]",
	  "check the machine and the daemon, or a cluster, point by point",
	  "-f --kubeconfig --context -o", "json",
	  "  -f FILE|-       compare a manifest, as `weft manifest generate` prints it, with the "
	  "cluster\n" CLUSTER_DETAILS },
	{ "version", cmd_version, "[--client]", "print the versions of weft and of weftd",
	  "--client -o", "json", "  --client        only of weft itself, without asking weftd\n" },
	{ "wait", cmd_wait, "[--timeout TIME]",
	  "wait until what the cluster has now is in force on this node",
	  "--timeout --kubeconfig --context", NULL,
	  "  --timeout TIME  how long at most (30s)\n" CLUSTER_DETAILS
	  "Fails when an object is wrong, too: it says which, and why.\n" },
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
	fputs("usage: weft COMMAND [ARGUMENT]...\n\n", to);
	for (size_t i = 0; i < cmd_count; i++)
		fprintf(to, "  %-15s %s\n", cmds[i].name, cmds[i].help);
	fputs("\n"
	      "  -n NAMESPACE    of what is named without one (default)\n"
	      "  --run-dir DIR   the weftd to talk to, by its run directory (/run/weft)\n"
	      "  -o FORMAT       json on everything that reads; get knows more\n"
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
 * Where the command's name stands, `argc` if there is none. In front of it the value of an option
 * may stand: of one that only the command knows, the next word is its value unless that is a
 * command's name.
 */
static int find_command(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-' && argv[i][1] && strcmp(argv[i], "--") != 0; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "-";

		if (cmd_takes_next(argv[i]) ||
		    (next[0] != '-' && !strchr(argv[i], '=') && !cmd_find(next)))
			i++;
	}
	return i < argc ? i : argc;
}

/* Nothing but options. */
static int run_without_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--version") == 0) {
			puts("weft " WEFT_VERSION);
			return STATUS_DONE;
		}
	if (asks_for_help(argc, argv))
		return print_usage(stdout);
	if (argc > 1)
		return cmd_wrong(NULL, "a COMMAND is expected behind \"%s\"", argv[argc - 1]);
	print_usage(stderr);
	return STATUS_USAGE;
}

static int unknown_command(const char *word)
{
	struct similar near = similar_to(word);

	for (size_t i = 0; i < cmd_count; i++)
		similar_offer(&near, cmds[i].name);
	if (near.best)
		return cmd_wrong(NULL, "unknown command \"%s\", did you mean \"%s\"?", word,
				 near.best);
	return cmd_wrong(NULL, "unknown command \"%s\"", word);
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

/* The command's words, with the options that stood in front of its name behind it. */
static int run_command(const struct cmd *cmd, int argc, char **argv, int at)
{
	struct cli cli = { .run_dir = "/run/weft" };
	char *name = argv[at];

	memmove(argv + 2, argv + 1, (at - 1) * sizeof(*argv));
	argv[1] = name;
	if (asks_for_help(argc - 1, argv + 1))
		return print_help(cmd);
	return cmd->run(&cli, argc - 1, argv + 1);
}

static int run(int argc, char **argv)
{
	int at = find_command(argc, argv);
	const struct cmd *cmd;

	log_set("weft", LOG_LEVEL_INFO);
	if (at < argc && strcmp(argv[at], "help") == 0 && ++at == argc)
		return print_usage(stdout);
	if (at >= argc)
		return run_without_command(argc, argv);
	cmd = cmd_find(argv[at]);
	if (!cmd)
		return unknown_command(argv[at]);
	return strcmp(argv[at - 1], "help") == 0 ? print_help(cmd)
						 : run_command(cmd, argc, argv, at);
}

int cmd_main(int argc, char **argv)
{
	return flush_stdout(run(argc, argv));
}
