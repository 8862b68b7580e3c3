// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/age.h"
#include "cli/cmd.h"
#include "cli/jsonpath.h"
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
	{ "value for a flag that is none", { "weft", "status", "--wait=yes" }, STATUS_USAGE },
	{ "missing kind", { "weft", "get" }, STATUS_USAGE },
	{ "one argument too many", { "weft", "conns", "a" }, STATUS_USAGE },
	{ "a time that is none", { "weft", "logs", "--since", "soon" }, STATUS_USAGE },
	{ "a number that is none", { "weft", "logs", "--last", "-1" }, STATUS_USAGE },
	{ "logs of no weftd", { "weft", "logs", "-f", "--run-dir=/nonexistent" }, STATUS_FAILED },
	{ "connections of no weftd",
	  { "weft", "conns", "-w", "--run-dir=/nonexistent" },
	  STATUS_FAILED },
	{ "top of no view", { "weft", "top", "--view", "pods" }, STATUS_USAGE },
	{ "top by no column", { "weft", "top", "--sort", "age" }, STATUS_USAGE },
	{ "top too often", { "weft", "top", "--interval", "0.1" }, STATUS_USAGE },
	{ "top as JSON for ever", { "weft", "top", "-o", "json" }, STATUS_USAGE },
	{ "top of no weftd", { "weft", "top", "--run-dir=/nonexistent" }, STATUS_FAILED },
	{ "two files", { "weft", "sysdump", "a", "b" }, STATUS_USAGE },
	{ "a name and a selector", { "weft", "describe", "vs", "a", "-l", "b" }, STATUS_USAGE },
	{ "kind and kind/name", { "weft", "get", "vs", "dr/a" }, STATUS_USAGE },
	{ "kind/name and a name", { "weft", "get", "vs/a", "b" }, STATUS_USAGE },
	{ "no kind behind a comma", { "weft", "get", "vs,,dr" }, STATUS_USAGE },
	{ "a name and a selector", { "weft", "get", "vs", "a", "-l", "b" }, STATUS_USAGE },
	{ "delete of a kind alone", { "weft", "delete", "vs" }, STATUS_USAGE },
	{ "delete of a name and a selector",
	  { "weft", "delete", "vs", "a", "-l", "b" },
	  STATUS_USAGE },
	{ "delete of files and a selector",
	  { "weft", "delete", "-f", "/x", "-l", "b" },
	  STATUS_USAGE },
	{ "pruning everything without --all",
	  { "weft", "apply", "-f", "/x", "--prune" },
	  STATUS_USAGE },
	{ "pruning and replacing",
	  { "weft", "apply", "-f", "/x", "--prune", "--all", "--replace" },
	  STATUS_USAGE },
	{ "a dry run of no kind", { "weft", "apply", "-f", "/x", "--dry-run=soon" }, STATUS_USAGE },
	{ "a jsonpath that does not end", { "weft", "get", "vs", "-ojsonpath={.a" }, STATUS_USAGE },
	{ "jsonpath without a template", { "weft", "get", "vs", "-ojsonpath" }, STATUS_USAGE },
	{ "a column without a path",
	  { "weft", "get", "vs", "-o", "custom-columns=NAME" },
	  STATUS_USAGE },
	{ "options in front of the command",
	  { "weft", "-n", "get", "-A", "--run-dir=/nonexistent", "-ojson", "get", "vs" },
	  STATUS_FAILED },
	{ "a command's own option in front of it",
	  { "weft", "-f", "/nonexistent", "validate" },
	  STATUS_FAILED },
	{ "letters that share a dash",
	  { "weft", "--run-dir", "/nonexistent", "get", "vs", "-Awn", "shop" },
	  STATUS_FAILED },
	{ "no command behind options", { "weft", "-n", "get" }, STATUS_USAGE },
	{ "help of a command, kubectl's way", { "weft", "help", "get" }, STATUS_DONE },
	{ "its own version", { "weft", "version", "--client" }, STATUS_DONE },
	{ "weftd's version without weftd",
	  { "weft", "--run-dir", "/nonexistent", "version" },
	  STATUS_FAILED },
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
	{ "bad filter", { "weft", "stats", "--filter", "(" }, STATUS_USAGE },
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
	{ "manifest of nothing", { "weft", "manifest" }, STATUS_USAGE },
	{ "manifest with an argument too many",
	  { "weft", "manifest", "generate", "a" },
	  STATUS_USAGE },
	{ "manifest with an unknown value",
	  { "weft", "manifest", "generate", "--set", "a=b" },
	  STATUS_FAILED },
	{ "manifest with a file that is not there",
	  { "weft", "manifest", "generate", "-f", "/nonexistent" },
	  STATUS_FAILED },
	{ "manifest with a time that is none",
	  { "weft", "manifest", "apply", "--timeout", "soon" },
	  STATUS_USAGE },
	{ "manifest without a cluster",
	  { "weft", "manifest", "apply", "--kubeconfig", "/nonexistent" },
	  STATUS_FAILED },
	{ "uninstall of a node and a cluster",
	  { "weft", "uninstall", "--cluster", "--bpffs", "/x" },
	  STATUS_USAGE },
	{ "uninstall of a node, asked as of a cluster",
	  { "weft", "uninstall", "--yes" },
	  STATUS_USAGE },
	{ "verifying a file that is not there",
	  { "weft", "verify-install", "-f", "/nonexistent" },
	  STATUS_FAILED },
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

