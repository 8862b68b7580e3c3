// SPDX-License-Identifier: Apache-2.0
/*
 * The tables themselves: what of policies and pods arrives in them, that shares are exact, and that
 * damaged ones are refused.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/model/hostname.h"
#include "lib/route/regex.h"
#include "test_compile_util.h"
#include "test_http_util.h"

#define SERVICE                                                                                 \
	"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"                                \
	"spec: {clusterIP: 10.96.0.1, selector: {app: svc}, ports: [{name: http, port: 80}]}\n" \
	"---\n"
#define RULE                                                                                \
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: svc}\n" \
	"spec:\n  hosts: [svc]\n  http:\n"
#define POLICY                                                                               \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: svc}\n" \
	"spec:\n  host: svc\n"

static const struct hs_cluster *find_cluster(const struct http_snapshot *s, const char *name)
{
	for (__u32 i = 0; i < hs_count(s, HS_CLUSTERS); i++)
		if (!strcmp(hs_text(s, hs_cluster(s, i)->name), name))
			return hs_cluster(s, i);
	cr_assert_fail("no cluster %s", name);
	return NULL;
}

/* Rules for one host that no service has: each of its virtual hosts (ports 80 and "any other", in
 * all namespaces or in `namespaces` of them) has each rule once. */
static void count_rules_of_unknown_host(const char *spec, unsigned namespaces, bool at_each)
{
	enum { RULES = 50, PORTS = 2 };
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	_cleanup_free_ char *yaml = NULL;
	size_t len;
	FILE *f = open_memstream(&yaml, &len);

	for (int i = 0; i < RULES; i++)
		fprintf(f,
			"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
			"metadata: {name: v%d, namespace: n%d}\nspec: {hosts: [ext.example.com], "
			"%s "
			"http: [{match: [{sourceLabels: {app: a%d}}], route: [{destination: {host: "
			"ext.example.com}}]}]}\n---\n",
			i, at_each ? i : 0, spec, i);
	fclose(f);
	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	cr_expect_eq(hs_count(t.snapshot, HS_VHOSTS), PORTS * namespaces, "%s: %u", spec,
		     hs_count(t.snapshot, HS_VHOSTS));
	cr_expect_eq(hs_count(t.snapshot, HS_RULES), PORTS * RULES, "%s: %u", spec,
		     hs_count(t.snapshot, HS_RULES));
}

Test(http_tables, rules_for_one_unknown_host_are_there_once)
{
	count_rules_of_unknown_host("", 1, false);
	count_rules_of_unknown_host("exportTo: [n7],", 1, false);
	count_rules_of_unknown_host("exportTo: [\".\"],", 50, true);
}

Test(http_tables, policies_for_requests)
{
	static const char yaml[] = SERVICE POLICY
		"  trafficPolicy:\n"
		"    connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2, "
		"maxRequestsPerConnection: 3, http2MaxRequests: 4, maxRetries: 5, idleTimeout: "
		"6s}}\n"
		"    outlierDetection: {consecutiveErrors: 7, interval: 1s, baseEjectionTime: 10m, "
		"maxEjectionPercent: 100}\n"
		"    loadBalancer: {consistentHash: {httpCookie: {name: user, path: /p, ttl: "
		"0s}}}\n"
		"  subsets:\n"
		"  - {name: v1, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 0}}}\n"
		"  - {name: v2, trafficPolicy: {connectionPool: {http: {maxRetries: 9}}}}\n"
		"---\n" RULE "  - route: [{destination: {host: svc, subset: v1}, weight: 1}, "
		"{destination: {host: svc, subset: v2}, weight: 1}]\n";
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	const struct hs_cluster *c;

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	c = find_cluster(t.snapshot, "outbound|80||svc.default.svc.cluster.local");
	cr_expect_eq(c->max_connections, 1);
	cr_expect_eq(c->max_pending, 2);
	cr_expect_eq(c->max_requests_per_connection, 3);
	cr_expect_eq(c->max_requests, 4);
	cr_expect_eq(c->max_retries, 5);
	cr_expect_eq(c->http_idle_timeout_ms, 6000);
	cr_expect_eq(c->connect_timeout_ms, 10000);
	cr_expect_eq(c->hash, HS_HASH_COOKIE);
	cr_expect_str_eq(hs_text(t.snapshot, c->hash_name), "user");
	cr_expect_str_eq(hs_text(t.snapshot, c->hash_attributes), "; Path=/p; HttpOnly");
	cr_expect(c->hash_makes);
	cr_expect_eq(c->outliers.consecutive_gateway, 7, "consecutiveErrors as it was");
	cr_expect_eq(c->outliers.consecutive_5xx, 0, "consecutiveErrors as it was");
	cr_expect_eq(c->outliers.interval_ms, 1000);
	cr_expect_eq(c->outliers.max_ejection_ms, 600000, "at least the base");
	cr_expect_eq(c->outliers.max_ejection_percent, 100);
	c = find_cluster(t.snapshot, "outbound|80|v1|svc.default.svc.cluster.local");
	cr_expect_eq(c->outliers.consecutive_5xx, 0, "switched off");
	cr_expect_eq(c->outliers.max_ejection_percent, 10);
	cr_expect_eq(c->outliers.base_ejection_ms, 30000);
	cr_expect_eq(c->max_pending, 2, "of the whole service");
	c = find_cluster(t.snapshot, "outbound|80|v2|svc.default.svc.cluster.local");
	cr_expect_eq(c->max_retries, 9);
	cr_expect_eq(c->max_pending, 0, "a subset's pool replaces the whole");
	cr_expect_eq(c->outliers.consecutive_gateway, 7);
}

