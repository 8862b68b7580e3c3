// SPDX-License-Identifier: Apache-2.0
/*
 * Every selftests/rules/bad/x-NAME.yaml parses, but is refused by compile() with exactly what
 * x-NAME.err says.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <string.h>

#include "test_compile_util.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void check_file(const char *path)
{
	_cleanup_free_ char *yaml = file_text(path), *got = NULL, *want = NULL, *err = NULL;
	_cleanup_compiled_ struct compiled c = { .registry = registry_new() };

	cr_assert_not_null(yaml);
	cr_assert(asprintf(&err, "%.*s.err", (int)(strlen(path) - strlen(".yaml")), path) >= 0);
	want = file_text(err);
	cr_assert_not_null(want, "no %s", err);
	c.r = rules_parse(base_name(path), yaml, strlen(yaml), &c.objects, &c.errors, NULL);
	cr_expect_eq(c.r, 0, "%s is refused too early", path);
	c.r = compile(&c.objects, c.registry, COMPILE_HTTP_NEEDED, &c.tables, &c.errors);
	got = errors_text(&c.errors);
	cr_expect_eq(c.r, -EINVAL, "%s is accepted", path);
	cr_expect_null(c.tables);
	cr_expect_str_eq(got, want, "%s:\n%s", path, got);
}

Test(compile_bad, every_file_is_refused_with_what_is_written_beside_it)
{
	glob_t found;
	size_t i;

	cr_assert_eq(glob("selftests/rules/bad/x-*.yaml", 0, NULL, &found), 0);
	cr_assert_geq(found.gl_pathc, 10);
	for (i = 0; i < found.gl_pathc; i++)
		check_file(found.gl_pathv[i]);
	globfree(&found);
}
