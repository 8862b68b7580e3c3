// SPDX-License-Identifier: Apache-2.0
/* What becomes of the directories of a weftd that leaves its node. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/source/kubernetes_cache.h"
#include "daemon/start/dirs.h"

static char top[] = "/tmp/weft-dirs.XXXXXX";
static char dir[64];

static void setup(void)
{
	cr_assert(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/run/weft", top);
	cr_assert_eq(dir_make(dir), 0);
}

/* With what is known to be in it. */
static void teardown(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/rules.journal", dir);
	unlink(path);
	rmdir(dir);
	snprintf(path, sizeof(path), "%s/run", top);
	rmdir(path);
	rmdir(top);
}

TestSuite(dirs, .init = setup, .fini = teardown);

Test(dirs, what_weftd_has_made_goes_with_it)
{
	struct kube_cache *cache;
	long pid;
	int lock = dir_lock(dir, &pid);

	cr_assert_geq(lock, 0);
	cr_assert_eq(dir_note(dir, "note", "text"), 0);
	cr_assert_eq(kube_cache_open(dir, 1, "https://10.0.0.1", &cache), 0);
	kube_cache_remove(dir);
	dir_leave(dir, "note");
	cr_expect_eq(access(dir, F_OK), -1);
	kube_cache_close(cache);
	close(lock);
	cr_expect_eq(access(dir, F_OK), -1, "closing brings nothing back");
}

Test(dirs, what_others_have_made_stays)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/rules.journal", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	kube_cache_remove(dir);
	dir_leave(dir, "note");
	cr_expect_eq(access(path, F_OK), 0);
}

Test(dirs, a_cache_is_empty_until_an_object_is_in_it)
{
	const struct kube_record pod = { "pods", "default", "a", "1", .object = "{}", .size = 2 };
	struct kube_cache *cache;

	cr_assert_eq(kube_cache_open(dir, 1, "one", &cache), 0);
	cr_expect(kube_cache_is_empty(cache));
	kube_cache_put(cache, &pod);
	kube_cache_flush(cache);
	cr_expect_not(kube_cache_is_empty(cache));
	kube_cache_close(cache);
	cr_assert_eq(kube_cache_open(dir, 1, "one", &cache), 0);
	cr_expect_not(kube_cache_is_empty(cache));
	kube_cache_close(cache);
	cr_assert_eq(kube_cache_open(dir, 1, "another", &cache), 0);
	cr_expect(kube_cache_is_empty(cache));
	kube_cache_close(cache);
	kube_cache_remove(dir);
}