Test(http_tables, pods_and_addresses)
{
	static const char yaml[] = SERVICE
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x, labels: {app: "
		"sleep}}\n"
		"spec: {containers: []}\nstatus: {podIPs: [{ip: 10.0.0.2}, {ip: 'fd00::2'}]}\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: {name: b, labels: {app: svc}}\n"
		"spec: {containers: []}\nstatus: {podIPs: [{ip: 10.0.0.1}, {ip: "
		"'fd00::1'}]}\n---\n" RULE
		"  - match: [{sourceLabels: {app: sleep}, sourceNamespace: x}]\n"
		"    route: [{destination: {host: svc}}]\n"
		"  - directResponse: {status: 201}\n";
	static const struct {
		const char *addr;
		enum http_action action;
	} rows[] = {
		{ "10.0.0.2", HTTP_ROUTE },	      { "fd00::2", HTTP_ROUTE },
		{ "10.0.0.1", HTTP_DIRECT_RESPONSE }, { "fd00::1", HTTP_DIRECT_RESPONSE },
		{ "10.0.0.3", HTTP_NOT_FOUND },	      { "::", HTTP_NOT_FOUND },
	};
	const struct http_request q = { .method = http_span("GET"),
					.scheme = http_span("http"),
					.authority = http_span("svc.default"),
					.path = http_span("/") };
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	const struct hs_action *plain;
	const struct endpoint *second;
	char text[ADDR_TEXT_MAX];
	const struct hs_cluster *c;
	struct addr addr;

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct hs_source *found;
		struct http_source source;
		struct http_decision d;

		addr_parse(rows[i].addr, &addr);
		found = http_source_at(t.snapshot, &addr);
		cr_assert_eq(!found, rows[i].action == HTTP_NOT_FOUND, "%s", rows[i].addr);
		if (!found)
			continue;
		http_source_known(t.snapshot, found, &source);
		http_route(t.snapshot, http_listener(t.snapshot, SCOPE_MESH, 80), NULL, &source, &q,
			   &(struct http_turns){ 0 }, &d, NULL);
		cr_expect_eq(d.action, rows[i].action, "%s", rows[i].addr);
	}
	addr_parse("10.96.0.1", &addr);
	plain = http_plain(t.snapshot, &addr, 80);
	cr_assert_not_null(plain);
	cr_expect_null(http_plain(t.snapshot, &addr, 81));
	c = hs_cluster(t.snapshot, hs_dest(t.snapshot, plain->dests.first)->cluster);
	cr_expect_eq(http_members(t.snapshot, c).count, 2);
	cr_expect_eq(http_members(t.snapshot, c).v4, 1);
	second = &http_members(t.snapshot, c).items[1].endpoint;
	addr_format_port(&second->addr, second->port, text);
	cr_expect_str_eq(text, "[fd00::1]:80");
}

static const char *route_name(const struct http_snapshot *s, const char *host, const char *path)
{
	const struct http_request q = { .method = http_span("GET"),
					.scheme = http_span("http"),
					.authority = http_span(host),
					.path = http_span(path) };
	const struct kvs none = { 0 };
	struct http_source source;
	struct http_decision d;

	http_source_given(s, "default", &none, &source);
	http_route(s, http_listener(s, SCOPE_MESH, 80), NULL, &source, &q,
		   &(struct http_turns){ 0 }, &d, NULL);
	cr_assert_not_null(d.route, "%s%s", host, path);
	return hs_text(s, d.route->name);
}

