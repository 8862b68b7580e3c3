// SPDX-License-Identifier: Apache-2.0
/*
 * Small input must not take much memory or time: what has no sensible length is refused, what has
 * one takes what it is long. Each of these took gigabytes or minutes without its limit.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/yaml/print.h"
#include "test_rules_util.h"

enum {
	MOST = 4096,
	PORTS_MOST = 1 << 17, /* of a pod: the API server sets no limit of its own */
};

#define POD "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
#define SERVICE "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
#define RULE(kind) "apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: r}\n"

/* "before" "item 0, item 1, ..." "after"; `item` has one %d. The caller frees. */
__attribute__((format(printf, 2, 0))) static char *repeated(const char *before, const char *item,
							    int count, const char *after)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs(before, f);
	for (int i = 0; i < count; i++) {
		fputs(i ? ", " : "", f);
		fprintf(f, item, i);
	}
	fputs(after, f);
	fclose(f);
	return text;
}

static const struct {
	const char *before, *item, *after;
	const char *field;
	int most;
} lists[] = {
	{ POD "spec: {}\nstatus: {podIPs: [", "{ip: \"fd00::%x\"}", "]}\n", "status.podIPs", MOST },
	{ POD "spec: {containers: [{ports: [", "{containerPort: 1, name: p%d}", "]}]}\n",
	  "spec.containers[0].ports", PORTS_MOST },
	{ SERVICE "spec: {clusterIPs: [", "\"fd00::%x\"", "]}\n", "spec.clusterIPs", 16 },
	{ SERVICE "spec: {ports: [", "{port: 80, name: p%d}", "]}\n", "spec.ports", MOST },
	{ RULE("VirtualService") "spec: {tcp: [{route: [{destination: {host: a}}]}], hosts: [",
	  "h%d", "]}\n", "spec.hosts", MOST },
	{ RULE("VirtualService") "spec: {hosts: [a], tcp: [{route: [{destination: {host: a}}], "
				 "match: [{sourceLabels: {",
	  "k%d: v", "}}]}]}\n", "spec.tcp[0].match[0].sourceLabels", MOST },
	{ RULE("DestinationRule") "spec: {host: a, subsets: [", "{name: v%d}", "]}\n",
	  "spec.subsets", 256 },
	{ RULE("DestinationRule") "spec: {host: a, exportTo: [", "n%d", "]}\n", "spec.exportTo",
	  MOST },
};

static void check_list(size_t i, int count, bool good)
{
	_cleanup_free_ char *yaml = repeated(lists[i].before, lists[i].item, count, lists[i].after);
	_cleanup_free_ char *got = NULL, *want = NULL;
	_cleanup_parsed_ struct parsed p = { 0 };

	parsed_bytes(&p, "t.yaml", yaml, strlen(yaml));
	got = messages(&p.errors);
	cr_assert(asprintf(&want, "%s: expected at most %d ", lists[i].field, lists[i].most) > 0);
	cr_expect_eq(p.r, good ? 0 : -EINVAL, "%s of %d: %.300s", lists[i].field, count, got);
	cr_expect(good || strstr(got, want), "%s: %.300s", want, got);
}

Test(rules_limits, a_list_has_a_longest_length, .timeout = 60)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		check_list(i, lists[i].most, true);
		check_list(i, lists[i].most + 1, false);
	}
}

static void parse_repeated(struct parsed *p, const char *text, size_t count)
{
	size_t len = strlen(text);
	_cleanup_free_ char *bytes = malloc(len * count);

	cr_assert_not_null(bytes);
	for (size_t i = 0; i < count; i++)
		memcpy(bytes + i * len, text, len);
	parsed_bytes(p, "t.yaml", bytes, len * count);
}

Test(rules_limits, empty_documents_are_nothing, .timeout = 60)
{
	_cleanup_parsed_ struct parsed p = { 0 };

	parse_repeated(&p, "---\n", 500000);
	cr_expect_eq(p.r, 0);
	cr_expect_eq(p.errors.count, 0);
	cr_expect_eq(p.objects.count, 0);
}

Test(rules_limits, documents_have_a_largest_number, .timeout = 60)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const char *last;

	parse_repeated(&p, "--- a\n", (1 << 18) + 1);
	cr_expect_eq(p.r, -EINVAL);
	/* What is wrong with each is told of the first hundred. */
	cr_assert_eq(p.errors.count, 102);
	last = p.errors.items[0].text;
	cr_expect(strstr(last, "expected at most 262144 documents"), "%s", last);
	last = p.errors.items[101].text;
	cr_expect(strstr(last, "more than 100 errors"), "%s", last);
}

Test(rules_limits, aliases_do_not_make_text_long, .timeout = 60)
{
	enum { LONG = 1 << 20 };
	_cleanup_free_ char *yaml = malloc(LONG + 256);
	_cleanup_free_ char *got = NULL;
	_cleanup_parsed_ struct parsed p = { 0 };
	size_t n;

	cr_assert_not_null(yaml);
	n = (size_t)sprintf(yaml, POD "spec: {a: &a ");
	memset(yaml + n, 'x', LONG);
	strcpy(yaml + n + LONG, ", b: [*a, *a, *a, *a, *a]}\n");
	parsed_bytes(&p, "t.yaml", yaml, strlen(yaml));
	got = messages(&p.errors);
	cr_expect_eq(p.r, -EINVAL);
	cr_expect(strstr(got, "expected aliases that stand for at most 4194304 bytes of text"),
		  "%.300s", got);
}

Test(rules_limits, names_are_those_that_kubernetes_takes)
{
	static const char long_name[] =
		"a23456789-b23456789-c23456789-d23456789-e23456789-f2345678901";
	static const struct {
		const char *kind, *format;
		bool good;
	} rows[] = {
		{ "Service", "%.0secho", true },
		{ "Service", "%.0sEcho", false },
		{ "Service", "%.0secho.a", false },
		{ "Service", "%sxy", true },
		{ "Service", "%sxyz", false },
		{ "Pod", "%.0secho.a", true },
		{ "Pod", "%.0secho.A", false },
		{ "Pod", "%sxy.%1$sxy.%1$sxy.%1$s", true },
		{ "Pod", "%sxy.%1$sxy.%1$sxy.%1$s.x", false },
		{ "Endpoints", "%.0sECHO", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *name = NULL, *yaml = NULL, *got = NULL;
		_cleanup_parsed_ struct parsed p = { 0 };

		cr_assert(asprintf(&name, rows[i].format, long_name) > 0);
		cr_assert(asprintf(&yaml, "apiVersion: v1\nkind: %s\nmetadata: {name: %s}\n%s",
				   rows[i].kind, name,
				   strcmp(rows[i].kind, "Endpoints") ? "spec: {}\n" : "") > 0);
		parsed_bytes(&p, "t.yaml", yaml, strlen(yaml));
		got = messages(&p.errors);
		cr_expect_eq(p.r, rows[i].good ? 0 : -EINVAL, "%s: %s", name, got);
		cr_expect(rows[i].good || strstr(got, "metadata.name: expected a name of lower-"),
			  "%s: %s", name, got);
	}
}
