// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "cli/install.h"
#include "lib/base/json_io.h"
#include "lib/wire/wire_client.h"

enum { GONE_TRIES = 200, GONE_MS = 25 };

/* weftd closes its socket when it ends. */
static int wait_gone(const struct cli *cli)
{
	for (int i = 0; i < GONE_TRIES; i++) {
		_cleanup_close_ int fd = wire_connect(cli->run_dir);

		if (fd < 0)
			return STATUS_DONE;
		nanosleep(&(struct timespec){ .tv_nsec = GONE_MS * 1000000L }, NULL);
	}
	return cmd_failed("weftd has removed everything, but has not ended yet");
}

/* The weftd that belongs to this weft: beside it, in PREFIX/sbin, or on the PATH. */
static void run_weftd(const struct cli *cli, const char *bpffs)
{
	char self[4096], path[4200];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *args[] = { "weftd",
			 "--detach",
			 "--run-dir",
			 (char *)cli->run_dir,
			 bpffs ? "--bpffs" : NULL,
			 (char *)bpffs,
			 NULL };
	char *slash;

	if (n > 0) {
		self[n] = 0;
		slash = strrchr(self, '/');
		*slash = 0;
		snprintf(path, sizeof(path), "%s/weftd", self);
		execv(path, args);
		snprintf(path, sizeof(path), "%s/../sbin/weftd", self);
		execv(path, args);
	}
	execvp("weftd", args);
}

/* `status` is what weftd said of itself before. */
static int print_removed(const json_t *status)
{
	const json_t *cgroup = json_object_get(status, "cgroup");
	const json_t *proxy = json_object_get(status, "proxy");

	puts("removed:");
	printf("  %lld programs at connect() on %s\n", (long long)json_get_int(cgroup, "hooks", 0),
	       json_get_text(cgroup, "path", "?"));
	printf("  programs on the interfaces of %lld pods and on %lld of the node's (%s)\n",
	       (long long)json_get_int(status, "pods", 0),
	       (long long)json_get_int(status, "nics", 0), json_get_text(status, "attach", "?"));
	printf("  maps and links pinned in %s\n", json_get_text(status, "bpffs", "?"));
	if (json_is_true(json_object_get(status, "handover")))
		puts("  ip rules and routes to weft-proxy");
	printf("ended:\n  weftd (process %lld), weft-proxy (process %lld)\n",
	       (long long)json_get_int(status, "pid", 0), (long long)json_get_int(proxy, "pid", 0));
	printf("kept:\n  the rules stored in %s, for the next weftd\n",
	       json_get_text(status, "state_dir", "?"));
	return STATUS_DONE;
}

static int uninstall_node(struct cli *cli, const char *bpffs)
{
	_cleanup_json_ json_t *data = NULL, *status = NULL;
	_cleanup_close_ int fd = wire_connect(cli->run_dir);
	int r;

	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		run_weftd(cli, bpffs);
		return cmd_failed("no weftd runs on %s, and none is found to detach with: %s",
				  cli->run_dir, strerror(errno));
	}
	r = client_ask(cli, client_request("status"), NULL, &status);
	if (!r)
		r = client_ask(cli, client_request("uninstall"), NULL, &data);
	if (!r)
		r = wait_gone(cli);
	return r ? r : print_removed(status);
}

int cmd_uninstall(struct cli *cli, int argc, char **argv)
{
	struct uninstall cluster = { .timeout = "120s" };
	const char *bpffs = NULL;
	bool of_cluster = false;
	const struct cmd_option options[] = {
		{ 0, "bpffs", .value = &bpffs },
		{ 0, "cluster", .flag = &of_cluster },
		{ 0, "kubeconfig", .value = &cluster.cluster.kubeconfig },
		{ 0, "context", .value = &cluster.cluster.context },
		{ 0, "timeout", .value = &cluster.timeout },
		{ 'y', "yes", .flag = &cluster.yes },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (of_cluster && bpffs)
		return cmd_wrong(argv[0], "--bpffs does not go with --cluster");
	if (!of_cluster && (cluster.cluster.kubeconfig || cluster.cluster.context || cluster.yes))
		return cmd_wrong(argv[0], "--kubeconfig, --context and --yes go with --cluster");
	return of_cluster ? uninstall_run(&cluster) : uninstall_node(cli, bpffs);
}