/* Envoy's %ROUTE_NAME% in the log, and route.NAME.… in the statistics. */
Test(http_tables, a_route_is_called_as_it_and_its_match_are_named)
{
#define OTHER                                                                                   \
	"apiVersion: v1\nkind: Service\nmetadata: {name: other}\n"                              \
	"spec: {clusterIP: 10.96.0.2, selector: {app: svc}, ports: [{name: http, port: 80}]}\n" \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                       \
	"metadata: {name: other}\nspec:\n  hosts: [other]\n  http:\n"
#define TO "    route: [{destination: {host: svc}}]\n"
	static const char yaml[] = SERVICE RULE
		"  - name: jason\n    match: [{name: match, uri: {prefix: /a}}, "
		"{name: other, uri: {prefix: /b}}, {uri: {prefix: /c}}]\n" TO
		"  - match: [{name: match, uri: {prefix: /d}}]\n" TO
		"  - name: root\n    match: [{name: here, uri: {prefix: /e}}]\n"
		"    delegate: {name: leaf}\n"
		"  - match: [{uri: {prefix: /f}}]\n" TO "---\n" OTHER "  - name: jason\n" TO
		"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: leaf}\nspec:\n  http:\n  - name: leaf\n"
		"    match: [{name: there, uri: {prefix: /e/x}}, {uri: {prefix: /e}}]\n" TO;
#undef TO
#undef OTHER
	static const struct {
		const char *host, *path, *name;
	} rows[] = {
		{ "svc", "/a", "jason.match" },
		{ "svc", "/b", "jason.other" },
		{ "svc", "/c", "jason" },
		{ "svc", "/d", "default/svc/http[1].match" },
		{ "svc", "/e/x", "root-leaf.here-there" },
		{ "svc", "/e", "root-leaf.here" },
		{ "svc", "/f", "default/svc/http[3]" },
		{ "other", "/", "default/other/jason" },
	};
	_cleanup_(http_tables_free) struct http_tables t = { 0 };

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_str_eq(route_name(t.snapshot, rows[i].host, rows[i].path), rows[i].name,
				 "%s%s: %s", rows[i].host, rows[i].path,
				 route_name(t.snapshot, rows[i].host, rows[i].path));
}

/* Kubernetes allows 253 characters, counters have room for fewer. */
Test(http_tables, routes_of_rules_with_long_names_are_told_apart)
{
	char name[254] = { 0 };
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	_cleanup_free_ char *yaml = NULL;
	const char *first, *second;

	memset(name, 'n', sizeof(name) - 1);
	cr_assert(asprintf(&yaml,
			   SERVICE
			   "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
			   "metadata: {name: %s}\nspec:\n  hosts: [svc]\n  http:\n"
			   "  - match: [{uri: {prefix: /a}}]\n    route: [{destination: {host: "
			   "svc}}]\n"
			   "  - route: [{destination: {host: svc}}]\n",
			   name) > 0);
	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	first = route_name(t.snapshot, "svc", "/a");
	second = route_name(t.snapshot, "svc", "/b");
	cr_expect_lt(strlen(first), (size_t)ROUTE_NAME_MAX);
	cr_expect_str_neq(first, second);
	cr_expect_eq(strncmp(first, "default/nnn", 11), 0, "%s", first);
}

/* ---- shares ---- */

Test(http_tables, weights_are_exact)
{
	static const char yaml[] = SERVICE RULE
		"  - route: [{destination: {host: svc, port: {number: 80}}, weight: 80}, "
		"{destination: {host: other}, weight: 20}, {destination: {host: none}, weight: "
		"0}]\n";
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	unsigned other = 0;

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	for (unsigned turn = 0; turn < 1000; turn++) {
		_cleanup_free_ char *said =
			http_said(&t, &(struct http_ask){ .host = "svc", .turn = turn });

		other += !!strstr(said, "other");
		cr_expect_null(strstr(said, "none.default"));
		if (turn % 10 == 9)
			cr_expect(other + 1 >= (turn + 1) / 5 && other <= (turn + 1) / 5 + 1,
				  "%u of %u", other, turn + 1);
	}
	cr_expect(other >= 199 && other <= 201, "%u", other);
}

