// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cli/archive.h"
#include "cli/client.h"
#include "cli/redact.h"
#include "cli/sysdump_maps.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

enum { TOP_MAX = 70, OUTPUT_MAX = 8 << 20, LOG_ENTRIES = 2000 };

#define BPFFS_NOTE "weftd.bpffs" /* where weftd has noted it in its run directory */

struct dump {
	const struct cli *cli;
	struct archive *archive;
	char top[TOP_MAX];
	FILE *contents; /* contents.txt, as it becomes */
	char *list;
	size_t list_size;
	json_t *status; /* NULL: weftd does not say */
	const char *bpffs;
	char noted[PATH_MAX];
	bool incomplete;
};

/* ---- what is added ---- */

static void missing(struct dump *d, const char *name, const char *why)
{
	fprintf(d->contents, "%-28s missing: %s\n", name, why);
	d->incomplete = true;
}

static void add(struct dump *d, const char *name, const char *text, size_t size, const char *what)
{
	int r = archive_add(d->archive, name, text, size);

	if (r)
		missing(d, name, strerror(-r));
	else
		fprintf(d->contents, "%-28s %8zu bytes  %s\n", name, size, what);
}

/* Secrets are left out of it. */
static void add_text(struct dump *d, const char *name, const char *text, const char *what)
{
	_cleanup_free_ char *clean = redact_text(text);

	if (clean)
		add(d, name, clean, strlen(clean), what);
	else
		missing(d, name, "out of memory");
}

static void add_json(struct dump *d, const char *name, const json_t *value, const char *what)
{
	_cleanup_json_ json_t *clean = redact_json(value);
	_cleanup_free_ char *text = NULL;

	redact_queries(clean);
	text = clean ? json_dumps(clean, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
	if (text)
		add(d, name, text, strlen(text), what);
	else
		missing(d, name, "out of memory");
}

/* ---- what weftd says ---- */

static void add_answer(struct dump *d, const char *name, json_t *request, const char *what)
{
	_cleanup_json_ json_t *data = NULL;
	char why[256];

	if (client_try(d->cli, request, &data, why, sizeof(why)))
		missing(d, name, why);
	else
		add_json(d, name, data ? data : json_null(), what);
}

static json_t *with(json_t *request, const char *key, json_t *value)
{
	json_object_set_new(request, key, value);
	return request;
}

static json_t *get_request(void)
{
	json_t *request = client_request("get");

	json_object_set_new(request, "targets",
			    json_pack("[{s:s}, {s:s}]", "kind", "all", "kind", "namespace"));
	json_object_set_new(request, "form", json_string("json"));
	return request;
}

static void add_status(struct dump *d)
{
	char why[256];

	if (client_try(d->cli, with(client_request("status"), "tables", json_true()), &d->status,
		       why, sizeof(why))) {
		missing(d, "status.json", why);
		return;
	}
	add_json(d, "status.json", d->status, "weft status");
	if (json_object_get(d->status, "bpffs"))
		d->bpffs = json_get_text(d->status, "bpffs", NULL);
}

static void add_answers(struct dump *d)
{
	add_status(d);
	add_answer(d, "objects.json", get_request(),
		   "weft get all,namespaces: rules, services, endpoints, pods");
	add_answer(d, "analyze.json", client_request("analyze"), "weft analyze");
	add_answer(d, "stats.json", client_request("stats"), "weft stats");
	add_answer(d, "traffic.json", client_request("traffic"), "who talks to whom");
	add_answer(d, "conns.json", with(client_request("conns"), "all", json_true()),
		   "weft conns --all");
	add_answer(d, "logs.json", with(client_request("logs"), "last", json_integer(LOG_ENTRIES)),
		   "weft logs: the latest requests, without query strings");
}

/* ---- the kernel's tables ---- */

static void add_map(void *arg, const char *name, const char *text, size_t size)
{
	char file[NAME_MAX + 16];

	snprintf(file, sizeof(file), "maps/%s.txt", name);
	add(arg, file, text, size, "a table of the kernel's");
}

/* Where weftd does not run, it has noted it. */
static void find_bpffs(struct dump *d)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (d->bpffs ||
	    snprintf(path, sizeof(path), "%s/" BPFFS_NOTE, d->cli->run_dir) >= (int)sizeof(path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, d->noted, sizeof(d->noted) - 1);
	if (n <= 0)
		return;
	d->noted[n] = '\0';
	d->noted[strcspn(d->noted, "\n")] = '\0';
	d->bpffs = d->noted;
}

static void add_maps(struct dump *d)
{
	int r;

	find_bpffs(d);
	if (!d->bpffs) {
		missing(d, "maps/", "it is not known where they are pinned");
		return;
	}
	r = sysdump_maps(d->bpffs, add_map, d);
	if (r)
		missing(d, "maps/", strerror(-r));
}

/* ---- processes ---- */

/* Of a file under /proc or /sys; NULL if there is none. */
static char *read_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = malloc(OUTPUT_MAX + 1);
	size_t n;

	if (!f || !text)
		return NULL;
	n = fread(text, 1, OUTPUT_MAX, f);
	for (size_t i = 0; i + 1 < n; i++)
		if (!text[i])
			text[i] = ' '; /* between the words of a command line */
	text[n] = '\0';
	return TAKE_PTR(text);
}

