// SPDX-License-Identifier: Apache-2.0
/*
 * Which endpoints get new connections and requests while endpoints terminate: for TCP as explain
 * has it from the kernel's tables, for HTTP in the proxy's; of both families, from EndpointSlices
 * and from Pods.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/explain/explain.h"
#include "test_compile_util.h"
#include "test_http_util.h"

enum { ENDPOINTS_MAX = 4, PER_SUBSET = 2 };

/* A letter for each endpoint, the first two are the subset v1, the others v2. r: ready, u: not
 * ready, s: terminates and serves, t: terminates and serves no more. */
static const struct row {
	const char *about, *endpoints;
	const char *all, *v1, *v2; /* the numbers of those that are called */
} rows[] = {
	{ "all are ready", "rrrr", "1234", "12", "34" },
	{ "what is ready is called alone", "rsrs", "13", "1", "3" },
	{ "a subset falls back by itself", "ssrr", "34", "12", "34" },
	{ "also where only one serves", "tsur", "4", "2", "4" },
	{ "none is ready", "sttu", "1", "1", "" },
	{ "none is ready, several serve", "stss", "134", "1", "34" },
	{ "a subset that is not ready is none", "uuss", "34", "", "34" },
	{ "none serves", "uttt", "", "", "" },
};

enum given { SLICES, PODS };

static const char *const givens[] = { "slices", "pods" };

static const char *yes_if(const char *some, char standing)
{
	return strchr(some, standing) ? "true" : "false";
}

static void put_slice(FILE *f, const char *endpoints, const char *type, const char *prefix)
{
	fprintf(f,
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: svc-%s, "
		"labels: {kubernetes.io/service-name: svc}}\naddressType: %s\nports: [{name: "
		"http-a, port: 80}, {name: tcp-b, port: 81}, {name: tcp-c, port: 82}]\n"
		"endpoints:\n",
		type + strlen("IP"), type);
	for (size_t i = 0; endpoints[i]; i++)
		fprintf(f,
			"- {addresses: [\"%s%zu\"], targetRef: {kind: Pod, name: pod-%zu}, "
			"conditions: {ready: %s, serving: %s, terminating: %s}}\n",
			prefix, i + 1, i + 1, yes_if("r", endpoints[i]), yes_if("rs", endpoints[i]),
			yes_if("st", endpoints[i]));
	fputs("---\n", f);
}

static void put_pod(FILE *f, char standing, size_t i)
{
	fprintf(f,
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-%zu\n  labels: {app: svc, "
		"version: v%zu}\n",
		i + 1, i / PER_SUBSET + 1);
	if (strchr("st", standing))
		fputs("  deletionTimestamp: \"2026-01-01T00:00:00Z\"\n", f);
	fprintf(f,
		"spec: {}\nstatus: {phase: Running, podIPs: [{ip: 10.0.0.%zu}, {ip: "
		"\"fd00::%zu\"}], conditions: [{type: Ready, status: \"%s\"}]}\n---\n",
		i + 1, i + 1, strchr("rs", standing) ? "True" : "False");
}

static void put_rules(FILE *f)
{
	static const char destinations[] = "{destination: {host: svc, subset: v1}, weight: 1}, "
					   "{destination: {host: svc, subset: v2}, weight: 1}";

	fprintf(f,
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: svc}\n"
		"spec: {host: svc, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: "
		"{version: v2}}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: svc}\n"
		"spec:\n  hosts: [svc]\n"
		"  http:\n  - {match: [{uri: {prefix: /all}}], route: [{destination: {host: "
		"svc}}]}\n"
		"  - route: [%s]\n"
		"  tcp:\n  - {match: [{port: 82}], route: [%s]}\n",
		destinations, destinations);
}

/* The caller frees. */
static char *rules(const char *endpoints, const char *slice_v6, enum given given, bool published)
{
	char *yaml = NULL;
	size_t len;
	FILE *f = open_memstream(&yaml, &len);

	fprintf(f,
		"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"
		"spec: {clusterIPs: [10.96.0.1, \"fd00:96::1\"], selector: {app: svc}, "
		"publishNotReadyAddresses: %s, ports: [{name: http-a, port: 80}, {name: tcp-b, "
		"port: 81}, {name: tcp-c, port: 82}]}\n---\n",
		published ? "true" : "false");
	if (given == SLICES) {
		put_slice(f, endpoints, "IPv4", "10.0.0.");
		put_slice(f, slice_v6, "IPv6", "fd00::");
	}
	for (size_t i = 0; endpoints[i]; i++)
		put_pod(f, endpoints[i], i);
	put_rules(f);
	fclose(f);
	return yaml;
}

/* "10.0.0.3:80" or "[fd00::3]:80" -> '3' */
static char number_of(const char *name)
{
	const char *at = strrchr(name, ':');

	cr_assert(at && at > name, "%s", name);
	return at[-1] == ']' ? at[-2] : at[-1];
}

/* ---- TCP ---- */