Test(http_tables, mirrored_and_failing_shares_are_exact)
{
	static const char yaml[] = SERVICE RULE
		"  - route: [{destination: {host: svc}}]\n"
		"    mirror: {host: svc}\n    mirrorPercentage: {value: 12.5}\n"
		"    fault: {abort: {httpStatus: 500, percentage: {value: 30}}, "
		"delay: {fixedDelay: 1s, percentage: {value: 100}}}\n";
	const struct http_request q = { .method = http_span("GET"),
					.scheme = http_span("http"),
					.authority = http_span("svc.default"),
					.path = http_span("/") };
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	unsigned aborted = 0, delayed = 0, mirrored = 0, both = 0;
	struct http_source source;

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	http_source_given(t.snapshot, "default", NULL, &source);
	for (__u64 turn = 0; turn < 10000; turn++) {
		const struct http_turns turns = { turn, turn, turn, turn };
		struct http_decision d;
		bool mirror;

		http_route(t.snapshot, http_listener(t.snapshot, SCOPE_MESH, 80), NULL, &source, &q,
			   &turns, &d, NULL);
		mirror = http_mirrored(t.snapshot, d.route, 0, turn);
		aborted += d.aborted;
		delayed += d.delay_ms == 1000;
		mirrored += mirror;
		both += mirror && d.aborted;
		cr_assert_eq(d.status, d.aborted ? 500 : 0);
	}
	cr_expect_eq(delayed, 10000);
	cr_expect(aborted >= 2997 && aborted <= 3003, "%u", aborted);
	cr_expect(mirrored >= 1247 && mirrored <= 1253, "%u", mirrored);
	cr_expect(both >= 350 && both <= 400, "the choices don't move in step: %u", both);
}

/* ---- texts ---- */

Test(http_tables, texts_that_do_not_fit)
{
	static const char yaml[] = SERVICE RULE
		"  - match: [{uri: {prefix: /a}}]\n    rewrite: {uri: /longer}\n"
		"    route: [{destination: {host: svc}}]\n"
		"  - match: [{uri: {prefix: /b}}]\n    rewrite: {uriRegexRewrite: {match: b, "
		"rewrite: '\\0\\0'}}\n    route: [{destination: {host: svc}}]\n"
		"  - redirect: {scheme: https, port: 8443}\n";
	static const char *const paths[] = { "/a/b?c", "/bbb?c", "/c" };
	static const char *const texts[] = { "/longer/b?c", "/bbbbbb?c",
					     "https://svc.default:8443/c" };
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	struct http_source source;

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	http_source_given(t.snapshot, "default", NULL, &source);
	for (size_t i = 0; i < 3; i++) {
		const struct http_request q = { .method = http_span("GET"),
						.scheme = http_span("http"),
						.authority = http_span("svc.default"),
						.path = http_span(paths[i]) };
		long want = strlen(texts[i]);
		struct http_decision d;

		http_route(t.snapshot, http_listener(t.snapshot, SCOPE_MESH, 80), NULL, &source, &q,
			   &(struct http_turns){ 0 }, &d, NULL);
		for (long size = 0; size <= want; size++) {
			_cleanup_free_ char *out = malloc(size + 1);
			long n = i < 2 ? http_path(t.snapshot, &d, &q, out, size)
				       : http_location_text(t.snapshot, &d, &q, out, size);

			cr_expect_eq(n, size < want ? -ENOSPC : want, "%s %ld: %ld", paths[i], size,
				     n);
			if (n == want)
				cr_expect(!memcmp(out, texts[i], n), "%.*s", (int)n, out);
		}
	}
}

Test(http_tables, host_of_mirrors)
{
	static const char *const rows[][2] = { { "httpbin", "httpbin-shadow" },
					       { "httpbin:8000", "httpbin-shadow:8000" },
					       { "[fd00::1]:80", "[fd00::1]-shadow:80" },
					       { "[fd00::1]", "[fd00::1]-shadow" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct http_decision d = { .authority = http_span(rows[i][0]) };
		char out[64];
		long n = http_shadow(&d, out, sizeof(out));

		cr_expect_eq(n, (long)strlen(rows[i][1]));
		cr_expect(!memcmp(out, rows[i][1], n), "%.*s", (int)n, out);
		cr_expect_eq(http_shadow(&d, out, n - 1), -ENOSPC);
	}
}

/* ---- regular expressions ---- */

Test(http_tables, refused_regular_expressions)
{
	static const char *const patterns[] = { "(a)\\1",  "(?=a)b", "(?<!a)b", "a++", "(?>a)",
						"a{1001}", "(",	     "[a",	"*a",  "\\Za" };

	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		_cleanup_(http_tables_free) struct http_tables t = { 0 };
		_cleanup_free_ char *yaml = NULL, *errors = NULL;

		if (asprintf(&yaml,
			     "%s%s  - match: [{uri: {regex: '%s'}}]\n    route: "
			     "[{destination: {host: svc}}]\n",
			     SERVICE, RULE, patterns[i]) < 0)
			cr_assert_fail();
		http_tables_text(&t, yaml);
		errors = errors_text(&t.errors);
		cr_expect_eq(t.r, -EINVAL, "%s", patterns[i]);
		cr_expect(strstr(errors, "t.yaml:12:27: ") && strstr(errors, "regular expression"),
			  "%s: %s", patterns[i], errors);
	}
}