/* Offline commands take -n as apply does. Returns the exit status for that namespace. */
static int validate_in(const char *namespace, const char *yaml, bool in_front)
{
	char path[] = "/tmp/weft-cli.XXXXXX", words[6][64] = { "weft" };
	char *argv[] = { words[0], words[1], words[2], words[3], words[4], words[5], NULL };
	int fd = mkstemp(path), status;

	cr_assert_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);
	snprintf(words[in_front ? 1 : 3], 64, "-n");
	snprintf(words[in_front ? 2 : 4], 64, "%s", namespace);
	snprintf(words[in_front ? 3 : 1], 64, "validate");
	snprintf(words[in_front ? 4 : 2], 64, "-f%s", path);
	status = cmd_main(5, argv);
	unlink(path);
	return status;
}

Test(cli, an_object_of_another_namespace_than_n_says_is_refused, .init = quiet)
{
	static const char named[] =
		"apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\n"
		"spec: {ports: [{port: 1}]}\n";
	static const char bare[] = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
				   "spec: {ports: [{port: 1}]}\n";

	for (int in_front = 0; in_front < 2; in_front++) {
		cr_expect_eq(validate_in("shop", named, in_front), STATUS_DONE);
		cr_expect_eq(validate_in("other", named, in_front), STATUS_FAILED);
		cr_expect_eq(validate_in("other", bare, in_front), STATUS_DONE);
		cr_expect_eq(validate_in("No_Name", bare, in_front), STATUS_FAILED);
	}
}

