// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
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

int cmd_uninstall(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *data = NULL;
	const char *bpffs = NULL;
	const struct cmd_option options[] = { { 0, "bpffs", .value = &bpffs }, { 0 } };
	int r = cmd_options(cli, &argc, argv, options);
	_cleanup_close_ int fd = -1;

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	fd = wire_connect(cli->run_dir);
	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		run_weftd(cli, bpffs);
		return cmd_failed("no weftd runs on %s, and none is found to detach with: %s",
				  cli->run_dir, strerror(errno));
	}
	r = client_ask(cli, client_request("uninstall"), NULL, &data);
	return r ? r : wait_gone(cli);
}