Test(http_tables, a_regular_expression_that_takes_too_long_does_not_match)
{
	char text[4001];
	struct http_regexes *r = http_regexes_new(NULL, 1);

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 'c';
	cr_assert_eq(http_regexes_set(r, 0, "(a|aa)+", 7, false), 0);
	cr_expect_not(http_regex_match(r, 0, text, sizeof(text)));
	cr_expect(http_regex_match(r, 0, text, 30));
	http_regexes_free(r);
}

/* ---- damage ---- */

/* A regular expression costs as much as all the rest. That the second step does not look at the
 * path again is seen by giving it one that no rule has. */
Test(http_tables, a_weighted_route_is_matched_once)
{
	static const char yaml[] = SERVICE POLICY
		"  subsets: [{name: v1}, {name: v2}]\n---\n" RULE
		"  - match: [{uri: {regex: '/[a-z]+'}}]\n"
		"    route:\n"
		"    - {destination: {host: svc, subset: v1}, weight: 1}\n"
		"    - {destination: {host: svc, subset: v2}, weight: 1}\n"
		"  - directResponse: {status: 403}\n";
	struct http_request q = { .method = http_span("GET"),
				  .scheme = http_span("http"),
				  .authority = http_span("svc.default"),
				  .path = http_span("/abc") };
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	const struct hs_listener *l;
	bool chosen[2] = { false };

	http_tables_text(&t, yaml);
	cr_assert_not_null(t.snapshot);
	l = http_listener(t.snapshot, SCOPE_MESH, 80);
	for (unsigned i = 0; i < 2; i++) {
		struct http_source source = { .name = http_span("default") };
		struct http_turns turns = { .dest = i };
		struct http_request other = q;
		struct http_decision d;

		http_find(t.snapshot, l, NULL, &source, &q, &d, NULL);
		cr_assert_not_null(d.route);
		other.path = http_span("/1");
		http_choose(t.snapshot, &other, &turns, &d);
		cr_assert_eq(d.action, HTTP_ROUTE);
		chosen[hs_text(t.snapshot, d.cluster->subset)[1] - '1'] = true;
		http_find(t.snapshot, l, NULL, &source, &other, &d, NULL);
		cr_expect_eq(d.route->status, 403);
	}
	cr_expect(chosen[0] && chosen[1], "each has its turn");
}

static int open_bytes(const void *bytes, size_t size)
{
	struct http_snapshot *s = NULL;
	int r = http_snapshot_open(bytes, size, &s);

	http_snapshot_close(s);
	return r;
}

/* Uses what was let through, under the sanitizers. */
static void use(const void *bytes, size_t size)
{
	static const struct http_ask asks[] = {
		{ .host = "uri", .path = "/exact" },
		{ .host = "headers", .headers = "x-c: ccc" },
		{ .host = "regex", .path = "/service/a/b" },
		{ .host = "redirect", .path = "/query" },
		{ .host = "cors", .headers = "origin: https://b1" },
		{ .host = "mirror" },
	};
	struct http_tables t = { 0 };

	if (http_snapshot_open(bytes, size, &t.snapshot))
		return;
	for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++)
		free(http_said_skipped(&t, &asks[i]));
	http_snapshot_close(t.snapshot);
}

