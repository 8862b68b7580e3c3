/* SPDX-License-Identifier: Apache-2.0 */
/* Names, addresses, expressions: what is taken and what is not. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/schema/validate.h"
#include "test_rules_util.h"

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

Test(rules_text, hosts_may_have_a_wildcard_in_front_only)
{
	static const char *const good[] = {
		"a",	   "a.b",	  "reviews.prod.svc.cluster.local",
		"*",	   "*.bar.com",	  "*foo",
		"*-foo.b", "istio.io.",	  "1.a",
		"A-b.C",   "*foo.bar.com"
	};
	static const char *const bad[] = { "",	   "foo.*.com", "foo*.com", "-a",  "a-", "a..b",
					   ".a",   "a_b",	"10.0.0.1", "a.1", "**", "*.*.com",
					   "ba!r", "a b",	"a.b..",    "*-" };

	for (size_t i = 0; i < ROWS(good); i++)
		cr_expect_null(host_problem(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ROWS(bad); i++)
		cr_expect_not_null(host_problem(bad[i]), "%s", bad[i]);
}

Test(rules_text, labels_are_kubernetes_own)
{
	static const char *const good[] = { "app", "app.kubernetes.io/name", "a-b_c.D", "1" };
	static const char *const bad[] = { "",	 "-a",	"a-",	"a/b/c",   "/a",
					   "a/", "a b", "-x/a", "\xc3\xa9" };

	for (size_t i = 0; i < ROWS(good); i++)
		cr_expect(valid_label_key(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ROWS(bad); i++)
		cr_expect_not(valid_label_key(bad[i]), "%s", bad[i]);
	cr_expect(valid_label_value(""));
	cr_expect_not(valid_label_value("a b"));
	cr_expect_not(valid_label_value(
		"0123456789012345678901234567890123456789012345678901234567890123"));
}

Test(rules_text, subnets_of_both_families)
{
	static const struct {
		const char *text;
		unsigned prefix;
	} good[] = {
		{ "10.0.0.0/8", 104 },	{ "10.1.2.3", 128 }, { "0.0.0.0/0", 96 },
		{ "10.1.2.3/24", 120 }, { "fd00::/8", 8 },   { "2001:db8::1", 128 },
		{ "::/0", 0 },
	};
	static const char *const bad[] = {
		"",	      "10.0.0.0/33",   "10.0.0.0/",   "10.0.0/8",
		"fd00::/129", "10.0.0.0/-1",   "10.0.0.0/8 ", "fd00::g/8",
		"/8",	      "10.0.0.0/0008", "10.0.0.0/+8"
	};
	struct cidr cidr;

	for (size_t i = 0; i < ROWS(good); i++) {
		cr_expect(parse_cidr(good[i].text, &cidr), "%s", good[i].text);
		cr_expect_eq(cidr.prefix, good[i].prefix, "%s: %u", good[i].text, cidr.prefix);
	}
	for (size_t i = 0; i < ROWS(bad); i++)
		cr_expect_not(parse_cidr(bad[i], &cidr), "%s", bad[i]);
}

Test(rules_text, regular_expressions_are_re2s)
{
	static const char *const good[] = {
		"a",	       "^(.*?;)?(user=jason)(;.*)?$",
		"[a-z]+",      "[]a]",
		"[^]a]",       "a{2,3}",
		"a{2,}",       "a{,3}",
		"{",	       "a{x",
		"(?i)a",       "(?:a)",
		"(?P<n>a)",    "(?<n>a)",
		"\\d+\\.\\w*", "\\Q*+?\\E",
		"[[:alpha:]]", "()",
		"a|",	       "\\pL\\p{Greek}",
		".*",	       "a*?",
		"(|a)*",       "\\x{10FFFF}",
		"[a\\]b]",     "(?i-s:a)",
	};
	static const char *const bad[] = {
		"*",	     "?",	"+a",	     "a**",    "a|*",	  "(*a)",    "(",   ")",
		"(a",	     "a)",	"[",	     "[a",     "[z-a]",	  "\\",	     "\\1", "(?=a)",
		"(?!a)",     "(?<=a)",	"(?#a)",     "a{2,1}", "a{1001}", "a{2}{3}", "a++", "\\y",
		"[[:alpha]", "(?P<>a)", "\\p{Greek", "{2}",    "(?i",
	};

	for (size_t i = 0; i < ROWS(good); i++)
		cr_expect_null(regex_problem(good[i]), "%s: %s", good[i], regex_problem(good[i]));
	for (size_t i = 0; i < ROWS(bad); i++)
		cr_expect_not_null(regex_problem(bad[i]), "%s", bad[i]);
}

Test(rules_text, percent_signs_in_header_values_come_in_expressions)
{
	static const char *const good[] = {
		"",
		"foo",
		"100%%",
		"%HOSTNAME%",
		"a %START_TIME(%s.%3f)% b",
		"%DYNAMIC_METADATA(com.test.my_filter)%",
		"%UPSTREAM_METADATA([\"ns\", \"key\"])%",
		"%UPSTREAM_METADATA( [ \"ns\" , \"a \\\"key\\\"\" ] )%",
	};
	static const char *const bad[] = {
		"100%",
		"a%b",
		"%NAME(x%",
		"%NAME(x)",
		"%UPSTREAM_METADATA([no quotes])%",
		"%UPSTREAM_METADATA([\"ns\"\"key\"])%",
		"%UPSTREAM_METADATA([\"ns\", \"key\")%",
		"%UPSTREAM_METADATA([\"ns",
		"%NAME(x\\",
		"a\nb: c",
	};

	for (size_t i = 0; i < ROWS(good); i++)
		cr_expect_null(header_value_problem(good[i]), "%s: %s", good[i],
			       header_value_problem(good[i]));
	for (size_t i = 0; i < ROWS(bad); i++)
		cr_expect_not_null(header_value_problem(bad[i]), "%s", bad[i]);
}

Test(rules_text, a_host_covers_what_its_wildcard_says)
{
	cr_expect(host_covers("*", "a"));
	cr_expect(host_covers("*.com", "*.foo.com"));
	cr_expect(host_covers("a.b", "A.b"));
	cr_expect_not(host_covers("*.foo.com", "*.com"));
	cr_expect_not(host_covers("a.com", "*.com"));
	cr_expect_not(host_covers("*.com", "com"));
}

/* An object in which `name` stands where the rule is for. The caller frees. */
static char *object_with(const char *rule, const char *name)
{
	static const struct {
		const char *rule, *yaml;
	} rows[] = {
		{ "pod", "{apiVersion: v1, kind: Pod, metadata: {name: \"%s\"}, spec: {}}" },
		{ "service",
		  "{apiVersion: v1, kind: Service, metadata: {name: \"%s\"}, spec: {}}" },
		{ "namespace", "{apiVersion: v1, kind: Namespace, metadata: {name: \"%s\"}}" },
		{ "rule", "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: "
			  "{name: \"%s\"}, spec: {host: a}}" },
		{ "key",
		  "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {\"%s\": b}}, spec: "
		  "{}}" },
		{ "value", "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {b: \"%s\"}}, "
			   "spec: {}}" },
	};
	char *yaml = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].rule, rule))
			cr_assert(asprintf(&yaml, rows[i].yaml, name) > 0);
	cr_assert_not_null(yaml, "no rule %s", rule);
	return yaml;
}

/*
 * selftests/rules/names.tsv: what a name is for, whether Kubernetes takes it, the name, as
 * k8s.io/apimachinery 0.32 says. "relaxed": a Service's name, as it may be from Kubernetes 1.34 on.
 */
Test(rules_text, names_are_what_the_api_server_takes)
{
	FILE *f = fopen("selftests/rules/names.tsv", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, rows = 0;

	cr_assert_not_null(f);
	while (getline(&line, &size, f) > 0) {
		char *rest = line, *rule = strsep(&rest, "\t"), *word = strsep(&rest, "\t");
		const char *name = strsep(&rest, "\n");
		_cleanup_free_ char *yaml = object_with(rule, name);
		_cleanup_parsed_ struct parsed p = { 0 };

		parsed_text(&p, yaml);
		cr_expect_eq(!p.r, strcmp(word, "bad") != 0, "%s \"%s\" is %s", rule, name,
			     p.r ? "refused" : "accepted");
		rows++;
	}
	fclose(f);
	cr_expect_geq(rows, 200);
}