static void expect_destination(const struct explain_answer *a, size_t i, const char *want,
			       const char *about)
{
	const struct explain_destination *d = &a->destinations.items[i];
	char got[ENDPOINTS_MAX + 1] = "";

	cr_assert_leq(d->endpoint_count, ENDPOINTS_MAX, "%s", about);
	for (size_t k = 0; k < d->endpoint_count; k++)
		got[k] = number_of(d->endpoints[k]);
	cr_expect_str_eq(got, want, "%s, \"%s\": %s", about, d->subset, got);
	if (a->destinations.count == 1)
		cr_expect_eq(!a->endpoint, !*want, "%s: the verdict", about);
}

static void explained(const struct compiled *c, const char *address, unsigned port, size_t count,
		      struct explain_answer *out)
{
	struct explain_query q = { .namespace = "default", .address = address, .port = port };
	struct errors errors = { 0 };

	cr_assert_eq(explain(c->tables, &c->objects, &q, NULL, NULL, out, &errors), 0);
	cr_assert_eq(out->destinations.count, count);
}

static void expect_tcp(const struct compiled *c, enum family family, const struct row *row,
		       const char *about)
{
	const char *address = family == FAMILY_V4 ? "10.96.0.1" : "fd00:96::1";
	_cleanup_(explain_done) struct explain_answer all = { 0 }, subsets = { 0 };

	explained(c, address, 81, 1, &all);
	expect_destination(&all, 0, row->all, about);
	explained(c, address, 82, 2, &subsets);
	expect_destination(&subsets, 0, row->v1, about);
	expect_destination(&subsets, 1, row->v2, about);
}

/* ---- HTTP ---- */

static void expect_cluster(const struct http_tables *t, const char *subset, enum family family,
			   const char *want, const char *about)
{
	const struct hs_cluster *c = NULL;
	char got[ENDPOINTS_MAX + 1] = "", text[ADDR_TEXT_MAX];
	struct http_members m;
	__u32 i, from, to;

	for (i = 0; i < hs_count(t->snapshot, HS_CLUSTERS); i++) {
		c = hs_cluster(t->snapshot, i);
		if (!strcmp(hs_text(t->snapshot, c->subset), subset) && c->port == 80)
			break;
	}
	cr_assert_lt(i, hs_count(t->snapshot, HS_CLUSTERS), "%s: no \"%s\"", about, subset);
	m = http_members(t->snapshot, c);
	from = family == FAMILY_V4 ? 0 : m.v4;
	to = family == FAMILY_V4 ? m.v4 : m.count;
	cr_assert_leq(to - from, ENDPOINTS_MAX, "%s", about);
	for (i = from; i < to; i++) {
		const struct endpoint *e = &m.items[i].endpoint;

		addr_format_port(&e->addr, e->port, text);
		got[i - from] = number_of(text);
	}
	cr_expect_str_eq(got, want, "http: %s, \"%s\": %s", about, subset, got);
}

static void expect_http(const struct http_tables *t, enum family family, const struct row *row,
			const char *about)
{
	expect_cluster(t, "", family, row->all, about);
	expect_cluster(t, "v1", family, row->v1, about);
	expect_cluster(t, "v2", family, row->v2, about);
}

/* ---- both ---- */

static void expect_called(const char *yaml, const struct row *v4, const struct row *v6,
			  const char *given)
{
	_cleanup_(http_tables_free) struct http_tables http = { 0 };
	_cleanup_compiled_ struct compiled tcp = { 0 };
	_cleanup_free_ char *errors = NULL;

	compiled_text(&tcp, yaml);
	errors = errors_text(&tcp.errors);
	cr_assert_not_null(tcp.tables, "%s", errors);
	http_tables_text(&http, yaml);
	cr_assert_not_null(http.snapshot);
	for (enum family family = 0; family < FAMILY_MAX; family++) {
		const struct row *row = family == FAMILY_V4 ? v4 : v6;
		_cleanup_free_ char *about = NULL;

		cr_assert(asprintf(&about, "%s, %s, IPv%d", row->about, given,
				   family == FAMILY_V4 ? 4 : 6) > 0);
		expect_tcp(&tcp, family, row, about);
		expect_http(&http, family, row, about);
	}
}

Test(compile_terminating, those_that_serve_are_called_where_none_is_ready)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (enum given given = SLICES; given <= PODS; given++) {
			_cleanup_free_ char *yaml =
				rules(rows[i].endpoints, rows[i].endpoints, given, false);

			expect_called(yaml, &rows[i], &rows[i], givens[given]);
		}
}

Test(compile_terminating, each_family_falls_back_by_itself)
{
	static const struct row ready = { "ready", "rrrr", "1234", "12", "34" },
				ending = { "ending", "sttt", "1", "1", "" };
	_cleanup_free_ char *yaml = rules(ready.endpoints, ending.endpoints, SLICES, false);
	_cleanup_free_ char *other = rules(ending.endpoints, ready.endpoints, SLICES, false);

	expect_called(yaml, &ready, &ending, "slices");
	expect_called(other, &ending, &ready, "slices");
}

Test(compile_terminating, published_ones_all_count_as_ready)
{
	static const struct row all = { "published", "rust", "1234", "12", "34" };

	for (enum given given = SLICES; given <= PODS; given++) {
		_cleanup_free_ char *yaml = rules(all.endpoints, all.endpoints, given, true);

		expect_called(yaml, &all, &all, givens[given]);
	}
}
