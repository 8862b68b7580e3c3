// SPDX-License-Identifier: Apache-2.0
/*
 * By what weftd tells whether a running weft-proxy is the one that it would start.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/supervisor/proxy_identity.h"
#include "lib/base/cleanup.h"

static const struct supervisor_options plain = { .run_dir = "/run/weft", .access_log = -1 };

static void install(const char *path, const char *bytes)
{
	char fresh[96];
	int fd;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
	close(fd);
	cr_assert_eq(rename(fresh, path), 0);
}

Test(proxy_identity, a_program_with_other_bytes_is_another)
{
	char dir[] = "/tmp/weft-identity.XXXXXX", path[64];
	_cleanup_free_ char *first = NULL, *again = NULL, *anew = NULL, *gone = NULL;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/weft-proxy", dir);
	install(path, "one");
	first = proxy_identity(&plain, path);
	install(path, "one"); /* as in the next container of an image */
	again = proxy_identity(&plain, path);
	install(path, "two");
	anew = proxy_identity(&plain, path);
	unlink(path);
	gone = proxy_identity(&plain, path);
	rmdir(dir);
	cr_assert(first && again && anew && gone);
	cr_expect_str_eq(first, again);
	cr_expect_str_neq(first, anew);
	cr_expect_str_neq(anew, gone);
}

Test(proxy_identity, one_that_was_started_differently_is_another)
{
	struct supervisor_options marked = plain;
	_cleanup_free_ char *one = NULL, *other = NULL;

	marked.mark = 7;
	one = proxy_identity(&plain, "/nowhere");
	other = proxy_identity(&marked, "/nowhere");
	cr_assert(one && other);
	cr_expect_str_neq(one, other);
}

/* It is told where to write while it runs, and a container's output is another one each time. */
Test(proxy_identity, where_the_access_log_goes_makes_no_difference)
{
	struct supervisor_options logs = plain;
	_cleanup_free_ char *one = NULL, *other = NULL;

	logs.access_log = STDERR_FILENO;
	logs.access_log_json = true;
	one = proxy_identity(&plain, "/nowhere");
	other = proxy_identity(&logs, "/nowhere");
	cr_assert(one && other);
	cr_expect_str_eq(one, other);
}
