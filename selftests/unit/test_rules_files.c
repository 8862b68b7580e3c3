/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftests/rules/bad: every NAME.yaml (or what the script NAME.gen writes) is refused with exactly
 * NAME.err. Names with x- in front are compile()'s. selftests/rules/good: every NAME.yaml is
 * printed as exactly NAME.dump, which in turn loads as the same. WEFT_DUMPS=write rewrites the
 * expectations, for reading what has changed in a diff.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <string.h>

#include "lib/model/model_http.h"
#include "lib/yaml/print.h"
#include "test_rules_util.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "a/b.yaml" -> "a/b" and `suffix`. The caller frees. */
static char *with_suffix(const char *path, const char *suffix)
{
	char *other;

	cr_assert(asprintf(&other, "%.*s%s", (int)(strrchr(path, '.') - path), path, suffix) > 0);
	return other;
}

static void compare(const char *path, const char *got)
{
	_cleanup_free_ char *want = NULL;
	size_t len;

	if (getenv("WEFT_DUMPS")) {
		_cleanup_fclose_ FILE *f = fopen(path, "we");

		cr_assert_not_null(f);
		fputs(got, f);
		return;
	}
	want = file_bytes(path, &len);
	cr_assert_not_null(want, "no %s", path);
	cr_expect_str_eq(got, want, "%s:\n%s", path, got);
}

static void check_bad(const char *path, const char *bytes, size_t len)
{
	_cleanup_free_ char *name = with_suffix(base_name(path), ".yaml"),
			    *err = with_suffix(path, ".err");
	_cleanup_free_ char *got = NULL;
	_cleanup_parsed_ struct parsed p = { 0 };

	parsed_bytes(&p, name, bytes, len);
	got = messages(&p.errors);
	cr_expect_eq(p.r, -EINVAL, "%s is accepted", path);
	compare(err, got);
}

Test(rules_bad, every_file_is_refused_with_what_is_written_beside_it)
{
	glob_t found;

	cr_assert_eq(glob("selftests/rules/bad/*.yaml", 0, NULL, &found), 0);
	cr_assert_geq(found.gl_pathc, 100);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		_cleanup_free_ char *bytes = NULL;
		size_t len = 0;

		if (!strncmp(base_name(found.gl_pathv[i]), "x-", 2))
			continue;
		bytes = file_bytes(found.gl_pathv[i], &len);
		check_bad(found.gl_pathv[i], bytes, len);
	}
	globfree(&found);
}

Test(rules_bad, huge_and_endless_input_is_refused_quickly, .timeout = 30)
{
	glob_t found;

	cr_assert_eq(glob("selftests/rules/bad/*.gen", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		_cleanup_free_ char *command = NULL, *bytes = NULL;
		size_t len = 0;
		FILE *f;

		cr_assert(asprintf(&command, "sh %s", found.gl_pathv[i]) > 0);
		f = popen(command, "r");
		cr_assert_not_null(f);
		bytes = stream_bytes(f, &len);
		pclose(f);
		check_bad(found.gl_pathv[i], bytes, len);
	}
	globfree(&found);
}

static char *dump(const struct objects *objects, bool json)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; i < objects->count; i++) {
		if (i)
			fputs("---\n", f);
		cr_expect_eq(node_print(objects->items[i]->tree, objects->items[i]->meta.namespace,
					json, f),
			     0);
	}
	fclose(f);
	return text;
}

/* What was printed is read again, and printed as YAML must be what it was. */
static void check_again(const char *path, const struct objects *objects, bool json,
			const char *want)
{
	_cleanup_free_ char *printed = dump(objects, json), *got = NULL;
	_cleanup_parsed_ struct parsed p = { 0 };

	parsed_text(&p, printed);
	cr_expect_eq(p.r, 0, "%s as %s is refused: %s\n%s", path, json ? "JSON" : "YAML",
		     p.errors.count ? p.errors.items[0].text : "", printed);
	got = dump(&p.objects, false);
	cr_expect_str_eq(got, want, "%s as %s:\n%s", path, json ? "JSON" : "YAML", got);
}

Test(rules_good, every_file_is_printed_as_it_was_given_and_loads_again)
{
	glob_t found;

	cr_assert_eq(glob("selftests/rules/good/*.yaml", 0, NULL, &found), 0);
	cr_assert_geq(found.gl_pathc, 10);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		_cleanup_free_ char *bytes = NULL, *got = NULL, *file = with_suffix(path, ".dump");
		_cleanup_parsed_ struct parsed p = { 0 };
		size_t len = 0;

		bytes = file_bytes(path, &len);
		parsed_bytes(&p, path, bytes, len);
		cr_expect_eq(p.r, 0, "%s is refused: %s", path,
			     p.errors.count ? p.errors.items[0].text : "");
		got = dump(&p.objects, false);
		compare(file, got);
		check_again(path, &p.objects, false, got);
		check_again(path, &p.objects, true, got);
	}
	globfree(&found);
}

/* A fuzzer's find: octal that isn't, and more digits than an integer has. */
Test(rules_good, numbers_that_json_writes_otherwise_keep_their_values)
{
	static const struct {
		const char *text;
		double value;
	} rows[] = {
		{ "08", 8 },
		{ "050", 40 },
		{ "+9", 9 },
		{ "0x10", 16 },
		{ ".5", 0.5 },
		{ "+0.00000001", 1e-8 },
		{ "00000000000000000000009", 9 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_parsed_ struct parsed p = { 0 }, again = { 0 };
		_cleanup_free_ char *text = NULL, *printed = NULL;

		cr_assert(asprintf(&text,
				   "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
				   "metadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n"
				   "  - route: [{destination: {host: a}}]\n"
				   "    mirror: {host: b}\n    mirrorPercentage: {value: %s}\n",
				   rows[i].text) > 0);
		parsed_text(&p, text);
		cr_assert_eq(p.r, 0, "%s is refused", rows[i].text);
		printed = dump(&p.objects, true);
		parsed_text(&again, printed);
		cr_assert_eq(again.r, 0, "%s as JSON is refused: %s", rows[i].text, printed);
		cr_expect_eq(p.objects.items[0]->vs.http.items[0].mirrors.items[0].percent,
			     rows[i].value, "%s", rows[i].text);
		cr_expect_eq(again.objects.items[0]->vs.http.items[0].mirrors.items[0].percent,
			     rows[i].value, "%s as JSON", rows[i].text);
	}
}