static void add_process(struct dump *d, const char *program, long long pid)
{
	static const char *const files[] = { "cmdline", "status", "limits", "smaps_rollup",
					     "cgroup" };
	char *text = NULL, name[64];
	size_t size = 0;
	FILE *f;

	snprintf(name, sizeof(name), "node/%s.txt", program);
	if (pid <= 0) {
		missing(d, name, "it does not run, as far as is known");
		return;
	}
	f = open_memstream(&text, &size);
	for (size_t i = 0; f && i < sizeof(files) / sizeof(*files); i++) {
		_cleanup_free_ char *bytes = NULL;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%lld/%s", pid, files[i]);
		bytes = read_file(path);
		fprintf(f, "# %s\n%s\n", path, bytes ? bytes : "not there");
	}
	if (f && !fclose(f))
		add_text(d, name, text, "the process: options, limits, memory");
	free(text);
}

static void add_processes(struct dump *d)
{
	const json_t *proxy = json_object_get(d->status, "proxy");

	add_process(d, "weftd", json_get_int(d->status, "pid", 0));
	add_process(d, "weft-proxy", json_get_int(proxy, "pid", 0));
}

/* ---- the node ---- */

/* Why there is less of it than there should be; NULL: there is all of it. What the command has
 * printed is not said: it has not been cleaned. */
static const char *why_short(int status, size_t n)
{
	if (n == OUTPUT_MAX)
		return "cut";
	if (!status)
		return NULL;
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "there is no such program"
							       : "ended early";
}

/* What a command prints, at most OUTPUT_MAX of it. */
static void add_command(struct dump *d, const char *name, const char *command, const char *what)
{
	_cleanup_free_ char *text = malloc(OUTPUT_MAX + 1), *line = NULL;
	const char *why;
	size_t n;
	FILE *f;

	if (asprintf(&line, "exec 2>&1; PATH=$PATH:/usr/sbin:/sbin timeout 10 %s", command) < 0)
		line = NULL;
	f = text && line ? popen(line, "re") : NULL;
	if (!f) {
		missing(d, name, "out of memory");
		return;
	}
	n = fread(text, 1, OUTPUT_MAX, f);
	text[n] = '\0';
	why = why_short(pclose(f), n);
	if (n || !why)
		add_text(d, name, text, what);
	if (why)
		missing(d, name, why);
}

static void add_kernel(struct dump *d)
{
	static const char *const files[] = {
		"/proc/version",
		"/proc/uptime",
		"/proc/loadavg",
		"/proc/meminfo",
		"/proc/net/sockstat",
		"/proc/net/dev",
		"/proc/net/route",
		"/proc/net/ipv6_route",
		"/proc/net/fib_trie",
		"/proc/net/if_inet6",
		"/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/net/ipv6/conf/all/forwarding",
		"/proc/sys/net/ipv4/conf/all/rp_filter",
		"/proc/sys/net/ipv4/ip_local_port_range",
		"/proc/sys/net/core/somaxconn",
		"/proc/sys/net/netfilter/nf_conntrack_count",
		"/proc/sys/kernel/unprivileged_bpf_disabled",
		"/proc/sys/net/core/bpf_jit_enable",
		"/sys/kernel/security/lsm",
	};
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; f && i < sizeof(files) / sizeof(*files); i++) {
		_cleanup_free_ char *bytes = read_file(files[i]);

		fprintf(f, "# %s\n%s\n", files[i], bytes ? bytes : "not there");
	}
	if (f && !fclose(f))
		add_text(d, "node/kernel.txt", text, "the kernel and its settings");
	free(text);
}

