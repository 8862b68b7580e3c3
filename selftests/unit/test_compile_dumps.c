// SPDX-License-Identifier: Apache-2.0
/*
 * Every selftests/rules/compile/NAME.yaml compiles to exactly what NAME.txt says. WEFT_DUMPS=write
 * rewrites the latter, to be read before it is committed.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

#include "test_compile_util.h"

static char *dump(const char *path)
{
	_cleanup_compiled_ struct compiled c = { .objects.node = "node-a" };
	_cleanup_free_ char *yaml = file_text(path), *errors = NULL, *tables = NULL;
	char *all = NULL;

	cr_assert_not_null(yaml, "can't read %s", path);
	compiled_text(&c, yaml);
	errors = errors_text(&c.errors);
	if (c.tables)
		tables = tables_text(c.tables);
	cr_assert(asprintf(&all, "%s%s", errors, tables ? tables : "") >= 0);
	return all;
}

static void write_dump(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	cr_assert_not_null(f);
	fputs(text, f);
}

static void check_file(const char *path)
{
	_cleanup_free_ char *got = dump(path), *want = NULL, *txt = NULL;

	cr_assert(asprintf(&txt, "%.*s.txt", (int)(strlen(path) - strlen(".yaml")), path) >= 0);
	if (getenv("WEFT_DUMPS")) {
		write_dump(txt, got);
		return;
	}
	want = file_text(txt);
	cr_assert_not_null(want, "no %s", txt);
	cr_expect_str_eq(got, want, "%s compiles to:\n%s", path, got);
}

Test(compile_dumps, every_file_compiles_to_what_is_written_beside_it)
{
	glob_t found;
	size_t i;

	cr_assert_eq(glob("selftests/rules/compile/*.yaml", 0, NULL, &found), 0);
	cr_assert_geq(found.gl_pathc, 10);
	for (i = 0; i < found.gl_pathc; i++)
		check_file(found.gl_pathv[i]);
	globfree(&found);
}