Test(http_tables, damaged_tables_are_refused_or_harmless)
{
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	_cleanup_free_ char *copy = NULL;
	__u32 random = 1;

	http_tables_routes(&t);
	copy = malloc(t.snapshot->header->size);
	cr_assert_eq(open_bytes(t.snapshot->header, t.snapshot->header->size), 0);
	for (size_t size = 0; size < t.snapshot->header->size; size += 997) {
		_cleanup_free_ char *part = malloc(size + 1);

		memcpy(part, t.snapshot->header, size);
		cr_expect_eq(open_bytes(part, size), -EBADMSG, "%zu", size);
	}
	for (int i = 0; i < 3000; i++) {
		memcpy(copy, t.snapshot->header, t.snapshot->header->size);
		for (int k = 0; k < 3; k++) {
			random = random * 1664525 + 1013904223;
			copy[(random >> 8) % t.snapshot->header->size] ^= 1 << (random >> 4 & 7);
		}
		use(copy, t.snapshot->header->size);
	}
}

/* The length of a text from the beginning of all strings to the NUL of one of the last. */
static __u32 longest(const char *bytes)
{
	const struct hs_extent *e = &((const struct hs_header *)bytes)->tables[HS_BYTES];
	__u32 n = e->count - 1;

	while (bytes[e->at + n])
		n--;
	return n;
}

/* What readers use unchecked: an index, a divisor, a length. */
Test(http_tables, numbers_that_no_reader_could_use_are_refused)
{
#define FIELD(row, table, field, value)                                               \
	{                                                                             \
#row "." #field " " #value, table, offsetof(struct row, field), value \
	}
	static const struct {
		const char *what;
		enum hs_table table;
		size_t at;
		__u32 value;
	} rows[] = {
		FIELD(hs_op, HS_OPS, type, HS_OP_ADD + 1),
		FIELD(hs_op, HS_OPS, type, 0xffffffff),
		FIELD(hs_action, HS_ACTIONS, type, HS_DIRECT_RESPONSE + 1),
		FIELD(hs_action, HS_ACTIONS, abort_status, 1000),
		FIELD(hs_action, HS_ACTIONS, port, 65536),
		FIELD(hs_cluster, HS_CLUSTERS, id, CLUSTER_IDS_MAX),
		FIELD(hs_cluster, HS_CLUSTERS, lb, LB_SOURCE_IP + 1),
		FIELD(hs_cluster, HS_CLUSTERS, hash, HS_HASH_SOURCE_IP + 1),
		FIELD(hs_cluster, HS_CLUSTERS, endpoints_v4, 1000000),
	};
	_cleanup_(http_tables_free) struct http_tables t = { 0 };
	_cleanup_free_ char *copy = NULL;
	struct hs_header *h;
	struct hs_cluster *c;

	http_tables_routes(&t);
	copy = malloc(t.snapshot->header->size);
	h = (struct hs_header *)copy;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memcpy(copy, t.snapshot->header, t.snapshot->header->size);
		cr_assert_gt(h->tables[rows[i].table].count, 0, "%s", rows[i].what);
		memcpy(copy + h->tables[rows[i].table].at + rows[i].at, &rows[i].value,
		       sizeof(rows[i].value));
		cr_expect_eq(open_bytes(copy, t.snapshot->header->size), -EBADMSG, "%s",
			     rows[i].what);
	}
	memcpy(copy, t.snapshot->header, t.snapshot->header->size);
	c = (struct hs_cluster *)(copy + h->tables[HS_CLUSTERS].at);
	c->outliers = (struct hs_outliers){ .given = 1, .interval_ms = 0 };
	cr_expect_eq(open_bytes(copy, t.snapshot->header->size), -EBADMSG,
		     "an interval that is divided by");
	c->outliers.interval_ms = 1;
	cr_expect_eq(open_bytes(copy, t.snapshot->header->size), 0);
	c->warmup_ms = 1;
	c->warmup_root = 0;
	cr_expect_eq(open_bytes(copy, t.snapshot->header->size), -EBADMSG,
		     "a root that is divided by");
	c->warmup_root = 1000;
	cr_expect_eq(open_bytes(copy, t.snapshot->header->size), 0);
	c->hash_makes = 1;
	c->hash_attributes = (struct hs_str){ 0, longest(copy) };
	cr_expect_eq(open_bytes(copy, t.snapshot->header->size), -EBADMSG,
		     "a cookie that is longer than its place");
}

Test(http_tables, the_same_rules_make_the_same_bytes)
{
	_cleanup_(http_tables_free) struct http_tables a = { 0 }, b = { 0 };

	http_tables_routes(&a);
	http_tables_routes(&b);
	cr_assert_eq(a.snapshot->header->size, b.snapshot->header->size);
	cr_expect(!memcmp(a.snapshot->header, b.snapshot->header, a.snapshot->header->size));
}