Test(cli, options_may_stand_anywhere_and_arguments_stay_in_order)
{
	char words[8][16] = { "get", "-n", "prod", "vs", "-A", "-ojson", "--", "-name" };
	char *argv[8];
	struct cli cli = { 0 };
	bool all = false;
	const struct cmd_option options[] = { { 'A', "all-namespaces", .flag = &all }, { 0 } };
	int argc = 8;

	for (int i = 0; i < argc; i++)
		argv[i] = words[i];
	cr_assert_eq(cmd_options(&cli, &argc, argv, options), 0);
	cr_expect_eq(argc, 3);
	cr_expect_str_eq(argv[1], "vs");
	cr_expect_str_eq(argv[2], "-name");
	cr_expect_str_eq(cli.namespace, "prod");
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

/* What the real kubectl 1.3x prints for `config view -o jsonpath=...` of the same document. */
static const char kubeconfig[] =
	"{\"kind\": \"Config\", \"apiVersion\": \"v1\", \"clusters\": ["
	"{\"name\": \"a\", \"cluster\": {\"server\": \"https://a:1\", \"insecure\": true}},"
	"{\"name\": \"b\", \"cluster\": {\"server\": \"https://b:2\"}}], \"contexts\": ["
	"{\"name\": \"x\", \"context\": {\"user\": \"u\", \"namespace\": \"n1\"}},"
	"{\"name\": \"z\", \"context\": {\"user\": \"w\"}}], \"a.b/c\": 1}";

static const struct {
	const char *template, *out; /* NULL: refused; "!": refused when it is looked up */
} templates[] = {
	{ "{.clusters[*].name}", "a b" },
	{ "{.clusters.*.name}", "a b" },
	{ "{range .clusters[*]}{.name}{\"\\t\"}{.cluster.server}{\"\\n\"}{end}",
	  "a\thttps://a:1\nb\thttps://b:2\n" },
	{ "{range .clusters[*]}{.name},{end}{.kind}", "a,b,Config" },
	{ "{range .clusters[*]}{range @.cluster.*}x{end}{end}", "xxx" },
	{ "{.clusters[?(@.name==\"b\")].cluster.server}", "https://b:2" },
	{ "{.clusters[?(@.name=='b')].cluster.server}", "https://b:2" },
	{ "{.clusters[?( @.name != \"b\" )].name}", "a" },
	{ "{.clusters[?(@.cluster.insecure==true)].name}", "a" },
	{ "{.contexts[?(@.context.namespace)].name}", "x" },
	{ "{.contexts[?(@.context.namespace!=\"n1\")].name}", "" },
	{ "{.clusters[-1].name}", "b" },
	{ "{.clusters[0]['name']}", "a" },
	{ "{.clusters[7].name}", "!" },
	{ "{.clusters[0]}", "{\"cluster\":{\"insecure\":true,\"server\":\"https://a:1\"},"
			    "\"name\":\"a\"}" },
	{ "{.a\\.b/c}", "1" },
	{ "{.nope.deeper}", "" },
	{ ".kind", ".kind" },
	{ "{.kind} {.apiVersion}", "Config v1" },
	{ "{\"a}b\"}{'x'}", "a}bx" },
	{ "{$.kind}{@.kind}", "ConfigConfig" },
	{ "{.a", NULL },
	{ "{clusters}", NULL },
	{ "{end}", NULL },
	{ "{..name}", NULL },
	{ "{.clusters[0:1].name}", NULL },
	{ "{.clusters[0,1].name}", NULL },
	{ "{.clusters[?(@.name>\"a\")].name}", NULL },
	{ "{.clusters[?(@.name==\"a\" && @.x)].name}", NULL },
	{ "{range .clusters[*]}", NULL },
	{ "{\"a}", NULL },
	{ "{", NULL },
	{ "{}", NULL },
};

Test(jsonpath, prints_what_kubectl_prints_or_refuses)
{
	json_t *root = json_loads(kubeconfig, 0, NULL);
	char why[160];

	cr_assert_not_null(root);
	for (size_t i = 0; i < sizeof(templates) / sizeof(*templates); i++) {
		const char *want = templates[i].out;
		struct jsonpath *p = NULL;
		int r = jsonpath_parse(templates[i].template, &p, why, sizeof(why));
		char *text = NULL;
		size_t size = 0;
		FILE *f;

		cr_expect_eq(r, want ? 0 : -EINVAL, "%s: %d", templates[i].template, r);
		if (r)
			continue;
		f = open_memstream(&text, &size);
		r = jsonpath_print(p, root, f);
		fclose(f);
		cr_expect_eq(r, want && *want == '!' ? -ERANGE : 0);
		if (!r && want)
			cr_expect_str_eq(text, want, "%s: %s", templates[i].template, text);
		free(text);
		jsonpath_free(p);
	}
	json_decref(root);
}

/* What the real kubectl 1.32 prints for `get -o custom-columns=C:PATH` of such an object. */
Test(jsonpath, columns_print_lists_and_maps_as_kubectl_does)
{
	static const char object[] =
		"{\"metadata\": {\"name\": \"web\", \"labels\": {\"t\": \"x\", \"app\": \"web\"}}, "
		"\"spec\": {\"hosts\": [\"web\", \"web2\"], \"http\": [{\"route\": "
		"[{\"destination\": "
		"{\"host\": \"a\"}}, {\"weight\": 5, \"destination\": {\"host\": \"b\"}}]}]}}";
	static const struct {
		const char *path, *out;
	} columns[] = {
		{ ".metadata.name", "web" },
		{ ".spec.hosts", "[web web2]" },
		{ ".spec.hosts[*]", "web,web2" },
		{ ".metadata.labels", "map[app:web t:x]" },
		{ ".spec.http[*].route[*].destination.host", "a,b" },
		{ ".spec.http[0].route[*].weight", "5" },
		{ ".spec.http[0].route[1]", "map[destination:map[host:b] weight:5]" },
		{ ".spec.nothing", "<none>" },
	};
	json_t *root = json_loads(object, 0, NULL);
	char why[160];

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		struct jsonpath *p = NULL;
		json_t *cell;

		cr_assert_eq(jsonpath_parse_path(columns[i].path, &p, why, sizeof(why)), 0);
		cell = jsonpath_cell(p, root);
		cr_expect_str_eq(json_string_value(cell), columns[i].out, "%s", columns[i].path);
		json_decref(cell);
		jsonpath_free(p);
	}
	json_decref(root);
}

Test(age, is_told_as_kubectl_tells_it)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} ages[] = {
		{ -5, "0s" },	       { 0, "0s" },	    { 119, "119s" },
		{ 120, "2m" },	       { 200, "3m20s" },    { 600, "10m" },
		{ 10799, "179m" },     { 10800, "3h" },	    { 18180, "5h3m" },
		{ 28800, "8h" },       { 172799, "47h" },   { 172800, "2d" },
		{ 273600, "3d4h" },    { 691200, "8d" },    { 63072000, "2y" },
		{ 66096000, "2y35d" }, { 252288000, "8y" }, { 34560000, "400d" },
	};

	for (size_t i = 0; i < sizeof(ages) / sizeof(*ages); i++) {
		char text[AGE_TEXT_MAX];

		cr_expect_str_eq(age_text(ages[i].seconds, text), ages[i].text);
	}
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