static void add_node(struct dump *d)
{
	static const struct {
		const char *name, *command, *what;
	} commands[] = {
		{ "node/interfaces.txt", "ip -details -statistics link show", "interfaces" },
		{ "node/addresses.txt", "ip address show", "addresses" },
		{ "node/rules4.txt", "ip -4 rule show", "routing rules" },
		{ "node/rules6.txt", "ip -6 rule show", "routing rules" },
		{ "node/routes4.txt", "ip -4 route show table all", "routes" },
		{ "node/routes6.txt", "ip -6 route show table all", "routes" },
		{ "node/sockets.txt", "ss -s", "sockets, in numbers" },
		{ "node/nftables.txt", "nft list ruleset", "netfilter's rules" },
		{ "node/programs.txt", "bpftool prog show", "BPF programs, all of the node's" },
		{ "node/attached.txt", "bpftool net show", "BPF programs at interfaces" },
		{ "node/mounts.txt", "grep -E ' (bpf|cgroup2?) ' /proc/self/mounts",
		  "where bpffs and cgroups are" },
		{ "weftd.log", "journalctl -u weftd -n 5000 --no-pager",
		  "what weftd has logged, where systemd keeps it" },
	};

	add_kernel(d);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		add_command(d, commands[i].name, commands[i].command, commands[i].what);
}

/* Names and sizes: what is in them is rules, which objects.json has, or keys. */
static void add_listing(struct dump *d, const char *name, const char *dir)
{
	char *text = NULL;
	size_t size = 0;
	DIR *list = dir ? opendir(dir) : NULL;
	FILE *f = list ? open_memstream(&text, &size) : NULL;
	struct dirent *e;

	if (!f) {
		missing(d, name, dir ? strerror(errno) : "it is not known where that is");
		if (list)
			closedir(list);
		return;
	}
	fprintf(f, "# %s\n", dir);
	while ((e = readdir(list))) {
		struct stat st;

		if (!fstatat(dirfd(list), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			fprintf(f, "%06o %10lld %s\n", st.st_mode, (long long)st.st_size,
				e->d_name);
	}
	closedir(list);
	if (!fclose(f))
		add(d, name, text, size, "names and sizes of files");
	free(text);
}

static void add_versions(struct dump *d)
{
	struct utsname u;
	_cleanup_json_ json_t *versions = NULL;

	if (uname(&u))
		return;
	versions = json_pack("{s:s, s:s, s:s, s:s, s:s}", "weft", WEFT_VERSION, "weftd",
			     json_get_text(d->status, "version", "unknown"), "kernel", u.release,
			     "machine", u.machine, "node", u.nodename);
	add_json(d, "versions.json", versions, "weft, weftd, the kernel");
}

/* ---- all of it ---- */

static void collect(struct dump *d)
{
	add_answers(d);
	add_versions(d);
	add_maps(d);
	add_processes(d);
	add_listing(d, "node/run-dir.txt", d->cli->run_dir);
	add_listing(d, "node/state-dir.txt", json_get_text(d->status, "state_dir", NULL));
	add_node(d);
	fputs("\nLeft out everywhere: private keys, tokens, passwords, a Secret's data, values of "
	      "environment variables,\nquery strings. Addresses and names of the cluster are in "
	      "it.\n",
	      d->contents);
}

/* "weft-sysdump-NODE-20261130T062000Z" */
static void name_top(char top[TOP_MAX])
{
	time_t now = time(NULL);
	struct utsname u = { 0 };
	char when[32] = "";
	struct tm tm;

	(void)uname(&u);
	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(top, TOP_MAX, "weft-sysdump-%.32s-%.16s", u.nodename, when);
}

static int write_dump(struct dump *d, int fd)
{
	int r = archive_open(fd, d->top, &d->archive);

	if (r)
		return r;
	d->contents = open_memstream(&d->list, &d->list_size);
	if (d->contents) {
		fprintf(d->contents, "%s: what weft %s has found\n\n", d->top, WEFT_VERSION);
		collect(d);
		r = fclose(d->contents) ? -ENOMEM : 0;
	} else {
		r = -ENOMEM;
	}
	if (!r)
		r = archive_add(d->archive, "contents.txt", d->list, d->list_size);
	free(d->list);
	json_decref(d->status);
	return archive_close(d->archive) ?: r;
}

int cmd_sysdump(struct cli *cli, int argc, char **argv)
{
	const struct cmd_option options[] = { { 0 } };
	struct dump d = { .cli = cli };
	char own[TOP_MAX + 8];
	const char *file = own;
	int r = cmd_options(cli, &argc, argv, options), fd;

	if (r)
		return r;
	if (argc > 2)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[2]);
	name_top(d.top);
	snprintf(own, sizeof(own), "%s.tar.gz", d.top);
	if (argc > 1)
		file = argv[1];
	fd = strcmp(file, "-") == 0
		     ? dup(STDOUT_FILENO)
		     : open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : write_dump(&d, fd);
	if (r)
		return cmd_failed("%s: %s", file, strerror(-r));
	if (strcmp(file, "-") != 0)
		printf("%s%s\n", file,
		       d.incomplete ? ": not everything could be found, see contents.txt in it"
				    : "");
	return STATUS_DONE;
}
